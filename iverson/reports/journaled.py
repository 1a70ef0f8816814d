# SPDX-License-Identifier: GPL-3.0-or-later
"""One run as its journal tells it: what every page begins from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import TypeVar
from zoneinfo import ZoneInfo

import pandas as pd

from iverson.errors import ConfigError, DataError
from iverson.market.calendar import NEW_YORK
from iverson.model import CashFlow
from iverson.monitoring.journal import Journal
from iverson.monitoring.kinds import Value, kind_of, stamps_of
from iverson.monitoring.record import EquityRow, Record, RunRow
from iverson.monitoring.reports import made_up, run_named
from iverson.monitoring.tables import equity_series

Row = TypeVar("Row")


@dataclass(frozen=True)
class Grown:
    """The account without what was deposited, as the charts of `research` draw one."""

    equity: pd.Series
    start: float
    record: Record


@dataclass(frozen=True)
class Journaled:
    """The rows of one run, in the order in which they were journaled.

    Every row belongs to a day: its session, or, when it has none (halts, alarms, commands), the
    New York date of its instant. `None` for what has neither.
    """

    name: str
    run: RunRow
    values: Sequence[Value]

    def of(self, kind: type[Row], *, on: date | None = None) -> list[Row]:
        """Return the rows of one kind, in order; of one day only with `on`."""
        return [
            value
            for value in self.values
            if isinstance(value, kind) and (on is None or day_of(value) == on)
        ]

    def within(self, first: date, last: date) -> Journaled:
        """Return the rows of the days from `first` to `last`, both inclusive, and the run's own."""
        kept = [value for value in self.values if (day := day_of(value)) and first <= day <= last]
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

        Dividends, fees and cash in lieu are earned or paid by trading and are none. What came on
        a day without a session counts in the next one.
        """
        found = pd.Series(0.0, index=self.equity.index)
        for flow in self.of(CashFlow):
            if flow.kind == "deposit":
                place = int(found.index.searchsorted(pd.Timestamp(flow.session)))
                if place < len(found):
                    found.iloc[place] += flow.amount
        return found

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
    name = run_named(journal, run)
    values = journal.values(run=name)
    rows = [value for value in values if isinstance(value, RunRow)]
    if not rows:
        raise DataError(f"run {name!r} has lost its settings; see `iverson journal verify`")
    if not any(isinstance(value, EquityRow) for value in values):
        raise DataError(
            f"run {name!r} noted no equity, so there is nothing to report; choose another"
        )
    return Journaled(name, rows[-1], values)


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
    """Return the day that a row belongs to; None when it has no time at all."""
    at, session, _ = stamps_of(kind_of(value), value)
    return session or (new_york_date(at) if at else None)


def new_york_date(at: datetime) -> date:
    """Return the date in New York at an instant."""
    return at.astimezone(ZoneInfo(NEW_YORK)).date()
