# SPDX-License-Identifier: GPL-3.0-or-later
"""What the venue says, booked: answers to orders, updates of the stream, rows of the activities.

All of them may come late, twice, in any order, or not at all. An execution is booked once, and only
after those before it; how an order ended is booked only after its executions; nothing goes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import backtrader as bt

from iverson.execution.alpaca import sending
from iverson.execution.alpaca.exits import Exits
from iverson.execution.alpaca.protection import Protection
from iverson.execution.alpaca.states import FillRow, OrderState, Update
from iverson.execution.alpaca.tracking import NEAR, Tracked, Tracking
from iverson.execution.alpaca.wire import is_ours
from iverson.execution.bracket_broker import BracketBroker
from iverson.execution.groups import Group
from iverson.market.moments import moment, number_of
from iverson.model import Execution, OrderSide

_FILLS = ("fill", "partial_fill")
_TAKEN_BACK = ("trade_bust", "trade_correct")
_ENDINGS = {"canceled": bt.Order.Canceled, "expired": bt.Order.Expired}


class HearingBroker(BracketBroker):
    """Books what the venue says; a heir says what is sent to it."""

    exits: Exits
    protection: Protection

    def init(self) -> None:
        """Start over with empty books."""
        super().init()
        self.tracking = Tracking()
        self._parked: list[Update] = []

    def is_over(self, entry: Any) -> bool:
        """Whether no regular hours are left for an entry; a plain one too, as stamps are known."""
        return self._is_over(entry)

    def halt(self, rule: str, reason: str) -> None:
        """Refuse new entries until a person has looked."""
        raise NotImplementedError

    def accepted(self, group: Group, state: OrderState) -> None:
        """Learn the ids of a bracket that the venue has taken."""
        entry = self.tracking.carrying(group.entry)
        assert entry is not None
        self.tracking.identify(entry, state.id)
        self.learn_legs(group, state.legs, working=False)
        for order in group.orders:
            if order.status < bt.Order.Accepted:
                order.accept(self)
                self.notify(order)
        if entry.cancel_asked:
            self.p.store.cancel(self, entry)
        self.take_state(entry, state)

    def learn_legs(self, group: Group, legs: Iterable[OrderState], *, working: bool) -> None:
        """Track the legs that the venue shows, each by its kind."""
        for leg in legs:
            order = (sending.stop_of if leg.leg == "stop" else sending.target_of)(group)
            if order is not None and self.tracking.find(leg.id) is None:
                size = abs(group.entry.created.size) if not working else abs(group.held)
                found = Tracked(group, order, leg.leg, leg.name, size, id=leg.id, working=working)
                found.expires = leg.expires_at
                self.tracking.add(found)

    def introduce(self, group: Group, state: OrderState) -> None:
        """Learn an order of a group that the venue shows and nobody has named yet."""
        tracked = self.tracking.find(state.id, state.name)
        if tracked is None:
            before = self.tracking.find(state.replaces) if state.replaces else None
            if before is not None and not before.ended:
                self.tracking.identify(before, state.id)
        elif not tracked.id:
            self.accepted(group, state)

    def take_update(self, update: Update) -> None:
        """Book one message of the stream."""
        tracked = self.tracking.find(update.order.id, update.order.name)
        if tracked is None:
            if is_ours(update.order.name) or update.order.symbol in self.cerebro.datasbyname:
                self._parked.append(update)  # it may overtake the answer to its own order
            return
        if update.event in _TAKEN_BACK:
            self.halt(
                "trade break",
                f"{update.order.symbol}: the venue says {update.event} of order {update.order.id}; "
                "an execution is not what it was, look at the account",
            )
        if update.event in _FILLS and update.at is not None:
            self.executed(tracked, update.size, update.price, update.order.filled, update.at)
        self.take_state(tracked, update.order)

    def _unpark(self) -> None:
        parked, self._parked = self._parked, []
        for update in parked:
            self.take_update(update)

    def take_rows(self, rows: Iterable[FillRow]) -> None:
        """Book the executions of the account's activities that are not booked yet."""
        for row in sorted(rows, key=lambda row: (row.at, row.order_id, row.cumulative)):
            tracked = self.tracking.find(row.order_id)
            if tracked is not None:
                self.executed(tracked, row.size, row.price, row.cumulative, row.at)

    def executed(
        self, tracked: Tracked, size: float, price: float, cumulative: float, at: datetime
    ) -> None:
        """Book one execution, once; one that leaves a gap before it asks for the missing ones."""
        if cumulative <= tracked.filled + NEAR:
            return
        if cumulative - size > tracked.filled + NEAR or size != int(size):
            self.p.store.refresh(self, tracked.group)
            return
        tracked.filled = cumulative
        self._now = number_of(at)
        when = moment(self._now)
        side: OrderSide = sending.side_of(tracked.order)
        fee = self.p.store.costs.commission(side, int(size), price)
        self.p.store.note(
            Execution(
                at, when.session, f"{tracked.id}:{cumulative:g}", tracked.id,
                tracked.group.entry.info["key"], tracked.order.data._name,
                side, tracked.leg, size, price,
            )
        )  # fmt: skip
        self.book(tracked.group, tracked.order, price, int(size), fee=fee, spread=0.0)

    def take_state(self, tracked: Tracked, state: OrderState) -> None:
        """Follow what the venue says of an order; never backwards."""
        if state.filled > tracked.filled + NEAR:
            self.p.store.refresh(self, tracked.group)  # executions first, then how it ended
            return
        tracked.expires = state.expires_at or tracked.expires
        meaning = state.meaning
        if state.legs:
            self.learn_legs(tracked.group, state.legs, working=meaning == "filled")
        if meaning == "unknown":
            self.halt("unknown status", f"{state.symbol}: order {state.id} is {state.status!r}")
        elif meaning == "replaced":
            # A target may be "replaced" by the stop that was triggered: that one is known already.
            if state.replaced_by and self.tracking.find(state.replaced_by) is None:
                self.tracking.identify(tracked, state.replaced_by)
                self.p.store.refresh(self, tracked.group)
            elif tracked.id == state.id:
                tracked.ended = True
        elif meaning in ("working", "partial"):
            tracked.working = True
            tracked.size = state.size if state.size > 0 else tracked.size
        elif meaning == "filled":
            tracked.ended = True
        elif meaning in ("canceled", "expired", "rejected") and not tracked.ended:
            tracked.ended = True
            self._ended(tracked, meaning)

    def _ended(self, tracked: Tracked, meaning: str) -> None:
        group, order = tracked.group, tracked.order
        if order is not group.entry:
            # The protection or the exit that wanted it gone goes on from here; a leg that
            # somebody else ended is missed by the protection.
            wanted = self.exits.leaving(group) or self.protection.clearing(group)
            if tracked.cancel_asked and order.alive() and not wanted:
                self._end_canceled(group, order)
            return
        if not order.alive():
            return
        overdue = order.valid and order.valid <= number_of(self.p.store.clock())
        overdue = overdue or self.is_over(order)
        self._end(order, bt.Order.Expired if overdue else _ENDINGS.get(meaning, bt.Order.Rejected))
        self._ococheck(order)
        for one in self.tracking.of(group):
            one.ended = one.ended or one.leg != "entry"  # legs that never became active end too
        if group.held == 0:
            self._cancel_legs(group)
        self.drop_finished(group)

    def refuse(self, group: Group, status: int, reason: str) -> None:
        """End a group that the venue, or we for it, would not take."""
        for order in group.orders:
            order.addinfo(refused=reason)
            if order.alive():
                self._end(order, status)
        self.tell(f"{group.data._name}: {reason}")
        self.groups.pop(group.entry.ref, None)
        self.tracking.forget(group)
