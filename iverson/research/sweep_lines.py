# SPDX-License-Identifier: GPL-3.0-or-later
"""A strategy's entry lines as arrays: constructed and computed by Backtrader, never walked.

The strategy is made over the same window of bars as in a backtest and its indicators are computed
in the same one pass; what the spine would read bar by bar is read here whole.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import backtrader as bt
import numpy as np
from backtrader.linebuffer import LineActions
from numpy.typing import NDArray

from iverson.engine import once
from iverson.engine.passes import pass_of
from iverson.research.backtest import Prepared, Setup
from iverson.research.sweep_memo import Memo, children

Floats = NDArray[np.float64]


class Unreadable(Exception):
    """These entry lines cannot be read as arrays; says why."""


@dataclass(frozen=True)
class EntryColumns:
    """One entry of one symbol: a value for each bar of the window, in the lines' units.

    `target` None: none. `symbol` counts the symbols of the window.
    """

    symbol: int
    direction: int
    confidence: Floats
    limit: Floats
    stop: Floats
    target: Floats | None


class Sheets:
    """Strategies constructed once for each parameter set, fed with one window after another.

    Feeding replaces the bars below the lines and computes the lines anew, equal lines once. A
    strategy with a line that is not known to depend on its bars alone is constructed again for
    every window.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._made: dict[tuple[Any, ...], Any] = {}
        self._trusted: set[type] = set()
        self._memo = Memo()
        self._windows = ""
        self._bars: dict[str, dict[str, Any]] = {}

    def computed(self, setup: Setup, windows: Mapping[str, slice]) -> Any:
        """Return the strategy of a setup with its lines computed over some windows."""
        key = (setup.strategy, repr(sorted(setup.params.items())), tuple(windows))
        known = self._made.get(key)
        if known is None:
            known = constructed(setup, self._prepared, windows, compute=False)
            known = known if is_plain(known) and self._memo.names(known) else _REMAKE
            self._made[key] = known
        if known is _REMAKE:
            return constructed(setup, self._prepared, windows)
        self._feed(known, windows)
        if setup.strategy not in self._trusted:
            self._check(known, setup, windows)
        return known

    def _feed(self, strategy: Any, windows: Mapping[str, slice]) -> None:
        key = repr(windows)
        if key != self._windows:
            self._windows, self._bars = key, {}
            self._memo.forget()
        for data, (symbol, rows) in zip(strategy.datas, windows.items(), strict=True):
            if symbol not in self._bars:
                given = self._prepared.feeds[symbol].columns
                self._bars[symbol] = {name: line[rows] for name, line in given.items()}
            for name, line in self._bars[symbol].items():
                getattr(data.lines, name).array = line
            data.home()
        self._memo.compute(strategy)

    def _check(self, fed: Any, setup: Setup, windows: Mapping[str, slice]) -> None:
        """Compare the first strategy of a class that is fed with one made for the window."""
        fresh = constructed(setup, self._prepared, windows)
        pairs = zip(columns(fed), columns(fresh), strict=True)
        if not all(_same(one, other) for one, other in pairs):
            raise Unreadable("the lines depend on more than the bars below them")
        self._trusted.add(setup.strategy)


_REMAKE = object()


class _OnePass(bt.Cerebro):
    """A Cerebro that computes the indicators, if at all, and goes home."""

    compute = True

    def _runonce(self, runstrats: list[Any]) -> None:
        if self.compute:
            for strategy in runstrats:
                once.compute(strategy, once.Tally())


def constructed(
    setup: Setup, prepared: Prepared, windows: Mapping[str, slice], *, compute: bool = True
) -> Any:
    """Return the strategy made over these windows, its lines computed."""
    cerebro = _OnePass(stdstats=False)
    cerebro.compute = compute
    for symbol, rows in windows.items():
        cerebro.adddata(prepared.feeds[symbol].data(rows), name=symbol)
    cerebro.addstrategy(setup.strategy, **setup.params)
    collecting = gc.isenabled()
    gc.disable()  # thousands of objects come to stay; looking through them finds no garbage
    try:
        return cerebro.run()[0]
    finally:
        if collecting:
            gc.enable()


def is_plain(strategy: Any) -> bool:
    """Whether every line comes from passes that keep nothing from one window to the next."""
    left = list(children(strategy))
    for thing in left:
        if not isinstance(thing, LineActions):
            left.extend(children(thing))
        if pass_of(thing) is None and not _has_no_values(type(thing)):
            return False
    return True


def _has_no_values(cls: Any) -> bool:
    """Whether a class has no pass of its own: its lines are bound to those of its parts."""
    names = ("next", "nextstart", "prenext", "once", "oncestart", "preonce")
    return issubclass(cls, bt.Indicator) and all(
        getattr(cls, name) is getattr(bt.Indicator, name) for name in names
    )


def _same(one: EntryColumns, other: EntryColumns) -> bool:
    pairs = zip(vars(one).values(), vars(other).values(), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def columns(strategy: Any) -> Iterator[EntryColumns]:
    """Yield the entries in the order in which the spine asks them.

    Raises
    ------
    Unreadable: a line that the spine would not read at the bar of its own symbol.
    """
    clocks = _Clocks(strategy)
    for symbol, (data, entries) in enumerate(strategy.entries):
        for entry in entries:
            if not isinstance(entry.reason, str):
                clocks.column(entry.reason, data)
            yield EntryColumns(
                symbol=symbol,
                direction=1 if entry.side == "long" else -1,
                confidence=clocks.column(entry.confidence, data),
                limit=clocks.column(entry.limit, data),
                stop=clocks.column(entry.stop, data),
                target=None if entry.target is None else clocks.column(entry.target, data),
            )


class _Clocks:
    """Knows by which symbol's bars each of a strategy's lines moves on."""

    def __init__(self, strategy: Any) -> None:
        self._datas = {id(data): data for data in strategy.datas}
        self._clock: dict[int, Any] = {}
        for data in strategy.datas:
            self._clock.update((id(line), data) for line in data.lines)
        for made in children(strategy):
            clock = made._clock  # noqa: SLF001 (Backtrader)
            self._clock[id(made)] = clock
            self._clock.update((id(line), clock) for line in made.lines)

    def column(self, value: Any, data: Any) -> Floats:
        """Return a line, or a plain number, as one value for each bar of a symbol."""
        if not isinstance(value, bt.linebuffer.LineRoot):
            if not isinstance(value, int | float | np.number):
                raise Unreadable(f"an entry has {value!r}, which is no line and no number")
            return np.full(data.buflen(), float(value))
        line = value if isinstance(value, bt.linebuffer.LineBuffer) else value.lines[0]
        found = np.frombuffer(line.array, dtype=np.float64)
        clock = self._data_of(value if id(value) in self._clock else line)
        if clock is not data:
            found = found[_places(clock, data)]
        if len(found) != data.buflen():
            raise Unreadable("a line of an entry has another length than its symbol's bars")
        return found

    def _data_of(self, thing: Any) -> Any:
        for _ in range(100):
            if id(thing) in self._datas:
                return thing
            if id(thing) not in self._clock:
                break
            thing = self._clock[id(thing)]
        raise Unreadable("a line of an entry moves on with none of the symbols")


def _places(clock: Any, data: Any) -> NDArray[np.int64]:
    """Return at which bar of another symbol a line stands at each bar of this one."""
    theirs, mine = (np.frombuffer(one.lines.datetime.array) for one in (clock, data))
    places = np.searchsorted(theirs, mine, side="right") - 1
    if (places < 0).any():
        raise Unreadable("a line of an entry begins later than its symbol's bars")
    return places
