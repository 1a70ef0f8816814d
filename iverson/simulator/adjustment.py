# SPDX-License-Identifier: GPL-3.0-or-later
"""Adjustment: prices and volumes in the shares of the newest action that is taken into account.

A split of n new shares for one old share divides every earlier price by n and multiplies every
earlier volume by n. A dividend multiplies every earlier price by 1 - dividend / close, where close
is the last regular close before the ex-date, in the new shares if a split falls on that date
(the rule of CRSP). Actions are in force from midnight in New York of their ex-date on. Adjusted
prices are rounded to 0.0001 dollars.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from iverson.market.calendar import new_york
from iverson.simulator.data_query import Refusal
from iverson.simulator.hours import ZONE
from iverson.simulator.market import Bar, Market

WORDS = ("raw", "split", "dividend", "spin-off", "all")
DECIMALS = 4


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Which actions are taken out of the prices."""

    splits: bool
    dividends: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What one ex-date does to everything before it."""

    session: date
    price: float
    volume: float


def adjustment(text: str) -> Adjustment:
    """Read raw, split, dividend, spin-off or all, or several with commas; 400 for any other.

    There are no spin-offs in the replayed history, so taking them out changes nothing.
    """
    words = (text or "raw").split(",")
    if not all(word in WORDS for word in words) or ("raw" in words and len(words) > 1):
        raise Refusal(400, f"invalid adjustment: {text}")
    whole = "all" in words
    return Adjustment(splits=whole or "split" in words, dividends=whole or "dividend" in words)


def steps(
    market: Market,
    symbol: str,
    wanted: Adjustment,
    *,
    now: datetime,
    known: Literal["by now", "all"],
) -> list[Step]:
    """Return the steps of one symbol, oldest first: those in force at `now`, or all there are."""
    today = now.astimezone(ZONE).date()
    splits = market.splits(symbol)
    dividends = market.dividends(symbol) if wanted.dividends else {}
    days = sorted({*(splits if wanted.splits else ()), *dividends})
    found = []
    for day in days:
        if known == "by now" and day > today:
            break
        ratio = splits.get(day, 1.0)
        price = 1.0 - dividends.get(day, 0.0) * ratio / _close_before(market, symbol, day)
        shares = ratio if wanted.splits else 1.0
        found.append(Step(day, price / shares, shares))
    return found


def adjusted(bars: Iterable[Bar], listed: list[Step]) -> Iterator[Bar]:
    """Return the bars with every step of a later ex-date taken out."""
    if not listed:
        yield from bars
        return
    for bar in bars:
        price = volume = 1.0
        for step in listed:
            if step.session > bar.session:
                price *= step.price
                volume *= step.volume
        if price == volume == 1.0:
            yield bar
            continue
        yield replace(
            bar,
            open=round(bar.open * price, DECIMALS),
            high=round(bar.high * price, DECIMALS),
            low=round(bar.low * price, DECIMALS),
            close=round(bar.close * price, DECIMALS),
            volume=bar.volume * volume,
        )


def _close_before(market: Market, symbol: str, ex_date: date) -> float:
    calendar = new_york()
    before = market.last(symbol, calendar.close_at(calendar.offset(ex_date, -1)))
    # Without a bar before the ex-date there is nothing to adjust, and any close will do.
    return before.close if before else float("inf")
