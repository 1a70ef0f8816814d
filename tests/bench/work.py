# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done: the works of the bench, their data and their parameter sets.

Needs numpy only and nothing of Iverson's, because every engine reads it in an environment of its
own. `reference.py` does each work in plain Python and thereby defines it; the rules in words:

cross  Each symbol by itself, 10 shares. From bar 51 on, at a close: without a position and with the
       fast average of closes above the slow one, buy at the next open; with a position and the
       fast average below, sell at the next open. One account. No costs.
sweep  Each parameter set starts with the same cash. At a close, with neither position nor entry:
       an RSI (plain averages of gains and losses) below `oversold` sends a buy limit 0.2 % below
       the close, for the next bar only, 15 % of equity. A stop lies `stop_atrs` average true ranges
       (plain average of 14) below the limit, a target 2 above. Left at the latest at the close of
       the fifth bar after the entry's. Limits fill at a touch, gaps at the open; a bar that
       reaches stop and target is the stop; a stop also works in the entry's own bar.
walk   The same over five real stocks in one account: in each fold the set with the highest Sharpe
       ratio of 504 sessions (10 trades or more) trades the next 126, from fold to fold with the
       money left. Positions are left at the last close of every span.

Every result is rows of (label, trades begun, final equity in dollars), the same labels from every
engine; they are compared to the cent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FAST, SLOW, SHARES, FIRST = 10, 30, 10, 50
APART = 1e-6  # dollars: equal averages that rounding tells apart are still equal
CROSS_CASH, CASH = 1_000_000.0, 100_000.0
ATR_PERIOD, TARGET_ATRS, DISCOUNT = 14, 2.0, 0.998
MAX_SESSIONS, NOTIONAL, RISK, WARM_UP = 5, 0.15, 0.05, 30
IN_SAMPLE, OUT_OF_SAMPLE, MINIMUM_TRADES = 504, 126, 10

# No RSI of prices in cents can equal these, so that a last bit decides nothing.
OVERSOLD = (20.137, 24.137, 28.137, 32.137, 36.137)
STOP_ATRS = (2.0, 2.5, 3.0, 3.5)

Row = tuple[str, int, float]
ParameterSet = dict[str, Any]


class Series(NamedTuple):
    """One symbol's bars: `stamp` in seconds since 1970 (UTC), the rest float64; shapes (n,)."""

    stamp: Any
    open: Any
    high: Any
    low: Any
    close: Any
    volume: Any


Market = Mapping[str, Series]


@dataclass(frozen=True)
class Work:
    """One work: `kind` is cross, sweep or walk; a walk has the sample's last `bars`, 0: all."""

    name: str
    kind: str
    title: str
    symbols: int
    bars: int
    sets: tuple[ParameterSet, ...] = ()


def parameter_sets(periods: Sequence[int], oversold: Any, stops: Any) -> tuple[ParameterSet, ...]:
    """Return every combination, in a fixed order."""
    names = ("period", "oversold", "stop_atrs")
    return tuple(dict(zip(names, one, strict=True)) for one in product(periods, oversold, stops))


_ODD = (5, 7, 9, 11, 13)
WORKS = {
    work.name: work
    for work in (
        Work("W1", "cross", "SMA cross, 1 symbol x 100,000 minutes", 1, 100_000),
        Work("W2", "cross", "SMA cross, 10 symbols x 10,000 minutes", 10, 10_000),
        Work("W3/10", "cross", "SMA cross, 100 symbols x 2,000 candles", 100, 2_000),
        Work("W3", "cross", "SMA cross, 100 symbols x 20,000 candles", 100, 20_000),
        Work("W4", "sweep", "RSI sweep, 200 sets x 2,500 daily bars", 1, 2_500,
             parameter_sets(range(5, 15), OVERSOLD, STOP_ATRS)),
        Work("W5/10", "walk", "walk-forward, 5 stocks x 13 years, 22 folds x 10 sets", 5, 0,
             parameter_sets(_ODD, OVERSOLD[2:4], (2.5,))),
        Work("W5", "walk", "walk-forward, 5 stocks x 13 years, 22 folds x 100 sets", 5, 0,
             parameter_sets(_ODD, OVERSOLD, STOP_ATRS)),
    )
}  # fmt: skip


# -- data ------------------------------------------------------------------------------------------


def minute_bars(work: Work, seed: int = 7) -> dict[str, Series]:
    """Make random walks of minute bars, the same stamps for all symbols.

    Prices have three decimals, so that 10 shares cost whole cents: some accounts keep no less.
    """
    stamp = np.arange(work.bars, dtype=np.int64) * 60 + 1_704_067_200  # from 2024-01-01
    market = {}
    for number in range(work.symbols):
        random = np.random.default_rng((seed, number))
        close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 5e-4, work.bars)))
        opened = np.r_[100.0, close[:-1]] * (1.0 + random.normal(0.0, 1e-4, work.bars))
        close, opened = close.round(3), opened.round(3)
        reach = 1.0 + np.abs(random.normal(0.0, 3e-4, (2, work.bars)))
        high = (np.maximum(opened, close) * reach[0]).round(3)
        low = (np.minimum(opened, close) / reach[1]).round(3)
        volume = random.integers(1_000, 100_000, work.bars).astype(np.float64)
        market[f"S{number:03d}"] = Series(stamp, opened, high, low, close, volume)
    return market


def daily_bars(work: Work, stamps: Any, seed: int = 11) -> dict[str, Series]:
    """Make a random walk of daily bars in cents whose days stay narrower than any stop.

    On such bars the fill rules of all engines coincide: no bar reaches a stop or a target that
    was set in it, none reaches both (`reference` counts those that do).
    """
    random = np.random.default_rng(seed)
    step = 1.0 + random.uniform(-0.012, 0.012, work.bars)
    close = np.round(100.0 * np.cumprod(step), 2)
    opened = np.round(np.r_[100.0, close[:-1]] * (1.0 + random.uniform(-3e-3, 3e-3, work.bars)), 2)
    reach = 1.0 + random.uniform(0.0, 4e-3, (2, work.bars))
    high = np.round(np.maximum(opened, close) * reach[0], 2)
    low = np.round(np.minimum(opened, close) / reach[1], 2)
    volume = np.full(work.bars, 1e7)
    return {"S000": Series(stamps[: work.bars], opened, high, low, close, volume)}


def save(market: Market, path: Path) -> None:
    """Write bars for other processes."""
    columns = {f"{name}/{column}": getattr(series, column)
               for name, series in market.items() for column in Series._fields}  # fmt: skip
    np.savez(path, names=np.array(list(market)), **columns)


def load(path: Path) -> dict[str, Series]:
    """Read what `save` wrote."""
    with np.load(path) as found:
        return {
            str(name): Series(*(found[f"{name}/{column}"] for column in Series._fields))
            for name in found["names"]
        }


# -- arithmetic that more than one engine needs ----------------------------------------------------


def shares(equity: float, limit: float, stop: float) -> int:
    """Return how many shares an entry asks for: two bounds, rounded down."""
    most = min(equity * NOTIONAL / limit, equity * RISK / (limit - stop))
    return math.floor(most * (1.0 + 1e-12))


# -- the walk-forward ------------------------------------------------------------------------------


class Span(NamedTuple):
    """Sessions `first` to `last`, both included, counted from 0."""

    first: int
    last: int


class Marks(NamedTuple):
    """What one run left: trades begun and the equity at each close of its span."""

    trades: int
    equity: Any


def folds(sessions: int) -> list[tuple[Span, Span]]:
    """Return in-sample and out-of-sample spans; a last one cut below its half is dropped."""
    found = []
    begin = WARM_UP
    while 2 * (sessions - begin - IN_SAMPLE) >= OUT_OF_SAMPLE:
        middle = begin + IN_SAMPLE
        end = min(middle + OUT_OF_SAMPLE, sessions)
        found.append((Span(begin, middle - 1), Span(middle, end - 1)))
        begin += OUT_OF_SAMPLE
    return found


def score(cash: float, marks: Marks) -> float:
    """Return the Sharpe ratio of daily returns, -inf for too few trades."""
    equity = np.r_[cash, marks.equity]
    returns = equity[1:] / equity[:-1] - 1.0
    deviation = returns.std(ddof=1)
    if marks.trades < MINIMUM_TRADES or not deviation > 0.0:
        return -math.inf
    return float(math.sqrt(252) * returns.mean() / deviation)


def walk(
    sessions: int,
    count: int,
    search: Callable[[Span], list[Marks]],
    judge: Callable[[Span, int, float], Marks],
) -> list[Row]:
    """Walk forward: `search` runs all sets over a span, `judge` one set with the money left."""
    rows: list[Row] = []
    cash = CASH
    for number, (in_sample, out_of_sample) in enumerate(folds(sessions)):
        found = search(in_sample)
        rows += [set_row(place, marks, number) for place, marks in enumerate(found)]
        scores = [score(CASH, marks) for marks in found]
        best = max(range(count), key=lambda place, scores=scores: scores[place])
        trades = 0
        if scores[best] > -math.inf:
            marks = judge(out_of_sample, best, cash)
            trades, cash = marks.trades, float(marks.equity[-1])
        rows.append(
            (chosen_label(number, best if scores[best] > -math.inf else None), trades, cash)
        )
    return rows


def set_row(place: int, marks: Marks, fold: int = 0) -> Row:
    """Return the row of one parameter set."""
    return (f"fold {fold} set {place}", int(marks.trades), float(marks.equity[-1]))


def chosen_label(fold: int, chosen: int | None) -> str:
    """Name the out-of-sample part of a fold, and with it what was chosen."""
    return f"fold {fold} out of sample with set {'-' if chosen is None else chosen}"
