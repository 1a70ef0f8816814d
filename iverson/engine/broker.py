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
import numpy as np
from backtrader.brokers import BackBroker

from iverson.engine.lines import CursorData
from iverson.engine.orders import LeanOrders
from iverson.engine.stocks import Formulas, LeanPosition, execute_stock, execute_trial

_BUY, _MARKET, _CLOSE = bt.Order.Buy, bt.Order.Market, bt.Order.Close
_LIMIT, _STOP, _COMPLETED = bt.Order.Limit, bt.Order.Stop, bt.Order.Completed
Holding = tuple[Any, Any]  # feed, position


class LeanBroker(LeanOrders, BackBroker):
    """A `BackBroker` with the same parameters and the same results."""

    def init(self) -> None:
        """Start over with empty books; called by Backtrader before a run."""
        super().init()
        self.cash: Any
        self.positions: dict[Any, Any] = collections.defaultdict(LeanPosition)
        self._flat_with: float | None = None  # cash when last valued without any position
        self._formulas = Formulas()
        self._sound: dict[Any, bool] = {}
        self._all_sound = True

    def next(self) -> None:
        """Take a bar: what stock's `next` does, for what is pending and what is open."""
        if self._userhist or self._fundhist:
            super().next()
            return
        while self._toactivate:
            self._toactivate.popleft().activate()
        if self.submitted and self.p.checksubmit:
            self.check_submitted()
        simple = self._is_simple() and self._is_sound()
        if not simple:
            self._charge_interest()
        if self.pending:
            self._match_pending()
        if simple and self._is_sound():  # an order may have been the first look at a feed
            self._value_stocks()
        else:
            self._settle()
            self._get_value()

    def _is_simple(self) -> bool:
        """Whether all schemes are for stocks, charge no interest and have stock's formulas."""
        for scheme in self.comminfo.values():
            if not scheme._stocklike or scheme._creditrate or not self._formulas[type(scheme)]:
                return False
        return bool(self.p.shortcash)

    def _holdings(self) -> list[Holding]:
        """Return the open positions in stock's order, that of first access."""
        return [(data, held) for data, held in self.positions.items() if held.size]

    def _is_sound(self) -> bool:
        """Whether what is multiplied by 0 is 0: no interest, and no value of a closed position.

        It is not where prices are NaN or infinite: 0 x NaN makes stock's sums NaN. Known before
        only where whole columns are there, in the lean loop.
        """
        if len(self._sound) != len(self.positions):
            for data in self.positions:
                if data not in self._sound:
                    self._sound[data] = isinstance(data, CursorData) and _has_finite_prices(data)
            self._all_sound = all(self._sound.values())
        return self._all_sound

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

    def _match_pending(self) -> None:
        pending = self.pending
        pending.append(None)
        while (order := pending.popleft()) is not None:
            if order.valid and order.exectype != _MARKET and order.expire():
                self.notify(order)
                self._ococheck(order)
                self._bracketize(order, cancel=True)
            elif not order._active:
                pending.append(order)
            else:
                self._try_exec(order)
                if order.status < _COMPLETED:
                    pending.append(order)
                elif order.status == _COMPLETED:
                    self._bracketize(order)

    def _try_exec(self, order: Any) -> None:
        """Match an order against the bar; what a limit or a stop needs is looked at first."""
        data = order.data
        if not isinstance(data, CursorData):
            super()._try_exec(order)
            return
        # in the lean loop a feed's ticks are its bar, so stock's search for ticks is left out
        kind, wanted, opened = order.exectype, order.created.price, data.open[0]
        if kind == _MARKET:
            self._try_exec_market(order, opened, data.high[0], data.low[0])
        elif kind in (_LIMIT, _STOP):
            high, low = data.high[0], data.low[0]
            if (kind == _LIMIT) == (order.ordtype == _BUY):
                if not (wanted >= opened or wanted >= low):
                    return
            elif not (wanted <= opened or wanted <= high):
                return
            if kind == _LIMIT:
                self._try_exec_limit(order, opened, high, low, wanted)
            else:
                self._try_exec_stop(order, opened, high, low, wanted, data.close[0])
        elif kind == _CLOSE:
            self._try_exec_close(order, data.close[0])
        else:
            super()._try_exec(order)

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
        scheme = self.getcommissioninfo(data)
        if (
            not (self.p.shortcash and scheme._stocklike and self._formulas[type(scheme)])
            or data._compensate is not None
            or (ago is not None and self.p.filler is not None)
        ):
            return super()._execute(order, ago, price, cash, position, dtcoc)
        if ago is None:
            return execute_trial(self, order, scheme, cash, position)
        if price is not None:
            execute_stock(self, order, scheme, ago=ago, price=price, dtcoc=dtcoc)
        return None

    def _get_value(self, datas: Any = None, lever: bool = False) -> Any:
        """Value the account, or some feeds' part of it; closed positions are left out."""
        if datas or self._fundhist or not self.p.shortcash or not self._is_sound():
            return super()._get_value(datas=datas, lever=lever)
        self._add_cash()
        gross = net = unrealized = 0.0
        for data, held in self._holdings():
            scheme, close = self.getcommissioninfo(data), data.close[0]
            value = scheme.getvaluesize(held.size, close)
            gain = scheme.profitandloss(held.size, held.price, close)
            gross += value
            unrealized += gain
            if value > 0:
                net += (value - gain) / scheme.get_leverage()
                net += gain
            else:
                net += value
        self._sum_up(gross, net, unrealized)
        return self._valuelever if lever else self._value

    def _value_stocks(self) -> None:
        """Value the account when all schemes are simple, and mark the positions, in one go."""
        gross = net = unrealized = 0.0
        flat = True
        for data, held in self.positions.items():
            size = held.size
            if not size:
                continue
            flat = False
            scheme = self.getcommissioninfo(data).p
            close = data.close[0]
            held.adjbase, held._feed, held._number = close, data, data.datetime[0]
            value = size * close
            gain = size * (close - held.price) * scheme.mult
            gross += value
            unrealized += gain
            if value > 0:
                net += (value - gain) / scheme.leverage
                net += gain
            else:
                net += value
        if flat and self.cash == self._flat_with and not self._cash_addition:
            return  # as on the last bar
        self._add_cash()
        self._sum_up(gross, net, unrealized)
        self._flat_with = self.cash if flat else None

    def _add_cash(self) -> None:
        while self._cash_addition:
            added = self._cash_addition.popleft()
            self._fundshares += added / self._fundval
            self.cash += added

    def _sum_up(self, gross: float, net: float, unrealized: float) -> None:
        self._value = self.cash + net
        self._fundval = self._value / self._fundshares
        self._valuemkt = net
        self._valuelever = self.cash + gross
        self._valuemktlever = gross
        self._leverage = gross / (net or 1.0)
        self._unrealized = unrealized


def _has_finite_prices(data: Any) -> bool:
    columns = [np.array(line.array) for line in (data.open, data.high, data.low, data.close)]
    return all(len(column) and np.isfinite(column).all() for column in columns)
