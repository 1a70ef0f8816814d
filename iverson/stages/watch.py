# SPDX-License-Identifier: GPL-3.0-or-later
"""The dead-man switch's other end: tells when a run is late with its sign of life, once.

Run it on another machine than the robot. It takes signs from a journal that it can read there, or
from pings. What it has to tell stays with it until it is delivered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from iverson.errors import IversonError
from iverson.monitoring.events import Heartbeat
from iverson.monitoring.journal import Journal


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life of a run, and by when the next one is due (None: it has ended)."""

    run: str
    at: datetime
    due: datetime | None


@dataclass
class Watcher:
    """Keeps the last sign of each run; `tell` delivers a sentence and raises when it could not."""

    tell: Callable[[str], None]
    signs: dict[str, Sign] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    told: dict[str, datetime] = field(default_factory=dict)  # run -> the sign it is late after

    def seen(self, sign: Sign) -> None:
        """Take in a sign; an older one than the last is passed over."""
        last = self.signs.get(sign.run)
        if last is not None and sign.at <= last.at:
            return
        self.signs[sign.run] = sign
        if self.told.pop(sign.run, None) is not None:
            self.waiting.append(f"{sign.run} is back: a sign of life at {_at(sign.at)}.")

    def look(self, now: datetime) -> list[Sign]:
        """Return the runs that are late at an instant; what is new of it is told."""
        late = [one for one in self.signs.values() if one.due is not None and now > one.due]
        for one in late:
            if self.told.get(one.run) == one.at:
                continue
            self.told[one.run] = one.at
            assert one.due is not None
            self.waiting.append(
                f"Heartbeat lost: {one.run} was to give a sign by {_at(one.due)}, the last one "
                f"was at {_at(one.at)}. Its protective stops stand at the broker; look at the "
                "machine it runs on."
            )
        self._deliver()
        return late

    def _deliver(self) -> None:
        while self.waiting:
            try:
                self.tell(self.waiting[0])
            except IversonError:
                return  # the next look tries again
            self.waiting.pop(0)


def signs_of(journal: Path, *, after: int = 0) -> tuple[list[Sign], int]:
    """Return the last sign of each run of a journal beyond a row, and the last row read.

    Raises
    ------
    DataError, IversonError: it cannot be read.
    """
    with Journal(journal, read_only=True) as book:
        rows = list(book.each("heartbeat", after=after))
        runs = list(book.each_run_name("heartbeat", after=after))
    last: dict[str, Sign] = {}
    for (_, beat), run in zip(rows, runs, strict=False):  # one may have come between the two
        assert isinstance(beat, Heartbeat)
        last[run] = Sign(run, beat.at, beat.due)
    return list(last.values()), rows[-1][0] if rows else after


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
