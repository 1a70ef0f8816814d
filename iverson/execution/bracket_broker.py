# SPDX-License-Identifier: GPL-3.0-or-later
"""Brackets in a Backtrader broker, whoever fills them: batches, groups, legs sized to what is held.

What a simulated broker and a real one share, so that a bracket lives by the same rules in every
stage. A heir says what happens when a batch has come in (`_placed`), when a leg joins a standing
position (`_joined`), when an order is to be cancelled (`_withdraw`), and books each fill by `book`.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt

from iverson.execution import carry
from iverson.execution.admission import Desk, name_legs, refusal
from iverson.execution.groups import Carried, Group
from iverson.execution.marks import MarkedBroker
from iverson.execution.orders import is_faulty, prepare
from iverson.market.calendar import new_york
from iverson.market.moments import moment, number_of

INSTANT = 1e-9  # days: far below a millisecond, far above what date arithmetic loses


class BracketBroker(MarkedBroker):
    """The bookkeeping of orders in groups; nothing in it fills an order."""

    def init(self) -> None:
        """Start over with empty books; called by Backtrader before a run."""
        super().init()
        self.desk: Desk | None = getattr(self, "desk", None)
        self.carried_from: float = getattr(self, "carried_from", float("-inf"))
        self._held_back: dict[int, list[Any]] = {}
        self._seen: dict[Any, int] = {}
        self._factor_before: dict[Any, float] = {}  # of adopted positions, before the first bar
        self._now = float("-inf")

    # -- what a heir decides -------------------------------------------------------------------

    def _placed(self, group: Group) -> None:
        """Take a new group, its orders submitted and let in."""
        raise NotImplementedError

    def _joined(self, group: Group, order: Any) -> None:
        """Take a leg that was added to a standing group."""
        raise NotImplementedError

    def _withdraw(self, group: Group, order: Any) -> None:
        """Cancel a living order of a group."""
        raise NotImplementedError

    def _meet_terms(self, group: Group) -> str | None:  # noqa: ARG002 (heirs)
        """Fit a new group to the venue's terms; return the sentence that refuses it."""
        return None

    def tell(self, words: str) -> None:
        """Take what is worth knowing about an order, in a sentence."""

    # -- orders in -----------------------------------------------------------------------------

    def submit(self, order: Any, check: bool = True) -> Any:  # noqa: ARG002 (Backtrader's name)
        """Hold an order back until its batch is complete (`transmit`), then take the batch."""
        root = order.parent.ref if order.parent is not None else order.ref
        if order.parent is not None and root not in self._held_back:
            return self._join(order, root)
        self._held_back.setdefault(root, []).append(order)
        if order.transmit:
            self._take(self._held_back.pop(root))
        return order

    def _take(self, batch: list[Any]) -> None:
        entry, *legs = batch
        group = Group(entry, legs)
        self._now = self._clock()
        for order in batch:
            self._enrol(order)
        if legs:
            name_legs(group)
        status = refusal(self, group)
        if status is None and (words := self._meet_terms(group)):
            self.tell(words)
            status = bt.Order.Rejected
            for order in batch:
                order.addinfo(refused=words)
        if status is None and self.is_over(entry):
            status = bt.Order.Expired
        if status is not None:
            for order in batch:
                self._end(order, status)
            return
        self.groups[entry.ref] = group
        self._seen[entry.data] = len(entry.data)  # never matched against the bar that made it
        self._placed(group)

    def _join(self, order: Any, root: int) -> Any:
        """Add a leg to a standing group: the time limit of a position."""
        group = self.groups.get(root)
        self._now = self._clock()
        self._enrol(order)
        if group is None or group.held == 0 or is_faulty(order):
            self._end(order, bt.Order.Rejected)
            return order
        group.legs.append(order)
        order.activate()
        group.fit_legs()
        self._joined(group, order)
        return order

    def _enrol(self, order: Any) -> None:
        order.submit(self)
        self.orders.append(order)
        self.notify(order)
        prepare(order, mark=self.mark(order.data), now=self._now)

    def cancel(self, order: Any, bracket: bool = False) -> bool:  # noqa: ARG002 (Backtrader's name)
        """Cancel an order; of a bracket's leg its siblings too, of an unfilled entry its legs.

        Without its legs an entry would fill unprotected, so a cancelled leg ends that as well.
        Takes the order or the copy of it that a notification brought.
        """
        group = self.groups.get(order.parent.ref if order.parent is not None else order.ref)
        own = next((one for one in group.orders if one.ref == order.ref), None) if group else None
        if group is None or own is None or not own.alive():
            return False
        self._withdraw(group, own)
        return True

    def _end_canceled(self, group: Group, order: Any) -> None:
        """Book that an order is cancelled, and what that means for the rest of its group."""
        self._end(order, bt.Order.Canceled)
        self._ococheck(order)
        if order is not group.entry:
            self._end_rest(group)
        if order is not group.entry or group.held == 0:
            self._cancel_legs(group)
        self.drop_finished(group)

    def get_orders_open(self, safe: bool = False) -> list[Any]:
        """Return the living orders, clones when `safe`."""
        orders = [o for g in self.groups.values() for o in g.orders if o.alive()]
        return [order.clone() for order in orders] if safe else orders

    def _ococheck(self, order: Any) -> None:
        """Cancel the others of an order's one-cancels-other set."""
        leader = self._ocos.get(order.ref)
        for ref in self._ocol.pop(leader, ()):
            group = self.groups.get(ref)
            if ref != order.ref and group is not None and group.waiting:
                self.cancel(group.entry)

    def _end(self, order: Any, status: int) -> None:
        order.status = status
        order.executed.dt = self._now
        self.notify(order)

    def _end_rest(self, group: Group) -> None:
        """Cancel what has not been entered: the trade is being left."""
        if group.waiting:
            self._end(group.entry, bt.Order.Canceled)

    def _cancel_legs(self, group: Group) -> None:
        for leg in group.legs:
            if leg.alive():
                self._end(leg, bt.Order.Canceled)

    def drop_finished(self, group: Group) -> None:
        """Forget a group that holds nothing and waits for nothing, its legs cancelled."""
        if group.finished:
            self._cancel_legs(group)
            self.groups.pop(group.entry.ref, None)

    def is_over(self, entry: Any) -> bool:
        """Whether no regular hours are left in which an entry of the desk's could fill.

        Decided on a session's last bar for some minutes, say: it would meet the next open. Entries
        of daily bars last for sessions.
        """
        return self.desk is not None and self._is_over(entry)

    def _is_over(self, entry: Any) -> bool:
        if not entry.valid or entry.data._timeframe >= bt.TimeFrame.Days:
            return False
        calendar, at = new_york(), moment(self._now).at
        session = calendar.session_of(at)
        is_open = calendar.open_at(session) <= at < calendar.close_at(session)
        trades = self._now if is_open else number_of(calendar.next_open(at))
        return bool(entry.valid <= trades + INSTANT)

    def _clock(self) -> float:
        return max((d.datetime[0] for d in self.cerebro.datas if len(d)), default=float("-inf"))

    # -- fills ---------------------------------------------------------------------------------

    def book(
        self, group: Group, order: Any, paid: float, size: int, *, fee: float, spread: float,
        ambiguous: bool = False,
    ) -> None:  # fmt: skip
        """Book that `size` shares of an order were executed at `paid` dollars, `fee` in all.

        `spread`: the dollars a share given away, for the recorder.
        """
        data, signed = order.data, size if order.isbuy() else -size
        position = self.positions[data]
        entry_price = position.price
        _, _, opened, closed = position.update(signed, paid)
        self.cash -= signed * paid + fee
        closed_fee = fee * abs(closed) / size
        order.info.setdefault("marks", []).append((spread, ambiguous))
        order.addcomminfo(self.getcommissioninfo(data))
        order.execute(
            self._now, signed, paid,
            closed, -closed * entry_price, closed_fee,
            opened, opened * paid, fee - closed_fee,
            0.0, -closed * (paid - entry_price),
            position.size, position.price,
        )  # fmt: skip
        self._settle(group, order, signed, opened)
        if closed:
            self.drop_orphans(data)

    def _settle(self, group: Group, order: Any, signed: int, opened: int) -> None:
        """Bring a group in line with a fill: legs sized, siblings or the entry's rest cancelled."""
        if order is not group.entry:
            group.held += signed
            self.notify(order)
            self._end_rest(group)
        else:
            if group.legs and opened:
                group.held += opened
                if group.entered is None:
                    group.entered = self._now
                for leg in group.legs:
                    leg.activate()
            self.notify(order)
            if opened != signed:
                self._yield_to(order.data)
        group.fit_legs()
        self._ococheck(order)
        self.drop_finished(group)

    def _yield_to(self, data: Any) -> None:
        """Cut brackets back to a position that another order has reduced, the oldest first."""
        left = self.positions[data].size
        for group in [g for g in reversed(self.groups.values()) if g.data is data and g.held]:
            kept = min(abs(group.held), abs(left)) if group.held * left > 0 else 0
            group.held = kept if left > 0 else -kept
            left -= group.held
            if not group.held:
                self._end_rest(group)
            group.fit_legs()
            self.drop_finished(group)

    def reducible(self, order: Any) -> int:
        """Return how many shares an order could fill before it opens the other side."""
        held = self.positions[order.data].size
        return abs(held) if held * order.created.size < 0 else 0

    def drop_orphans(self, data: Any) -> None:
        """Cancel the exits whose position is gone."""
        for group in list(self.groups.values()):
            if group.reduces and group.data is data and not self.reducible(group.entry):
                self.cancel(group.entry)

    # -- from one run to the next --------------------------------------------------------------

    def carry(self) -> tuple[Carried, ...]:
        """Return the positions as they stand, for a run that goes on from here."""
        return carry.carry(self)

    def _adopt(self) -> None:
        """Take over carried positions just before the first bar that counts is matched."""
        now = self._clock()
        if now < self.carried_from:
            return
        waiting = []
        for one in self.carried:
            data = self.cerebro.datasbyname.get(one.symbol)
            if data is None or not len(data):
                waiting.append(one)  # no bar yet, or none in this run: worth its last mark
                continue
            printed = data.datetime[0] >= now - INSTANT
            self._seen[data] = len(data) - 1 if printed else len(data)
            self._factor_before[data] = one.factor
            carry.adopt(self, one, data)
        self.carried = tuple(waiting)
