# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of one run, each with its number of observations and its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from iverson.errors import DataError
from iverson.monitoring.intervals import LEVEL, UNKNOWN, Floats
from iverson.monitoring.measured import Metric, metric, session_metrics, trade_metrics
from iverson.monitoring.metrics import exposure, max_drawdown, returns_of, turnover, years_between


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


@dataclass(frozen=True)
class Summary:
    """The metrics of one run in a fixed order: `summary.sharpe`, `summary["sharpe"]`, a table."""

    metrics: Mapping[str, Metric]
    drawdown: Drawdown
    first: date | None
    last: date | None
    seed: int
    resamples: int
    level: float = LEVEL

    def __getitem__(self, name: str) -> Metric:
        return self.metrics[name]

    def __getattr__(self, name: str) -> Metric:
        metrics: Mapping[str, Metric] = self.__dict__.get("metrics", {})  # none while unpickling
        if name not in metrics:
            raise AttributeError(f"a summary has no metric {name!r}")
        return metrics[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.metrics]

    def __iter__(self) -> Iterator[Metric]:
        return iter(self.metrics.values())

    def __len__(self) -> int:
        return len(self.metrics)

    def table(self) -> pd.DataFrame:
        """Give one row a metric: value, low, high, observations, enough, target, note."""
        columns = ["value", "low", "high", "observations", "enough", "target", "note"]
        rows = [[getattr(one, column) for column in columns] for one in self]
        index = pd.Index(list(self.metrics), name="metric")
        return pd.DataFrame(rows, index=index, columns=columns).astype({"target": float})

    def __str__(self) -> str:
        """Print one line a metric."""
        return "\n".join(map(str, self))


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
    best, worst = (float(pick(returns, default=math.nan)) for pick in (max, min))
    count = returns.size
    fills = 0 if math.isnan(traded) else count
    generator = np.random.default_rng(seed)
    found = [
        *trade_metrics(trades, lengths, generator, resamples),
        *session_metrics(values, returns, years, generator, resamples),
        metric("best_session", best, UNKNOWN, count, unit="fraction"),
        metric("worst_session", worst, UNKNOWN, count, unit="fraction"),
        metric("exposure", exposure(held), UNKNOWN, held.size, unit="fraction"),
        metric("turnover", turnover(traded, values, years), UNKNOWN, fills),
    ]
    by_name = {one.name: one for one in found}
    return Summary(
        metrics={name: by_name[name] for name in _ORDER},
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
