# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal lines of different parameter sets, computed once.

Every line of a strategy's is named by what makes it: its class, its numbers, and the names of the
lines it is made of, down to the bars. Two lines of the same name over the same bars are the same
line, whichever strategy they come from: one indicator computes it for all, and a strategy whose
lines are all known is not needed any more. Of a strategy's own operations only copies are kept that
know nothing of it, so that a search of many sets does not keep many strategies.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import Any

import backtrader as bt
from backtrader.linebuffer import LineActions, LineBuffer, PseudoArray
from backtrader.lineroot import LineRoot
from backtrader.lineseries import LineSeriesStub

from iverson.engine import once
from iverson.engine.passes import pass_of

_BARE = frozenset((
    "params", "p", "_owner", "_clock", "_datas", "_minperiod", "lines", "mode", "bindings", "array",
    "useislice", "lencount", "_idx", "extension", "_tz", "_opstage",
))  # fmt: skip  # what every line has, and says nothing about its values


_OF_STRATEGY = frozenset(("_owner", "_datas", "params", "p", "lines", "bindings"))
_Named = tuple[Any, int]  # a line and its name
_Lines = dict[int, list[_Named]]  # of one strategy, by `id`

MOST_VALUES = 4_000_000  # numbers of lines that are kept to be shared: 32 MB
_EMPTY = array("d")


class Unnamed(Exception):
    """A line that cannot be named."""


@dataclass(frozen=True, slots=True)
class _Maker:
    """What computes some lines: its own lines and those it reads, each with its name."""

    thing: Any
    own: tuple[_Named, ...]
    read: tuple[_Named, ...]


class Memo:
    """Lines by their names, computed over one set of bars at a time."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._makers: dict[int, _Maker] = {}
        self._lines: dict[int, Any] = {}  # one of each name, for the copies to read
        self._bars: dict[int, Any] = {}
        self._values: dict[int, Any] = {}
        self._kept = 0  # numbers in the values

    def bind(self, bars: Mapping[str, Mapping[str, Any]]) -> None:
        """Compute over other bars from now on: the columns of each symbol."""
        self._bars = {
            self._number(("bars", symbol, name)): column
            for symbol, columns in bars.items()
            for name, column in columns.items()
        }
        self._forget()

    def _forget(self) -> None:
        self._values, self._kept = self._bars.copy(), 0

    @property
    def names_given(self) -> int:
        """How many lines and indicators have a name."""
        return len(self._numbers)

    def values(self, line: int) -> Any:
        """Return a computed line."""
        return self._values[line]

    def compute(self, names: tuple[int, ...]) -> None:
        """Compute what has these names, each once, in the order given."""
        if self._kept > MOST_VALUES:
            self._forget()
        for name in names:
            maker = self._makers[name]
            if maker.own[0][1] in self._values:
                continue
            for line, source in maker.read:
                line.array = self._values[source]
            empty(maker.thing)
            _compute(maker.thing)
            for line, number in maker.own:
                self._values[number] = line.array
                self._kept += len(line.array)
            _forget_parts(maker.thing)
            for line, _ in (*maker.read, *maker.own):
                line.array = _EMPTY  # the values stay here, or nowhere

    def names(self, strategy: Any) -> tuple[tuple[int, ...], dict[int, int]]:
        """Name all that a strategy is made of: its parts in order, and every line by its `id`.

        Raises
        ------
        Unnamed: a line may depend on more than its bars and its parameters, or keep something
        from one pass to the next.
        """
        lines: _Lines = {}
        for data in strategy.datas:
            aliases = data.getlinealiases()
            if any(line.extension for line in data.lines):
                raise Unnamed  # it looks ahead
            lines[id(data)] = [
                (line, self._number(("bars", data._name, alias)))
                for line, alias in zip(data.lines, aliases, strict=True)
            ]
            lines.update((id(line), [(line, number)]) for line, number in lines[id(data)])
            for line, number in lines[id(data)]:
                self._lines.setdefault(number, line)
        parts = []
        for thing in children(strategy):
            if not _is_plain(thing):
                raise Unnamed
            found = _Recipe(lines)
            name = self._number(found.of(thing))
            made = [thing] if isinstance(thing, LineActions) else list(thing.lines)
            own = [(line, self._number(("line of", name, n))) for n, line in enumerate(made)]
            lines[id(thing)] = own
            lines.update((id(line), [(line, number)]) for line, number in own)
            if name not in self._makers:
                self._makers[name] = maker = self._maker(thing, own, found.read, lines)
                self._lines.update((number, line) for line, number in maker.own)
            parts.append(name)
        return tuple(parts), {one: own[0][1] for one, own in lines.items() if own}

    def _maker(self, thing: Any, own: list[_Named], read: list[_Named], lines: _Lines) -> _Maker:
        """Return what computes these lines: an operation's copy, or the indicator itself."""
        if isinstance(thing, LineActions):
            try:
                copy = self._copied(thing, lines)
            except Unnamed:  # it reads more than single lines
                pass
            else:
                numbers = dict.fromkeys(number for _, number in read)
                kept = tuple((self._lines[number], number) for number in numbers)
                return _Maker(copy, ((copy, own[0][1]),), kept)
        return _Maker(thing, tuple(own), tuple(read))

    def _copied(self, thing: Any, lines: _Lines) -> Any:
        """Copy an operation without its strategy; it reads the lines that are kept of others."""
        copy = object.__new__(type(thing))
        own = vars(copy)
        for name, value in vars(thing).items():
            if name == "_clock":
                own[name] = self._lines[lines[id(_single(value))][0][1]]
            elif name not in _OF_STRATEGY:
                own[name] = self._standing_for(value, lines)
        own["lines"], own["bindings"] = [copy], []
        return copy

    def _standing_for(self, value: Any, lines: _Lines) -> Any:
        if isinstance(value, LineBuffer):
            return self._lines[lines[id(value)][0][1]]
        if isinstance(value, list | tuple):
            return type(value)(self._standing_for(one, lines) for one in value)
        parts = (*value.args, *value.keywords.values()) if isinstance(value, partial) else ()
        if any(isinstance(one, LineRoot) for one in (value, *parts, getattr(value, "wrapped", 0))):
            raise Unnamed
        return value

    def _number(self, recipe: Any) -> int:
        return self._numbers.setdefault(recipe, len(self._numbers))


class _Recipe:
    """What makes one line or indicator, and what it reads."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self.read: list[_Named] = []

    def of(self, thing: Any) -> Any:
        """Return the recipe."""
        start = (type(thing), self._known(thing._clock), thing._minperiod)  # noqa: SLF001 (Backtrader)
        if isinstance(thing, LineActions):
            own = ((k, v) for k, v in sorted(vars(thing).items()) if k not in _BARE)
            return (*start, *((name, self._part(value)) for name, value in own))
        if not type(thing).__module__.startswith("backtrader."):
            raise Unnamed  # it may be made of more than its bars and its parameters
        params = tuple((name, self._part(value)) for name, value in thing.p._getkwargs().items())
        return (*start, params, *(self._known(data) for data in thing.datas))

    def _known(self, thing: Any) -> tuple[int, ...]:
        thing = _single(thing)
        if id(thing) not in self._lines:
            raise Unnamed
        found = self._lines[id(thing)]
        self.read.extend(found)
        return tuple(number for _, number in found)

    def _part(self, value: Any) -> Any:
        if isinstance(value, PseudoArray):
            return ("constant", self._part(value.wrapped))
        if isinstance(value, LineBuffer | bt.LineSeries):
            return ("line", self._known(value))
        if isinstance(value, list | tuple):
            return tuple(self._part(one) for one in value)
        if isinstance(value, partial) and not value.keywords:
            return ("partial", value.func, self._part(value.args))
        if isinstance(value, BuiltinFunctionType | FunctionType | type):
            return value
        if value is None or type(value) in (int, float, bool, str):
            return (type(value), repr(value))  # 1, 1.0 and True are not the same
        raise Unnamed


def _single(thing: Any) -> Any:
    """Return the line for which a stub stands, anything else as it is."""
    while isinstance(thing, LineSeriesStub):
        thing = thing.lines[0]
    return thing


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


def _compute(thing: Any) -> None:
    if isinstance(thing, LineActions):
        once._compute_line(thing, once.Tally())  # noqa: SLF001 (Backtrader)
    else:
        once.compute(thing, once.Tally())


def _is_plain(thing: Any) -> bool:
    """Whether all values come from passes that keep nothing from one time to the next."""
    return all(
        pass_of(one) is not None or _has_no_values(type(one)) for one in (thing, *_parts(thing))
    )


def _parts(thing: Any) -> Iterator[Any]:
    if not isinstance(thing, LineActions):
        for part in children(thing):
            yield part
            yield from _parts(part)


def _has_no_values(cls: Any) -> bool:
    """Whether a class has no pass of its own: its lines are bound to those of its parts."""
    names = ("next", "nextstart", "prenext", "once", "oncestart", "preonce")
    return issubclass(cls, bt.Indicator) and all(
        getattr(cls, name) is getattr(bt.Indicator, name) for name in names
    )
