# SPDX-License-Identifier: GPL-3.0-or-later
"""Regimes of the market, told from the past alone: calm or volatile, rising or falling.

The label of a session is known at the close before it, so it could have been acted on. That rules
out what is usually fitted to the whole history: smoothed hidden Markov states (Hamilton 1989,
doi:10.2307/1912559), quantiles of the full sample, turning points.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from iverson.errors import DataError
from iverson.market.bars import Bars

VOLATILITY_SESSIONS = 60
HISTORY_SESSIONS = 252
TREND_SESSIONS = 200
UNKNOWN = "unknown"
STATES: Mapping[str, tuple[str, ...]] = {
    "volatility": ("calm", "normal", "volatile"),
    "trend": ("rising", "falling"),
}


def benchmark(bars: Mapping[str, Bars]) -> pd.Series[float]:
    """Return the level by session, 1.0 at the first, of the symbols in equal parts every session.

    Each session's return is the mean over the symbols that have a bar in it and one before, of
    their close-to-close returns with splits and dividends. A symbol joins with its second bar.

    Raises
    ------
    DataError: no symbol has two sessions.
    """
    returns = pd.DataFrame({symbol: _returns(one) for symbol, one in bars.items()}).sort_index()
    if len(returns) < 2:
        raise DataError("no symbol has two sessions of bars; import more to have a benchmark")
    mean = returns.mean(axis=1).fillna(0.0)
    return (1.0 + mean).cumprod().rename("benchmark")


def regimes(
    market: Mapping[str, Bars] | pd.Series[float],
    *,
    volatility_sessions: int = VOLATILITY_SESSIONS,
    history_sessions: int = HISTORY_SESSIONS,
    trend_sessions: int = TREND_SESSIONS,
) -> pd.DataFrame:
    """Label every session of a market by its volatility and its trend, from the sessions before.

    Parameters
    ----------
    market
        Bars by symbol, of which the equal-weight `benchmark` is taken, or a benchmark of your own:
        levels above 0 by session, increasing sessions, no NaN.
    volatility_sessions, history_sessions, trend_sessions
        Windows; the history counts earlier volatilities.

    Returns
    -------
    Sessions × ("volatility", "trend"), words. Volatility is "calm", "normal" or "volatile" as the
    deviation of the last 60 returns stands in the lowest, middle or highest third of all such
    deviations up to then, at least 252 of them. Trend is "rising" when the last close is above the
    mean of the last 200, else "falling". "unknown" until the windows are full. The label of
    session t uses closes up to t − 1 only.

    Raises
    ------
    DataError: a level that is not above 0, sessions out of order, a window below 2.

    Notes
    -----
    Trend: Faber (2007), "A Quantitative Approach to Tactical Asset Allocation", Journal of Wealth
    Management 9(4), 69-79, doi:10.3905/jwm.2007.674809 (10 months); the 200-day average is in
    Brock, Lakonishok and LeBaron (1992), Journal of Finance 47(5), 1731-1764,
    doi:10.1111/j.1540-6261.1992.tb04681.x. Volatility: it persists, so that its past says
    something of its future; Moreira and Muir (2017), "Volatility-Managed Portfolios", Journal of
    Finance 72(4), 1611-1644, doi:10.1111/jofi.12513, sort by last month's; here it is a quarter's,
    and the borders of the thirds move with what was known. As the history grows, thirds of it
    are not thirds of the sessions labelled.
    """
    for window in (volatility_sessions, history_sessions, trend_sessions):
        if window < 2:
            raise DataError(f"a window of {window} sessions is too short; expected 2 or more")
    level = _checked(market if isinstance(market, pd.Series) else benchmark(market))
    deviation = level.pct_change().rolling(volatility_sessions).std()
    past = deviation.expanding(history_sessions)
    low, high = past.quantile(1 / 3), past.quantile(2 / 3)
    average = level.rolling(trend_sessions).mean()
    calm, normal, volatile = STATES["volatility"]
    rising, falling = STATES["trend"]
    volatility = np.select([low.isna(), deviation <= low, deviation <= high],
                           [UNKNOWN, calm, normal], volatile)  # fmt: skip
    trend = np.select([average.isna(), level > average], [UNKNOWN, rising], falling)
    known = pd.DataFrame({"volatility": volatility, "trend": trend}, index=level.index)
    return known.shift(1, fill_value=UNKNOWN)


def _returns(bars: Bars) -> pd.Series[float]:
    """Return close-to-close returns with dividends by session, NaN at the first."""
    starts = np.flatnonzero(np.r_[True, bars.session[1:] != bars.session[:-1]])
    ends = np.r_[starts[1:], len(bars)] - 1
    paid = np.add.reduceat(bars.dividend, starts)
    worth = (bars.close[ends] + paid) * bars.factor[ends]
    before = (bars.close * bars.factor)[ends]
    returns = np.full(len(ends), np.nan)
    returns[1:] = worth[1:] / before[:-1] - 1.0
    index = pd.DatetimeIndex(bars.session[ends].astype("datetime64[ns]"), name="session")
    return pd.Series(returns, index=index)


def _checked(level: pd.Series[Any]) -> pd.Series[float]:
    index = pd.DatetimeIndex(level.index)
    values = level.to_numpy(dtype=np.float64)
    if not index.is_monotonic_increasing or not index.is_unique:
        raise DataError("the benchmark's sessions are out of order or repeated; sort them")
    if not (np.isfinite(values) & (values > 0.0)).all():
        where = index[int(np.argmin(np.isfinite(values) & (values > 0.0)))]
        raise DataError(
            f"the benchmark has no level above 0 on {where:%Y-%m-%d}; expected one every session"
        )
    return pd.Series(values, index=index.rename("session"))
