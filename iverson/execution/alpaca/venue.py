# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of Alpaca, in our words: place, re-price, cancel, and how things stand.

Reads are repeated when the venue does not answer; nothing else is repeated here (orders have a
protocol of their own). All of it may block: it is called by a worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from iverson.errors import BrokerUnavailable, ConfigError
from iverson.execution.alpaca import states
from iverson.execution.alpaca.flows import Movement, kind_of
from iverson.execution.alpaca.outcomes import Reply
from iverson.execution.alpaca.pace import Pace, Priority
from iverson.execution.alpaca.protocol import Caller, Placed, Placing
from iverson.execution.alpaca.rest import Method
from iverson.execution.alpaca.states import FillRow, Holding, OrderState, Standing
from iverson.model import Intent

READS = 4  # tries of a read
PAGE = 100  # rows of activities a page, the most there are
OPEN = 500  # orders a listing, the most there are

Cancelled = Literal["asked", "ended", "unknown"]


@dataclass(frozen=True, slots=True)
class Venue:
    """One account at Alpaca."""

    caller: Caller
    pace: Pace
    clock: Callable[[], datetime]
    pause: Callable[[float], None]

    # -- orders --------------------------------------------------------------------------------

    def place(self, intent: Intent, *, seen_before: bool = False) -> Placed:
        """Bring an intent that is on the disk to an end."""
        priority = Priority.ENTRY if intent.leg == "entry" else Priority.EXIT
        placing = Placing(_Paced(self.caller, self.pace, priority), self.clock, self.pause)
        return placing.place(intent, seen_before=seen_before)

    def cancel(self, order_id: str) -> Cancelled:
        """Ask for a cancel, again if nobody answers: twice does no harm.

        "asked" is not "canceled": the fill may still win.
        """
        for number in range(READS):
            reply = self._call(Priority.CANCEL, "DELETE", f"/orders/{order_id}")
            if reply.status in (200, 204):
                return "asked"
            if reply.status in (404, 422):
                return "ended"
            if reply.status == 401:
                break
            self.pause(_before_next(number, reply, self.clock))
        return "unknown"

    # -- how things stand ----------------------------------------------------------------------

    def account(self) -> Standing:
        """Return the account; `ConfigError` when the keys are refused."""
        return states.standing(self._read("/account"))

    def holdings(self) -> list[Holding]:
        """Return every position of the account."""
        return [states.holding(raw) for raw in self._read("/positions")]

    def order(self, order_id: str) -> OrderState | None:
        """Return an order with its legs; None when the venue does not know it."""
        raw = self._read(f"/orders/{order_id}", {"nested": "true"}, absent=True)
        return None if raw is None else states.order_state(raw)

    def order_named(self, name: str) -> OrderState | None:
        """Return an order by its client id; None when the venue does not know it."""
        raw = self._read("/orders:by_client_order_id", {"client_order_id": name}, absent=True)
        return None if raw is None else states.order_state(raw)

    def open_orders(self) -> list[OrderState]:
        """Return the orders that may still fill, legs inside their parents."""
        asked = {"status": "open", "limit": OPEN, "nested": "true", "direction": "asc"}
        return [states.order_state(raw) for raw in self._read("/orders", asked)]

    def working(self) -> list[OrderState]:
        """Return what may still fill of the newest 500 orders, each leg by itself.

        Of a filled entry the open orders do not show the stop, which sleeps beside its target.
        """
        asked = {"status": "all", "limit": OPEN, "nested": "true", "direction": "desc"}
        found = [states.order_state(raw) for raw in self._read("/orders", asked)]
        return [one for top in found for one in (top, *top.legs) if one.alive]

    def fills(self, since: datetime) -> list[FillRow]:
        """Return every execution of the account after an instant, oldest first."""
        return [states.fill_row(raw) for raw in self._pages("/account/activities/FILL", since)]

    def movements(self, since: datetime) -> list[Movement]:
        """Return what moved cash or shares without a fill after an instant, oldest first."""
        rows = self._pages("/account/activities", since)
        return [
            states.movement(raw, kind_of(str(raw["activity_type"])))
            for raw in rows
            if raw.get("activity_type") != "FILL"
        ]

    def now(self) -> datetime:
        """Return the venue's own time."""
        at = states.instant(self._read("/clock")["timestamp"])
        assert at is not None
        return at

    def _pages(self, path: str, since: datetime) -> list[Any]:
        rows: list[Any] = []
        asked: dict[str, Any] = {
            "after": since.isoformat(), "direction": "asc", "page_size": PAGE,
        }  # fmt: skip
        while True:
            page = self._read(path, asked)
            rows += page
            if len(page) < PAGE:
                return rows
            asked = {**asked, "page_token": page[-1]["id"]}

    # -- calls ---------------------------------------------------------------------------------

    def _read(self, path: str, data: dict[str, Any] | None = None, *, absent: bool = False) -> Any:
        reply = Reply(0)
        for number in range(READS):
            reply = self._call(Priority.READ, "GET", path, data)
            if reply.status == 200 and reply.body is not None:
                return reply.body
            if reply.status == 404 and absent:
                return None
            if reply.status == 401:
                raise ConfigError(
                    "Alpaca does not accept the keys (401); check that they are those of the "
                    "account you mean, paper or live, and were not renewed"
                )
            if number < READS - 1:
                self.pause(_before_next(number, reply, self.clock))
        raise BrokerUnavailable(
            f"Alpaca gave no usable answer to GET {path} in {READS} tries ({reply.words}); "
            "try again later, protective stops stand at the broker"
        )

    def _call(
        self, priority: Priority, method: Method, path: str, data: dict[str, Any] | None = None
    ) -> Reply:
        self.pace.wait(priority)
        return self.caller.call(method, path, data)


@dataclass(frozen=True, slots=True)
class _Paced:
    """A caller that keeps to the pace."""

    caller: Caller
    pace: Pace
    priority: Priority

    def call(self, method: Method, path: str, data: dict[str, Any] | None = None) -> Reply:
        self.pace.wait(self.priority)
        return self.caller.call(method, path, data)


def _before_next(tries: int, reply: Reply, clock: Callable[[], datetime]) -> float:
    """Seconds before a read is tried again: doubling from half a second, or what the venue says."""
    seconds = 0.5 * float(2**tries)
    if reply.status == 429 and reply.reset_at is not None:
        seconds = max(seconds, (reply.reset_at - clock()).total_seconds())
    return min(seconds, 60.0)


def canonical(body: dict[str, Any]) -> str:
    """Return a body as canonical JSON, for an intent."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"))
