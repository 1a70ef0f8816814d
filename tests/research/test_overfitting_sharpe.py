# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharpe ratios judged: the papers' numbers, an integral, and what must always hold."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from iverson.errors import ConfigError, DataError
from iverson.research.overfitting import (
    count_trials,
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_evidence,
)
from tests.research.steady_noise import steady_trials

ANSWERS = Path(__file__).parents[1] / "answers"
PROBABILISTIC = pd.read_csv(ANSWERS / "probabilistic_sharpe_2012.csv", comment="#")
TRACK_RECORD = pd.read_csv(ANSWERS / "track_record_2012.csv", comment="#")
DEFLATED = pd.read_csv(ANSWERS / "deflated_sharpe_2014.csv", comment="#")

PER_YEAR = 250
ANNUAL, VARIANCE, SESSIONS = 2.5, 0.5, 1250  # the example of the paper of 2014

ratios = st.floats(-0.5, 0.5)
moments = st.tuples(st.floats(-2.0, 2.0), st.floats(5.5, 20.0))


@pytest.mark.parametrize(
    ("sharpe", "observations", "skew", "kurtosis", "probability"),
    list(PROBABILISTIC.itertuples(index=False, name=None)),
)
def test_probabilistic_sharpe_is_the_published_one(
    sharpe, observations, skew, kurtosis, probability
):
    found = probabilistic_sharpe(sharpe, observations, skew=skew, kurtosis=kurtosis)

    assert found == pytest.approx(probability, abs=5e-4)


@pytest.mark.parametrize(
    ("per_year", "skew", "kurtosis", "years"), list(TRACK_RECORD.itertuples(index=False, name=None))
)
def test_minimum_track_record_is_the_published_one(per_year, skew, kurtosis, years):
    scale = math.sqrt(per_year)
    found = minimum_track_record(2.0 / scale, benchmark=1.0 / scale, skew=skew, kurtosis=kurtosis)

    assert found / per_year == pytest.approx(years, abs=5e-3)


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "probability"), list(DEFLATED.itertuples(index=False, name=None))
)
def test_deflated_sharpe_is_the_published_one(trials, skew, kurtosis, probability):
    found = deflated_sharpe(
        ANNUAL / math.sqrt(PER_YEAR),
        SESSIONS,
        trials=trials,
        variance=VARIANCE / PER_YEAR,
        skew=skew,
        kurtosis=kurtosis,
    )

    assert found == pytest.approx(probability, abs=5e-5)


def test_expected_maximum_of_the_published_example_is_the_published_one():
    assert expected_maximum_sharpe(100, VARIANCE / PER_YEAR) == pytest.approx(0.1132, abs=5e-5)


@pytest.mark.parametrize(
    ("trials", "tolerance"), [(5, 0.03), (10, 0.025), (100, 0.01), (5000, 0.01)]
)
def test_expected_maximum_is_near_the_integral_over_order_statistics(trials, tolerance):
    def density(x):
        return x * trials * stats.norm.pdf(x) * stats.norm.cdf(x) ** (trials - 1)

    exact = integrate.quad(density, -10.0, 10.0, limit=200)[0]

    assert expected_maximum_sharpe(trials, 4.0) == pytest.approx(2.0 * exact, rel=tolerance)


@given(sharpe=ratios, benchmark=ratios, more=st.floats(1.0, 1000.0))
def test_more_trials_never_help(sharpe, benchmark, more):
    few = deflated_sharpe(sharpe, 500, trials=3.0, variance=0.01)
    many = deflated_sharpe(sharpe, 500, trials=3.0 * more, variance=0.01)

    assert many <= few


@given(sharpe=ratios, benchmark=ratios, shape=moments, confidence=st.floats(0.55, 0.999))
def test_the_minimum_track_record_is_where_the_probability_reaches_the_confidence(
    sharpe, benchmark, shape, confidence
):
    skew, kurtosis = shape
    needed = minimum_track_record(
        sharpe, benchmark=benchmark, skew=skew, kurtosis=kurtosis, confidence=confidence
    )
    if math.isinf(needed) or needed < 3 or needed > 1e8:
        return
    before, after = (
        probabilistic_sharpe(sharpe, count, benchmark=benchmark, skew=skew, kurtosis=kurtosis)
        for count in (math.floor(needed), math.ceil(needed))
    )

    assert after >= confidence - 1e-9
    assert math.isnan(before) or before <= confidence + 1e-9


def test_evidence_agrees_with_scipy_moments_and_the_single_functions():
    trials = steady_trials(500, 8, 3)
    chosen = trials[:, 0] + 0.001
    counted = count_trials(trials)
    per_session = chosen.mean() / chosen.std(ddof=1)
    shape = dict(skew=stats.skew(chosen), kurtosis=stats.kurtosis(chosen, fisher=False))

    found = sharpe_evidence(chosen, trials)

    assert found.sharpe == pytest.approx(per_session * math.sqrt(252))
    assert found.probabilistic == pytest.approx(probabilistic_sharpe(per_session, 500, **shape))
    assert found.deflated == pytest.approx(
        deflated_sharpe(
            per_session,
            500,
            trials=counted.effective,
            variance=counted.sharpe_variance,
            **shape,
        )
    )
    assert found.familywise == pytest.approx(counted.by_luck(1.0 - found.probabilistic))
    assert "deflated" in str(found)


def test_hopeless_returns_are_judged_too():
    trials = steady_trials(500, 30, 3) - 0.01

    found = sharpe_evidence(trials[:, 0], trials)

    assert found.familywise == pytest.approx(1.0)
    assert found.deflated < 1e-6
    assert found.needed == math.inf


def test_a_single_trial_is_not_deflated():
    trials = steady_trials(300, 1, 5)

    found = sharpe_evidence(trials[:, 0], trials)

    assert found.expected_maximum == 0.0
    assert found.deflated == found.probabilistic
    assert found.familywise == pytest.approx(1.0 - found.probabilistic)


@pytest.mark.parametrize("observations", [0, 1, 2])
def test_too_few_observations_say_nothing(observations):
    assert math.isnan(probabilistic_sharpe(0.1, observations))


def test_missing_numbers_stay_missing():
    assert math.isnan(probabilistic_sharpe(math.nan, 100))
    assert math.isnan(probabilistic_sharpe(0.1, 100, skew=math.nan))
    assert math.isnan(minimum_track_record(0.1, benchmark=math.nan))
    assert math.isnan(expected_maximum_sharpe(math.nan, 1.0))


def test_returns_that_do_not_vary_have_no_evidence():
    found = sharpe_evidence(np.full(100, 0.001), steady_trials(100, 4, 1))

    assert math.isnan(found.sharpe)
    assert math.isnan(found.deflated)


def test_a_ratio_below_the_benchmark_is_never_proved():
    assert minimum_track_record(0.05, benchmark=0.05) == math.inf


def test_nonsense_is_refused():
    holed = steady_trials(50, 3, 1)
    holed[2, 1] = math.nan

    with pytest.raises(ConfigError, match=r"confidence=1\.5"):
        minimum_track_record(0.1, confidence=1.5)
    with pytest.raises(ConfigError, match="variance=-1"):
        expected_maximum_sharpe(10, -1.0)
    with pytest.raises(DataError, match="trial 1 has the return nan at session 2"):
        sharpe_evidence(holed[:, 0], holed)
