# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs of life: a row in the journal, a ping to who watches elsewhere, systemd's watchdog.

Each says by when the next one comes, so that a watcher needs no timetable. None of it can delay a
decision: a wake gives its sign when it has done everything, a stream between two bars, and pings
go out on a thread of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from iverson.market.calendar import new_york
from iverson.model import Stage
from iverson.monitoring.events import Heartbeat
from iverson.monitoring.journal import Journal
from iverson.stages.ping import Ping
from iverson.stages.supervisor import notify

AFTER_CLOSE = timedelta(minutes=45)  # by when the wake for the day's bar is over
AFTER_OPEN = timedelta(minutes=5)  # by when the stream of a session runs
BEAT_SECONDS = 60.0
MISSED = timedelta(minutes=5)  # a stream's beats that may be missed before it counts as late
WATCHDOG_SECONDS = 10.0


def next_wake(at: datetime) -> datetime:
    """Return the instant by which a system that wakes for daily bars gives its next sign."""
    calendar = new_york()
    session = calendar.session_of(at)
    if calendar.close_at(session) <= at:
        session = calendar.offset(session, 1)
    return calendar.close_at(session) + AFTER_CLOSE


def next_stream(at: datetime) -> datetime:
    """Return the instant by which a system of minute bars streams again, once a session ended."""
    return new_york().next_open(at) + AFTER_OPEN


class Pulse:
    """Gives the signs of one run."""

    def __init__(
        self,
        journal: Journal,
        run: str,
        stage: Stage,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        ping: Ping | None = None,
    ) -> None:
        self._journal, self._run, self._stage = journal, run, stage
        self._clock, self._monotonic, self._ping = clock, monotonic, ping
        self._beaten: float | None = None
        self._fed: float | None = None

    def beat(self, doing: str, due: datetime | None) -> None:
        """Give a sign: what was done, and by when the next one comes (None: none is to come)."""
        self._journal.append(self._run, Heartbeat(self._clock(), self._stage, due, doing))
        if self._ping is not None:
            self._ping.send(self._run, due)

    def tick(self) -> None:
        """Be called as often as one likes while a stream runs; gives a sign once a minute."""
        now = self._monotonic()
        if self._fed is None or now - self._fed >= WATCHDOG_SECONDS:
            notify("READY=1" if self._fed is None else "WATCHDOG=1")
            self._fed = now
        if self._beaten is None or now - self._beaten >= BEAT_SECONDS:
            self._beaten = now
            self.beat("streams", self._clock() + MISSED)
