# SPDX-License-Identifier: GPL-3.0-or-later
"""The exchange calendar: which dates are sessions, when each opens and closes.

Wraps the New York Stock Exchange calendar (XNYS) of `exchange_calendars`, which knows holidays,
early closes and one-off closures. A session is a tz-naive date, an instant is tz-aware UTC.
Lookups by date or instant are list lookups, because a backtest makes one for every bar.
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from datetime import UTC, date, datetime, time
from functools import lru_cache
from importlib import import_module
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.errors import DataError

NEW_YORK = "America/New_York"
FIRST = "1960-01-01"
LAST = "2049-12-31"


def midnight(day: date) -> datetime:
    """Return the instant at which a date begins in New York, UTC."""
    return datetime.combine(day, time(), ZoneInfo(NEW_YORK)).astimezone(UTC)


def utc_now() -> datetime:
    """Return the instant it is: the one place that reads the clock."""
    return datetime.now(UTC)


class Calendar:
    """Sessions of one exchange, in order, with their opening and closing instants.

    Parameters
    ----------
    sessions : datetime64[D], shape (n,), strictly increasing
    opens, closes : datetime64[ns] in UTC, shape (n,)
    """

    def __init__(
        self,
        sessions: NDArray[np.datetime64],
        opens: NDArray[np.datetime64],
        closes: NDArray[np.datetime64],
    ) -> None:
        self.sessions = sessions.astype("datetime64[D]")
        self.sessions.setflags(write=False)
        self._close_stamps = closes.astype("datetime64[ns]")
        self._open_stamps = opens.astype("datetime64[ns]")
        self._dates: list[date] = self.sessions.tolist()
        self._opens: list[datetime] = _instants(opens)
        self._closes: list[datetime] = _instants(closes)
        days = np.arange(self.sessions[0], self.sessions[-1] + np.timedelta64(1, "D"))
        self._base = self._dates[0].toordinal()
        self._ordinals: list[int] = np.searchsorted(self.sessions, days).tolist()
        self._is_session: list[bool] = np.isin(days, self.sessions).tolist()

    def __repr__(self) -> str:
        return f"Calendar({len(self._dates)} sessions, {self._dates[0]}..{self._dates[-1]})"

    def is_session(self, session: date) -> bool:
        """Tell whether the exchange opened on this date; `DataError` outside the calendar."""
        return self._is_session[self._day(session)]

    def ordinal(self, session: date) -> int:
        """Return the index in `sessions`; a date that is no session counts as the next one."""
        return self._ordinals[self._day(session)]

    def offset(self, session: date, n: int) -> date:
        """Return the session `n` sessions later, earlier if negative.

        A date that is no session counts as the next session, so offset 0 moves it there.
        """
        index = self.ordinal(session) + n
        if not 0 <= index < len(self._dates):
            raise self._outside(f"{session} and {n:+d} sessions")
        return self._dates[index]

    def open_at(self, session: date) -> datetime:
        """Return the instant at which the session opens (UTC); `DataError` if it is none."""
        return self._opens[self._index(session)]

    def close_at(self, session: date) -> datetime:
        """Return the instant at which the session closes (UTC), early closes respected."""
        return self._closes[self._index(session)]

    def next_open(self, at: datetime) -> datetime:
        """Return the first session open strictly after `at`."""
        index = bisect_right(self._opens, _aware(at))
        if index == len(self._opens):
            raise self._outside(f"the open after {at}")
        return self._opens[index]

    def session_of(self, at: datetime) -> date:
        """Return the session in progress, or the last one that ended, at `at`.

        An instant equal to a close belongs to that session, so right-edge stamps map to the
        session they were traded in.
        """
        index = bisect_right(self._opens, _aware(at)) - 1
        if index < 0 or at > self._closes[-1]:
            raise self._outside(str(at))
        return self._dates[index]

    def ordinals_of(self, at: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Return the places in `sessions` of `session_of` for many naive UTC instants."""
        stamps = at.astype("datetime64[ns]")
        places = np.searchsorted(self._open_stamps, stamps, side="right").astype(np.int64) - 1
        outside = (places < 0) | (stamps > self._close_stamps[-1])
        if outside.any():
            raise self._outside(str(at[outside][0]))
        return places

    def coming_session(self, at: datetime) -> date:
        """Return the session in progress, or the next one once it has closed."""
        session = self.session_of(at)
        return session if at < self.close_at(session) else self.offset(session, 1)

    def opens(self, sessions: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """Return opening instants (datetime64[ns], UTC); 09:30 New York for no session."""
        return self._edges(sessions, self._open_stamps, "9h30min")

    def closes(self, sessions: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """Return closing instants (datetime64[ns], UTC); 16:00 New York for no session."""
        return self._edges(sessions, self._close_stamps, "16h")

    def between(self, first: date, last: date) -> NDArray[np.datetime64]:
        """Return the sessions from `first` to `last`, both included (datetime64[D])."""
        for day in (first, last):
            self._day(day)
        lower, upper = np.datetime64(first, "D"), np.datetime64(last, "D")
        left = int(np.searchsorted(self.sessions, lower, side="left"))
        right = int(np.searchsorted(self.sessions, upper, side="right"))
        return self.sessions[left:right]

    def _edges(
        self, sessions: NDArray[np.datetime64], stamps: NDArray[np.datetime64], clock: str
    ) -> NDArray[np.datetime64]:
        days = np.asarray(sessions).astype("datetime64[D]")
        index = np.minimum(np.searchsorted(self.sessions, days), len(self.sessions) - 1)
        edges = stamps[index]
        other = self.sessions[index] != days
        if other.any():
            local = pd.DatetimeIndex(days[other].astype("datetime64[ns]")) + pd.Timedelta(clock)
            edges[other] = local.tz_localize(NEW_YORK).tz_convert("UTC").tz_localize(None).values
        return edges

    def _day(self, session: date) -> int:
        day: int = session.toordinal() - self._base
        if not 0 <= day < len(self._ordinals):
            raise self._outside(str(session))
        return day

    def _index(self, session: date) -> int:
        day = self._day(session)
        index = self._ordinals[day]
        if not self._is_session[day]:
            raise DataError(
                f"{session} is not a session of the exchange; the next one is {self._dates[index]}"
            )
        return index

    def _outside(self, what: str) -> DataError:
        return DataError(
            f"{what}: outside the exchange calendar, which runs from {self._dates[0]} to "
            f"{self._dates[-1]}; use dates within it"
        )


@lru_cache(maxsize=1)
def new_york() -> Calendar:
    """Return the calendar of the New York Stock Exchange; built once, about a second."""
    # Imported here and untyped: it takes half a second and ships no type information.
    library = import_module("exchange_calendars")
    with warnings.catch_warnings():
        # The library still uses pandas calls that pandas 3.1 announces as going away.
        warnings.simplefilter("ignore", category=DeprecationWarning)
        schedule = library.get_calendar("XNYS", start=FIRST, end=LAST).schedule
    return Calendar(
        schedule.index.to_numpy().astype("datetime64[D]"),
        schedule["open"].dt.tz_localize(None).to_numpy(),
        schedule["close"].dt.tz_localize(None).to_numpy(),
    )


def _instants(stamps: NDArray[np.datetime64]) -> list[datetime]:
    instants: list[datetime] = pd.DatetimeIndex(stamps).tz_localize("UTC").to_pydatetime().tolist()
    return instants


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise DataError(f"{at} has no time zone; an instant must be tz-aware UTC")
    return at
