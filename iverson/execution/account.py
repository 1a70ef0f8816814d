# SPDX-License-Identifier: GPL-3.0-or-later
"""The account over time: closing equities, the 30-day high, halts, steps; it makes the `Book`.

A value object goes in and comes out (`AccountState`), so that a restart, a fold and a wake go on
with the same memory: cut at any bar, the account goes on as if it had not been cut.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType

from iverson.book import Book, Halt, History, Position
from iverson.market.calendar import new_york
from iverson.model import Verdict

HIGH_DAYS = 30  # calendar days over which the high is taken


@dataclass(frozen=True, slots=True)
class AccountState:
    """What an account has to remember.

    `closes` holds the last equity of each session, the current session's included, scaled for
    deposits and withdrawals; `high_since` the first session that counts for the high;
    `previous_close` the dollars from which the day's result is counted. Of the capital steps:
    `risk_cap` the fraction of equity that one trade may risk (infinite: none was taken yet),
    `stepped` the session of the last step, `multiples` the R multiples of the trades closed since.
    """

    closes: tuple[tuple[date, float], ...] = ()
    halts: tuple[Halt, ...] = ()
    high_since: date = date.min
    previous_close: float | None = None
    risk_cap: float = math.inf
    stepped: date = date.min
    multiples: tuple[float, ...] = ()


class Account:
    """Keeps the equity curve of the last 30 days and the halts in force.

    `release_after` (sessions) releases a latched halt and re-bases the high: for backtests, where
    there is no operator. None leaves it latched. An equity that is not finite is unknown: it is
    shown in the book, for the gate to refuse, and never remembered.
    """

    def __init__(
        self, state: AccountState, *, history: History, release_after: int | None = None
    ) -> None:
        self._closes = list(state.closes)
        self._halts = list(state.halts)
        self._high_since = state.high_since
        self._previous_close = state.previous_close
        self.risk_cap, self.stepped = state.risk_cap, state.stepped
        self.multiples = state.multiples
        self._history = history
        self._release_after = release_after
        self._session: date | None = None
        self._equity = math.nan
        self.at: datetime | None = None

    @property
    def state(self) -> AccountState:
        """What has to be remembered, the current session's equity included."""
        return AccountState(
            tuple(self._closes), tuple(self._halts), self._high_since, self._previous_close,
            self.risk_cap, self.stepped, self.multiples,
        )  # fmt: skip

    def mark(self, at: datetime, session: date, equity: float) -> list[tuple[Halt, str]]:
        """Note the equity at an instant; return the halts that ended, each with the reason why."""
        self.at, self._session, self._equity = at, session, equity
        if math.isfinite(equity):
            self._remember(session, equity)
        return self._ended(at, session)

    def deposit(self, amount: float) -> None:
        """Correct the past for money put in (or, negative, taken out): it is not a profit.

        The previous close moves by the amount, so that the day's result in dollars stays what it
        was; the closes behind the high are scaled, so that the drawdown, a fraction, does too.
        """
        if not self._closes:
            return
        before = self._closes[-1][1]
        scale = max(0.0, 1.0 + amount / before) if before > 0 else 1.0
        self._closes = [(session, equity * scale) for session, equity in self._closes]
        if self._previous_close is not None:
            self._previous_close += amount
        self._equity += amount

    def add(self, halt: Halt) -> None:
        """Put a halt in force, in place of an earlier one of the same rule."""
        self._halts = [*(one for one in self._halts if one.rule != halt.rule), halt]

    def closed(self, multiple: float) -> None:
        """Count a closed trade by its R multiple; one without a planned risk (NaN) says nothing."""
        if math.isfinite(multiple):
            self.multiples = (*self.multiples, multiple)

    def step(self, cap: float, session: date) -> None:
        """Take another cap of what a trade may risk; the count of closed trades begins anew."""
        self.risk_cap, self.stepped, self.multiples = cap, session, ()

    def release(self, rule: str, *, session: date | None = None) -> Halt | None:
        """Lift the halt of a rule, as an operator; None when there is none.

        The high is taken anew from a session, or the same fall would halt again at once; default
        the current one, and without either nothing is lifted.
        """
        halt = next((halt for halt in self._halts if halt.rule == rule), None)
        since = session or self._session
        if halt is not None and since is not None:
            self._halts.remove(halt)
            if halt.lasts:
                self._high_since = max(self._high_since, since)
        return halt

    @property
    def halts(self) -> tuple[Halt, ...]:
        """The halts noted so far and not ended."""
        return tuple(self._halts)

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Equity, equity at the previous close and the 30-day high, as in the book."""
        assert self._session is not None
        previous = self._previous_close
        return self._equity, math.nan if previous is None else previous, self._high(self._session)

    def book(
        self,
        *,
        cash: float,
        positions: Mapping[str, Position],
        pending: Mapping[str, Verdict],
        next_open: datetime | None,
        risk_cap: float = math.inf,
    ) -> Book:
        """Return the immutable snapshot that rules and sizing read."""
        assert self.at is not None
        assert self._session is not None
        equity, previous, high = self.numbers
        return Book(
            at=self.at,
            session=self._session,
            cash=cash,
            equity=equity,
            equity_at_previous_close=previous,
            high=high,
            history=self._history,
            positions=MappingProxyType(dict(positions)),
            pending=MappingProxyType(dict(pending)),
            halts=tuple(self._halts),
            next_open=next_open,
            risk_cap=risk_cap,
        )

    def _remember(self, session: date, equity: float) -> None:
        """Note the session's equity; its first note fixes the previous close."""
        if not self._closes:  # a new account: what it had before its first session
            self._closes.append((new_york().offset(session, -1), equity))
        if self._closes[-1][0] == session:
            self._closes[-1] = (session, equity)
            return
        self._previous_close = self._closes[-1][1]
        self._closes.append((session, equity))
        oldest = session - timedelta(days=HIGH_DAYS)
        self._closes = [close for close in self._closes if close[0] >= oldest]

    def _high(self, session: date) -> float:
        oldest = max(session - timedelta(days=HIGH_DAYS), self._high_since)
        recent = [equity for closed, equity in self._closes if closed >= oldest]
        return max(recent, default=self._equity)

    def _ended(self, at: datetime, session: date) -> list[tuple[Halt, str]]:
        ended = []
        for halt in list(self._halts):
            if not halt.in_force(at):
                ended.append((halt, "its time is over"))
            elif self._served(halt, session):
                ended.append((halt, f"released after {self._release_after} sessions (backtest)"))
                self._high_since = session
            else:
                continue
            self._halts.remove(halt)
        return ended

    def _served(self, halt: Halt, session: date) -> bool:
        """Whether a halt without an end has lasted `release_after` sessions, by the calendar."""
        if self._release_after is None or not halt.lasts:
            return False
        calendar = new_york()
        since = calendar.ordinal(calendar.session_of(halt.since))
        return calendar.ordinal(session) - since >= self._release_after
