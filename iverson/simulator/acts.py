# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts: what a script does to the exchange itself, beside the answers it spoils.

The exchange must not be called while it tells of an event, so what an event sets off waits until
the exchange has finished what it is doing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal

from iverson.simulator.auth import Keys
from iverson.simulator.events import BarClosed, Event, TradeUpdate
from iverson.simulator.exchange import Exchange
from iverson.simulator.faults import Fault
from iverson.simulator.past import Past
from iverson.simulator.requests import OrderRequest, Refused


class Acts:
    """What can be done to one venue by a script."""

    def __init__(self, exchange: Exchange, keys: Keys, past: Past) -> None:
        self._exchange = exchange
        self._keys = keys
        self._past = past
        self._waiting: list[tuple[Fault, TradeUpdate]] = []
        self._caps: dict[str, tuple[Decimal, Decimal]] = {}
        exchange.listeners.append(self._hear)

    def act(self, fault: Fault, *, account_id: str | None, symbol: str = "") -> None:
        """Do what a fault says; `account_id` is whose request or event it was, None if unknown."""
        symbol = fault.symbol or symbol
        if fault.do == "revoke keys":
            self._keys.revoke()
        elif fault.do == "restore keys":
            self._keys.restore()
        elif fault.do == "lag":
            self._past.set_lag(fault.steps)
        elif fault.do == "halt":
            for name in self._named(symbol):
                self._exchange.halt(name, reason="scripted halt")
        elif fault.do == "resume":
            for name in self._named(symbol):
                self._exchange.resume(name)
        elif account_id is None:
            return
        elif fault.do == "deposit":
            self._exchange.deposit(account_id, Decimal(str(fault.dollars)))
        elif fault.do in ("block", "unblock"):
            self._exchange.block(account_id, trading_blocked=fault.do == "block")
        elif fault.do == "order":
            self._order_of_a_stranger(fault, account_id, self._named(symbol)[0])

    def later(self, faults: Iterable[Fault], update: TradeUpdate) -> None:
        """Act as soon as the exchange has finished what it is doing."""
        self._waiting += [(fault, update) for fault in faults]

    def act_now(self) -> None:
        """Do what was waiting."""
        while self._waiting:
            fault, update = self._waiting.pop(0)
            self.act(fault, account_id=update.account_id, symbol=update.order.symbol)

    def seal(self, fault: Fault, answer: bytes) -> None:
        """Decide what becomes of the order that an answer tells of, if it tells of one."""
        try:
            told = json.loads(answer)
            order_id, qty = str(told["id"]), told["qty"]
        except (ValueError, KeyError, TypeError):
            return
        if fault.do == "reject":
            self._exchange.close_order(order_id, "rejected")
        elif qty is not None:
            share = (Decimal(qty) * Decimal(str(fault.share))).quantize(Decimal(1))
            self._caps[order_id] = share, Decimal(0)
            self._exchange.limit_next_fill(order_id, share)

    def _hear(self, event: Event) -> None:
        """Keep the cap on an order: it is used up with every execution, and with every bar."""
        if isinstance(event, TradeUpdate) and event.order.id in self._caps:
            share, _ = self._caps.pop(event.order.id)
            if not event.order.is_ended:
                self._caps[event.order.id] = share, event.order.filled_qty
        elif not (isinstance(event, BarClosed) and self._caps):
            return
        for order_id, (share, filled) in self._caps.items():
            self._exchange.limit_next_fill(order_id, share - filled)

    def _named(self, symbol: str) -> tuple[str, ...]:
        return self._exchange.market.symbols if symbol == "*" else (symbol,)

    def _order_of_a_stranger(self, fault: Fault, account_id: str, symbol: str) -> None:
        limit = Decimal(str(fault.limit)) if fault.limit else None
        asked = OrderRequest(
            symbol=symbol,
            side="buy" if fault.side == "buy" else "sell",
            type="limit" if limit else "market",
            time_in_force="gtc" if limit else "day",
            qty=Decimal(str(fault.qty)),
            limit_price=limit,
        )
        with suppress(Refused):  # the log has the refusal; a stranger's trouble is his own
            self._exchange.submit(account_id, asked)
