# SPDX-License-Identifier: GPL-3.0-or-later
"""One run as its journal tells it: what every page begins from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TypeVar
from zoneinfo import ZoneInfo

import pandas as pd

from iverson.errors import ConfigError, DataError
from iverson.market.calendar import NEW_YORK
from iverson.model import CashFlow, Fill, Trade
from iverson.monitoring.journal import Journal
from iverson.monitoring.kinds import Value, kind_of, stamps_of
from iverson.monitoring.record import EquityRow, Record, RunRow
from iverson.monitoring.reports import made_up, run_of
from iverson.monitoring.tables import equity_series

Row = TypeVar("Row")
MONEY = (Fill, CashFlow, Trade)


@dataclass(frozen=True)
class Grown:
    """The account without what was deposited, as the charts of `research` draw one."""

    equity: pd.Series
    start: float
    record: Record


@dataclass(frozen=True)
class Journaled:
    """The rows of one run, in the order in which they were journaled.

    Every row belongs to a day. Money (fills, cash flows, trades) belongs to the session whose
    account was noted next, because that is the first equity to have it in; a dividend that is
    heard of a day late is that later day's. Money after the last account belongs to a day after
    it. Everything else belongs to its session or, without one (halts, alarms, commands), to the
    New York date of its instant; `None` for what has neither.
    """

    name: str
    run: RunRow
    values: Sequence[Value]

    @cached_property
    def days(self) -> Sequence[date | None]:
        """The day of each row."""
        found: list[date | None] = []
        noted: date | None = None
        for value in reversed(self.values):
            if isinstance(value, EquityRow):
                noted = value.session
            if not isinstance(value, MONEY):
                found.append(day_of(value))
            elif noted is not None:
                found.append(noted)
            else:
                found.append(max(day_of(value) or date.min, self._after))
        return found[::-1]

    @property
    def _after(self) -> date:
        """The day after the last account."""
        last = max((row.session for row in self.values if isinstance(row, EquityRow)), default=None)
        return last + timedelta(days=1) if last else date.min

    def of(self, kind: type[Row], *, on: date | None = None) -> list[Row]:
        """Return the rows of one kind, in order; of one day only with `on`."""
        if on is None:
            return [value for value in self.values if isinstance(value, kind)]
        return [
            value
            for value, day in zip(self.values, self.days, strict=True)
            if day == on and isinstance(value, kind)
        ]

    def days_of(self, kind: type[Row]) -> list[date | None]:
        """Return the days of the rows of one kind, in the order of `of`."""
        pairs = zip(self.values, self.days, strict=True)
        return [day for value, day in pairs if isinstance(value, kind)]

    def within(self, first: date, last: date) -> Journaled:
        """Return the rows of the days from `first` to `last`, both inclusive."""
        kept = [
            value
            for value, day in zip(self.values, self.days, strict=True)
            if day is not None and first <= day <= last
        ]
        return Journaled(self.name, self.run, kept)

    def until(self, session: date) -> Journaled:
        """Return what was known at the end of a session: a page of the past has no future."""
        return self.within(date.min, session)

    @cached_property
    def equity(self) -> pd.Series:
        """Equity by session, dollars at market."""
        return equity_series(self.of(EquityRow))

    @property
    def sessions(self) -> list[date]:
        """The sessions whose equity was noted, in order."""
        return [stamp.date() for stamp in self.equity.index]

    @cached_property
    def deposits(self) -> pd.Series:
        """Money put in (negative: taken out) by session of `equity`, dollars.

        Dividends, fees and cash in lieu are earned or paid by trading and are none.
        """
        put: dict[date | None, float] = defaultdict(float)
        for flow, day in zip(self.of(CashFlow), self.days_of(CashFlow), strict=True):
            put[day] += flow.amount if flow.kind == "deposit" else 0.0
        dollars = [put[session] for session in self.sessions]
        return pd.Series(dollars, index=self.equity.index, dtype=float)

    @cached_property
    def pnl(self) -> pd.Series:
        """Net profit by session: equity less the equity before it, less what was deposited.

        Dollars, after costs, positions at market; the first session counts from the run's cash.
        """
        return self.equity - self.equity.shift(1, fill_value=self.run.cash) - self.deposits

    @cached_property
    def returns(self) -> pd.Series:
        """Profit by session as a fraction of the equity before it and of what was deposited."""
        return self.pnl / (self.equity.shift(1, fill_value=self.run.cash) + self.deposits)

    @cached_property
    def growth(self) -> pd.Series:
        """What one dollar of the beginning has become by session: the returns compounded.

        Drawdowns are taken from it, so that a deposit is no gain and a withdrawal no loss.
        """
        return (1.0 + self.returns).cumprod()

    @cached_property
    def drawdowns(self) -> pd.Series:
        """Fraction by session that `growth` is below its highest so far, <= 0."""
        return self.growth / self.growth.cummax().clip(lower=1.0) - 1.0

    @property
    def grown(self) -> Grown:
        """What the charts of `research` draw: the run's cash growing with the returns."""
        return Grown(self.growth * self.run.cash, self.run.cash, Record(values=list(self.values)))

    @property
    def feed(self) -> str:
        """What the bars are, in the words of their passport."""
        return str(self.run.parameters.get("feed", "unknown"))

    @property
    def made_up(self) -> str:
        """The sentence to say about data that was made up; "" when none was."""
        return made_up(self.run)


def read(journal: Journal, *, run: str | None = None) -> Journaled:
    """Read one run of a journal, the last by default.

    Raises
    ------
    DataError: the journal has no run, not this run, or the run noted no equity.
    """
    return Journaled(*run_of(journal, run))


def session_named(journaled: Journaled, session: date | str | None) -> date:
    """Return the session to report, as a date or as "2026-11-27"; the last by default.

    Raises
    ------
    ConfigError: a text that is no date.
    DataError: the run noted nothing at this session.
    """
    sessions = journaled.sessions
    if session is None:
        return sessions[-1]
    try:
        day = date.fromisoformat(session) if isinstance(session, str) else session
    except ValueError:
        raise ConfigError(f"session is {session!r}; expected a date, as 2026-11-27") from None
    if day not in sessions:
        raise DataError(
            f"run {journaled.name!r} has no session {day}; choose one from {sessions[0]} to "
            f"{sessions[-1]} on which it noted its account"
        )
    return day


def day_of(value: Value) -> date | None:
    """Return the session of a row, or the New York date of its instant; None without a time."""
    at, session, _ = stamps_of(kind_of(value), value)
    return session or (new_york_date(at) if at else None)


def new_york_date(at: datetime) -> date:
    """Return the date in New York at an instant."""
    return at.astimezone(ZoneInfo(NEW_YORK)).date()
