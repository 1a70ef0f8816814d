# SPDX-License-Identifier: GPL-3.0-or-later
"""How a result did in each regime: returns of the sessions in it, trades entered in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.errors import DataError
from iverson.monitoring import intervals
from iverson.monitoring.intervals import (
    Floats,
    Interval,
    block_draws,
    independent_draws,
    percentile,
    resample,
    wilson,
)
from iverson.monitoring.measured import MINIMUM_SESSIONS
from iverson.monitoring.metrics import (
    MINIMUM_TRADES,
    SESSIONS_PER_YEAR,
    returns_of,
    sharpe,
    volatility,
    win_rate,
)
from iverson.research.regimes import STATES, UNKNOWN
from iverson.research.results import Recorded

MEASURES = ("return_a_year", "volatility", "sharpe")


def by_regime(
    result: Recorded, labels: pd.DataFrame, *, seed: int = 0, resamples: int = 1000
) -> pd.DataFrame:
    """Measure a result in each regime.

    Parameters
    ----------
    result
        A backtest or a walk-forward.
    labels
        Words by session, one column for each kind of regime, as from `regimes`; a session of the
        result that is not in it counts as "unknown".
    seed, resamples
        Of the bootstrap.

    Returns
    -------
    One row for each (kind, state) that occurs. `sessions`; `return_a_year` (compounded over the
    state's sessions alone, a fraction), `volatility` (a fraction a year) and `sharpe`, each with
    `_low` and `_high`; `trades` entered in the state, `win_rate` with limits, `pnl` (dollars) with
    limits. NaN below 60 sessions, or 30 trades; `sessions`, `trades` and `pnl` are facts and stay.

    Raises
    ------
    DataError: labels with a session twice. ConfigError: fewer than 100 resamples.

    Notes
    -----
    Limits are at 95 %. Sessions: the whole record is drawn again with its labels by the stationary
    bootstrap (`block_draws`), and the drawn sessions of the state are measured, so that neither
    the spells nor their number are taken as given. Win rate: Wilson. P&L: the state's trades drawn
    independently.
    """
    intervals.checked_resamples(resamples)
    if not labels.index.is_unique:
        raise DataError("the labels have a session twice; expected one row for each session")
    equity = result.equity
    returns = returns_of(np.concatenate(([result.start], equity.to_numpy(dtype=np.float64))))
    here = labels.reindex(equity.index).fillna(UNKNOWN)
    entered = labels.reindex(result.trades["entry_session"]).fillna(UNKNOWN)
    pnl = result.trades["pnl"].to_numpy(dtype=np.float64)
    rows = {}
    for kind in labels.columns:
        of_session, of_trade = (frame[kind].to_numpy(dtype=object) for frame in (here, entered))
        states = _states(str(kind), of_session)
        masks = [of_session == state for state in states]
        generator = np.random.default_rng(seed)
        measured = _measure_sessions(returns, masks, generator, resamples)
        for state, row in zip(states, measured, strict=True):
            rows[kind, state] = {**row, **_trades(pnl[of_trade == state], generator, resamples)}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(rows, names=["kind", "state"])
    return table.astype({"sessions": int, "trades": int})


def _states(kind: str, found: NDArray[np.object_]) -> list[str]:
    order = (*STATES.get(kind, ()), UNKNOWN)
    seen = {str(state) for state in found}
    return [state for state in order if state in seen] + sorted(seen - set(order))


def _measure_sessions(
    returns: Floats, masks: list[NDArray[np.bool_]], generator: np.random.Generator, resamples: int
) -> Iterator[dict[str, float]]:
    def again(draw: NDArray[np.intp]) -> tuple[float, ...]:
        drawn = returns[draw]
        return tuple(value for mask in masks for value in _measures(drawn[mask[draw]]))

    draws = block_draws(returns.size, resamples, generator)
    samples = resample(again, draws).reshape(-1, len(masks), len(MEASURES))
    for place, mask in enumerate(masks):
        enough = int(mask.sum()) >= MINIMUM_SESSIONS
        row = {"sessions": float(mask.sum())}
        values = _measures(returns[mask]) if enough else (np.nan,) * len(MEASURES)
        for column, (name, value) in enumerate(zip(MEASURES, values, strict=True)):
            limits = percentile(value, samples[:, place, column])
            row |= _with_limits(name, value, limits)
        yield row


def _measures(returns: Floats) -> tuple[float, ...]:
    """Return growth a year, volatility, Sharpe ratio of sessions that need not be neighbours."""
    if returns.size == 0:
        return (np.nan,) * len(MEASURES)
    growth = float(np.prod(1.0 + returns))
    a_year = growth ** (SESSIONS_PER_YEAR / returns.size) - 1.0 if growth > 0.0 else -1.0
    return a_year, volatility(returns), sharpe(returns)


def _trades(pnl: Floats, generator: np.random.Generator, resamples: int) -> dict[str, Any]:
    total, wins = float(pnl.sum()), int((pnl > 0.0).sum())
    row: dict[str, Any] = {"trades": float(pnl.size)}
    if pnl.size < MINIMUM_TRADES:
        row |= _with_limits("win_rate", np.nan, intervals.UNKNOWN)
        return row | _with_limits("pnl", total, intervals.UNKNOWN)
    draws = independent_draws(pnl.size, resamples, generator)
    sums = resample(lambda draw: (float(pnl[draw].sum()),), draws)[:, 0]
    row |= _with_limits("win_rate", win_rate(pnl), wilson(wins, pnl.size))
    return row | _with_limits("pnl", total, percentile(total, sums))


def _with_limits(name: str, value: float, limits: Interval) -> dict[str, float]:
    return {name: value, f"{name}_low": limits.low, f"{name}_high": limits.high}
