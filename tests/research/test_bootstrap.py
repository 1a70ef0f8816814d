# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks and intervals against arch, SciPy, a textbook, and a known truth."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from iverson.errors import ConfigError
from iverson.monitoring.intervals import UNKNOWN, block_draws
from iverson.research.bootstrap import STATISTICS, bca, bootstrap_interval, equity_of, optimal_block
from tests.research.steady_noise import steady_noise, steady_walk

ANSWERS = Path(__file__).parents[1] / "answers"
BLOCKS = pd.read_csv(ANSWERS / "optimal_block_arch.csv", comment="#")
INTERVALS = pd.read_csv(ANSWERS / "stationary_bootstrap_arch.csv", comment="#")

# Test A of the spatial data, and the 90 % limits for its variance (divisor n) from 2,000 resamples:
# Efron and Tibshirani (1993), "An Introduction to the Bootstrap", tables 14.1 and 14.2.
SPATIAL = np.array(
    [48.0, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6,
     0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]
)  # fmt: skip
SPATIAL_BCA = (115.8, 259.6)


@pytest.mark.parametrize(
    ("count", "seed", "memory", "block"), list(BLOCKS.itertuples(index=False, name=None))
)
def test_the_block_length_is_that_of_arch(count, seed, memory, block):
    # arch lets a block be shorter than one session.
    assert optimal_block(steady_walk(count, seed, memory)) == pytest.approx(max(1.0, block))


def test_blocks_grow_with_memory_and_never_beyond_their_bound():
    lengths = [optimal_block(steady_walk(1000, 5, memory)) for memory in (0.0, 0.5, 0.9, 0.999)]

    assert lengths == sorted(lengths)
    assert lengths[-1] <= math.ceil(3 * math.sqrt(1000))


@given(arrays(np.float64, st.integers(8, 60), elements=st.floats(-1.0, 1.0)))
def test_the_block_length_is_always_a_length(values):
    assert (
        1.0 <= optimal_block(values) <= math.ceil(min(3 * math.sqrt(values.size), values.size / 3))
    )


def test_no_block_length_without_returns():
    assert math.isnan(optimal_block(np.ones(7)))
    assert math.isnan(optimal_block(np.append(np.ones(20), np.nan)))
    assert optimal_block(np.full(50, 0.1)) == 1.0


@pytest.mark.parametrize(
    ("seed", "memory", "block", "statistic", "low", "high"),
    list(INTERVALS.itertuples(index=False, name=None)),
)
def test_percentile_intervals_are_those_of_arch(  # noqa: PLR0917 (pytest passes them by name)
    seed, memory, block, statistic, low, high
):
    values = steady_walk(250, seed, memory)
    name, scale = {"mean": ("mean", 1.0), "ratio": ("sharpe", math.sqrt(252 * 249 / 250))}[
        statistic
    ]

    found = bootstrap_interval(
        values, name, seed=3, method="percentile", block=block, resamples=8_000
    )

    tolerance = 0.04 * (high - low)  # 4 standard errors of a 2.5 % quantile of 8,000, and arch's
    assert (found.low / scale, found.high / scale) == pytest.approx((low, high), abs=tolerance)


def test_bca_is_the_textbook_interval():
    draws = block_draws(SPATIAL.size, 5_000, np.random.default_rng(1), block=1.0)
    samples = np.array([SPATIAL[draw].var() for draw in draws])
    left_out = np.array([np.delete(SPATIAL, k).var() for k in range(SPATIAL.size)])

    found = bca(SPATIAL.var(), samples, left_out, level=0.90)

    assert SPATIAL.var() == pytest.approx(171.5, abs=0.05)
    # The book's own 2,000 resamples leave its limits uncertain by some 3.
    assert tuple(found) == pytest.approx(SPATIAL_BCA, abs=6.0)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95])
def test_bca_is_that_of_scipy_for_the_same_resamples(level):
    values = np.exp(steady_noise(40, 2))
    theirs = stats.bootstrap(
        (values,), np.var, n_resamples=999, confidence_level=level, method="BCa",
        random_state=np.random.default_rng(4),
    )  # fmt: skip
    left_out = np.array([np.delete(values, k).var() for k in range(values.size)])

    found = bca(values.var(), theirs.bootstrap_distribution, left_out, level=level)

    assert tuple(found) == pytest.approx(tuple(theirs.confidence_interval), rel=1e-6)


def test_bca_without_bias_and_skewness_is_the_percentile_interval():
    samples = np.linspace(-1.0, 1.0, 2001)
    left_out = np.array([-1.0, 0.0, 1.0])

    assert tuple(bca(0.0, samples, left_out)) == pytest.approx((-0.95, 0.95))


@pytest.mark.parametrize(
    ("value", "samples", "left_out"),
    [
        (math.nan, np.arange(9.0), np.arange(3.0)),
        (math.inf, np.arange(9.0), np.arange(3.0)),
        (9.0, np.arange(9.0), np.arange(3.0)),
        (4.0, np.arange(9.0), np.ones(3)),
        (4.0, np.append(np.arange(4.0), np.full(5, np.nan)), np.arange(3.0)),
    ],
)
def test_bca_knows_when_there_is_no_interval(value, samples, left_out):
    assert bca(value, samples, left_out) == UNKNOWN


@pytest.mark.parametrize("statistic", STATISTICS)
def test_intervals_hold_their_number_and_repeat_with_their_seed(statistic):
    returns = 0.01 * steady_walk(300, 8, 0.2) + 0.0004

    one, again = (bootstrap_interval(returns, statistic, seed=5, resamples=300) for _ in range(2))
    other = bootstrap_interval(returns, statistic, seed=6, resamples=300)

    assert one == again
    assert (one.low, one.high) != (other.low, other.high)
    assert one.low < one.high
    assert one.value == STATISTICS[statistic][0](returns)
    assert f"{statistic} " in str(one)
    if one.method == "bca":
        assert one.low <= one.value <= one.high


def test_the_interval_of_a_mean_has_the_width_of_theory():
    returns = steady_noise(1000, 9)
    theory = 2 * 1.96 * returns.std() / math.sqrt(returns.size)

    found = bootstrap_interval(returns, "mean", seed=1, block=1.0)

    assert found.high - found.low == pytest.approx(theory, rel=0.1)


def test_memory_widens_the_interval_of_a_mean():
    memory = 0.6
    returns = steady_walk(2000, 10, memory)
    # Long-run deviation of an autoregression: that of the shocks / (1 − memory).
    theory = 2 * 1.96 / (1 - memory) / math.sqrt(returns.size)

    found = bootstrap_interval(returns, "mean", seed=1)

    assert found.high - found.low == pytest.approx(theory, rel=0.2)


def test_few_or_missing_returns_have_no_interval():
    for returns in (np.empty(0), np.ones(3), np.append(steady_noise(50, 1), np.nan)):
        found = bootstrap_interval(returns, "mean", seed=1)

        assert math.isnan(found.low)
        assert math.isnan(found.block)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"statistic": "alpha"}, "statistic='alpha' is unknown; expected one of"),
        ({"method": "basic"}, "expected 'bca' or 'percentile'"),
        ({"level": 95}, "level=95 is none"),
        ({"resamples": 10}, "resamples=10 are too few"),
        ({"block": 0.5}, "block=0.5 is no length"),
    ],
)
def test_unknown_wishes_are_refused(arguments, words):
    wishes = {"statistic": "mean"} | arguments
    with pytest.raises(ConfigError, match=words):
        bootstrap_interval(steady_noise(50, 1), wishes.pop("statistic"), seed=1, **wishes)


def test_equity_compounds_returns():
    assert equity_of(np.array([0.1, -0.5])) == pytest.approx([1.0, 1.1, 0.55])
