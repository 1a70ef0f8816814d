# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal lines of different parameter sets, computed once.

Every line of a strategy's is named by what makes it: its class, its numbers, and the names of the
lines it is made of, down to the bars. Two lines of the same name over the same bars are the same
line. A strategy with a line that cannot be named this way is computed by itself.
"""

from __future__ import annotations

from array import array
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import Any

import backtrader as bt
from backtrader.linebuffer import LineActions, LineBuffer, PseudoArray

from iverson.engine import once

_BARE = frozenset(
    [
        "params",
        "p",
        "_owner",
        "_clock",
        "_datas",
        "_minperiod",
        "lines",
        "mode",
        "bindings",
        "array",
        "useislice",
        "lencount",
        "_idx",
        "extension",
        "_tz",
        "_opstage",
    ]
)  # what every line has, and says nothing about its values


class Unnamed(Exception):
    """A line that cannot be named."""


class Memo:
    """Computed lines over one set of windows at a time, by their names."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._plans: dict[int, tuple[Any, list[tuple[Any, int]] | None]] = {}
        self._lines: dict[int, list[array[float]]] = {}

    def forget(self) -> None:
        """Drop what was computed: the bars are others now."""
        self._lines.clear()

    def names(self, strategy: Any) -> bool:
        """Whether every line of a strategy can be named."""
        return self._plan(strategy) is not None

    def compute(self, strategy: Any) -> None:
        """Compute the lines of a strategy that can be named, or take them from an equal one."""
        tally = once.Tally()
        for thing, name in self._plan(strategy) or ():
            known = self._lines.get(name)
            own = [thing] if isinstance(thing, LineActions) else list(thing.lines)
            if known is None:
                empty(thing)
                _compute(thing, tally)
                self._lines[name] = [line.array for line in own]
                _forget_parts(thing)
                continue
            for line, values in zip(own, known, strict=True):
                line.array = values

    def _plan(self, strategy: Any) -> list[tuple[Any, int]] | None:
        known = self._plans.get(id(strategy))
        if known is None:
            try:
                known = strategy, self._named(strategy)
            except Unnamed:
                known = strategy, None
            self._plans[id(strategy)] = known
        return known[1]

    def _named(self, strategy: Any) -> list[tuple[Any, int]]:
        names: dict[int, int] = {}
        for data in reversed(strategy.datas):  # the first is the strategy's own clock
            names[id(strategy)] = self._number(("strategy", data._name))
            names[id(data)] = self._number(("data", data._name))
            for number, line in enumerate(data.lines):
                names[id(line)] = self._number(("bars", data._name, number))
        plan = []
        for thing in children(strategy):
            name = self._number(self._recipe(thing, names))
            names[id(thing)] = name
            if not isinstance(thing, LineActions):
                for number, line in enumerate(thing.lines):
                    names[id(line)] = self._number(("line of", name, number))
            plan.append((thing, name))
        return plan

    def _number(self, recipe: Any) -> int:
        return self._numbers.setdefault(recipe, len(self._numbers))

    def _recipe(self, thing: Any, names: dict[int, int]) -> Any:
        clock = _known(thing._clock, names)  # noqa: SLF001 (Backtrader)
        start = (type(thing), clock, thing._minperiod)
        if isinstance(thing, LineActions):
            own = ((k, v) for k, v in sorted(vars(thing).items()) if k not in _BARE)
            return (*start, *((name, _part(value, names)) for name, value in own))
        if not type(thing).__module__.startswith("backtrader."):
            raise Unnamed  # it may be made of more than its bars and its parameters
        params = tuple((name, _part(value, names)) for name, value in thing.p._getitems())
        return (*start, params, *(_known(data, names) for data in thing.datas))


def empty(thing: Any) -> None:
    """Take the values out of a line, or of an indicator and its parts."""
    if isinstance(thing, LineActions):
        thing.reset()
        return
    for line in thing.lines:
        line.reset()
    for child in children(thing):
        empty(child)


def children(thing: Any) -> list[Any]:
    """Return the lines and indicators that a strategy or an indicator is made of, in order."""
    found: list[Any] = thing._lineiterators[bt.LineIterator.IndType]  # noqa: SLF001 (Backtrader)
    return found


def _forget_parts(thing: Any) -> None:
    if not isinstance(thing, LineActions):
        for part in children(thing):
            empty(part)


def _compute(thing: Any, tally: once.Tally) -> None:
    if isinstance(thing, LineActions):
        once._compute_line(thing, tally)  # noqa: SLF001 (Backtrader)
    else:
        once.compute(thing, tally)


def _known(thing: Any, names: dict[int, int]) -> int:
    name = names.get(id(thing))
    if name is None:
        raise Unnamed
    return name


def _part(value: Any, names: dict[int, int]) -> Any:
    if isinstance(value, PseudoArray):
        return ("constant", _part(value.wrapped, names))
    if isinstance(value, LineBuffer | bt.LineSeries):
        return ("line", _known(value, names))
    if isinstance(value, list | tuple):
        return tuple(_part(one, names) for one in value)
    if isinstance(value, partial) and not value.keywords:
        return ("partial", value.func, _part(value.args, names))
    if isinstance(value, BuiltinFunctionType | FunctionType | type):
        return value
    if value is None or type(value) in (int, float, bool, str):
        return (type(value), repr(value))  # 1, 1.0 and True are not the same
    raise Unnamed
