# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (a broker works on what orders and positions keep under underscore names)
"""`LeanBroker`: Backtrader's simulated broker, whose bar costs what is pending and what is open.

Stock goes through every position ever looked at, three times a bar, and asks each pending order
through several calls. Here only open positions and pending orders are looked at, in stock's order,
so that sums and fills come out the same to the last bit.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np

from iverson.engine.account import LeanAccount
from iverson.engine.lines import CursorData
from iverson.engine.orders import LeanOrders
from iverson.engine.stocks import execute_stock, execute_trial

_BUY, _MARKET = bt.Order.Buy, bt.Order.Market
_LIMIT, _STOP = bt.Order.Limit, bt.Order.Stop
_WAITING = (_LIMIT, _STOP)
_ACCEPTED, _COMPLETED = bt.Order.Accepted, bt.Order.Completed


class LeanBroker(LeanOrders, LeanAccount):
    """A `BackBroker` with the same parameters and the same results."""

    def init(self) -> None:
        """Start over with empty books; called by Backtrader before a run."""
        super().init()
        self._reach = _Reach()

    def next(self) -> None:
        """Take a bar: what stock's `next` does, for what is pending and what is open."""
        late = self.is_late and self._stays_late()
        if late and not (self.pending or self.submitted or self._toactivate):
            self._unvalued = self.cash
            return
        if self._userhist or self._fundhist:
            super().next()
            return
        self._unvalued = None  # nobody has asked, and the feeds have moved on
        self.executed_on.clear()
        while self._toactivate:
            self._toactivate.popleft().activate()
        if self.submitted and self.p.checksubmit:
            self.check_submitted()
        simple = late or (self._is_simple() and self._is_sound())
        if len(self._sound) != len(self.positions):  # the first look at a feed
            simple = simple and self._is_sound()
            late = late and simple
        if not simple:
            self._settle_positions()
            self._charge_interest()
        if self.pending:
            self._match_pending()
        if late and len(self._sound) == len(self.positions):
            self.value_late()
        elif not (simple and self._is_sound()):
            self._settle_positions()
            self._settle()
            self._get_value()
        elif self.may_be_late and not self._cash_addition:
            self.value_late()
        else:
            self._value_stocks()

    def _charge_interest(self) -> None:
        credit = 0.0
        for data, held in self._holdings():
            at = data.datetime.datetime()
            due = self.getcommissioninfo(data).get_credit_interest(data, held, at)
            self.d_credit[data] += due
            credit += due
            held.datetime = at
        self.cash -= credit

    def _settle(self) -> None:
        for data, held in self._holdings():
            close = data.close[0]
            self.cash += self.getcommissioninfo(data).cashadjust(held.size, held.adjbase, close)
            held.adjbase, held._feed, held._number = close, data, data.datetime[0]

    def submit(self, order: Any, check: bool = True) -> Any:
        """Send an order, or keep it until its children have come."""
        if order.parent is not None or not order.transmit or order.ref in self._pchildren:
            return super().submit(order, check=check)
        self._pchildren[order.ref].append(order)
        return self.transmit(order, check=check)

    def submit_accept(self, order: Any) -> None:
        """Let an order in."""
        order.pannotated = None
        order.status, order.broker, order.plen = _ACCEPTED, None, len(order.data)
        self.pending.append(order)
        self.notify(order)

    def check_submitted(self) -> None:
        """Let in the orders that a trial run of them all leaves cash for."""
        plain = self._is_simple() and all(o.data._compensate is None for o in self.submitted)
        if not plain:
            super().check_submitted()
            return
        cash = self.cash
        trial: dict[Any, Any] = {}  # size and price of positions so far, by feed
        while self.submitted:
            order = self.submitted.popleft()
            if self._take_children(order) is None:
                continue
            data = order.data
            if data not in trial:
                position = self.positions[data]
                trial[data] = (position.size, position.price)
            scheme = self.getcommissioninfo(data)
            cash, trial[data] = execute_trial(self, order, scheme, cash, trial[data])
            if cash >= 0.0:
                self.submit_accept(order)
                continue
            order.margin()
            self.notify(order)
            self._ococheck(order)
            self._bracketize(order, cancel=True)

    def _ococheck(self, order: Any) -> None:
        """Cancel the others of an order's set, if there are any."""
        leader = self._ocos.get(self._ocos[order.ref])
        if len(self._ocol.get(leader, ())) > 1:
            super()._ococheck(order)
        else:
            self._ocol.pop(leader, None)

    def _match_pending(self) -> None:
        pending, reach = self.pending, self._reach
        pending.append(None)
        while (order := pending.popleft()) is not None:
            if order.valid and order.exectype != _MARKET and order.expire():
                self.notify(order)
                self._ococheck(order)
                self._bracketize(order, cancel=True)
                continue
            if not order._active:
                pending.append(order)
                continue
            kind, bar = order.exectype, reach[order.data]
            if bar is not None and kind in _WAITING:
                # a buyer's limit and a seller's stop wait for a fall, the others for a rise
                lows, highs, cursor = bar
                wanted = order.created.price
                if (
                    lows[cursor[0]] > wanted
                    if (kind == _LIMIT) == (order.ordtype == _BUY)
                    else highs[cursor[0]] < wanted
                ):
                    pending.append(order)
                    continue
            self._try_exec(order)
            if order.status < _COMPLETED:
                pending.append(order)
            elif order.status == _COMPLETED:
                self._bracketize(order)

    def _try_exec(self, order: Any) -> None:
        """Match an order against the bar; what a limit or a stop needs is looked at first."""
        data, kind = order.data, order.exectype
        if kind not in (_MARKET, _LIMIT, _STOP) or not isinstance(data, CursorData):
            super()._try_exec(order)
            return
        # in the lean loop a feed's ticks are its bar, so stock's search for ticks is left out
        params, opened = self.p, data.open[0]
        if kind == _MARKET:
            if params.slip_perc or params.slip_fixed or params.coc or params.coo:
                self._try_exec_market(order, opened, data.high[0], data.low[0])
            elif data.datetime[0] > order.created.dt:
                self._execute(order, ago=0, price=opened)
            return
        wanted = order.created.price
        falling = (kind == _LIMIT) == (order.ordtype == _BUY)
        jumped = opened <= wanted if falling else opened >= wanted
        if not (jumped or (data.low[0] <= wanted if falling else data.high[0] >= wanted)):
            return
        if not (params.slip_perc or params.slip_fixed):
            self._execute(order, ago=0, price=opened if jumped else wanted)
        elif kind == _LIMIT:
            self._try_exec_limit(order, opened, data.high[0], data.low[0], wanted)
        else:
            self._try_exec_stop(order, opened, data.high[0], data.low[0], wanted, data.close[0])

    def _execute(  # noqa: PLR0917 (stock's arguments, in stock's order)
        self,
        order: Any,
        ago: Any = None,
        price: Any = None,
        cash: Any = None,
        position: Any = None,
        dtcoc: Any = None,
    ) -> Any:
        """Execute, for good or for a trial (`ago` None); stock's arithmetic, inlined for stocks."""
        data = order.data
        if ago is not None:
            self.executed_on.append(data if data._compensate is None else data._compensate)
        scheme = self.getcommissioninfo(data)
        if (
            ago is None
            or not (self.p.shortcash and scheme._stocklike and self._formulas[type(scheme)])
            or data._compensate is not None
            or self.p.filler is not None
        ):
            return super()._execute(order, ago, price, cash, position, dtcoc)
        if price is not None:
            execute_stock(self, order, scheme, ago=ago, price=price, dtcoc=dtcoc)
        return None


class _Reach(dict[Any, Any]):
    """How far a feed's bars reach: lows, highs and the cell that counts them.

    None where that is not known before, outside the lean loop, or where it does not say all,
    because a bar opens beyond its own low or high.
    """

    def __missing__(self, data: Any) -> Any:
        if not isinstance(data, CursorData):
            return None  # it may become one
        opens, highs, lows = (np.array(x.array) for x in (data.open, data.high, data.low))
        within = len(opens) and bool(((lows <= opens) & (opens <= highs)).all())
        found = (data.low.array, data.high.array, data._cursor) if within else None
        self[data] = found
        return found
