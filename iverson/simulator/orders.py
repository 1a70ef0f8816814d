# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders: one frozen record, and the table of the states it may pass through.

The names are Alpaca's. A record never changes; the floor puts a new one in its place, so whoever
holds a record holds what was true when it was handed out. Prices are dollars on a grid of 0.0001,
quantities shares with at most nine decimals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

Side = Literal["buy", "sell"]
Type = Literal["market", "limit", "stop", "stop_limit", "trailing_stop"]
OrderClass = Literal["simple", "bracket", "oco", "oto"]
TimeInForce = Literal["day", "gtc", "ioc", "fok", "opg", "cls"]
Role = Literal["entry", "target", "stop"]
Intent = Literal["buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"]
Status = Literal[
    "pending_new",
    "accepted",
    "new",
    "held",
    "partially_filled",
    "filled",
    "pending_cancel",
    "canceled",
    "expired",
    "pending_replace",
    "replaced",
    "rejected",
]

SIDES: tuple[Side, ...] = ("buy", "sell")
TYPES: tuple[Type, ...] = ("market", "limit", "stop", "stop_limit", "trailing_stop")
STOPS = frozenset({"stop", "stop_limit", "trailing_stop"})
CLASSES: tuple[OrderClass, ...] = ("simple", "bracket", "oco", "oto")
TIMES_IN_FORCE: tuple[TimeInForce, ...] = ("day", "gtc", "ioc", "fok", "opg", "cls")

_ENDS = frozenset({"canceled", "expired", "rejected"})
_WAITS = frozenset({"pending_cancel", "pending_replace"})

TRANSITIONS: dict[Status, frozenset[str]] = {
    "pending_new": frozenset({"new", "held", "partially_filled"}) | _WAITS | _ENDS,
    "accepted": frozenset({"new"}) | _WAITS | _ENDS,
    "new": frozenset({"partially_filled", "filled", "replaced"}) | _WAITS | _ENDS,
    "held": frozenset({"new", "replaced"}) | _WAITS | _ENDS,
    "partially_filled": frozenset({"partially_filled", "filled", "replaced"}) | _WAITS | _ENDS,
    "pending_cancel": frozenset({"filled", "replaced"}) | _ENDS,
    "pending_replace": frozenset(
        {"new", "held", "partially_filled", "filled", "replaced", "accepted"} | _ENDS
    ),
    "filled": frozenset(),
    "canceled": frozenset(),
    "expired": frozenset(),
    "replaced": frozenset(),
    "rejected": frozenset(),
}
"""Every status an order may move to from each; the ends have none."""

ENDED = frozenset(status for status, nexts in TRANSITIONS.items() if not nexts)
OPEN = frozenset(TRANSITIONS) - ENDED - {"held"}
"""What a listing calls open: a leg that is held is neither open nor closed there."""

ZERO = Decimal(0)
AVERAGE_GRID = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order as it stands at `updated_at`.

    `parent_id` and `role` tie the legs of a class together: the entry of a bracket and the target
    of an oco are parents. `active` is false for a leg whose entry is not completely filled.
    `elected` is true once a stop was touched, `collar` is the limit a buy stop then has.
    `number` is the order of arrival, `valid_session` the session a day order ends with.
    """

    id: str
    number: int
    account_id: str
    client_order_id: str
    symbol: str
    asset_id: str
    side: Side
    type: Type
    time_in_force: TimeInForce
    order_class: OrderClass
    position_intent: Intent
    status: Status
    created_at: datetime
    updated_at: datetime
    submitted_at: datetime
    live_from: datetime
    valid_session: date
    qty: Decimal | None
    notional: Decimal | None = None
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    hwm: Decimal | None = None
    extended_hours: bool = False
    expires_at: datetime | None = None
    filled_at: datetime | None = None
    canceled_at: datetime | None = None
    expired_at: datetime | None = None
    failed_at: datetime | None = None
    replaced_at: datetime | None = None
    replaced_by: str | None = None
    replaces: str | None = None
    parent_id: str | None = None
    role: Role = "entry"
    active: bool = True
    elected: bool = False
    collar: Decimal | None = None
    reserve_price: Decimal = ZERO
    resting: Status = "new"
    legs: tuple[Order, ...] = ()

    @property
    def filled_avg_price(self) -> Decimal | None:
        """Average price of the fills in dollars, to six decimals; None before the first."""
        if not self.filled_qty:
            return None
        return (self.filled_value / self.filled_qty).quantize(AVERAGE_GRID)

    @property
    def is_ended(self) -> bool:
        """Whether nothing can happen to the order any more."""
        return self.status in ENDED

    @property
    def is_open(self) -> bool:
        """Whether a listing of open orders shows it."""
        return self.status in OPEN

    @property
    def opens(self) -> bool:
        """Whether the order opens or enlarges a position."""
        return self.position_intent in ("buy_to_open", "sell_to_open")

    @property
    def is_complex(self) -> bool:
        """Whether the order belongs to a bracket, an oco or an oto."""
        return self.order_class != "simple"

    @property
    def remaining(self) -> Decimal:
        """Shares still to fill; of a notional order, as many as it buys at `reserve_price`."""
        if self.qty is not None:
            return self.qty - self.filled_qty
        if self.filled_qty or self.notional is None or not self.reserve_price:
            return ZERO
        return (self.notional / self.reserve_price).quantize(Decimal("0.000000001"))

    def moved(self, status: Status, at: datetime, **changes: Any) -> Order:
        """Return the order in another status; `AssertionError` if the table forbids the step."""
        assert status == self.status or status in TRANSITIONS[self.status], (
            f"order {self.id}: {self.status} -> {status} is not in the table"
        )
        return replace(self, status=status, updated_at=at, **changes)
