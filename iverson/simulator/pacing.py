# SPDX-License-Identifier: GPL-3.0-or-later
"""Pace: what makes time move. In lock step a command does, otherwise the wall clock.

Lock step: the clock stands until it is told to move by one bar, through the handle or by
`POST /_sim/step`. With `when_consumed` nobody has to say so: from the first count that a client
tells (0 will do) the next bar comes whenever everything sent was dealt with. Either way weeks of
minutes pass as fast as the slower of the two can work, and the same run is the same to the last
event. Otherwise simulated time runs at a multiple of real time, 1 being real time, and the client
has to keep up.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from iverson.errors import ConfigError
from iverson.simulator.venue import Venue

PATIENCE = 0.25


@dataclass(frozen=True, slots=True)
class Pace:
    """How time moves: in lock step (`speed` None), or at so many times real time."""

    speed: float | None = None
    when_consumed: bool = False

    def __post_init__(self) -> None:
        if self.speed is not None and not 0 < self.speed <= 1_000_000:
            raise ConfigError(
                f"the pace is {self.speed:g} times real time; expected more than 0 and at most a "
                "million, or lock step"
            )
        if self.speed is not None and self.when_consumed:
            raise ConfigError("a pace by the wall clock does not wait for the client; choose one")

    @classmethod
    def lock_step(cls, *, when_consumed: bool = False) -> Pace:
        """Move when told to, or when the client has consumed everything."""
        return cls(None, when_consumed)

    @classmethod
    def times(cls, speed: float) -> Pace:
        """Move at so many times real time; 1 is real time."""
        return cls(speed)

    @property
    def waits(self) -> bool:
        """Whether time stands until it is told to move."""
        return self.speed is None and not self.when_consumed

    def __str__(self) -> str:
        if self.speed is None:
            return "lock step, as consumed" if self.when_consumed else "lock step"
        return "real time" if self.speed == 1 else f"{self.speed:g} x real time"


async def run(venue: Venue, pace: Pace) -> None:
    """Move a venue's clock as the pace says until its history or the server ends."""
    if pace.speed is not None:
        await _run_by_the_wall_clock(venue, pace.speed)
    elif pace.when_consumed:
        await _run_as_consumed(venue)


async def _run_as_consumed(venue: Venue) -> None:
    progress = venue.progress
    while not venue.closing.is_set():
        come = await venue.until(
            lambda: progress.reported and not progress.outstanding, seconds=PATIENCE
        )
        if come and not await venue.step():
            return


async def _run_by_the_wall_clock(venue: Venue, speed: float) -> None:
    loop = asyncio.get_running_loop()
    began, start = loop.time(), venue.exchange.now
    while not venue.closing.is_set():
        if venue.exchange.market.next_end(venue.exchange.now) is None:
            return
        now = start + timedelta(seconds=(loop.time() - began) * speed)
        at = venue.next_at()
        if at is not None and at <= now:
            await venue.advance(at)
            await asyncio.sleep(0)  # requests have their turn, however far behind the clock is
        else:
            await venue.advance(max(now, venue.exchange.now))
            wait = PATIENCE if at is None else (at - now).total_seconds() / speed
            await _sleep(venue, min(wait, PATIENCE))


async def _sleep(venue: Venue, seconds: float) -> None:
    try:
        await asyncio.wait_for(venue.closing.wait(), timeout=seconds)
    except TimeoutError:
        return
