# SPDX-License-Identifier: GPL-3.0-or-later
"""The exchange: accounts, orders and a replayed market under one simulated clock.

Pure and deterministic: no thread, no file, no wall clock, no chance but the seed's. The clock
moves by `advance_to` only, and stepping there in one go or by `next_at` gives the same events.
Listeners hear every event as it happens and must not call the exchange back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from iverson.market.calendar import Calendar
from iverson.simulator.events import EventLog, Listener
from iverson.simulator.market import Market
from iverson.simulator.orders import Order
from iverson.simulator.requests import OrderQuery, OrderRequest, Refused, ReplaceRequest
from iverson.simulator.settings import Switches
from iverson.simulator.statements import (
    Account,
    Activity,
    Configuration,
    PortfolioHistory,
    Position,
)


class Exchange:
    """One venue with its broker.

    Parameters
    ----------
    market : the history to replay
    at : the instant at which the clock starts (tz-aware UTC)
    switches : how it behaves where the documents leave it open
    calendar : sessions; New York's by default
    """

    now: datetime
    market: Market
    switches: Switches
    log: EventLog
    listeners: list[Listener]

    def __init__(
        self,
        market: Market,
        *,
        at: datetime,
        switches: Switches | None = None,
        calendar: Calendar | None = None,
    ) -> None:
        raise NotImplementedError

    # The clock

    def next_at(self) -> datetime | None:
        """Return the next instant at which anything is due, None when nothing is left."""
        raise NotImplementedError

    def advance_to(self, at: datetime) -> None:
        """Do everything due up to and including `at`, in order; time never goes back."""
        raise NotImplementedError

    # Accounts

    def open_account(self, key: str, *, cash: Decimal, paper: bool = True) -> Account:
        """Open an account for an API key; its id follows from the seed and the order of opening."""
        raise NotImplementedError

    def account(self, account_id: str) -> Account:
        """Return the account's figures now."""
        raise NotImplementedError

    def account_of(self, key: str) -> str | None:
        """Return the id of the account that an API key opens, None if there is none."""
        raise NotImplementedError

    def deposit(self, account_id: str, cash: Decimal) -> Account:
        """Add cash; negative takes it out."""
        raise NotImplementedError

    def configure(self, account_id: str, **changes: Any) -> Configuration:
        """Change fields of the configuration."""
        raise NotImplementedError

    def block(self, account_id: str, **flags: bool) -> Account:
        """Set `trading_blocked`, `account_blocked` or `transfers_blocked`."""
        raise NotImplementedError

    def positions(self, account_id: str) -> list[Position]:
        """Return the open positions, by symbol."""
        raise NotImplementedError

    def position(self, account_id: str, symbol: str) -> Position:
        """Return one position; `Refused` 404 if there is none."""
        raise NotImplementedError

    def activities(
        self,
        account_id: str,
        *,
        types: Sequence[str] = (),
        on: date | None = None,
        after: datetime | None = None,
        until: datetime | None = None,
        direction: str = "desc",
        page_size: int = 100,
        page_token: str | None = None,
    ) -> list[Activity]:
        """Return activities; the token is the id of the last row of the page before."""
        raise NotImplementedError

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
        raise NotImplementedError

    # Orders

    def submit(self, account_id: str, request: OrderRequest) -> Order:
        """Take an order; `Refused` if it breaks a rule. The answer carries the legs."""
        raise NotImplementedError

    def replace(self, account_id: str, order_id: str, request: ReplaceRequest) -> Order:
        """Ask for a replacement; the answer is the new order, which the fill may still beat."""
        raise NotImplementedError

    def cancel(self, account_id: str, order_id: str) -> None:
        """Ask for a cancellation; granted is not done."""
        raise NotImplementedError

    def cancel_all(self, account_id: str) -> list[tuple[str, int]]:
        """Ask for the cancellation of every open order: (order id, HTTP status)."""
        raise NotImplementedError

    def close_position(
        self,
        account_id: str,
        symbol: str,
        *,
        qty: Decimal | None = None,
        percentage: Decimal | None = None,
    ) -> Order:
        """Close a position, or part of it, at the market."""
        raise NotImplementedError

    def close_all(
        self, account_id: str, *, cancel_orders: bool = False
    ) -> list[tuple[str, int, Order | Refused]]:
        """Close every position: (symbol, HTTP status, the order or the refusal)."""
        raise NotImplementedError

    def order(
        self,
        account_id: str,
        *,
        id: str | None = None,  # noqa: A002 (Alpaca's word for it)
        client_order_id: str | None = None,
        nested: bool = False,
    ) -> Order:
        """Return one order by either id, with its legs if nested; `Refused` 404 if unknown."""
        raise NotImplementedError

    def orders(self, account_id: str, query: OrderQuery | None = None) -> list[Order]:
        """Return the orders a query asks for, by `submitted_at`."""
        raise NotImplementedError

    # What a scenario may do to the venue

    def halt(self, symbol: str, *, reason: str = "halt") -> None:
        """Stop trading in a symbol until `resume`."""
        raise NotImplementedError

    def resume(self, symbol: str) -> None:
        """Let a symbol trade again."""
        raise NotImplementedError

    def set_borrow(self, symbol: str, *, easy: bool) -> None:
        """Make a symbol easy or hard to borrow from now on."""
        raise NotImplementedError

    def close_order(self, order_id: str, event: str) -> None:
        """Let the venue end an order by itself: "canceled", "expired" or "rejected"."""
        raise NotImplementedError

    def limit_next_fill(self, order_id: str, qty: Decimal) -> None:
        """Let the next execution of an order take at most `qty` shares; 0 = none, as if halted."""
        raise NotImplementedError

    def force_fill(self, order_id: str, *, qty: Decimal, price: Decimal) -> None:
        """Fill an order now, whatever the market does: the other side of a race."""
        raise NotImplementedError
