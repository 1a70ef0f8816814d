# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stream costs while nothing happens: hardly any CPU, hardly any request."""

from __future__ import annotations

from tests.stages.measure import measure

SECONDS = 5.0
CPU_PERCENT = 5.0  # of a core
REQUESTS = 2  # in those seconds


def test_stream_at_rest_takes_no_core_and_asks_next_to_nothing() -> None:
    """CPU time of its process, so that a busy machine does not change it."""
    found = measure(symbols=3, speed=1.0, seconds=SECONDS)

    assert found["seconds"] >= SECONDS
    assert found["cpu_percent"] < CPU_PERCENT
    assert found["calls_a_minute"] * found["seconds"] / 60 <= REQUESTS
