# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trading system remembers between two processes: all of it read back from its journal.

Nothing is kept anywhere else, so a restart, a second start and a wake see the same account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from iverson.book import Halt
from iverson.execution.account import HIGH_DAYS, AccountState
from iverson.execution.reconcile import Written, unbooked
from iverson.market.calendar import new_york
from iverson.model import CashFlow, Execution, Fill, Intent, Verdict
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow, Record, Release
from iverson.monitoring.trades import TradeBuilder


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

    `decided` is the instant of the last bar that was acted on; `builder` holds the trades in
    progress; `unbooked` executions have no fill yet, because a process ended between the two.
    """

    state: AccountState
    written: Written
    builder: TradeBuilder
    unbooked: tuple[Execution, ...]
    decided: datetime | None
    started: bool


def remember(journal: Journal, run: str, *, after: date) -> Memory:
    """Read the memory of a run for a bar of the session `after`."""
    values = journal.values(run=run)
    builder = TradeBuilder(new_york().ordinal)
    verdicts: dict[str, Verdict] = {}
    halts: dict[str, Halt] = {}
    since, decided = date.min, None
    closes: dict[date, float] = {}
    for value in values:
        if isinstance(value, Verdict) and value.approved:
            verdicts[value.signal.symbol] = value
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
            intents=[value for value in values if isinstance(value, Intent)],
            executions=[value for value in values if isinstance(value, Execution)],
            verdicts=[value for value in values if isinstance(value, Verdict)],
        ),
        builder=builder,
        unbooked=tuple(
            unbooked(
                [value for value in values if isinstance(value, Execution)],
                [value for value in values if isinstance(value, Fill)],
            )
        ),
        decided=decided,
        started=bool(values),
    )
