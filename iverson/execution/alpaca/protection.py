# SPDX-License-Identifier: GPL-3.0-or-later
"""Every filled share has a stop at the venue: seen to at each step, repaired when it has not.

Alpaca's legs sleep until their entry is completely filled and die with it. So shares of an entry
that filled in part are bare until the rest is withdrawn and they get an order of their own; so are
shares whose leg somebody cancelled. Before a repair nothing of ours may still hold the shares.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from iverson.execution.alpaca import sending
from iverson.execution.alpaca.exits import is_open
from iverson.execution.alpaca.protocol import Placed
from iverson.execution.alpaca.tracking import NEAR, Tracked
from iverson.execution.alpaca.wire import order_body, protection_body
from iverson.execution.groups import Group

RENEWED = timedelta(days=5)  # before its end, a long weekend and more


class Protection:
    """Watches over the groups of one broker."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self._bare_since: dict[int, datetime] = {}  # by the entry's ref
        self._busy: set[int] = set()
        self._clearing: set[int] = set()  # whose old orders are on their way out

    def step(self) -> None:
        """Look at every position; act where it is not covered."""
        broker = self.broker
        now = broker.p.store.clock()
        for group in list(broker.groups.values()):
            ref = group.entry.ref
            if not group.held or not group.legs or ref in self._busy:
                continue
            if self.is_covered(group) or broker.exits.leaving(group):
                self._bare_since.pop(ref, None)
                self._clearing.discard(ref)
                continue
            since = self._bare_since.setdefault(ref, now)
            if group.waiting:
                if now - since >= timedelta(seconds=broker.p.protect_seconds):
                    tracked = broker.tracking.carrying(group.entry)
                    if tracked is not None:
                        broker.cancel_at_venue(tracked)
                continue
            self._protect(group)

    def is_covered(self, group: Group) -> bool:
        """Whether stops at the venue cover every share that is held, and for some days to come.

        Alpaca ends every order after some 90 days. One that ends soon is made anew while the
        market is open: after hours a cancel may take until the next open.
        """
        now = self.broker.p.store.clock()
        until = now + RENEWED if is_open(now) else now
        covered = sum(
            one.covers
            for one in self.broker.tracking.of(group)
            if one.leg == "stop" and not (group.waiting and not one.working)
            if one.expires is None or one.expires > until
        )
        return bool(covered >= abs(group.held) - NEAR)

    def clearing(self, group: Group) -> bool:
        """Whether orders of a group are being cancelled only to be made anew."""
        return group.entry.ref in self._clearing

    def _protect(self, group: Group) -> None:
        broker, ref = self.broker, group.entry.ref
        stop, target = sending.stop_of(group), sending.target_of(group)
        if stop is None:
            return  # its strategy has taken the stop away itself
        held = [
            one for one in broker.tracking.of(group) if one.leg in ("stop", "target") and one.covers
        ]
        if held:  # they hold the shares that the new order needs
            self._clearing.add(ref)
            for one in held:
                broker.cancel_at_venue(one)
            return
        attempt = broker.p.store.next_attempt(group.entry, "stop")
        body = protection_body(
            symbol=group.data._name,
            size=abs(group.held),
            side=sending.side_of(stop),
            stop=stop.created.price,
            target=None if target is None else target.created.price,
            name="",
        )
        intent = broker.intent_for(group, "stop", attempt, body)
        self._busy.add(ref)
        broker.send(intent, lambda placed: self._protected(group, placed))

    def _protected(self, group: Group, placed: Placed) -> None:
        broker = self.broker
        self._busy.discard(group.entry.ref)
        if placed.order is not None:
            state = placed.order
            broker.learn_legs(group, (state, *state.legs), working=True)
            broker.p.store.told(f"{group.data._name}: {abs(group.held)} shares protected again")
            return
        if placed.ending == "abandoned":
            return  # asked for again at the next step, under the next name
        if placed.ending == "gone":
            self._busy.add(group.entry.ref)  # a stop on shares that are gone would open a short
            broker.halt("out of sync", f"{group.data._name}: {placed.reason}")
            return
        broker.p.store.alarm(
            "unprotected",
            f"{group.data._name}: the stop was refused ({placed.reason}); leaving at the market",
        )
        self.leave_now(group)

    def leave_now(self, group: Group) -> None:
        """Leave at any price: what could not be protected is not kept."""
        broker, ref = self.broker, group.entry.ref
        stop = sending.stop_of(group)
        if stop is None or not group.held:
            return
        attempt = broker.p.store.next_attempt(group.entry, "flatten")
        body = order_body(
            symbol=group.data._name, side=sending.side_of(stop), size=abs(group.held),
            kind="market", day=True, name="",
        )  # fmt: skip
        intent = broker.intent_for(group, "flatten", attempt, body)
        self._busy.add(ref)

        def answered(placed: Placed) -> None:
            self._busy.discard(ref)
            if placed.order is None:
                broker.halt("unprotected", f"{group.data._name} cannot be left: {placed.reason}")
                return
            tracked = Tracked(
                group, stop, "stop", placed.order.name, abs(group.held),
                id=placed.order.id, working=True,
            )  # fmt: skip
            broker.tracking.add(tracked)
            broker.take_state(tracked, placed.order)

        broker.send(intent, answered)
