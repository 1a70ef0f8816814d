# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated account is worth and what it may still commit, in raw dollars and shares."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from iverson.engine.orders import LeanOrders
from iverson.execution.fills import Quote
from iverson.execution.groups import Carried, Group
from iverson.execution.orders import UNPRICED


class MarkedBroker(LeanOrders, bt.brokers.BackBroker):
    """Backtrader's broker with positions marked at raw closes; an `EquityBroker` but for orders."""

    def init(self) -> None:
        """Start over with empty books."""
        super().init()
        self.groups: dict[int, Group] = {}  # by the entry's ref, in order of submission
        self.carried: tuple[Carried, ...] = getattr(self, "carried", ())  # not taken over yet
        self._has_factor: dict[Any, bool] = {}

    def quote(self, data: Any) -> Quote:
        """Return the last bar of a feed in raw dollars and shares."""
        if not self.is_factored(data):
            return Quote(data.open[0], data.high[0], data.low[0], data.close[0], data.volume[0])
        factor = data.factor[0]
        return Quote(
            data.open[0] / factor,
            data.high[0] / factor,
            data.low[0] / factor,
            data.close[0] / factor,
            data.volume[0] * factor,
        )

    def is_factored(self, data: Any) -> bool:
        """Tell whether a feed carries its splits and dividends."""
        known = self._has_factor.get(data)
        if known is None:
            known = self._has_factor[data] = "factor" in data.getlinealiases()
        return known

    def factor(self, data: Any) -> float:
        """Return the cumulative split ratio of a feed, 1 for one that has none."""
        return float(data.factor[0]) if self.is_factored(data) else 1.0

    def mark(self, data: Any) -> float:
        """Return the last close in raw dollars."""
        close = float(data.close[0])
        return close / float(data.factor[0]) if self.is_factored(data) else close

    def reference_price(self, order: Any) -> float:
        """Price at which an order is counted against buying power: its own, else the mark."""
        if order.exectype in UNPRICED:
            return self.mark(order.data)
        return float(order.created.price)

    def getcommissioninfo(self, data: Any) -> Any:
        """Return what sizes an order in `order_target_percent`: whole shares at raw prices."""
        if self.factor(data) == 1.0:
            return super().getcommissioninfo(data)
        return _RawShares(factor=self.factor(data))

    def buying_power(self, *, leave_out: Group | None = None, at: float | None = None) -> float:
        """Dollars of equity not committed to positions or other working entries."""
        equity, committed = float(self.cash), 0.0
        for data, position in self.positions.items():
            if position.size:
                mark = at if at and leave_out and data is leave_out.data else self.mark(data)
                equity += position.size * mark
                committed += abs(position.size) * mark
        for one in self.carried:
            equity += one.size * one.mark
            committed += abs(one.size) * one.mark
        for group in self.groups.values():
            if group is not leave_out and group.waiting and not group.reduces:
                left = abs(group.entry.executed.remsize)
                committed += left * self.reference_price(group.entry)
        return equity - committed

    def _get_value(self, datas: Any = None, lever: bool = False) -> float:  # noqa: ARG002 (signature)
        invested = 0.0
        for data, position in self.positions.items():
            if position.size and (datas is None or any(data is one for one in datas)):
                invested += position.size * self.mark(data)
        if datas is not None:
            return invested
        invested += sum(one.size * one.mark for one in self.carried)
        self._value = self.cash + invested
        self._valuemkt = self._valuemktlever = invested
        self._valuelever = self._value
        self._fundval = self._value / self._fundshares
        return float(self._value)


class _RawShares(bt.CommInfoBase):
    """Sizes by raw prices where the strategy sees continuous ones (raw x factor)."""

    params = (("factor", 1.0), ("stocklike", True), ("commtype", bt.CommInfoBase.COMM_FIXED))

    def getsize(self, price: float, cash: float) -> int:
        return int(cash // (price / self.p.factor))
