# SPDX-License-Identifier: GPL-3.0-or-later
"""The exchange: accounts, orders and a replayed market under one simulated clock.

Pure and deterministic: no thread, no file, no wall clock, no chance but the seed's. The clock
moves by `advance_to` only, and stepping there in one go or by `next_at` gives the same events.
Listeners hear every event as it happens and must not call the exchange back.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from iverson.errors import ConfigError
from iverson.market.calendar import Calendar, new_york
from iverson.simulator.accounts import FLAGS
from iverson.simulator.bookings import book, note, open_books
from iverson.simulator.corners import turn
from iverson.simulator.events import EventLog, Listener
from iverson.simulator.floor import Floor
from iverson.simulator.history import portfolio_history
from iverson.simulator.intake import take_order
from iverson.simulator.interventions import Interventions
from iverson.simulator.lifecycle import acknowledge, check_cancel, finish_cancel, request_cancel
from iverson.simulator.listing import list_activities, list_orders, with_legs
from iverson.simulator.market import Market
from iverson.simulator.orders import Order
from iverson.simulator.replacing import finish_replace, request_replace
from iverson.simulator.replay import Replay
from iverson.simulator.requests import (
    OrderQuery,
    OrderRequest,
    Refused,
    ReplaceRequest,
    closing_request,
)
from iverson.simulator.schedule import Edge, Schedule
from iverson.simulator.settings import Switches
from iverson.simulator.statements import (
    Account,
    Activity,
    Configuration,
    PortfolioHistory,
    Position,
)
from iverson.simulator.validation import malformed
from iverson.simulator.views import account_statement, position_statement
from iverson.simulator.witness import granted, noting_refusals


class Exchange(Interventions):
    """One venue with its broker.

    Parameters
    ----------
    market : the history to replay
    at : the instant at which the clock starts (tz-aware UTC)
    switches : how it behaves where the documents leave it open
    calendar : sessions; New York's by default

    Every method that a client's request calls raises `Refused` with status, code and message.
    """

    def __init__(
        self,
        market: Market,
        *,
        at: datetime,
        switches: Switches | None = None,
        calendar: Calendar | None = None,
    ) -> None:
        if at.tzinfo is None:
            raise ConfigError(f"{at} has no time zone; the clock must start at a tz-aware instant")
        schedule = Schedule(new_york() if calendar is None else calendar)
        self._floor = Floor(market, schedule, switches or Switches(), at.astimezone(UTC))
        self._replay = Replay(self._floor)
        self._edge: Edge = schedule.next_edge(self._floor.now)

    @property
    def now(self) -> datetime:
        """The simulated clock, UTC."""
        return self._floor.now

    @property
    def market(self) -> Market:
        """The history that is replayed."""
        return self._floor.market

    @property
    def switches(self) -> Switches:
        """How the exchange behaves."""
        return self._floor.switches

    @property
    def schedule(self) -> Schedule:
        """The corners of the exchange's days."""
        return self._floor.schedule

    @property
    def log(self) -> EventLog:
        """Everything that happened, chained."""
        return self._floor.log

    @property
    def listeners(self) -> list[Listener]:
        """Who hears every event, in order; append to it."""
        return self._floor.listeners

    # The clock

    def next_at(self) -> datetime | None:
        """Return the next instant at which anything is due, None when nothing is left.

        After the last bar only its own session's corners count, and what orders wait for.
        """
        due = self._due()
        if due == self._edge.at and self._replay.end is None and not self._floor.next_timer():
            last = max(self._floor.opened.values(), default=None)
            if last is None or self._edge.session > last:
                return None
        return due

    def advance_to(self, at: datetime) -> None:
        """Do everything due up to and including `at`, in order; time never goes back."""
        if at < self._floor.now:
            raise ConfigError(
                f"the exchange stands at {self._floor.now} and cannot go back to {at}"
            )
        while self._floor.now < at or self._due() <= at:
            self._replay.sweep(min(self._due(), at))
            self._turn()

    def _turn(self) -> None:
        """Do what is due now: the end of the bars, then timers, then the day's corner."""
        now = self._floor.now
        if self._replay.end == now:
            self._replay.close()
        for action, subject in self._floor.due():
            self._ring(action, subject)
        if self._edge.at <= now:
            turn(self._floor, self._edge)
            self._edge = self._floor.schedule.next_edge(now)

    def _due(self) -> datetime:
        instants = (self._edge.at, self._replay.end, self._floor.next_timer())
        return min(instant for instant in instants if instant is not None)

    def _ring(self, action: str, subject: str) -> None:
        if action == "resume":
            self.resume(subject)
            return
        order = self._floor.orders[subject]
        {"ack": acknowledge, "cancel": finish_cancel, "replace": finish_replace}[action](
            self._floor, order
        )

    # Accounts

    def open_account(self, key: str, *, cash: Decimal, paper: bool = True) -> Account:
        """Open an account for an API key; its id follows from the seed and the order of opening."""
        floor = self._floor
        if self.account_of(key) is not None:
            raise ConfigError("there is an account for this key already; use another key")
        books = open_books(floor, key, cash, paper=paper)
        return self.account(books.id)

    def account(self, account_id: str) -> Account:
        """Return the account's figures now."""
        return account_statement(self._floor, self._floor.books(account_id))

    def account_of(self, key: str) -> str | None:
        """Return the id of the account that an API key opens, None if there is none."""
        return next((b.id for b in self._floor.accounts.values() if b.key == key), None)

    def deposit(self, account_id: str, cash: Decimal) -> Account:
        """Add cash in dollars; below 0 takes it out."""
        books = self._floor.books(account_id)
        books.last_equity += cash
        kind = "CSD" if cash >= 0 else "CSW"
        book(self._floor, books, "deposit", kind, cash=cash)
        return self.account(account_id)

    def configure(self, account_id: str, **changes: Any) -> Configuration:
        """Change fields of the configuration."""
        books = self._floor.books(account_id)
        try:
            books.configuration = replace(books.configuration, **changes)
        except TypeError:
            raise malformed(f"unknown configuration in {', '.join(sorted(changes))}") from None
        note(self._floor, books, "configured", repr(sorted(changes.items())))
        return books.configuration

    def block(self, account_id: str, **flags: bool) -> Account:
        """Set `trading_blocked`, `account_blocked` or `transfers_blocked`."""
        books = self._floor.books(account_id)
        unknown = set(flags) - set(FLAGS)
        if unknown:
            raise ConfigError(f"{', '.join(sorted(unknown))}: expected one of {', '.join(FLAGS)}")
        books.flags |= flags
        note(self._floor, books, "blocked", repr(sorted(flags.items())))
        return self.account(account_id)

    def positions(self, account_id: str) -> list[Position]:
        """Return the open positions, by symbol."""
        books = self._floor.books(account_id)
        return [position_statement(self._floor, books, name) for name in sorted(books.holdings)]

    def position(self, account_id: str, symbol: str) -> Position:
        """Return one position; `Refused` 404 if there is none."""
        return position_statement(self._floor, self._floor.books(account_id), symbol)

    def activities(self, account_id: str, **query: Any) -> list[Activity]:
        """Return a page of activities; the arguments are those of `list_activities`."""
        return list_activities(self._floor.books(account_id).activities, **query)

    def portfolio_history(
        self,
        account_id: str,
        *,
        period: str | None = None,
        timeframe: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        extended_hours: bool = False,
    ) -> PortfolioHistory:
        """Return the account's equity over time."""
        return portfolio_history(
            self._floor,
            self._floor.books(account_id),
            period=period,
            timeframe=timeframe,
            start=start,
            end=end,
            extended_hours=extended_hours,
        )

    # Orders

    def submit(self, account_id: str, request: OrderRequest) -> Order:
        """Take an order; the answer carries the legs, as they were accepted."""
        books = self._floor.books(account_id)
        with noting_refusals(
            self._floor, account_id, "submit", request.client_order_id or request.symbol
        ):
            return take_order(self._floor, books, request)

    def replace(self, account_id: str, order_id: str, request: ReplaceRequest) -> Order:
        """Ask for a replacement; the answer is the new order, which the fill may still beat."""
        order = self._own(account_id, order_id)
        with noting_refusals(self._floor, account_id, "replace", order.client_order_id):
            return request_replace(self._floor, self._floor.books(account_id), order, request)

    def cancel(self, account_id: str, order_id: str) -> None:
        """Ask for a cancellation; granted is not done."""
        order = self._own(account_id, order_id)
        with noting_refusals(self._floor, account_id, "cancel", order.client_order_id):
            check_cancel(self._floor, order)
        granted(self._floor, account_id, "cancel", order.client_order_id)
        request_cancel(self._floor, order)

    def cancel_all(self, account_id: str) -> list[tuple[str, int]]:
        """Ask for the cancellation of every open order: (order id, HTTP status)."""
        answers = []
        granted(self._floor, account_id, "cancel all", "")
        for order in self._floor.living_of(account_id):
            now = self._floor.orders[order.id]
            if not order.is_open or now.is_ended:
                continue
            try:
                request_cancel(self._floor, now)
                answers.append((order.id, 200))
            except Refused:
                answers.append((order.id, 500))
        return answers

    def close_position(
        self,
        account_id: str,
        symbol: str,
        *,
        qty: Decimal | None = None,
        percentage: Decimal | None = None,
    ) -> Order:
        """Close a position, or part of it, at the market."""
        held = self.position(account_id, symbol).qty
        return self.submit(account_id, closing_request(symbol, held, qty, percentage))

    def close_all(
        self, account_id: str, *, cancel_orders: bool = False
    ) -> list[tuple[str, int, Order | Refused]]:
        """Close every position: (symbol, HTTP status, the order or the refusal).

        With `cancel_orders` the open orders end at once, so that nothing holds the shares.
        """
        if cancel_orders:
            granted(self._floor, account_id, "cancel all", "")
            for order in self._floor.living_of(account_id):
                self.close_order(order.id, "canceled")
        answers: list[tuple[str, int, Order | Refused]] = []
        for position in self.positions(account_id):
            try:
                order = self.close_position(account_id, position.symbol)
                answers.append((position.symbol, 200, order))
            except Refused as refused:
                answers.append((position.symbol, refused.status, refused))
        return answers

    def order(
        self,
        account_id: str,
        *,
        id: str | None = None,  # noqa: A002 (Alpaca's word for it)
        client_order_id: str | None = None,
        nested: bool = False,
    ) -> Order:
        """Return one order by either id, with its legs if nested; `Refused` 404 if unknown."""
        wanted = id or client_order_id or ""
        found = self._floor.by_client.get((account_id, wanted)) if id is None else id
        order = self._own(account_id, found or wanted)
        return with_legs(self._floor, order) if nested else order

    def orders(self, account_id: str, query: OrderQuery | None = None) -> list[Order]:
        """Return the orders a query asks for, by `submitted_at`."""
        self._floor.books(account_id)
        return list_orders(self._floor, account_id, query or OrderQuery())

    def _own(self, account_id: str, order_id: str) -> Order:
        order = self._floor.orders.get(order_id)
        if order is None or order.account_id != account_id:
            raise Refused(404, 40410000, f"order not found for {order_id}")
        return order
