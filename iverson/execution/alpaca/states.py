# SPDX-License-Identifier: GPL-3.0-or-later
"""From Alpaca's words to ours: what the broker says of orders, fills, positions, the account. Pure.

Read tolerantly: a field that is new or missing is no error as long as what makes an order an order
is there. A status that is not in the table is `unknown`, and whoever meets one halts entries:
nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from iverson.errors import OutOfSync
from iverson.execution.alpaca.flows import Movement
from iverson.model import OrderSide

Meaning = Literal[
    "working", "held", "partial", "filled", "canceled", "expired", "rejected", "replaced", "unknown"
]

# Every status of Alpaca's order schema and what it means for our books. "working" may still fill.
STATUSES: Mapping[str, Meaning] = {
    "new": "working",
    "accepted": "working",
    "pending_new": "working",
    "accepted_for_bidding": "working",
    "pending_cancel": "working",
    "pending_replace": "working",
    "pending_review": "working",
    "stopped": "working",
    "suspended": "working",
    "calculated": "working",
    "done_for_day": "working",  # it works again tomorrow, until a terminal state
    "held": "held",
    "partially_filled": "partial",
    "filled": "filled",
    "canceled": "canceled",
    "expired": "expired",
    "rejected": "rejected",
    "replaced": "replaced",
}
ENDED: frozenset[Meaning] = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})


@dataclass(frozen=True, slots=True)
class OrderState:
    """An order as the broker sees it. `filled` shares so far at `average` dollars (NaN: none)."""

    id: str
    name: str
    symbol: str
    side: OrderSide
    kind: str
    status: str
    size: float
    filled: float
    average: float
    limit: float | None = None
    stop: float | None = None
    submitted_at: datetime | None = None
    expires_at: datetime | None = None
    ended_at: datetime | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    legs: tuple[OrderState, ...] = ()

    @property
    def meaning(self) -> Meaning:
        """What the status means for our books."""
        return STATUSES.get(self.status, "unknown")

    @property
    def alive(self) -> bool:
        """Whether it may still fill; an unknown status counts as alive."""
        return self.meaning not in ENDED

    @property
    def leg(self) -> Literal["stop", "target"]:
        """Which leg it is, by its type: never by its place in a list."""
        return "target" if self.kind == "limit" else "stop"


@dataclass(frozen=True, slots=True)
class Update:
    """One message of the trading stream: `size` and `price` are this execution's only."""

    event: str
    order: OrderState
    at: datetime | None
    execution: str | None
    size: float
    price: float
    position: float | None


@dataclass(frozen=True, slots=True)
class FillRow:
    """One execution as the account's activities list it; the only record kept after the fact."""

    id: str
    order_id: str
    symbol: str
    side: OrderSide
    size: float
    price: float
    cumulative: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Holding:
    """A position as the broker sees it; `size` is signed, `available` what no exit holds."""

    symbol: str
    size: float
    available: float
    price: float
    mark: float


@dataclass(frozen=True, slots=True)
class Standing:
    """The account: dollars, and every flag that stops it from trading, in Alpaca's words."""

    number: str
    cash: float
    equity: float
    buying_power: float
    status: str
    shorting: bool
    blocks: tuple[str, ...] = field(default=())


_ENDS = ("filled_at", "canceled_at", "expired_at", "failed_at", "replaced_at", "updated_at")


def order_state(raw: Mapping[str, Any]) -> OrderState:
    """Read an order; `OutOfSync` when it lacks what makes it one."""
    try:
        return OrderState(
            id=str(raw["id"]),
            name=str(raw.get("client_order_id") or ""),
            symbol=str(raw["symbol"]),
            side=_side(raw["side"]),
            kind=str(raw.get("type") or raw.get("order_type") or ""),
            status=str(raw["status"]),
            size=_number(raw.get("qty")),
            filled=_number(raw.get("filled_qty") or 0),
            average=_number(raw.get("filled_avg_price")),
            limit=_optional(raw.get("limit_price")),
            stop=_optional(raw.get("stop_price")),
            submitted_at=instant(raw.get("submitted_at")),
            expires_at=instant(raw.get("expires_at")),
            ended_at=instant(next((raw[name] for name in _ENDS if raw.get(name)), None)),
            replaces=raw.get("replaces"),
            replaced_by=raw.get("replaced_by"),
            legs=tuple(order_state(leg) for leg in raw.get("legs") or ()),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable("order", raw, error) from error


def update(raw: Mapping[str, Any]) -> Update:
    """Read the `data` of a trade_updates message."""
    try:
        return Update(
            event=str(raw["event"]),
            order=order_state(raw["order"]),
            at=instant(raw.get("timestamp")),
            execution=raw.get("execution_id"),
            size=_number(raw.get("qty")),
            price=_number(raw.get("price")),
            position=_optional(raw.get("position_qty")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable("trade update", raw, error) from error


def fill_row(raw: Mapping[str, Any]) -> FillRow:
    """Read one row of the activities of type FILL."""
    try:
        at = instant(raw["transaction_time"])
        assert at is not None
        return FillRow(
            id=str(raw["id"]),
            order_id=str(raw["order_id"]),
            symbol=str(raw["symbol"]),
            side=_side(raw["side"]),
            size=_number(raw["qty"]),
            price=_number(raw["price"]),
            cumulative=_number(raw.get("cum_qty")),
            at=at,
        )
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise _unreadable("fill", raw, error) from error


def movement(raw: Mapping[str, Any], kind: str) -> Movement:
    """Read a row of the activities that is no fill; of one without an instant, its date's begin."""
    try:
        at = instant(raw.get("created_at")) or instant(f"{raw['date']}T00:00:00Z")
        assert at is not None
        return Movement(
            kind=kind,
            at=at,
            symbol=str(raw.get("symbol") or ""),
            amount=_number(raw.get("net_amount") or 0),
            shares=_number(raw.get("qty") or 0),
        )
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise _unreadable("activity", raw, error) from error


def holding(raw: Mapping[str, Any]) -> Holding:
    """Read a position; a short's size is negative."""
    try:
        size = _number(raw["qty"])
        signed = -abs(size) if raw.get("side") == "short" else size
        return Holding(
            symbol=str(raw["symbol"]),
            size=signed,
            available=_number(raw.get("qty_available", raw["qty"])),
            price=_number(raw["avg_entry_price"]),
            mark=_number(raw.get("current_price")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable("position", raw, error) from error


_FLAGS = ("trading_blocked", "account_blocked", "trade_suspended_by_user")


def standing(raw: Mapping[str, Any]) -> Standing:
    """Read the account and what keeps it from trading (a status that is not ACTIVE included)."""
    try:
        status = str(raw["status"])
        blocks = [flag for flag in _FLAGS if raw.get(flag)]
        if status != "ACTIVE":
            blocks.append(f"status {status}")
        return Standing(
            number=str(raw["account_number"]),
            cash=_number(raw["cash"]),
            equity=_number(raw["equity"]),
            buying_power=_number(raw["buying_power"]),
            status=status,
            shorting=bool(raw.get("shorting_enabled", False)),
            blocks=tuple(blocks),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable("account", raw, error) from error


def instant(text: Any) -> datetime | None:
    """Read an instant, nanoseconds cut to microseconds; None stays None. Always UTC."""
    if text is None:
        return None
    if isinstance(text, datetime):
        return text.astimezone(UTC)
    whole, dot, rest = str(text).replace("Z", "+00:00").partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        rest = rest[: min(digits, 6)].ljust(6, "0") + rest[digits:]
    at = datetime.fromisoformat(whole + dot + rest)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at.astimezone(UTC)


def _side(text: Any) -> OrderSide:
    side = str(text)
    if side == "buy":
        return "buy"
    if side in ("sell", "sell_short"):
        return "sell"
    raise ValueError(f"side is {side!r}")


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def _unreadable(what: str, raw: Any, error: Exception) -> OutOfSync:
    named = raw.get("id") if isinstance(raw, Mapping) else None
    return OutOfSync(
        f"Alpaca sent {what} {named or ''} that cannot be read ({type(error).__name__}: {error}); "
        "expected its documented fields; look at the account before going on"
    )
