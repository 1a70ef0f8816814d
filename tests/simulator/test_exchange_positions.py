# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.simulator.positions import Holding

CENT = Decimal("0.01")


def holding(*days: str) -> Holding:
    """Days in words: "100@10 50@12 -120"; a sale's price does not matter to the cost."""
    found = Holding()
    for number, day in enumerate(days):
        if number:
            found.end_day()
        for word in day.split():
            qty, _, price = word.partition("@")
            found.trade(Decimal(qty), Decimal(price or 1))
    return found


# The three examples of Alpaca's page Position Average Entry Price Calculation.
BEFORE = ("100@10 50@12", "30@15", "-120")


def test_intraday_a_sale_takes_its_share_of_the_average() -> None:
    found = holding(*BEFORE)

    assert found.cost.quantize(CENT) == Decimal("683.33")
    assert found.average.quantize(CENT) == Decimal("11.39")


def test_overnight_sales_take_the_oldest_days_first() -> None:
    found = holding(*BEFORE, "")

    assert found.cost == 770
    assert found.average.quantize(CENT) == Decimal("12.83")


def test_purchases_of_one_day_are_one_lot_whenever_the_sale_was() -> None:
    found = holding("100@10 50@9 -50 50@11", "")

    assert (found.cost, found.average) == (1500, 10)


def test_a_flat_position_begins_anew() -> None:
    found = holding("100@10", "-100 20@15", "")

    assert (found.qty, found.cost, found.average) == (20, 300, 15)


def test_short_positions_have_their_signs_turned() -> None:
    found = holding("-100@10 -50@12", "-30@15", "120@1", "")

    assert (found.qty, found.cost) == (-60, -770)


def test_no_trade_crosses_zero() -> None:
    with pytest.raises(AssertionError, match="cross zero"):
        holding("100@10 -150")


@pytest.mark.parametrize(
    ("new", "old", "given_up", "qty"),
    [(10, 1, 0, 1500), (1, 10, 0, 15), (1, 4, Decimal("0.5"), 37)],
)
def test_splits_keep_the_cost_of_what_is_kept(
    new: int, old: int, given_up: Decimal, qty: int
) -> None:
    found = holding("100@10 50@12", "")
    cost = found.cost

    found.split(new, old, Decimal(given_up))

    kept = Decimal(qty) / (Decimal(150) * new / old)
    assert found.qty == qty
    assert abs(found.cost - cost * kept) < Decimal("1e-15")


trades = st.lists(
    st.tuples(st.integers(-200, 200), st.integers(1, 100), st.booleans()), max_size=40
)


@given(trades)
def test_cost_is_zero_when_flat_and_within_the_prices_paid_else(
    flow: list[tuple[int, int, bool]],
) -> None:
    found = Holding()
    paid: list[int] = []
    for size, price, night in flow:
        qty = size
        if found.qty * qty < 0:
            qty = (
                int(max(min(qty, -found.qty), -found.qty)) if qty < 0 else int(min(qty, -found.qty))
            )
        if qty:
            paid = [price] if not found.qty else [*paid, price]
            found.trade(Decimal(qty), Decimal(price))
        if night:
            found.end_day()

        if not found.qty:
            assert found.cost == 0
            assert found.lots == []
        else:
            slack = Decimal("1e-9")
            assert min(paid) - slack <= found.average <= max(paid) + slack
            assert found.cost * found.qty > 0
