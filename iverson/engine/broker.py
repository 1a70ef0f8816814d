# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (a broker works on what orders and positions keep under underscore names)
"""`LeanBroker`: Backtrader's simulated broker, whose bar costs what is pending and what is open.

Stock goes through every position ever looked at, three times a bar, and asks each pending order
through several calls. Here only open positions and pending orders are looked at, in stock's order,
so that sums and fills come out the same to the last bit.
"""

from __future__ import annotations

import collections
from typing import Any

import backtrader as bt

from iverson.engine.account import LeanAccount
from iverson.engine.lines import CursorData
from iverson.engine.orders import LeanOrders
from iverson.engine.stocks import execute_stock, execute_trial
from iverson.engine.waiting import Bars, Place, any_reached

_MARKET, _LIMIT, _STOP = bt.Order.Market, bt.Order.Limit, bt.Order.Stop
_SUBMITTED, _ACCEPTED, _COMPLETED = bt.Order.Submitted, bt.Order.Accepted, bt.Order.Completed


class LeanBroker(LeanOrders, LeanAccount):
    """A `BackBroker` with the same parameters and the same results."""

    def init(self) -> None:
        """Start over with empty books; called by Backtrader before a run."""
        super().init()
        self._pchildren: dict[int, Any] = collections.defaultdict(_Family)
        self._bars = Bars()

    def next(self) -> None:
        """Take a bar: what stock's `next` does, for what is pending and what is open."""
        params = self.p
        late = (
            self.is_steady
            and not self._cash_addition
            and params.shortcash
            and params.filler is None
        )
        if late and not (self.submitted or self._toactivate):
            pending = self.pending
            if not (pending and any_reached(pending)):
                cash = self.cash
                stays = self._open == [] and cash == self._flat_with
                self._unvalued = None if stays else cash
                return
        if self._userhist or self._fundhist:
            super().next()
            return
        self._unvalued = None  # nobody has asked, and the feeds have moved on
        self.executed_on.clear()
        while self._toactivate:
            self._toactivate.popleft().activate()
        if self.submitted and params.checksubmit:
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
        parent = order.parent
        if parent is not None and parent.ref not in self._pchildren:
            order.reject()
            self.notify(order)
            return order
        family = self._pchildren[order.ref if parent is None else parent.ref]
        family.append(order)
        if order.transmit:
            for one in family:
                self.transmit(one, check)
        return order

    def transmit(self, order: Any, check: bool = True) -> Any:
        """Take an order to be checked on the next bar, or let it in at once."""
        if check and self.p.checksubmit:
            order.status, order.plen = _SUBMITTED, len(order.data)
            self.submitted.append(order)
            self.orders.append(order)
            self.notifs.append(order.clone())
        else:
            self.submit_accept(order)
        return order

    def submit_accept(self, order: Any) -> None:
        """Let an order in."""
        order.pannotated = None
        order.status, order.plen = _ACCEPTED, len(order.data)
        order._place = self._bars.place(order)
        self.pending.append(order)
        self.notifs.append(order.clone())

    def check_submitted(self) -> None:
        """Let in the orders that a trial run of them all leaves cash for."""
        submitted = self.submitted
        simple = self._is_simple()
        for order in submitted:
            simple = simple and order.data._compensate is None
        if not simple:
            super().check_submitted()
            return
        cash, schemes, families = self.cash, self.comminfo, self._pchildren
        at_open = self.p.coo
        usual = schemes[None]
        trial: dict[Any, Any] = {}  # size and price of positions so far, by feed
        while submitted:
            order = submitted.popleft()
            parent, data = order.parent, order.data
            if parent is not None and parent.ref not in families:
                order.reject()
                self.notify(order)
                continue
            held = trial.get(data)
            if held is None:
                position = self.positions[data]
                held = position.size, position.price
            price = order.created.price
            if at_open and order.exectype == _MARKET:
                price = data.open[0]
            scheme = schemes.get(data._name, usual)
            cash, trial[data] = execute_trial(order, price, scheme, cash, held)
            if cash >= 0.0:
                self.submit_accept(order)
                continue
            order.margin()
            self.notify(order)
            self._ococheck(order)
            self._bracketize(order, cancel=True)

    def _ococheck(self, order: Any) -> None:
        """Cancel the others of an order's set, if there are any."""
        ocos, sets = self._ocos, self._ocol
        leader = ocos.get(ocos[order.ref])
        if len(sets.get(leader, ())) > 1:
            super()._ococheck(order)
        else:
            sets.pop(leader, None)

    def _match_pending(self) -> None:
        """Go through the pending orders once, in their order; who stays pending keeps its place."""
        pending = self.pending
        pending.append(None)
        while (order := pending.popleft()) is not None:
            kind = order.exectype
            if order.valid and kind != _MARKET and order.expire():
                self.notify(order)
                self._ococheck(order)
                self._bracketize(order, cancel=True)
                continue
            if order._active:
                if kind == _MARKET:
                    self._match_market(order)
                elif order._place is not None:
                    self._match_waiting(order, order._place)
                else:
                    self._try_exec(order)
            if order.status < _COMPLETED:
                pending.append(order)
            elif order.status == _COMPLETED:
                if order.parent is not None:
                    self._bracketize(order)
                    continue
                children = self._pchildren[order.ref]
                del children[0]  # the order itself
                if children:
                    self._toactivate.extend(children)

    def _match_market(self, order: Any) -> None:
        """Match a market order, in the lean loop against its feed's bar: stock's ticks are that."""
        bar, params = self._bars[order.data], self.p
        if bar is None:
            self._try_exec(order)
            return
        opens, highs, lows, numbers, cell = bar
        at = cell[0]
        if params.slip_perc or params.slip_fixed or params.coc or params.coo:
            self._try_exec_market(order, opens[at], highs[at], lows[at])
        elif numbers[at] > order.created.dt:
            self._execute(order, 0, opens[at])

    def _match_waiting(self, order: Any, place: Place) -> None:
        """Match an order that waits for a price against its feed's bar."""
        _, asked, falls, extremes, opens, _, cell = place
        at, wanted = cell[0], asked["price"]
        if not (extremes[at] <= wanted if falls else extremes[at] >= wanted):
            return
        if self.p.slip_perc or self.p.slip_fixed:
            self._try_exec(order)
            return
        opened = opens[at]
        jumped = opened <= wanted if falls else opened >= wanted
        self._execute(order, 0, opened if jumped else wanted)

    def _try_exec(self, order: Any) -> None:
        """Match an order that may slip, by stock's rules, against the bar itself."""
        data, kind = order.data, order.exectype
        if kind not in (_LIMIT, _STOP) or not isinstance(data, CursorData):
            super()._try_exec(order)
            return
        bar = data.open[0], data.high[0], data.low[0], order.created.price
        if kind == _LIMIT:
            self._try_exec_limit(order, *bar)
        else:
            self._try_exec_stop(order, *bar, data.close[0])

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
            execute_stock(self, order, scheme, ago, price, dtcoc)
        return None


class _Family(list[Any]):
    """An order and its children; a deque, as in stock, takes 0.8 kB for the one that most have."""

    __slots__ = ()

    def popleft(self) -> Any:
        """Take the first out."""
        return self.pop(0)
