# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (what an order and a feed keep has underscore names)
"""Orders that wait for a price: most bars reach none of them, which takes one look at each.

Where to look is worked out when an order comes in. What it waits for is read from the order on
every bar, since strategies may change it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

import backtrader as bt
import numpy as np

from iverson.engine.lines import Cell, CursorData
from iverson.engine.orders import LeanOrder

_BUY, _LIMIT, _STOP = bt.Order.Buy, bt.Order.Limit, bt.Order.Stop

# what an order says, what it asks for, whether it waits for a fall, how far bars go that way, their
# opens and date numbers, and the cell that counts them
Place = tuple[dict[str, Any], dict[str, Any], bool, Any, Any, Any, Cell]


def any_reached(orders: Iterable[Any]) -> bool:
    """Whether the feeds' bars get to the price or past the validity of any order, or may do so."""
    for order in orders:
        place = order._place
        if place is None:
            return True
        own, asked, falls, extremes, _, numbers, cell = place
        at = cell[0]
        if (valid := own["valid"]) and numbers[at] > valid:
            return True
        if own["_active"]:
            price = asked["price"]
            if extremes[at] <= price if falls else extremes[at] >= price:
                return True
    return False


class Bars(dict[Any, Any]):
    """A feed's opens, highs, lows and date numbers, and the cell that counts them.

    None where they are not known before, outside the lean loop.
    """

    def __init__(self) -> None:
        self._extremes: dict[Any, tuple[Any, Any]] = {}

    def __missing__(self, data: Any) -> Any:
        if not isinstance(data, CursorData):
            return None  # it may become one
        lines = data.open, data.high, data.low, data.lines.datetime
        found = self[data] = (*(line.array for line in lines), data._cursor)
        return found

    def place(self, order: Any) -> Place | None:
        """Return where to look for what an order waits for; None if it has to be asked itself."""
        if not isinstance(order, LeanOrder):
            return None
        own = vars(order)
        kind, data = own["exectype"], own["data"]
        bar = self[data]
        if bar is None or kind not in {_LIMIT, _STOP}:
            return None
        _, _, _, numbers, cell = bar
        extremes = self._extremes.get(data)
        if extremes is None:
            extremes = self._extremes[data] = _extremes(*bar[:3])
        # a buyer's limit and a seller's stop wait for a fall, the others for a rise
        falls = (kind == _LIMIT) == (order.ordtype == _BUY)
        return own, vars(own["created"]), falls, extremes[falls], bar[0], numbers, cell


def _extremes(opens: Any, highs: Any, lows: Any) -> tuple[Any, Any]:
    """Return how far up and how far down bars go, from the open as well as by high and low."""
    ways = []
    for prices, further in ((highs, np.fmax), (lows, np.fmin)):
        beyond = further(np.frombuffer(prices), np.frombuffer(opens))
        plain = np.array_equal(beyond, prices)
        ways.append(prices if plain else array("d", beyond.tobytes()))
    return ways[0], ways[1]
