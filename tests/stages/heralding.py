# SPDX-License-Identifier: GPL-3.0-or-later
"""A herald that can be killed anywhere: at numbered points, or as a process of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from iverson.market.calendar import utc_now
from iverson.monitoring.channel import Undelivered
from iverson.monitoring.journal import Journal
from iverson.monitoring.message import plain
from iverson.monitoring.outbox import Outbox
from iverson.stages import herald as module
from iverson.stages.herald import Herald
from tests.monitoring.rows import RUN, later


class SimulatedCrash(BaseException):
    """The process ends here; nobody may catch it."""


class Breaking:
    """Numbers the points at which a process can end, and ends it at one; counts from 1."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.points: list[str] = []

    def point(self, name: str) -> None:
        self.points.append(name)
        if len(self.points) == self.at:
            raise SimulatedCrash(name)


class BreakableOutbox(Outbox):
    """An outbox with points before and after each write, and one within it."""

    breaking = Breaking()

    @contextmanager
    def _written(self, what: str) -> Iterator[Any]:
        self.breaking.point(f"before {what}")
        with super()._written(what) as execute:
            yield execute
            self.breaking.point(f"within {what}")
        self.breaking.point(f"after {what}")


class Remembering:
    """A channel that keeps what it took; `faults` come first, one for each message."""

    def __init__(self, breaking: Breaking | None = None) -> None:
        self.took: list[str] = []
        self.silent: list[bool] = []
        self.pictures: list[bytes] = []
        self.faults: list[Undelivered] = []
        self.breaking = breaking or Breaking()
        self.closed = False

    def send(self, html: str, *, silent: bool = False) -> int:
        self.breaking.point("before the request")
        if self.faults:
            raise self.faults.pop(0)
        self.took.append(plain(html))
        self.silent.append(silent)
        self.breaking.point("after the request")
        return len(self.took)

    def photo(self, png: bytes, *, caption: str = "", silent: bool = False) -> int:
        self.pictures.append(png)
        return self.send(caption, silent=silent)

    def close(self) -> None:
        self.closed = True


class Clock:
    """The time, which stands still unless it is moved."""

    def __init__(self) -> None:
        self.at = later(300)

    def __call__(self) -> datetime:
        return self.at


def write(path: Path, *values: Any) -> None:
    with Journal(path, durable=False) as journal:
        journal.append_many(RUN, values)


@contextmanager
def herald_on(
    path: Path, channel: Any, *, breaking: Breaking | None = None, **options: Any
) -> Iterator[Herald]:
    """A herald whose process may end inside; then nothing is tidied up but its file handles."""
    BreakableOutbox.breaking = breaking or Breaking()
    usual, module.Outbox = module.Outbox, BreakableOutbox  # type: ignore[misc]  # put back below
    made = None
    try:
        made = Herald(path, channel=channel, **({"clock": Clock()} | options))
        yield made
    finally:
        module.Outbox = usual  # type: ignore[misc]  # as it was
        if made is not None:
            made.stop()
            made.outbox.close()


def deliver(
    path: str, bot: tuple[str, str, int], ready: Any, *, seconds: float, ahead: float
) -> None:
    """Tell what waits, for some seconds; the body of a child process that may be killed.

    `bot` is its address, token and chat; the clock is `ahead` by some seconds, because messages
    that come close upon each other are gathered. `ready` is set when it begins.
    """
    from iverson.monitoring.telegram import Telegram

    url, token, chat = bot
    telegram = Telegram(token, chat=chat, url=url, timeout_seconds=5, pace_seconds=0)
    herald = Herald(
        Path(path), channel=telegram, clock=lambda: utc_now() + timedelta(seconds=ahead)
    )
    ready.set()
    herald.start(0.01)
    try:
        herald._stopping.wait(seconds)
    finally:
        herald.close(seconds)


def named(texts: Iterable[str], words: str) -> list[str]:
    return [text for text in texts if words in text]
