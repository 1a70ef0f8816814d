# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorder: a Backtrader analyzer that writes down orders, fills, trades and equity.

It hears what any broker reports through Backtrader's own notifications, so it is the same in
every stage and serves plain Backtrader strategies too. Signals and verdicts come from the spine.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt

from iverson.market.calendar import new_york
from iverson.market.moments import Moment, moment
from iverson.model import CashFlow, Fill, OrderEvent, OrderSide
from iverson.monitoring.record import EquityRow, Record
from iverson.monitoring.trades import TradeBuilder

_STATUS = {
    bt.Order.Accepted: "accepted",
    bt.Order.Partial: "partially filled",
    bt.Order.Completed: "filled",
    bt.Order.Canceled: "canceled",
    bt.Order.Expired: "expired",
    bt.Order.Margin: "rejected",
    bt.Order.Rejected: "rejected",
}
_REASON = {bt.Order.Margin: "buying power"}  # unless the broker said more
_FILLED = (bt.Order.Partial, bt.Order.Completed)


class Recorder(bt.Analyzer):
    """Writes into `record`; `since` is the first date number that counts (warm-up is not noted).

    The account is noted once a session, whatever the bars: as it was at its last one, with the most
    positions that were held at any.
    """

    params = (("record", None), ("builder", None), ("since", float("-inf")))

    def __init__(self) -> None:
        self.record: Record = self.p.record
        self.builder: TradeBuilder = self.p.builder
        self._plain: dict[int, str] = {}
        self._mark: EquityRow | None = None  # of a session that may not be over

    def notify_order(self, order: Any) -> None:
        """Note a change of an order's state and the fills that came with it."""
        status = _STATUS.get(order.status)
        if status is None:
            return
        self._end_session(before=order.data.datetime[0])
        if self.record.full:
            number = order.created.dt if status == "accepted" else order.executed.dt
            when = moment(number or order.created.dt)
            self.record.add(
                OrderEvent(
                    at=when.at,
                    session=when.session,
                    order_id=self._order_id(order),
                    symbol=order.data._name,
                    side=_side(order),
                    leg=order.info.get("leg", "plain"),
                    kind=order.getordername().lower(),
                    status=status,
                    size=float(abs(order.size)),
                    price=float(order.created.price),
                    reason=order.info.get("refused") or _REASON.get(order.status, ""),
                )
            )
        if order.status in _FILLED:
            self._fills(order)

    def _fills(self, order: Any) -> None:
        executed = order.executed
        entry = order.parent if order.parent is not None else order
        verdict = order.info.get("verdict") if order.parent is None else None
        marks = order.info.get("marks")  # another broker than ours makes none
        for number in range(executed.p1, executed.p2):
            bit = executed.exbits[number]
            spread, ambiguous = marks[number] if marks else (0.0, False)
            when = moment(bit.dt)
            self._flows(before=bit.dt)
            fill = Fill(
                at=when.at,
                session=when.session,
                order_id=self._order_id(order),
                symbol=order.data._name,
                side=_side(order),
                leg=order.info.get("leg", "plain"),
                size=float(abs(bit.size)),
                price=bit.price,
                commission=bit.comm,
                spread=spread,
                ambiguous=bool(ambiguous or entry.info.get("ambiguous", False)),
            )
            self.record.add(fill)
            trade = self.builder.add(fill, verdict)
            if trade is not None:
                self.record.add(trade)

    def _flows(self, before: float) -> None:
        """Note the dividends and splits that happened up to a bar, ahead of its fills."""
        flows = getattr(self.strategy.broker, "flows", None)
        while flows and flows[0].number <= before:
            flow = flows.popleft()
            when = moment(flow.number)
            noted = CashFlow(when.at, when.session, flow.symbol, flow.kind, flow.amount, flow.ratio)
            self.record.add(noted)
            trade = self.builder.flow(noted)
            if trade is not None:
                self.record.add(trade)

    def next(self) -> None:
        """Note the account once a bar, after the strategy has acted."""
        number = self.strategy.datetime[0]
        self._end_session(before=number)
        self._flows(before=number)
        if number < self.p.since:
            return
        when: Moment = moment(number)
        broker = self.strategy.broker
        cash, equity = broker.getcash(), broker.getvalue()
        held = sum(1 for position in broker.positions.values() if position.size)
        most = held if self._mark is None else max(held, self._mark.positions)
        self._mark = EquityRow(when.at, when.session, cash, equity, equity - cash, most)
        if when.at >= new_york().close_at(when.session):
            self.stop()

    def stop(self) -> None:
        """Note the account as it was last."""
        if self._mark is not None:
            self.record.add(self._mark)
            self._mark = None

    def _end_session(self, *, before: float) -> None:
        """Note a session that ended without a bar at its close, before what comes after it."""
        if self._mark is not None and moment(before).session > self._mark.session:
            self.stop()

    prenext = nextstart = next  # noqa: A003 (Backtrader's name)

    def _order_id(self, order: Any) -> str:
        key = order.info.get("key")
        if key:
            return f"{key}-{order.info['leg'].replace(' ', '-')}"
        if order.ref not in self._plain:
            self._plain[order.ref] = f"plain-{len(self._plain) + 1}"
        return self._plain[order.ref]


def _side(order: Any) -> OrderSide:
    return "buy" if order.isbuy() else "sell"
