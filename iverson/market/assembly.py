# SPDX-License-Identifier: GPL-3.0-or-later
"""Assembly: raw rows and actions of one symbol become immutable `Bars`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from iverson.market import actions as table
from iverson.market import adjust
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import Calendar
from iverson.market.files import Columns


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
    columns: Columns = {
        name: np.array(frame[name], dtype=np.float64)
        for name in ("open", "high", "low", "close", "volume")
    }
    columns["session"] = frame["session"].to_numpy().astype("datetime64[D]").copy()
    if interval != DAILY:
        stamps = pd.DatetimeIndex(frame["at"])
        naive = stamps.tz_convert("UTC").tz_localize(None) if stamps.tz is not None else stamps
        columns["at"] = naive.to_numpy().astype("datetime64[ns]")
    return assemble_columns(columns, actions, calendar, symbol=symbol, interval=interval, feed=feed)


def assemble_columns(
    columns: Columns,
    actions: pd.DataFrame,
    calendar: Calendar,
    *,
    symbol: str,
    interval: str,
    feed: str = "",
) -> Bars:
    """Build the bars of one symbol of its columns, which become theirs and read-only.

    `columns` are those of `assemble`'s frame: session as datetime64[D], at as datetime64[ns] in
    UTC, prices and volume as float64.
    """
    session = columns["session"]
    factor, dividend = np.ones(len(session)), np.zeros(len(session))
    if len(actions):  # most shares have none, and asking costs more than reading them
        own = table.of_symbol(actions, symbol)
        factor = adjust.split_factor(session, own)
        dividend = adjust.dividends_per_bar(session, own)
    return Bars(
        symbol=symbol,
        interval=interval,
        at=calendar.closes(session) if interval == DAILY else columns["at"],
        session=session,
        open=columns["open"],
        high=columns["high"],
        low=columns["low"],
        close=columns["close"],
        volume=columns["volume"],
        factor=factor,
        dividend=dividend,
        feed=feed,
    )
