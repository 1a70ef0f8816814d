# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a strategy with their names, their symbols and the instants of their bars."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import backtrader as bt
import numpy as np
from backtrader.linebuffer import LineActions, LineBuffer
from numpy.typing import NDArray

from iverson.research.sweep_memo import children

Floats = NDArray[np.float64]
LONGEST_NAME = 32
DEEPEST = 100  # clocks of clocks
_NUMBERED = re.compile(r"_\d+$")  # Backtrader's couplers are a new class each
_SIGNS = dict(
    add="+", sub="-", mul="*", truediv="/", gt=">", lt="<", ge=">=", le="<=", eq="==", ne="!="
)


@dataclass(frozen=True)
class Line:
    """A computed line: `values` (n,) by bar of `symbol`, whose date numbers are `numbers` (n,)."""

    name: str
    symbol: str
    numbers: Floats
    values: Floats


def lines_of(strategy: Any) -> list[Line]:
    """Return the lines of a strategy's indicators as they stand, sources before what they feed."""
    clocks = Clocks(strategy)
    stamps = {id(data): np.array(data.lines.datetime.array) for data in strategy.datas}
    return [
        Line(name, data._name, stamps[id(data)], np.array(line.array))
        for name, data, line in clocks.lines()
    ]


class Clocks:
    """Knows the lines of a strategy, what to call them and whose bars they move on with."""

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy
        self._datas = {id(data): data for data in strategy.datas}
        self._clock: dict[int, Any] = {}
        self._names: dict[int, str] = {}
        self._entries = dict(_entry_names(strategy))
        for data in strategy.datas:
            for line, alias in zip(data.lines, data.getlinealiases(), strict=False):
                self._clock[id(line)] = data
                self._names[id(line)] = alias
        for thing, owner in self._things(strategy):
            clock = getattr(thing, "_clock", None)
            clock = owner if clock is None else clock
            self._clock[id(thing)] = clock
            self._clock.update((id(line), clock) for line in _own_lines(thing))

    def lines(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield (name, data, line) of each line of each indicator, its parts' lines first."""
        for thing, owner in self._things(self._strategy):
            data = self._data_of(thing, owner)
            for number, line in enumerate(_own_lines(thing)):
                yield self._name(thing, line, number), data, line

    def _things(self, owner: Any) -> Iterator[tuple[Any, Any]]:
        for thing in children(owner):
            if not isinstance(thing, LineActions):
                yield from self._things(thing)
            yield thing, owner

    def _data_of(self, thing: Any, owner: Any) -> Any:
        for one in (thing, owner):
            for _ in range(DEEPEST):
                if id(one) in self._datas:
                    return self._datas[id(one)]
                clock = self._clock.get(id(one))
                if clock is None:  # Backtrader wraps a line that it takes as a clock
                    clock = next((self._clock[id(line)] for line in _own_lines(one)
                                  if id(line) in self._clock), None)  # fmt: skip
                if clock is None:
                    break
                one = clock  # noqa: PLW2901 (the chain is followed)
        return self._strategy.datas[0]

    def _name(self, thing: Any, line: Any, number: int) -> str:
        """Name a line by its entry, or by what makes it; a name that is an operation is cut."""
        known = self._described(thing)
        if len(known) > LONGEST_NAME:
            known = f"{known[:LONGEST_NAME]}…"
        if len(_own_lines(thing)) > 1:
            known = f"{known}.{thing.getlinealiases()[number]}"
        self._names[id(line)] = known
        entry = self._entries.get(id(line))
        return f"{entry} = {known}" if entry else known

    def _described(self, thing: Any) -> str:
        kind = _NUMBERED.sub("", type(thing).__name__.lstrip("_"))
        if not isinstance(thing, LineActions):
            given = ", ".join(
                f"{name}={value:g}"
                for name, value in thing.p._getkwargs().items()
                if isinstance(value, int | float) and thing.p.notdefault(name)
            )
            return f"{kind}({given})" if given else kind
        if kind in ("LineForward", "LineDelay"):
            return f"{self._operand(thing.a)}({thing.ago:+d})"
        sign = _SIGNS.get(getattr(getattr(thing, "operation", None), "__name__", ""))
        if sign and hasattr(thing, "b"):
            return f"{self._operand(thing.a)} {sign} {self._operand(thing.b)}"
        return kind

    def _operand(self, one: Any) -> str:
        if isinstance(one, int | float):
            return f"{one:g}"
        if hasattr(one, "wrapped"):  # a number that Backtrader made a line of
            return str(one.wrapped)
        known = [self._names[id(part)] for part in (one, *getattr(one, "lines", ()))
                 if id(part) in self._names]  # fmt: skip
        name = known[0] if known else type(one).__name__.lstrip("_")
        return f"({name})" if " " in name else name


def _own_lines(thing: Any) -> list[Any]:
    return [thing] if isinstance(thing, LineBuffer) else list(thing.lines)


def _entry_names(strategy: Any) -> Iterator[tuple[int, str]]:
    for _, entries in getattr(strategy, "entries", ()):
        for entry in entries:
            for part in fields(entry):
                value = getattr(entry, part.name)
                if isinstance(value, bt.linebuffer.LineRoot):
                    line = value if isinstance(value, bt.linebuffer.LineBuffer) else value.lines[0]
                    yield id(line), f"{type(entry).__name__}.{part.name}"
