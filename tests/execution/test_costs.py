# SPDX-License-Identifier: GPL-3.0-or-later
"""Costs against fees worked out by hand."""

from __future__ import annotations

import math

import pytest

from iverson.errors import ConfigError
from iverson.execution.costs import Costs
from iverson.testing import bars, run_orders


def test_a_buy_pays_the_audit_trail_only() -> None:
    """1,000 x $0.000003."""
    assert Costs().commission("buy", 1_000, 50.0) == pytest.approx(0.003)


def test_a_sale_pays_all_regulatory_fees() -> None:
    """$50,000 x 20.60 / 1,000,000 = 1.03; 1,000 x 0.000195 = 0.195; 1,000 x 0.000003 = 0.003."""
    assert Costs().commission("sell", 1_000, 50.0) == pytest.approx(1.03 + 0.195 + 0.003)


def test_the_activity_fee_is_capped() -> None:
    """100,000 x 0.000195 = 19.50, capped at 9.79; sec 2.06 on $100,000; audit trail 0.30."""
    assert Costs().commission("sell", 100_000, 1.0) == pytest.approx(9.79 + 2.06 + 0.30)


@pytest.mark.parametrize(("size", "fee"), [(10, 1.0), (199, 1.0), (200, 1.0), (300, 1.5)])
def test_the_minimum_commission_holds_for_small_orders(size: int, fee: float) -> None:
    """Half a cent a share, at least a dollar."""
    costs = Costs(0, commission_per_share=0.005, minimum_commission=1.0, sec_fee=0,
                  taf_per_share=0, cat_per_share=0)  # fmt: skip

    assert costs.commission("buy", size, 20.0) == pytest.approx(fee)


@pytest.mark.parametrize(
    ("price", "half"),
    [
        (200.0, 0.02),  # 200 x 2 / 2 / 10,000
        (50.0, 0.005),  # 0.005: the spread and half a tick alike
        (10.0, 0.005),  # 0.001 is less than half a tick
        (0.5, 0.00005),  # 0.00005: half a tick below a dollar
    ],
)
def test_half_the_spread_is_at_least_half_a_tick(price: float, half: float) -> None:
    assert Costs(spread_bps=2.0).half_spread(price) == pytest.approx(half)


@pytest.mark.parametrize("price", [200.0, 50.0, 10.0, 0.5])
def test_scaled_costs_scale_the_least_spread_too(price: float) -> None:
    costs = Costs()
    for times in (0, 2, 3):
        assert costs.scaled(times).half_spread(price) == times * costs.half_spread(price)


def test_no_costs_are_none() -> None:
    none = Costs.none()

    assert none.free
    assert not Costs().free
    assert (none.half_spread(100), none.commission("sell", 1_000, 100)) == (0, 0)


def test_costs_scale_as_a_whole() -> None:
    assert Costs().scaled(2).commission("sell", 10, 50) == pytest.approx(
        2 * Costs().commission("sell", 10, 50)
    )
    assert Costs().scaled(0).free


@pytest.mark.parametrize("wrong", [-0.01, math.nan, math.inf])
def test_a_cost_below_zero_is_refused(wrong: float) -> None:
    with pytest.raises(ConfigError, match="spread_bps"):
        Costs(spread_bps=wrong)


def test_a_round_trip_costs_what_the_formula_says() -> None:
    """In at 200 + 0.02, out at 200 - 0.02, fees of both fills, ten shares."""
    size, price, half = 10, 200.0, 0.02
    fees = size * 3e-6 * 2 + (price - half) * size * 20.60e-6 + size * 0.000195

    record = run_orders(
        bars("200 200 200"), {1: lambda s: s.buy(size=size), 2: lambda s: s.close()}, costs=Costs()
    )

    (trade,) = record.trades
    assert trade.commission == pytest.approx(fees)
    assert trade.spread == pytest.approx(2 * size * half)
    assert trade.pnl == pytest.approx(-2 * size * half - fees)
    assert record.equity[-1].equity == pytest.approx(100_000 + trade.pnl)
