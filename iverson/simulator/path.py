# SPDX-License-Identifier: GPL-3.0-or-later
"""The way a price takes through a bar: open, one extreme, the other, close.

Each of the three stretches takes a third of the bar's time and is straight. So every price between
low and high is reached at a definite instant, and two orders at different prices are reached in a
definite order. Bars tell nothing of the real way; the choice of the first extreme is a switch, and
so is how long before the end the close is reached: what leaves shortly before the close of a daily
bar then leaves at its closing price.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from iverson.simulator.market import Bar

GRID = Decimal("0.0001")
MICROSECOND = timedelta(microseconds=1)


def on_grid(price: float) -> Decimal:
    """Return a price of the history as `Decimal` on the grid of 0.0001."""
    return Decimal(repr(price)).quantize(GRID)


class Reached(NamedTuple):
    """The instant at which a price was reached, and the price there."""

    at: datetime
    price: Decimal


class Path:
    """One bar's way; instants from `start` to `end`, prices on the grid."""

    __slots__ = ("_corners", "end", "high", "low", "start")

    def __init__(self, bar: Bar, *, high_first: bool, early: timedelta = timedelta(0)) -> None:
        self.start, self.end = bar.start, bar.end
        prices = [on_grid(price) for price in (bar.open, bar.high, bar.low, bar.close)]
        opened, self.high, self.low, closed = prices
        first, second = (self.high, self.low) if high_first else (self.low, self.high)
        length = (bar.end - bar.start) // MICROSECOND
        moving = length - min(early // MICROSECOND, length // 2)
        way = [(0, opened), (moving // 3, first), (2 * moving // 3, second), (moving, closed)]
        self._corners = (*way, (length, closed)) if moving < length else tuple(way)

    @property
    def open(self) -> Decimal:
        """The first price."""
        return self._corners[0][1]

    def price_at(self, at: datetime) -> Decimal:
        """Return the price at an instant of the bar, on the grid."""
        since = self._offset(at)
        return next(iter(self._stretches(since))).price_at(since).quantize(GRID)

    def reach(self, level: Decimal, after: datetime, *, rising: bool) -> Reached | None:
        """Return the first instant from `after` on at or beyond a level.

        `rising`: at or above it, else at or below. The price there is the level itself, unless
        the first price seen lies beyond it already.
        """
        if not (self.high >= level if rising else self.low <= level):
            return None
        sign = 1 if rising else -1
        since = self._offset(after)
        for stretch in self._stretches(since):
            begin = max(since, stretch.begin)
            here = stretch.price_at(begin)
            if sign * (here - level) >= 0:
                return Reached(self._instant(begin), here.quantize(GRID))
            if sign * (stretch.there - level) >= 0:
                return Reached(self._instant(stretch.crossing(level)), level)
        return None

    def trail(
        self,
        after: datetime,
        until: datetime,
        *,
        mark: Decimal,
        dollars: Decimal | None,
        fraction: Decimal | None,
        selling: bool,
    ) -> tuple[Decimal, Reached | None]:
        """Follow a trailing stop from one instant to another.

        Returns the mark (highest price for a sale, lowest for a purchase) when the way ends or the
        stop is reached, and where it is reached if it is.
        """
        sign = 1 if selling else -1
        since, last = self._offset(after), self._offset(until)
        for stretch in self._stretches(since):
            begin = max(since, stretch.begin)
            if begin > last:
                break
            here = stretch.price_at(begin)
            mark = max(mark * sign, here * sign) * sign
            stop = trailing_stop(mark, dollars=dollars, fraction=fraction, selling=selling)
            if sign * (here - stop) <= 0:
                return mark.quantize(GRID), Reached(self._instant(begin), here.quantize(GRID))
            if sign * (stretch.there - stop) <= 0:
                crossing = stretch.crossing(stop)
                if crossing > last:
                    break
                return mark.quantize(GRID), Reached(self._instant(crossing), stop)
            final = stretch.price_at(min(stretch.end, last))
            mark = max(mark * sign, final * sign) * sign
        return mark.quantize(GRID), None

    def _stretches(self, since: int) -> Iterator[_Stretch]:
        """Yield the stretches that have not ended, the last one even so."""
        last = len(self._corners) - 2
        for number, ((begin, here), (end, there)) in enumerate(pairwise(self._corners)):
            if since < end or number == last:
                yield _Stretch(begin, here, end, there)

    def _offset(self, at: datetime) -> int:
        return max(0, (at - self.start) // MICROSECOND)

    def _instant(self, offset: int) -> datetime:
        return self.start + timedelta(microseconds=offset)


class _Stretch(NamedTuple):
    """A straight part of the way, in microseconds from the bar's start.

    Instants are reckoned from its own corners, whenever one looks, so that looking more often
    moves nothing.
    """

    begin: int
    here: Decimal
    end: int
    there: Decimal

    def price_at(self, at: int) -> Decimal:
        if at <= self.begin:
            return self.here
        if at >= self.end:
            return self.there
        return self.here + (self.there - self.here) * (at - self.begin) / (self.end - self.begin)

    def crossing(self, level: Decimal) -> int:
        part = (level - self.here) / (self.there - self.here) * (self.end - self.begin)
        return self.begin + int(part.to_integral_value(ROUND_CEILING))


def trailing_stop(
    mark: Decimal, *, dollars: Decimal | None, fraction: Decimal | None, selling: bool
) -> Decimal:
    """Return where a trailing stop lies below (selling) or above its mark, on the grid."""
    distance = dollars if dollars is not None else mark * (fraction or Decimal(0))
    return (mark - distance if selling else mark + distance).quantize(GRID)
