# SPDX-License-Identifier: GPL-3.0-or-later
"""Trades beside expected trades: tests and limits against others' numbers, counted by hand."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from iverson.reports.drift import compared, fisher, means, proportions
from tests.reports.hand_made import account, approved, fill, order, sessions, told_of, trade

START = date(2024, 1, 8)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_fishers_test_is_scipys(count: int, other: int, data: st.DataObject) -> None:
    wins = data.draw(st.integers(0, count))
    other_wins = data.draw(st.integers(0, other))
    table = [[wins, count - wins], [other_wins, other - other_wins]]

    assert fisher(wins, count, other_wins, other) == pytest.approx(
        float(fisher_exact(table).pvalue), rel=1e-6
    )


def test_limits_of_a_difference_are_newcombes() -> None:
    # Newcombe (1998), table II, 56/70 against 48/80, method 10: 0.0524 to 0.3339
    found = proportions("won", 56, 70, 48, 80)

    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert found.difference == pytest.approx(0.2)
    assert found.enough


def test_proportions_without_observations_have_no_test() -> None:
    found = proportions("won", 0, 0, 3, 5)

    assert math.isnan(found.p_value)
    assert math.isnan(found.low)
    assert not found.enough


def test_means_of_one_law_are_seldom_told_apart() -> None:
    found = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        one, other = generator.standard_t(5, 30), 3.0 * generator.standard_t(5, 40)
        found += means("R", "R", one, other, seed=seed, resamples=199).p_value <= 0.05

    assert found <= 22  # Binomial(200, 0.05): more comes once in a thousand


def test_means_that_differ_are_told_apart_with_limits_around_the_difference() -> None:
    generator = np.random.default_rng(1)
    one, other = generator.normal(0.5, 1, 80), generator.normal(-0.3, 2, 90)

    found = means("R", "R", one, other, seed=0)

    error = math.sqrt(one.var(ddof=1) / 80 + other.var(ddof=1) / 90)
    assert found.p_value < 0.01
    assert found.low == pytest.approx(found.difference - 1.96 * error, abs=0.1)
    assert found.high == pytest.approx(found.difference + 1.96 * error, abs=0.1)
    assert found == means("R", "R", one, other, seed=0)


@given(st.lists(st.floats(-3, 3), min_size=0, max_size=8))
@settings(max_examples=30)
def test_few_or_equal_values_never_break_the_comparison(values: list[float]) -> None:
    found = means("R", "R", np.array(values), np.ones(6), seed=0, resamples=100)

    assert math.isnan(found.p_value) or 0 < found.p_value <= 1
    assert not found.enough


def test_runs_are_compared_by_what_their_journals_hold() -> None:
    mon, tue, wed, *_ = days = sessions(START, 5)
    made = [approved(mon), approved(tue), approved(wed)]
    placed = [order(one, one.signal.session, "entry", "accepted", 100.0) for one in made]
    live = told_of(
        [
            *made, *placed,
            order(made[0], tue, "entry", "filled", 100.0), fill(placed[0], tue, 100.1),
            order(made[1], wed, "entry", "expired", 100.0),  # the third one still works
            trade(wed, 60.0), trade(wed, -50.0), trade(wed, 40.0),
            account(days[-1], 10_050.0),
        ]
    )  # fmt: skip
    expected = told_of([trade(wed, 50.0), trade(wed, -25.0), account(wed, 10_025.0)])

    won, r, slippage, filled = compared(live, expected, seed=0)

    assert (won.live, won.expected) == (2 / 3, 1 / 2)
    assert (r.live, r.expected) == pytest.approx(((1.2 - 1.0 + 0.8) / 3, (1.0 - 0.5) / 2))
    assert slippage.live == pytest.approx(0.1 / 100.1 * 10_000)
    assert math.isnan(slippage.expected)
    assert (filled.live, filled.observations) == (1 / 2, 2)
