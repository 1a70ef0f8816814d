# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (Backtrader's loop is written in underscore names)
"""The lean bar loop: what `Cerebro._runonce` does, without what would change nothing.

Per instant, in stock order: feeds advance; cheating timers; `next_open`; the broker; its
notifications; timers; indicators advance; `notify_*`; the strategy's `next`; analyzers; observers.
Left out are calls that nobody listens to and comparisons whose answer is known: which feed has a
bar is worked out before (`Timeline`), lines move by shared cursors, and hooks are called only when
a class overrides them. Strategies, brokers, analyzers and observers run unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import backtrader as bt
from backtrader.analyzer import Analyzer
from backtrader.feed import AbstractDataBase
from backtrader.linebuffer import LineActions, LineBuffer
from backtrader.lineiterator import LineIterator

from iverson.engine.lines import (
    Cell,
    CursorData,
    attach_line,
    attach_series,
    detach_series,
    is_plain_line,
    is_plain_series,
)
from iverson.engine.timeline import Timeline

_INDICATORS, _OBSERVERS = LineIterator.IndType, LineIterator.ObsType
_OF_STRATEGY = (
    *("_oncepost", "_notify", "_next_analyzers", "_next_observers", "_getminperstatus", "clear"),
    *("forward", "advance", "_oldsync"),
)
_OF_FEED = ("advance", "advance_peek", "_tick_nullify", "_tick_fill", "home")
_NAN = float("nan")
_OF_CEREBRO = ("_brokernotify", "_next_writers")


class Decline(Exception):
    """The reason, in words, why a run takes the stock loop."""


def check(cerebro: Any, strategies: list[Any]) -> None:
    """Raise `Decline` when the lean loop could differ from the stock loop."""
    for condition, reason in (
        (len(strategies) == 1, f"{len(strategies)} strategies share the run"),
        (not cerebro.runwriters, "a writer is attached"),
        (unchanged(cerebro, bt.Cerebro, _OF_CEREBRO), "Cerebro's own steps are overridden"),
    ):
        if not condition:
            raise Decline(reason)
    strategy = strategies[0]
    name = type(strategy).__name__
    if not unchanged(strategy, bt.Strategy, _OF_STRATEGY):
        raise Decline(f"{name} overrides a step of Backtrader's own loop")
    if strategy.lines.datetime.bindings:
        raise Decline(f"{name} binds its datetime line")
    if list(map(id, strategy.datas)) != list(map(id, cerebro.datas)):
        raise Decline(f"{name} has other feeds than the run")
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


def unchanged(thing: Any, stock: type, names: tuple[str, ...]) -> bool:
    """Whether an object's class and the object itself left these attributes as stock has them."""
    own = vars(thing)
    cls = type(thing)
    return not any(name in own or getattr(cls, name) is not getattr(stock, name) for name in names)


class LeanLoop:
    """One run of one strategy over preloaded feeds, indicators already computed.

    Raises `Decline` when the feeds' timestamps are not strictly increasing.
    """

    def __init__(self, cerebro: Any, strategy: Any) -> None:
        self.cerebro = cerebro
        self.strategy = strategy
        self.timeline = Timeline(cerebro.datas)
        if not self.timeline.in_order:
            raise Decline("a feed's timestamps repeat or go back")
        self.own_cell: Cell = [-1]
        followers = _Followers(strategy, self.timeline)
        self.led, self.unled = followers.led, followers.unled

    def summary(self) -> str:
        """Say what moves together."""
        groups = len(self.timeline.data_cells)
        feeds = len(self.cerebro.datas)
        asked = f", {len(self.unled)} indicators asked bar by bar" if self.unled else ""
        return f"{feeds} feeds on {groups} calendars{asked}"

    def run(self) -> None:
        """Go through all bars; classes and positions are stock's again when it ends or fails."""
        try:
            self._attach()
            self._bars()
        finally:
            self._detach()

    def _bars(self) -> None:  # noqa: C901, PLR0912, PLR0915 (a call a bar would cost more than it)
        cerebro, strategy = self.cerebro, self.strategy
        strategies = [strategy]
        broker = cerebro._broker
        broker_next, get_notification = broker.next, broker.get_notification
        plain = unchanged(broker, bt.brokers.BackBroker, ("get_notification",))
        notices = broker.notifs if plain else (True,)
        quick = cerebro.p.quicknotify
        cheat_on_open = cerebro.p.cheat_on_open
        timers = bool(cerebro._timers or cerebro._timerscheat)
        unled = self.unled
        own_cell = self.own_cell
        note_instant = strategy.lines.datetime.array.append
        other_lines = [line for line in strategy.lines if line is not strategy.lines.datetime]
        heard = _hears_cash(strategy)
        analyzers = [analyzer for analyzer in strategy.analyzers if _acts_on_bars(analyzer)]
        observers = strategy._lineiterators[_OBSERVERS]
        waits = self._waits()
        status = 1

        for number, (data_cells, indicator_cells) in self.timeline:
            for cell in data_cells:
                cell[0] += 1
            if timers:
                cerebro._check_timers(strategies, number, cheat=True)
            if cheat_on_open:
                strategy._oncepost_open()
                if cerebro._event_stop:
                    return

            broker_next()
            if notices:
                while (order := get_notification()) is not None:
                    owner = order.owner if order.owner is not None else strategy
                    owner._addnotification(order, quicknotify=quick)
            if cerebro._event_stop:
                return
            if timers:
                cerebro._check_timers(strategies, number, cheat=False)

            for cell in indicator_cells:
                cell[0] += 1
            for indicator in unled:
                if len(indicator._clock) > len(indicator):
                    indicator.advance()
            note_instant(number)
            for line in other_lines:
                line.array.append(_NAN)
            own_cell[0] += 1

            pending = strategy._orderspending or strategy._tradespending
            if pending or heard:
                strategy._notify()
            if status >= 0:
                status = max(period - cell[0] - 1 for period, cell in waits)
                strategy._minperstatus = status
            if status < 0:
                strategy.next()
                for analyzer in analyzers:
                    analyzer._next()
            elif status == 0:
                strategy.nextstart()
                for analyzer in analyzers:
                    analyzer._nextstart()
            else:
                strategy.prenext()
                for analyzer in analyzers:
                    analyzer._prenext()
            if observers:
                strategy._next_observers(status, once=True)
            if pending or strategy._orderspending or strategy._tradespending:
                strategy.clear()
            if cerebro._event_stop:
                return

    def _waits(self) -> list[tuple[int, Cell]]:
        """Return, by group, the bars its feeds need before `next`, with the cell that counts."""
        longest: dict[int, int] = {}
        for data, period in zip(self.strategy.datas, self.strategy._minperiods, strict=True):
            group = self.timeline.of_data[id(data)]
            longest[group] = max(period, longest.get(group, period))
        cells = self.timeline.data_cells
        return [(period, cells[group]) for group, period in longest.items()]

    def _attach(self) -> None:
        for data in self.cerebro.datas:
            for name in [name for name in vars(data) if name.startswith("tick_")]:
                delattr(data, name)
            cell = self.timeline.data_cells[self.timeline.of_data[id(data)]]
            attach_series(data, cell, CursorData)
        for indicator, group in self.led:
            cell = self.timeline.indicator_cells[group]
            if isinstance(indicator, LineActions):
                attach_line(indicator, cell)
            else:
                attach_series(indicator, cell)
        attach_series(self.strategy, self.own_cell)

    def _detach(self) -> None:
        if self.own_cell[0] >= 0:
            self.strategy._minperstatus = max(
                period - cell[0] - 1 for period, cell in self._waits()
            )
        for data in self.cerebro.datas:
            detach_series(data)
            if len(data):
                data._tick_nullify()
                if len(data) < data.buflen():
                    data._tick_fill()
        for indicator, _ in self.led:
            detach_series(indicator)
        detach_series(self.strategy)


class _Followers:
    """Which top-level indicators tick with a feed (led), and which are asked bar by bar (unled).

    Stock advances an indicator when its clock is ahead of it; with a feed's line, or an indicator
    that ticks with a feed, as its clock that is whenever the feed has a bar.
    """

    def __init__(self, strategy: Any, timeline: Timeline) -> None:
        self.led: list[tuple[Any, int]] = []
        self.unled: list[Any] = []
        self._group_of: dict[int, int] = dict(timeline.of_data)  # by id of a feed or a line
        for data in strategy.datas:
            for line in data.lines:
                self._group_of[id(line)] = timeline.of_data[id(data)]
        asked: set[int] = set()  # first lines of the clocks of those that are asked
        for indicator in strategy._lineiterators[_INDICATORS]:
            if any(id(line) in asked for line in indicator.lines):
                raise Decline("an indicator comes before its own clock")
            group = self._group(indicator._clock) if _advances_plainly(indicator) else None
            if group is None:
                self.unled.append(indicator)
                asked.add(id(_first_line(indicator._clock)))
                continue
            self.led.append((indicator, group))
            for line in indicator.lines:
                self._group_of.setdefault(id(line), group)

    def _group(self, clock: Any) -> int | None:
        return self._group_of.get(id(clock), self._group_of.get(id(_first_line(clock))))


def _first_line(clock: Any) -> Any:
    if isinstance(clock, LineBuffer) or not clock.lines.fullsize():
        return clock
    return clock.lines[0]


def _advances_plainly(indicator: Any) -> bool:
    cls = type(indicator)
    if isinstance(indicator, LineActions):
        return cls.advance is LineBuffer.advance and is_plain_line(cls)
    return (
        cls.advance is bt.Indicator.advance
        and is_plain_series(cls)
        and bool(indicator.lines.fullsize())
    )


def _hears_cash(strategy: Any) -> bool:
    """Whether anybody listens to what stock tells on every bar: cash, value, fund."""
    hooks = ("notify_cashvalue", "notify_fund")
    if not unchanged(strategy, bt.Strategy, hooks):
        return True
    within = (*hooks, "_notify_cashvalue", "_notify_fund")
    return any(
        not unchanged(analyzer, Analyzer, within)
        for analyzer in _with_children([*strategy.analyzers, *strategy._slave_analyzers])
    )


def _acts_on_bars(analyzer: Any) -> bool:
    steps = ("_prenext", "_nextstart", "_next", "prenext", "nextstart", "next")
    return any(not unchanged(one, Analyzer, steps) for one in _with_children([analyzer]))


def _with_children(analyzers: list[Any]) -> Iterator[Any]:
    for analyzer in analyzers:
        yield analyzer
        yield from _with_children(analyzer._children)
