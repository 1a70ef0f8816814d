# SPDX-License-Identifier: GPL-3.0-or-later
"""The past: what REST shows while it lags some steps behind the stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from iverson.simulator.exchange import Exchange
from iverson.simulator.orders import Order
from iverson.simulator.statements import Account, Position

KEPT_STEPS = 64


@dataclass(frozen=True, slots=True)
class Seen:
    """What REST shows of an account."""

    account: Account
    positions: list[Position]


class Past:
    """Orders and accounts as they were at the end of each step; kept only while asked to.

    `lag` is in steps, 0 for none. Steps are counted by `end_step`.
    """

    def __init__(self, exchange: Exchange, *, keeping: bool) -> None:
        self.lag = 0
        self.keeping = keeping
        self.steps = 0
        self._exchange = exchange
        self._accounts: deque[tuple[int, dict[str, Seen]]] = deque(maxlen=KEPT_STEPS)
        self._orders: dict[str, list[tuple[int, Order]]] = {}

    def set_lag(self, steps: int) -> None:
        """Let REST show the state of so many steps ago, from here on."""
        self.lag = steps
        self.keeping = self.keeping or steps > 0

    def note(self, order: Order) -> None:
        """Remember an order as it is now."""
        if self.keeping:
            self._orders.setdefault(order.id, []).append((self.steps, order))

    def end_step(self, accounts: Iterable[str]) -> None:
        """Count a step, and remember the accounts at its end."""
        self.steps += 1
        if self.keeping:
            states = {account_id: self._now(account_id) for account_id in accounts}
            self._accounts.append((self.steps, states))

    def seen(self, account_id: str) -> Seen:
        """Return the account and its positions as REST shows them now."""
        if self.lag:
            for step, states in self._accounts:
                if step >= self.steps - self.lag and account_id in states:
                    return states[account_id]
        return self._now(account_id)

    def order(self, order: Order) -> Order:
        """Return an order as REST shows it now; one too young for the lag in its first state."""
        if not self.lag or order.id not in self._orders:
            return order
        states = self._orders[order.id]
        old = [one for step, one in states if step <= self.steps - self.lag]
        legs = tuple(self.order(leg) for leg in order.legs)
        return replace((old or [states[0][1]])[-1], legs=legs)

    def _now(self, account_id: str) -> Seen:
        return Seen(self._exchange.account(account_id), self._exchange.positions(account_id))
