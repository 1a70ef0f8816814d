# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor: all that changes on the exchange, and the only way to change it.

Orders are frozen records in a table; `change` puts the next record in the place of the last, checks
the step against the table of transitions, and tells the log and the listeners. Chance comes from
`draw`, whose number depends on the seed and the words given and on nothing that happened before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from heapq import heappop, heappush
from typing import Any
from uuid import UUID

from iverson.simulator.accounts import Books
from iverson.simulator.events import BarClosed, Event, EventLog, Listener, TradeUpdate
from iverson.simulator.market import Market
from iverson.simulator.orders import Order, Status
from iverson.simulator.path import on_grid
from iverson.simulator.requests import Refused
from iverson.simulator.schedule import Schedule
from iverson.simulator.settings import Switches

FOREVER = datetime.max.replace(tzinfo=UTC)
RESTING = frozenset({"new", "partially_filled"})
PENDING = frozenset({"pending_cancel", "pending_replace"})


class Floor:
    """The state of the exchange at `now`."""

    def __init__(
        self, market: Market, schedule: Schedule, switches: Switches, now: datetime
    ) -> None:
        self.market, self.schedule, self.switches, self.now = market, schedule, switches, now
        self.log = EventLog()
        self.listeners: list[Listener] = []
        self.accounts: dict[str, Books] = {}
        self.orders: dict[str, Order] = {}
        self.of_account: dict[str, list[str]] = {}
        self.by_client: dict[tuple[str, str], str] = {}
        self.legs: dict[str, list[str]] = {}
        self.alive: dict[str, dict[str, None]] = {}
        self.next_fill: dict[str, Decimal] = {}
        self.marks: dict[str, float] = {}
        self.traded: dict[str, Decimal] = {}
        self.closes: dict[str, Decimal] = {}
        self.opened: dict[str, date] = {}
        self.halted: dict[str, tuple[datetime, datetime | None]] = {}
        self.easy: dict[str, bool] = {}
        self._timers: list[tuple[datetime, int, str, str]] = []
        self._counts: dict[str, int] = {}

    # Numbers

    def count(self, what: str) -> int:
        """Return 1, 2, 3... for each kind of thing."""
        self._counts[what] = self._counts.get(what, 0) + 1
        return self._counts[what]

    def new_id(self, what: str) -> str:
        """Return the next UUID of a kind."""
        return self.uuid(what, self.count(what))

    def uuid(self, *words: object) -> str:
        """Return the UUID that the seed and some words give."""
        return str(UUID(bytes=self._digest(*words)[:16], version=4))

    def draw(self, *words: object) -> float:
        """Return a number in [0, 1) that the seed and some words give."""
        return int.from_bytes(self._digest(*words)[:7], "big") / (1 << 56)

    def latency(self, *words: object) -> timedelta:
        """Return the time until an order can meet the market."""
        low, high = self.switches.latency_seconds
        if high <= 0:
            return timedelta(0)
        return timedelta(seconds=round(low + (high - low) * self.draw("latency", *words), 6))

    def _digest(self, *words: object) -> bytes:
        text = "|".join([str(self.switches.seed), *map(str, words)])
        return hashlib.sha256(text.encode()).digest()

    # Prices

    def price(self, symbol: str) -> Decimal | None:
        """Return the last trade that a client can know of; None before any.

        On the first bar of a symbol's history its open stands for what traded before.
        """
        mark = self.marks.get(symbol)
        if mark is not None:
            return on_grid(mark)
        bar = self.market.last(symbol, self.now)
        if bar is not None:
            self.marks[symbol] = bar.close
            return on_grid(bar.close)
        end = self.market.next_end(self.now)
        coming = [] if end is None else self.market.bars_between(self.now, end)
        return next((on_grid(bar.open) for bar in coming if bar.symbol == symbol), None)

    def mark(self, symbol: str) -> Decimal:
        """Return the price that a position is valued at: the last trade, else what was paid."""
        price = self.price(symbol)
        return self.traded[symbol] if price is None else price

    def is_easy(self, symbol: str) -> bool:
        """Tell whether a symbol can be sold short."""
        asset = self.market.asset(symbol)
        if asset is None or not asset.shortable:
            return False
        return self.easy.get(symbol, asset.easy_to_borrow)

    def halted_until(self, symbol: str, at: datetime) -> datetime | None:
        """Return when a symbol that does not trade at an instant trades again; None if it does.

        A halt without end lasts until `datetime.max`.
        """
        spans = [(halt.start, halt.end) for halt in self.switches.halts if halt.symbol == symbol]
        if symbol in self.halted:
            start, end = self.halted[symbol]
            spans.append((start, FOREVER if end is None else end))
        ends = [end for start, end in spans if start <= at < end]
        return max(ends) if ends else None

    # Orders

    def add(self, order: Order) -> Order:
        """Take a new order into the table; says nothing."""
        self.orders[order.id] = order
        self.of_account[order.account_id].append(order.id)
        self.by_client[order.account_id, order.client_order_id] = order.id
        self.alive.setdefault(order.symbol, {})[order.id] = None
        if order.parent_id is not None:
            self.legs.setdefault(order.parent_id, []).append(order.id)
        return order

    def change(
        self,
        order: Order,
        status: Status,
        event: str,
        *,
        published: bool = True,
        execution: tuple[Decimal, Decimal] | None = None,
        **changes: Any,
    ) -> Order:
        """Move an order to a status and tell it; an execution is (shares, price)."""
        order = order.moved(status, self.now, **changes)
        self.orders[order.id] = order
        if order.is_ended:
            self.alive[order.symbol].pop(order.id, None)
        qty, price = execution or (None, None)
        self.emit(
            TradeUpdate(
                order.account_id,
                event,
                self.new_id("execution") if published and event != "pending_new" else None,
                order,
                price,
                qty,
                self.accounts[order.account_id].qty(order.symbol),
                self.now,
                published,
            )
        )
        return order

    def living(self, symbol: str, account_id: str | None = None) -> list[Order]:
        """Return the orders of a symbol that have not ended, in order of arrival."""
        orders = [self.orders[order_id] for order_id in self.alive.get(symbol, ())]
        return [one for one in orders if account_id is None or one.account_id == account_id]

    def living_of(self, account_id: str) -> list[Order]:
        """Return all orders of an account that have not ended, in order of arrival."""
        orders = [self.orders[i] for ids in self.alive.values() for i in ids]
        return sorted(
            (one for one in orders if one.account_id == account_id), key=lambda one: one.number
        )

    def legs_of(self, order: Order) -> list[Order]:
        """Return the legs of a parent, the target first."""
        return [self.orders[leg] for leg in self.legs.get(order.id, ())]

    def family(self, order: Order) -> list[Order]:
        """Return the other members of an order's class, ended ones too."""
        parent = order if order.parent_id is None else self.orders[order.parent_id]
        return [one for one in (parent, *self.legs_of(parent)) if one.id != order.id]

    def books(self, account_id: str) -> Books:
        """Return an account; `Refused` 404 if there is none."""
        books = self.accounts.get(account_id)
        if books is None:
            raise Refused(404, 40410000, f"account not found for {account_id}")
        return books

    # Telling and waiting

    def emit(self, event: Event) -> None:
        """Write an event to the log and tell the listeners."""
        if self.switches.log_bars or not isinstance(event, BarClosed):
            self.log.append(event)
        for listener in self.listeners:
            listener(event)

    def wait(self, seconds: float, action: str, order_id: str) -> None:
        """Set a timer for an order."""
        self.wait_until(self.now + timedelta(seconds=seconds), action, order_id)

    def wait_until(self, at: datetime, action: str, order_id: str) -> None:
        """Set a timer for an order at an instant."""
        heappush(self._timers, (at, self.count("timer"), action, order_id))

    def next_timer(self) -> datetime | None:
        """Return when the next timer is due."""
        return self._timers[0][0] if self._timers else None

    def due(self) -> Iterator[tuple[str, str]]:
        """Take the timers that are due now: (action, order id)."""
        while self._timers and self._timers[0][0] <= self.now:
            _, _, action, order_id = heappop(self._timers)
            yield action, order_id


def can_meet(order: Order) -> bool:
    """Tell whether an order is where the market can reach it.

    An order whose cancellation or replacement is pending still is, if it was before. A held leg
    is watched once its entry is filled.
    """
    status = order.resting if order.status in PENDING else order.status
    return status in RESTING or (status == "held" and order.active)
