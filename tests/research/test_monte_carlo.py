# SPDX-License-Identifier: GPL-3.0-or-later
"""Trade orders counted out in full, and cost curves whose line is known."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from iverson.errors import ConfigError, DataError
from iverson.research.overfitting import cost_curve, trade_order

CASH = 1000.0
PNL = np.array([300.0, -200.0, -100.0, 50.0])


def drawdown(pnl):
    """Walk through the account, trade by trade."""
    equity = peak = CASH
    deepest = 0.0
    for one in pnl:
        equity += one
        peak = max(peak, equity)
        deepest = min(deepest, equity / peak - 1.0)
    return deepest


def test_the_drawdowns_are_those_of_all_orders():
    every = np.array([drawdown(order) for order in permutations(PNL)])
    draws = 4000

    found = trade_order(PNL, CASH, seed=1, draws=draws)

    assert found.actual == pytest.approx(drawdown(PNL))
    assert set(np.round(found.drawdowns, 12)) == set(np.round(every, 12))
    for limit in (-0.1, -0.2, -0.25):
        share = np.mean(every <= limit)
        error = math.sqrt(share * (1 - share) / draws)
        assert found.beyond(limit) == pytest.approx(share, abs=4 * error + 1e-12)
    assert found.shallower == pytest.approx(np.mean(every > drawdown(PNL) + 1e-9), abs=0.03)


def test_drawing_with_replacement_can_lose_more_than_any_order():
    worst = min(drawdown(order) for order in permutations(PNL))

    found = trade_order(PNL, CASH, seed=1, replace=True)

    assert found.quantile(0.0) < worst
    assert found.quantile(0.0) == pytest.approx(-0.8)  # the loss of 200, four times


def test_the_luckiest_order_is_seen_as_lucky():
    rng = np.random.default_rng(1)
    gains, losses = list(rng.uniform(40, 60, 50)), list(-rng.uniform(20, 40, 50))
    lucky, below_peak = [], 0.0
    while gains or losses:  # a loss only at a new peak, as long as there are gains to climb back
        next_one = (losses if losses and (below_peak >= 0 or not gains) else gains).pop(0)
        below_peak = min(0.0, below_peak + next_one)
        lucky.append(next_one)

    assert trade_order(np.array(lucky), CASH, seed=1).shallower < 0.01
    assert trade_order(np.sort(lucky), CASH, seed=1).shallower > 0.99


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(-20.0, 20.0)), st.integers(0, 99))
def test_drawdowns_are_no_deeper_than_all_losses_together(pnl, seed):
    found = trade_order(pnl, CASH, seed=seed, draws=100)

    lost = -np.minimum(pnl, 0.0).sum() / CASH
    assert ((found.drawdowns <= 0.0) & (found.drawdowns >= -lost - 1e-12)).all()
    assert 0.0 <= found.shallower <= 1.0


def test_orders_repeat_with_their_seed():
    one, again, other = (trade_order(PNL, CASH, seed=seed) for seed in (1, 1, 2))

    assert list(one.drawdowns) == list(again.drawdowns)
    assert list(one.drawdowns) != list(other.drawdowns)
    assert "in other orders" in str(one)


def test_the_cost_curve_is_the_line_from_gross_to_break_even():
    costs = np.array([10.0, 5.0, 5.0, 5.0])
    gross = PNL.sum() + costs.sum()

    found = cost_curve(PNL, costs, seed=1, multiples=(0, 1, 2, gross / costs.sum()))

    assert [point.pnl for point in found.points] == pytest.approx([75.0, 50.0, 25.0, 0.0])
    assert found.break_even == pytest.approx(3.0)
    losses = [point.loss for point in found.points]
    assert losses == sorted(losses)
    assert all(point.low <= point.pnl <= point.high for point in found.points)


def test_the_interval_of_the_pnl_has_the_width_of_theory():
    rng = np.random.default_rng(2)
    pnl = rng.normal(1.0, 20.0, 400)
    theory = 2 * 1.96 * pnl.std() * math.sqrt(pnl.size)

    now = cost_curve(pnl, np.full(400, 0.5), seed=1, draws=4000).points[2]

    assert now.multiple == 1.0
    assert now.high - now.low == pytest.approx(theory, rel=0.1)
    assert now.loss == pytest.approx(
        0.5 * math.erfc(pnl.sum() / pnl.std() / math.sqrt(800)), abs=0.03
    )


def test_equal_trades_have_a_certain_break_even():
    found = cost_curve(np.full(50, 3.0), np.full(50, 2.0), seed=1)

    assert found.break_even == pytest.approx(2.5)
    assert tuple(found.break_even_interval) == pytest.approx((2.5, 2.5))
    assert "nothing is left at 2.50 times the costs" in str(found)


@pytest.mark.parametrize(("pnl", "break_even"), [(3.0, math.inf), (-3.0, -math.inf)])
def test_without_costs_no_multiple_matters(pnl, break_even):
    assert cost_curve(np.full(5, pnl), np.zeros(5), seed=1).break_even == break_even


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: trade_order(np.empty(0), CASH, seed=1), ConfigError, "at least 1"),
        (lambda: trade_order(PNL, 0.0, seed=1), ConfigError, "cash=0.0 is no start"),
        (lambda: trade_order(PNL, CASH, seed=1, draws=5), ConfigError, "draws=5"),
        (lambda: trade_order([1.0, math.nan], CASH, seed=1), DataError, "pnl of trade 1 is not"),
        (lambda: cost_curve(PNL, [1.0], seed=1), ConfigError, "4 trades but 1 costs"),
        (lambda: cost_curve(PNL, -abs(PNL), seed=1), DataError, "trade 0 has negative costs"),
        (lambda: cost_curve(PNL, abs(PNL), seed=1, multiples=[-1]), ConfigError, "of 0 or more"),
        (lambda: cost_curve(PNL, abs(PNL), seed=1, draws=1), ConfigError, "draws=1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
