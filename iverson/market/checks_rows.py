# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that need no more than the rows themselves: impossible prices, stale bars, order."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.market.faults import Fault, listed

PRICES = ["open", "high", "low", "close"]
ROUNDING = 1e-6
STALE_BARS = 3


def check(frame: pd.DataFrame, *, key: str, daily: bool) -> list[Fault]:
    """List faults of single rows, of their order and of repeats, in the order as given."""
    return _values(frame) + _ranges(frame) + _order(frame, key) + _stale(frame, key, daily=daily)


def _values(frame: pd.DataFrame) -> list[Fault]:
    faults: list[Fault] = []
    values = frame[[*PRICES, "volume"]].to_numpy(dtype=np.float64)
    unknown = np.asarray(~np.isfinite(values))
    rows = np.asarray(unknown.any(axis=1))
    names = np.array([*PRICES, "volume"])
    texts = [f"{', '.join(names[row])} not a number" for row in unknown[rows]]
    faults += listed(frame.loc[rows], "not a number", texts)
    with np.errstate(invalid="ignore"):
        bad = np.asarray(values[:, :4] <= 0)
        empty = np.asarray(values[:, 4] <= 0)
    rows = np.asarray(bad.any(axis=1))
    texts = [f"{', '.join(names[:4][row])} not above zero" for row in bad[rows]]
    lowest = np.min(values[rows, :4], axis=1, initial=np.inf)
    faults += listed(frame.loc[rows], "price not above zero", texts, lowest)
    faults += listed(frame.loc[empty], "zero volume", "no volume", values[empty, 4])
    return faults


def _ranges(frame: pd.DataFrame) -> list[Fault]:
    opened, high, low, close = (frame[name].to_numpy(dtype=np.float64) for name in PRICES)
    inverted = high < low * (1 - ROUNDING)
    faults = listed(
        frame.loc[inverted],
        "high below low",
        [f"high {h:g} below low {b:g}" for h, b in zip(high[inverted], low[inverted], strict=True)],
        (high - low)[inverted],
    )
    top, bottom = high * (1 + ROUNDING), low * (1 - ROUNDING)
    outside = (opened > top) | (opened < bottom) | (close > top) | (close < bottom)
    faults += listed(
        frame.loc[outside],
        "open or close outside high-low",
        [
            f"open {o:g}, close {c:g}, but low {b:g} to high {h:g}"
            for o, c, b, h in zip(
                opened[outside], close[outside], low[outside], high[outside], strict=True
            )
        ],
    )
    return faults


def _order(frame: pd.DataFrame, key: str) -> list[Fault]:
    again = frame.duplicated(["symbol", key], keep="first").to_numpy()
    same = frame.duplicated(["symbol", key, *PRICES, "volume"], keep="first").to_numpy()
    texts = ["same values again" if equal else "other values" for equal in same[again]]
    faults = listed(frame.loc[again], "duplicate", texts)
    step = frame.groupby("symbol", sort=False)[key].diff()
    back = (step < pd.Timedelta(0)).to_numpy()
    if not back.any():
        return faults
    # A file that runs backwards throughout is one oddity of a source, not one of every row.
    forward = (step > pd.Timedelta(0)).groupby(frame["symbol"], sort=False).transform("any")
    reversed_rows = back & ~forward.to_numpy()
    first = frame.loc[reversed_rows].drop_duplicates("symbol")
    faults += listed(first, "unsorted", "newest bar first")
    return faults + listed(
        frame.loc[back & ~reversed_rows], "unsorted", "earlier than the row before it"
    )


def _stale(frame: pd.DataFrame, key: str, *, daily: bool) -> list[Fault]:
    """Find runs of identical prices.

    Three bars are a run; within a session, where a quiet minute repeats a price honestly, only if
    the volume repeats as well. A single flat bar without volume counts too.
    """
    ordered = frame.sort_values(["symbol", key], kind="stable", ignore_index=True)
    compared = ["symbol", *PRICES] if daily else ["symbol", *PRICES, "volume"]
    changed = (ordered[compared] != ordered[compared].shift()).any(axis=1).to_numpy()
    run = np.cumsum(changed) - 1
    starts = np.flatnonzero(changed)
    length = np.bincount(run)
    prices = ordered[PRICES].to_numpy(dtype=np.float64)
    idle = (prices == prices[:, :1]).all(axis=1) & (ordered["volume"].to_numpy() == 0)
    idle_in_run: NDArray[np.bool_] = np.zeros(len(starts), dtype=np.bool_)
    idle_in_run[run[idle]] = True
    stale = (length >= STALE_BARS) | idle_in_run
    texts = [
        f"{count} bars with the same prices" if count >= STALE_BARS else "flat bar without volume"
        for count in length[stale]
    ]
    return listed(ordered.iloc[starts[stale]], "stale", texts, length[stale].astype(np.float64))
