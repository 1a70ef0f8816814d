# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that goes wrong while a run lasts: noticed at the next comparison, told, and halting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.execution.alpaca.live import Lived, live

BARS = "100 100 100 100 101 102 103 103"
JUMPS_AT, BUYS_AT = 4, 6  # bars


class Jumping:
    """The clock of this machine: the venue's, until it jumps."""

    def __init__(self) -> None:
        self.venue: Callable[[], datetime] | None = None
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        assert self.venue is not None
        return self.venue() + self.ahead


def lived_with(seconds: float, *, back_after: int | None = None) -> Lived:
    """Run with a clock that jumps at one bar, and perhaps back some bars later."""
    clock = Jumping()

    def jump(by: float) -> Callable[[Any], None]:
        def act(_: Any) -> None:
            clock.ahead = timedelta(seconds=by)

        return act

    def begin(street: Any) -> None:
        clock.venue = lambda: street.now

    plan: dict[int, Any] = {JUMPS_AT: jump(seconds), BUYS_AT: lambda s: s.buy(size=10)}
    if back_after is not None:
        plan[JUMPS_AT + back_after] = jump(0.0)
    return live(BARS, plan, before=begin, clock=clock)


@pytest.mark.parametrize(("seconds", "way"), [(31, "ahead of"), (-31, "behind")])
def test_clock_that_jumps_during_a_run_halts_entries(seconds: float, way: str) -> None:
    lived = lived_with(seconds)

    assert {rule for rule, _ in lived.alarms} == {"clock"}
    assert f"31 seconds {way} Alpaca's" in lived.alarms[0][1]
    assert lived.breaking.calls.count("POST orders") == 0  # the buy two bars later


def test_clock_that_is_a_little_off_is_told_once_and_trading_goes_on() -> None:
    lived = lived_with(-5)

    assert [rule for rule, _ in lived.alarms] == ["clock"]
    assert lived.held() == {"TEST": "10"}


def test_clock_that_is_right_is_not_mentioned() -> None:
    assert lived_with(1.5).alarms == []


def test_clock_is_compared_at_every_poll_and_not_more_often() -> None:
    often, never = live(BARS, {}), live(BARS, {}, poll_seconds=1e9)

    assert never.breaking.calls.count("GET clock") == 0
    assert often.breaking.calls.count("GET clock") >= len(BARS.split())
