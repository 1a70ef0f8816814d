# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened on the exchange: the kinds of events, and the log that chains them.

Every change of an order is a `TradeUpdate`, also those of which Alpaca's stream says nothing:
these have `published` false, and a stream must not send them. The log is text, one canonical JSON
object a line, each with the SHA-256 of its own text and the hash before it. So equal inputs give
equal bytes, and a changed, missing or moved line is seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from iverson.simulator.orders import Order

if TYPE_CHECKING:
    from iverson.simulator.market import Bar

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class TradeUpdate:
    """One change of one order. `qty` and `price` are this execution's; None if it is no fill.

    `execution_id` is None on pending_new. `position_qty` is signed and after the change.
    """

    account_id: str
    event: str
    execution_id: str | None
    order: Order
    price: Decimal | None
    qty: Decimal | None
    position_qty: Decimal
    at: datetime
    published: bool = True


@dataclass(frozen=True, slots=True)
class BarClosed:
    """A bar of the replayed history has ended; `at` is its right edge."""

    bar: Bar
    at: datetime


@dataclass(frozen=True, slots=True)
class ClockEdge:
    """The exchange day turned a corner: "overnight", "pre", "open", "close", "aged", "after"."""

    edge: str
    session: date
    at: datetime


@dataclass(frozen=True, slots=True)
class CorporateAction:
    """A split (`value` = new shares per old) or dividend (dollars a share) took effect."""

    symbol: str
    action: str
    value: Decimal
    session: date
    at: datetime


@dataclass(frozen=True, slots=True)
class AccountChange:
    """Cash or flags of an account changed outside trading.

    `change` is one of "opened", "deposit", "split", "cash in lieu", "dividend", "fee",
    "configured", "blocked", "restricted".
    """

    account_id: str
    change: str
    symbol: str | None
    cash: Decimal
    qty: Decimal
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """A client asked for something; `status` 200 and no message if it was granted."""

    account_id: str
    verb: str
    target: str
    status: int
    code: int | None
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class TradingHalt:
    """Trading in a symbol stopped or went on."""

    symbol: str
    halted: bool
    reason: str
    at: datetime


Event = (
    TradeUpdate
    | BarClosed
    | ClockEdge
    | CorporateAction
    | AccountChange
    | RequestSeen
    | TradingHalt
)
Listener = Callable[[Event], None]


class EventLog:
    """The append-only log: `lines` of JSON, `head` the hash of the last one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.head = GENESIS

    def __len__(self) -> int:
        return len(self.lines)

    def append(self, event: Event) -> None:
        """Write one event as the next line."""
        content = {
            "n": len(self.lines) + 1,
            "kind": type(event).__name__,
            "event": _plain(event),
            "previous": self.head,
        }
        body = json.dumps(content, sort_keys=True, separators=(",", ":"))
        self.head = _sha256(body)
        self.lines.append(f'{body[:-1]},"sha256":"{self.head}"}}')

    def text(self) -> str:
        """Return all lines, each ended by a newline."""
        return "".join(line + "\n" for line in self.lines)


def first_broken(lines: Iterable[str]) -> int | None:
    """Return the number (from 1) of the first line that breaks the chain; None if it is whole."""
    previous = GENESIS
    for number, line in enumerate(lines, start=1):
        body, mark, digest = line.rpartition(',"sha256":"')
        if not mark or _sha256(body + "}") != digest[:-2]:
            return number
        content = json.loads(line)
        if (content["n"], content["previous"]) != (number, previous):
            return number
        previous = content["sha256"]
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        content = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: _plain(item) for name, item in content.items() if item not in (None, ())}
    return value


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
