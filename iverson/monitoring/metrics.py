# SPDX-License-Identifier: GPL-3.0-or-later
"""Performance metrics: cheap numbers for a search, and the same numbers with honest intervals.

The small functions take NumPy arrays and are called thousands of times: `equity` is dollars at
each session's close, oldest first; `returns` are its session-to-session fractions; `pnl` is
dollars per closed trade after costs. They never raise on short or degenerate input: a number that
does not exist is NaN, and a NaN in the input makes a NaN (total return, CAGR and with it Calmar
see only the two ends). `summary` puts the numbers together with their number of observations and
95 % interval; `OBJECTIVES` is what a search maximises.

The first value of `equity` is the starting point and has no return. When something can happen in
the first session already, put the starting cash in front (`starting_equity` of `summary`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from iverson.errors import DataError
from iverson.monitoring.intervals import (
    LEVEL,
    UNKNOWN,
    Interval,
    block_draws,
    independent_draws,
    percentile,
    resample,
    sharpe_interval,
    wilson,
)

SESSIONS_PER_YEAR = 252
DAYS_PER_YEAR = 365.25
MINIMUM_TRADES = 30
MINIMUM_SESSIONS = 60
TARGETS: Mapping[str, float] = {"profit_factor": 1.5, "sharpe": 1.0, "max_drawdown": -0.10}
DRAWDOWN_CAP = -0.15  # the guide's cap is a band, 10 to 15 %: the target is its near end
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


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall: `depth` (fraction <= 0) from `peak` over `trough` to `recovery`.

    `peak` is the last session at the high before the fall, `trough` the first at the bottom,
    `recovery` the first back at the high, or None when that has not happened. All three are None
    when equity never fell.
    """

    depth: float
    peak: date | None = None
    trough: date | None = None
    recovery: date | None = None


def drawdown(equity: pd.Series) -> Drawdown:
    """Find the maximum drawdown of equity (dollars by session) with its sessions."""
    values = np.asarray(equity, dtype=np.float64)
    depth = max_drawdown(values)
    if not depth < 0.0:
        return Drawdown(depth)
    highs = np.maximum.accumulate(values)
    bottom = int((values / highs).argmin())
    high = highs[bottom]
    top = int(np.flatnonzero(values[:bottom] == high)[-1])
    back = np.flatnonzero(values[bottom:] >= high)
    sessions = _sessions(equity.index)
    recovery = sessions[bottom + int(back[0])] if back.size else None
    return Drawdown(depth, sessions[top], sessions[bottom], recovery)


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


@dataclass(frozen=True, slots=True)
class Metric:
    """One number with the reach of its 95 % interval and what it rests on.

    `enough` is False below 30 trades or 60 sessions, and the number is then printed with the words
    "insufficient data". `target` is a bound to exceed. `low` and `high` are NaN where no interval
    exists. `unit`: fraction, ratio, dollars, sessions, or R.
    """

    name: str
    value: float
    low: float
    high: float
    observations: int
    enough: bool
    target: float | None = None
    unit: str = "ratio"

    @property
    def met(self) -> bool | None:
        """Whether the value exceeds the target; None without a target or without a value."""
        if self.target is None or math.isnan(self.value):
            return None
        return self.value > self.target

    @property
    def note(self) -> str:
        """What has to be said beside the number."""
        notes = [] if self.enough else ["insufficient data"]
        if self.met is False:
            beyond = self.name == "max_drawdown" and self.value <= DRAWDOWN_CAP
            notes.append(f"beyond the {-DRAWDOWN_CAP:.0%} cap" if beyond else "misses the target")
        return ", ".join(notes)

    def __str__(self) -> str:
        """Print as `sharpe 1.31 [0.42, 2.20] n=504`, with the note when there is one."""
        low, high = _shown(self.low, self.unit), _shown(self.high, self.unit)
        span = "" if math.isnan(self.low) else f" [{low}, {high}]"
        note = f" ({self.note})" if self.note else ""
        shown = _shown(self.value, self.unit)
        return f"{self.name} {shown}{span} n={self.observations}{note}"


@dataclass(frozen=True)
class Summary:
    """The metrics of one run in a fixed order: `summary.sharpe`, `summary["sharpe"]`, a table."""

    metrics: Mapping[str, Metric]
    drawdown: Drawdown
    first: date | None
    last: date | None
    seed: int
    resamples: int
    level: float = field(default=LEVEL)

    def __getitem__(self, name: str) -> Metric:
        return self.metrics[name]

    def __getattr__(self, name: str) -> Metric:
        # Only called for what is no field; "metrics" itself is missing while unpickling.
        if name != "metrics" and name in self.__dict__.get("metrics", {}):
            return self.metrics[name]
        raise AttributeError(f"a summary has no metric {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.metrics]

    def __iter__(self) -> Iterator[Metric]:
        return iter(self.metrics.values())

    def __len__(self) -> int:
        return len(self.metrics)

    def table(self) -> pd.DataFrame:
        """Give one row a metric: value, low, high, observations, enough, target, note."""
        columns = ("value", "low", "high", "observations", "enough", "target", "note")
        rows = [[getattr(metric, column) for column in columns] for metric in self]
        table = pd.DataFrame(rows, index=pd.Index(list(self.metrics), name="metric"))
        table.columns = pd.Index(columns)
        table["target"] = table["target"].astype(float)
        return table

    def __str__(self) -> str:
        """Print one line a metric."""
        return "\n".join(str(metric) for metric in self)


def summary(
    equity: pd.Series,
    pnl: ArrayLike,
    *,
    positions: ArrayLike | None = None,
    holding: ArrayLike | None = None,
    traded: float = math.nan,
    starting_equity: float | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Summary:
    """Measure one run, each number with its observations and 95 % interval.

    Parameters
    ----------
    equity
        Dollars at the close, marked to market, indexed by session in increasing order. No NaN.
    pnl
        Dollars after costs of each closed trade. No NaN.
    positions
        For each session of `equity`, something that is 0 when flat (count, dollars); for exposure.
    holding
        Sessions each trade was held; for the average holding.
    traded
        Dollars of all buys plus all sells; for the turnover.
    starting_equity
        Dollars before the first session, so that its return counts.
    seed, resamples
        Of the bootstrap; recorded in the result. 0 resamples leaves those intervals NaN.

    Raises
    ------
    DataError
        For a NaN, sessions out of order, or arrays that do not match.

    Notes
    -----
    Intervals: win rate by `wilson`; Sharpe by `sharpe_interval`; other trade metrics by resampling
    trades independently; other session metrics by the stationary bootstrap (`block_draws`).
    The interval of the maximum drawdown is what the same returns in other orders would have shown;
    it is a spread, not an interval of proven coverage, because the maximum grows with the length
    of the record. Exposure, turnover, best and worst session are counts of what happened: none.
    Numbers without their input (exposure without positions) are NaN with 0 observations.
    """
    trades = _checked(pnl, "pnl")
    held = _optional(positions, "positions", len(equity))
    lengths = _optional(holding, "holding", trades.size)
    path = _path(equity, starting_equity)
    values = path.to_numpy()
    sessions = _sessions(path.index)
    years = years_between(sessions[0], sessions[-1]) if sessions else 0.0
    returns = returns_of(values)
    count = returns.size
    fills = 0 if math.isnan(traded) else count
    generator = np.random.default_rng(seed)
    found = [
        *_trade_metrics(trades, lengths, generator, resamples),
        *_session_metrics(values, returns, years, generator, resamples),
        _metric("best_session", _extreme(returns, max), UNKNOWN, count, unit="fraction"),
        _metric("worst_session", _extreme(returns, min), UNKNOWN, count, unit="fraction"),
        _metric("exposure", exposure(held), UNKNOWN, held.size, unit="fraction"),
        _metric("turnover", turnover(traded, values, years), UNKNOWN, fills),
    ]
    ordered = sorted(found, key=lambda metric: _ORDER.index(metric.name))
    return Summary(
        metrics={metric.name: metric for metric in ordered},
        drawdown=drawdown(path),
        first=_sessions(equity.index)[0] if sessions else None,
        last=sessions[-1] if sessions else None,
        seed=seed,
        resamples=resamples,
    )


_ORDER = (
    *("total_return", "cagr", "volatility", "sharpe", "sortino", "max_drawdown", "calmar"),
    *("ulcer_index", "best_session", "worst_session", "win_rate", "profit_factor"),
    *("average_trade", "expectancy", "payoff_ratio", "average_holding", "exposure", "turnover"),
)


def _trade_metrics(
    pnl: Floats, holding: Floats, generator: np.random.Generator, resamples: int
) -> Iterator[Metric]:
    functions: dict[str, tuple[Callable[[Floats], float], str]] = {
        "profit_factor": (profit_factor, "ratio"),
        "average_trade": (average_trade, "dollars"),
        "expectancy": (expectancy, "R"),
        "payoff_ratio": (payoff_ratio, "ratio"),
    }
    wins = int(np.count_nonzero(pnl > 0.0))
    yield _metric(
        "win_rate", win_rate(pnl), wilson(wins, pnl.size), pnl.size, unit="fraction", trades=True
    )

    def measure(draw: NDArray[np.intp]) -> tuple[float, ...]:
        drawn = pnl[draw]
        return tuple(function(drawn) for function, _ in functions.values())

    samples = _samples(measure, independent_draws, pnl.size, resamples, generator)
    for column, (name, (function, unit)) in enumerate(functions.items()):
        value = function(pnl)
        interval = percentile(value, samples[:, column]) if samples.size else UNKNOWN
        yield _metric(name, value, interval, pnl.size, unit=unit, trades=True)

    lengths = _samples(
        lambda draw: (average_trade(holding[draw]),),
        independent_draws,
        holding.size,
        resamples,
        generator,
    )
    value = average_trade(holding)
    interval = percentile(value, lengths[:, 0]) if lengths.size else UNKNOWN
    yield _metric("average_holding", value, interval, holding.size, unit="sessions", trades=True)


def _session_metrics(
    equity: Floats, returns: Floats, years: float, generator: np.random.Generator, resamples: int
) -> Iterator[Metric]:
    functions: dict[str, tuple[Callable[[Floats, Floats], float], str]] = {
        "total_return": (lambda e, r: total_return(e), "fraction"),
        "cagr": (lambda e, r: cagr(e, years), "fraction"),
        "volatility": (lambda e, r: volatility(r), "fraction"),
        "sortino": (lambda e, r: sortino(r), "ratio"),
        "max_drawdown": (lambda e, r: max_drawdown(e), "fraction"),
        "calmar": (lambda e, r: calmar(e, years), "ratio"),
        "ulcer_index": (lambda e, r: ulcer_index(e), "fraction"),
    }
    known = returns.size if not np.isnan(returns).any() else 0

    def measure(draw: NDArray[np.intp]) -> tuple[float, ...]:
        drawn = returns[draw]
        path = np.empty(drawn.size + 1)
        path[0] = 1.0
        np.cumprod(1.0 + drawn, out=path[1:])
        return tuple(function(path, drawn) for function, _ in functions.values())

    yield _metric("sharpe", sharpe(returns), sharpe_interval(returns), returns.size)
    samples = _samples(measure, block_draws, known, resamples, generator)
    for column, (name, (function, unit)) in enumerate(functions.items()):
        value = function(equity, returns)
        interval = percentile(value, samples[:, column]) if samples.size else UNKNOWN
        yield _metric(name, value, interval, returns.size, unit=unit)


def _samples(
    measure: Callable[[NDArray[np.intp]], tuple[float, ...]],
    draws: Callable[[int, int, np.random.Generator], Iterator[NDArray[np.intp]]],
    count: int,
    resamples: int,
    generator: np.random.Generator,
) -> Floats:
    if count < 2 or resamples < 1:
        return np.empty((0, 0))
    return resample(measure, draws(count, resamples, generator))


def _metric(
    name: str,
    value: float,
    interval: Interval,
    observations: int,
    *,
    unit: str = "ratio",
    trades: bool = False,
) -> Metric:
    least = MINIMUM_TRADES if trades else MINIMUM_SESSIONS
    return Metric(
        name=name,
        value=value,
        low=interval.low,
        high=interval.high,
        observations=observations,
        enough=observations >= least,
        target=TARGETS.get(name),
        unit=unit,
    )


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


def _extreme(returns: Floats, pick: Callable[[Floats], float]) -> float:
    return float(pick(returns)) if returns.size else math.nan


def _shown(value: float, unit: str) -> str:
    if math.isnan(value):
        return "n/a"
    return f"{value:.2%}" if unit == "fraction" else f"{value:,.2f}"


def _checked(given: ArrayLike | pd.Series, name: str) -> Floats:
    values = np.asarray(given, dtype=np.float64)
    if values.ndim != 1:
        raise DataError(f"{name} has {values.ndim} dimensions; expected one number a row")
    if not np.isfinite(values).all():
        position = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(
            f"{name} is {values[position]} in row {position}; expected a finite number in each row"
        )
    return values


def _optional(given: ArrayLike | None, name: str, rows: int) -> Floats:
    if given is None:
        return np.empty(0)
    values = _checked(given, name)
    if values.size != rows:
        raise DataError(f"{name} has {values.size} rows; expected {rows}, one for each row beside")
    return values


def _path(equity: pd.Series, starting_equity: float | None) -> pd.Series:
    values = _checked(equity, "equity")
    index = pd.DatetimeIndex(equity.index)
    if not index.is_monotonic_increasing or not index.is_unique:
        raise DataError("equity's sessions are out of order or repeated; sort them, one row each")
    if starting_equity is not None and values.size:
        if not starting_equity > 0.0:
            raise DataError(f"starting_equity is {starting_equity}; expected dollars above 0")
        values = np.concatenate(([starting_equity], values))
        index = index.insert(0, index[0] - pd.Timedelta(days=1))
    return pd.Series(values, index=index)


def _sessions(index: pd.Index) -> list[date]:
    return [stamp.date() for stamp in pd.DatetimeIndex(index)]
