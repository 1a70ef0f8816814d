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

    `lag` is in steps, 0 for none. What REST has shown before a lag began it does not take back.
    """

    def __init__(self, exchange: Exchange, *, keeping: bool) -> None:
        self.lag = 0
        self.keeping = keeping
        self.steps = 0
        self._exchange = exchange
        self._accounts: deque[tuple[int, dict[str, Seen]]] = deque(maxlen=KEPT_STEPS)
        self._orders: dict[str, list[tuple[int, Order]]] = {}
        self._noted = 0
        self._noted_at: deque[int] = deque([0], maxlen=KEPT_STEPS)
        self._shown = 0
        self._floor = 0

    def set_lag(self, steps: int) -> None:
        """Let REST show the state of so many steps ago, from here on."""
        self.lag = steps
        self.keeping = self.keeping or steps > 0
        self._floor = self._shown

    def note(self, order: Order) -> None:
        """Remember an order as it is now."""
        if self.keeping:
            self._noted += 1
            self._orders.setdefault(order.id, []).append((self._noted, order))

    def begin_move(self) -> None:
        """Mark what clients could have seen before the clock moves on."""
        self._shown = self._noted

    def end_step(self, accounts: Iterable[str]) -> None:
        """Count a step, and remember the accounts at its end."""
        self.steps += 1
        self._noted_at.append(self._noted)
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
        back = min(self.lag, len(self._noted_at) - 1)
        seen = max(self._floor, self._noted_at[-1 - back])
        states = self._orders[order.id]
        old = [one for number, one in states if number <= seen]
        legs = tuple(self.order(leg) for leg in order.legs)
        return replace((old or [states[0][1]])[-1], legs=legs)

    def _now(self, account_id: str) -> Seen:
        return Seen(self._exchange.account(account_id), self._exchange.positions(account_id))
