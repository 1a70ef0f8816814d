# SPDX-License-Identifier: GPL-3.0-or-later

"""Orders that are made and cloned at a fraction of the cost, otherwise Backtrader's.

Stock builds an order through its parameter machinery, works out the end of the session whether or
not anybody asks, reaches every parameter through a Python `__getattr__`, and clones by `copy`. The
orders here are subclasses with the same attributes and values; whatever is out of the ordinary
(trailing orders, history, numeric validity) is left to stock's own constructor.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from typing import Any

import backtrader as bt
from backtrader.order import OrderBase, OrderData
from backtrader.utils import AutoOrderedDict

_ORDINARY = (
    *(None, bt.Order.Market, bt.Order.Close, bt.Order.Limit, bt.Order.Stop, bt.Order.StopLimit),
)
_OFTEN_READ = ("owner", "data", "valid", "parent", "tradeid", "transmit")
_DAY_END = dt.time(23, 59, 59, 9999)  # as written in backtrader.order


class LeanOrderData(OrderData):
    """What was asked for, or done; as stock's, but what it starts with stands on the class."""

    dt: float | None = None
    size = remsize = psize = pprice = p1 = p2 = 0
    price = pricelimit = pclose = value = comm = pnl = 0.0
    trailamount = trailpercent = _plimit = 0.0
    margin: float | None = None

    def __getattr__(self, name: str) -> Any:
        if name != "exbits":
            raise AttributeError(name)
        bits: deque[Any] = deque()  # of what was asked for there never are any
        self.exbits = bits
        return bits


class LeanOrder:
    """What buy and sell orders share: a quick clone, a late session end, a small footprint.

    A run keeps each order four or five times (a clone a notification), so what an order starts
    with stands on the class until it changes.
    """

    broker: Any = None
    comminfo: Any = None
    triggered: bool = False
    position: int = 0
    _limitoffset: float = 0.0
    _dteos: float | None = None
    _told: Any = None  # what was done, as the last notification told it

    data: Any
    executed: Any
    _made: float

    @property
    def dteos(self) -> float:
        """dt.date number of the end of the session in which the order was made."""
        if self._dteos is None:
            made: dt.datetime = self.data.num2date(self._made)
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
        if told is None or executed.exbits or not _same(told, executed):
            executed.p1, executed.p2 = executed.p2, len(executed.exbits)
            told = self._told = object.__new__(executed.__class__)
            told.__dict__ = executed.__dict__.copy()
        copied = object.__new__(self.__class__)
        own = copied.__dict__ = self.__dict__.copy()
        own["executed"] = told
        return copied


def _same(told: Any, executed: Any) -> bool:
    """Whether nothing happened to an unfilled order since it was told of."""
    return told.remsize == executed.remsize and told.dt == executed.dt and not told.exbits


class LeanBuyOrder(LeanOrder, bt.order.BuyOrder):
    """A buy order."""


class LeanSellOrder(LeanOrder, bt.order.SellOrder):
    """A sell order."""


def make_order(cls: Any, given: dict[str, Any]) -> Any:
    """Return `cls(**given)` without the machinery, or None when only stock's constructor will do.

    `given` has a value for each parameter of `bt.Order` and becomes the order's own.
    """
    exectype, valid, data = given["exectype"], given["valid"], given["data"]
    if exectype not in _ORDINARY or not (
        valid is None or isinstance(valid, dt.date | dt.timedelta)
    ):
        return None
    # what stock's metaclass does: parameters in their own object, found as attributes as well
    params = object.__new__(cls.params)
    params.__dict__ = given
    order = object.__new__(cls)
    own = order.__dict__ = {name: given[name] for name in _OFTEN_READ}
    own["params"] = own["p"] = params

    # what stock's constructor does, in its order
    own["ref"] = next(OrderBase.refbasis)
    own["info"] = AutoOrderedDict()
    own["_active"] = given["parent"] is None
    own["status"] = bt.Order.Created
    limit = own["_plimit"] = given["pricelimit"]
    own["exectype"] = bt.Order.Market if exectype is None else exectype
    size = own["size"] = given["size"] if cls.ordtype == bt.Order.Buy else -given["size"]
    close, price = data.close[0], given["price"]
    own["_made"] = made = data.datetime[0]
    price = close if not price and not limit else price
    asked = own["created"] = object.__new__(LeanOrderData)
    asked.__dict__ = dict(
        dt=made,
        size=size,
        price=limit if limit and not price else price,
        pricelimit=limit or price,
        _plimit=limit,
        pclose=close,
        trailamount=given["trailamount"],
        trailpercent=given["trailpercent"],
    )
    done = own["executed"] = object.__new__(LeanOrderData)
    done.__dict__ = dict(exbits=deque(), remsize=size)
    if valid is not None:
        own["valid"] = data.date2num(_last_instant(valid, data))
    return order


def _last_instant(valid: Any, data: Any) -> Any:
    if isinstance(valid, dt.date):
        return valid
    if valid == bt.Order.DAY:
        return dt.datetime.combine(data.datetime.date(), _DAY_END)
    return data.datetime.datetime() + valid


class LeanOrders:
    """A mixin for brokers in the way of `BackBroker`: orders are made by `make_order`.

    `class MyBroker(LeanOrders, BackBroker)` sends the same orders to its own `submit`.
    """

    _ocoize: Any
    submit: Any

    def buy(self, *args: Any, **kwargs: Any) -> Any:
        """Make and submit a buy order; arguments as `BackBroker.buy`."""
        return self._send(LeanBuyOrder, *args, **kwargs)

    def sell(self, *args: Any, **kwargs: Any) -> Any:
        """Make and submit a sell order; arguments as `BackBroker.sell`."""
        return self._send(LeanSellOrder, *args, **kwargs)

    def _send(  # noqa: PLR0917 (stock's arguments, in stock's order)
        self,
        cls: Any,
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
        given = dict(
            owner=owner,
            data=data,
            size=size,
            price=price,
            pricelimit=plimit,
            exectype=exectype,
            valid=valid,
            tradeid=tradeid,
            trailamount=trailamount,
            trailpercent=trailpercent,
            parent=parent,
            transmit=transmit,
            histnotify=histnotify,
            oco=None,  # stock's brokers keep it to themselves
            simulated=False,
        )
        order = make_order(cls, given)
        if order is None:
            stock = bt.order.BuyOrder if cls is LeanBuyOrder else bt.order.SellOrder
            order = stock(**given)
        if info:
            order.addinfo(**info)
        self._ocoize(order, oco)
        return self.submit(order, check=_checksubmit)
