# SPDX-License-Identifier: GPL-3.0-or-later
"""Trades beside the trades that were expected: win rate, R, slippage, fill rate.

These describe. The one test of drift is where the equity ends within its band (`expectation`); of
several comparisons beside it one is soon "significant" by luck, so none of them is a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from iverson.model import Trade
from iverson.monitoring.intervals import (
    UNKNOWN,
    Floats,
    Interval,
    independent_draws,
    percentile,
    resample,
    wilson,
)
from iverson.monitoring.metrics import MINIMUM_TRADES
from iverson.reports.entries import entries
from iverson.reports.journaled import Journaled
from iverson.reports.slippage import costs_of, slips

Unit = Literal["fraction", "R", "bps"]
LEAST_FOR_TEST = 5  # of either sample; fewer have no deviation worth the name


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number of the run beside the expectation's, and their difference with its 95 % limits.

    `p_value` is two-sided and not corrected for its neighbours; NaN where there is no test.
    `enough` is False when either side has fewer than 30 observations.
    """

    name: str
    unit: Unit
    live: float
    expected: float
    low: float
    high: float
    p_value: float
    observations: int
    expected_observations: int

    @property
    def difference(self) -> float:
        """The run's number less the expectation's."""
        return self.live - self.expected

    @property
    def enough(self) -> bool:
        """Whether both sides have 30 observations."""
        return min(self.observations, self.expected_observations) >= MINIMUM_TRADES


def compared(
    live: Journaled, expected: Journaled, *, seed: int, resamples: int = 1000
) -> list[Comparison]:
    """Compare the trades, fills and entries of a run with those of the run that was expected."""
    return list(_compared(live, expected, seed, resamples))


def proportions(
    name: str, wins: int, count: int, expected_wins: int, expected_count: int
) -> Comparison:
    """Compare two proportions.

    Notes
    -----
    p by Fisher's exact test (Fisher 1935, The Design of Experiments, sec. 21), two-sided by summing
    the tables that are no more likely; limits by Newcombe's hybrid of two Wilson intervals (1998),
    Statistics in Medicine 17, 873-890, method 10,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.
    """
    ours = wins / count if count else math.nan
    theirs = expected_wins / expected_count if expected_count else math.nan
    low = high = p_value = math.nan
    if count and expected_count:
        mine, other = wilson(wins, count), wilson(expected_wins, expected_count)
        low = ours - theirs - math.hypot(ours - mine.low, other.high - theirs)
        high = ours - theirs + math.hypot(mine.high - ours, theirs - other.low)
        p_value = fisher(wins, count, expected_wins, expected_count)
    return Comparison(
        name, "fraction", ours, theirs, low, high, p_value, count, expected_count
    )  # fmt: skip


def means(
    name: str, unit: Unit, live: Floats, expected: Floats, *, seed: int, resamples: int = 1000
) -> Comparison:
    """Compare two means.

    Notes
    -----
    p by a permutation test of Welch's statistic, which is exact for equal distributions and holds
    for unequal variances in large samples: Janssen (1997), Statistics & Probability Letters 36,
    9-21, doi:10.1016/S0167-7152(97)00043-6. Limits by resampling both sides independently. Trades
    are taken as independent; those that overlap make both too optimistic.
    """
    ours = float(live.mean()) if live.size else math.nan
    theirs = float(expected.mean()) if expected.size else math.nan
    p_value, limits = math.nan, UNKNOWN
    if min(live.size, expected.size) >= LEAST_FOR_TEST:
        generator = np.random.default_rng(seed)
        p_value = _permuted(live, expected, generator, resamples)
        limits = _limits(live, expected, generator, resamples)
    return Comparison(
        name, unit, ours, theirs, limits.low, limits.high, p_value, live.size, expected.size
    )  # fmt: skip


def fisher(wins: int, count: int, other_wins: int, other_count: int) -> float:
    """Give the two-sided p-value of Fisher's exact test of two proportions."""
    total, successes = count + other_count, wins + other_wins
    every = range(max(0, successes - other_count), min(count, successes) + 1)
    chance = {
        k: math.exp(
            _choose(count, k) + _choose(other_count, successes - k) - _choose(total, successes)
        )
        for k in every
    }
    # Tables as likely as ours, rounding aside, count too.
    return min(1.0, sum(one for one in chance.values() if one <= chance[wins] * (1 + 1e-7)))


def _compared(
    live: Journaled, expected: Journaled, seed: int, resamples: int
) -> Iterator[Comparison]:
    mine, other = live.of(Trade), expected.of(Trade)
    yield proportions(
        "win rate",
        sum(one.pnl > 0 for one in mine), len(mine),
        sum(one.pnl > 0 for one in other), len(other),
    )  # fmt: skip
    chance = {"seed": seed, "resamples": resamples}
    yield means("mean R", "R", _multiples(mine), _multiples(other), **chance)
    yield means("slippage", "bps", _slippage(live), _slippage(expected), **chance)
    filled, ended = _entries(live)
    expected_filled, expected_ended = _entries(expected)
    yield proportions("fill rate", filled, ended, expected_filled, expected_ended)


def _multiples(trades: list[Trade]) -> Floats:
    return np.array([one.r_multiple for one in trades if not math.isnan(one.r_multiple)])


def _slippage(told: Journaled) -> Floats:
    found = (slip.bps for slip in slips(told.values, costs_of(told.run)))
    return np.array([bps for bps in found if not math.isnan(bps)])


def _entries(told: Journaled) -> tuple[int, int]:
    """Count the entries that filled and those that have ended; rejected ones met no market."""
    ended = [one for one in entries(told.values) if one.ended and one.outcome != "rejected"]
    return sum(one.filled > 0 for one in ended), len(ended)


def _permuted(
    live: Floats, expected: Floats, generator: np.random.Generator, resamples: int
) -> float:
    both = np.concatenate([live, expected])
    seen = abs(_welch(live, expected))
    if math.isnan(seen):
        return math.nan
    drawn = [
        abs(_welch(shuffled[: live.size], shuffled[live.size :]))
        for shuffled in (generator.permutation(both) for _ in range(resamples))
    ]
    reached = sum(not one < seen * (1 - 1e-12) for one in drawn)
    return (1 + reached) / (1 + resamples)


def _welch(one: Floats, other: Floats) -> float:
    error = math.sqrt(one.var(ddof=1) / one.size + other.var(ddof=1) / other.size)
    return float(one.mean() - other.mean()) / error if error > 0 else math.nan


def _limits(
    live: Floats, expected: Floats, generator: np.random.Generator, resamples: int
) -> Interval:
    mine = resample(
        lambda draw: (float(live[draw].mean()),),
        independent_draws(live.size, resamples, generator),
    )
    other = resample(
        lambda draw: (float(expected[draw].mean()),),
        independent_draws(expected.size, resamples, generator),
    )
    return percentile(float(live.mean() - expected.mean()), (mine - other)[:, 0])


def _choose(count: int, part: int) -> float:
    return math.lgamma(count + 1) - math.lgamma(part + 1) - math.lgamma(count - part + 1)
