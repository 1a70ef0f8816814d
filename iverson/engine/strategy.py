# SPDX-License-Identifier: GPL-3.0-or-later
"""A strategy in the lean loop: its questions and orders reach the broker without detours.

Stock looks a position up two levels down, and hands a dozen arguments on by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt
from backtrader.brokers import BackBroker

from iverson.engine.lines import CursorSeries
from iverson.engine.notices import unchanged
from iverson.engine.orders import LeanOrders

_OF_STRATEGY = ("getposition", "position", "buy", "sell")


def _sender(name: str) -> Callable[..., Any]:
    """Return a strategy's `buy` or `sell`, with stock's arguments in stock's order."""
    stock = getattr(bt.Strategy, name)

    def send(  # noqa: PLR0917 (stock's own arguments)
        self: Any,
        data: Any = None,
        size: Any = None,
        price: Any = None,
        plimit: Any = None,
        exectype: Any = None,
        valid: Any = None,
        tradeid: Any = 0,
        oco: Any = None,
        trailamount: Any = None,
        trailpercent: Any = None,
        parent: Any = None,
        transmit: Any = True,
        **more: Any,
    ) -> Any:
        """Send an order; arguments as `bt.Strategy.buy`."""
        given = (
            *(price, plimit, exectype, valid, tradeid, oco),
            *(trailamount, trailpercent, parent, transmit),
        )
        if not size or more or isinstance(data, str):
            return stock(self, data, size, *given, **more)
        data = self.datas[0] if data is None else data
        return getattr(self.broker, name)(self, data, abs(size), *given)

    return send


class CursorStrategy(CursorSeries):
    """A strategy that keeps to stock's way of looking up positions and of sending orders."""

    datas: list[Any]
    broker: Any

    buy = _sender("buy")
    sell = _sender("sell")

    def getposition(self, data: Any = None, broker: Any = None) -> Any:
        """Return the position of a feed, the first unless given."""
        data = self.datas[0] if data is None else data
        if broker is None or broker is self.broker:
            return self.broker.positions[data]
        return broker.getposition(data)

    @property
    def position(self) -> Any:
        """The position of the first feed."""
        return self.broker.positions[self.datas[0]]


def mixin_of(strategy: Any) -> type[CursorSeries]:
    """Return what a strategy may be in the loop, without changing what it and its broker do."""
    broker = strategy.broker
    plain = (
        unchanged(strategy, bt.Strategy, _OF_STRATEGY)
        and isinstance(broker, BackBroker)
        and unchanged(broker, BackBroker, ("getposition",))
        and any(unchanged(broker, kind, ("buy", "sell")) for kind in (LeanOrders, BackBroker))
    )
    return CursorStrategy if plain else CursorSeries
