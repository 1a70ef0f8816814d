# SPDX-License-Identifier: GPL-3.0-or-later
"""The tape: which messages a data stream owes for a span of simulated time, and when.

A bar is sent a little after its end; if late trades were missing from it, once more as an updated
bar; and with each bar of regular hours the running daily bar. Trades and quotes, made up from the
bar, are sent with it. Nothing is sent before its bar has ended. Replayed bars of more than a
minute are sent as they are; a history of daily bars gives daily bars only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from iverson.simulator.data_view import View
from iverson.simulator.events import TradingHalt
from iverson.simulator.hours import midnight
from iverson.simulator.market import Bar
from iverson.simulator.news import Article
from iverson.simulator.quotes import TAPE, Quote, Trade, quote_of, trades_of
from iverson.simulator.rest_data import bar_row, quote_row, trade_row
from iverson.simulator.rest_news import news_row
from iverson.simulator.timeframes import Group, regular, trades, vwap

LATE_PART = 0.1  # of the volume, at most, is missing from a bar that will be updated
Wants = Callable[[str, str], bool]


class Due(NamedTuple):
    """One message: when it is sent, on which channel, about which symbols."""

    at: datetime
    channel: str
    symbols: tuple[str, ...]
    message: dict[str, Any]


@dataclass
class _Day:
    """The running daily bar of one symbol, as far as `seen`."""

    bar: Bar
    seen: datetime
    count: int = 0
    shares: float = 0.0
    turnover: float = 0.0


class Tape:
    """The stock messages of one feed; it remembers the running days, and nothing else."""

    def __init__(self) -> None:
        self._days: dict[str, _Day] = {}

    def due(self, view: View, wants: Wants, after: datetime, *, half_spread: float) -> list[Due]:
        """Return what is sent in (after, view.now], in the order of sending.

        `wants(channel, symbol)` says what anybody has asked for; the rest is left out.
        """
        found: list[Due] = []
        delay = view.switches.bar_delay
        for bar in _bars(view, after, delay):
            at = bar.end + delay
            found += self._with_bar(view, wants, bar, at, half_spread)
        if view.switches.late_share > 0:
            later = view.switches.updated_bar_delay
            found += [
                _due(bar.end + later, "updatedBars", "u", _as_group(bar))
                for bar in _bars(view, after, later)
                if wants("updatedBars", bar.symbol) and _missing(view, bar)
            ]
        found.sort(key=lambda one: one.at)
        return found

    def _with_bar(
        self, view: View, wants: Wants, bar: Bar, at: datetime, half_spread: float
    ) -> Iterator[Due]:
        symbol = bar.symbol
        if wants("trades", symbol):
            yield from (_trade(at, one) for one in trades_of(bar))
        if wants("quotes", symbol):
            for one in trades_of(bar):
                yield _quote(at, quote_of(one, half_spread=half_spread))
        if wants("bars", symbol) and view.market.minutes is not None:
            missing = _missing(view, bar)
            first = replace(bar, volume=bar.volume * (1 - missing)) if missing else bar
            yield _due(at, "bars", "b", _as_group(first))
        if wants("dailyBars", symbol) and regular(bar):
            yield _due(at, "dailyBars", "d", self._running(view, bar))

    def _running(self, view: View, newest: Bar) -> Group:
        left = midnight(newest.session)
        day = self._days.get(newest.symbol)
        if day is None or day.bar.session != newest.session or day.seen >= newest.end:
            day = self._days[newest.symbol] = _Day(replace(newest, volume=0.0), left)
        for bar in view.bars(newest.symbol, after=day.seen, until=newest.end):
            _add(day, bar)
        return _group(day.bar, left, day.count, day.turnover / day.shares)


def next_due(view: View, after: datetime) -> datetime | None:
    """Return the first instant after another at which a bar of any symbol is due."""
    delays = [view.switches.bar_delay]
    if view.switches.late_share > 0:
        delays.append(view.switches.updated_bar_delay)
    ends = [(view.market.next_end(after - delay), delay) for delay in delays]
    return min((end + delay for end, delay in ends if end is not None), default=None)


def news(article: Article) -> Due:
    """Return the message of one version of an article."""
    instants = {"created_at": article.created_at, "updated_at": article.updated_at}
    message = {"T": "n", **news_row(article, content=True), **instants}
    del message["images"]  # in the history only
    return Due(article.updated_at, "news", article.symbols, message)


def status(halt: TradingHalt) -> Due:
    """Return the message of a trading halt, or of its end."""
    code = "LUDP" if "luld" in halt.reason.lower() else "T12"
    message = {
        "T": "s",
        "S": halt.symbol,
        "sc": "H" if halt.halted else "T",
        "sm": "Trading Halt" if halt.halted else "Trading Resumption",
        "rc": code,
        "rm": halt.reason,
        "t": halt.at,
        "z": TAPE,
    }
    return Due(halt.at, "statuses", (halt.symbol,), message)


def _bars(view: View, after: datetime, delay: timedelta) -> Iterator[Bar]:
    for bar in view.market.bars_between(after - delay, view.now - delay):
        shown = view.shown(bar)
        if shown is not None:
            yield shown


def _missing(view: View, bar: Bar) -> float:
    """Return the part of a bar's volume that comes late; 0 for most bars."""
    if view.switches.late_share <= 0:
        return 0.0
    draw = random.Random(f"late {view.seed} {bar.symbol} {bar.end.isoformat()}")
    return draw.uniform(0, LATE_PART) if draw.random() < view.switches.late_share else 0.0


def _add(day: _Day, bar: Bar) -> None:
    whole = day.bar
    day.seen = bar.end
    if not regular(bar):
        day.bar = replace(whole, volume=whole.volume + bar.volume)
        return
    reached = replace(
        whole,
        high=max(whole.high, bar.high),
        low=min(whole.low, bar.low),
        close=bar.close,
    )
    day.bar = replace(reached if day.count else bar, volume=whole.volume + bar.volume)
    day.count += trades(bar)
    day.shares += bar.volume
    day.turnover += vwap(bar) * bar.volume


def _as_group(bar: Bar) -> Group:
    return _group(bar, bar.start, trades(bar), vwap(bar))


def _group(bar: Bar, left: datetime, count: int, mean: float) -> Group:
    return Group(
        symbol=bar.symbol,
        at=left,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        trades=count,
        vwap=mean,
    )


def _due(at: datetime, channel: str, kind: str, group: Group) -> Due:
    message = {"T": kind, "S": group.symbol, **bar_row(group), "t": group.at}
    return Due(at, channel, (group.symbol,), message)


def _trade(at: datetime, one: Trade) -> Due:
    message = {"T": "t", "S": one.symbol, **trade_row(one), "t": one.at}
    return Due(at, "trades", (one.symbol,), message)


def _quote(at: datetime, one: Quote) -> Due:
    message = {"T": "q", "S": one.symbol, **quote_row(one), "t": one.at}
    return Due(at, "quotes", (one.symbol,), message)
