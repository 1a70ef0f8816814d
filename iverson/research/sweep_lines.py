# SPDX-License-Identifier: GPL-3.0-or-later
"""A strategy's entry lines as arrays: constructed and computed by Backtrader, never walked.

What the spine would read bar by bar is read here whole. A strategy is constructed once for a
parameter set and becomes a `Plan`: names of lines, which are computed over one window of bars after
another, and equal ones once.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from inspect import isfunction
from typing import TYPE_CHECKING, Any, NamedTuple

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from iverson.market.bars import DAILY
from iverson.research.construction import construct, over_any, over_nothing
from iverson.research.kernel_state import Floats
from iverson.research.sweep_memo import Memo, Unnamed, children
from iverson.strategy import Strategy

if TYPE_CHECKING:
    from iverson.research.backtest import Prepared, Setup  # which asks here for the warm-up

_PARTS = ("confidence", "limit", "stop", "target")


class Unreadable(Exception):
    """These entry lines cannot be read as arrays; says why."""


class EntryColumns(NamedTuple):
    """One entry of one symbol: a value for each bar of the window, in the lines' units.

    `target` None: none. `symbol` counts the symbols of the window.
    """

    symbol: int
    direction: int
    confidence: Floats
    limit: Floats
    stop: Floats
    target: Floats | None


@dataclass(frozen=True, slots=True)
class _Source:
    """A plain number, or a line and the place of the symbol with whose bars it moves on."""

    number: float = 0.0
    line: Any = None
    clock: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where the parts of one entry come from; `symbol` counts the strategy's."""

    symbol: int
    direction: int
    parts: tuple[_Source | None, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What became of a strategy with one parameter set.

    `warm_up` is what the run needs, `ready` what the spine asks of a symbol, in bars. `alone`: made
    over one symbol that stands for any. `replaced` names what the strategy replaced of the spine.
    `names` None: its lines have no names, it has to be constructed for every window.
    """

    warm_up: int
    ready: int
    alone: bool
    replaced: str | None = None
    names: tuple[int, ...] | None = None
    entries: tuple[_Entry, ...] = ()


MOST_PLANS = 2_500  # 2 to 15 kB each; two of a search's batches, and some
MOST_NAMES = 50_000  # of the lines of all plans: many more than of sets, where symbols differ


class Plans:
    """The plans of one strategy class, and the memo of their lines."""

    def __init__(self, strategy: type[Strategy]) -> None:
        self._strategy = strategy
        self._known: dict[Any, Plan] = {}
        self._alone: dict[str, Plan | None] = {}
        self.memo = Memo()
        self.trusted = False

    def plan(
        self, params: Mapping[str, Any], symbols: tuple[str, ...], interval: str = DAILY
    ) -> Plan:
        """Return the plan of one set; raises whatever constructing the strategy raises."""
        key = f"{interval} {_key(params)}"
        if key not in self._alone:
            with _young_garbage():
                self._alone[key] = self._plan_over_any(params, interval)
        found = self._alone[key]
        if found is not None:
            return found
        if (key, symbols) not in self._known:
            with _young_garbage():
                made = over_nothing(self._strategy, params, symbols, interval)
                self._known[key, symbols] = self._planned(made, alone=False)
                del made
        return self._known[key, symbols]

    def _plan_over_any(self, params: Mapping[str, Any], interval: str) -> Plan | None:
        try:
            made = over_any(self._strategy, params, interval)
        except Exception:  # noqa: BLE001 (raised again by the caller, by the strategy as it is)
            return None
        return None if made is None else self._planned(made, alone=True)

    def make_room(self, coming: Iterable[Mapping[str, Any]]) -> None:
        """Forget all plans when those to come would be too many: memory does not grow with sets.

        Not while plans are in use: their names are the memo's.
        """
        unknown = sum(_key(params) not in self._alone for params in coming)
        plans = len(self._alone) + len(self._known) + unknown
        if plans > MOST_PLANS or (unknown and self.memo.names_given > MOST_NAMES):
            self._alone.clear()
            self._known.clear()
            self.memo = Memo()
            gc.collect()  # lines refer to themselves; seldom enough to cost nothing

    def entries(
        self, plan: Plan, bars: Sequence[Mapping[str, Any]], symbol: int | None = None
    ) -> Iterator[EntryColumns]:
        """Yield a plan's entries over the bars of its symbols, to which the memo is bound.

        `symbol` is whose bars these are, where the plan is of any symbol.
        """
        assert plan.names is not None
        self.memo.compute(plan.names)
        for entry in plan.entries:
            yield _columns(entry, bars, self.memo.values, symbol)

    def _planned(self, made: Any, *, alone: bool) -> Plan:
        ready = int(made.warm_up)
        warm_up = max(ready, made._minperiod)  # fewer have no line values at all
        plan = Plan(warm_up, ready, alone, why_not_instance(made))
        try:
            names, lines = self.memo.names(made)
            entries = tuple(
                _Entry(
                    one.symbol,
                    one.direction,
                    tuple(part and _named(part, lines) for part in one.parts),
                )
                for one in _entries(made)
            )
        except (Unnamed, Unreadable):
            return plan
        finally:
            vars(made).clear()  # an indicator that is kept would keep all of the strategy
        return replace(plan, names=names, entries=entries)


@contextmanager
def _young_garbage() -> Iterator[None]:
    """Take out what a strategy leaves behind while it is young: its lines refer to themselves.

    Left alone, every few strategies would be taken for old, and be kept until very many are.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.collect(0)
            gc.enable()


def _key(params: Mapping[str, Any]) -> str:
    return repr(sorted(params.items()))


def why_not_instance(strategy: Any) -> str | None:
    """Say what a strategy replaced while it was made, None for nothing."""
    for name in vars(strategy):
        if isfunction(getattr(Strategy, name, None)):
            return f"{type(strategy).__name__} replaces {name}() in its __init__"
    return None


def plans_of(strategy: type[Strategy]) -> Plans:
    """Return the plans of a class: by class, not by its name, which a notebook defines again."""
    cls: Any = strategy  # Backtrader's comparisons hide from mypy that it is hashable
    return _plans_of(cls)


@lru_cache(maxsize=4)
def _plans_of(strategy: type[Strategy]) -> Plans:
    return Plans(strategy)


def constructed(setup: Setup, prepared: Prepared, windows: Mapping[str, slice]) -> Any:
    """Return the strategy made over these windows, its lines computed."""
    feeds = {symbol: prepared.feeds[symbol].data(rows) for symbol, rows in windows.items()}
    return construct(setup.strategy, setup.params, feeds, compute=True)


def columns(strategy: Any) -> list[EntryColumns]:
    """Return the entries of a strategy whose lines are computed, in the order of the spine.

    Raises
    ------
    Unreadable: a line that the spine would not read at the bar of its own symbol.
    """
    bars = [{"datetime": data.lines.datetime.array} for data in strategy.datas]
    return [_columns(entry, bars, lambda line: line.array) for entry in _entries(strategy)]


def same(one: EntryColumns, other: EntryColumns) -> bool:
    """Whether two entries are equal to the bit."""
    pairs = zip(one, other, strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


# -- reading ---------------------------------------------------------------------------------------


def _entries(strategy: Any) -> Iterator[_Entry]:
    clocks = _Clocks(strategy)
    for symbol, (_, entries) in enumerate(strategy.entries):
        for entry in entries:
            if not isinstance(entry.reason, str):
                clocks.source(entry.reason)
            parts = (getattr(entry, name) for name in _PARTS)
            yield _Entry(
                symbol=symbol,
                direction=1 if entry.side == "long" else -1,
                parts=tuple(None if part is None else clocks.source(part) for part in parts),
            )


def _named(source: _Source, lines: Mapping[int, int]) -> _Source:
    if source.line is None:
        return source
    if id(source.line) not in lines:
        raise Unnamed
    return _Source(line=lines[id(source.line)], clock=source.clock)


def _columns(
    entry: _Entry, bars: Sequence[Mapping[str, Any]], values: Any, symbol: int | None = None
) -> EntryColumns:
    own = bars[entry.symbol]["datetime"]
    found: list[Floats | None] = []
    for source in entry.parts:
        if source is None:
            found.append(None)
            continue
        if source.line is None:
            found.append(np.full(len(own), source.number))
            continue
        column = np.frombuffer(values(source.line), dtype=np.float64)
        if source.clock != entry.symbol:
            column = column[_places(bars[source.clock]["datetime"], own)]
        if len(column) != len(own):
            raise Unreadable("a line of an entry has another length than its symbol's bars")
        found.append(column)
    confidence, limit, stop, target = found
    if confidence is None or limit is None or stop is None:
        raise Unreadable("an entry lacks its confidence, its limit or its stop")
    place = entry.symbol if symbol is None else symbol
    return EntryColumns(place, entry.direction, confidence, limit, stop, target)


class _Clocks:
    """Knows by which symbol's bars each of a strategy's lines moves on."""

    def __init__(self, strategy: Any) -> None:
        self._datas = {id(data): place for place, data in enumerate(strategy.datas)}
        self._clock: dict[int, Any] = {}
        for data in strategy.datas:
            self._clock.update((id(line), data) for line in data.lines)
        for made in children(strategy):
            clock = made._clock  # noqa: SLF001 (Backtrader)
            self._clock[id(made)] = clock
            self._clock.update((id(line), clock) for line in made.lines)

    def source(self, value: Any) -> _Source:
        """Return where a line, or a plain number, comes from."""
        if not isinstance(value, bt.linebuffer.LineRoot):
            if not isinstance(value, int | float | np.number):
                raise Unreadable(f"an entry has {value!r}, which is no line and no number")
            return _Source(number=float(value))
        line = value if isinstance(value, bt.linebuffer.LineBuffer) else value.lines[0]
        clock = self._place_of(value if id(value) in self._clock else line)
        return _Source(line=line, clock=clock)

    def _place_of(self, thing: Any) -> int:
        for _ in range(100):
            if id(thing) in self._datas:
                return self._datas[id(thing)]
            if id(thing) not in self._clock:
                break
            thing = self._clock[id(thing)]
        raise Unreadable("a line of an entry moves on with none of the symbols")


def _places(clock: Any, data: Any) -> NDArray[np.int64]:
    """Return at which bar of another symbol a line stands at each bar of this one."""
    theirs, mine = (np.frombuffer(one, dtype=np.float64) for one in (clock, data))
    places = np.searchsorted(theirs, mine, side="right") - 1
    if (places < 0).any():
        raise Unreadable("a line of an entry begins later than its symbol's bars")
    return places
