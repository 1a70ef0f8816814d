# SPDX-License-Identifier: GPL-3.0-or-later
"""The desk: where gate, account, broker and record meet, once a bar.

It makes the `Book` the gate reads, keeps the halts, and reviews every signal; the broker asks it
about orders that come without a verdict (the second lock). What differs between the stages is
what is plugged in here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from iverson.book import Book, Halt, Position, drawdown
from iverson.errors import ConfigError
from iverson.execution.account import Account
from iverson.execution.bracket import on_grid
from iverson.execution.ticks import tick_size
from iverson.market.calendar import new_york
from iverson.market.moments import Moment, moment
from iverson.model import Signal, Trade, Verdict
from iverson.monitoring.events import Step
from iverson.monitoring.record import Record, Release
from iverson.risk.capital import CapitalSteps, Evidence, weigh
from iverson.risk.gate import Gate, denied

SignalKey = tuple[str, datetime, str]  # symbol, instant of the bar, side


class Desk:
    """One run's meeting place; made by whoever starts the run, handed to broker and strategy.

    Sessions before `first` are warm-up: nothing trades and nothing is noted; so are bars up to
    `after`, where only a newer one counts. On `last` no entry is made by daily bars, because none
    is left to fill it; `within` sessions there are. `answered` holds the verdicts that an ended
    process has noted: the same signal gets the same answer, and it is not noted again. `capital`
    caps what a trade may risk; None leaves that to the sizing. `others` gives the halts and
    releases that other processes have written down since the last time.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        account: Account,
        record: Record,
        first: date,
        last: date,
        within: bool = False,
        after: datetime | None = None,
        answered: Mapping[SignalKey, Verdict] | None = None,
        capital: CapitalSteps | None = None,
        others: Callable[[], Iterable[Halt | Release]] | None = None,
    ) -> None:
        self.gate = gate
        self.account = account
        self.record = record
        self.first = first
        self.last = last
        self.within = within
        self.after = after
        self.answered = answered or {}
        self.capital = capital
        self.others = others
        self.broker: Any = None
        self.now: Moment | None = None
        self._book: Book | None = None
        self._counted = 0  # values of the record whose trades the account has
        self._weighed: tuple[tuple[float, ...], Evidence] | None = None

    @property
    def open_for_entries(self) -> bool:
        """Whether an entry decided now could still fill inside the run."""
        if self.now is None or self.now.session < self.first:
            return False
        if self.within and self.now.session == self.last:
            return self.now.at < new_york().close_at(self.last)
        return self.now.session < self.last

    @property
    def reducing(self) -> bool:
        """Whether a halt in force asks that positions be left."""
        return bool(self.account.halts) and self.book().state == "reducing"

    def begin_bar(self, number: float) -> bool:
        """Take in a bar that closed: equity, halts that end, halts that begin. False in warm-up."""
        self.now = moment(number)
        self._book = None
        at, session, _ = self.now
        if session < self.first or (self.after is not None and at <= self.after):
            return False
        if self.others is not None:
            self.listen()
        for halt, reason in self.account.mark(at, session, self.broker.getvalue()):
            self.record.add(Release(at, session, halt.rule, reason))
        if self.capital is not None:
            self._step(self.capital, at, session)
        if self.gate.is_calm(*self.account.numbers):
            return True
        for halt in self.gate.halts(self.book()):
            self.account.add(halt)
            self.record.add(halt)
            self.withdraw_entries()
            self._book = None
        return True

    def _count_trades(self) -> None:
        """Let the account know the trades that were noted since it was last told."""
        values = self.record.values
        for value in values[self._counted :]:
            if isinstance(value, Trade):
                self.account.closed(value.r_multiple)
        self._counted = len(values)

    def _step(self, capital: CapitalSteps, at: datetime, session: date) -> None:
        """Change what a trade may risk, at most once a session, and note it."""
        self._count_trades()
        account = self.account
        change = capital.begin(account.risk_cap)
        if change is None and account.stepped < session:
            equity, _, high = account.numbers
            level = capital.levels.index(account.risk_cap)
            change = capital.step(level, self._evidence(), drawdown(equity, high))
        if change is None:
            return
        cap = capital.levels[change.level]
        account.step(cap, session)
        self.record.add(Step(at, session, change.level, cap, change.reason))

    def _evidence(self) -> Evidence:
        """Return what the trades since the last step say, worked out once for the same trades."""
        multiples = self.account.multiples
        if self._weighed is None or self._weighed[0] is not multiples:
            self._weighed = (multiples, weigh(multiples))
        return self._weighed[1]

    def listen(self) -> None:
        """Take in what other processes have halted and released; they have noted it."""
        if self.others is None:
            return
        for word in self.others():
            self._book = None
            if isinstance(word, Halt):
                self.account.add(word)
                self.withdraw_entries()
            else:
                self.account.release(word.rule, session=word.session)

    def book(self) -> Book:
        """Return the account as it stands at this bar, verdicts given a moment ago included."""
        if self._book is None:
            assert self.now is not None
            self._book = self.account.book(
                cash=self.broker.getcash(),
                positions=self._positions(),
                pending=self._pending(),
                next_open=new_york().next_open(self.now.at),
                risk_cap=math.inf if self.capital is None else self.account.risk_cap,
            )
        return self._book

    def review(self, signal: Signal, *, ready: bool = True) -> Verdict:
        """Have the gate answer a signal and note the answer; without a fresh bar it is denied.

        So is a signal that was sound until its prices were rounded: no fault of the strategy, but
        of a symbol that hardly moves.
        """
        known = self.answered.get((signal.symbol, signal.at, signal.side))
        if known is not None:
            return known
        if not ready:
            verdict = denied(signal, "bars", f"{signal.symbol} has no bar now or too few so far")
        else:
            rounded = on_grid(signal)
            fault = None if rounded is signal else rounded.fault()
            if fault is None:
                verdict = self.gate.review(rounded, self.book())
            else:
                words = f"on the price grid of {tick_size(signal.limit):g} dollars, {fault}"
                verdict = denied(signal, "price grid", words)
        self.record.add(verdict)
        if verdict.approved:
            self._book = None  # a slot is taken when the order is decided
        return verdict

    def review_order(self, order: Any, *, stop: float | None, target: float | None) -> int:
        """Answer a plain order that increases exposure: the approved size, 0 when denied.

        It is reviewed as a signal of full confidence; without a stop it has no planned loss and
        is denied.
        """
        if self.now is None or not self.open_for_entries:
            return 0
        signal = Signal(
            at=self.now.at,
            session=self.now.session,
            symbol=order.data._name,
            side="long" if order.isbuy() else "short",
            confidence=5,
            limit=self.broker.reference_price(order),
            stop=float("nan") if stop is None else stop,
            target=target,
            reason="plain order",
            strategy=type(order.owner).__name__,
        )
        verdict = self.review(signal)
        if verdict.approved:
            verdict = replace(verdict, size=min(verdict.size, abs(order.created.size)))
            order.addinfo(verdict=verdict)
        return int(verdict.size)

    def halt(self, rule: str, reason: str, *, at: datetime) -> None:
        """Refuse entries until a person releases it: the books or the broker are in doubt.

        Noted at once, whether or not this run decides anything; `at` is when it was noticed.
        """
        if any(halt.rule == rule for halt in self.account.state.halts):
            return
        halt = Halt(rule, reason, since=at, latched=True)
        self.account.add(halt)
        self.record.add(halt)
        self.withdraw_entries()
        self._book = None

    def standing(self, at: datetime) -> tuple[Halt, ...]:
        """Return the halts in force at an instant."""
        return tuple(halt for halt in self.account.state.halts if halt.in_force(at))

    def withdraw_entries(self) -> None:
        """Cancel the entries that wait; those of plain orders, which no halt concerns, stay."""
        for group in list(self.broker.groups.values()):
            if group.waiting and "verdict" in group.entry.info:
                self.broker.cancel(group.entry)

    def _pending(self) -> dict[str, Verdict]:
        """Return what still waits; the filled part of an entry is a position, not counted twice."""
        return {
            group.data._name: replace(verdict, size=abs(group.entry.executed.remsize))
            for group in self.broker.groups.values()
            if group.waiting and (verdict := group.entry.info.get("verdict")) is not None
        }

    def _positions(self) -> dict[str, Position]:
        assert self.now is not None
        groups: dict[Any, list[Any]] = {}
        for group in self.broker.groups.values():
            if group.held:
                groups.setdefault(group.data, []).append(group)
        foreign = {
            one.symbol: Position(
                symbol=one.symbol,
                size=int(one.size),
                price=one.price,
                mark=one.mark,
                stop=math.nan,
                entry_session=self.now.session,
            )
            for one in getattr(self.broker, "foreign", ())  # not ours, but they take their slots
        }
        return foreign | {
            data._name: Position(
                symbol=data._name,
                size=position.size,
                price=position.price,
                mark=self.broker.mark(data),
                stop=_stop(groups.get(data, ()), position.size),
                entry_session=_entered(groups.get(data, ()), self.now.session),
            )
            for data, position in self.broker.positions.items()
            if position.size
        }


def ranked(signals: Iterable[Signal] | None, symbols: Iterable[str]) -> list[Signal]:
    """Order competing signals: the highest confidence first, then the order of the symbols."""
    if signals is None:
        raise ConfigError("signals() returned None; yield Signals, or return an empty list")
    found = list(signals)
    for one in found:
        if not isinstance(one, Signal):
            raise ConfigError(f"signals() gave {one!r}; expected a Signal")
    place = {symbol: number for number, symbol in enumerate(symbols)}
    return sorted(found, key=lambda s: (-_confidence(s), place.get(s.symbol, len(place))))


def _confidence(signal: Signal) -> float:
    """Return the confidence for ranking; one that the gate will refuse must not disturb it."""
    known = isinstance(signal.confidence, int | float) and math.isfinite(signal.confidence)
    return signal.confidence if known else 0.0


def _stop(groups: Iterable[Any], size: int) -> float:
    """Return the furthest stop of a position, NaN when part of it has none."""
    stops = [group.stop_price for group in groups]
    if None in stops or sum(group.held for group in groups) != size:
        return math.nan
    return float(min(stops) if size > 0 else max(stops))


def _entered(groups: Iterable[Any], now: date) -> date:
    return min((moment(group.entered).session for group in groups), default=now)
