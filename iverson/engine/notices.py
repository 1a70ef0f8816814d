# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (a strategy keeps its notices under underscore names)
"""What a strategy does with a broker's notices: `_addnotification` and `_notify`, without detours.

The same objects reach the same hooks in the same order; hooks that nobody has written are not
called, and trades are copied without the `copy` module.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import backtrader as bt
from backtrader.analyzer import Analyzer

_OF_ORDERS = ("notify_order", "_notify_order")
_OF_TRADES = ("notify_trade", "_notify_trade")
_OF_CASH = ("notify_cashvalue", "notify_fund")


def unchanged(thing: Any, stock: type, names: tuple[str, ...]) -> bool:
    """Whether an object's class and the object itself left these attributes as stock has them."""
    own = vars(thing)
    cls = type(thing)
    return not any(name in own or getattr(cls, name) is not getattr(stock, name) for name in names)


def with_children(analyzers: list[Any]) -> Iterator[Any]:
    """Go through analyzers and the analyzers below them."""
    for analyzer in analyzers:
        yield analyzer
        yield from with_children(analyzer._children)


class Listeners:
    """Who of a strategy and its analyzers listens to what."""

    def __init__(self, strategy: Any) -> None:
        self.strategy = strategy
        analyzers = [*strategy.analyzers, *strategy._slave_analyzers]
        self._to_orders = [one for one in analyzers if _overrides(one, _OF_ORDERS)]
        self._to_trades = [one for one in analyzers if _overrides(one, _OF_TRADES)]
        within = (*_OF_CASH, "_notify_cashvalue", "_notify_fund")
        self.hear_cash = not unchanged(strategy, bt.Strategy, _OF_CASH) or any(
            _overrides(one, within) for one in analyzers
        )

    def tell(self) -> None:
        """Call the hooks for what is pending; what `Strategy._notify` does on a bar.

        Not for `quicknotify`, which has told everything already, nor when anybody hears cash.
        """
        strategy = self.strategy
        for order in strategy._orderspending:
            if order.exectype != bt.Order.Historical or order.histnotify:
                strategy.notify_order(order)
            for analyzer in self._to_orders:
                analyzer._notify_order(order)
        for trade in strategy._tradespending:
            strategy.notify_trade(trade)
            for analyzer in self._to_trades:
                analyzer._notify_trade(trade)


def take(strategy: Any, order: Any) -> None:
    """Keep an order for the bar's notices and bring its trades up to date; `_addnotification`."""
    if not order.p.simulated:
        strategy._orderspending.append(order)
    executed = order.executed
    if not executed.size:
        return
    data = order.data if order.data._compensate is None else order.data._compensate
    trades = strategy._trades[data][order.tradeid]
    if not trades:
        trades.append(_new_trade(strategy, order, data))
    trade = trades[-1]
    told, scheme = strategy._tradespending, order.comminfo
    for bit in islice(executed.exbits, executed.p1, executed.p2):
        if bit.closed:
            _update(trade, order, bit.closed, bit.price, bit.closedcomm, scheme)
            if trade.isclosed:
                told.append(_copied(trade))
        if bit.opened:
            if trade.isclosed:
                trade = _new_trade(strategy, order, data)
                trades.append(trade)
            _update(trade, order, bit.opened, bit.price, bit.openedcomm, scheme)
            if trade.isclosed:
                told.append(_copied(trade))
        if trade.justopened:
            told.append(_copied(trade))


def _update(  # noqa: PLR0917 (quicker than by name)
    trade: Any, order: Any, size: Any, price: Any, fee: Any, scheme: Any
) -> None:
    """Bring a trade up to date; what `Trade.update` does, each thing looked up once."""
    if trade.historyon or order.p.simulated:
        trade.update(order, size, price, None, fee, None, scheme)
        return
    data, before = trade.data, trade.size
    now = len(data)
    trade.commission += fee
    trade.size = after = before + size
    opens = trade.justopened = not before
    if opens:
        trade.baropen = now
        trade.dtopen = data.datetime[0]
        trade.long = after > 0
    trade.barlen = now - trade.baropen
    trade.isopen = after != 0
    closes = trade.isclosed = bool(before) and not after
    if closes:
        trade.barclose = now
        trade.dtclose = data.datetime[0]
        trade.status = trade.Closed
    elif after:
        trade.status = trade.Open
    if abs(after) > abs(before):
        trade.price = (before * trade.price + size * price) / after
        trade.pnl += 0.0
    else:
        trade.pnl += scheme.profitandloss(-size, trade.price, price)
    trade.pnlcomm = trade.pnl - trade.commission
    trade.value = scheme.getvaluesize(after, trade.price)


def _new_trade(strategy: Any, order: Any, data: Any) -> Any:
    return bt.Trade(data=data, tradeid=order.tradeid, historyon=strategy._tradehistoryon)


def _copied(trade: Any) -> Any:
    copied = object.__new__(bt.Trade)
    copied.__dict__ = trade.__dict__.copy()
    return copied


def _overrides(analyzer: Any, names: tuple[str, ...]) -> bool:
    return any(not unchanged(one, Analyzer, names) for one in with_children([analyzer]))
