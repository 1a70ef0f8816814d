# SPDX-License-Identifier: GPL-3.0-or-later
"""Timeframes: how replayed bars are summed up to minutes, hours, days, weeks and months.

A group is stamped with its left edge, counted in New York: minutes and hours from midnight, weeks
from Monday, months from January; a day begins at midnight. Trades outside regular hours count
towards minutes and hours, and towards the volume of a day, but not towards its prices (condition
T of the consolidated tape). Groups without a bar do not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from math import ceil
from typing import Literal

from iverson.market.calendar import new_york
from iverson.simulator.data_query import Refusal
from iverson.simulator.hours import ZONE, edges, midnight
from iverson.simulator.market import Bar, Market

Unit = Literal["minute", "day", "week", "month"]
_PATTERN = re.compile(r"(\d{1,2})(Min|T|Hour|H|Day|D|Week|W|Month|M)")
_MONTHS = (1, 2, 3, 4, 6, 12)
SHARES_A_TRADE = 100


@dataclass(frozen=True, slots=True)
class Timeframe:
    """Length of a group: `count` units; hours are minutes."""

    count: int
    unit: Unit

    def left_edge(self, bar: Bar) -> datetime:
        """Return the left edge of the group that a bar belongs to, in UTC."""
        if self.unit == "minute":
            start = bar.start.astimezone(ZONE)
            minutes = start.hour * 60 + start.minute
            minutes -= minutes % self.count
            return datetime.combine(
                start.date(), time(minutes // 60, minutes % 60), ZONE
            ).astimezone(UTC)
        return midnight(self._first_day(bar.session))

    @property
    def longest(self) -> timedelta:
        """A span that no group outlasts, counted from its left edge."""
        days = {"minute": 2, "day": 2, "week": 8, "month": 32}[self.unit]
        return timedelta(days=days * (1 if self.unit == "minute" else self.count))

    def complete_at(self, left: datetime) -> datetime:
        """Return the instant at which a group is complete: for days the close of the last one."""
        if self.unit == "minute":
            return left + timedelta(minutes=self.count)
        first = left.astimezone(ZONE).date()
        calendar = new_york()
        following = calendar.offset(self._next_first_day(first), 0)
        return calendar.close_at(calendar.offset(following, -1))

    def _first_day(self, session: date) -> date:
        if self.unit == "week":
            return session - timedelta(days=session.weekday())
        if self.unit == "month":
            return date(session.year, session.month - (session.month - 1) % self.count, 1)
        return session

    def _next_first_day(self, first: date) -> date:
        if self.unit == "week":
            return first + timedelta(days=7)
        if self.unit == "month":
            months = first.year * 12 + first.month - 1 + self.count
            return date(months // 12, months % 12 + 1, 1)
        return first + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Group:
    """A summed-up bar with its left edge `at`; `trades` and `vwap` are made up, see `trades`."""

    symbol: str
    at: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int
    vwap: float


def timeframe(text: str) -> Timeframe:
    """Read a timeframe such as 5Min, 1H, 1Day or 3Month; 400 for any other."""
    match = _PATTERN.fullmatch(text)
    if match is not None:
        count, word = int(match[1]), match[2]
        if word in ("Min", "T") and 1 <= count <= 59:
            return Timeframe(count, "minute")
        if word in ("Hour", "H") and 1 <= count <= 23:
            return Timeframe(60 * count, "minute")
        if word in ("Day", "D") and count == 1:
            return Timeframe(1, "day")
        if word in ("Week", "W") and count == 1:
            return Timeframe(1, "week")
        if word in ("Month", "M") and count in _MONTHS:
            return Timeframe(count, "month")
    raise Refusal(400, f"invalid timeframe: {text}")


def check_possible(wanted: Timeframe, market: Market) -> None:
    """Refuse a timeframe that the replayed bars are too long for: the simulator's own limit."""
    if wanted.unit != "minute":
        return
    if market.minutes is None or wanted.count % market.minutes:
        raise Refusal(
            400,
            f"the replayed history has bars of {market.interval}; "
            f"bars of {wanted.count} minutes cannot be made of them",
        )


def grouped(bars: Iterable[Bar], wanted: Timeframe, *, minutes: int | None) -> Iterator[Group]:
    """Sum bars of one symbol, in order, up to a timeframe; `minutes` is the length of a bar."""
    if wanted.unit == "minute" and wanted.count == minutes:
        yield from (_summed([bar], bar.start) for bar in bars)
        return
    for left, members in groupby(bars, wanted.left_edge):
        listed = list(members)
        priced = listed if wanted.unit == "minute" else [bar for bar in listed if regular(bar)]
        if priced:
            yield _summed(priced, left, sum(bar.volume for bar in listed))


def regular(bar: Bar) -> bool:
    """Tell whether a bar lies in regular hours."""
    _, opens, closes, _ = edges(bar.session)
    return opens <= bar.start and bar.end <= closes


def trades(bar: Bar) -> int:
    """Make up the number of trades of a bar: one for every 100 shares, at least one."""
    return max(1, ceil(bar.volume / SHARES_A_TRADE))


def vwap(bar: Bar) -> float:
    """Make up the volume-weighted average price of a bar: the mean of its four prices."""
    return (bar.open + bar.high + bar.low + bar.close) / 4


def _summed(bars: list[Bar], left: datetime, volume: float | None = None) -> Group:
    weights = [bar.volume for bar in bars]
    total = sum(weights)
    return Group(
        symbol=bars[0].symbol,
        at=left,
        open=bars[0].open,
        high=max(bar.high for bar in bars),
        low=min(bar.low for bar in bars),
        close=bars[-1].close,
        volume=total if volume is None else volume,
        trades=sum(trades(bar) for bar in bars),
        vwap=sum(vwap(bar) * bar.volume for bar in bars) / total if total else vwap(bars[-1]),
    )
