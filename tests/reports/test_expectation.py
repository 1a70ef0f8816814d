# SPDX-License-Identifier: GPL-3.0-or-later
"""The band of an expectation: where a run that is no different ends, and how often inside."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iverson.errors import ConfigError, DataError
from iverson.reports.expectation import LEAST, Expectation, band, read_expectation
from tests.reports.hand_made import CASH, accounts, deposit, journal_of, sessions
from tests.reports.test_periods import date


def returns(count: int, seed: int, mean: float = 0.0003) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.01, count)


@pytest.mark.parametrize(("expected", "live"), [(300, 60), (120, 120), (60, 250)])
def test_run_that_is_no_different_lies_inside_19_times_of_20(expected: int, live: int) -> None:
    seeds = range(100)
    inside = sum(
        band(returns(expected, seed), returns(live, 10_000 + seed), seed=seed, draws=300).inside
        for seed in seeds
    )

    # Binomial(100, 0.95): fewer than 87 come once in a thousand times.
    assert inside >= 87


def test_percentiles_of_runs_that_are_no_different_are_uniform() -> None:
    places = sorted(
        band(returns(250, seed), returns(80, 10_000 + seed), seed=seed, draws=300).percentile
        for seed in range(100)
    )
    gap = max(abs(place - (n + 0.5) / len(places)) for n, place in enumerate(places))

    assert gap < 1.95 / math.sqrt(len(places))  # Kolmogorov-Smirnov at 0.1 %


@given(st.integers(0, 10_000), st.integers(LEAST, 120), st.integers(1, 150))
@settings(max_examples=40)
def test_fan_is_ordered_begins_at_nothing_and_holds_its_median(
    seed: int, expected: int, live: int
) -> None:
    found = band(returns(expected, seed), returns(live, seed + 1), seed=seed, draws=100)

    assert found.fan.shape == (live + 1, 5)
    assert (np.diff(found.fan, axis=1) >= 0).all()
    assert (found.fan[0] == 0).all()
    assert found.low <= found.fan[-1, 2] <= found.high
    assert found.live[-1] == pytest.approx(np.prod(1 + returns(live, seed + 1)) - 1)


def test_the_median_run_is_inside_and_in_the_middle() -> None:
    pool = returns(250, 1)
    probe = band(pool, returns(60, 2), seed=3)
    steady = (1 + probe.fan[-1, 2]) ** (1 / 60) - 1

    found = band(pool, np.full(60, steady), seed=3)

    assert found.inside
    assert found.percentile == pytest.approx(0.5, abs=0.01)
    assert found.p_value == pytest.approx(1.0, abs=0.02)


def test_returns_that_never_vary_give_a_band_without_width() -> None:
    found = band(np.full(50, 0.001), np.full(30, 0.001), seed=0, draws=100)

    path = 1.001 ** np.arange(31) - 1
    assert found.fan == pytest.approx(np.repeat(path[:, None], 5, axis=1))
    assert found.percentile == pytest.approx(0.5, abs=0.5)


def test_run_that_lost_its_edge_falls_outside() -> None:
    found = band(returns(500, 1, mean=0.001), returns(120, 2, mean=-0.005), seed=0)

    assert not found.inside
    assert found.percentile < 0.025
    assert found.p_value < 0.05


def test_run_beyond_all_that_were_drawn_still_has_a_chance() -> None:
    found = band(np.full(50, 0.001), np.full(30, -0.01), seed=0, draws=200)

    assert found.percentile == 0.0
    assert found.p_value == pytest.approx(2 / 201)


def test_short_expectation_gives_a_wider_band_than_a_long_one() -> None:
    pool = returns(600, 4)
    long, short = (
        band(pool[:count], returns(60, 5), seed=0, block=1.0).high
        - band(pool[:count], returns(60, 5), seed=0, block=1.0).low
        for count in (600, 60)
    )
    scatter = [pool[:count].std() * math.sqrt(60 * (1 + 60 / count)) for count in (600, 60)]

    # 2 × 1.96 deviations of a sum of 60, the expectation's own doubt included
    assert long == pytest.approx(3.92 * scatter[0], rel=0.12)
    assert short == pytest.approx(3.92 * scatter[1], rel=0.12)


def test_same_seed_gives_the_same_band_and_another_one_another() -> None:
    given_ = (returns(100, 1), returns(40, 2))
    one, same, other = (band(*given_, seed=seed, draws=200) for seed in (7, 7, 8))

    assert (one.fan == same.fan).all()
    assert one.percentile == same.percentile
    assert (one.fan != other.fan).any()


def test_sixty_sessions_of_both_are_enough_and_one_fewer_is_not() -> None:
    assert band(returns(60, 1), returns(60, 2), seed=0, draws=100).enough
    assert not band(returns(59, 1), returns(60, 2), seed=0, draws=100).enough
    assert not band(returns(60, 1), returns(59, 2), seed=0, draws=100).enough


@pytest.mark.parametrize(
    ("expected", "live", "words"),
    [
        (returns(LEAST - 1, 1), returns(5, 2), "give no band"),
        (returns(50, 1), np.empty(0), "give no band"),
        (np.full(50, math.nan), returns(5, 2), "a return is missing"),
    ],
)
def test_too_little_is_refused_in_a_sentence(
    expected: np.ndarray, live: np.ndarray, words: str
) -> None:
    with pytest.raises(DataError, match=words):
        band(expected, live, seed=0)


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(ConfigError, match="too few for a tail"):
        band(returns(50, 1), returns(5, 2), seed=0, draws=99)


@pytest.mark.parametrize("nonsense", [[0.1, math.nan], [[0.1]], [-1.0, 0.1]])
def test_expectation_of_nonsense_is_refused(nonsense: list) -> None:
    with pytest.raises(DataError, match="daily returns out of sample"):
        Expectation.of(nonsense)


def test_expectation_is_read_from_a_journal_with_deposits_taken_out() -> None:
    first = date(2024, 1, 8)
    one, two, three = accounts(first, [10_100.0, 12_110.0, 12_110.0])
    with journal_of([one, deposit(sessions(first, 2)[1], 2_000.0), two, three]) as journal:
        found = read_expectation(journal)

    assert found.returns == pytest.approx([100 / CASH, 10 / 12_100, 0.0])
    assert Expectation.of(found) is found
    assert Expectation.of(None) is None
