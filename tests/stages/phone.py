# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator beside a scene: the exchange of the rig, one journal, wakes, commands, a phone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from iverson.execution.alpaca.pace import Pace
from iverson.execution.alpaca.venue import Venue
from iverson.market.calendar import new_york
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.monitoring.telegram import Heard, Undelivered
from iverson.stages import operator
from iverson.stages.leaving import Flattened, flatten
from iverson.stages.listening import Listening
from iverson.stages.runs import begin
from iverson.stages.wake import Woke, wake
from tests.stages.play import RUN, covers
from tests.stages.rig import Breaking, Line, Street, journal_at, store_of
from tests.stages.scenes import Scene

USER, OTHER, STRANGER, CHAT = 7, 8, 666, 42
NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)  # of the phone's clock


class Place:
    """One account on the street, traded by wakes into one journal."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene, self.path = scene, folder / "iverson.db"
        start = scene.timeline()[0][0] - timedelta(minutes=2)
        self.street = Street(scene.series, at=start, faults=scene.faults, switches=scene.switches)
        self.alarms: list[tuple[str, str]] = []
        with Journal(self.path, durable=False) as first:
            begin(
                first, RUN, scene.setup(), scene.series, stage=Stage.REHEARSE, system="scene",
                at=self.street.now,
            )  # fmt: skip

    def steps(self) -> list[tuple[datetime, int]]:
        """Instants of the wakes, each with the number of its newest bar."""
        return [(at, what) for at, what in self.scene.timeline() if isinstance(what, int)]

    def wake(self, number: int, at: datetime | None = None, *, breaking: Any = None) -> Woke:
        """Wake on a bar, at an instant."""
        if at is not None and at > self.street.now:
            self.street.advance_to(at)
        with journal_at(self.path, breaking or Breaking()) as journal:
            return wake(
                self.scene.setup(), self.scene.prepared(number),
                session=self.scene.sessions[number],
                store=store_of(self.street, breaking or Breaking(), self.alarms), journal=journal,
                run=RUN,
            )  # fmt: skip

    def wake_until(self, number: int) -> None:
        """Wake as the timetable says, up to the wake after the close of a bar."""
        for at, newest in self.steps():
            if at > self.street.now:
                self.wake(newest, at)
            if newest == number:
                break

    def noon(self) -> None:
        """Let time pass until noon of the next session."""
        opening = new_york().next_open(self.street.now)
        self.street.advance_to(opening + timedelta(hours=2))

    @property
    def venue(self) -> Venue:
        """The account, as an operator's process reaches it."""
        pace = Pace(time.monotonic, self.street.pause, limited=False)
        return Venue(
            Line(self.street, Breaking()), pace, lambda: self.street.now, self.street.pause
        )

    def halt(self, reason: str = "") -> operator.Halted:
        """Halt the run."""
        with Journal(self.path, durable=False) as journal:
            return operator.halt(
                journal, RUN, by="test", at=self.street.now, reason=reason, venue=self.venue,
                pause=self.street.pause,
            )  # fmt: skip

    def resume(self) -> operator.Resumed:
        """Resume the run."""
        with Journal(self.path, durable=False) as journal:
            return operator.resume(journal, RUN, by="test", at=self.street.now)

    def flatten(self) -> Flattened:
        """Have everything left."""
        with Journal(self.path, durable=False) as journal:
            return flatten(
                journal, RUN, by="test", at=self.street.now, venue=self.venue,
                pause=self.street.pause,
            )  # fmt: skip

    def noted(self, *kinds: Any) -> list[Any]:
        """Return the rows of some kinds."""
        with Journal(self.path, read_only=True) as journal:
            return journal.values(*kinds, run=RUN)

    def numbered(self, *kinds: Any) -> list[tuple[int, Any]]:
        """Return the same, with the numbers of their rows."""
        with Journal(self.path, read_only=True) as journal:
            return list(journal.each(*kinds, run=RUN))

    @property
    def held(self) -> dict[str, float]:
        """Signed shares by symbol, by the exchange."""
        exchange, account = self.street.exchange, self.street.account
        return {one.symbol: float(one.qty) for one in exchange.positions(account)}

    @property
    def covered(self) -> dict[str, tuple[float, float]]:
        """Shares held and covered by live stops."""
        return covers(self.street.witness)

    def working(self) -> list[tuple[str, str]]:
        """(symbol, kind) of the orders at work, legs included."""
        return [(one.symbol, one.kind) for one in self.venue.working()]


class Phone:
    """A channel by hand: what was said waits until it is confirmed; what was answered is kept."""

    def __init__(self) -> None:
        self.now = NOON
        self.waiting: list[Heard] = []
        self.answers: list[str] = []
        self.down: Undelivered | None = None
        self.asked: list[int] = []
        self._number = 100

    def say(self, text: str, *, user: int = USER, chat: int = CHAT, ago: float = 0.0) -> int:
        """Write to the bot, so many seconds ago."""
        self._number += 1
        at = self.now - timedelta(seconds=ago)
        self.waiting.append(Heard(self._number, chat, user, text, at))
        return self._number

    def send(self, html: str, *, silent: bool = False) -> int:
        """Take an answer."""
        if self.down is not None:
            raise self.down
        self.answers.append(html)
        return len(self.answers)

    def updates(self, after: int, *, wait_seconds: float) -> list[Heard]:
        """Give what was said after an update, and forget the rest."""
        self.asked.append(after)
        if self.down is not None:
            raise self.down
        self.waiting = [one for one in self.waiting if one.update > after]
        return list(self.waiting)


def listening(phone: Phone, place: Place, **options: Any) -> Listening:
    """Return a bot that listens to a phone for a place."""

    @contextmanager
    def reach() -> Iterator[Venue]:
        yield place.venue

    given: dict[str, Any] = dict(
        journal=place.path, run=RUN, users=(USER, OTHER), chat=CHAT, reach=reach,
        clock=lambda: phone.now, pause=place.street.pause, code=lambda: "123456",
    )  # fmt: skip
    return Listening(phone, **(given | options))
