# SPDX-License-Identifier: GPL-3.0-or-later
"""What is open at the end of a session, from fills, cash flows and orders alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from iverson.model import CashFlow, Fill, OrderEvent, Side, Verdict
from iverson.monitoring.kinds import Value
from iverson.monitoring.record import EquityRow

WORKING = ("accepted", "partially filled")


@dataclass(slots=True)
class OpenTrade:
    """A position with what it has cost so far.

    `size` is signed; `bought` counts the shares entered, in today's shares, and `paid` what they
    cost at their prices. `stop` is that of the stop order that works for it, NaN when none does.
    `cash` is what the trade has paid (negative) or received: fills, commission, dividends, so that
    cash + size x mark is its profit.
    """

    symbol: str
    since: date
    size: float = 0.0
    bought: float = 0.0
    paid: float = 0.0
    cash: float = 0.0
    stop: float = math.nan
    reason: str | float = ""

    @property
    def side(self) -> Side:
        """Long or short."""
        return "long" if self.size > 0 else "short"

    @property
    def entry(self) -> float:
        """Dollars a share paid on average for what was entered, as in a closed `Trade`."""
        return self.paid / self.bought

    @property
    def planned_loss(self) -> float:
        """Dollars lost from the average entry when the stop fills at its price.

        Negative once the stop has locked in a profit; NaN without a stop. Costs are not in it.
        """
        return (self.entry - self.stop) * self.size


def open_trades(values: Iterable[Value]) -> list[OpenTrade]:
    """Replay a run's rows, in their order; return what is open after them, by symbol."""
    held = _Held()
    for value in values:
        if isinstance(value, Fill):
            held.fill(value)
        elif isinstance(value, CashFlow):
            held.flow(value)
        elif isinstance(value, OrderEvent):
            held.order(value)
        elif isinstance(value, Verdict) and value.approved:
            held.reasons[value.signal.symbol] = value.signal.reason
    return [held.protected(trade) for _, trade in sorted(held.trades.items())]


def open_pnl(values: Sequence[Value]) -> float:
    """Give what the open trades have made at the last mark, dollars, costs paid included.

    The journal notes what all positions together are worth; 0 before the first mark.
    """
    worth = next((row.positions_value for row in reversed(values) if isinstance(row, EquityRow)), 0)
    return worth + math.fsum(trade.cash for trade in open_trades(values))


class _Held:
    def __init__(self) -> None:
        self.trades: dict[str, OpenTrade] = {}
        self.stops: dict[str, tuple[str, float]] = {}  # working stop orders: symbol and price
        self.reasons: dict[str, str | float] = {}

    def fill(self, fill: Fill) -> None:
        signed = fill.size if fill.side == "buy" else -fill.size
        trade = self.trades.get(fill.symbol)
        if trade is None:
            reason = self.reasons.get(fill.symbol, "") if fill.leg == "entry" else ""
            trade = OpenTrade(fill.symbol, fill.session, reason=reason)
            self.trades[fill.symbol] = trade
        if trade.size * signed < 0:
            self._exit(trade, fill, signed)
            return
        trade.bought += fill.size
        trade.paid += fill.price * fill.size
        trade.size += signed
        trade.cash -= signed * fill.price + fill.commission

    def _exit(self, trade: OpenTrade, fill: Fill, signed: float) -> None:
        """Take shares off; what goes through zero opens a trade on the other side."""
        over = fill.size - abs(trade.size)
        if over < 0:
            trade.size += signed
            trade.cash -= signed * fill.price + fill.commission
            return
        del self.trades[fill.symbol]
        if over > 0:
            size = math.copysign(over, signed)
            cash = -size * fill.price - fill.commission * over / fill.size
            self.trades[fill.symbol] = OpenTrade(
                fill.symbol, fill.session, size, over, over * fill.price, cash
            )

    def flow(self, flow: CashFlow) -> None:
        if flow.kind == "split":
            self.stops = {
                name: (symbol, price / flow.ratio if symbol == flow.symbol else price)
                for name, (symbol, price) in self.stops.items()
            }
        trade = self.trades.get(flow.symbol)
        if trade is None:
            return
        trade.cash += flow.amount
        if flow.kind == "split":
            whole = math.floor(abs(trade.size) * flow.ratio + 1e-9)
            trade.size = math.copysign(whole, trade.size)
            trade.bought *= flow.ratio
            if not whole:
                del self.trades[flow.symbol]

    def order(self, order: OrderEvent) -> None:
        if order.leg == "entry" or not order.kind.startswith("stop"):
            return
        if order.status in WORKING:
            self.stops[order.order_id] = (order.symbol, order.price)
        else:
            self.stops.pop(order.order_id, None)

    def protected(self, trade: OpenTrade) -> OpenTrade:
        """Give a trade the stop that works for it; the last one, when there are several."""
        for symbol, price in self.stops.values():
            if symbol == trade.symbol:
                trade.stop = price
        return trade
