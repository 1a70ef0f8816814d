# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (the passes over the indicators have underscore names)
"""Computing all indicators of a strategy in one pass each, as `LineIterator._once` does.

The tree of indicators is walked in stock's order and each object is brought through stock's
states; only the making of empty lines (one by one in stock) and, where `passes` knows how, the
values themselves take a shorter way.
"""

from __future__ import annotations

from array import array
from collections import Counter
from functools import lru_cache
from typing import Any

import backtrader as bt
from backtrader.linebuffer import LineActions, LineBuffer
from backtrader.lineiterator import LineIterator
from backtrader.lineseries import LineSeries

from iverson.engine.passes import pass_of

_INDICATORS, _OBSERVERS = LineIterator.IndType, LineIterator.ObsType
_OF_LINE = ("_once", "forward", "home", "oncebinding", "buflen")
_EMPTY = array("d", [float("nan")])


class Tally:
    """How many passes were vectorised, and which kinds of objects ran their own `once`."""

    def __init__(self) -> None:
        self.vectorised = 0
        self.stock: Counter[str] = Counter()

    def __str__(self) -> str:
        stock = ", ".join(f"{kind} x {count}" for kind, count in sorted(self.stock.items()))
        return f"{self.vectorised} passes vectorised" + (f"; stock: {stock}" if stock else "")


def compute(thing: Any, tally: Tally) -> None:
    """Compute a strategy's indicators, or one with its parts; what its `_once()` does."""
    if _flows_plainly(_class(thing)):
        _iterate(thing, tally)
    else:
        _leave(thing, tally)


def _class(thing: Any) -> Any:
    return type(thing)


def _leave(thing: Any, tally: Tally) -> None:
    """Let an object do its pass itself."""
    tally.stock[type(thing).__name__] += 1
    thing._once()


def _compute_line(thing: Any, tally: Tally) -> None:
    """Do what `LineActions._once` does."""
    if not _is_plain_line(_class(thing)):
        _leave(thing, tally)
        return
    _forward(thing, thing._clock.buflen())
    thing.home()
    _values(thing, tally)
    thing.oncebinding()


def _iterate(thing: Any, tally: Tally) -> None:
    """Do what `LineIterator._once` does, for a strategy or an indicator."""
    size = thing._clock.buflen()
    for line in thing.lines:
        _forward(line, size)
    children = thing._lineiterators[_INDICATORS]
    for child in children:
        if isinstance(child, LineActions):
            _compute_line(child, tally)
        else:
            compute(child, tally)
    observers = thing._lineiterators[_OBSERVERS]
    for observer in observers:
        observer.forward(size=thing.buflen())
    for one in (*thing.datas, *children, *observers, thing):
        one.home()
    _values(thing, tally)
    for line in thing.lines:
        line.oncebinding()


def _values(thing: Any, tally: Tally) -> None:
    """Fill a line from its minimum period on, vectorised or by the object's own `once`."""
    start, end = thing._minperiod - 1, thing.buflen()
    vectorised = pass_of(thing)
    if vectorised is not None and 0 <= start < end and vectorised(thing, start, end):
        tally.vectorised += 1
        return
    if not _has_no_values(_class(thing)):
        tally.stock[type(thing).__name__] += 1
    thing.preonce(0, start)
    thing.oncestart(start, start + 1)
    thing.once(start + 1, end)


def _forward(line: Any, size: int) -> None:
    """Lengthen a line by empty places, all at once when it has none yet."""
    if len(line.array) or type(line).forward is not LineBuffer.forward:
        line.forward(size=size)
        return
    line.array = _EMPTY * size
    line.idx += size
    line.lencount += size


@lru_cache(maxsize=1024)
def _is_plain_line(cls: Any) -> bool:
    return all(getattr(cls, name) is getattr(LineActions, name) for name in _OF_LINE)


@lru_cache(maxsize=1024)
def _flows_plainly(cls: Any) -> bool:
    return (
        cls._once is LineIterator._once
        and cls.forward is LineSeries.forward
        and cls.home is LineSeries.home
    )


@lru_cache(maxsize=1024)
def _has_no_values(cls: Any) -> bool:
    """Whether a class has no `once` of its own: its lines are bound to those of its parts."""
    return issubclass(cls, bt.Indicator | bt.Strategy) and all(
        getattr(cls, name) is getattr(LineIterator, name)
        for name in ("once", "oncestart", "preonce")
    )
