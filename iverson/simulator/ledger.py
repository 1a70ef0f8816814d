# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger: what the exchange saw, as tables, for whoever has to judge a client.

It listens from the start and believes the exchange's events only, those that no stream publishes
included. Quantities and money are exact decimals as text in `orders` and `fills`; `protection` has
floats, for sums. Every `at` is tz-aware UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from iverson.simulator.events import (
    AccountChange,
    CorporateAction,
    Event,
    RequestSeen,
    TradeUpdate,
)
from iverson.simulator.exchange import Exchange
from iverson.simulator.orders import STOPS, ZERO, Order

if TYPE_CHECKING:
    import pandas as pd

FILLS = frozenset({"fill", "partial_fill"})
HIDDEN = frozenset({"legs", "filled_value", "reserve_price", "resting"})


class Cover(NamedTuple):
    """From an instant on: signed shares held, and shares that live stops would close."""

    at: datetime
    account_id: str
    symbol: str
    held: Decimal
    covered: Decimal

    @property
    def bare(self) -> Decimal:
        """Shares held that no live stop covers, at least 0."""
        return max(abs(self.held) - self.covered, ZERO)


class Ledger:
    """Records of one exchange, taken from its events; make it before the first order.

    Attributes
    ----------
    updates, requests, changes, actions : the events of each kind, in order
    covers : one row for every change of the shares held or covered of a symbol
    """

    def __init__(self, exchange: Exchange) -> None:
        self.updates: list[TradeUpdate] = []
        self.requests: list[RequestSeen] = []
        self.changes: list[AccountChange] = []
        self.actions: list[CorporateAction] = []
        self.covers: list[Cover] = []
        self._orders: dict[str, Order] = {}
        self._working: dict[tuple[str, str], dict[str, Order]] = {}
        self._shares: dict[tuple[str, str], Decimal] = {}
        exchange.listeners.append(self.hear)

    def hear(self, event: Event) -> None:
        """Take one event down."""
        if isinstance(event, TradeUpdate):
            self._update(event)
        elif isinstance(event, RequestSeen):
            self.requests.append(event)
        elif isinstance(event, AccountChange):
            self.changes.append(event)
            if event.symbol is not None and event.qty:
                key = (event.account_id, event.symbol)
                self._shares[key] = self._shares.get(key, ZERO) + event.qty
                self._cover(key, event.at)
        elif isinstance(event, CorporateAction):
            self.actions.append(event)

    def orders(self) -> pd.DataFrame:
        """Return every order as it stands, one row each, in order of arrival."""
        rows = sorted(self._orders.values(), key=lambda one: one.number)
        return _frame([_fields(order) for order in rows], index="id")

    def fills(self) -> pd.DataFrame:
        """Return every execution: `qty` shares at `price`, `cash` what it moved (buys below 0)."""
        rows = []
        for one in self.updates:
            if one.event not in FILLS or one.qty is None or one.price is None:
                continue
            sign = -1 if one.order.side == "buy" else 1
            rows.append(
                {
                    "at": one.at,
                    "account_id": one.account_id,
                    "order_id": one.order.id,
                    "client_order_id": one.order.client_order_id,
                    "execution_id": one.execution_id,
                    "symbol": one.order.symbol,
                    "side": one.order.side,
                    "qty": one.qty,
                    "price": one.price,
                    "cash": sign * one.qty * one.price,
                    "position_qty": one.position_qty,
                }
            )
        return _frame(rows)

    def seen(self) -> pd.DataFrame:
        """Return every request that reached the exchange, refused ones too."""
        return _frame([_fields(request) for request in self.requests])

    def events(self) -> pd.DataFrame:
        """Return every change of an order: when, what, and whether a stream told it."""
        rows = [
            {
                "at": one.at,
                "account_id": one.account_id,
                "order_id": one.order.id,
                "client_order_id": one.order.client_order_id,
                "symbol": one.order.symbol,
                "event": one.event,
                "status": one.order.status,
                "published": one.published,
                "execution_id": one.execution_id,
            }
            for one in self.updates
        ]
        return _frame(rows)

    def positions(self) -> pd.DataFrame:
        """Return signed shares over time: one row from each change on."""
        rows: list[dict[str, Any]] = []
        last: dict[tuple[str, str], Decimal] = {}
        for cover in self.covers:
            key = (cover.account_id, cover.symbol)
            if last.get(key, ZERO) != cover.held:
                last[key] = cover.held
                rows.append(
                    {
                        "at": cover.at,
                        "account_id": cover.account_id,
                        "symbol": cover.symbol,
                        "qty": cover.held,
                    }
                )
        return _frame(rows)

    def protection(self) -> pd.DataFrame:
        """Return shares held, covered by live stops, and bare, from each change on.

        `until` is when the row ends, NaT for the last of a symbol. A stop is live from when the
        exchange watches it: a leg whose entry is not completely filled is not. Float columns.
        """
        rows: list[dict[str, Any]] = []
        last: dict[tuple[str, str], dict[str, Any]] = {}
        for cover in self.covers:
            row = {
                "at": cover.at,
                "until": None,
                "account_id": cover.account_id,
                "symbol": cover.symbol,
                "held": float(cover.held),
                "covered": float(cover.covered),
                "bare": float(cover.bare),
            }
            key = (cover.account_id, cover.symbol)
            if key in last:
                last[key]["until"] = cover.at
            last[key] = row
            rows.append(row)
        frame = _frame(rows)
        if len(frame):
            import pandas as pd

            frame["until"] = pd.to_datetime(frame["until"], utc=True)
        return frame

    def _update(self, event: TradeUpdate) -> None:
        self.updates.append(event)
        order = event.order
        self._orders[order.id] = order
        key = (event.account_id, order.symbol)
        working = self._working.setdefault(key, {})
        if order.is_ended:
            working.pop(order.id, None)
        elif order.type in STOPS:
            working[order.id] = order
        self._shares[key] = event.position_qty
        self._cover(key, event.at)

    def _cover(self, key: tuple[str, str], at: datetime) -> None:
        held = self._shares.get(key, ZERO)
        covered = sum(
            (one.remaining for one in self._working.get(key, {}).values() if _protects(one, held)),
            ZERO,
        )
        cover = Cover(at, *key, held, covered)
        last = self.covers[-1] if self.covers else None
        if last is not None and (last.account_id, last.symbol) == key and last[3:] == cover[3:]:
            return
        self.covers.append(cover)


def _protects(order: Order, held: Decimal) -> bool:
    """Whether an order that has not ended is a live stop against a position."""
    closes = (order.side == "sell" and held > 0) or (order.side == "buy" and held < 0)
    waits = order.status == "pending_new" and order.replaces is not None
    return closes and order.active and not order.opens and not waits


def _fields(value: Any) -> dict[str, Any]:
    names = [name for name in value.__dataclass_fields__ if name not in HIDDEN]
    row = {name: getattr(value, name) for name in names}
    if isinstance(value, Order):
        row["filled_avg_price"] = value.filled_avg_price
    return row


def _frame(rows: Iterable[dict[str, Any]], index: str | None = None) -> pd.DataFrame:
    # pandas takes a quarter of a second to import; the exchange itself does not need it.
    import pandas as pd

    frame = pd.DataFrame(list(rows))
    if "at" in frame:
        frame["at"] = pd.to_datetime(frame["at"], utc=True)
    return frame.set_index(index, drop=False) if index is not None and len(frame) else frame
