# SPDX-License-Identifier: GPL-3.0-or-later
"""What a position cost: weighted average during the day, compressed FIFO after it.

During a session each sale takes its share of the average cost. Overnight the books are redone:
each day's purchases are one lot at their average price, and sales take the oldest lots first. So
the average entry price may change with no trade (Alpaca, Position Average Entry Price
Calculation). A short position is the same with its signs turned.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from iverson.simulator.orders import ZERO


@dataclass(slots=True)
class Lot:
    """Shares of one day (above 0) and what they cost in dollars."""

    qty: Decimal
    cost: Decimal


@dataclass(slots=True)
class Holding:
    """One symbol in one account: signed shares and signed cost in dollars (both below 0 short)."""

    qty: Decimal = ZERO
    cost: Decimal = ZERO
    lots: list[Lot] = field(default_factory=list)
    today: Lot = field(default_factory=lambda: Lot(ZERO, ZERO))
    reduced_today: Decimal = ZERO

    @property
    def average(self) -> Decimal:
        """Average entry price in dollars; 0 when flat."""
        return self.cost / self.qty if self.qty else ZERO

    @property
    def from_before(self) -> Decimal:
        """Signed shares held since before today, today's closing trades taken off."""
        held = max(abs(self.qty) - self.today.qty, ZERO)
        return held if self.qty > 0 else -held

    def trade(self, qty: Decimal, price: Decimal) -> None:
        """Book a fill; `qty` is signed and never takes the position through zero."""
        assert self.qty * (self.qty + qty) >= 0, "a fill may not cross zero"
        if self.qty * qty >= 0:
            self.qty += qty
            self.cost += qty * price
            self.today.qty += abs(qty)
            self.today.cost += abs(qty) * price
            return
        self.cost += self.cost * qty / self.qty if self.qty + qty else -self.cost
        self.qty += qty
        self.reduced_today += abs(qty)
        if not self.qty:
            self._clear()

    def end_day(self) -> None:
        """Redo the books: today's purchases become a lot, today's sales take the oldest first."""
        if self.today.qty:
            self.lots.append(Lot(self.today.qty, self.today.cost))
        left = self.reduced_today
        while left and self.lots:
            oldest = self.lots[0]
            taken = min(left, oldest.qty)
            oldest.cost -= oldest.cost * taken / oldest.qty
            oldest.qty -= taken
            left -= taken
            if not oldest.qty:
                self.lots.pop(0)
        self.today, self.reduced_today = Lot(ZERO, ZERO), ZERO
        cost = sum((lot.cost for lot in self.lots), ZERO)
        self.cost = cost if self.qty > 0 else -cost

    def split(self, new: int, old: int, given_up: Decimal) -> None:
        """Turn `old` shares into `new` ones and give up some shares of the result.

        The cost stays, less the part of what is given up.
        """
        before = self.qty * new / old
        kept = 1 - given_up / abs(before)
        self.qty = (abs(before) - given_up).copy_sign(before)
        self.cost *= kept
        for lot in (*self.lots, self.today):
            lot.qty *= kept * new / old
            lot.cost *= kept
        if not self.qty:
            self._clear()

    def _clear(self) -> None:
        self.cost, self.lots = ZERO, []
        self.today, self.reduced_today = Lot(ZERO, ZERO), ZERO
