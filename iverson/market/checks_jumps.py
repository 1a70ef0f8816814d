# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of jumps: spikes that revert, prices wrong by a power of ten, splits without a record.

A jump that stays may be news, so only two things are suspected of it: that it is close to a
split ratio that nobody listed, and that a listed split left no jump. Thresholds were tried on
raw prices of 724 symbols over two years, where 138 of 152 splits were recognised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.market import actions as table
from iverson.market.adjust import dividends_per_bar
from iverson.market.faults import Fault, listed

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

PRICES = ["open", "high", "low", "close"]
SPIKE = {True: 0.30, False: 0.10}
"""Smallest spike, log: of a session's bar, of a bar within a session."""
SMALLEST_USD = 0.02
QUIET_TIMES = 8.0
WINDOW = 21
LARGE_RATIOS = np.array(
    [r for r in table.SIMPLE_RATIOS if r >= 4 or r <= 1 / 4] + [1 / 70, 1 / 90], dtype=np.float64
)
COMMON_RATIOS = np.array([1.5, 2.0, 3.0, 1 / 2, 1 / 3])


@dataclass(frozen=True)
class _Neighbours:
    """Closes of the bars around each one (NaN at a symbol's ends), and a quiet bar's move."""

    earlier: Floats
    before: Floats
    after: Floats
    median: Floats
    quiet: Floats


def spikes(frame: pd.DataFrame, *, daily: bool) -> list[Fault]:
    """List prices that leave the bars around them and come back.

    `frame` is ordered by symbol and time, prices above 0. A close is a spike when it differs from
    both neighbours by more than 35 % (10 % within a session) and by eight quiet moves, the median
    of 21 around it, while the neighbours agree; an open, high or low when it differs so much from
    the open and close of its bar, too. A price 10 or 100 times off the median close of the bars
    around it is a factor of ten instead.
    """
    if len(frame) < 3:
        return []
    near = _neighbours(frame)
    tens = _factor_of_ten(frame, near)
    wrong = np.flatnonzero(tens.any(axis=1))
    least = np.maximum(SPIKE[daily], QUIET_TIMES * near.quiet)
    least[wrong] = np.inf
    size, names = np.ones(len(frame)), np.full(len(frame), "", dtype=object)
    for name, move in _away(frame, near).items():
        with np.errstate(invalid="ignore"):
            hit = np.abs(move) > least
            # One tick of a penny stock is a large move and no fault.
            hit &= np.abs(frame[name].to_numpy() - near.before) > SMALLEST_USD
        size[hit], names[hit] = np.exp(move[hit]), name
    spike = np.flatnonzero(names != "")
    texts = [
        f"{names[row]} {frame[names[row]].to_numpy()[row]:g} between closes of "
        f"{near.before[row]:g} and {near.after[row]:g}; looks like a spike that reverts"
        for row in spike
    ]
    faults = listed(frame.iloc[spike], "spike", texts, size[spike])
    prices = frame[PRICES].to_numpy(dtype=np.float64)
    ratios = np.array([prices[row][tens[row]][0] / near.median[row] for row in wrong])
    texts = [
        f"{', '.join(np.array(PRICES)[tens[row]])} {ratio:.3g} times the closes around; looks "
        "like a wrong unit"
        for row, ratio in zip(wrong, ratios, strict=True)
    ]
    return faults + listed(frame.iloc[wrong], "factor of ten", texts, ratios)


def splits(frame: pd.DataFrame, actions: pd.DataFrame) -> list[Fault]:
    """List jumps that look like an unlisted split, and listed splits without a jump.

    `frame` has one row a symbol and session, ordered. An unlisted split is an overnight change,
    listed dividends apart, that stays: within a factor of 1.35 of a ratio of 4 or more, or within
    4 % of 2, 3 or 3:2 (or their reverse) on a session whose dollar volume is less than four times
    its usual one, because news moves dollar volume and a split does not. A listed split without a
    jump means that the prices were adjusted before; if others of the symbol do jump, only part of
    them was, which is a mixed adjustment besides.
    """
    if len(frame) < 2:
        return []
    near = _neighbours(frame)
    ratio = split_ratio(frame, actions)
    paid = _paid(frame, actions) * ratio
    before = np.where(paid < near.before, near.before - paid, near.before)
    with np.errstate(invalid="ignore"):
        overnight = np.log(before / frame["open"].to_numpy())
        whole = np.log(before / frame["close"].to_numpy())
    listed_split = (ratio != 1.0) & np.isfinite(overnight)
    suspect = np.where(listed_split, np.nan, _suspects(frame, near, overnight, whole))
    found = np.isfinite(suspect)
    faults = listed(
        frame.loc[found],
        "unadjusted split",
        [
            f"close {b:g}, then open {o:g}; looks like a split of {s:.4g} that is not listed"
            for b, o, s in zip(
                near.before[found], frame["open"].to_numpy()[found], suspect[found], strict=True
            )
        ],
        suspect[found],
    )
    telling = listed_split & (np.abs(np.log(ratio)) > 0.1)
    jumped = telling & jumps(overnight, whole, ratio)
    jumping = set(frame.loc[jumped, "symbol"])
    flat = telling & ~jumped
    faults += _without_jump(frame, flat, ratio, near.before)
    partly = flat & frame["symbol"].isin(jumping).to_numpy()
    text = "other splits of the symbol do jump; looks like only part of the history is adjusted"
    return faults + listed(frame.loc[partly], "mixed adjustment", text, ratio[partly])


def split_ratio(frame: pd.DataFrame, actions: pd.DataFrame) -> Floats:
    """Return, for each row, the listed split ratio since the row before it (1.0: none)."""
    ratio = np.ones(len(frame))
    listed_splits = actions.loc[actions["kind"] == table.SPLIT]
    if listed_splits.empty:
        return ratio
    where = frame.groupby("symbol", sort=False).indices
    for symbol, own in listed_splits.groupby("symbol", sort=False):
        rows = where.get(symbol)
        if rows is None:
            continue
        sessions = frame["session"].to_numpy()[rows].astype("datetime64[D]")
        dates = own["session"].to_numpy().astype("datetime64[D]")
        index = np.searchsorted(sessions, dates, side="left")
        inside = (index > 0) & (index < len(rows))
        np.multiply.at(ratio, rows[index[inside]], own["value"].to_numpy()[inside])
    return ratio


def _paid(frame: pd.DataFrame, actions: pd.DataFrame) -> Floats:
    paid = np.zeros(len(frame))
    payers = set(actions.loc[actions["kind"] == table.DIVIDEND, "symbol"])
    for symbol, rows in frame.groupby("symbol", sort=False).indices.items():
        if symbol in payers:
            sessions = frame["session"].to_numpy()[rows].astype("datetime64[D]")
            paid[rows] = dividends_per_bar(sessions, table.of_symbol(actions, str(symbol)))
    return paid


def jumps(overnight: Floats, whole: Floats, ratio: Floats) -> Mask:
    """Tell whether the prices jumped by about the ratio: nearer to it than to no change."""
    expected = np.log(ratio)
    return (np.abs(overnight - expected) < np.abs(overnight)) | (
        np.abs(whole - expected) < np.abs(whole)
    )


def _without_jump(frame: pd.DataFrame, rows: Mask, ratio: Floats, before: Floats) -> list[Fault]:
    texts = [
        f"split of {r:.4g} is listed but close {b:g} is followed by open {o:g}; looks like the "
        "prices are adjusted already"
        for r, b, o in zip(ratio[rows], before[rows], frame["open"].to_numpy()[rows], strict=True)
    ]
    return listed(frame.loc[rows], "already adjusted", texts, ratio[rows])


def _suspects(frame: pd.DataFrame, near: _Neighbours, overnight: Floats, whole: Floats) -> Floats:
    large, common = _nearest(overnight, LARGE_RATIOS), _nearest(overnight, COMMON_RATIOS)
    dollars = frame["close"] * frame["volume"]
    usual = dollars.groupby(frame["symbol"], sort=False).transform(
        lambda own: own.rolling(20, min_periods=3).median().shift()
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        within = np.abs(whole - overnight)
        reverted = np.abs(np.log(near.after / near.before)) < 0.35 * np.abs(overnight)
        reverted |= np.abs(np.log(frame["close"].to_numpy() / near.earlier)) < 0.35 * np.abs(
            overnight
        )
        is_large = (np.abs(overnight - np.log(large)) < 0.3) & (within < 0.7) & ~reverted
        busy = dollars.to_numpy() > 4.0 * usual.to_numpy()
        is_common = (
            (np.abs(overnight - np.log(common)) < 0.04)
            & (np.abs(whole - np.log(common)) < 0.10)
            & (within < 0.10)
            & ~busy
            & ~reverted
        )
    return np.asarray(np.where(is_large, large, np.where(is_common, common, np.nan)))


def _nearest(logs: Floats, ratios: Floats) -> Floats:
    order = np.sort(ratios)
    middle = (np.log(order[1:]) + np.log(order[:-1])) / 2
    return np.asarray(order[np.searchsorted(middle, np.nan_to_num(logs))])


def _neighbours(frame: pd.DataFrame) -> _Neighbours:
    close = frame["close"].to_numpy(dtype=np.float64)
    codes = pd.factorize(frame["symbol"])[0]
    same = codes[1:] == codes[:-1]
    earlier, before, after = (np.full(len(close), np.nan) for _ in range(3))
    before[1:][same] = close[:-1][same]
    after[:-1][same] = close[1:][same]
    earlier[2:][codes[2:] == codes[:-2]] = close[:-2][codes[2:] == codes[:-2]]
    with np.errstate(invalid="ignore"):
        move = pd.Series(np.abs(np.log(close / before)))
    median = _rolling_median(pd.Series(close), codes)
    return _Neighbours(earlier, before, after, median, np.nan_to_num(_rolling_median(move, codes)))


def _rolling_median(values: pd.Series[float], codes: NDArray[np.intp]) -> Floats:
    """Return medians of 21 values around each one; NaN where fewer than 5 of the symbol are."""
    rolled = values.groupby(codes, sort=False).rolling(WINDOW, center=True, min_periods=5).median()
    return np.asarray(rolled.droplevel(0).sort_index(), dtype=np.float64)


def _away(frame: pd.DataFrame, near: _Neighbours) -> dict[str, Floats]:
    """Return log distances of each price from all it should be near, 0 when within them."""
    opened, close = frame["open"].to_numpy(), frame["close"].to_numpy()
    around = (near.before, near.after)
    with np.errstate(invalid="ignore"):
        agree = np.abs(np.log(near.after / near.before))
        high = np.log(frame["high"].to_numpy() / np.maximum.reduce([opened, close, *around]))
        low = np.log(frame["low"].to_numpy() / np.minimum.reduce([opened, close, *around]))
        result = {
            "low": np.minimum(low, 0.0),
            "high": np.maximum(high, 0.0),
            "open": _outside(opened, (*around, close)),
            "close": _outside(close, around),
        }
        for name, move in result.items():
            result[name] = np.where(agree < 0.35 * np.abs(move), move, 0.0)
    return result


def _outside(price: Floats, others: tuple[Floats, ...]) -> Floats:
    above = np.log(price / np.maximum.reduce(others))
    below = np.log(price / np.minimum.reduce(others))
    return np.asarray(np.maximum(above, 0.0) + np.minimum(below, 0.0))


def _factor_of_ten(frame: pd.DataFrame, near: _Neighbours) -> Mask:
    """Mark open, high, low, close (rows × 4) that are 10 or 100 times off, runs included.

    The median of the bars around stays with the majority, so a level that changes for good is
    not marked; a run that reaches the symbol's first or last bar never reverts and is not either.
    """
    prices = frame[PRICES].to_numpy(dtype=np.float64)
    with np.errstate(invalid="ignore"):
        power = np.abs(np.log10(prices / near.median[:, None]))
    wrong: Mask = np.asarray((np.abs(power - 1.0) < 0.08) | (np.abs(power - 2.0) < 0.08))
    rows = np.asarray(wrong.any(axis=1))
    codes = pd.factorize(frame["symbol"])[0]
    run = np.cumsum(np.r_[True, (rows[1:] != rows[:-1]) | (codes[1:] != codes[:-1])]) - 1
    edge: Mask = np.zeros(int(run[-1]) + 1, dtype=np.bool_)
    edge[run[np.isnan(near.before) | np.isnan(near.after)]] = True
    wrong[edge[run]] = False
    return wrong
