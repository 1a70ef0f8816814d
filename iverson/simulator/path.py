# SPDX-License-Identifier: GPL-3.0-or-later
"""The way a price takes through a bar: open, one extreme, the other, close.

Each of the three stretches takes a third of the bar's time and is straight. So every price between
low and high is reached at a definite instant, and two orders at different prices are reached in a
definite order. Bars tell nothing of the real way; the choice of the first extreme is a switch.
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

    def __init__(self, bar: Bar, *, high_first: bool) -> None:
        self.start, self.end = bar.start, bar.end
        prices = [on_grid(price) for price in (bar.open, bar.high, bar.low, bar.close)]
        opened, self.high, self.low, closed = prices
        first, second = (self.high, self.low) if high_first else (self.low, self.high)
        length = (bar.end - bar.start) // MICROSECOND
        self._corners = (
            (0, opened),
            (length // 3, first),
            (2 * length // 3, second),
            (length, closed),
        )

    @property
    def open(self) -> Decimal:
        """The first price."""
        return self._corners[0][1]

    def price_at(self, at: datetime) -> Decimal:
        """Return the price at an instant of the bar, on the grid."""
        return next(self._stretches(at))[1]

    def reach(self, level: Decimal, after: datetime, *, rising: bool) -> Reached | None:
        """Return the first instant from `after` on at or beyond a level.

        `rising`: at or above it, else at or below. The price there is the level itself, unless
        the first price seen lies beyond it already.
        """
        if not (self.high >= level if rising else self.low <= level):
            return None
        sign = 1 if rising else -1
        for begin, here, end, there in self._stretches(after):
            if sign * (here - level) >= 0:
                return Reached(self._instant(begin), here)
            if sign * (there - level) >= 0:
                return Reached(self._instant(_crossing(begin, here, end, there, level)), level)
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
        last = (until - self.start) // MICROSECOND
        for begin, here, end, there in self._stretches(after):
            if begin > last:
                break
            mark = max(mark * sign, here * sign) * sign
            stop = trailing_stop(mark, dollars=dollars, fraction=fraction, selling=selling)
            if sign * (here - stop) <= 0:
                return mark, Reached(self._instant(begin), here)
            if sign * (there - stop) <= 0:
                crossing = _crossing(begin, here, end, there, stop)
                if crossing <= last:
                    return mark, Reached(self._instant(crossing), stop)
                break
            final = there if end <= last else self._between(begin, here, end, there, last)
            mark = max(mark * sign, final * sign) * sign
        return mark, None

    def _stretches(self, after: datetime) -> Iterator[tuple[int, Decimal, int, Decimal]]:
        """Yield (begin, price, end, price) from `after` on; the last one may have no length."""
        since = max(0, (after - self.start) // MICROSECOND)
        corners = self._corners
        for (begin, here), (end, there) in pairwise(corners):
            if since < end:
                if since > begin:
                    yield since, self._between(begin, here, end, there, since), end, there
                else:
                    yield begin, here, end, there
        if since >= corners[-1][0]:
            yield (*corners[-1], *corners[-1])

    @staticmethod
    def _between(begin: int, here: Decimal, end: int, there: Decimal, at: int) -> Decimal:
        return (here + (there - here) * (at - begin) / (end - begin)).quantize(GRID)

    def _instant(self, offset: int) -> datetime:
        return self.start + timedelta(microseconds=offset)


def trailing_stop(
    mark: Decimal, *, dollars: Decimal | None, fraction: Decimal | None, selling: bool
) -> Decimal:
    """Return where a trailing stop lies below (selling) or above its mark, on the grid."""
    distance = dollars if dollars is not None else mark * (fraction or Decimal(0))
    return (mark - distance if selling else mark + distance).quantize(GRID)


def _crossing(begin: int, here: Decimal, end: int, there: Decimal, level: Decimal) -> int:
    part = (level - here) / (there - here) * (end - begin)
    return begin + int(part.to_integral_value(ROUND_CEILING))
