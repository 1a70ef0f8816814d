# SPDX-License-Identifier: GPL-3.0-or-later
"""An order of a finished trade is looked at until it has ended: again, but not at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from iverson.execution.alpaca.sweeping import LATEST, SOON, Sweeping
from iverson.execution.alpaca.worker import Inline

NOW = datetime(2024, 1, 3, 15, 0, tzinfo=UTC)
SHARES = 10.0


@dataclass
class LaggingVenue:
    """Shows an order alive for so many more readings, then ended with what had filled."""

    alive: int
    filled: float = 0.0
    meaning: str = "working"
    answers: bool = True
    looks: list[datetime] = field(default_factory=list)
    canceled: int = 0
    clock: Callable[[], datetime] = lambda: NOW

    def order(self, _: str) -> Any:
        self.looks.append(self.clock())
        self.alive -= 1
        return SimpleNamespace(
            alive=self.alive >= 0, meaning=self.meaning, filled=self.filled, symbol="TEST"
        )

    def cancel(self, _: str) -> None:
        self.canceled += 1


class Broker:
    """Keeps why it was halted."""

    def __init__(self) -> None:
        self.halts: list[tuple[str, str]] = []

    def halt(self, rule: str, reason: str) -> None:
        self.halts.append((rule, reason))


@dataclass
class Run:
    """A sweep on a venue, with its clock."""

    venue: LaggingVenue
    now: datetime = NOW
    broker: Any = field(default_factory=Broker)

    def __post_init__(self) -> None:
        self.venue.clock = lambda: self.now
        self.worker = Inline()
        patient: Any = SimpleNamespace(
            unless_away=lambda job: job() if self.venue.answers else None
        )
        venue: Any = self.venue
        self.sweeping = Sweeping(venue, self.worker, patient, lambda: self.now)
        tracked: Any = SimpleNamespace(id="one", filled=0.0)
        self.sweeping.sweep(self.broker, tracked)
        self.worker.drain()

    def pass_seconds(self, seconds: int) -> None:
        """Step once a second."""
        for _ in range(seconds):
            self.now += timedelta(seconds=1)
            self.sweeping.step()
            self.worker.drain()


def test_order_that_has_ended_is_looked_at_once() -> None:
    run = Run(LaggingVenue(alive=0))

    assert (len(run.venue.looks), run.venue.canceled) == (1, 0)
    assert not run.sweeping.waits


def test_order_that_seems_to_live_is_looked_at_again_only_once_time_has_passed() -> None:
    run = Run(LaggingVenue(alive=1_000))
    at_once = len(run.venue.looks)
    run.pass_seconds(600)

    assert at_once == 2  # before and after its cancel
    rounds = sorted(set(run.venue.looks))
    waits = [after - before for before, after in itertools.pairwise(rounds)]
    assert waits[:4] == [SOON, 2 * SOON, 4 * SOON, 8 * SOON]
    assert max(waits) == LATEST
    assert run.sweeping.waits
    assert run.broker.halts == []


@pytest.mark.parametrize("alive", [1, 2, 3, 4, 5])
def test_it_ends_when_the_venue_shows_the_end(alive: int) -> None:
    run = Run(LaggingVenue(alive=alive))
    run.pass_seconds(60)
    looks = len(run.venue.looks)
    run.pass_seconds(600)

    assert not run.sweeping.waits
    assert len(run.venue.looks) == looks


def test_venue_that_does_not_answer_is_asked_later() -> None:
    run = Run(LaggingVenue(alive=0, answers=False))
    assert run.sweeping.waits

    run.venue.answers = True
    run.pass_seconds(2)

    assert not run.sweeping.waits
    assert len(run.venue.looks) == 1


def test_shares_that_filled_meanwhile_halt_the_run() -> None:
    run = Run(LaggingVenue(alive=2, filled=SHARES))
    run.pass_seconds(10)

    assert run.broker.halts == [
        ("out of sync", "TEST: an exit filled after its position was closed")
    ]
