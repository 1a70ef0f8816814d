# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests stay below the rate, waits are bounded, advice is followed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.market.alpaca.patience import BURST, PER_MINUTE, Backoff, TokenBucket, advice

ALLOWED = {"free": 200, "paid": 10_000}  # Alpaca, "About market data API"
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Clock:
    """Seconds that pass only by sleeping, or by work."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.at += seconds


@given(
    plan=st.sampled_from(["free", "paid"]),
    work=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=20),
)
def test_no_minute_has_more_requests_than_the_plan_allows(plan: str, work: list[float]) -> None:
    clock = Clock()
    bucket = TokenBucket(PER_MINUTE[plan], now=clock.now, sleep=clock.sleep)
    times = []
    while clock.at < 1000.0 + 90.0 and len(times) < 600:
        bucket.take()
        times.append(clock.at)
        clock.at += work[len(times) % len(work)] * 0.01

    busiest = max(sum(at <= one < at + 60.0 for one in times) for at in times[::20])
    assert busiest <= PER_MINUTE[plan] + BURST < ALLOWED[plan]


def test_a_pause_is_made_up_for_by_a_burst_only() -> None:
    clock = Clock()
    bucket = TokenBucket(60.0, burst=3.0, now=clock.now, sleep=clock.sleep)
    clock.at += 3600.0

    start = clock.at
    for _ in range(5):
        bucket.take()

    assert clock.at - start == pytest.approx(2.0)


def test_waits_double_up_to_the_longest_with_jitter_from_the_seed() -> None:
    waits = [Backoff(seed=7).wait(attempt) for attempt in (1, 2, 3, 9)]

    for wait, whole in zip(waits, (1.0, 2.0, 4.0, 30.0), strict=True):
        assert whole / 2 <= wait <= whole
    assert waits == [Backoff(seed=7).wait(attempt) for attempt in (1, 2, 3, 9)]
    assert waits != [Backoff(seed=8).wait(attempt) for attempt in (1, 2, 3, 9)]


@pytest.mark.parametrize(("advised", "least"), [(5.0, 5.0), (-3.0, 0.0), (1e9, 90.0)])
def test_advice_is_followed_within_reason(advised: float, least: float) -> None:
    assert least <= Backoff().wait(1, advised) <= least + 1.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Sat, 28 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"X-RateLimit-Reset": str(int(NOON.timestamp()) + 12)}, 12.0),
        ({"X-RateLimit-Reset": "later"}, None),
        ({"Retry-After": "7", "X-RateLimit-Reset": "0"}, 7.0),
    ],
)
def test_headers_say_how_long(headers: dict[str, str], seconds: float | None) -> None:
    assert advice(headers, NOON) == seconds
