# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests stay below the venue's limit, and a cancel finds room when reads have used up theirs."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.execution.alpaca.pace import SHARE, WINDOW_SECONDS, Pace, Priority

ALPACAS_LIMIT = 200


class Clock:
    """Seconds that pass only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def made(priorities: Iterable[Priority], gap: float = 0.0) -> list[float]:
    """When each request was let through, `gap` seconds after the one before at the earliest."""
    clock, times = Clock(), []
    pace = Pace(clock.monotonic, clock.pause)
    for priority in priorities:
        clock.now += gap
        pace.wait(priority)
        times.append(clock.now)
    return times


def most_in_a_minute(times: list[float]) -> int:
    return max(sum(start <= one < start + WINDOW_SECONDS for one in times) for start in times)


def test_requests_go_at_once_until_their_share_is_used_up() -> None:
    times = made([Priority.READ] * (SHARE[Priority.READ] + 1))

    assert times[:-1] == [0.0] * SHARE[Priority.READ]
    assert times[-1] == WINDOW_SECONDS


def test_cancel_goes_at_once_when_reads_have_to_wait() -> None:
    times = made([Priority.READ] * SHARE[Priority.READ] + [Priority.CANCEL] * 10)

    assert times[-1] == 0.0


@given(st.lists(st.sampled_from(list(Priority)), min_size=1, max_size=600))
def test_no_minute_has_more_requests_than_the_venue_allows(priorities: list[Priority]) -> None:
    times = made(priorities)

    assert most_in_a_minute(times) < ALPACAS_LIMIT
    assert times == sorted(times)


def test_slow_requests_never_wait() -> None:
    gap = WINDOW_SECONDS / 100  # a hundred a minute

    times = made([Priority.READ] * 500, gap=gap)

    assert times == pytest.approx([gap * number for number in range(1, 501)])
