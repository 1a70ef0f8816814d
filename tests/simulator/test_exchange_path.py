# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.simulator.market import Bar
from iverson.simulator.path import Path, on_grid, trailing_stop
from tests.simulator.exchange_kit import MONDAY, bars, clock

START, END = clock("09:30"), clock("09:31")
THIRD = timedelta(seconds=20)


def path(words: str, *, high_first: bool = True) -> Path:
    return Path(bars(words)[0], high_first=high_first)


@pytest.mark.parametrize(
    ("high_first", "prices"),
    [(True, ["100", "110", "90", "105"]), (False, ["100", "90", "110", "105"])],
)
def test_path_goes_from_open_over_both_extremes_to_close(
    high_first: bool, prices: list[str]
) -> None:
    way = path("100 110 90 105", high_first=high_first)

    assert [way.price_at(START + k * THIRD) for k in range(4)] == [Decimal(p) for p in prices]


def test_path_is_straight_between_its_corners() -> None:
    way = path("100 110 90 105")

    assert way.price_at(START + THIRD / 2) == Decimal(105)
    assert way.price_at(START + THIRD * 3 / 2) == Decimal(100)


@pytest.mark.parametrize(
    ("level", "rising", "seconds", "price"),
    [
        (105, True, 10, 105),  # half of the first third
        (95, False, 35, 95),  # three quarters of the second
        (99, True, 0, 100),  # passed before it is seen: the price that is there
        (110, True, 20, 110),
        (90, False, 40, 90),
        (111, True, None, None),
        (89, False, None, None),
    ],
)
def test_level_is_reached_at_its_instant(
    level: int, rising: bool, seconds: int | None, price: int | None
) -> None:
    reached = path("100 110 90 105").reach(Decimal(level), START, rising=rising)

    if seconds is None:
        assert reached is None
    else:
        assert reached == (START + timedelta(seconds=seconds), Decimal(price or 0))


def test_level_that_was_left_again_is_not_reached_later() -> None:
    way = path("100 110 90 105")

    assert way.reach(Decimal(108), START + 2 * THIRD, rising=True) is None


def test_trailing_stop_follows_the_high_and_is_reached_on_the_way_down() -> None:
    mark, reached = path("100 110 90 105").trail(
        START, END, mark=Decimal(100), dollars=Decimal(5), fraction=None, selling=True
    )

    assert mark == 110
    assert reached == (START + timedelta(seconds=25), Decimal(105))


def test_trailing_stop_that_is_not_reached_keeps_the_best_mark() -> None:
    mark, reached = path("100 110 90 105").trail(
        START, START + THIRD, mark=Decimal(100), dollars=None, fraction=Decimal("0.1"), selling=True
    )

    assert (mark, reached) == (Decimal(110), None)


def test_trailing_stop_of_a_purchase_lies_above_the_lowest_price() -> None:
    mark, reached = path("100 110 90 105", high_first=False).trail(
        START, END, mark=Decimal(100), dollars=Decimal(4), fraction=None, selling=False
    )

    assert mark == 90
    assert reached == (START + timedelta(seconds=24), Decimal(94))


def test_percent_trail_is_on_the_grid() -> None:
    stop = trailing_stop(Decimal("33.33"), dollars=None, fraction=Decimal("0.015"), selling=True)

    assert stop == Decimal("32.8300")  # 33.33 × 0.985 = 32.83005, half to even on 0.0001


prices = st.integers(100, 100_000).map(lambda ticks: ticks / 100)


@given(st.tuples(prices, prices, prices, prices), prices, st.booleans(), st.integers(0, 60))
def test_reached_levels_agree_with_the_prices_there(
    four: tuple[float, float, float, float], level: float, rising: bool, seconds: int
) -> None:
    opened, closed = four[:2]
    bar = Bar("AAA", START, END, MONDAY, opened, max(four), min(four), closed, 1.0)
    way = Path(bar, high_first=rising)
    after = START + timedelta(seconds=seconds)

    reached = way.reach(on_grid(level), after, rising=rising)

    samples = [after + k * (END - after) / 50 for k in range(51)]
    beyond = [
        at for at in samples if (way.price_at(at) - on_grid(level)) * (1 if rising else -1) > 0
    ]
    if reached is None:
        assert beyond == []
    else:
        assert after <= reached.at <= END
        # A microsecond of rounding, never a price that was not there.
        assert abs(way.price_at(reached.at) - reached.price) <= Decimal("0.01")
        assert all(at >= reached.at - timedelta(microseconds=1) for at in beyond)


@given(st.tuples(prices, prices, prices, prices), prices, st.booleans(), st.integers(0, 59_999_999))
def test_looking_in_between_moves_no_instant(
    four: tuple[float, float, float, float], level: float, rising: bool, microseconds: int
) -> None:
    opened, closed = four[:2]
    bar = Bar("AAA", START, END, MONDAY, opened, max(four), min(four), closed, 1.0)
    way = Path(bar, high_first=rising)
    look = START + timedelta(microseconds=microseconds)

    whole = way.reach(on_grid(level), START, rising=rising)

    if whole is not None and whole.at > look:
        assert way.reach(on_grid(level), look, rising=rising) == whole
