# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trading system remembers between two processes: all of it read back from its journal.

Nothing is kept anywhere else, so a restart, a second start and a wake see the same account.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from iverson.book import Halt
from iverson.desk import SignalKey
from iverson.execution.account import HIGH_DAYS, AccountState
from iverson.execution.bracket import key_of
from iverson.execution.reconcile import Written, unbooked
from iverson.execution.shares import shares_of
from iverson.market.calendar import new_york
from iverson.model import Answer, CashFlow, Execution, Fill, Intent, OrderEvent, Trade, Verdict
from iverson.monitoring.events import Step
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow, Record, Release, RunRow
from iverson.monitoring.trades import TradeBuilder

ENDED = {"filled", "canceled", "expired", "rejected"}
FLOWS_BEFORE = timedelta(days=7)  # dividends and fees are booked late


class JournaledRecord(Record):
    """A record that is on the disk, value by value, before anything follows from it."""

    def __init__(self, journal: Journal, run: str) -> None:
        super().__init__()
        self._journal = journal
        self._run = run
        self.own: set[int] = set()  # rows of halts and releases

    def add(self, value: Any) -> None:
        """Write a value down."""
        number = self._journal.append(self._run, value)
        if isinstance(value, Halt | Release):
            self.own.add(number)
        super().add(value)


@dataclass(frozen=True, slots=True)
class Memory:
    """The account as the journal has it.

    `decided` is the instant of the last bar that was acted on, `first` the session of the first:
    lines are computed from its warm-up on, so that they are those of a backtest from there.
    `answered` are the verdicts given since `decided`, `planned` the approved ones by decision. The
    `builder` holds the trades in progress, `untold` those that ended and are not noted; `unbooked`
    executions have no fill yet, because a process ended between the two.
    """

    state: AccountState
    written: Written
    builder: TradeBuilder
    untold: tuple[Trade, ...]
    unbooked: tuple[Execution, ...]
    decided: datetime | None
    first: date | None
    answered: Mapping[SignalKey, Verdict]
    planned: Mapping[str, Verdict]


def remember(journal: Journal, run: str, *, after: date) -> Memory:
    """Read the memory of a run for a bar of the session `after`."""
    values = journal.values(run=run)
    builder = TradeBuilder(new_york().ordinal)
    verdicts: dict[str, Verdict] = {}  # the last approved one of a symbol
    approved: list[Verdict] = []
    made: list[Trade | None] = []
    halts: dict[str, Halt] = {}
    answered: dict[SignalKey, Verdict] = {}
    began: datetime | None = None
    since, decided = date.min, None
    first: date | None = None
    closes: dict[date, float] = {}
    cap, stepped = math.inf, date.min
    multiples: list[float] = []
    for value in values:
        if isinstance(value, Verdict):
            answered[value.signal.symbol, value.signal.at, value.signal.side] = value
        if isinstance(value, RunRow):
            began = value.at
        elif isinstance(value, Verdict) and value.approved:
            verdicts[value.signal.symbol] = value
            approved.append(value)
        elif isinstance(value, Fill):
            made.append(
                builder.add(value, verdicts.get(value.symbol) if value.leg == "entry" else None)
            )
        elif isinstance(value, CashFlow):
            made.append(builder.flow(value))
            closes = _moved(closes, value)
        elif isinstance(value, Halt):
            halts[value.rule] = value
        elif isinstance(value, Release):
            ended = halts.pop(value.rule, None)
            if ended is not None and ended.lasts:  # one whose time was over changes no high
                since = max(since, value.session)
        elif isinstance(value, Trade):
            multiples += [value.r_multiple] if math.isfinite(value.r_multiple) else []
        elif isinstance(value, Step):
            cap, stepped, multiples = value.cap, value.session, []
        elif isinstance(value, EquityRow):
            first = first or value.session
            closes.setdefault(new_york().offset(first, -1), value.equity)  # what it began with
            closes[value.session] = value.equity
            decided = value.at
    oldest = after - timedelta(days=HIGH_DAYS)
    before = [session for session in closes if session < after]
    intents = [value for value in values if isinstance(value, Intent)]
    executions = [value for value in values if isinstance(value, Execution)]
    flows = [value for value in values if isinstance(value, CashFlow)]
    told = frozenset(
        value.order_id
        for value in values
        if isinstance(value, OrderEvent) and value.status in ENDED
    )
    open_keys = _open_keys(intents, executions, flows, told)
    return Memory(
        state=AccountState(
            closes=tuple(
                (session, equity) for session, equity in closes.items() if session >= oldest
            ),
            halts=tuple(halts.values()),
            high_since=since,
            previous_close=closes[max(before)] if before else None,
            risk_cap=cap,
            stepped=stepped,
            multiples=tuple(multiples),
        ),
        written=Written(
            intents=[one for one in intents if one.key in open_keys],
            executions=[one for one in executions if one.key in open_keys],
            verdicts=approved,
            names=frozenset(one.name for one in intents),
            answered=frozenset(one.name for one in values if isinstance(one, Answer)),
            told=told,
            flows=flows,
            since=began if decided is None else max(began or decided, decided - FLOWS_BEFORE),
            halts=tuple(halts.values()),
        ),
        builder=builder,
        untold=_untold(made, [value for value in values if isinstance(value, Trade)]),
        unbooked=tuple(
            unbooked(executions, [value for value in values if isinstance(value, Fill)])
        ),
        decided=decided,
        first=first,
        answered={key: one for key, one in answered.items() if decided is None or key[1] > decided},
        planned={key_of(one.signal): one for one in approved},
    )


def _untold(made: Sequence[Trade | None], noted: Sequence[Trade]) -> tuple[Trade, ...]:
    """Return the trades that follow from the fills and were not written down any more."""
    known = {(one.symbol, one.entry_order, one.exit_at) for one in noted}
    return tuple(
        one for one in made if one and (one.symbol, one.entry_order, one.exit_at) not in known
    )


def _moved(closes: dict[date, float], flow: CashFlow) -> dict[date, float]:
    """Correct the closes before a deposit or a withdrawal, as `Account.deposit` does."""
    if flow.kind != "deposit" or not closes:
        return closes
    before = closes[max(closes)]
    scale = max(0.0, 1.0 + flow.amount / before) if before > 0 else 1.0
    return {session: equity * scale for session, equity in closes.items()}


def _open_keys(
    intents: Sequence[Intent],
    executions: Sequence[Execution],
    flows: Sequence[CashFlow],
    told: frozenset[str],
) -> set[str]:
    """Return the decisions that may still be open at the venue.

    One is closed when its entry and its stop have ended, by the venue's word, and all that it
    filled was left.
    """
    booked: dict[str, list[Execution]] = defaultdict(list)
    for one in executions:
        booked[one.key].append(one)
    held = {key: shares_of(own[0].symbol, own, flows).held for key, own in booked.items()}
    return {
        key
        for key in {intent.key for intent in intents}
        if not {f"{key}-entry", f"{key}-stop"} <= told or held.get(key)
    }
