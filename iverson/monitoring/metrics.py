# SPDX-License-Identifier: GPL-3.0-or-later
"""Performance metrics: cheap numbers for a search; `summary.py` gives them honest intervals.

The functions take NumPy arrays and are called thousands of times: `equity` is dollars at each
session's close, oldest first; `returns` are its session-to-session fractions; `pnl` is dollars per
closed trade after costs. They never raise on short or degenerate input: a number that does not
exist is NaN, and a NaN in the input makes a NaN (total return, CAGR and with it Calmar see only
the two ends). `OBJECTIVES` is what a search maximises.

The first value of `equity` is the starting point and has no return. When something can happen in
the first session already, put the starting cash in front (`starting_equity` of `summary`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SESSIONS_PER_YEAR = 252
DAYS_PER_YEAR = 365.25
MINIMUM_TRADES = 30
WORST = -math.inf

Floats = NDArray[np.float64]


def returns_of(equity: Floats) -> Floats:
    """Give the simple returns e[t]/e[t−1] − 1, fractions, one fewer than the sessions.

    All NaN when any equity is not above 0: after a ruin there are no returns.
    """
    if equity.size < 2:
        return np.empty(0)
    if not equity.min() > 0.0:
        return np.full(equity.size - 1, math.nan)
    returns: Floats = equity[1:] / equity[:-1] - 1.0
    return returns


def sharpe(returns: Floats) -> float:
    """Give the annualised Sharpe ratio: √252 · mean / standard deviation of daily returns.

    Risk-free rate 0, sample deviation (n − 1). NaN below 2 returns or when they do not vary.

    Notes
    -----
    Sharpe (1994), Journal of Portfolio Management 21(1), 49-58, doi:10.3905/jpm.1994.409501.
    quantstats agrees. Backtrader's `SharpeRatio` differs: yearly returns, a risk-free rate of
    1 %, the population deviation (n), hence mostly a handful of observations.
    """
    mean, deviation = _moments(returns)
    return math.sqrt(SESSIONS_PER_YEAR) * mean / deviation if deviation > 0.0 else math.nan


def volatility(returns: Floats) -> float:
    """Give the annualised sample deviation of daily returns, √252 · s, a fraction >= 0."""
    return math.sqrt(SESSIONS_PER_YEAR) * _moments(returns)[1]


def sortino(returns: Floats) -> float:
    """Give the annualised Sortino ratio: √252 · mean / √(mean of min(r, 0)²).

    The threshold is 0 and the mean square is over all sessions, not only the losing ones. Without
    a losing session: inf for a positive mean, NaN for a zero one (quantstats: NaN for both).

    Notes
    -----
    Sortino and Price (1994), Journal of Investing 3(3), 59-64, doi:10.3905/joi.3.3.59.
    """
    if returns.size == 0:
        return math.nan
    losses = np.minimum(returns, 0.0)
    downside = math.sqrt(float(losses @ losses) / returns.size)
    return _ratio(math.sqrt(SESSIONS_PER_YEAR) * float(returns.sum()) / returns.size, downside)


def total_return(equity: Floats) -> float:
    """Give last / first − 1, a fraction; NaN below 2 sessions or from a start not above 0."""
    if equity.size < 2 or not equity[0] > 0.0:
        return math.nan
    return float(equity[-1] / equity[0]) - 1.0


def cagr(equity: Floats, years: float) -> float:
    """Give the compound annual growth rate (last / first)^(1 / years) − 1, a fraction.

    `years` is calendar time, days / 365.25 (see `years_between`). −1 when nothing or a debt is
    left; NaN for years <= 0. quantstats counts bars / 252 instead of the calendar.
    """
    growth = 1.0 + total_return(equity)
    if not years > 0.0 or math.isnan(growth):
        return math.nan
    if growth <= 0.0:
        return -1.0
    exponent = math.log(growth) / years
    return math.expm1(exponent) if exponent < 700.0 else math.inf


def years_between(first: date, last: date) -> float:
    """Count calendar years between two sessions, days / 365.25."""
    return (last - first).days / DAYS_PER_YEAR


def max_drawdown(equity: Floats) -> float:
    """Give the deepest fall from a running peak, min(e[t] / max(e[..t]) − 1), a fraction <= 0.

    NaN without sessions or from a start not above 0. Measured on closes: the loss inside a session
    was at least as deep. Magdon-Ismail and Atiya (2004), "Maximum drawdown", Risk 17(10).
    """
    if equity.size == 0 or not equity[0] > 0.0:
        return math.nan
    return float((equity / np.maximum.accumulate(equity)).min()) - 1.0


def calmar(equity: Floats, years: float) -> float:
    """Give CAGR / |maximum drawdown| over the whole span.

    Without a drawdown: inf for a positive CAGR, NaN for a zero one. Young (1991), "Calmar Ratio:
    A Smoother Tool", Futures 20, takes the last 36 months; quantstats the whole span, 252 bars.
    """
    return _ratio(cagr(equity, years), -max_drawdown(equity))


def ulcer_index(equity: Floats) -> float:
    """Give √(mean of squared drawdowns), a fraction >= 0, over all sessions.

    Martin and McCann (1989), "The Investor's Guide to Fidelity Funds". quantstats divides by n − 1.
    """
    if equity.size == 0 or not equity[0] > 0.0:
        return math.nan
    falls = equity / np.maximum.accumulate(equity) - 1.0
    return math.sqrt(float(falls @ falls) / falls.size)


def profit_factor(pnl: Floats) -> float:
    """Give the dollars won / the dollars lost over all trades, >= 0.

    No trades, or only trades of exactly 0: NaN. No losing trade: inf. Pardo (2008), "The Evaluation
    and Optimization of Trading Strategies". quantstats sums daily returns, not trades.
    """
    return _ratio(float(np.maximum(pnl, 0.0).sum()), -float(np.minimum(pnl, 0.0).sum()))


def win_rate(pnl: Floats) -> float:
    """Give the fraction of trades with pnl > 0; a trade of exactly 0 is not a win. NaN for none.

    quantstats counts sessions with a positive return among those with any.
    """
    if pnl.size == 0 or math.isnan(float(pnl.sum())):
        return math.nan
    return int(np.count_nonzero(pnl > 0.0)) / pnl.size


def average_trade(pnl: Floats) -> float:
    """Give the mean dollars per trade after costs; NaN without trades."""
    return float(pnl.sum()) / pnl.size if pnl.size else math.nan


def expectancy(pnl: Floats) -> float:
    """Give the mean trade in units of the mean losing trade; it has the sign of the mean.

    mean(pnl) / |mean of the losing trades|; NaN without trades or without a losing one. Tharp
    (2007), "Trade Your Way to Financial Freedom", ch. 7, with the average loss standing in for 1R.
    Other tools call `average_trade` (dollars) expectancy.
    """
    lost = pnl[pnl < 0.0]
    return average_trade(pnl) / -float(lost.mean()) if lost.size else math.nan


def payoff_ratio(pnl: Floats) -> float:
    """Give the mean winning trade / |mean losing trade|, > 0; NaN when either is missing."""
    won, lost = pnl[pnl > 0.0], pnl[pnl < 0.0]
    if won.size == 0 or lost.size == 0 or math.isnan(float(pnl.sum())):
        return math.nan
    return -float(won.mean()) / float(lost.mean())


def exposure(positions: Floats) -> float:
    """Give the fraction of sessions with a position; `positions` is 0 when flat at the close.

    quantstats counts sessions with a return other than 0, rounded up to a percent.
    """
    if positions.size == 0 or math.isnan(float(np.abs(positions).sum())):
        return math.nan
    return int(np.count_nonzero(positions)) / positions.size


def turnover(traded: float, equity: Floats, years: float) -> float:
    """Give how often a year the account was turned over: traded / 2 / mean equity / years.

    `traded` is the dollars of all buys plus all sells. The half is also pyfolio's `average=True`;
    the SEC's form N-1A takes the lesser of buys and sells.
    """
    if equity.size == 0 or not years > 0.0 or not equity.mean() > 0.0:
        return math.nan
    return traded / 2.0 / float(equity.mean()) / years


class Objective(Protocol):
    """What a search maximises: a number for one run, never NaN."""

    def __call__(
        self, equity: Floats, pnl: Floats, years: float, minimum_trades: int = MINIMUM_TRADES
    ) -> float:
        """Score closes (dollars), trades (dollars after costs) and calendar years.

        `WORST` (−inf) for fewer than `minimum_trades` trades, so that a parameter set cannot win
        by one lucky trade, and for NaN. A profit factor, Sortino or Calmar without a loss is inf.
        """
        ...


def _objective(score: Callable[[Floats, Floats, float], float]) -> Objective:
    def objective(
        equity: Floats, pnl: Floats, years: float, minimum_trades: int = MINIMUM_TRADES
    ) -> float:
        if pnl.size < minimum_trades:
            return WORST
        value = score(equity, pnl, years)
        return WORST if math.isnan(value) else value

    return objective


OBJECTIVES: dict[str, Objective] = {
    "sharpe": _objective(lambda equity, pnl, years: sharpe(returns_of(equity))),
    "cagr": _objective(lambda equity, pnl, years: cagr(equity, years)),
    "profit_factor": _objective(lambda equity, pnl, years: profit_factor(pnl)),
    "calmar": _objective(lambda equity, pnl, years: calmar(equity, years)),
    "total_return": _objective(lambda equity, pnl, years: total_return(equity)),
    "sortino": _objective(lambda equity, pnl, years: sortino(returns_of(equity))),
}


def _moments(returns: Floats) -> tuple[float, float]:
    """Mean and sample deviation; a deviation that is only rounding counts as 0."""
    count = returns.size
    if count < 2:
        return math.nan, math.nan
    mean = float(returns.sum()) / count
    centred = returns - mean
    deviation = math.sqrt(float(centred @ centred) / (count - 1))
    return mean, 0.0 if deviation <= 1e-12 * abs(mean) else deviation


def _ratio(above: float, below: float) -> float:
    if below != 0.0:
        return above / below
    return math.inf if above > 0.0 else math.nan
