# SPDX-License-Identifier: GPL-3.0-or-later
"""The probability of backtest overfitting against a plain rewriting of the paper's recipe."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from iverson.errors import ConfigError, DataError
from iverson.research.overfitting import overfitting_probability
from tests.research.steady_noise import steady_trials

YEAR = 252


def by_hand(returns, blocks, statistic):
    """The paper's procedure, one combination after the other."""
    kept = returns[len(returns) % blocks :]
    parts = np.split(kept, blocks)
    logits, inside, outside = [], [], []
    for chosen in combinations(range(blocks), blocks // 2):
        sample = np.concatenate([parts[i] for i in chosen])
        rest = np.concatenate([parts[i] for i in range(blocks) if i not in chosen])
        r, r_bar = statistic(sample), statistic(rest)
        best = int(np.argmax(r))
        omega = stats.rankdata(r_bar)[best] / (returns.shape[1] + 1)
        logits.append(math.log(omega / (1 - omega)))
        inside.append(r[best])
        outside.append(r_bar[best])
    return np.array(logits), np.array(inside), np.array(outside)


STATISTICS = {
    "sharpe": lambda x: math.sqrt(YEAR) * x.mean(axis=0) / x.std(axis=0, ddof=1),
    "mean": lambda x: YEAR * x.mean(axis=0),
}


@pytest.mark.parametrize("statistic", ["sharpe", "mean"])
@pytest.mark.parametrize(("sessions", "trials", "blocks"), [(40, 2, 4), (103, 7, 8), (240, 15, 10)])
def test_every_combination_is_the_one_by_hand(sessions, trials, blocks, statistic):
    returns = steady_trials(sessions, trials, 11)
    logits, inside, outside = by_hand(returns, blocks, STATISTICS[statistic])
    line = stats.linregress(inside, outside)

    found = overfitting_probability(returns, blocks=blocks, statistic=statistic)

    assert found.logits == pytest.approx(logits)
    assert found.in_sample == pytest.approx(inside)
    assert found.out_of_sample == pytest.approx(outside)
    assert found.probability == np.mean(logits <= 1e-12)
    assert found.loss == np.mean(outside < 0)
    assert (found.slope, found.intercept) == pytest.approx((line.slope, line.intercept))
    assert found.r_squared == pytest.approx(line.rvalue**2)


def test_a_trial_that_always_wins_is_not_overfitting():
    returns = 0.01 * np.random.default_rng(1).standard_normal((320, 5))
    returns[:, 3] += 0.02

    found = overfitting_probability(returns)

    assert found.probability == 0.0
    assert found.loss == 0.0
    assert found.logits == pytest.approx(math.log(5.0))  # rank 5 of 5: ω = 5/6


def test_winning_halves_that_lose_elsewhere_are_all_overfitting():
    """Each trial shines in one block and pays for it in all others."""
    blocks, each = 6, 20
    noise = 0.001 * np.random.default_rng(2).standard_normal((blocks * each, blocks))
    shines = np.kron(np.eye(blocks), np.ones((each, 1)))
    returns = noise + 0.02 * shines - 0.02 * shines.mean()

    found = overfitting_probability(returns, blocks=blocks)

    assert found.probability == 1.0
    assert found.loss == 1.0


def test_equal_trials_share_their_rank_and_count_as_overfit():
    one = steady_trials(160, 1, 4)

    found = overfitting_probability(np.repeat(one, 4, axis=1), blocks=8)

    assert found.logits == pytest.approx(0.0, abs=1e-9)
    assert found.probability == 1.0


def test_sixteen_blocks_are_12870_combinations():
    found = overfitting_probability(steady_trials(320, 3, 5))

    assert found.logits.size == math.comb(16, 8) == 12_870
    assert str(found).startswith("PBO ")


def test_idle_trials_are_no_better_than_zero():
    returns = np.hstack([np.zeros((160, 2)), 0.01 * np.ones((160, 1)) * [1.0]])
    returns[:, 2] -= 0.02 * (np.arange(160) % 3 == 0)

    found = overfitting_probability(returns, blocks=4)

    assert np.isfinite(found.in_sample).all()
    assert (found.in_sample >= 0.0).all()


@given(st.integers(0, 1000), st.floats(0.1, 10.0))
def test_scale_does_not_matter(seed, scale):
    returns = np.random.default_rng(seed).standard_normal((48, 4))

    one, other = (overfitting_probability(x, blocks=4) for x in (returns, scale * returns))

    assert one.logits == pytest.approx(other.logits)
    assert one.in_sample == pytest.approx(other.in_sample)


@pytest.mark.parametrize(
    ("shape", "arguments", "words"),
    [
        ((100, 4), {"blocks": 5}, "blocks=5 cannot be halved"),
        ((100, 4), {"blocks": 0}, "blocks=0 cannot be halved"),
        ((1000, 4), {"blocks": 22}, "even 2 to 20"),
        ((31, 4), {}, "31 sessions of returns; expected 32"),
        ((100, 1), {"blocks": 4}, "nothing was chosen"),
        ((100, 4), {"blocks": 4, "statistic": "median"}, "expected 'sharpe' or 'mean'"),
    ],
)
def test_what_cannot_be_cross_validated_is_refused(shape, arguments, words):
    with pytest.raises(ConfigError, match=words):
        overfitting_probability(np.ones(shape), **arguments)


def test_missing_returns_are_refused():
    with pytest.raises(DataError, match="put 0 where it held nothing"):
        overfitting_probability(np.full((100, 3), np.nan), blocks=4)
