# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaving at a time limit: the target is offered at the market's price, the stop stays meanwhile.

Alpaca lets an order's price be changed, so nothing has to be cancelled first and the position is
never bare. When that does not fill, or there is no target to re-price, all that holds the shares
is cancelled, the venue's word on it awaited, and the position left at any price.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import backtrader as bt

from iverson.execution.alpaca import sending
from iverson.execution.alpaca.protocol import Placed
from iverson.execution.alpaca.tracking import Tracked
from iverson.execution.alpaca.wire import order_body, price_text
from iverson.execution.bracket import exit_at_close
from iverson.execution.groups import Group
from iverson.execution.ticks import tick_size
from iverson.market.calendar import new_york
from iverson.market.moments import moment

Phase = Literal["scheduled", "offering", "clearing", "taking"]


@dataclass(slots=True, eq=False)
class Leaving:
    """One position that is to be left by `order`; `since` is when its phase began."""

    group: Group
    order: Any
    due: datetime | None
    phase: Phase = "scheduled"
    tries: int = 0
    since: datetime | None = None
    busy: bool = False


class Exits:
    """The positions of one broker that are being left."""

    def __init__(self, broker: Any) -> None:
        self.broker = broker
        self._leaving: dict[int, Leaving] = {}  # by the entry's ref
        self._expected: dict[int, tuple[Group, datetime]] = {}

    def schedule(self, group: Group, order: Any) -> None:
        """Take a leg that leaves by itself: at once, or before the close of the session it is in.

        A leg that comes with its entry waits for the session in which that fills.
        """
        due = None
        if order.exectype != bt.Order.Close:
            due = self.broker.p.store.clock()
        elif group.held:
            due = self._before_close(new_york().coming_session(self.broker.p.store.clock()))
        self._leaving[group.entry.ref] = Leaving(group, order, due)

    def expect(self, group: Group, entered: Any, sessions: int | None) -> None:
        """Leave a group that was taken over in its last session, even if nobody decides again.

        Under a halt that flattens, in the session in progress, or the next one.
        """
        if self.broker.flattens:
            due = self._before_close(new_york().coming_session(self.broker.p.store.clock()))
            self._expected[group.entry.ref] = (group, due)
        elif sessions is not None and entered is not None:
            last = new_york().offset(moment(entered).session, sessions)
            self._expected[group.entry.ref] = (group, self._before_close(last))

    def resume(self, group: Group, order: Any, *, offered: bool) -> None:
        """Take over an exit that an ended process has sent: offered at a limit, or at any price."""
        now = self.broker.p.store.clock()
        self._leaving[group.entry.ref] = Leaving(
            group, order, now, phase="offering" if offered else "taking", tries=int(offered),
            since=now, busy=not offered,
        )  # fmt: skip

    def under_way(self, group: Group) -> bool:
        """Whether a position is being left by now, in whatever way."""
        one = self._leaving.get(group.entry.ref)
        started = one is not None and one.phase != "scheduled" and bool(group.held)
        return started and is_open(self.broker.p.store.clock())

    def leaving(self, group: Group) -> bool:
        """Whether a position is past its protection: its shares are being freed or sold."""
        one = self._leaving.get(group.entry.ref)
        return one is not None and one.phase in ("clearing", "taking")

    def forget(self, group: Group) -> None:
        """Drop a finished group."""
        self._leaving.pop(group.entry.ref, None)

    def step(self) -> None:
        """Go on with every exit that is due."""
        now = self.broker.p.store.clock()
        for ref, (group, due) in list(self._expected.items()):
            if now >= due or not group.held:
                del self._expected[ref]
                if group.held and ref not in self._leaving:
                    exit_at_close(
                        self.broker.cerebro.runningstrats[0], group.data, group.entry,
                        size=group.held, immediate=True,
                        leg="flatten" if self.broker.flattens else "time limit",
                    )  # fmt: skip
        for one in list(self._leaving.values()):
            if not one.group.held or one.busy:
                continue
            if one.due is None:
                one.due = self._before_close(moment(one.group.entered).session)
            if now >= one.due:
                self._go_on(one, now)

    def _before_close(self, session: Any) -> datetime:
        closing: datetime = new_york().close_at(session)
        return closing - timedelta(seconds=self.broker.p.lead_seconds)

    def _go_on(self, one: Leaving, now: datetime) -> None:
        waited = timedelta(0) if one.since is None else now - one.since
        closed = not is_open(now)
        if closed and one.phase != "scheduled":
            return  # it stands for the next open, and so does the stop
        if one.phase == "offering" and waited < timedelta(seconds=self.broker.p.exit_seconds):
            return
        if one.phase in ("scheduled", "offering") and one.tries < self.broker.p.exit_tries:
            offered = self._offered(one)
            if offered is not None:
                self._offer(one, offered, now)
                return
        if not closed:
            self._clear(one, now)

    # -- offering ------------------------------------------------------------------------------

    def _offered(self, one: Leaving) -> Tracked | None:
        """Return the living limit at the venue that can be re-priced."""
        for tracked in reversed(list(self.broker.tracking.of(one.group))):
            if tracked.leg in ("target", one.order.info["leg"]) and tracked.covers:
                return None if tracked.cancel_asked or not tracked.working else tracked
        return None

    def _offer(self, one: Leaving, tracked: Tracked, now: datetime) -> None:
        broker = self.broker
        one.phase, one.tries, one.since, one.busy = "offering", one.tries + 1, now, True
        buy = one.order.isbuy()
        collar = broker.p.collar * one.tries
        price = sending.marketable(broker.last_price(one.group.data), collar, buy=buy)
        price = _beyond_stop(price, one.group.stop_price, buy=buy)
        body = {"limit_price": price_text(price, up=buy)}
        intent = self._intent(one, body, replaces=tracked.id)

        def answered(placed: Placed) -> None:
            one.busy = False
            if placed.order is None:
                if placed.ending == "rejected":
                    one.tries = broker.p.exit_tries  # it will be so again
                broker.p.store.refresh(broker, one.group)  # perhaps it has filled meanwhile
                return
            tracked.ended = True
            state = placed.order
            offer = Tracked(
                one.group, one.order, one.order.info["leg"], state.name, state.size,
                id=state.id, filled=min(state.filled, tracked.filled), working=True,
            )  # fmt: skip
            broker.tracking.add(offer)
            broker.take_state(offer, state)

        broker.send(intent, answered)

    # -- clearing and taking -------------------------------------------------------------------

    def _clear(self, one: Leaving, now: datetime) -> None:
        broker = self.broker
        holding = [
            tracked for tracked in broker.tracking.of(one.group)
            if tracked.leg != "entry" and tracked.covers
        ]  # fmt: skip
        if one.phase != "clearing":
            one.phase, one.since = "clearing", now
        elif holding and one.since is not None and now - one.since >= timedelta(seconds=10):
            one.since = now
            broker.p.store.refresh(broker, one.group)  # legs may end without a word
        for tracked in holding:
            broker.cancel_at_venue(tracked)
        if not holding:
            self._take(one, now)

    def _take(self, one: Leaving, now: datetime) -> None:
        broker = self.broker
        one.phase, one.since, one.busy = "taking", now, True
        body = order_body(
            symbol=one.group.data._name, side=sending.side_of(one.order),
            size=abs(one.group.held), kind="market", day=True, name="",
        )  # fmt: skip

        def answered(placed: Placed) -> None:
            if placed.order is None:
                one.busy, one.phase = False, "clearing"
                broker.halt("exit", f"{one.group.data._name} cannot be left: {placed.reason}")
                return
            state = placed.order
            taken = Tracked(
                one.group, one.order, one.order.info["leg"], state.name, state.size,
                id=state.id, working=True,
            )  # fmt: skip
            broker.tracking.add(taken)
            broker.take_state(taken, state)

        broker.send(self._intent(one, body), answered)

    def _intent(self, one: Leaving, body: dict[str, Any], *, replaces: str = "") -> Any:
        leg = one.order.info["leg"]
        attempt = self.broker.p.store.next_attempt(one.group.entry, leg)
        return self.broker.intent_for(one.group, leg, attempt, body, replaces=replaces)


def _beyond_stop(price: float, stop: float | None, *, buy: bool) -> float:
    """Keep an offer a tick on the winning side of the stop, as Alpaca demands of a bracket.

    The market is there too, or the stop would have been triggered: it still takes the offer.
    """
    if stop is None:
        return price
    tick = tick_size(stop)
    return min(price, stop - tick) if buy else max(price, stop + tick)


def is_open(at: datetime) -> bool:
    """Whether an instant is within regular hours."""
    calendar = new_york()
    session = calendar.session_of(at)
    return bool(calendar.open_at(session) <= at < calendar.close_at(session))
