# SPDX-License-Identifier: GPL-3.0-or-later
"""The adjustment rule: how splits and dividends make one continuous series of prices.

A split of n new shares for one old share divides every earlier price by n and multiplies every
earlier volume by n. A dividend, when asked for, multiplies every earlier price by
(close_before - dividend) / close_before, where close_before is the raw close of the last bar
before the ex-date (in the new shares if a split falls on the same date). That is the rule of Yahoo
and CRSP; Quandl's WIKI used close_ex / (close_ex + dividend), which differs visibly for a large
dividend. Dividends leave volumes alone.

Basis "last" leaves the newest bar as quoted and changes all history whenever a split arrives, as
vendors do. Basis "first" leaves the oldest bar as quoted and multiplies later prices instead:
nothing already computed ever changes, so it is point in time. Returns are the same in both.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.errors import BadBars
from iverson.market import actions as table

Basis = Literal["first", "last"]
Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]
PRICES = ("open", "high", "low", "close")


def adjust(
    frame: pd.DataFrame, actions: pd.DataFrame, *, dividends: bool, basis: Basis
) -> pd.DataFrame:
    """Return the bars with continuous prices and volumes, other columns untouched.

    Parameters
    ----------
    frame : raw bars of any symbols, ordered in time within a symbol; columns symbol, session,
        open, high, low, close, volume
    actions : the actions table; those on or before a symbol's first session, or after its last,
        change nothing
    dividends : whether cash dividends are taken out as well
    basis : "first" (oldest bar as quoted) or "last" (newest bar as quoted)

    `BadBars` for a dividend that is not smaller than the close before it. NaN stays NaN.
    """
    if basis not in ("first", "last"):
        raise BadBars(f"basis is {basis!r}; expected 'first' or 'last'")
    prices, shares = np.ones(len(frame)), np.ones(len(frame))
    for symbol, rows in _rows_by_symbol(frame):
        bars = frame.iloc[rows]
        own = table.of_symbol(actions, symbol)
        sessions = bars["session"].to_numpy().astype("datetime64[D]")
        split = split_factor(sessions, own)
        whole = split
        if dividends:
            close = bars["close"].to_numpy(dtype=np.float64)
            whole = split * dividend_factor(sessions, close, own)
        shares[rows] = split / split[-1] if basis == "last" else split
        prices[rows] = whole / whole[-1] if basis == "last" else whole
    scaled = {name: frame[name].to_numpy(dtype=np.float64) * prices for name in PRICES}
    return frame.assign(**scaled, volume=frame["volume"].to_numpy(dtype=np.float64) / shares)


def split_factor(sessions: Days, actions: pd.DataFrame) -> Floats:
    """Return the cumulative split ratio known at each bar, 1.0 on the first session.

    Parameters
    ----------
    sessions : datetime64[D], shape (n,), not decreasing
    actions : the actions of this one symbol

    Returns
    -------
    Shape (n,): product of the ratios with first session < ex-date <= session. Raw price times
    this factor is continuous; raw volume divided by it is too.
    """
    if len(sessions) == 0:
        return np.ones(0)
    splits = actions.loc[actions["kind"] == table.SPLIT]
    return _cumulative(splits, sessions, after=sessions[0])


def dividend_factor(sessions: Days, close: Floats, actions: pd.DataFrame) -> Floats:
    """Return the cumulative factor 1/(1 - dividend/close_before) at each bar, first is 1.0.

    `sessions` and the raw `close` have shape (n,); `actions` are those of this one symbol.
    `BadBars` for a dividend that is not smaller than the close before it.
    """
    paid = dividends_per_bar(sessions, actions)
    factor = np.ones(len(sessions))
    shares = split_factor(sessions, actions)
    for index in np.flatnonzero(paid):
        before = close[index - 1] * shares[index - 1] / shares[index]
        if not paid[index] < before:
            raise BadBars(
                f"the dividend of {paid[index]:g} on {sessions[index]} is not smaller than the "
                f"close of {before:g} before it; mend the actions"
            )
        factor[index] = before / (before - paid[index])
    return np.asarray(np.cumprod(factor), dtype=np.float64)


def dividends_per_bar(sessions: Days, actions: pd.DataFrame) -> Floats:
    """Return the cash a share paid at each bar, on the first bar of the ex-session.

    Shape (n,), raw dollars of that bar's shares. An ex-date without a bar counts for the next bar;
    those on or before the first session, or after the last, are left out: whoever holds at these
    bars was not entitled. Several dividends on one bar are added.
    """
    paid = np.zeros(len(sessions))
    listed = actions.loc[actions["kind"] == table.DIVIDEND]
    if len(sessions) == 0 or listed.empty:
        return paid
    dates = listed["session"].to_numpy().astype("datetime64[D]")
    value = listed["value"].to_numpy(dtype=np.float64)
    inside = (dates > sessions[0]) & (dates <= sessions[-1])
    dates, value = dates[inside], value[inside]
    bar = np.searchsorted(sessions, dates, side="left")
    splits = actions.loc[actions["kind"] == table.SPLIT]
    # A split between a bar-less ex-date and the next bar makes the shares smaller.
    between = _cumulative(splits, dates, after=sessions[0]) / _cumulative(
        splits, sessions[bar], after=sessions[0]
    )
    np.add.at(paid, bar, value * between)
    return paid


def _cumulative(splits: pd.DataFrame, sessions: Days, *, after: np.datetime64) -> Floats:
    dates = splits["session"].to_numpy().astype("datetime64[D]")
    ratios = splits["value"].to_numpy(dtype=np.float64)
    order = np.argsort(dates, kind="stable")
    order = order[dates[order] > after]
    product = np.concatenate(([1.0], np.cumprod(ratios[order])))
    return np.asarray(product[np.searchsorted(dates[order], sessions, side="right")])


def _rows_by_symbol(frame: pd.DataFrame) -> list[tuple[str, NDArray[np.intp]]]:
    codes, symbols = pd.factorize(frame["symbol"])
    return [(str(symbol), np.flatnonzero(codes == code)) for code, symbol in enumerate(symbols)]
