# SPDX-License-Identifier: GPL-3.0-or-later
"""Backtrader's broker for one Alpaca account.

The strategy's thread decides and keeps the books; a worker talks to the venue; what the venue says
arrives as answers and updates and is booked here, in `next`, in the order in which it happened.
Nothing is booked that the venue has not said, nothing twice, and no order leaves before its intent
is on the disk.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import backtrader as bt

from iverson.errors import ConfigError, Refused
from iverson.execution.alpaca import adoption, sending, terms
from iverson.execution.alpaca.exits import Exits
from iverson.execution.alpaca.hearing import HearingBroker
from iverson.execution.alpaca.protection import Protection
from iverson.execution.alpaca.protocol import Placed
from iverson.execution.alpaca.states import Holding
from iverson.execution.alpaca.tracking import Tracked
from iverson.execution.alpaca.venue import canonical
from iverson.execution.decisions import OpenGroup
from iverson.execution.groups import Group
from iverson.market.moments import moment, number_of
from iverson.model import Answer, Intent, Leg

LINGER_STEP = 1.0  # seconds between two looks


class AlpacaBroker(HearingBroker):
    """Sends brackets to Alpaca and books what becomes of them.

    Parameters
    ----------
    store: the `AlpacaStore` that talks to the account.
    protect_seconds: how long filled shares may wait for the rest of their entry before the rest is
        withdrawn and they get a stop of their own.
    lead_seconds: how long before a session's close a time limit begins to leave.
    exit_tries, exit_seconds, collar: a time limit offers up to `collar` (a fraction) worse than the
        last price, `exit_tries` times, `exit_seconds` each; then it takes any price.
    linger_seconds: how long, at its end, a run goes on with cancels, protection and exits that are
        under way; for a wake, after which nobody would.
    limit_away: how far an entry's limit may be from the last price, as a fraction (None: any).
    """

    params = (
        ("store", None),
        ("protect_seconds", 5.0),
        ("lead_seconds", 300.0),
        ("exit_tries", 3),
        ("exit_seconds", 20.0),
        ("collar", 0.01),
        ("linger_seconds", 0.0),
        ("limit_away", None),
    )

    def init(self) -> None:
        """Start over with empty books."""
        super().init()
        self.protection = Protection(self)
        self.exits = Exits(self)
        self.foreign: tuple[Holding, ...] = ()
        self.adopting: list[OpenGroup] = []
        self.adopted_at: float | None = None
        self._marks: dict[str, float] = {}
        self._plain = 0
        self._halted_for = ""  # without a desk nobody else refuses entries

    # -- the run -------------------------------------------------------------------------------

    def start(self) -> None:
        """Take over the account as it stands: cash, positions, orders of ours still working."""
        super().start()
        store = self.p.store
        if store is None:
            raise ConfigError("AlpacaBroker needs a store: AlpacaStore(...).getbroker()")
        opening = store.opening(self.halt)
        self.startingcash = self.cash = self._value = opening.account.cash
        self.foreign = opening.foreign
        self.adopting = list(opening.groups)
        self._marks = opening.marks

    def next(self) -> None:
        """Book what the venue has said since the last time, then see to what is due."""
        store = self.p.store
        self._now = number_of(store.clock())
        if self.desk is not None:
            self.desk.listen()
        if adoption.adopt_ready(self) and self.desk is not None and self._halted():
            self.desk.withdraw_entries()
        store.worker.drain()
        for update in store.updates():
            self.take_update(update)
        self._expire_entries()
        self.exits.step()
        self.protection.step()
        store.poll(self)
        store.worker.drain()  # what was asked just now may have been answered at once
        self._get_value()

    def stop(self) -> None:
        """Book what is still on its way; protective stops stay at the venue."""
        store = self.p.store
        until = store.clock() + timedelta(seconds=self.p.linger_seconds)
        while store.clock() < until and ((busy := self._under_way()) or store.sweeps):
            store.pause(LINGER_STEP)
            for group in busy:
                store.refresh(self, group)
            self.next()
        store.settle(self)
        super().stop()

    def halt(self, rule: str, reason: str) -> None:
        """Refuse new entries until a person has looked; exits and stops go on."""
        self.p.store.alarm(rule, reason)
        self._halted_for = self._halted_for or reason
        if self.desk is not None:
            self.desk.halt(rule, reason, at=self.p.store.clock())

    @property
    def flattens(self) -> bool:
        """Whether a halt in force asks that positions be left."""
        at = self.p.store.clock()
        return self.desk is not None and any(halt.flatten for halt in self.desk.standing(at))

    def _halted(self) -> bool:
        return self.desk is not None and bool(self.desk.standing(self.p.store.clock()))

    def _under_way(self) -> list[Group]:
        """Return the groups with something asked for, or due, that the venue has not done yet."""
        return [
            group
            for group in self.groups.values()
            if self.exits.under_way(group)
            or (group.held and group.legs and not self.protection.is_covered(group))
            or any(one.cancel_asked and not one.ended for one in self.tracking.of(group))
        ]

    def last_price(self, data: Any) -> float:
        """Return the newest price known of a symbol: of the run's bars, or of a start since."""
        begun = self.adopted_at
        if begun is not None and data.datetime[0] < begun and data._name in self._marks:
            return self._marks[data._name]
        return self.mark(data)

    # -- orders out ----------------------------------------------------------------------------

    def _meet_terms(self, group: Group) -> str | None:
        symbol, size = group.data._name, group.entry.created.size
        held, account = self.positions[group.data].size, self.p.store.account
        if held * size >= 0:
            theirs = sum(one.size for one in self.foreign if one.symbol == symbol)
            if theirs * size < 0:
                return (
                    f"{symbol}: the account holds {theirs:g} shares that are not this run's, and "
                    "the order would trade those; leave them first"
                )
            if size < 0 and account is not None and not account.shorting:
                return f"{symbol}: the account may not sell short; see its settings at Alpaca"
        return terms.meet(self, group)

    def tell(self, words: str) -> None:
        """Keep what is worth knowing."""
        self.p.store.told(words)

    def _placed(self, group: Group) -> None:
        entry = group.entry
        self._name_key(entry)
        name = self.p.store.name(entry, self._decided_of(entry), "entry", 1)
        if self.desk is None and self._halted_for and not group.reduces:
            self.refuse(group, bt.Order.Rejected, f"halted: {self._halted_for}")
            return
        if not group.reduces and (blind := self.p.store.polling.blind):
            self.refuse(group, bt.Order.Rejected, blind)
            return
        body = sending.body_of(group, name)
        for order in group.legs:
            if order.exectype == bt.Order.Close:
                self.exits.schedule(group, order)
        self.tracking.add(Tracked(group, entry, "entry", name, abs(entry.created.size)))
        until = bt.num2date(entry.valid).replace(tzinfo=UTC) if entry.valid else None
        intent = replace(self.intent_for(group, "entry", 1, body), valid_until=until)
        try:
            fresh = self.p.store.intend(intent, opens=not group.reduces)
        except Refused as refused:  # halted a moment ago, by somebody else
            self.refuse(group, bt.Order.Rejected, str(refused))
            return
        if not fresh:
            self._forget(group)  # an ended process has sent it: what became of it was taken over
            return
        self._place(intent, lambda placed: self._answered(group, placed), leaves=group.reduces)

    def _forget(self, group: Group) -> None:
        self.groups.pop(group.entry.ref, None)
        self.tracking.forget(group)
        for order in group.orders:
            order.status = bt.Order.Canceled  # for a strategy that looks; nothing has happened

    def _joined(self, group: Group, order: Any) -> None:
        order.accept(self)
        self.notify(order)
        self.exits.schedule(group, order)

    def _withdraw(self, group: Group, order: Any) -> None:
        tracked = self.tracking.carrying(order)
        if tracked is None or tracked.ended:
            self._end_canceled(group, order)
            return
        self.cancel_at_venue(tracked)

    def cancel_at_venue(self, tracked: Tracked) -> None:
        """Ask for a cancel, once; the venue's word ends the order, not ours."""
        if tracked.cancel_asked:
            return
        tracked.cancel_asked = True
        if tracked.id:
            self.p.store.cancel(self, tracked)

    def send(self, intent: Intent, then: Any) -> None:
        """Write an intent down, then have it placed; `then` gets how it ended."""
        if not self.p.store.intend(intent):
            then(Placed("rejected", "this decision was sent before", 0))
            return
        self._place(intent, then)

    def _place(self, intent: Intent, then: Any, *, leaves: bool = False) -> None:
        def answered(placed: Placed) -> None:
            self._note_answer(intent, placed)
            then(placed)
            self._unpark()

        self.p.store.place(intent, answered, leaves=leaves)

    def _note_answer(self, intent: Intent, placed: Placed) -> None:
        when = moment(self._now)
        order_id = placed.order.id if placed.order else ""
        self.p.store.note(
            Answer(
                when.at, when.session, intent.name, intent.symbol,
                placed.ending, placed.reason, order_id, placed.posts,
            )
        )  # fmt: skip
        if placed.ending == "keys":
            self.halt("keys", f"Alpaca does not accept the keys: {placed.reason}")
        if placed.ending == "abandoned" and placed.posts and intent.leg == "entry":
            self.halt(
                "doubt", f"{intent.symbol}: an order may or may not be there: {placed.reason}"
            )

    def intent_for(
        self, group: Group, leg: Leg, attempt: int, body: dict[str, Any], *, replaces: str = ""
    ) -> Intent:
        """Return the intent of an exit or a protection; its name is put into the body."""
        at = self._decided_of(group.entry)
        name = self.p.store.name(group.entry, at, leg, attempt)
        return Intent(
            at=at,
            session=moment(number_of(at)).session,
            name=name,
            key=group.entry.info["key"],
            symbol=group.data._name,
            leg=leg,
            attempt=attempt,
            body=canonical({**body, "client_order_id": name}),
            replaces=replaces,
        )

    def _name_key(self, entry: Any) -> None:
        if "key" not in entry.info:
            self._plain += 1
            at = self._decided_of(entry)
            entry.addinfo(key=f"{entry.data._name}-{at:%Y%m%dT%H%M%S}-plain-{self._plain}")

    def decided(self, group: Group) -> datetime:
        """Return the instant of the bar on which a group was decided."""
        return self._decided_of(group.entry)

    def _decided_of(self, entry: Any) -> datetime:
        """Return the instant of the bar on which an entry was decided."""
        verdict = entry.info.get("verdict")
        if verdict is not None:
            at: datetime = verdict.signal.at
            return at
        return moment(entry.created.dt or self._now).at

    def _answered(self, group: Group, placed: Placed) -> None:
        if placed.order is not None:
            self.accepted(group, placed.order)
        elif placed.ending in ("rejected", "margin"):
            status = bt.Order.Margin if placed.ending == "margin" else bt.Order.Rejected
            self.refuse(group, status, placed.reason)
        elif placed.ending == "gone":
            self.refuse(group, bt.Order.Rejected, placed.reason)
            self.halt("out of sync", f"{group.data._name}: {placed.reason}")
        elif placed.ending == "abandoned" and not placed.posts:
            self.refuse(group, bt.Order.Expired, placed.reason)

    # -- the group's own rules, where the venue has a say ----------------------------------------

    def _end_rest(self, group: Group) -> None:
        """Withdraw what has not been entered: the trade is being left."""
        entry = self.tracking.carrying(group.entry)
        if group.waiting and entry is not None:
            self.cancel_at_venue(entry)

    def drop_finished(self, group: Group) -> None:
        """Forget a finished group, and make sure that nothing of it still works at the venue."""
        if not group.finished or group.entry.ref not in self.groups:
            return
        super().drop_finished(group)
        self.exits.forget(group)
        for tracked in list(self.tracking.of(group)):
            if tracked.id and not tracked.ended:
                self.p.store.sweep(self, tracked)
        self.tracking.forget(group)

    def _expire_entries(self) -> None:
        for group in list(self.groups.values()):
            entry = group.entry
            overdue = entry.valid and entry.valid < self._now
            if group.waiting and (overdue or self.is_over(entry)):
                tracked = self.tracking.carrying(entry)
                if tracked is not None:
                    self.cancel_at_venue(tracked)

    def _get_value(self, datas: Any = None, lever: bool = False) -> float:
        value = super()._get_value(datas, lever)
        if datas is None and self.foreign:
            value += sum(one.size * one.mark for one in self.foreign)
            self._value = self._valuelever = value
            self._fundval = value / self._fundshares
        return value
