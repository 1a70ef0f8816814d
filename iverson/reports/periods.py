# SPDX-License-Identifier: GPL-3.0-or-later
"""Weeks and months of a run: the calendar's borders, and the exchange's sessions within them."""

from __future__ import annotations

import calendar as months
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pandas as pd

from iverson.errors import ConfigError, DataError
from iverson.market.calendar import new_york
from iverson.model import Trade

_WEEK = re.compile(r"(\d{4})-?[Ww](\d{1,2})")
_MONTH = re.compile(r"(\d{4})-(\d{1,2})")


@dataclass(frozen=True, slots=True)
class Period:
    """A week (ISO 8601: Monday to Sunday) or a month, `first` and `last` inclusive.

    `name` is "2026-W48" or "2026-11". A session belongs to the period of its exchange date.
    """

    name: str
    first: date
    last: date

    @property
    def sessions(self) -> list[date]:
        """The exchange's sessions, holidays left out."""
        return [day.item() for day in new_york().between(self.first, self.last)]

    def of(self, series: pd.Series) -> pd.Series:
        """Return the part of a series by session that lies in the period."""
        index = pd.DatetimeIndex(series.index)
        inside = (index >= pd.Timestamp(self.first)) & (index <= pd.Timestamp(self.last))
        return series[inside]

    def closed(self, trades: Iterable[Trade]) -> list[Trade]:
        """Return the trades that were left in the period."""
        return [trade for trade in trades if self.first <= trade.exit_session <= self.last]

    def noted(self, sessions: Sequence[date]) -> list[date]:
        """Return those of the sessions that lie in the period."""
        return [session for session in sessions if self.first <= session <= self.last]


def week_of(day: date) -> Period:
    """Return the ISO week that a date lies in; the first of a year has its first Thursday."""
    year, week, weekday = day.isocalendar()
    first = day - timedelta(days=weekday - 1)
    return Period(f"{year}-W{week:02d}", first, first + timedelta(days=6))


def month_of(day: date) -> Period:
    """Return the month that a date lies in."""
    length = months.monthrange(day.year, day.month)[1]
    return Period(f"{day:%Y-%m}", day.replace(day=1), day.replace(day=length))


def week_named(given: str | date | None, sessions: Sequence[date]) -> Period:
    """Return the week that is meant: "2026-W48", a date within it, or None for the last noted.

    `sessions` are those that the run noted, in order.

    Raises
    ------
    ConfigError: no week.
    DataError: a week before the run began or after it ended.
    """
    return _within(week_of(_day(given, sessions, _WEEK, "week", "2026-W48")), sessions)


def month_named(given: str | date | None, sessions: Sequence[date]) -> Period:
    """Return the month that is meant: "2026-11", a date within it, or None for the last noted.

    Arguments and errors as `week_named`.
    """
    return _within(month_of(_day(given, sessions, _MONTH, "month", "2026-11")), sessions)


def _day(
    given: str | date | None, sessions: Sequence[date], form: re.Pattern[str], noun: str, as_: str
) -> date:
    """Return a date within the period that is meant."""
    if given is None:
        return sessions[-1]
    if isinstance(given, date):
        return given.date() if isinstance(given, datetime) else given
    found = form.fullmatch(given.strip())
    try:
        if found is None:
            return date.fromisoformat(given.strip())
        year, number = map(int, found.groups())
        return date.fromisocalendar(year, number, 1) if noun == "week" else date(year, number, 1)
    except ValueError as error:
        raise ConfigError(
            f"{given!r} is no {noun}; write one as {as_}, or a date within it as 2026-11-25"
        ) from error


def _within(period: Period, sessions: Sequence[date]) -> Period:
    if period.last < sessions[0] or period.first > sessions[-1]:
        raise DataError(
            f"the run noted nothing in {period.name}; it noted {sessions[0]} to {sessions[-1]}"
        )
    return period
