# SPDX-License-Identifier: GPL-3.0-or-later
"""The Jonckheere-Terpstra test against print, scipy and its own false-positive rate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import DataError
from iverson.research.rank_trend import trend

# Days in three units; the statistic is 77 and p 0.005. Bewick, Cheek and Ball (2004), "Statistics
# review 10: Further nonparametric methods", Critical Care 8(3), 196-199, doi:10.1186/cc2857.
STAYS = ([7, 1, 2, 6, 11, 8], [4, 7, 16, 11, 21], [20, 25, 13, 9, 14, 11])
PRINTED_STATISTIC, PRINTED_P = 77.0, 0.005


def test_published_example_is_met():
    groups = np.repeat([1, 2, 3], [len(part) for part in STAYS])

    found = trend(groups, np.concatenate(STAYS))

    assert found.statistic == PRINTED_STATISTIC
    assert found.p_rising == pytest.approx(PRINTED_P, abs=0.0005)
    assert found.p_falling == pytest.approx(1 - found.p_rising)


cases = st.lists(st.tuples(st.integers(1, 5), st.integers(-4, 4)), min_size=3, max_size=80)


@given(cases)
def test_it_is_kendalls_tau_with_ties(case):
    from scipy.stats import kendalltau

    groups, values = (np.array(column) for column in zip(*case, strict=True))
    found = trend(groups, values)

    if len(set(groups)) < 2 or len(set(values)) < 2:
        assert math.isnan(found.z)
        return
    theirs = kendalltau(groups, values, method="asymptotic")
    assert 2 * min(found.p_rising, found.p_falling) == pytest.approx(theirs.pvalue, abs=1e-9)
    assert np.sign(round(found.z, 9)) == np.sign(round(float(theirs.statistic), 9))


@given(cases)
def test_only_the_order_of_groups_and_values_counts(case):
    groups, values = (np.array(column, dtype=float) for column in zip(*case, strict=True))

    found, again = trend(groups, values), trend(groups**3, np.exp(values))
    turned = trend(-groups, values)

    assert again == pytest.approx(found, nan_ok=True)
    assert turned.z == pytest.approx(-found.z, abs=1e-12, nan_ok=True)


def test_on_noise_it_rejects_as_often_as_it_says():
    times, level = 4000, 0.05
    generator = np.random.default_rng(7)
    groups = np.repeat([2, 3, 4, 5], [50, 30, 15, 5])
    # R multiples as they come: a stop at -1, targets at +1.5, and what lies between.
    noise = np.clip(generator.normal(0.1, 1.2, (times, groups.size)), -1.0, 1.5)

    rejected = sum(trend(groups, row).p_rising < level for row in noise)

    reach = 3 * math.sqrt(level * (1 - level) / times)
    assert rejected / times == pytest.approx(level, abs=reach)


@pytest.mark.parametrize(
    ("groups", "values"), [([], []), ([1, 2], [3.0, 4.0]), ([1, 1, 1], [1, 2, 3])]
)
def test_nothing_to_compare_is_no_test(groups, values):
    assert all(math.isnan(one) for one in trend(groups, values))


def test_nan_and_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="a value is NaN"):
        trend([1, 2, 3], [1.0, math.nan, 2.0])
    with pytest.raises(DataError, match="expected one for each"):
        trend([1, 2, 3], [1.0, 2.0])
