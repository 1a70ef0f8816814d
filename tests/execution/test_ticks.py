# SPDX-License-Identifier: GPL-3.0-or-later
"""The price grid: cents from a dollar up, hundredths of a cent below."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.execution.ticks import round_down, round_up, tick_size

prices = st.floats(0.001, 10_000.0, allow_nan=False)


@pytest.mark.parametrize(
    ("price", "tick"), [(0.9999, 0.0001), (1.0, 0.01), (1.01, 0.01), (0.0001, 0.0001), (500, 0.01)]
)
def test_tick_is_a_cent_from_one_dollar_up(price: float, tick: float) -> None:
    assert tick_size(price) == tick


@pytest.mark.parametrize(
    ("price", "down", "up"),
    [
        (100.001, 100.0, 100.01),
        (100.009, 100.0, 100.01),
        (100.0, 100.0, 100.0),
        (0.1 + 0.2, 0.3, 0.3),  # 0.30000000000000004 is on the grid
        (1.005, 1.0, 1.01),
        (0.99995, 0.9999, 1.0),
        (0.12345, 0.1234, 0.1235),
        (33.33 * 3, 99.99, 99.99),
    ],
)
def test_rounding_goes_the_stated_way(price: float, down: float, up: float) -> None:
    assert (round_down(price), round_up(price)) == (down, up)


@given(prices)
def test_rounding_stays_within_a_tick_and_is_done_once(price: float) -> None:
    down, up = round_down(price), round_up(price)

    slack = 2e-6 * tick_size(price)
    assert price - tick_size(price) <= down <= price + slack
    assert price - slack <= up <= price + tick_size(price) + slack
    assert (round_down(down), round_up(up)) == (down, up)
    assert (round_up(down), round_down(up)) == (down, up)
