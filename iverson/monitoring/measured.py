# SPDX-License-Identifier: GPL-3.0-or-later
"""One measured number: its interval, what it rests on, and what has to be said beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iverson.monitoring.intervals import (
    Floats,
    Interval,
    block_draws,
    independent_draws,
    percentile,
    resample,
    sharpe_interval,
    wilson,
)
from iverson.monitoring.metrics import (
    MINIMUM_TRADES,
    average_trade,
    cagr,
    calmar,
    expectancy,
    max_drawdown,
    payoff_ratio,
    profit_factor,
    sharpe,
    sortino,
    total_return,
    ulcer_index,
    volatility,
    win_rate,
)

MINIMUM_SESSIONS = 60
TARGETS: Mapping[str, float] = {"profit_factor": 1.5, "sharpe": 1.0, "max_drawdown": -0.10}
DRAWDOWN_CAP = -0.15  # the guide's cap is a band, 10 to 15 %: the target is its near end


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


_Functions = dict[str, tuple[Callable[..., float], str]]  # by metric, with its unit
_Again = Callable[[NDArray[np.intp]], tuple[Floats, ...]]  # the arguments, drawn again


def trade_metrics(
    pnl: Floats, holding: Floats, generator: np.random.Generator, resamples: int
) -> Iterator[Metric]:
    """Measure dollars and sessions per trade; trades are drawn independently of each other."""
    wins = int(np.count_nonzero(pnl > 0.0))
    yield metric(
        "win_rate", win_rate(pnl), wilson(wins, pnl.size), pnl.size, unit="fraction", trades=True
    )
    functions: _Functions = {
        "profit_factor": (profit_factor, "ratio"),
        "average_trade": (average_trade, "dollars"),
        "expectancy": (expectancy, "R"),
        "payoff_ratio": (payoff_ratio, "ratio"),
    }
    holding_time: _Functions = {"average_holding": (average_trade, "sessions")}
    for table, values in ((functions, pnl), (holding_time, holding)):
        draws = independent_draws(values.size, _times(resamples, values), generator)
        yield from _resampled(table, (values,), _same(values), draws, trades=True)


def session_metrics(
    equity: Floats, returns: Floats, years: float, generator: np.random.Generator, resamples: int
) -> Iterator[Metric]:
    """Measure closes and their returns; sessions are drawn by the stationary bootstrap."""
    yield metric("sharpe", sharpe(returns), sharpe_interval(returns), returns.size)
    functions: _Functions = {
        "total_return": (lambda e, r: total_return(e), "fraction"),
        "cagr": (lambda e, r: cagr(e, years), "fraction"),
        "volatility": (lambda e, r: volatility(r), "fraction"),
        "sortino": (lambda e, r: sortino(r), "ratio"),
        "max_drawdown": (lambda e, r: max_drawdown(e), "fraction"),
        "calmar": (lambda e, r: calmar(e, years), "ratio"),
        "ulcer_index": (lambda e, r: ulcer_index(e), "fraction"),
    }

    def again(draw: NDArray[np.intp]) -> tuple[Floats, Floats]:
        drawn = returns[draw]
        return np.concatenate(([1.0], np.cumprod(1.0 + drawn))), drawn

    draws = block_draws(returns.size, _times(resamples, returns), generator)
    yield from _resampled(functions, (equity, returns), again, draws)


def _same(values: Floats) -> _Again:
    return lambda draw: (values[draw],)


def _times(resamples: int, values: Floats) -> int:
    return resamples if values.size >= 2 and not np.isnan(values).any() else 0


def _resampled(
    functions: _Functions,
    arguments: tuple[Floats, ...],
    again: _Again,
    draws: Iterator[NDArray[np.intp]],
    *,
    trades: bool = False,
) -> Iterator[Metric]:
    """Measure the arguments; the intervals come from the same functions of `again(draw)`."""

    def measure(draw: NDArray[np.intp]) -> tuple[float, ...]:
        drawn = again(draw)
        return tuple(function(*drawn) for function, _ in functions.values())

    samples = resample(measure, draws).reshape(-1, len(functions))
    for column, (name, (function, unit)) in enumerate(functions.items()):
        value = function(*arguments)
        interval = percentile(value, samples[:, column])
        yield metric(name, value, interval, arguments[-1].size, unit=unit, trades=trades)


def metric(
    name: str,
    value: float,
    interval: Interval,
    observations: int,
    *,
    unit: str = "ratio",
    trades: bool = False,
) -> Metric:
    """Make a metric of so many trades or (by default) sessions; its name gives the target."""
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


def _shown(value: float, unit: str) -> str:
    if math.isnan(value):
        return "n/a"
    if unit == "dollars":
        return f"-${-value:,.2f}" if value < 0 else f"${value:,.2f}"
    return f"{value:.2%}" if unit == "fraction" else f"{value:,.2f}"
