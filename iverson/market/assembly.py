# SPDX-License-Identifier: GPL-3.0-or-later
"""Assembly: raw rows and actions of one symbol become immutable `Bars`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from iverson.market import actions as table
from iverson.market import adjust
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import Calendar


def assemble(
    frame: pd.DataFrame,
    actions: pd.DataFrame,
    calendar: Calendar,
    *,
    symbol: str,
    interval: str,
    feed: str = "",
) -> Bars:
    """Build the bars of one symbol, with the split factor and the dividends of each bar.

    Parameters
    ----------
    frame : this symbol's raw rows, increasing in time; columns session, open, high, low, close,
        volume and, for intraday bars, `at` (tz-aware UTC or naive UTC, right edge)
    actions : the actions table; other symbols' rows are ignored
    calendar : gives the closing instant, which is `at` of a daily bar
    feed : where the prices were seen, in words

    `BadBars` when the rows are not increasing in time or hold a price that is not above 0.
    """
    own = table.of_symbol(actions, symbol)
    session = frame["session"].to_numpy().astype("datetime64[D]")
    if interval == DAILY:
        at = calendar.closes(session)
    else:
        stamps = pd.DatetimeIndex(frame["at"])
        naive = stamps.tz_convert("UTC").tz_localize(None) if stamps.tz is not None else stamps
        at = naive.to_numpy().astype("datetime64[ns]")
    columns = {
        name: np.array(frame[name], dtype=np.float64)
        for name in ("open", "high", "low", "close", "volume")
    }
    return Bars(
        symbol=symbol,
        interval=interval,
        at=at,
        session=session.copy(),
        factor=adjust.split_factor(session, own),
        dividend=adjust.dividends_per_bar(session, own),
        feed=feed,
        **columns,
    )
