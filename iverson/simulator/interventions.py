# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scenario may do to the venue: halts, borrowing, fills and ends no client asked for."""

from __future__ import annotations

from decimal import Decimal

from iverson.errors import ConfigError
from iverson.simulator.bookings import note
from iverson.simulator.brackets import end_order
from iverson.simulator.events import TradingHalt
from iverson.simulator.floor import Floor, can_meet
from iverson.simulator.lifecycle import fill
from iverson.simulator.orders import Order, Status


class Interventions:
    """The half of the exchange that clients cannot reach."""

    _floor: Floor

    def halt(self, symbol: str, *, reason: str = "halt") -> None:
        """Stop trading in a symbol until `resume`."""
        self._floor.halted[symbol] = (self._floor.now, None)
        self._floor.emit(TradingHalt(symbol, True, reason, self._floor.now))

    def resume(self, symbol: str) -> None:
        """Let a symbol trade again."""
        if self._floor.halted.pop(symbol, None) is not None:
            self._floor.emit(TradingHalt(symbol, False, "resumed", self._floor.now))

    def lift_restriction(self, account_id: str) -> None:
        """Let an account open positions again, as the broker's people do after a review."""
        books = self._floor.books(account_id)
        books.restricted = False
        note(self._floor, books, "restricted", "lifted")

    def set_borrow(self, symbol: str, *, easy: bool) -> None:
        """Make a symbol easy or hard to borrow; open shorts in it are cancelled at 04:00."""
        self._floor.easy[symbol] = easy

    def close_order(self, order_id: str, status: Status) -> None:
        """Let the venue end an order by itself: "canceled", "expired" or "rejected"."""
        order = self._floor.orders[order_id]
        if not order.is_ended:
            end_order(self._floor, order, status)

    def limit_next_fill(self, order_id: str, qty: Decimal) -> None:
        """Let the next execution of an order take at most `qty` shares; 0 skips one bar."""
        self._floor.next_fill[order_id] = qty

    def force_fill(self, order_id: str, *, qty: Decimal, price: Decimal) -> Order:
        """Fill an order now, whatever the market does: the other side of a race."""
        order = self._floor.orders[order_id]
        if not can_meet(order):
            raise ConfigError(f"order {order_id} is {order.status}; only one at work can be filled")
        return fill(self._floor, order, min(qty, order.remaining), price, elected=False)
