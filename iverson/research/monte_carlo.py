# SPDX-License-Identifier: GPL-3.0-or-later
"""What else the same trades could have looked like: in another order, and at other costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from iverson.errors import ConfigError, DataError
from iverson.monitoring.intervals import (
    LEVEL,
    Floats,
    Interval,
    independent_draws,
    percentile,
)
from iverson.monitoring.metrics import max_drawdown


@dataclass(frozen=True, eq=False, slots=True)
class TradeOrder:
    """Drawdowns of the same trades in other orders; fractions <= 0, as deep as closed trades see.

    `actual` is the drawdown in the order that happened, `drawdowns` one for each draw, and
    `shallower` the share of draws with a shallower fall than it: near 0 the order was lucky.
    """

    actual: float
    drawdowns: Floats
    shallower: float
    trades: int
    seed: int

    def quantile(self, share: float) -> float:
        """Give the drawdown that is exceeded (deeper) in this share of the draws."""
        return float(np.quantile(self.drawdowns, share))

    def beyond(self, limit: float) -> float:
        """Give the share of draws that fall at least to `limit`, a negative fraction (−0.10)."""
        return float(np.mean(self.drawdowns <= limit))

    def __str__(self) -> str:
        """Print as `drawdown -8.1%; in other orders -9.6% (median), -17.2% (worst 5%)`."""
        return (
            f"drawdown {self.actual:.1%}; in other orders {self.quantile(0.5):.1%} (median), "
            f"{self.quantile(0.05):.1%} (worst 5%)"
        )


def trade_order(
    pnl: Floats, cash: float, *, seed: int, draws: int = 1000, replace: bool = False
) -> TradeOrder:
    """Shuffle the trades and collect the maximum drawdowns.

    Parameters
    ----------
    pnl
        Dollars a closed trade after costs, in the order they were closed, shape (trades,).
    cash
        Dollars at the start. Dollars of a trade stay the same in every order; they are not resized
        to the equity they would have met.
    replace
        False: the same trades in another order, with the same sum. True: trades drawn with
        replacement, which also says how the sum could have differed.

    Raises
    ------
    ConfigError
        For no trades, cash not above 0, or fewer than 100 draws.
    DataError
        For NaN among the trades.

    Notes
    -----
    Shuffling assumes that trades do not influence each other: losses that come together because the
    market fell look shallower here than they are. Trades side by side count one after the other.
    Masters (2018), "Testing and Tuning Market Trading Systems", ch. 8,
    doi:10.1007/978-1-4842-4173-8; Efron (1979), doi:10.1214/aos/1176344552, for `replace`.
    """
    values = _checked(pnl, "pnl")
    if not 0.0 < cash < math.inf:
        raise ConfigError(f"cash={cash} is no start; expected dollars above 0")
    if draws < 100:
        raise ConfigError(f"draws={draws} are too few for a tail; expected 1000 or more")
    generator = np.random.default_rng(seed)
    if replace:
        orders = independent_draws(values.size, draws, generator)
    else:
        orders = (generator.permutation(values.size) for _ in range(draws))
    drawdowns = np.array([max_drawdown(_equity(values[order], cash)) for order in orders])
    actual = max_drawdown(_equity(values, cash))
    shallower = float(np.mean(drawdowns > actual + 1e-12))
    return TradeOrder(actual, drawdowns, shallower, values.size, seed)


@dataclass(frozen=True, slots=True)
class CostPoint:
    """P&L of all trades at a multiple of their costs, dollars; `loss`: how often it is a loss."""

    multiple: float
    pnl: float
    low: float
    high: float
    loss: float


@dataclass(frozen=True, slots=True)
class CostCurve:
    """P&L over multiples of the costs paid, and the multiple at which nothing is left.

    `break_even` is gross P&L / costs: 1.5 means costs half as high again would eat all of it, below
    1 that they already do, 0 or less that there is nothing even without costs; inf without costs
    and with a gain. `break_even_interval` comes from drawing the trades again.
    """

    points: tuple[CostPoint, ...]
    break_even: float
    break_even_interval: Interval
    trades: int
    draws: int
    seed: int

    def __str__(self) -> str:
        """Print as `nothing is left at 2.31 times the costs [0.84, 4.02]`."""
        low, high = self.break_even_interval
        return f"nothing is left at {self.break_even:.2f} times the costs [{low:.2f}, {high:.2f}]"


def cost_curve(
    pnl: Floats,
    costs: Floats,
    *,
    seed: int,
    multiples: Sequence[float] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0),
    draws: int = 1000,
    level: float = LEVEL,
) -> CostCurve:
    """Tell what the trades earn at multiples of their costs, with intervals.

    Parameters
    ----------
    pnl
        Dollars a closed trade after costs, shape (trades,).
    costs
        Dollars of commission and spread in each of them, >= 0, shape (trades,).
    multiples
        Factors on all costs; 1 is what happened.

    Returns
    -------
    For every multiple the sum of pnl + costs − multiple × costs, its percentile interval over
    resampled trades, and the share of resamples with a loss. The trades are the same at every
    multiple: that dearer trading would have passed up some entries is not in here.

    Raises
    ------
    ConfigError
        For no trades, different lengths, no or negative multiples, or fewer than 100 draws.
    DataError
        For NaN, and for negative costs.

    Notes
    -----
    Break-even costs: Bessembinder and Chan (1998), "Market efficiency and the returns to technical
    analysis", Financial Management 27(2), 5-17, doi:10.2307/3666289. Intervals: Efron (1979),
    doi:10.1214/aos/1176344552; trades are taken as independent.
    """
    net, paid = _checked(pnl, "pnl"), _checked(costs, "costs")
    if net.size != paid.size:
        raise ConfigError(f"there are {net.size} trades but {paid.size} costs; expected one each")
    if (paid < 0.0).any():
        raise DataError(f"trade {int(paid.argmin())} has negative costs; expected dollars >= 0")
    factors = np.asarray(multiples, dtype=np.float64)
    if factors.size == 0 or not (factors >= 0.0).all():
        raise ConfigError(f"multiples={multiples} of the costs; expected numbers of 0 or more")
    if draws < 100:
        raise ConfigError(f"draws={draws} are too few for a tail; expected 1000 or more")
    gross = net + paid
    generator = np.random.default_rng(seed)
    sums = np.array(
        [
            (gross[draw].sum(), paid[draw].sum())
            for draw in independent_draws(net.size, draws, generator)
        ]
    )
    points = []
    for factor in factors:
        drawn = sums[:, 0] - factor * sums[:, 1]
        total = float(gross.sum() - factor * paid.sum())
        limits = percentile(total, drawn, level=level)
        points.append(CostPoint(float(factor), total, *limits, float(np.mean(drawn < 0.0))))
    break_even = _ratio(float(gross.sum()), float(paid.sum()))
    ratios = np.array([_ratio(above, below) for above, below in sums])
    interval = percentile(break_even, ratios, level=level)
    return CostCurve(tuple(points), break_even, interval, net.size, draws, seed)


def _equity(pnl: Floats, cash: float) -> Floats:
    return np.concatenate(([cash], cash + np.cumsum(pnl)))


def _ratio(gross: float, costs: float) -> float:
    if costs > 0.0:
        return gross / costs
    return math.copysign(math.inf, gross) if gross else math.nan


def _checked(values: Floats, name: str) -> Floats:
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim != 1 or checked.size == 0:
        raise ConfigError(
            f"{name} has shape {checked.shape}; expected a number a trade, at least 1"
        )
    if not np.isfinite(checked).all():
        raise DataError(f"{name} of trade {int(np.argmin(np.isfinite(checked)))} is not a number")
    return checked
