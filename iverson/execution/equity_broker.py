# SPDX-License-Identifier: GPL-3.0-or-later
"""Backtrader's simulated broker made honest for US equities.

What differs from `BackBroker`, each row a test:

* a limit needs the market to trade `through_ticks` beyond it (0: a touch);
* a bracket's stop and target live from the entry's fill, within the same bar; a bar that reaches
  both is the stop under the worst reading, and the trade is marked ambiguous;
* all orders of a symbol share one volume budget per bar, `volume_share` of it; the rest waits;
* a taker pays half the spread, fees are charged by `Costs`, fills lie on the price grid;
* nothing is matched against a bar that the symbol did not print;
* legs are sized to what the entry filled; an expired partial entry stays protected;
* an order that reduces exposure is never refused, and never does more than reduce; one that
  increases it needs buying power (equity not yet committed: no leverage, long or short) and, with
  a `desk`, a verdict;
* splits convert positions and working exits, dividends are paid on the ex-date's first bar.

Orders and positions are in raw dollars and shares. A feed with the lines `factor` and `dividend`
shows continuous prices to the strategy (raw x factor); any other feed is taken as raw.
"""

from __future__ import annotations

import collections
from collections.abc import Container, Mapping
from typing import Any

import backtrader as bt

from iverson.errors import ConfigError
from iverson.execution import carry, corporate_actions
from iverson.execution.admission import Desk, name_legs, refusal
from iverson.execution.corporate_actions import Flow
from iverson.execution.costs import Costs
from iverson.execution.groups import Carried, Group
from iverson.execution.marks import MarkedBroker
from iverson.execution.matching import match_bar
from iverson.execution.orders import is_faulty, prepare, taken_price
from iverson.model import Reading

_INSTANT = 1e-9  # days: far below a millisecond, far above what date arithmetic loses
_NEAR = 1e-6  # dollars: what adding up an account loses
_READINGS: tuple[Reading, ...] = ("worst", "base", "best")


class EquityBroker(MarkedBroker):
    """A broker for backtests.

    Parameters
    ----------
    cash: starting cash in dollars.
    costs: what is charged (`Costs`).
    through_ticks: ticks the market must trade beyond a limit, 0 or more.
    volume_share: share of a bar's volume that one account's orders may take, above 0 up to 1;
        a bar without volume (0) fills nothing, one of unknown volume (NaN) is not bounded.
    reading: what an ambiguous bar is taken for: "worst", "base" or "best".
    """

    params = (
        ("costs", Costs()),
        ("through_ticks", 1),
        ("volume_share", 0.1),
        ("reading", "worst"),
    )

    def init(self) -> None:
        """Start over with empty books; called by Backtrader before a run."""
        super().init()
        _check(self.p)
        self.desk: Desk | None = getattr(self, "desk", None)
        self.end_at: float | None = getattr(self, "end_at", None)  # the run's last bar, if it ends
        self.hand_over: bool = getattr(self, "hand_over", False)  # then positions stay, for `carry`
        self.carried_on: Container[str] | None = getattr(self, "carried_on", None)  # None: all
        self.gone: Mapping[str, float] = getattr(self, "gone", {})  # last bars, of who ends early
        self.carried_from: float = getattr(self, "carried_from", float("-inf"))
        self.flows: collections.deque[Flow] = collections.deque()
        self._held_back: dict[int, list[Any]] = {}
        self._seen: dict[Any, int] = {}
        self._factor_before: dict[Any, float] = {}  # of adopted positions, before the first bar
        self._now = float("-inf")
        self.doubtful = False  # whether the reading decided anything so far

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
        if status is not None:
            for order in batch:
                self._end(order, status)
            return
        self.groups[entry.ref] = group
        self._seen[entry.data] = len(entry.data)  # never matched against the bar that made it
        for order in batch:
            order.accept(self)
            self.notify(order)

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
        order.accept(self)
        self.notify(order)
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
        self._end(own, bt.Order.Canceled)
        self._ococheck(own)
        if own is not group.entry:
            self._end_rest(group)
        if own is not group.entry or group.held == 0:
            self._cancel_legs(group)
        self.drop_finished(group)
        return True

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

    # -- one bar -------------------------------------------------------------------------------

    def next(self) -> None:
        """Match every working order against the bars that just closed."""
        while self._cash_addition:
            added = self._cash_addition.popleft()
            self._fundshares += added / self._fundval
            self.cash += added
        if self.carried:
            self._adopt()
        busy = {group.data for group in self.groups.values()}
        busy.update(data for data, held in self.positions.items() if held.size)
        if busy:
            self._now = now = self._clock()
            self._expire(before=now - _INSTANT)
            carry.leave_gone(self, before=now - _INSTANT)
            for data in self.cerebro.datas:
                if data in busy and len(data) != self._seen.get(data):
                    self._seen[data] = len(data)
                    for flow in corporate_actions.apply(self, data, self._factor_before.get(data)):
                        self.flows.append(flow)
                        self.cash += flow.amount
                    match_bar(self, data, self.quote(data))
            self._expire(before=now + _INSTANT)
            if self.end_at is not None and now >= self.end_at - _INSTANT:
                carry.end_run(self)
        self._get_value()

    def _clock(self) -> float:
        return max((d.datetime[0] for d in self.cerebro.datas if len(d)), default=float("-inf"))

    def _expire(self, *, before: float) -> None:
        """End the orders that were valid until an instant before this one."""
        for group in list(self.groups.values()):
            order = group.entry
            if order.valid and order.alive() and order.valid < before:
                self._end(order, bt.Order.Expired)
                if group.held == 0:
                    self._cancel_legs(group)
                self.drop_finished(group)

    # -- fills ---------------------------------------------------------------------------------

    def fill(
        self, group: Group, order: Any, price: float, size: int, *, taker: bool, ambiguous: bool
    ) -> int:
        """Execute `size` shares of an order at the price the bar offered; return shares filled.

        A taker's price moves by half the spread, to the next tick against it, and never beyond a
        limit. An opening fill that buying power cannot pay is refused (Margin).
        """
        side = "buy" if order.isbuy() else "sell"
        costs, data = self.p.costs, order.data
        paid = taken_price(order, price, costs.half_spread(price)) if taker else price
        position = self.positions[data]
        signed = size if side == "buy" else -size
        closes = min(size, self.reducible(order))
        power = self.buying_power(leave_out=group, at=paid) if closes < size else 0.0
        if closes < size and (size - closes) * paid > power + closes * paid + _NEAR:
            self._refuse(group, order)
            return 0
        entry_price = position.price
        _, _, opened, closed = position.update(signed, paid)
        fee = costs.commission(side, size, paid)
        self.cash -= signed * paid + fee
        closed_fee = fee * abs(closed) / size
        order.info.setdefault("marks", []).append((abs(paid - price), ambiguous))
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
        return size

    def _refuse(self, group: Group, order: Any) -> None:
        self._end(order, bt.Order.Margin)
        self._ococheck(order)
        if group.held == 0:
            self._cancel_legs(group)
        self.drop_finished(group)

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

    # -- the ends of a run ---------------------------------------------------------------------

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
            printed = data.datetime[0] >= now - _INSTANT
            self._seen[data] = len(data) - 1 if printed else len(data)
            self._factor_before[data] = one.factor
            carry.adopt(self, one, data)
        self.carried = tuple(waiting)


def _check(params: Any) -> None:
    if params.reading not in _READINGS:
        raise ConfigError(f"reading is {params.reading!r}; expected one of {', '.join(_READINGS)}")
    if not 0 < params.volume_share <= 1:
        raise ConfigError(
            f"volume_share is {params.volume_share!r}; expected a fraction above 0 up to 1"
        )
    if not params.through_ticks >= 0:
        raise ConfigError(f"through_ticks is {params.through_ticks!r}; expected 0 or more")
