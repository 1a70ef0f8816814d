# SPDX-License-Identifier: GPL-3.0-or-later
"""Minute bars for tests: whole sessions at one price, with what a test puts into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np

from iverson.market.bars import Bars
from iverson.market.calendar import new_york

Row = tuple[float, float, float, float]  # open, high, low, close

NAMES = ("open", "high", "low", "close")
PRICE, VOLUME = 100.0, 10_000.0
REACH = 0.25  # by which a quiet bar's high and low are off its price


def sessions_from(first: date, count: int) -> list[date]:
    """Return sessions of the exchange, the first of them on or after a date."""
    return [new_york().offset(first, number) for number in range(count)]


def quiet(
    sessions: list[date],
    *,
    symbol: str = "TEST",
    length: int = 1,
    rows: Mapping[tuple[date, str], Row] | None = None,
    holes: frozenset[tuple[date, str]] = frozenset(),
    price: float = PRICE,
    feed: str = "",
) -> Bars:
    """Make bars of `length` minutes that all open and close at one price.

    `rows` are other bars and `holes` none at all, by session and New York time of the right edge,
    as "10:01". Volume is 10,000 shares a bar.
    """
    at, session, prices = [], [], []
    for day in sessions:
        opened = np.datetime64(new_york().open_at(day).replace(tzinfo=None), "m")
        closed = np.datetime64(new_york().close_at(day).replace(tzinfo=None), "m")
        for number, edge in enumerate(np.arange(opened + length, closed + 1, length), start=1):
            clock = clock_at(number * length)
            if (day, clock) in holes:
                continue
            at.append(edge)
            session.append(day)
            usual = (price, price + REACH, price - REACH, price)
            prices.append((rows or {}).get((day, clock), usual))
    columns = np.array(prices)
    n = len(at)
    return Bars(
        symbol=symbol,
        interval=f"{length}m",
        at=np.array(at, dtype="datetime64[ns]"),
        session=np.array(session, dtype="datetime64[D]"),
        volume=np.full(n, VOLUME),
        factor=np.ones(n),
        dividend=np.zeros(n),
        feed=feed,
        **{
            name: columns[:, place].copy()
            for place, name in enumerate(("open", "high", "low", "close"))
        },
    )


def flat_at(price: float) -> Row:
    """Return a bar that opens and closes at a price and reaches as far as a quiet one."""
    return (price, price + REACH, price - REACH, price)


def clock_at(minute: int) -> str:
    """Return the New York time so many minutes after 09:30."""
    return f"{(570 + minute) // 60:02d}:{(570 + minute) % 60:02d}"


def with_volume(bars: Bars, volume: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Bars:
    """Return the bars with another volume."""
    return replace(bars, volume=volume)


def summed(bars: Bars, length: int) -> Bars:
    """Longer bars out of minutes."""
    rows = {name: getattr(bars, name).reshape(-1, length) for name in (*NAMES, "volume")}
    last = bars[np.arange(length - 1, len(bars), length)]
    return replace(
        last,
        interval=f"{length}m",
        open=rows["open"][:, 0].copy(),
        high=rows["high"].max(axis=1),
        low=rows["low"].min(axis=1),
        volume=rows["volume"].sum(axis=1),
    )


NAMES = ("open", "high", "low", "close", "volume")
