# SPDX-License-Identifier: GPL-3.0-or-later
"""Portfolio history: what an account was worth, looked up in its books and in the market.

Nothing is recorded for it while the replay runs: the books say from when on which shares and how
much cash were there, the market knows the last trade at every instant.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from datetime import date, datetime, timedelta
from decimal import Decimal

from iverson.simulator.accounts import Books, Snapshot
from iverson.simulator.floor import Floor
from iverson.simulator.orders import ZERO
from iverson.simulator.path import on_grid
from iverson.simulator.schedule import ZONE, Schedule
from iverson.simulator.statements import PortfolioHistory, cents
from iverson.simulator.validation import unacceptable

SPANS = {"1Min": 1, "5Min": 5, "15Min": 15, "1H": 60}
DAYS = {"D": 1, "W": 7, "M": 30, "A": 365}
LONGEST_INTRADAY = timedelta(days=30)
FRACTION = Decimal("0.000001")


def portfolio_history(
    floor: Floor,
    books: Books,
    *,
    period: str | None,
    timeframe: str | None,
    start: datetime | None,
    end: datetime | None,
    extended_hours: bool,
) -> PortfolioHistory:
    """Return the account's equity at the right edges of equal windows.

    Profit is reckoned from the equity before the first window. `unacceptable` for a period or
    timeframe that is none, and for windows below a day over more than 30 days.
    """
    if None not in (period, start, end):
        raise unacceptable("only two of start, end and period can be specified")
    last = min(end or floor.now, floor.now)
    first = start if start is not None else _begin(last, period or "1M")
    first = max(first, books.created_at - timedelta(days=1))
    frame = timeframe or _default_frame(last - first)
    if frame == "1D":
        sessions = _sessions(books, first, last)
        stamps = [floor.schedule.day(session).open for session, _ in sessions]
        equity = [worth for _, worth in sessions]
    elif frame in SPANS:
        if last - first > LONGEST_INTRADAY + timedelta(days=1):
            raise unacceptable("intraday timeframes are limited to 30 days")
        length = timedelta(minutes=SPANS[frame])
        stamps = _grid(floor.schedule, first, last, length, extended_hours=extended_hours)
        equity = [_worth(floor, books, min(stamp + length, floor.now)) for stamp in stamps]
    else:
        raise unacceptable(f"invalid timeframe {frame}; expected 1Min, 5Min, 15Min, 1H or 1D")
    base, asof = _base(books, first)
    profits = [worth - base for worth in equity]
    return PortfolioHistory(
        timestamp=tuple(stamps),
        equity=tuple(cents(worth) for worth in equity),
        profit_loss=tuple(cents(profit) for profit in profits),
        profit_loss_pct=tuple(
            (profit / base).quantize(FRACTION) if base else ZERO for profit in profits
        ),
        base_value=cents(base),
        base_value_asof=asof,
        timeframe=frame,
    )


def _begin(last: datetime, period: str) -> datetime:
    match = re.fullmatch(r"(\d{1,4})([DWMA])", period)
    if match is None:
        raise unacceptable(f"invalid period {period}; expected a number and D, W, M or A")
    count, unit = int(match[1]), match[2]
    days = count * DAYS[unit]
    midnight = last.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=days - 1 if unit == "D" else days)


def _default_frame(length: timedelta) -> str:
    if length < timedelta(days=7):
        return "1Min"
    return "15Min" if length < LONGEST_INTRADAY else "1D"


def _sessions(books: Books, first: datetime, last: datetime) -> list[tuple[date, Decimal]]:
    lower, upper = first.astimezone(ZONE).date(), last.astimezone(ZONE).date()
    return [(session, worth) for session, worth in books.daily_equity if lower <= session <= upper]


def _grid(
    schedule: Schedule,
    first: datetime,
    last: datetime,
    length: timedelta,
    *,
    extended_hours: bool,
) -> list[datetime]:
    stamps = []
    session = schedule.session_on_or_after(first)
    while (day := schedule.day(session)).pre < last:
        stamp, close = (day.pre, day.after) if extended_hours else (day.open, day.close)
        while stamp < min(close, last):
            if stamp >= first:
                stamps.append(stamp)
            stamp += length
        session = schedule.calendar.offset(session, 1)
    return stamps


def _worth(floor: Floor, books: Books, at: datetime) -> Decimal:
    index = bisect_right(books.timeline, at, key=lambda one: one.at)
    state: Snapshot = books.timeline[max(index - 1, 0)]
    return state.cash + sum(
        (qty * _price(floor, symbol, at) for symbol, qty in state.shares.items()), ZERO
    )


def _price(floor: Floor, symbol: str, at: datetime) -> Decimal:
    bar = floor.market.last(symbol, at)
    assert bar is not None, f"{symbol} was held before it traded"
    price = on_grid(bar.close)
    session = floor.schedule.session_on_or_after(at)
    if bar.session < session and at >= floor.schedule.day(session).overnight:
        # Shares are split at 02:30, the first bar at the new price comes later.
        price /= Decimal(repr(floor.market.splits_on(session).get(symbol, 1.0)))
    return price


def _base(books: Books, first: datetime) -> tuple[Decimal, date | None]:
    day = first.astimezone(ZONE).date()
    before = [(session, worth) for session, worth in books.daily_equity if session < day]
    if before:
        return before[-1][1], before[-1][0]
    return books.timeline[0].cash, None
