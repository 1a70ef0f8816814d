# SPDX-License-Identifier: GPL-3.0-or-later
"""Confidence intervals: how far a measured number can be from the one that generated it.

Pure functions over NumPy arrays. Randomness comes in as a `numpy.random.Generator`. An interval
that cannot be formed is (NaN, NaN); nothing here raises on short or degenerate samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iverson.errors import ConfigError

LEVEL = 0.95
LEAST_RESAMPLES = 100

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """Lower and upper limit, in the unit of the number they belong to."""

    low: float
    high: float


UNKNOWN = Interval(math.nan, math.nan)


class SharpeMoments(NamedTuple):
    """A Sharpe ratio per observation, not annualised, with skewness and kurtosis (normal: 3)."""

    sharpe: float
    skew: float
    kurtosis: float


def wilson(successes: int, trials: int, *, level: float = LEVEL) -> Interval:
    """Bound a proportion by Wilson's score interval, without continuity correction.

    Returns
    -------
    Fractions in [0, 1]; (NaN, NaN) without trials.

    Notes
    -----
    (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n).  Wilson (1927), JASA 22, 209-212,
    doi:10.1080/01621459.1927.10502953; method 3 of Newcombe (1998), doi:10.1002/(SICI)1097-0258
    (19980430)17:8<857::AID-SIM777>3.0.CO;2-E. Unlike p ± z·se it stays inside [0, 1] and has a
    width at 0 and 100 %. Trades are taken as independent; overlapping ones make it too narrow.
    """
    if trials <= 0:
        return UNKNOWN
    z = _z(level)
    share = successes / trials
    spread = z * math.sqrt(share * (1.0 - share) / trials + (z / (2.0 * trials)) ** 2)
    scale = 1.0 + z * z / trials
    middle = share + z * z / (2.0 * trials)
    low = 0.0 if successes == 0 else (middle - spread) / scale
    high = 1.0 if successes == trials else (middle + spread) / scale
    return Interval(low, high)


def sharpe_error(
    sharpe: float, observations: int, *, skew: float = 0.0, kurtosis: float = 3.0
) -> float:
    """Give the standard error of a Sharpe ratio of independent returns.

    `sharpe` is per observation (not annualised), `kurtosis` is 3 for the normal law. The error is
    per observation too: both are annualised by the same factor √252. NaN below 2 observations.

    Notes
    -----
    √((1 + S²/2 − γ₃S + (γ₄−3)S²/4) / T).  With γ₃ = 0, γ₄ = 3 it is Lo (2002), FAJ 58(4), 36-52,
    doi:10.2469/faj.v58.n4.2453, eq. 9. The correction for skewness and kurtosis is Mertens
    (2002), "Comments on variance of the IID estimator in Lo (2002)", University of Basel; derived
    again by Opdyke (2007), doi:10.1057/palgrave.jam.2250084. The probabilistic and deflated Sharpe
    ratios of Bailey and López de Prado (2012, doi:10.21314/JOR.2012.255) divide by T − 1 instead.
    """
    if observations < 2:
        return math.nan
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe * sharpe
    return math.sqrt(max(0.0, variance) / observations)


def sharpe_moments(returns: Floats) -> SharpeMoments:
    """Measure what the error of a Sharpe ratio depends on; NaN when the returns do not vary.

    Skewness and kurtosis in the population form, the deviation of the Sharpe ratio with n − 1. All
    three are NaN below 2 returns and for a NaN among them.
    """
    count = returns.size
    if count < 2:
        return SharpeMoments(math.nan, math.nan, math.nan)
    mean = float(returns.mean())
    centred = returns - mean
    variance = float(centred @ centred) / count
    if not variance > (1e-12 * mean) ** 2:
        return SharpeMoments(math.nan, math.nan, math.nan)
    skew = float((centred**3).mean()) / variance**1.5
    kurtosis = float((centred**4).mean()) / variance**2
    return SharpeMoments(mean / math.sqrt(variance * count / (count - 1)), skew, kurtosis)


def sharpe_interval(
    returns: Floats, *, sessions_per_year: int = 252, level: float = LEVEL
) -> Interval:
    """Bound the annualised Sharpe ratio of daily returns (fractions, risk-free rate 0).

    Notes
    -----
    S ± z·`sharpe_error`, with the moments of the sample (population form). Returns are taken as
    independent: positive serial correlation makes the true interval wider (Lo 2002, table 2).
    Below some 60 sessions the normal approximation itself is poor.
    """
    per_session, skew, kurtosis = sharpe_moments(returns)
    if math.isnan(per_session):
        return UNKNOWN
    count = returns.size
    error = sharpe_error(per_session, count, skew=skew, kurtosis=kurtosis)
    scale = math.sqrt(sessions_per_year)
    reach = _z(level) * error
    return Interval(scale * (per_session - reach), scale * (per_session + reach))


def percentile(value: float, samples: Floats, *, level: float = LEVEL) -> Interval:
    """Bound a number by the middle `level` of its resampled values.

    Infinite resamples count as very large; NaN ones (a resample without a single trade that lost,
    say) are left out. (NaN, NaN) when the number itself is not finite, or when fewer than half
    of the resamples have a value.

    Notes
    -----
    Efron (1979), Annals of Statistics 7(1), doi:10.1214/aos/1176344552: the percentile method,
    which carries over to any monotone transformation but is not corrected for bias.
    """
    known = samples[~np.isnan(samples)]
    if not math.isfinite(value) or known.size == 0 or 2 * known.size < samples.size:
        return UNKNOWN
    tail = (1.0 - level) / 2.0
    # Neighbouring order statistics: interpolating towards an infinite one would give NaN.
    low = float(np.quantile(known, tail, method="lower"))
    high = float(np.quantile(known, 1.0 - tail, method="higher"))
    return Interval(low, high)


def checked_resamples(resamples: int) -> int:
    """Return the number of resamples; `ConfigError` below what the tail of an interval needs."""
    if resamples < LEAST_RESAMPLES:
        raise ConfigError(f"resamples={resamples} are too few for a tail; expected 1000 or more")
    return resamples


def resample(
    statistics: Callable[[NDArray[np.intp]], tuple[float, ...]], draws: Iterator[NDArray[np.intp]]
) -> Floats:
    """Compute several statistics on each draw of positions: an array resamples × statistics."""
    return np.array([statistics(draw) for draw in draws], dtype=np.float64)


def independent_draws(
    count: int, resamples: int, generator: np.random.Generator
) -> Iterator[NDArray[np.intp]]:
    """Draw positions 0 to count − 1 with replacement, each independent of the others."""
    for _ in range(resamples):
        yield generator.integers(0, count, count, dtype=np.intp)


def block_draws(
    count: int, resamples: int, generator: np.random.Generator, *, block: float | None = None
) -> Iterator[NDArray[np.intp]]:
    """Draw positions in runs of random length, so that neighbouring sessions stay neighbours.

    Notes
    -----
    The stationary bootstrap of Politis and Romano (1994), JASA 89, 1303-1313,
    doi:10.1080/01621459.1994.10476870: a run starts anywhere, wraps around at the end, and goes
    on with probability 1 − 1/block. The mean length defaults to count^(1/3), the rate at which
    the best length grows; it is a rule of thumb, not estimated from the returns.
    """
    length = max(1.0, count ** (1.0 / 3.0) if block is None else block)
    steps = np.arange(count, dtype=np.intp)
    for _ in range(resamples):
        starts = generator.integers(0, count, count, dtype=np.intp)
        fresh = generator.random(count) < 1.0 / length
        fresh[0] = True
        latest = np.maximum.accumulate(np.where(fresh, steps, 0))
        yield (starts[latest] + steps - latest) % count


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2.0)
