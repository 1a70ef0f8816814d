# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the actions: adj_close against what is listed, and dividends nobody believes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.market import actions as table
from iverson.market.adjust import dividends_per_bar
from iverson.market.checks_jumps import jumps, split_ratio
from iverson.market.faults import Fault, listed

Floats = NDArray[np.float64]

CLOSE_ENOUGH = 0.15
LARGE_DIVIDEND = 0.12
REPEAT_SESSIONS = 5


def check(frame: pd.DataFrame, actions: pd.DataFrame) -> list[Fault]:
    """List steps of adj_close/close that contradict the actions, and implausible dividends.

    `frame` has one row a symbol and session, ordered, prices above 0. The listed dividend is
    compared with the one that the step implies by the rule of Yahoo and by that of WIKI; it must be
    within 15 % of either. A symbol without any listed action is only asked whether a step goes
    the wrong way. A dividend above 12 % of the price that the price does not follow, or the same
    amount again within five sessions, is implausible.
    """
    faults: list[Fault] = []
    ratio = split_ratio(frame, actions)
    with_action = set(actions["symbol"])
    for symbol, rows in frame.groupby("symbol", sort=False).indices.items():
        adjusted = "adj_close" in frame.columns
        if len(rows) < 2 or not (adjusted or symbol in with_action):
            continue
        bars = frame.iloc[rows]
        own = table.of_symbol(actions, str(symbol))
        paid = dividends_per_bar(bars["session"].to_numpy().astype("datetime64[D]"), own)
        if adjusted:
            faults += _steps(bars, paid, ratio[rows], known=not own.empty)
        faults += _dividends(bars, paid, ratio[rows])
    return faults


def _steps(bars: pd.DataFrame, paid: Floats, ratio: Floats, *, known: bool) -> list[Fault]:
    adjusted = bars["adj_close"].to_numpy(dtype=np.float64)
    impossible = ~(np.isfinite(adjusted) & (adjusted > 0))
    if impossible.any():
        first = bars.loc[impossible].head(1)
        text = (
            f"adj_close is {adjusted[impossible][0]:g} and on {int(impossible.sum())} bars no price"
        )
        return listed(first, "mixed adjustment", text, float(impossible.sum()))
    close = bars["close"].to_numpy(dtype=np.float64)
    level = adjusted / close
    before = close[:-1]
    jumped = jumps(
        np.log(before / bars["open"].to_numpy()[1:]), np.log(before / close[1:]), ratio[1:]
    )
    split = np.where(jumped, ratio[1:], 1.0)
    step = level[1:] / level[:-1] / split
    noise = max(1e-4, 6.0 * float(np.median(np.abs(step - 1.0))))
    dividend = paid[1:]
    implied = {
        "Yahoo": (before / split) * (1.0 - 1.0 / step),
        "WIKI": close[1:] * (step - 1.0),
    }
    room = np.maximum(CLOSE_ENOUGH * dividend, 2.0 * noise * close[1:])
    wrong = np.abs(implied["Yahoo"] - dividend) > room
    wrong &= np.abs(implied["WIKI"] - dividend) > room
    if not known:
        wrong &= step < 1.0 - noise
        at = np.flatnonzero(wrong)
        wrong[at] = ~_looks_like_split(step[at], before[at] / close[1:][at])
    where = np.flatnonzero(wrong)
    texts = [
        f"adj_close implies a dividend of {implied['Yahoo'][i]:.4g}, listed is {dividend[i]:.4g}"
        for i in where
    ]
    return listed(bars.iloc[where + 1], "mixed adjustment", texts, implied["Yahoo"][where])


def _looks_like_split(step: Floats, jump: Floats) -> NDArray[np.bool_]:
    nearest = np.array([table.nearest_ratio(float(value)) for value in step])
    return np.asarray(
        (np.abs(step / nearest - 1.0) < 0.01)
        & (np.abs(np.log(jump / nearest)) < np.abs(np.log(jump)))
    )


def _dividends(bars: pd.DataFrame, paid: Floats, ratio: Floats) -> list[Fault]:
    if not paid.any():
        return []
    close = bars["close"].to_numpy(dtype=np.float64)
    opened = bars["open"].to_numpy(dtype=np.float64)
    before = np.r_[np.nan, close[:-1]]
    jumped = jumps(np.log(before / opened), np.log(before / close), ratio)
    before = before / np.where(jumped, ratio, 1.0)
    with np.errstate(invalid="ignore"):
        drop = np.maximum(before - opened, before - close)
        large = (paid > LARGE_DIVIDEND * before) & (drop < 0.4 * paid)
    where = np.flatnonzero(large)
    texts = [
        f"dividend of {paid[i]:g} on a price of {before[i]:g} that did not follow; looks like a "
        "wrong unit"
        for i in where
    ]
    faults = listed(bars.iloc[where], "implausible dividend", texts, paid[where])
    at = np.flatnonzero(paid)
    again = at[1:][(np.diff(at) <= REPEAT_SESSIONS) & (paid[at[1:]] == paid[at[:-1]])]
    texts = [f"dividend of {paid[i]:g} a second time within days" for i in again]
    return faults + listed(bars.iloc[again], "implausible dividend", texts, paid[again])
