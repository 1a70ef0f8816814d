# SPDX-License-Identifier: GPL-3.0-or-later
"""The instruments on pure noise, a few histories each; `overfitting_campaign` does thousands."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from tests.research.overfitting_campaign import CHECKS, run

BY_NAME = {check.name: check for check in CHECKS}
REPEATS = 60

# What the campaign measured; the deflated ratio is stricter than its level by design.
MEASURED = {
    "probabilistic Sharpe, one trial": 0.05,
    "familywise error, 20 trials": 0.05,
    "reality check, 20 trials": 0.05,
    "SPA, 20 trials": 0.06,
    "random entry, times drawn before": 0.05,
    "random entry, stops, replayed": 0.05,
    "interval of the mean covers": 0.94,
}


@pytest.mark.parametrize("name", MEASURED)
def test_noise_is_rejected_about_as_often_as_measured(name):
    hits = int(run(BY_NAME[name], REPEATS).sum())
    law = stats.binom(REPEATS, MEASURED[name])

    assert law.cdf(hits) > 0.001
    assert law.sf(hits - 1) > 0.001


def test_the_deflated_ratio_takes_the_best_of_noise_for_what_it_is():
    hits = run(BY_NAME["deflated Sharpe, 20 trials"], REPEATS).sum()

    assert hits <= stats.binom(REPEATS, 0.05).ppf(0.999)


def test_the_plain_ratio_is_fooled_by_a_search():
    """The reason for all of this: the best of 20 useless trials passes the test for one."""
    hits = run(BY_NAME["probabilistic Sharpe, best of 20 (wrong)"], REPEATS).mean()
    at_least_one = 1.0 - 0.95**20

    assert hits == pytest.approx(at_least_one, abs=4 * math.sqrt(0.25 / REPEATS))


def test_noise_is_overfit_half_of_the_time():
    found = run(BY_NAME["PBO, mean"], REPEATS)

    assert found.mean() == pytest.approx(0.5, abs=4 * found.std() / math.sqrt(REPEATS))
