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
* with `as_alpaca`, what Alpaca would refuse is refused, an order through zero only leaves, and a
  buy stop has Alpaca's limit, so that a gap does not fill it;
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
from iverson.execution.alpaca import terms
from iverson.execution.bracket_broker import INSTANT, BracketBroker
from iverson.execution.corporate_actions import Flow
from iverson.execution.costs import Costs
from iverson.execution.groups import Group
from iverson.execution.matching import match_bar
from iverson.execution.orders import taken_price
from iverson.model import Reading

_NEAR = 1e-6  # dollars: what adding up an account loses
_READINGS: tuple[Reading, ...] = ("worst", "base", "best")


class EquityBroker(BracketBroker):
    """A broker for backtests.

    Parameters
    ----------
    cash: starting cash in dollars.
    costs: what is charged (`Costs`).
    through_ticks: ticks the market must trade beyond a limit, 0 or more.
    volume_share: share of a bar's volume that one account's orders may take, above 0 up to 1;
        a bar without volume (0) fills nothing, one of unknown volume (NaN) is not bounded.
    reading: what an ambiguous bar is taken for: "worst", "base" or "best".
    as_alpaca: whether orders are taken on Alpaca's terms only (`iverson.execution.alpaca.terms`).
    limit_away: with it, how far an entry's limit may be from the last close, as a fraction (None:
        any); Alpaca has such a limit and does not publish it.
    """

    params = (
        ("costs", Costs()),
        ("through_ticks", 1),
        ("volume_share", 0.1),
        ("reading", "worst"),
        ("as_alpaca", False),
        ("limit_away", None),
    )

    def init(self) -> None:
        """Start over with empty books; called by Backtrader before a run."""
        super().init()
        _check(self.p)
        self.end_at: float | None = getattr(self, "end_at", None)  # the run's last bar, if it ends
        self.hand_over: bool = getattr(self, "hand_over", False)  # then positions stay, for `carry`
        self.carried_on: Container[str] | None = getattr(self, "carried_on", None)  # None: all
        self.gone: Mapping[str, float] = getattr(self, "gone", {})  # last bars, of who ends early
        self.flows: collections.deque[Flow] = collections.deque()
        self.doubtful = False  # whether the reading decided anything so far

    # -- orders --------------------------------------------------------------------------------

    def _meet_terms(self, group: Group) -> str | None:
        return terms.meet(self, group) if self.p.as_alpaca else None

    def _placed(self, group: Group) -> None:
        for order in group.orders:
            if self.p.as_alpaca:
                terms.collared(order)
            order.accept(self)
            self.notify(order)

    def _joined(self, group: Group, order: Any) -> None:  # noqa: ARG002 (the group is matched)
        order.accept(self)
        self.notify(order)

    def _withdraw(self, group: Group, order: Any) -> None:
        self._end_canceled(group, order)

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
            self._expire(before=now - INSTANT)
            carry.leave_gone(self, before=now - INSTANT)
            for data in self.cerebro.datas:
                if data in busy and len(data) != self._seen.get(data):
                    self._seen[data] = len(data)
                    for flow in corporate_actions.apply(self, data, self._factor_before.get(data)):
                        self.flows.append(flow)
                        self.cash += flow.amount
                    match_bar(self, data, self.quote(data))
            self._expire(before=now + INSTANT)
            if self.end_at is not None and now >= self.end_at - INSTANT:
                carry.end_run(self)
        self._get_value()

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
        costs = self.p.costs
        paid = taken_price(order, price, costs.half_spread(price)) if taker else price
        closes = min(size, self.reducible(order))
        power = self.buying_power(leave_out=group, at=paid) if closes < size else 0.0
        if closes < size and (size - closes) * paid > power + closes * paid + _NEAR:
            self._refuse(group, order)
            return 0
        fee = costs.commission(side, size, paid)
        self.book(group, order, paid, size, fee=fee, spread=abs(paid - price), ambiguous=ambiguous)
        return size

    def _refuse(self, group: Group, order: Any) -> None:
        self._end(order, bt.Order.Margin)
        self._ococheck(order)
        if group.held == 0:
            self._cancel_legs(group)
        self.drop_finished(group)


def _check(params: Any) -> None:
    if params.reading not in _READINGS:
        raise ConfigError(f"reading is {params.reading!r}; expected one of {', '.join(_READINGS)}")
    if not 0 < params.volume_share <= 1:
        raise ConfigError(
            f"volume_share is {params.volume_share!r}; expected a fraction above 0 up to 1"
        )
    if not params.through_ticks >= 0:
        raise ConfigError(f"through_ticks is {params.through_ticks!r}; expected 0 or more")
