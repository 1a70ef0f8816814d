# SPDX-License-Identifier: GPL-3.0-or-later
"""Intervals for returns that remember: stationary bootstrap with a block length they choose.

`monitoring/intervals.py` draws the sessions; here are the length of the blocks, the correction of
the percentiles (BCa), and the two together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from iverson.errors import ConfigError
from iverson.monitoring import metrics
from iverson.monitoring.intervals import (
    LEVEL,
    UNKNOWN,
    Floats,
    Interval,
    block_draws,
    checked_resamples,
    percentile,
)

Method = Literal["bca", "percentile"]

_NORMAL = NormalDist()


def equity_of(returns: Floats) -> Floats:
    """Compound returns from 1: the factors by which the equity has grown, one more than returns."""
    return np.concatenate(([1.0], np.cumprod(1.0 + returns)))


# BCa needs a statistic that changes smoothly with each return. The deepest fall does not: it hangs
# on the order of a few sessions, which leaving out a block says nothing about.
STATISTICS: Mapping[str, tuple[Callable[[Floats], float], Method]] = {
    "mean": (lambda returns: float(returns.mean()), "bca"),
    "sharpe": (metrics.sharpe, "bca"),
    "volatility": (metrics.volatility, "bca"),
    "sortino": (metrics.sortino, "bca"),
    "total_return": (lambda returns: metrics.total_return(equity_of(returns)), "bca"),
    "max_drawdown": (lambda returns: metrics.max_drawdown(equity_of(returns)), "percentile"),
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its bootstrap interval; NaN limits where none can be formed.

    The unit is the statistic's: "sharpe", "volatility" and "sortino" are annualised, "mean" is a
    fraction a session, "total_return" and "max_drawdown" fractions of the whole span.
    """

    name: str
    value: float
    low: float
    high: float
    level: float
    method: Method
    block: float
    resamples: int
    seed: int

    def __str__(self) -> str:
        """Print as `sharpe 1.31 [0.42, 2.2] at 95%, bca, blocks of 4.2 sessions`."""
        return (
            f"{self.name} {self.value:.4g} [{self.low:.4g}, {self.high:.4g}] at {self.level:.0%}, "
            f"{self.method}, blocks of {self.block:.1f} sessions"
        )


def bootstrap_interval(
    returns: Floats,
    statistic: str,
    *,
    seed: int,
    level: float = LEVEL,
    method: Method | None = None,
    block: float | None = None,
    resamples: int = 2000,
) -> Estimate:
    """Bound a statistic of returns by the stationary bootstrap.

    Parameters
    ----------
    returns
        Fractions, one a session, shape (sessions,). Below 8 of them, or with a NaN among them,
        the limits are NaN.
    statistic
        A name of `STATISTICS`.
    method
        "bca" or "percentile"; default the statistic's own.
    block
        Mean length of the blocks in sessions; default `optimal_block`. 1 draws single sessions.

    Raises
    ------
    ConfigError
        For an unknown statistic or method, a level not between 0 and 1, a block below 1, and fewer
        than 100 resamples.

    Notes
    -----
    Politis and Romano (1994), JASA 89, 1303-1313, doi:10.1080/01621459.1994.10476870. The jackknife
    in BCa leaves out whole blocks, so that it sees the same dependence. The interval of the maximum
    drawdown is not one for a parameter: it is the middle of the drawdowns that the same returns
    could have had in another order of blocks, over as many sessions.

    Measured at 95 % over 500 sessions (tests/research/overfitting_campaign.py): 94 % for the mean,
    92 % for the mean under an autocorrelation of 0.3, 94 % for the Sharpe ratio of fat tails;
    85 % of other histories of the same kind had a drawdown inside the interval of this one.
    """
    if statistic not in STATISTICS:
        raise ConfigError(f"statistic={statistic!r} is unknown; expected one of {list(STATISTICS)}")
    if method not in (None, "bca", "percentile"):
        raise ConfigError(f"method={method!r} is unknown; expected 'bca' or 'percentile'")
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level={level} is none; expected a fraction such as 0.95")
    checked_resamples(resamples)
    function, usual = STATISTICS[statistic]
    method = method or usual
    values = np.asarray(returns, dtype=np.float64)
    value = function(values) if values.size else math.nan
    interval, length = UNKNOWN, math.nan
    if values.size >= 8 and np.isfinite(values).all():
        length = optimal_block(values) if block is None else checked_block(block)
        generator = np.random.default_rng(seed)
        draws = block_draws(values.size, resamples, generator, block=length)
        samples = np.array([function(values[draw]) for draw in draws])
        if method == "bca":
            left_out = np.array([function(rest) for rest in _jackknife(values, length)])
            interval = bca(value, samples, left_out, level=level)
        else:
            interval = percentile(value, samples, level=level)
    return Estimate(
        statistic, value, interval.low, interval.high, level, method, length, resamples, seed
    )


def bca(value: float, samples: Floats, left_out: Floats, *, level: float = LEVEL) -> Interval:
    """Bound a number by its resampled values, corrected for bias and for changing width.

    `samples` are the resampled values, `left_out` those with one observation (or block) left out.
    (NaN, NaN) when the number, or more than half of the samples, are not finite, when the number
    lies outside all of them, or when leaving out makes no difference.

    Notes
    -----
    Percentiles Φ(z₀ + (z₀ + z) / (1 − a (z₀ + z))), z₀ = Φ⁻¹(share of samples below the number),
    a = Σ d³ / (6 (Σ d²)^1.5), d = mean of `left_out` − `left_out`.  Efron (1987), "Better bootstrap
    confidence intervals", JASA 82, 171-185, doi:10.1080/01621459.1987.10478410; DiCiccio and Efron
    (1996), Statistical Science 11(3), 189-228, doi:10.1214/ss/1032280214, sections 2 and 6.
    Samples equal to the number count half.
    """
    known, rest = samples[np.isfinite(samples)], left_out[np.isfinite(left_out)]
    if not math.isfinite(value) or 2 * known.size <= samples.size or rest.size < 2:
        return UNKNOWN
    below = float(np.mean(known < value) + np.mean(known == value) / 2.0)
    change = rest.mean() - rest
    spread = float(change @ change)
    if not 0.0 < below < 1.0 or not spread > 0.0:
        return UNKNOWN
    bias = _NORMAL.inv_cdf(below)
    acceleration = float((change**3).sum()) / (6.0 * spread**1.5)
    limits = []
    for tail in ((1.0 - level) / 2.0, (1.0 + level) / 2.0):
        z = bias + _NORMAL.inv_cdf(tail)
        if acceleration * z >= 1.0:
            return UNKNOWN
        share = _NORMAL.cdf(bias + z / (1.0 - acceleration * z))
        limits.append(float(np.quantile(known, share)))
    return Interval(limits[0], limits[1])


def optimal_block(returns: Floats) -> float:
    """Estimate the mean block length, in sessions, at which the stationary bootstrap errs least.

    Returns
    -------
    At least 1 and at most min(3√n, n/3), rounded up. 1 when nothing varies; NaN for a NaN in the
    returns and below 8 of them.

    Notes
    -----
    b = (2 G² / D)^(1/3) n^(1/3) with G = Σ λ(k/M) |k| R(k), D = 2 (Σ λ(k/M) R(k))², the sums over
    |k| <= M, R the autocovariance and λ a flat top (1 to ½, then falling to 0).  Politis and White
    (2004), "Automatic block-length selection for the dependent bootstrap", Econometric Reviews 23,
    53-70, doi:10.1081/ETC-120028836, as corrected by Patton, Politis and White (2009), Econometric
    Reviews 28, 372-375, doi:10.1080/07474930802459016. M is twice the first of
    max(5, log₁₀ n) lags in a row with autocorrelations below 2 √(log₁₀ n / n), as in Python's arch;
    the text of 2004 takes the lag before it.
    """
    values = np.asarray(returns, dtype=np.float64)
    count = values.size
    if count < 8 or not np.isfinite(values).all():
        return math.nan
    centred = values - values.mean()
    if not float(centred @ centred) > count * (1e-12 * float(values.mean())) ** 2:
        return 1.0
    run = max(5, int(math.log10(count)))
    most = min(math.ceil(math.sqrt(count)) + run, count - 1)
    covariance = np.array([centred[k:] @ centred[: count - k] for k in range(most + 1)]) / count
    quiet = np.abs(covariance / covariance[0]) < 2.0 * math.sqrt(math.log10(count) / count)
    starts = (k for k in range(1, most - run + 1) if quiet[k : k + run].all())
    lags = np.arange(1, min(2 * next(starts, most), most) + 1)
    top = np.minimum(1.0, 2.0 * (1.0 - lags / lags[-1])) * covariance[lags]
    slope = 2.0 * float(top @ lags)
    density = float(covariance[0] + 2.0 * top.sum())
    longest = math.ceil(min(3.0 * math.sqrt(count), count / 3.0))
    if density == 0.0:
        return float(longest)
    best = float(np.cbrt((slope / density) ** 2 * count))
    return min(max(best, 1.0), float(longest))


def checked_block(block: float) -> float:
    """Refuse a mean block length below one session.

    Raises
    ------
    ConfigError
    """
    if not 1.0 <= block < math.inf:
        raise ConfigError(f"block={block} is no length; expected 1 session or more")
    return float(block)


def _jackknife(values: Floats, block: float) -> Iterator[Floats]:
    """Leave out one block after the other, all but the last of them of the same length."""
    length = max(1, min(round(block), values.size // 4))
    for start in range(0, values.size, length):
        yield np.concatenate([values[:start], values[start + length :]])
