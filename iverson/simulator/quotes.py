# SPDX-License-Identifier: GPL-3.0-or-later
"""Trades and quotes, made up from bars, because bars are all that is replayed.

Every bar gives four trades of a quarter of its volume: the open at its start, the extreme that is
nearer to the open after a third of its length, the other after two thirds, and the close one
microsecond before its end. Each trade has a quote at the same instant: its price less and plus the
half-spread, bid rounded down and ask up to the tick (0.01 dollars, 0.0001 below one dollar). They
can be seen when the bar has ended, not before. They are for reading, not for judging fills: the
matching has a path of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, floor

from iverson.simulator.market import Bar

EXCHANGE, TAPE = "V", "C"
_SLACK = 1e-6  # of a tick: 100.01 / 0.01 is a little above 10001


@dataclass(frozen=True, slots=True)
class Trade:
    """One made-up trade; `id` is unique within a symbol."""

    symbol: str
    at: datetime
    price: float
    size: int
    id: int


@dataclass(frozen=True, slots=True)
class Quote:
    """The best bid and ask after a trade; sizes in shares."""

    symbol: str
    at: datetime
    bid: float
    ask: float
    size: int


def trades_of(bar: Bar) -> list[Trade]:
    """Return the four trades of a bar, in time."""
    length = bar.end - bar.start
    low_first = bar.open - bar.low <= bar.high - bar.open
    extremes = (bar.low, bar.high) if low_first else (bar.high, bar.low)
    instants = (
        bar.start,
        bar.start + length / 3,
        bar.start + length * 2 / 3,
        bar.end - timedelta(microseconds=1),
    )
    prices = (bar.open, *extremes, bar.close)
    whole = max(4, round(bar.volume))
    sizes = (whole // 4, whole // 4, whole // 4, whole - 3 * (whole // 4))
    first = int(bar.end.timestamp()) * 4
    return [
        Trade(bar.symbol, at, price, size, first + number)
        for number, (at, price, size) in enumerate(zip(instants, prices, sizes, strict=True))
    ]


def quote_of(trade: Trade, *, half_spread: float) -> Quote:
    """Return the quote that goes with a trade; `half_spread` is a fraction of the price."""
    tick = 0.01 if trade.price >= 1 else 0.0001
    bid = floor(trade.price * (1 - half_spread) / tick + _SLACK) * tick
    ask = ceil(trade.price * (1 + half_spread) / tick - _SLACK) * tick
    return Quote(trade.symbol, trade.at, round(bid, 4), round(ask, 4), trade.size)
