# SPDX-License-Identifier: GPL-3.0-or-later
"""Wash trades: a new order that could meet an order of one's own on the other side.

Alpaca's table (User Protection, September 2026): if either is a market or stop order, always; two
orders with limits, if the buyer's is at or above the seller's. Complex orders and trailing stops
are exempt.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from iverson.simulator.orders import Order, Side, Type
from iverson.simulator.requests import Refused

LIMITED = frozenset({"limit", "stop_limit"})
ALWAYS = frozenset({"market", "stop"})


def interact(side: Side, kind: Type, limit: Decimal | None, other: Order) -> bool:
    """Tell whether a simple new order could trade with an open one."""
    if other.side == side or other.is_complex or "trailing_stop" in (kind, other.type):
        return False
    if kind in ALWAYS or other.type in ALWAYS:
        return True
    assert limit is not None, f"{kind} orders have a limit"
    assert other.limit_price is not None, f"{other.type} orders have a limit"
    buy, sell = (limit, other.limit_price) if side == "buy" else (other.limit_price, limit)
    return buy >= sell


def refuse_wash_trade(
    side: Side, kind: Type, limit: Decimal | None, others: Iterable[Order]
) -> None:
    """Raise `Refused` if a new simple order could trade with one of these."""
    for other in others:
        if interact(side, kind, limit, other):
            existing = "limit" if other.type in LIMITED else "market/stop"
            raise Refused(
                403,
                40310000,
                "potential wash trade detected. use complex orders",
                existing_order_id=other.id,
                reject_reason=f"opposite side {existing} order exists",
            )
