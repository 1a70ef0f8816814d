# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trading system remembers between two processes: all of it read back from its journal.

Nothing is kept anywhere else, so a restart, a second start and a wake see the same account.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from iverson.book import Halt
from iverson.execution.account import HIGH_DAYS, AccountState
from iverson.execution.reconcile import Written, unbooked
from iverson.market.calendar import new_york
from iverson.model import CashFlow, Execution, Fill, Intent, OrderEvent, Verdict
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow, Record, Release
from iverson.monitoring.trades import TradeBuilder

ENDED = {"filled", "canceled", "expired", "rejected"}
NEAR = 1e-6  # shares


class JournaledRecord(Record):
    """A record that is on the disk, value by value, before anything follows from it."""

    def __init__(self, journal: Journal, run: str) -> None:
        super().__init__()
        self._journal = journal
        self._run = run

    def add(self, value: Any) -> None:
        """Write a value down."""
        self._journal.append(self._run, value)
        super().add(value)


@dataclass(frozen=True, slots=True)
class Memory:
    """The account as the journal has it.

    `decided` is the instant of the last bar that was acted on, `first` the session of the first:
    lines are computed from its warm-up on, so that they are those of a backtest from there. The
    `builder` holds the trades in progress; `unbooked` executions have no fill yet, because a
    process ended between the two.
    """

    state: AccountState
    written: Written
    builder: TradeBuilder
    unbooked: tuple[Execution, ...]
    decided: datetime | None
    first: date | None


def remember(journal: Journal, run: str, *, after: date) -> Memory:
    """Read the memory of a run for a bar of the session `after`."""
    values = journal.values(run=run)
    builder = TradeBuilder(new_york().ordinal)
    verdicts: dict[str, Verdict] = {}  # the last approved one of a symbol
    approved: list[Verdict] = []
    halts: dict[str, Halt] = {}
    since, decided = date.min, None
    closes: dict[date, float] = {}
    for value in values:
        if isinstance(value, Verdict) and value.approved:
            verdicts[value.signal.symbol] = value
            approved.append(value)
        elif isinstance(value, Fill):
            builder.add(value, verdicts.get(value.symbol) if value.leg == "entry" else None)
        elif isinstance(value, CashFlow):
            builder.flow(value)
        elif isinstance(value, Halt):
            halts[value.rule] = value
        elif isinstance(value, Release):
            halts.pop(value.rule, None)
            since = max(since, value.session)
        elif isinstance(value, EquityRow):
            closes[value.session] = value.equity
            decided = value.at
    oldest = after - timedelta(days=HIGH_DAYS)
    before = [session for session in closes if session < after]
    intents = [value for value in values if isinstance(value, Intent)]
    executions = [value for value in values if isinstance(value, Execution)]
    told = frozenset(
        value.order_id
        for value in values
        if isinstance(value, OrderEvent) and value.status in ENDED
    )
    open_keys = _open_keys(intents, executions, told)
    return Memory(
        state=AccountState(
            closes=tuple(
                (session, equity) for session, equity in closes.items() if session >= oldest
            ),
            halts=tuple(halts.values()),
            high_since=since,
            previous_close=closes[max(before)] if before else None,
        ),
        written=Written(
            intents=[one for one in intents if one.key in open_keys],
            executions=[one for one in executions if one.key in open_keys],
            verdicts=approved,
            names=frozenset(one.name for one in intents),
            told=told,
        ),
        builder=builder,
        unbooked=tuple(
            unbooked(executions, [value for value in values if isinstance(value, Fill)])
        ),
        decided=decided,
        first=min(closes, default=None),
    )


def _open_keys(
    intents: Sequence[Intent], executions: Sequence[Execution], told: frozenset[str]
) -> set[str]:
    """Return the decisions that may still be open at the venue.

    One is closed when its entry and its stop have ended, by the venue's word, and all that it
    filled was left.
    """
    held: dict[str, float] = defaultdict(float)
    for one in executions:
        held[one.key] += one.size if one.leg == "entry" else -one.size
    return {
        key
        for key in {intent.key for intent in intents}
        if not {f"{key}-entry", f"{key}-stop"} <= told or abs(held[key]) > NEAR
    }
