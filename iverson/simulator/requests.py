# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client may ask for, and how the exchange says no."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from iverson.simulator.orders import Intent, OrderClass, Side, TimeInForce, Type


class Refused(Exception):  # an answer to a client, not an error of Iverson's
    """The exchange's no: HTTP status, Alpaca's numeric code (None: the body has none), message.

    `extra` holds further fields of the body; all are strings, except `related_orders`, whose ids
    are joined by commas here and become a list in the body.
    """

    def __init__(self, status: int, code: int | None, message: str, **extra: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.extra = extra


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """POST /v2/orders. The prices of legs are those of take_profit and stop_loss."""

    symbol: str
    side: Side
    type: Type = "market"
    time_in_force: TimeInForce = "day"
    order_class: OrderClass = "simple"
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    extended_hours: bool = False
    client_order_id: str | None = None
    position_intent: Intent | None = None
    target_limit_price: Decimal | None = None
    stop_loss_stop_price: Decimal | None = None
    stop_loss_limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceRequest:
    """PATCH /v2/orders/{id}; None keeps what the order has."""

    qty: Decimal | None = None
    time_in_force: TimeInForce | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None
    client_order_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderQuery:
    """GET /v2/orders; `after` and `until` are exclusive and look at `submitted_at`."""

    status: Literal["open", "closed", "all"] = "open"
    limit: int = 50
    after: datetime | None = None
    until: datetime | None = None
    direction: Literal["asc", "desc"] = "desc"
    nested: bool = False
    symbols: tuple[str, ...] = ()
    side: Side | None = None
    before_order_id: str | None = None
    after_order_id: str | None = None


def closing_request(
    symbol: str, held: Decimal, qty: Decimal | None, percentage: Decimal | None
) -> OrderRequest:
    """Return the market order that closes a position of `held` signed shares, or a part of it."""
    if qty is not None and percentage is not None:
        raise Refused(422, 40010001, "only one of qty or percentage is accepted")
    if percentage is not None:
        if not 0 < percentage <= 100:
            raise Refused(422, 42210000, "percentage must be above 0 and at most 100")
        qty = (abs(held) * percentage / 100).quantize(Decimal("0.000000001"))
    side: Side = "sell" if held > 0 else "buy"
    return OrderRequest(symbol=symbol, side=side, qty=abs(held) if qty is None else qty)
