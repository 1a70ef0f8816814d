# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (Backtrader's loop is written in underscore names)
"""A strategy in the lean loop: what moves with it, and what happens when its turn comes.

The strategies of a run take their turns one after the other. Each has its own cells for its
indicators, so that what one sees does not move before its turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt
from backtrader.analyzer import Analyzer
from backtrader.linebuffer import LineActions, LineBuffer
from backtrader.lineiterator import LineIterator

from iverson.engine.decline import Decline
from iverson.engine.lines import (
    Cell,
    attach_line,
    attach_series,
    detach_series,
    is_plain_line,
    is_plain_series,
)
from iverson.engine.notices import Listeners, unchanged, with_children
from iverson.engine.strategy import mixin_of
from iverson.engine.timeline import Timeline

_INDICATORS, _OBSERVERS = LineIterator.IndType, LineIterator.ObsType
_ON_BARS = ("_prenext", "_nextstart", "_next", "prenext", "nextstart", "next")
_NAN = float("nan")

Turn = Callable[[float, tuple[Cell, ...]], None]


class Rider:
    """One strategy of a run.

    `cells` count the bars of its indicators, one for each of the timeline's groups of feeds;
    `led` are its top-level indicators that tick with a group, `unled` those that are asked on
    every bar. Stock advances an indicator when its clock is ahead of it; with a feed's line, or
    an indicator that ticks with a feed, as its clock that is whenever the feed has a bar.
    """

    def __init__(self, strategy: Any, timeline: Timeline) -> None:
        self.strategy = strategy
        self.cells = timeline.new_cells()
        self._timeline = timeline
        self._led: list[tuple[Any, int]] = []
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
            self._led.append((indicator, group))
            for line in indicator.lines:
                self._group_of.setdefault(id(line), group)
        # on one calendar it moves with its indicators, unless one asks how far it has come itself
        together = len(self.cells) == 1 and not self.unled
        self._own_cell: Cell = self.cells[0] if together else [-1]

    def attach(self) -> None:
        """Let the strategy and its indicators move by cells."""
        for indicator, group in self._led:
            if isinstance(indicator, LineActions):
                attach_line(indicator, self.cells[group])
            else:
                attach_series(indicator, self.cells[group])
        attach_series(self.strategy, self._own_cell, mixin_of(self.strategy))

    def detach(self) -> None:
        """Give classes and positions back; the status is stock's after the bars so far."""
        if self._own_cell[0] >= 0:
            self.strategy._minperstatus = max(n - cell[0] - 1 for n, cell in self._waits())
        for indicator, _ in self._led:
            detach_series(indicator)
        detach_series(self.strategy)

    def turn(self, *, quick: bool) -> Turn:  # noqa: C901 (calls cost)
        """Return what to call on each instant, with its date number and the cells that move.

        It is what `Strategy._oncepost` does. `quick`: notices are told as they come.
        """
        strategy, unled = self.strategy, self.unled
        own, own_cell = vars(strategy), self._own_cell
        apart = own_cell is not self.cells[0]
        note_instant = strategy.lines.datetime.array.append
        other_lines = [line for line in strategy.lines if line is not strategy.lines.datetime]
        listeners = Listeners(strategy)
        heard = listeners.hear_cash
        tell = strategy._notify if heard or quick else listeners.tell
        analyzers = [one for one in strategy.analyzers if _acts_on_bars(one)]
        observers = strategy._lineiterators[_OBSERVERS]
        waits = self._waits()
        status = 1

        def take_turn(number: float, cells: tuple[Cell, ...]) -> None:  # noqa: C901, PLR0912 (one turn, no calls)
            nonlocal status
            for cell in cells:
                cell[0] += 1
            if unled:
                for indicator in unled:
                    if len(indicator._clock) > len(indicator):
                        indicator.advance()
            note_instant(number)
            if other_lines:
                for line in other_lines:
                    line.array.append(_NAN)
            if apart:
                own_cell[0] += 1

            # looked up by name: attributes are slow where a class has `__getattr__`
            pending = own["_orderspending"] or own["_tradespending"]
            if pending or heard:
                tell()
            if status >= 0:
                status = max(period - cell[0] - 1 for period, cell in waits)
                strategy._minperstatus = status
            if status < 0:
                strategy.next()
                if analyzers:
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
            if pending or own["_orderspending"] or own["_tradespending"]:
                strategy.clear()

        return take_turn

    def only_acts(self) -> bool:
        """Whether its turn is nothing but its notices and its `next`; see `plain`."""
        strategy = self.strategy
        return (
            self._own_cell is self.cells[0]
            and strategy.lines.fullsize() == 1
            and not strategy._lineiterators[_OBSERVERS]
            and not any(map(_acts_on_bars, strategy.analyzers))
            and not Listeners(strategy).hear_cash
        )

    def _waits(self) -> list[tuple[int, Cell]]:
        """Return, by group, the bars its feeds need before `next`, with the cell that counts."""
        longest: dict[int, int] = {}
        for data, period in zip(self.strategy.datas, self.strategy._minperiods, strict=True):
            group = self._timeline.of_data[id(data)]
            longest[group] = max(period, longest.get(group, period))
        cells = self._timeline.data_cells
        return [(period, cells[group]) for group, period in longest.items()]

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


def _acts_on_bars(analyzer: Any) -> bool:
    return any(not unchanged(one, Analyzer, _ON_BARS) for one in with_children([analyzer]))
