# SPDX-License-Identifier: GPL-3.0-or-later
"""One symbol, one bar: which orders fill, in which order, within one volume budget.

First what the opening print fills (exits before entries), then what happens inside the bar: the
legs of positions that stood at the open, entries, the legs of what was just entered; last what
asked for the close.
"""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt

from iverson.execution import fills
from iverson.execution.fills import Quote
from iverson.execution.groups import Group
from iverson.execution.orders import STOP_LIMITS, STOPS, TRAILS, limit_price, trail
from iverson.execution.ticks import tick_size
from iverson.market.calendar import new_york
from iverson.market.moments import moment

_MARKET, _CLOSE, _LIMIT = bt.Order.Market, bt.Order.Close, bt.Order.Limit
_NEAR = 1e-6  # shares
_WELL = 1e-4  # dollars: far above what float arithmetic loses, which fills forgive


def match_bar(broker: Any, data: Any, bar: Quote) -> None:
    """Match the working orders of one symbol against the bar it just printed."""
    if bar.volume == 0:  # nothing traded: nothing fills, nothing is triggered
        return
    orders = [o for g in broker.groups.values() if g.data is data for o in g.orders]
    if not all(_out_of_reach(order, bar) for order in orders if order.alive()):
        _BarMatch(broker, data, bar).run()


def _out_of_reach(order: Any, bar: Quote) -> bool:
    """Whether a bar comes nowhere near a plain limit or stop, so that nothing can happen to it.

    The open counts too: faulty bars open beyond their own high or low.
    """
    kind = order.exectype
    if kind == _LIMIT:
        falls = order.isbuy()
    elif kind == bt.Order.Stop and not order.triggered:
        falls = not order.isbuy()
    else:
        return False
    price = order.created.price
    if falls:
        return bool(min(bar.low, bar.open) > price + _WELL)
    return bool(max(bar.high, bar.open) < price - _WELL)


class _BarMatch:
    """The state of one match: what is left of the volume, which positions stood at the open."""

    def __init__(self, broker: Any, data: Any, bar: Quote) -> None:
        self.broker = broker
        self.data = data
        self.bar = bar
        self.left = (
            math.inf
            if math.isnan(bar.volume)
            else math.floor(broker.p.volume_share * bar.volume + _NEAR)
        )

    def run(self) -> None:
        groups = [group for group in self.broker.groups.values() if group.data is self.data]
        standing = [group for group in groups if group.held]
        for group in standing:
            self._legs_at_open(group)
        entering = [group for group in groups if group.waiting]
        entering.sort(key=self._increases)  # exits before entries
        at_open = [group for group in entering if self._entry_at_open(group)]
        for group in standing:
            self._legs_inside(group, "held")
        for group in entering:
            how = "held" if group in at_open else self._entry_inside(group)
            if how and group not in standing:
                self._legs_inside(group, how)
        for group in groups:
            self._at_close(group)
            self._trail(group)

    # -- the open ------------------------------------------------------------------------------

    def _legs_at_open(self, group: Group) -> None:
        for leg in list(group.legs):
            if leg.alive() and leg.active() and group.held:
                self._fill_at_open(group, leg)

    def _entry_at_open(self, group: Group) -> bool:
        if not (group.waiting and self._fill_at_open(group, group.entry)):
            return False
        self._legs_at_open(group)  # an open beyond the stop is left at once, at the open
        return True

    def _fill_at_open(self, group: Group, order: Any) -> bool:
        sign = 1 if order.isbuy() else -1
        kind = order.exectype
        price = math.nan
        if kind == _MARKET or (order.triggered and kind not in STOP_LIMITS):
            price = self.bar.open
        elif self._rests(order):
            price = self._limit_at_open(sign, order)
        elif kind in STOPS:
            price = fills.stop_at_open(sign, order.created.price, self.bar)
            if not math.isnan(price):
                order.triggered = True
                if kind in STOP_LIMITS:
                    price = self._limit_at_open(sign, order, through=0.0)
        return self._fill(group, order, price, taker=True)

    # -- inside --------------------------------------------------------------------------------

    def _entry_inside(self, group: Group) -> str:
        """Fill an entry after the open; say by which kind of move, "" when it does not fill."""
        order = group.entry
        if not order.alive():
            return ""
        sign = 1 if order.isbuy() else -1
        if self._rests(order):
            return "limit" if self._fill_resting(group, order) else ""
        if order.exectype in STOPS and not order.triggered:
            price = fills.stop_inside(sign, order.created.price, self.bar)
            return "stop" if self._trigger(group, order, price) else ""
        return ""

    def _legs_inside(self, group: Group, entry: str) -> None:
        if not group.held:
            return
        for leg in group.legs:  # a stop-limit that its bar ran away from waits at its limit
            if leg.exectype in STOP_LIMITS and leg.triggered and leg.alive():
                self._fill_resting(group, leg)
        stop = next(
            (o for o in group.legs if o.exectype in STOPS and o.alive() and not o.triggered), None
        )
        target = group.leg(_LIMIT)
        path = fills.exit_inside(
            -1 if group.held > 0 else 1,
            stop.created.price if stop else math.nan,
            target.created.price if target else math.nan,
            self.bar,
            self._through(target) if target else 0.0,
            entry=entry,
            reading=self.broker.p.reading,
        )
        if path.ambiguous:
            group.entry.info["ambiguous"] = self.broker.doubtful = True
        if stop is not None and not math.isnan(path.stop):
            self._entry_inside(group)  # the way to the stop leads through the entry's rest
            self._trigger(group, stop, path.stop, ambiguous=path.ambiguous)
        elif target is not None:
            self._fill(group, target, path.target, taker=False, ambiguous=path.ambiguous)

    def _trigger(self, group: Group, stop: Any, price: float, *, ambiguous: bool = False) -> bool:
        """Fill a stop where the bar reached it; one whose limit lies behind rests from now on."""
        if math.isnan(price):
            return False
        stop.triggered = True
        limit = limit_price(stop)
        if limit is not None and (limit - price) * (1 if stop.isbuy() else -1) < 0:
            return False
        return self._fill(group, stop, price, taker=True, ambiguous=ambiguous)

    def _fill_resting(self, group: Group, order: Any) -> bool:
        sign, limit = (1 if order.isbuy() else -1), limit_price(order)
        assert limit is not None
        price = fills.limit_inside(sign, limit, self.bar, self._through(order))
        return self._fill(group, order, price, taker=False)

    # -- the close -----------------------------------------------------------------------------

    def _at_close(self, group: Group) -> None:
        for order in group.orders:
            if order.exectype != _CLOSE or not (order.alive() and order.active()):
                continue
            if self._ends_session():
                self._fill(group, order, self.bar.close, taker=True)

    def _ends_session(self) -> bool:
        if self.data._timeframe >= bt.TimeFrame.Days:
            return True
        now = moment(self.data.datetime[0])
        return now.at >= new_york().close_at(now.session)

    def _trail(self, group: Group) -> None:
        for order in group.orders:
            if order.exectype in TRAILS and order.alive() and order.active():
                trail(order, self.bar.close)

    # -- helpers -------------------------------------------------------------------------------

    def _fill(
        self, group: Group, order: Any, price: float, *, taker: bool, ambiguous: bool = False
    ) -> bool:
        if math.isnan(price):
            return False
        wanted = abs(order.executed.remsize)
        if order is not group.entry:
            wanted = min(wanted, abs(group.held))
        elif group.reduces:
            wanted = min(wanted, self.broker.reducible(order))
        size = int(min(wanted, self.left))
        if size <= 0:
            return False
        done = self.broker.fill(group, order, price, size, taker=taker, ambiguous=ambiguous)
        self.left -= done
        return bool(done)

    def _rests(self, order: Any) -> bool:
        """Whether an order waits at its limit: a limit, or a stop-limit already triggered."""
        return order.exectype == _LIMIT or (order.triggered and order.exectype in STOP_LIMITS)

    def _limit_at_open(self, sign: int, order: Any, through: float | None = None) -> float:
        limit = limit_price(order)
        assert limit is not None
        beyond = self._through(order) if through is None else through
        return fills.limit_at_open(sign, limit, self.bar, beyond)

    def _through(self, order: Any) -> float:
        limit = limit_price(order)
        return float(self.broker.p.through_ticks * tick_size(limit)) if limit else 0.0

    def _increases(self, group: Group) -> bool:
        return bool(self.broker.positions[self.data].size * group.entry.created.size >= 0)
