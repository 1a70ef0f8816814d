# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (schemes and brokers keep what is needed under underscore names)
"""What stock's broker does to execute an order, written out for plain stocks.

For a scheme without margin and with Backtrader's own formulas, half of stock's steps come to
nothing and the rest is a few products. They are made here in stock's order, so that cash, value
and profit have the same bits.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import backtrader as bt
from backtrader.comminfo import CommInfoBase
from backtrader.order import OrderExecutionBit
from backtrader.position import Position

_BY_VALUE = CommInfoBase.COMM_PERC
_PARTIAL, _COMPLETED = bt.Order.Partial, bt.Order.Completed
_FORMULAS = (  # of a commission scheme, that the inlined arithmetic stands for
    *("getcommission", "_getcommission", "confirmexec", "margin", "stocklike"),
    *("getvaluesize", "profitandloss", "cashadjust", "get_leverage"),
    *("get_credit_interest", "_get_credit_interest"),
)


class LeanPosition(Position):
    """A position that can follow its feed: what stock writes on every bar is read off the bar.

    Stock notes the last close and instant on each bar on which a position is held. A position
    that follows tells them when asked, until it is changed.
    """

    size: Any
    price: Any
    _told: dt.datetime | None  # absent, as in stock, until something is told
    _base: float | None
    _feed: Any = None  # whose bar came after what was told last
    _number: float
    _instants: Any = None  # those of the strategy so far, while the position follows
    account: Any = None  # what lists the open positions

    def __bool__(self) -> bool:
        return True if self.size else False  # noqa: SIM210 (quicker)

    def fix(self, size: Any, price: Any) -> Any:
        """Set size and price; True if the size was the same."""
        self._say()
        return super().fix(size, price)

    def set(self, size: Any, price: Any) -> Any:
        """Set size and price, and what that opens and closes."""
        self._say()
        return super().set(size, price)

    def update(self, size: Any, price: Any, dt: dt.datetime | None = None) -> Any:
        """Add to the position."""
        self._say()
        return super().update(size, price, dt)

    def _say(self) -> None:
        if self.account is not None:
            self.account.position_moves()

    def follow(self, feed: Any, instants: Any) -> None:
        """Take the feed's current bar for the last one, until further notice."""
        self._feed, self._instants = feed, instants

    def settle(self) -> None:
        """Stop following, at the bar that the strategy has seen last."""
        if self._instants is not None:
            feed, instants = self._feed, self._instants
            # the feed may have moved on already: the broker acts before the strategy
            ago = -1 if not instants or feed.datetime[0] > instants[-1] else 0
            self._instants = None
            self._base, self._number = feed.close[ago], feed.datetime[ago]

    @property
    def adjbase(self) -> float | None:
        """Price to which the position was marked last."""
        if self._instants is None:
            return self._base
        close: float = self._feed.close[0]
        return close

    @adjbase.setter
    def adjbase(self, price: float | None) -> None:
        if self._instants is not None:
            self.settle()
        self._base = price

    @property
    def datetime(self) -> dt.datetime | None:
        """Instant of the last bar on which the position was held or changed, as the feed tells."""
        if self._instants is not None:
            now: dt.datetime = self._feed.num2date(self._feed.datetime[0])
            return now
        if self._feed is not None:
            self.datetime = self._feed.num2date(self._number)
        return self._told

    @datetime.setter
    def datetime(self, told: dt.datetime | None) -> None:
        self.settle()
        self._told, self._feed = told, None

    def move(self, to: tuple[Any, Any, Any, Any], feed: Any) -> None:
        """Take over size, price, opened and closed from an execution on the feed's bar."""
        if self._instants is not None:
            self.settle()
        self._feed, self._number = feed, feed.datetime[0]
        self.price_orig = self.price
        self.size, self.price, self.upopened, self.upclosed = to

    def mark(self, feed: Any, close: float) -> None:
        """Note the last close and the bar it is from."""
        self._instants = None
        self._base, self._feed, self._number = close, feed, feed.datetime[0]


def execute_trial(order: Any, price: Any, scheme: Any, cash: Any, held: Any) -> Any:
    """Return the cash that would be left, and size and price of the position.

    `held` is the size and the price before.
    """
    params = scheme.p
    rate, by_value = params.commission, scheme._commtype == _BY_VALUE
    before, entry = held
    size, average, opened, closed = updated(before, entry, order.executed.remsize, price)
    if closed:
        value = -closed * price
        cash += value / params.leverage if value > 0 else value
        cash -= abs(closed) * rate * price if by_value else abs(closed) * rate
    if opened:
        value = opened * price
        cash -= value / params.leverage if value > 0 else value
        cash -= abs(opened) * rate * price if by_value else abs(opened) * rate
    return cash, (size, average)


def execute_stock(  # noqa: PLR0917 (quicker than by name)
    broker: Any, order: Any, scheme: Any, ago: Any, price: Any, dtcoc: Any
) -> None:
    """Fill an order in full; refuse what would open more than the cash pays for."""
    data, params = order.data, scheme.p
    position = broker.positions[data]
    size, entry = order.executed.remsize, position.price
    moved = after, average, opened, closed = updated(position.size, entry, size, price)
    pnl = -closed * (price - entry) * params.mult
    closed_value = closed_fee = opened_value = opened_fee = 0.0
    cash = broker.cash
    rate, by_value = params.commission, scheme._commtype == _BY_VALUE
    if closed:
        closed_value = -closed * entry
        value = closed_value / params.leverage if closed_value > 0 else closed_value
        cash += value + pnl
        closed_fee = abs(closed) * rate * price if by_value else abs(closed) * rate
        cash -= closed_fee
        broker.cash = cash
    wanted = opened
    if opened:
        opened_value = opened * price
        cash -= opened_value / params.leverage if opened_value > 0 else opened_value
        opened_fee = abs(opened) * rate * price if by_value else abs(opened) * rate
        cash -= opened_fee
        if cash < 0.0:
            opened, opened_value, opened_fee = 0, 0.0, 0.0
        else:
            if position._instants is not None:
                position.settle()
            position._base = price
            broker.cash = cash
    if closed or opened:
        if opened == wanted:
            position.move(moved, data)
        else:
            position.update(closed, price, data.datetime.datetime())
        if closed and broker.p.int2pnl:
            closed_fee += broker.d_credit.pop(data, 0.0)
        bit = OrderExecutionBit(
            dtcoc or data.datetime[ago], closed + opened, price,
            closed, closed_value, closed_fee,
            opened, opened_value, opened_fee,
            pnl, after, average,
        )  # fmt: skip
        executed = order.executed
        executed.addbit(bit)
        executed.margin = params.margin
        order.status = _PARTIAL if executed.remsize else _COMPLETED
        order.comminfo = scheme
        broker.notifs.append(order.clone())
        broker._ococheck(order)
    if wanted and not opened:
        order.margin()
        broker.notify(order)
        broker._ococheck(order)
        broker._bracketize(order, cancel=True)


class Formulas(dict[Any, bool]):
    """Whether a class of schemes values and charges by stock's formulas, found out once."""

    def __missing__(self, cls: Any) -> bool:
        found = all(getattr(cls, name) is getattr(CommInfoBase, name) for name in _FORMULAS)
        self[cls] = found
        return found


def updated(before: Any, entry: Any, size: Any, price: Any) -> tuple[Any, Any, Any, Any]:
    """Return size and price of a position after an order, and what was opened and closed."""
    after = before + size
    if not after:
        return after, 0.0, 0, size
    if not before:
        return after, price, size, 0
    if (size > 0) if before > 0 else (size < 0):
        return after, (entry * before + size * price) / after, size, 0
    if (after > 0) if before > 0 else (after < 0):
        return after, entry, 0, size
    return after, price, after, -before
