# SPDX-License-Identifier: GPL-3.0-or-later
"""Minute bars made up from real daily bars: for learning and for tests, never for judging.

A session's minutes open, peak, bottom out, close and add up exactly as its daily bar says; in
between is a seeded random walk with nothing in it to find. Volume and volatility are high after the
open, low at noon and higher again before the close: the U of Wood, McInish and Ord (An
Investigation of Transactions Data for NYSE Stocks, Journal of Finance 40, 1985, 723-739) and of
Jain and Joh (The Dependence between Hourly Prices and Trading Volume, Journal of Financial and
Quantitative Analysis 23, 1988, 269-283). A parabola stands for it here, a rough one.

What real minutes have beside it they have not: jumps at news, gaps in the tape, minutes that
remember each other. And a path that has to stay within the day's range turns back at its ends, so
that what buys a breakout loses more often than on a free random walk.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.errors import BadBars, ConfigError
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.feeds import SYNTHETIC

Floats = NDArray[np.float64]
EDGE_VOLUME = 3.0  # a minute at the open or the close, in minutes of noon
EDGE_VARIANCE = 4.0
NOISE = 0.5  # deviation of the logarithm of a minute's volume
BRIDGE = 2 * math.sqrt(math.pi / 8)  # mean range of a Brownian bridge: twice that of its maximum
WICK = 0.4  # of a minute's deviation, by which it reaches beyond its open and close, on average


class _Day(NamedTuple):
    """The prices of a daily bar."""

    open: float
    high: float
    low: float
    close: float


@dataclass(frozen=True)
class Seed:
    """What a session's minutes depend on beside its daily bar: not on the sessions around it."""

    number: int
    symbol: str

    def generator(self, session: np.datetime64) -> np.random.Generator:
        """Return the random numbers of one session."""
        day = int(session.astype("datetime64[D]").astype(np.int64))
        return np.random.default_rng([self.number, zlib.crc32(self.symbol.encode()), day + 2**20])


def synthesize(daily: Bars, *, seed: int = 0) -> Bars:
    """Return one-minute bars of regular hours, 390 a session and 210 of most half days.

    Prices are raw, on whole cents where the daily bar's are, and never outside its low and high;
    volumes are whole shares (what a daily volume has beyond them goes to the last minute). Split
    factor and dividends are the daily bars'. The same bars and seed give the same minutes, whatever
    other sessions are asked for with them.

    Raises
    ------
    BadBars: a daily bar whose open or close lies outside its low and high, or of unknown volume.
    ConfigError: bars that are not daily, or a negative seed.
    """
    if daily.interval != DAILY:
        raise ConfigError(f"minutes are made from daily bars; these are of {daily.interval}")
    if seed < 0:
        raise ConfigError(f"seed is {seed}; expected a whole number of 0 or more")
    _refuse_impossible(daily)
    calendar = new_york()
    opens, closes = calendar.opens(daily.session), calendar.closes(daily.session)
    lengths = (closes - opens).astype("timedelta64[m]").astype(np.int64)
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(daily) else 0
    names = ("open", "high", "low", "close", "volume")
    columns: dict[str, Any] = {name: np.empty(total) for name in names}
    of = Seed(seed, daily.symbol)
    for row, (length, end) in enumerate(zip(lengths.tolist(), ends.tolist(), strict=True)):
        made = _session(daily, row, length, of.generator(daily.session[row]))
        for name, values in zip(columns, made, strict=True):
            columns[name][end - length : end] = values
    number = np.arange(1, total + 1) - np.repeat(ends - lengths, lengths)
    first = number == 1
    return Bars(
        symbol=daily.symbol,
        interval="1m",
        at=np.repeat(opens, lengths) + number.astype("timedelta64[m]"),
        session=np.repeat(daily.session, lengths),
        factor=np.repeat(daily.factor, lengths),
        dividend=np.where(first, np.repeat(daily.dividend, lengths), 0.0),
        feed=SYNTHETIC,
        **columns,
    )


def source(daily: str, *, seed: int) -> str:
    """Return the words for the passport of minutes made from these daily bars."""
    return f"{SYNTHETIC} minutes, seed {seed}, made from daily bars ({daily})"


def rows(bars: Bars) -> pd.DataFrame:
    """Return bars as the rows that a store takes."""
    frame = bars.frame().reset_index()
    return frame[["session", "at", "open", "high", "low", "close", "volume"]]


def _session(
    daily: Bars, row: int, n: int, random: np.random.Generator
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Make the open, high, low, close and volume of one session's `n` minutes."""
    day = _Day(*(float(getattr(daily, name)[row]) for name in _Day._fields))
    shape = _smile(n, EDGE_VARIANCE)
    clock = np.r_[0.0, np.cumsum(shape)] / shape.sum()
    path, top, bottom = _path(day, clock, random)
    close = path[1:]
    opened = np.r_[day.open, close[:-1]]
    reach = (day.high - day.low) * np.sqrt(np.diff(clock))
    above, below = WICK * reach * np.abs(random.standard_normal((2, n)))
    highs = _on_grid(np.maximum(opened, close) + above, day)
    lows = _on_grid(np.minimum(opened, close) - below, day)
    highs[max(top - 1, 0)], lows[max(bottom - 1, 0)] = day.high, day.low
    highs, lows = np.maximum(highs, opened), np.minimum(lows, opened)
    highs, lows = np.maximum(highs, close), np.minimum(lows, close)
    return opened, highs, lows, close, _volumes(float(daily.volume[row]), n, random)


def _path(day: _Day, clock: Floats, random: np.random.Generator) -> tuple[Floats, int, int]:
    """Return n + 1 prices from the open to the close, and where they reach high and low.

    A Brownian bridge says when the session peaks and bottoms out. Pinned there, and folded back
    where it would leave the day's range, it is the path.
    """
    steps = np.sqrt(np.diff(clock)) * random.standard_normal(len(clock) - 1)
    walk = np.r_[0.0, np.cumsum(steps)]
    bridge = (day.high - day.low) / BRIDGE * (walk - walk[-1] * clock)
    bridge += day.open + (day.close - day.open) * clock
    top, bottom = int(bridge.argmax()), int(bridge.argmin())
    # a peak at the very open or close is within that minute: the path begins and ends as it must
    pins = {top: day.high, bottom: day.low} | {0: day.open, len(walk) - 1: day.close}
    places = sorted(pins)
    missed = [pins[place] - bridge[place] for place in places]
    path = _on_grid(_folded(bridge + np.interp(clock, clock[places], missed), day), day)
    path[places] = [pins[place] for place in places]
    return path, top, bottom


def _folded(path: Floats, day: _Day) -> Floats:
    """Reflect a path at the day's high and low until it is inside."""
    reach = day.high - day.low
    if reach == 0:
        return np.full(len(path), day.low)
    beyond = np.mod(path - day.low, 2.0 * reach)
    return np.asarray(day.low + np.minimum(beyond, 2.0 * reach - beyond), np.float64)


def _volumes(volume: float, n: int, random: np.random.Generator) -> Floats:
    """Split a session's shares over its minutes, one for each before the rest by weight."""
    weights = _smile(n, EDGE_VOLUME) * np.exp(NOISE * random.standard_normal(n))
    share = np.cumsum(weights)
    whole = np.floor(volume)
    each = 1.0 if whole >= n else 0.0
    so_far = np.floor((whole - each * n) * (share / share[-1]))
    volumes: Floats = np.diff(so_far, prepend=0.0) + each
    volumes[-1] += volume - whole
    return volumes


def _smile(n: int, edge: float) -> Floats:
    """Return a parabola over n minutes: 1 in the middle, `edge` at both ends."""
    across = np.linspace(-1.0, 1.0, n)
    return np.asarray(1.0 + (edge - 1.0) * across**2, np.float64)


def _on_grid(prices: Floats, day: _Day) -> Floats:
    """Round prices to cents, within the day's high and low, which may lie between two."""
    return np.asarray(np.clip(np.round(prices, 2), day.low, day.high), np.float64)


def _refuse_impossible(daily: Bars) -> None:
    outside = np.maximum(daily.open, daily.close) > daily.high
    outside |= np.minimum(daily.open, daily.close) < daily.low
    unknown = ~((daily.volume >= 0) & np.isfinite(daily.volume))
    for wrong, words in ((outside, "opens or closes outside its range"), (unknown, "no volume")):
        if wrong.any():
            raise BadBars(
                f"{daily.symbol}, {daily.session[int(wrong.argmax())]}: the daily bar has or does "
                f"what no minutes can ({words}); leave it out with --from and --to, or mend it"
            )
