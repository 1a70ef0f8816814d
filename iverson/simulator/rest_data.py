# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers about stocks: bars, trades, quotes, the latest of each, and snapshots.

Every function takes the exchange, the switches and the query, and returns the JSON body, or
raises `Refusal`. Trades and quotes are made up from bars (`quotes`), as are a bar's number of
trades and its volume-weighted price (`timeframes`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from iverson.simulator import data_query as read
from iverson.simulator.adjustment import adjustment, steps
from iverson.simulator.data_query import Page, Query, Refusal, Row
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.data_view import Shown, View, view
from iverson.simulator.hours import ZONE, midnight, zulu
from iverson.simulator.market import Bar
from iverson.simulator.quotes import EXCHANGE, TAPE, Quote, Trade, quote_of, trades_of
from iverson.simulator.timeframes import (
    Group,
    Timeframe,
    check_possible,
    grouped,
    timeframe,
)

PAST = ("sip", "iex", "boats", "otc")
LATEST = ("sip", "iex", "delayed_sip", "boats", "overnight", "otc")
PAGE = {"default": 1000, "most": 10_000}
DAY = Timeframe(1, "day")
ONE_DAY, ONE_WEEK = timedelta(days=1), timedelta(days=7)
Answer = dict[str, Any]
Rows = Callable[[str, datetime, datetime], Iterator[Row]]


def bars(exchange: Shown, switches: DataSwitches, query: Query) -> Page:
    """Answer /v2/stocks/bars."""
    wanted = timeframe(query.get("timeframe", ""))
    check_possible(wanted, exchange.market)
    taken_out = adjustment(query.get("adjustment", ""))
    seen, start, end = _span(exchange, switches, query)

    def rows(symbol: str, first: datetime, last: datetime) -> Iterator[Row]:
        known = steps(exchange.market, symbol, taken_out, now=exchange.now, known=switches.actions)
        for group in seen.groups(symbol, wanted, start=first, end=last, steps=known):
            yield symbol, group.at, bar_row(group)

    return _paged(query, rows, start, end)


def trades(exchange: Shown, switches: DataSwitches, query: Query) -> Page:
    """Answer /v2/stocks/trades."""
    seen, start, end = _span(exchange, switches, query)

    def rows(symbol: str, first: datetime, last: datetime) -> Iterator[Row]:
        for trade in _trades(seen, symbol, first, last):
            yield symbol, trade.at, trade_row(trade)

    return _paged(query, rows, start, end)


def quotes(exchange: Shown, switches: DataSwitches, query: Query) -> Page:
    """Answer /v2/stocks/quotes."""
    seen, start, end = _span(exchange, switches, query)
    spread = half_spread(exchange)

    def rows(symbol: str, first: datetime, last: datetime) -> Iterator[Row]:
        for trade in _trades(seen, symbol, first, last):
            yield symbol, trade.at, quote_row(quote_of(trade, half_spread=spread))

    return _paged(query, rows, start, end)


def latest(exchange: Shown, switches: DataSwitches, query: Query, what: str) -> Answer:
    """Answer the latest bar, trade or quote of each symbol that has one; `what` is which."""
    seen = _latest_view(exchange, switches, query)
    found = {}
    for symbol in read.symbols(query):
        bar = seen.last(symbol)
        if bar is not None:
            found[symbol] = _latest(exchange, bar)[what]
    return found


def snapshots(exchange: Shown, switches: DataSwitches, query: Query) -> Answer:
    """Answer /v2/stocks/snapshots: latest trade, quote and bars of each symbol that has any."""
    seen = _latest_view(exchange, switches, query)
    found = {}
    for symbol in read.symbols(query):
        bar = seen.last(symbol)
        if bar is None:
            continue
        newest = _latest(exchange, bar)
        shot = {"latestTrade": newest["trade"], "latestQuote": newest["quote"]}
        if exchange.market.minutes is not None:
            shot["minuteBar"] = newest["bar"]
        start = bar.end - ONE_WEEK
        days = list(seen.groups(symbol, DAY, start=start, end=seen.horizon, steps=[]))
        names = ("dailyBar", "prevDailyBar")
        shot |= {name: bar_row(day) for name, day in zip(names, reversed(days), strict=False)}
        found[symbol] = shot
    return found


def half_spread(exchange: Shown) -> float:
    """Return the exchange's half-spread as a fraction of the price."""
    return float(exchange.switches.half_spread_bps) / 10_000


def bar_row(group: Group) -> Answer:
    """Write a bar; volume is rounded to whole shares, prices to 0.000001 dollars."""
    return {
        "t": zulu(group.at),
        "o": round(group.open, 6),
        "h": round(group.high, 6),
        "l": round(group.low, 6),
        "c": round(group.close, 6),
        "v": round(group.volume),
        "n": group.trades,
        "vw": round(group.vwap, 6),
    }


def trade_row(trade: Trade) -> Answer:
    """Write a trade."""
    return {
        "t": zulu(trade.at),
        "i": trade.id,
        "x": EXCHANGE,
        "p": trade.price,
        "s": trade.size,
        "c": ["@"],
        "z": TAPE,
    }


def quote_row(quote: Quote) -> Answer:
    """Write a quote."""
    return {
        "t": zulu(quote.at),
        "bx": EXCHANGE,
        "bp": quote.bid,
        "bs": quote.size,
        "ax": EXCHANGE,
        "ap": quote.ask,
        "as": quote.size,
        "c": ["R"],
        "z": TAPE,
    }


def _latest(exchange: Shown, bar: Bar) -> dict[str, Answer]:
    trade = trades_of(bar)[-1]
    minutes = exchange.market.minutes
    length = DAY if minutes is None else Timeframe(minutes, "minute")
    group = next(grouped([bar], length, minutes=minutes))
    return {
        "trade": trade_row(trade),
        "quote": quote_row(quote_of(trade, half_spread=half_spread(exchange))),
        "bar": bar_row(group),
    }


def _latest_view(exchange: Shown, switches: DataSwitches, query: Query) -> View:
    _check_currency(query)
    default = "sip" if switches.recent_sip else "iex"
    feed = read.choice(query, "feed", LATEST, default=default)
    if feed == "sip":
        return view(exchange, switches, feed, end=exchange.now)
    return view(exchange, switches, feed)


def _span(exchange: Shown, switches: DataSwitches, query: Query) -> tuple[View, datetime, datetime]:
    _check_currency(query)
    if query.get("asof") not in (None, "", "-"):
        read.day(query, "asof")
    feed = read.choice(query, "feed", PAST, default="sip")
    start, end = read.instant(query, "start"), read.instant(query, "end")
    if start is not None and end is not None and start > end:
        raise Refusal(400, "end should not be before start")
    seen = view(exchange, switches, feed, end=end)
    today = midnight(exchange.now.astimezone(ZONE).date())
    return seen, start or min(today, seen.horizon), end or seen.horizon


def _trades(seen: View, symbol: str, start: datetime, end: datetime) -> Iterator[Trade]:
    """Return the trades in [start, end], in time."""
    for bar in seen.bars(symbol, after=start, until=end + ONE_DAY):
        if bar.start > end:
            return
        yield from (trade for trade in trades_of(bar) if start <= trade.at <= end)


def _paged(query: Query, rows: Rows, start: datetime, end: datetime) -> Page:
    size = read.limit(query, **PAGE)
    descending = read.choice(query, "sort", ("asc", "desc"), default="asc") == "desc"
    cursor = read.cursor(query)
    wanted = read.symbols(query)

    def walk() -> Iterator[Row]:
        for symbol in wanted:
            first, last = start, end
            if cursor is not None:
                if symbol < cursor.symbol:
                    continue
                if symbol == cursor.symbol and descending:
                    last = min(end, cursor.at - timedelta(microseconds=1))
                elif symbol == cursor.symbol:
                    first = max(start, cursor.at + timedelta(microseconds=1))
            if first > last:
                continue
            found = rows(symbol, first, last)
            yield from reversed(list(found)) if descending else found

    return read.page(walk(), size=size)


def _check_currency(query: Query) -> None:
    if query.get("currency", "") not in ("", "USD"):
        raise Refusal(400, f"invalid currency: {query['currency']}; only USD is replayed")
