# SPDX-License-Identifier: GPL-3.0-or-later
"""The exchange's day: the corners it turns, and which session an instant belongs to.

New York's times, on sessions only: 02:30 corporate actions and the books of the day before, 04:00
extended hours begin, the open, the close (13:00 on half days), 16:15 aged orders, 20:00 extended
hours end. Instants are UTC; daylight saving moves them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from iverson.market.calendar import NEW_YORK, Calendar

ZONE = ZoneInfo(NEW_YORK)
EdgeName = Literal["overnight", "pre", "open", "close", "aged", "after"]
Phase = Literal["closed", "pre", "regular", "after"]

OVERNIGHT, PRE, AGED, AFTER = time(2, 30), time(4), time(16, 15), time(20)


class Edge(NamedTuple):
    """One corner of an exchange day."""

    at: datetime
    name: EdgeName
    session: date


class Day(NamedTuple):
    """The corners of one session, in UTC."""

    session: date
    overnight: datetime
    pre: datetime
    open: datetime
    close: datetime
    aged: datetime
    after: datetime

    @property
    def edges(self) -> list[Edge]:
        """The corners in order."""
        return [
            Edge(self.overnight, "overnight", self.session),
            Edge(self.pre, "pre", self.session),
            Edge(self.open, "open", self.session),
            Edge(self.close, "close", self.session),
            Edge(self.aged, "aged", self.session),
            Edge(self.after, "after", self.session),
        ]


class Schedule:
    """Lookups by instant over a calendar of sessions."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self._days: dict[date, Day] = {}

    def day(self, session: date) -> Day:
        """Return the corners of a session."""
        day = self._days.get(session)
        if day is None:
            day = self._days[session] = Day(
                session,
                new_york(session, OVERNIGHT),
                new_york(session, PRE),
                self.calendar.open_at(session),
                self.calendar.close_at(session),
                new_york(session, AGED),
                new_york(session, AFTER),
            )
        return day

    def next_edge(self, after: datetime) -> Edge:
        """Return the first corner strictly after an instant."""
        session = self.session_on_or_after(after)
        for edge in self.day(session).edges:
            if edge.at > after:
                return edge
        return self.day(self.calendar.offset(session, 1)).edges[0]

    def session_on_or_after(self, at: datetime) -> date:
        """Return the session of New York's date, the next one on a closed day."""
        return self.calendar.offset(at.astimezone(ZONE).date(), 0)

    def phase(self, at: datetime) -> Phase:
        """Return the phase of the day; an edge begins the next phase."""
        day = self.day(self.session_on_or_after(at))
        if not day.pre <= at < day.after:
            return "closed"
        if at < day.open:
            return "pre"
        return "regular" if at < day.close else "after"

    def valid_session(self, at: datetime, *, extended: bool, opening: bool = False) -> date:
        """Return the session with which a day order accepted at `at` ends.

        `extended` orders live on until 20:00; `opening` ones need the auction still to come.
        """
        session = self.session_on_or_after(at)
        day = self.day(session)
        last = day.open if opening else day.after if extended else day.close
        return session if at < last else self.calendar.offset(session, 1)

    def expiry(self, created: datetime, days: int = 90) -> datetime:
        """Return 16:15 New York, so many days after creation: the end of a gtc order."""
        return new_york(created.astimezone(ZONE).date() + timedelta(days=days), AGED)


def new_york(day: date, clock: time) -> datetime:
    """Return New York's wall-clock time of a date as an instant in UTC."""
    return datetime.combine(day, clock, ZONE).astimezone(UTC)
