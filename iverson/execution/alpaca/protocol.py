# SPDX-License-Identifier: GPL-3.0-or-later
"""The order protocol: at most one order per decision, whatever the network says.

A re-pricing goes the same way: Alpaca makes a new order of it, with a name of its own.

    DECIDED -> intent on the disk -> POST -> accepted | rejected | abandoned
                                       `-> doubt -> look at the venue by name -> accepted
                                                                             `-> not there -> POST

The intent is durable before the first POST, its name follows from the decision, and Alpaca keeps
names for ever: a repeated POST of the same name cannot make a second order. After the intent's
last instant nothing is sent any more: an old decision is not carried out late.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from iverson.execution.alpaca.outcomes import Reply, lacks_money, outcome_of_order
from iverson.execution.alpaca.rest import Method
from iverson.execution.alpaca.states import OrderState, order_state
from iverson.model import Intent

LOOKS = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds before each look: read after write may lag
MOST_POSTS = 5
LIMITED_SECONDS = 3.0  # when the venue does not say how long

Ending = Literal["accepted", "rejected", "margin", "abandoned", "keys", "gone"]


class Caller(Protocol):
    """Makes one call and always answers."""

    def call(self, method: Method, path: str, data: dict[str, object] | None = None) -> Reply:
        """Return the reply; status 0 when there was none."""
        ...


@dataclass(frozen=True, slots=True)
class Placed:
    """How an intent ended. `order` is there when it was accepted; `posts` counts what was sent.

    Abandoned: nothing is known to be at the venue and nothing more will be sent; the name has to be
    watched until the day is over. Gone: not sent, because there is nothing that it could leave.
    """

    ending: Ending
    reason: str
    posts: int
    order: OrderState | None = None


@dataclass(frozen=True, slots=True)
class Placing:
    """How one intent is placed: the caller, what the time is, and how to wait (seconds)."""

    caller: Caller
    clock: Callable[[], datetime]
    pause: Callable[[float], None]

    def place(self, intent: Intent, *, seen_before: bool = False) -> Placed:
        """Bring an intent, already on the disk, to an end.

        `seen_before`: it may have been sent by an earlier process, so the venue is asked first.
        """
        if seen_before:
            found = self.look(intent.name)
            if found is not None:
                return found if isinstance(found, Placed) else _accepted(found, 0)
        posts, reason = 0, "its time was over"
        while posts < MOST_POSTS and self._in_time(intent):
            reply = self._send(intent)
            posts += 1
            reason = reply.words
            outcome = outcome_of_order(reply, intent.name, replaces=bool(intent.replaces))
            if outcome == "accepted":
                return _accepted(order_state(reply.body), posts)
            if outcome == "rejected":
                return Placed("margin" if lacks_money(reply) else "rejected", reason, posts)
            if outcome == "keys":
                return Placed("keys", reason, posts)
            if outcome == "limited":
                self._wait(reply, intent)
                continue
            found = self.look(intent.name)
            if isinstance(found, Placed):
                return Placed(found.ending, found.reason, posts)
            if found is not None:
                return _accepted(found, posts)
            if outcome == "look":
                # Never sent before, so its name was free: it is refused for something else. Else
                # the venue may know a name that it does not show yet.
                fresh = posts == 1 and not seen_before
                return Placed("rejected" if fresh else "abandoned", reason, posts)
        return Placed("abandoned", reason, posts)

    def look(self, name: str) -> OrderState | Placed | None:
        """Look for an order by its client id, patiently; None when the venue has none.

        A venue that never answers is not one that has none: that is `Placed("abandoned")`.
        """
        answered = False
        for seconds in LOOKS:
            self.pause(seconds)
            reply = self.caller.call("GET", "/orders:by_client_order_id", {"client_order_id": name})
            if reply.status == 200 and isinstance(reply.body, dict) and reply.body.get("id"):
                return order_state(reply.body)
            if reply.status == 401:
                return Placed("keys", reply.words, 0)
            answered = answered or reply.status == 404
        return None if answered else Placed("abandoned", "the venue does not answer", 0)

    def _send(self, intent: Intent) -> Reply:
        body = json.loads(intent.body)
        if intent.replaces:
            return self.caller.call("PATCH", f"/orders/{intent.replaces}", body)
        return self.caller.call("POST", "/orders", body)

    def _in_time(self, intent: Intent) -> bool:
        return intent.valid_until is None or self.clock() <= intent.valid_until

    def _wait(self, reply: Reply, intent: Intent) -> None:
        seconds = LIMITED_SECONDS
        if reply.reset_at is not None:
            seconds = max(0.0, (reply.reset_at - self.clock()).total_seconds())
        if intent.valid_until is not None:
            left = (intent.valid_until - self.clock()).total_seconds()
            seconds = min(seconds, max(0.0, left) + 0.001)
        self.pause(seconds)


def _accepted(order: OrderState, posts: int) -> Placed:
    return Placed("accepted", "", posts, order)
