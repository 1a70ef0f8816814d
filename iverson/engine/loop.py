# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (Backtrader's loop is written in underscore names)
"""The lean bar loop: what `Cerebro._runonce` does, without what would change nothing.

Per instant, in stock order: feeds advance; cheating timers; `next_open`; the broker; its
notifications; timers; then each strategy's turn (`Rider`): indicators advance; `notify_*`; `next`;
analyzers; observers. Left out are calls that nobody listens to and comparisons whose answer is
known: which feed has a bar is worked out before (`Timeline`), lines move by shared cursors, and
hooks are called only when a class overrides them. Strategies, brokers, analyzers and observers run
unchanged.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt
from backtrader.feed import AbstractDataBase
from backtrader.lineiterator import LineIterator

from iverson.engine import plain
from iverson.engine.account import LeanAccount
from iverson.engine.decline import Decline
from iverson.engine.lines import CursorData, attach_series, detach_series, is_plain_series
from iverson.engine.notices import take, unchanged
from iverson.engine.rider import Rider
from iverson.engine.timeline import Timeline

_OF_STRATEGY = (
    *("_oncepost", "_notify", "_next_analyzers", "_next_observers", "_getminperstatus", "clear"),
    *("forward", "advance", "_oldsync"),
)
_OF_NOTICES = ("_addnotification",)
_OF_FEED = ("advance", "advance_peek", "_tick_nullify", "_tick_fill", "home")
_OF_CEREBRO = ("_brokernotify", "_next_writers")


def check(cerebro: Any, strategies: list[Any]) -> None:
    """Raise `Decline` when the lean loop could differ from the stock loop."""
    if cerebro.runwriters:
        raise Decline("a writer is attached")
    if not unchanged(cerebro, bt.Cerebro, _OF_CEREBRO):
        raise Decline("Cerebro's own steps are overridden")
    for strategy in strategies:
        _check_strategy(cerebro, strategy)
    drawn = [id(one) for s in strategies for one in s._lineiterators[LineIterator.IndType]]
    if len(strategies) > 1 and len(set(drawn)) < len(drawn):
        raise Decline("strategies share an indicator")
    if len({id(data) for data in cerebro.datas}) < len(cerebro.datas):
        raise Decline("a feed is added twice")
    for data in cerebro.datas:
        if not unchanged(data, AbstractDataBase, _OF_FEED) or not is_plain_series(type(data)):
            raise Decline(f"the feed {data._name!r} moves in its own way ({type(data).__name__})")
        stamps = data.lines.datetime
        if stamps.extension:
            raise Decline("lookahead is asked for")
        if any(len(line.array) != len(stamps.array) for line in data.lines):
            raise Decline(f"the lines of the feed {data._name!r} differ in length")


def _check_strategy(cerebro: Any, strategy: Any) -> None:
    name = type(strategy).__name__
    if not unchanged(strategy, bt.Strategy, _OF_STRATEGY):
        raise Decline(f"{name} overrides a step of Backtrader's own loop")
    if strategy.lines.datetime.bindings:
        raise Decline(f"{name} binds its datetime line")
    if list(map(id, strategy.datas)) != list(map(id, cerebro.datas)):
        raise Decline(f"{name} has other feeds than the run")


class LeanLoop:
    """One run over preloaded feeds, indicators already computed.

    Raises `Decline` when the feeds' timestamps are not strictly increasing.
    """

    def __init__(self, cerebro: Any, strategies: list[Any]) -> None:
        self.cerebro = cerebro
        self.timeline = Timeline(cerebro.datas)
        if not self.timeline.in_order:
            raise Decline("a feed's timestamps repeat or go back")
        self.riders = [Rider(strategy, self.timeline) for strategy in strategies]
        self._plain = plain.is_plain(cerebro, self.timeline, self.riders)

    def summary(self) -> str:
        """Say what moves together."""
        groups = len(self.timeline.data_cells)
        feeds = len(self.cerebro.datas)
        unled = sum(len(rider.unled) for rider in self.riders)
        asked = f", {unled} indicators asked bar by bar" if unled else ""
        turns = f", {len(self.riders)} strategies in turn" if len(self.riders) > 1 else ""
        simple = ", a plain run" if self._plain else ""
        return f"{feeds} feeds on {groups} calendars{asked}{turns}{simple}"

    def run(self) -> None:
        """Go through all bars; classes and positions are stock's again when it ends or fails."""
        try:
            self._attach()
            if self._plain:
                plain.go_through(self.cerebro, self.timeline, self.riders[0])
            else:
                self._bars()
        finally:
            self._detach()

    def _bars(self) -> None:  # noqa: PLR0912 (a call a bar would cost more than it)
        cerebro = self.cerebro
        strategies = [rider.strategy for rider in self.riders]
        broker = cerebro._broker
        broker_next, next_notice, notices = broker.next, broker.get_notification, (True,)
        if unchanged(broker, bt.brokers.BackBroker, ("get_notification",)):
            next_notice, notices = broker.notifs.popleft, broker.notifs
        quick = cerebro.p.quicknotify
        takers = {
            id(one) for one in strategies if not quick and unchanged(one, bt.Strategy, _OF_NOTICES)
        }
        cheat_on_open = cerebro.p.cheat_on_open
        timers = bool(cerebro._timers or cerebro._timerscheat)
        first, *others = [rider.turn(quick=quick) for rider in self.riders]
        tracks = [rider.cells for rider in self.riders]

        for number, data_cells, tracked in self.timeline.instants(tracks):
            for cell in data_cells:
                cell[0] += 1
            if timers:
                cerebro._check_timers(strategies, number, cheat=True)
            if cheat_on_open:
                for strategy in strategies:
                    strategy._oncepost_open()
                    if cerebro._event_stop:
                        return

            broker_next()
            while notices and (order := next_notice()) is not None:
                owner = order.owner if order.owner is not None else strategies[0]
                if id(owner) in takers:
                    take(owner, order)
                else:
                    owner._addnotification(order, quicknotify=quick)
            if cerebro._event_stop:
                return
            if timers:
                cerebro._check_timers(strategies, number, cheat=False)

            first(number, tracked[0])
            if cerebro._event_stop:
                return
            for turn, cells in zip(others, tracked[1:], strict=True) if others else ():
                turn(number, cells)
                if cerebro._event_stop:
                    return

    def _attach(self) -> None:
        for data in self.cerebro.datas:
            for name in [name for name in vars(data) if name.startswith("tick_")]:
                delattr(data, name)
            cell = self.timeline.data_cells[self.timeline.of_data[id(data)]]
            attach_series(data, cell, CursorData)
        for rider in self.riders:
            rider.attach()
        broker = self.cerebro._broker
        early = self.cerebro.p.cheat_on_open or self.cerebro._timerscheat
        if isinstance(broker, LeanAccount) and not early:
            broker.allow_late(self.riders[0].strategy.lines.datetime.array)

    def _detach(self) -> None:
        if isinstance(self.cerebro._broker, LeanAccount):
            self.cerebro._broker.be_punctual()
        for rider in self.riders:
            rider.detach()
        for data in self.cerebro.datas:
            detach_series(data)
            if len(data):
                data._tick_nullify()
                if len(data) < data.buflen():
                    data._tick_fill()
