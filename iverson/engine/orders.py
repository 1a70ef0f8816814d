# SPDX-License-Identifier: GPL-3.0-or-later

"""Orders that are made and cloned at a fraction of the cost, otherwise Backtrader's.

Stock builds an order through its parameter machinery, works out the end of the session whether or
not anybody asks, reaches every parameter through a Python `__getattr__`, and clones by `copy`. The
orders here are subclasses with the same attributes and values; whatever is out of the ordinary
(trailing orders, history, numeric validity) is left to stock's own constructor.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import backtrader as bt
from backtrader.order import OrderBase, OrderData
from backtrader.utils import AutoOrderedDict

_ORDINARY = (
    *(None, bt.Order.Market, bt.Order.Close, bt.Order.Limit, bt.Order.Stop, bt.Order.StopLimit),
)
_MARKET, _BUY = bt.Order.Market, bt.Order.Buy
_new = object.__new__
_INSTANTS = (dt.date, dt.timedelta)
_DAY_END = dt.time(23, 59, 59, 9999)  # as written in backtrader.order


class _Executions:
    """The list of an order's executions, made when it is asked for."""

    def __get__(self, done: Any, _: type | None = None) -> Any:
        if done is None:
            return self
        copied_from = done._of  # noqa: SLF001 (an order's own)
        bits: list[Any] = [] if copied_from is None else copied_from.exbits
        vars(done)["exbits"] = bits  # found before this, from now on
        return bits


class LeanOrderData(OrderData):
    """What was done of an order; as stock's, but what it starts with stands on the class.

    Executions are in a list: a deque, as in stock, takes 0.8 kB for the one that most orders have.
    """

    dt: float | None = None
    size = remsize = psize = pprice = p1 = p2 = 0
    price = pricelimit = pclose = value = comm = pnl = 0.0
    trailamount: float | None = 0.0
    trailpercent: float | None = 0.0
    _plimit: float | None = 0.0
    margin: float | None = None
    exbits: Any = _Executions()
    _of: Any = None  # what this is a copy of: fills to come are the copy's as well

    def addbit(self, bit: Any) -> None:
        """Add up what was done."""
        if self.size:
            super().addbit(bit)
            return
        self.exbits.append(bit)
        own, size = self.__dict__, bit.size
        own["remsize"] -= size
        own["dt"] = bit.dt
        own["size"] = size
        own["price"] = (0.0 + size * bit.price) / size
        own["value"], own["comm"], own["pnl"] = 0.0 + bit.value, 0.0 + bit.comm, 0.0 + bit.pnl
        own["psize"], own["pprice"] = bit.psize, bit.pprice


class LeanRequest(LeanOrderData):
    """What was asked for."""

    trailamount = trailpercent = _plimit = None


class LeanOrder:
    """What buy and sell orders share: a quick clone, a late session end, a small footprint.

    A run keeps each order four or five times (a clone a notification), so what an order starts
    with stands on the class until it changes.
    """

    broker: Any = None
    comminfo: Any = None
    tradeid: Any = 0
    transmit: Any = True
    triggered: bool = False
    position: int = 0
    status: int = bt.Order.Created
    _plimit: float | None = None
    _limitoffset: float = 0.0
    _dteos: float | None = None
    _told: Any = None  # what was done, as the last notification told it

    ordtype: int
    data: Any
    created: Any
    executed: Any

    @property
    def dteos(self) -> float:
        """dt.date number of the end of the session in which the order was made."""
        if self._dteos is None:
            made: dt.datetime = self.data.num2date(self.created.dt)
            end = self.data.p.sessionend
            closing = made.replace(
                hour=end.hour, minute=end.minute, second=end.second, microsecond=end.microsecond
            )
            if closing < made:
                closing += dt.timedelta(days=1)
            self._dteos = self.data.date2num(closing)
        return self._dteos

    @dteos.setter
    def dteos(self, number: float) -> None:
        self._dteos = number

    def clone(self) -> Any:
        """Return a copy for a notification, its fills marked as told."""
        executed, told = self.executed, self._told
        done = executed.__dict__
        filled = "exbits" in done
        if filled or told is None or told.remsize != done["remsize"] or told.dt != executed.dt:
            if filled:
                executed.p1, executed.p2 = executed.p2, len(executed.exbits)
            told = self._told = _new(executed.__class__)
            copied = told.__dict__ = done.copy()
            if not filled:
                copied["_of"] = executed
        clone = _new(self.__class__)
        own = clone.__dict__ = self.__dict__.copy()
        own["executed"] = told
        return clone


class LeanBuyOrder(LeanOrder, bt.order.BuyOrder):
    """A buy order."""


class LeanSellOrder(LeanOrder, bt.order.SellOrder):
    """A sell order."""


def make_order(  # noqa: PLR0917 (quicker than by name)
    cls: Any, owner: Any, data: Any, size: Any, price: Any, limit: Any, kind: Any, more: Any
) -> Any:
    """Return the order that stock's machinery would make of the same parameters.

    `more` are the values of those parameters of `bt.Order` that differ from their defaults.
    """
    params = _new(cls.params)
    asked = params.__dict__ = {"owner": owner, "data": data, "size": size, **more}
    if price is not None:
        asked["price"] = price
    if limit is not None:
        asked["pricelimit"] = limit
    if kind is None:
        kind = _MARKET
    else:
        asked["exectype"] = kind
    if cls.ordtype != _BUY:
        size = -size
    close = data.close[0]
    wanted = close if not price and not limit else price

    request = _new(LeanRequest)
    request.__dict__ = {
        "dt": data.datetime[0],
        "size": size,
        "price": limit if limit and not wanted else wanted,
        "pricelimit": limit or wanted,
        "pclose": close,
    }
    done = _new(LeanOrderData)
    done.__dict__ = {"remsize": size}
    order = _new(cls)
    own = order.__dict__ = {
        "owner": owner,
        "data": data,
        "params": params,
        "p": params,
        "ref": next(OrderBase.refbasis),
        "info": AutoOrderedDict(),
        "exectype": kind,
        "size": size,
        "created": request,
        "executed": done,
        "valid": None,
        "parent": None,
        "_active": True,
    }
    if limit is not None:
        own["_plimit"] = request.__dict__["_plimit"] = limit
    if more:
        _set_more(order, more)
    return order


def _set_more(order: Any, more: dict[str, Any]) -> None:
    own, asked = order.__dict__, order.created.__dict__
    own.update(more)
    if "parent" in more:
        own["_active"] = False
    if "valid" in more:
        own["valid"] = order.data.date2num(_last_instant(more["valid"], order.data))
    for name in ("trailamount", "trailpercent"):
        if name in more:
            asked[name] = more[name]


def _last_instant(valid: Any, data: Any) -> Any:
    if isinstance(valid, dt.date):
        return valid
    if valid == bt.Order.DAY:
        return dt.datetime.combine(data.datetime.date(), _DAY_END)
    return data.datetime.datetime() + valid


def _sender(cls: Any, stock: Any) -> Callable[..., Any]:
    """Return a broker's `buy` or `sell`, with stock's arguments in stock's order."""

    def send(  # noqa: PLR0917 (stock's own arguments)
        self: Any,
        owner: Any,
        data: Any,
        size: Any,
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
        histnotify: Any = False,
        _checksubmit: Any = True,
        **info: Any,
    ) -> Any:
        """Make and submit an order; arguments as `BackBroker.buy`."""
        more = {}
        if valid is not None:
            more["valid"] = valid
        if parent is not None:
            more["parent"] = parent
        if transmit is not True:
            more["transmit"] = transmit
        if tradeid != 0:
            more["tradeid"] = tradeid
        if histnotify is not False:
            more["histnotify"] = histnotify
        if trailamount is not None:
            more["trailamount"] = trailamount
        if trailpercent is not None:
            more["trailpercent"] = trailpercent
        if exectype in _ORDINARY and (valid is None or isinstance(valid, _INSTANTS)):
            order = make_order(cls, owner, data, size, price, plimit, exectype, more)
        else:
            order = stock(
                owner=owner, data=data, size=size, price=price, pricelimit=plimit,
                exectype=exectype, **more,
            )  # fmt: skip
        if info:
            order.addinfo(**info)
        if oco is None:
            ref = order.ref
            self._ocos[ref] = ref
            self._ocol[ref].append(ref)
        else:
            self._ocoize(order, oco)
        return self.submit(order, _checksubmit)

    return send


class LeanOrders:
    """A mixin for brokers in the way of `BackBroker`: orders are made by `make_order`.

    `class MyBroker(LeanOrders, BackBroker)` sends the same orders to its own `submit`.
    """

    buy = _sender(LeanBuyOrder, bt.order.BuyOrder)
    sell = _sender(LeanSellOrder, bt.order.SellOrder)
