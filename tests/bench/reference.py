# SPDX-License-Identifier: GPL-3.0-or-later
"""Each work as a plain loop over lists, short enough to be believed: what the rest must equal."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from tests.bench import work
from tests.bench.work import CASH, Market, Marks, ParameterSet, Row, Span


def cross(market: Market) -> list[Row]:
    """Trade the averages of every symbol."""
    cash, trades = work.CROSS_CASH, 0
    for series in market.values():
        opens, closes = series.open.tolist(), series.close.tolist()
        held = 0
        for t in range(work.FIRST, len(closes) - 1):
            fast = math.fsum(closes[t + 1 - work.FAST : t + 1]) / work.FAST
            slow = math.fsum(closes[t + 1 - work.SLOW : t + 1]) / work.SLOW
            if not held and fast > slow + work.APART:
                held = work.SHARES
                trades += 1
                cash -= held * opens[t + 1]
            elif held and fast < slow - work.APART:
                cash += held * opens[t + 1]
                held = 0
        cash += held * closes[-1]
    return [("all", trades, cash)]


class Bar(NamedTuple):
    """One bar's prices."""

    open: float
    high: float
    low: float
    close: float


@dataclass
class Symbol:
    """One symbol's bars as lists, its indicators, and how many sessions came before them."""

    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    before: int
    atr: list[float]
    rsi: dict[int, list[float]] = field(default_factory=dict)

    def bar(self, session: int) -> Bar:
        """Return the bar of a session."""
        at = session - self.before
        return Bar(self.open[at], self.high[at], self.low[at], self.close[at])


@dataclass
class Position:
    """Shares held since session `entered`, with the exits."""

    size: int
    price: float
    stop: float
    target: float
    entered: int


@dataclass
class Outcome:
    """The marks of a run, its trades' results, and the bars on which fill rules could differ."""

    equity: list[float] = field(default_factory=list)
    pnl: list[float] = field(default_factory=list)
    begun: int = 0
    doubtful: int = 0

    @property
    def marks(self) -> Marks:
        """What the walk-forward compares."""
        return Marks(self.begun, self.equity)


def prepared(market: Market, sets: tuple[ParameterSet, ...]) -> list[Symbol]:
    """Compute what the sets need."""
    sessions = max(len(series.close) for series in market.values())
    found = []
    for series in market.values():
        o, h, lo, c = (getattr(series, name).tolist() for name in ("open", "high", "low", "close"))
        reach = [math.nan] + [max(h[t], c[t - 1]) - min(lo[t], c[t - 1]) for t in range(1, len(c))]
        symbol = Symbol(o, h, lo, c, sessions - len(c), means(reach, work.ATR_PERIOD))
        for period in sorted({one["period"] for one in sets}):
            symbol.rsi[period] = rsi(c, period)
        found.append(symbol)
    return found


def means(values: list[float], period: int) -> list[float]:
    """Return the plain moving average, the first value (which has none before it) left out."""
    known = [math.fsum(values[t + 1 - period : t + 1]) / period for t in range(period, len(values))]
    return [math.nan] * min(period, len(values)) + known


def rsi(closes: list[float], period: int) -> list[float]:
    """Return Cutler's relative strength: 100 x gains / (gains + losses), 50 when nothing moved."""
    moves = [math.nan] + [b - a for a, b in pairwise(closes)]
    gains = means([max(move, 0.0) for move in moves], period)
    losses = means([max(-move, 0.0) for move in moves], period)
    return [
        100.0 * gain / (gain + loss)
        if gain + loss > 0
        else (50.0 if gain + loss == 0 else math.nan)
        for gain, loss in zip(gains, losses, strict=True)
    ]


def run(symbols: list[Symbol], params: ParameterSet, span: Span, cash: float) -> Outcome:
    """Run one parameter set over a span of sessions."""
    out = Outcome()
    held: list[Position | None] = [None] * len(symbols)
    entries: list[Any] = [None] * len(symbols)
    for t in range(span.first, span.last + 1):
        for s, symbol in enumerate(symbols):
            if t < symbol.before:
                continue
            bar = symbol.bar(t)
            if entries[s] is not None and bar.low <= entries[s][0]:
                limit, stop, target, size = entries[s]
                price = min(bar.open, limit)
                assert size * price <= cash
                held[s] = Position(size, price, stop, target, t)
                cash -= size * price
                out.begun += 1
            entries[s] = None
            position = held[s]
            if position is None:
                continue
            out.doubtful += is_doubtful(position, bar, t)
            left = exit_price(position, bar, t)
            if left is None and t == span.last:
                left = bar.close
            if left is not None:
                cash += position.size * left
                out.pnl.append(position.size * (left - position.price))
                held[s] = None
        out.equity.append(cash + worth(held, symbols, t))
        if t == span.last:
            break
        for s, symbol in enumerate(symbols):
            at = t - symbol.before
            if held[s] is not None or at < work.WARM_UP:
                continue
            if symbol.rsi[params["period"]][at] < params["oversold"]:
                entries[s] = entry(symbol, at, params["stop_atrs"], out.equity[-1])
    return out


def exit_price(position: Position, bar: Bar, t: int) -> float | None:
    """Return the price at which a position leaves in a bar, None when it stays."""
    fresh = position.entered == t
    gapped = bar.open <= position.stop or (bar.open >= position.target and not fresh)
    if gapped:
        return bar.open
    if bar.low <= position.stop:
        return position.stop
    # in the entry's own bar a target counts only if it was surely reached after the entry
    sure = not fresh or position.price == bar.open or bar.close >= position.target
    if bar.high >= position.target and sure:
        return position.target
    return bar.close if t - position.entered == work.MAX_SESSIONS else None


def is_doubtful(position: Position, bar: Bar, t: int) -> bool:
    """Whether engines may differ: an exit within reach in the entry's bar, or two in one bar."""
    stopped, reached = bar.low <= position.stop, bar.high >= position.target
    return (position.entered == t and (stopped or reached)) or (stopped and reached)


def worth(held: list[Position | None], symbols: list[Symbol], t: int) -> float:
    """Return what the positions are worth at a close."""
    return sum(
        position.size * symbol.close[t - symbol.before]
        for position, symbol in zip(held, symbols, strict=True)
        if position is not None
    )


def entry(symbol: Symbol, bar: int, stop_atrs: float, equity: float) -> tuple[float, ...]:
    """Return limit, stop, target and size of an entry decided at a close, prices in cents."""
    limit = symbol.close[bar] * work.DISCOUNT
    stop = math.ceil((limit - stop_atrs * symbol.atr[bar]) * 100.0 - 1e-6) / 100.0
    target = math.ceil((limit + work.TARGET_ATRS * symbol.atr[bar]) * 100.0 - 1e-6) / 100.0
    limit = math.floor(limit * 100.0 + 1e-6) / 100.0
    return limit, stop, target, work.shares(equity, limit, stop)


def sweep(market: Market, sets: tuple[ParameterSet, ...]) -> list[Row]:
    """Run every set over the whole history; no bar may be one on which fill rules differ."""
    symbols = prepared(market, sets)
    span = Span(work.WARM_UP, len(symbols[0].close) - 1)
    found = [run(symbols, one, span, CASH) for one in sets]
    assert not any(one.doubtful for one in found)
    return [work.set_row(place, one.marks) for place, one in enumerate(found)]


def walk(market: Market, sets: tuple[ParameterSet, ...]) -> list[Row]:
    """Walk forward."""
    symbols = prepared(market, sets)
    return work.walk(
        max(len(symbol.close) for symbol in symbols),
        len(sets),
        lambda span: [run(symbols, one, span, CASH).marks for one in sets],
        lambda span, place, cash: run(symbols, sets[place], span, cash).marks,
    )


WORKS = {
    "cross": lambda what, market: cross(market),
    "sweep": lambda what, market: sweep(market, what.sets),
    "walk": lambda what, market: walk(market, what.sets),
}
