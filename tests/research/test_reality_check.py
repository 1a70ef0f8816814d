# SPDX-License-Identifier: GPL-3.0-or-later
"""The reality check and SPA against arch, loops without a matrix, and trials with known merit."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from iverson.errors import ConfigError, DataError
from iverson.monitoring.intervals import block_draws
from iverson.research.overfitting import reality_check, superior_ability
from iverson.research.reality_check import _long_run_variance
from tests.research.steady_noise import steady_trials

ANSWERS = Path(__file__).parents[1] / "answers"
ARCH = pd.read_csv(ANSWERS / "spa_arch.csv", comment="#")
ARCH_BLOCK = 5

SESSIONS, TRIALS, BLOCK, SEED, RESAMPLES = 90, 7, 4.0, 17, 200


def variance_by_hand(column, block):
    """Politis and Romano's weights, lag by lag."""
    n, q = len(column), 1.0 / block
    centred = column - column.mean()
    total = (centred @ centred) / n
    for lag in range(1, n):
        weight = (n - lag) / n * (1 - q) ** lag + lag / n * (1 - q) ** (n - lag)
        total += 2 * weight * (centred[lag:] @ centred[:-lag]) / n
    return total


def spa_by_hand(returns):
    """Hansen's test, resample by resample and trial by trial."""
    n, trials = returns.shape
    means = [column.mean() for column in returns.T]
    deviations = [math.sqrt(variance_by_hand(column, BLOCK)) for column in returns.T]
    threshold = -math.sqrt(2 * math.log(math.log(n)))
    statistic = max(0.0, *(math.sqrt(n) * m / d for m, d in zip(means, deviations, strict=True)))
    reached = np.zeros(3)
    for draw in block_draws(n, RESAMPLES, np.random.default_rng(SEED), block=BLOCK):
        largest = [0.0, 0.0, 0.0]
        for k in range(trials):
            kept = means[k] if math.sqrt(n) * means[k] / deviations[k] >= threshold else 0.0
            for form, centre in enumerate((max(0.0, means[k]), kept, means[k])):
                z = math.sqrt(n) * (returns[draw, k].mean() - centre) / deviations[k]
                largest[form] = max(largest[form], z)
        reached += [one >= statistic for one in largest]
    return statistic, (1 + reached) / (1 + RESAMPLES)


def test_spa_is_the_loop_by_hand():
    returns = steady_trials(SESSIONS, TRIALS, 70)
    statistic, p_values = spa_by_hand(returns)

    found = superior_ability(returns, seed=SEED, block=BLOCK, resamples=RESAMPLES)

    assert found.statistic == pytest.approx(statistic)
    assert (found.lower, found.consistent, found.upper) == pytest.approx(tuple(p_values))
    assert len(set(p_values)) == 3  # otherwise this told nothing about the three centres


def test_the_reality_check_is_the_loop_by_hand():
    returns = steady_trials(SESSIONS, TRIALS, 70)
    means = returns.mean(axis=0)
    draws = block_draws(SESSIONS, RESAMPLES, np.random.default_rng(SEED), block=BLOCK)
    reached = [max(returns[draw].mean(axis=0) - means) >= max(means) for draw in draws]

    found = reality_check(returns, seed=SEED, block=BLOCK, resamples=RESAMPLES)

    assert found.p_value == pytest.approx((1 + sum(reached)) / (1 + RESAMPLES))
    assert found.best == int(means.argmax())
    assert found.statistic == pytest.approx(math.sqrt(SESSIONS) * max(means))


@pytest.mark.parametrize(
    ("sessions", "trials", "seed", "lower", "consistent", "upper"),
    list(ARCH.itertuples(index=False, name=None)),
)
def test_p_values_are_those_of_arch(  # noqa: PLR0917 (pytest passes them by name)
    sessions, trials, seed, lower, consistent, upper
):
    resamples = 5000
    returns = steady_trials(sessions, trials, seed)

    found = superior_ability(
        returns, seed=2, block=ARCH_BLOCK, resamples=resamples, studentised=False
    )
    white = reality_check(returns, seed=2, block=ARCH_BLOCK, resamples=resamples)

    for ours, theirs in (
        (found.lower, lower),
        (found.consistent, consistent),
        (found.upper, upper),
        (white.p_value, upper),
    ):
        error = math.sqrt(theirs * (1 - theirs) * (1 / resamples + 1 / 50_000))
        assert ours == pytest.approx(theirs, abs=4 * error + 1 / resamples)


@pytest.mark.parametrize("block", [1.0, 3.0, 20.0])
def test_the_variance_in_closed_form_is_the_sum_over_lags(block):
    returns = steady_trials(83, 5, 3)

    expected = [variance_by_hand(column, block) for column in returns.T]

    assert _long_run_variance(returns, block) == pytest.approx(expected)


def test_returns_that_take_turns_have_a_variance_above_zero():
    turns = np.tile([[0.01], [-0.01]], (50, 1))

    assert _long_run_variance(turns, 1e9) > 0.0
    assert 0.0 < superior_ability(turns, seed=1, block=50.0).consistent <= 1.0


def test_skill_is_found_among_noise():
    returns = steady_trials(500, 30, 5) - 0.002
    returns[:, 4] += 0.012

    assert reality_check(returns, seed=1).p_value < 0.01
    found = superior_ability(returns, seed=1)
    assert found.consistent < 0.01
    assert found.best == 4
    assert "best of 30 trials is 4" in str(found)


def test_hopeless_and_volatile_trials_hide_skill_from_the_reality_check_only():
    rng = np.random.default_rng(3)
    good = 0.01 * rng.standard_normal((500, 1)) + 0.0018
    wild = 0.10 * rng.standard_normal((500, 40)) - 0.03
    returns = np.hstack([good, wild])

    assert reality_check(returns, seed=1).p_value > 0.2
    assert superior_ability(returns, seed=1).consistent < 0.02


def test_beating_nothing_is_not_beating_the_benchmark():
    returns = steady_trials(400, 10, 6) + 0.01
    rising = np.full(400, 0.03)

    assert superior_ability(returns, seed=1).consistent < 0.01
    assert superior_ability(returns, rising, seed=1).consistent == 1.0
    assert superior_ability(returns, rising, seed=1) == superior_ability(returns, 0.03, seed=1)


def test_a_copy_of_every_trial_changes_nothing():
    returns = steady_trials(200, 6, 9)
    twice = np.hstack([returns, returns])

    one, two = (superior_ability(x, seed=4, block=3.0) for x in (returns, twice))

    assert (one.lower, one.consistent, one.upper) == (two.lower, two.consistent, two.upper)


def test_trials_that_are_the_benchmark_tell_nothing():
    returns = np.hstack([np.zeros((100, 2)), steady_trials(100, 3, 2)])

    with_idle = superior_ability(returns, seed=1, block=2.0)
    without = superior_ability(returns[:, 2:], seed=1, block=2.0)

    assert with_idle.consistent == without.consistent
    assert with_idle.best == without.best + 2
    assert superior_ability(np.zeros((100, 2)), seed=1).consistent == 1.0


@pytest.mark.parametrize(
    ("returns", "arguments", "error", "words"),
    [
        (np.zeros((19, 3)), {}, ConfigError, "19 sessions of returns; expected 20"),
        (np.zeros((50, 3)), {"resamples": 50}, ConfigError, "resamples=50 are too few"),
        (np.zeros((50, 3)), {"benchmark": np.zeros(49)}, ConfigError, r"expected \(50,\)"),
        (np.ones((50, 3)), {"block": 0.0}, ConfigError, "block=0.0 is no length"),
        (np.full((50, 3), np.nan), {}, DataError, "trial 0 has the return nan"),
        (np.zeros((50, 3)), {"benchmark": math.nan}, DataError, "trial 0 has the return nan"),
    ],
)
def test_what_cannot_be_tested_is_refused(returns, arguments, error, words):
    with pytest.raises(error, match=words):
        reality_check(returns, seed=1, **arguments)
