# SPDX-License-Identifier: GPL-3.0-or-later
"""The intervals against published tables, SciPy, and simulations with a known truth."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.monitoring.intervals import (
    UNKNOWN,
    block_draws,
    independent_draws,
    percentile,
    sharpe_error,
    sharpe_interval,
    wilson,
)
from iverson.monitoring.metrics import average_trade
from iverson.monitoring.summary import summary

ANSWERS = Path(__file__).parents[1] / "answers"
WILSON = pd.read_csv(ANSWERS / "wilson_newcombe_1998.csv", comment="#")
LO = pd.read_csv(ANSWERS / "sharpe_error_lo_2002.csv", comment="#")


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"), list(WILSON.itertuples(index=False, name=None))
)
def test_wilson_is_the_published_table(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(case):
    from scipy.stats import binomtest

    successes, trials = case
    expected = binomtest(successes, trials).proportion_ci(method="wilson")

    assert wilson(*case) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_no_trials_have_no_interval():
    assert all(map(math.isnan, wilson(0, 0)))


@pytest.mark.parametrize(
    ("sharpe", "observations", "error"), list(LO.itertuples(index=False, name=None))
)
def test_sharpe_error_is_the_published_table(sharpe, observations, error):
    assert sharpe_error(sharpe, int(observations)) == pytest.approx(error, abs=5e-4)


def test_sharpe_error_with_skew_gives_the_published_deflated_sharpe_ratio():
    # Bailey and López de Prado (2014), "The Deflated Sharpe Ratio", numerical example: annualised
    # 2.5 from 1250 days (250 a year), skewness -3, kurtosis 10, threshold 0.1132 a day: 0.9004.
    daily = 2.5 / math.sqrt(250)
    # They divide by T - 1.
    error = sharpe_error(daily, 1249, skew=-3.0, kurtosis=10.0)

    assert NormalDist().cdf((daily - 0.1132) / error) == pytest.approx(0.9004, abs=5e-4)


def test_sharpe_interval_is_mertens_formula_with_scipys_moments():
    from scipy.stats import kurtosis, skew

    returns = np.random.default_rng(5).standard_t(5, 300) * 0.01 + 0.001
    ratio = returns.mean() / returns.std(ddof=1)
    variance = 1 + ratio**2 / 2 - skew(returns) * ratio + kurtosis(returns) * ratio**2 / 4
    reach = 1.959963984540054 * math.sqrt(variance / 300)
    expected = (math.sqrt(252) * (ratio - reach), math.sqrt(252) * (ratio + reach))

    assert sharpe_interval(returns) == pytest.approx(expected)


def test_sharpe_interval_covers_the_truth_in_95_of_100_simulations():
    truth, count, runs = 1.0, 504, 1500
    generator = np.random.default_rng(11)
    returns = generator.normal(truth / math.sqrt(252), 1.0, (runs, count)) * 0.01

    covered = np.mean([low <= truth <= high for low, high in map(sharpe_interval, returns)])

    # Standard deviation of the share: √(0.95·0.05/1500) = 0.0056.
    assert covered == pytest.approx(0.95, abs=0.017)


def test_only_the_corrected_interval_covers_skewed_returns():
    # Selling insurance: a gain of 1.5 less an exponential loss, so mean 0.5, deviation 1, skew -2.
    truth, count, runs = 0.5, 500, 1500
    returns = 1.5 - np.random.default_rng(12).exponential(1.0, (runs, count))
    plain = 1.959963984540054 * sharpe_error(truth, count)
    ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    intervals = [sharpe_interval(row, sessions_per_year=1) for row in returns]

    corrected = np.mean([low <= truth <= high for low, high in intervals])
    uncorrected = np.mean(np.abs(ratios - truth) <= plain)

    # Variance 1 + 2·0.5 + (9 - 1)/4·0.25 = 2.5 against 1.125: the plain interval covers only 81 %.
    assert corrected == pytest.approx(0.95, abs=0.02)
    assert uncorrected == pytest.approx(0.811, abs=0.03)


@pytest.mark.parametrize("returns", [[], [0.01], [0.01] * 50, [0.0] * 50, [math.nan, 0.1, 0.2]])
def test_returns_without_variation_have_no_sharpe_interval(returns):
    assert all(map(math.isnan, sharpe_interval(np.array(returns))))


def test_percentile_takes_the_middle_95_of_100():
    samples = np.arange(1001.0)

    assert percentile(500.0, samples) == (25.0, 975.0)


def test_infinite_resamples_are_very_large_numbers():
    low, high = percentile(3.0, np.array([1.0] * 50 + [math.inf] * 50))

    assert (low, high) == (1.0, math.inf)


@pytest.mark.parametrize(
    ("value", "samples"),
    [(math.inf, [1.0, 2.0]), (math.nan, [1.0]), (1.0, []), (1.0, [math.nan] * 3 + [1.0] * 2)],
)
def test_an_interval_without_ground_is_unknown(value, samples):
    assert percentile(value, np.array(samples)) is UNKNOWN


def test_resampling_trades_gives_the_classical_interval_of_the_mean():
    pnl = np.random.default_rng(21).normal(20.0, 200.0, 400)
    equity = pd.Series([1.0, 2.0], index=pd.to_datetime(["2012-01-03", "2012-01-04"]))
    reach = 1.959963984540054 * pnl.std() / math.sqrt(400)

    found = summary(equity, pnl, resamples=4000).average_trade

    assert found.value == average_trade(pnl)
    assert found.low == pytest.approx(found.value - reach, abs=0.1 * reach)
    assert found.high == pytest.approx(found.value + reach, abs=0.1 * reach)


def test_resampling_sessions_gives_the_classical_interval_of_the_volatility():
    returns = np.random.default_rng(22).normal(0.0, 0.01, 1000)
    equity = pd.Series(np.cumprod(1 + returns), index=pd.bdate_range("2012-01-03", periods=1000))
    # Standard error of a normal deviation: s / √(2n).
    found = summary(equity, [], resamples=2000).volatility
    reach = 1.959963984540054 * found.value / math.sqrt(2 * 999)

    assert found.high - found.low == pytest.approx(2 * reach, rel=0.12)


def test_resampling_sessions_gives_the_classical_interval_of_the_growth():
    logs = np.random.default_rng(24).normal(0.002, 0.01, 1000)
    equity = pd.Series(np.exp(np.cumsum(logs)), index=pd.bdate_range("2012-01-03", periods=1000))
    # The logarithm of the growth is a sum of independent terms: its error is s·√n.
    found = summary(equity, [], resamples=2000).total_return
    middle, reach = logs[1:].sum(), 1.959963984540054 * logs[1:].std() * math.sqrt(999)

    assert math.log1p(found.low) == pytest.approx(middle - reach, abs=0.15 * reach)
    assert math.log1p(found.high) == pytest.approx(middle + reach, abs=0.15 * reach)


def test_profit_factor_interval_covers_the_truth_in_nearly_95_of_100_simulations():
    # Half the trades win 150 on average, half lose 100 on average: the true factor is 1.5.
    generator = np.random.default_rng(23)
    equity = pd.Series([1.0, 2.0], index=pd.to_datetime(["2012-01-03", "2012-01-04"]))
    covered = 0
    for run in range(300):
        win = generator.random(100) < 0.5
        size = generator.exponential(1.0, 100)
        found = summary(equity, np.where(win, 150 * size, -100 * size), seed=run, resamples=200)
        covered += found.profit_factor.low <= 1.5 <= found.profit_factor.high

    # The percentile method is a little narrow with 100 trades; √(0.95·0.05/300) = 0.013.
    assert 0.89 <= covered / 300 <= 0.985


@given(st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_draws_are_positions_of_the_sample(count, seed):
    for draws in (independent_draws, block_draws):
        for draw in draws(count, 3, np.random.default_rng(seed)):
            assert draw.shape == (count,)
            assert draw.min() >= 0
            assert draw.max() < count


def test_blocks_keep_neighbours_together_for_the_length_asked():
    draws = block_draws(1000, 200, np.random.default_rng(31), block=10.0)
    # A step to the next position (round the end) is a run that goes on: 9 in 10, and now and then
    # a fresh start that happens to fall on it.
    going_on = np.mean([np.mean((draw[1:] - draw[:-1]) % 1000 == 1) for draw in draws])

    assert going_on == pytest.approx(0.9 + 0.1 / 1000, abs=0.003)


def test_blocks_draw_every_position_equally_often():
    draws = islice(block_draws(20, 4000, np.random.default_rng(32), block=5.0), 4000)
    counts = np.bincount(np.concatenate(list(draws)), minlength=20)

    assert counts / counts.sum() == pytest.approx(np.full(20, 0.05), abs=0.002)
