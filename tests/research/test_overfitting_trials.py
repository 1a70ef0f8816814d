# SPDX-License-Identifier: GPL-3.0-or-later
"""Counting trials: known clusters, equal correlation as in the paper, silhouettes by hand."""

from __future__ import annotations

import math
import sys
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from iverson.errors import ConfigError, DataError
from iverson.research.overfitting import EffectiveTrials, count_trials
from iverson.research.overfitting_trials import SUBSTANTIAL, _clusters, trial_matrix

SESSIONS = 400


def noise(trials, seed=1, sessions=SESSIONS):
    return np.random.default_rng(seed).standard_normal((sessions, trials))


def equally_correlated(trials, correlation):
    """Exactly that correlation in the sample, not only on average."""
    raw = noise(trials + 1)
    raw -= raw.mean(axis=0)
    pure = np.linalg.qr(raw)[0]
    return math.sqrt(correlation) * pure[:, :1] + math.sqrt(1 - correlation) * pure[:, 1:]


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.9])
def test_equally_correlated_trials_count_as_the_paper_says(correlation):
    count = 25

    found = count_trials(equally_correlated(count, correlation))

    assert found.clusters == 1
    assert found.effective == pytest.approx(correlation + (1 - correlation) * count)


def test_copies_of_a_few_trials_count_as_those_few():
    groups, copies = 6, 9
    found = count_trials(np.repeat(noise(groups), copies, axis=1))

    assert found.clusters == groups
    assert found.effective == pytest.approx(groups)
    assert found.silhouette == pytest.approx(1.0)
    assert len(set(found.labels[:copies])) == 1


def test_the_variance_is_that_of_the_few_trials_that_were_copied():
    few = noise(6)
    sharpes = few.mean(axis=0) / few.std(axis=0, ddof=1)
    unequal = np.repeat(few, [1, 2, 30, 4, 5, 6], axis=1)

    assert count_trials(unequal).sharpe_variance == pytest.approx(sharpes.var(ddof=1))


def test_noise_counts_nearly_in_full():
    found = count_trials(noise(100))

    assert found.effective > 95
    assert found.sharpe_variance * SESSIONS == pytest.approx(1.0, abs=0.4)


def test_loose_clusters_count_for_more_than_one_each():
    common = np.repeat(noise(5, seed=2), 8, axis=1)
    found = count_trials(math.sqrt(0.7) * common + math.sqrt(0.3) * noise(40))

    assert found.clusters == 5
    assert found.effective == pytest.approx(5 * (0.7 + 0.3 * 8), rel=0.1)


def test_opposite_trials_are_two():
    one = noise(1)

    assert count_trials(np.hstack([one, -one])).effective == pytest.approx(2.0)


def test_trials_that_never_traded_do_not_count():
    found = count_trials(np.hstack([np.zeros((SESSIONS, 3)), noise(4)]))

    assert (found.trials, found.idle) == (4, 3)
    assert found.labels[:3] == (-1, -1, -1)
    assert found.effective == pytest.approx(4.0, rel=0.05)
    assert "4 trials in 1 cluster" in str(found)


def test_nothing_but_idle_trials_is_worth_nothing():
    found = count_trials(np.zeros((SESSIONS, 3)))

    assert (found.trials, found.clusters, found.effective, found.sharpe_variance) == (0, 0, 0, 0)


def silhouette_by_hand(distance, labels):
    """Rousseeuw's definition, trial by trial."""
    total = 0.0
    for i, mine in enumerate(labels):
        inside = [distance[i, j] for j, other in enumerate(labels) if other == mine and j != i]
        if not inside:
            continue
        nearest = min(
            np.mean([distance[i, j] for j, other in enumerate(labels) if other == one])
            for one in set(labels) - {mine}
        )
        total += (nearest - np.mean(inside)) / max(nearest, np.mean(inside))
    return total / len(labels)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_cut_is_the_best_of_all_cuts_by_hand(seed):
    rng = np.random.default_rng(seed)
    trials = np.repeat(rng.standard_normal((60, 4)), 4, axis=1) + 0.8 * rng.standard_normal(
        (60, 16)
    )
    distance = np.sqrt((1.0 - np.clip(np.corrcoef(trials.T), -1, 1)) / 2.0)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average")
    cuts = {k: list(fcluster(tree, k, "maxclust")) for k in range(2, 16)}
    scores = {k: silhouette_by_hand(distance, labels) for k, labels in cuts.items()}
    best = max(scores, key=lambda k: scores[k])

    labels, quality = _clusters(distance)

    assert quality == pytest.approx(scores[best])
    assert quality > SUBSTANTIAL
    pairs = [(a == b) for a in cuts[best] for b in cuts[best]]
    assert [(a == b) for a in labels for b in labels] == pairs


@given(seed=st.integers(0, 10_000), trials=st.integers(1, 12), copies=st.integers(1, 3))
def test_the_effective_number_lies_between_clusters_and_trials(seed, trials, copies):
    found = count_trials(np.repeat(noise(trials, seed, 30), copies, axis=1))

    assert 1 <= found.clusters <= found.effective + 1e-9
    assert found.effective <= found.trials + 1e-9
    assert found.sharpe_variance >= 0.0


def test_the_order_of_the_trials_does_not_matter():
    trials = np.repeat(noise(5), 3, axis=1) + 0.3 * noise(15, seed=4)
    order = np.random.default_rng(0).permutation(15)

    assert count_trials(trials[:, order]).effective == pytest.approx(count_trials(trials).effective)


def independent(*sizes, correlation=0.0):
    groups = tuple((size, correlation) for size in sizes)
    return EffectiveTrials(sum(sizes), 0, len(sizes), (), math.nan, 1.0, 0.0, groups)


@pytest.mark.parametrize("p_value", [0.5, 0.05, 0.003, 1e-6])
def test_the_luck_of_independent_trials_is_the_chance_of_at_least_one(p_value):
    none = (1.0 - p_value) ** 17

    assert independent(17).by_luck(p_value) == pytest.approx(1.0 - none, rel=1e-6)
    assert independent(4, 13).by_luck(p_value) == pytest.approx(1.0 - none, rel=1e-6)


@given(st.floats(0.0, 1.0), st.integers(1, 500), st.floats(0.0, 1.0))
def test_luck_lies_between_one_trial_and_as_many_independent_ones(p_value, size, correlation):
    found = independent(size, correlation=correlation).by_luck(p_value)

    # Copies are kept a hair apart, and the factor is summed over a grid.
    assert p_value - 1e-3 <= found <= -math.expm1(size * math.log1p(-min(p_value, 0.9999))) + 1e-3


def test_the_luck_of_copies_is_that_of_one():
    assert independent(50, correlation=1.0).by_luck(0.05) == pytest.approx(0.05, abs=5e-4)


@pytest.mark.parametrize("correlation", [0.3, 0.8, 0.95])
def test_the_luck_of_correlated_trials_is_the_simulated_one(correlation):
    rng = np.random.default_rng(1)
    sizes, p_value, draws = (4, 9), 0.01, 100_000
    tops = []
    for size in sizes:
        common, own = rng.standard_normal((draws, 1)), rng.standard_normal((draws, size))
        tops.append(
            (math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own).max(axis=1)
        )
    share = np.mean(np.maximum(*tops) >= NormalDist().inv_cdf(1 - p_value))

    found = independent(*sizes, correlation=correlation).by_luck(p_value)

    assert found == pytest.approx(share, abs=4 * math.sqrt(share / draws))


def test_luck_keeps_its_digits_and_its_ends():
    assert independent(1000).by_luck(1e-18) == pytest.approx(1e-15, rel=1e-6)
    assert independent(3).by_luck(0.0) == 0.0
    assert independent(3).by_luck(1.0) == 1.0
    assert independent(20).by_luck(0.92) == pytest.approx(1.0)
    assert independent(1000, correlation=0.2).by_luck(1 - 1e-12) == pytest.approx(1.0)
    assert math.isnan(independent(3).by_luck(math.nan))
    assert independent().by_luck(0.04) == 0.04


def test_a_missing_scipy_is_said_in_words(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.cluster.hierarchy", None)

    with pytest.raises(ConfigError, match="counting trials needs scipy"):
        count_trials(noise(3))


@pytest.mark.parametrize(
    ("returns", "error", "words"),
    [
        (np.zeros(10), ConfigError, "expected sessions × trials"),
        (np.zeros((10, 0)), ConfigError, "expected sessions × trials"),
        (np.zeros((2, 4)), ConfigError, "2 sessions of returns; expected 3"),
        (np.full((5, 2), np.inf), DataError, "trial 0 has the return inf at session 0"),
    ],
)
def test_what_is_no_matrix_of_returns_is_refused(returns, error, words):
    with pytest.raises(error, match=words):
        trial_matrix(returns)
