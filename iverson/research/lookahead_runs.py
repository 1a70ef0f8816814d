# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are watched: what a strategy decided at each bar, and what its lines were then.

Every run goes through `simulate`, so that what is checked is what trades. Watching is done by a
subclass of the strategy that writes down what it decides and passes everything on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from inspect import isfunction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from iverson.book import Halt
from iverson.engine.feed import ArrayData, columns_of, with_lines
from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.history import DailyHistory
from iverson.model import Verdict
from iverson.monitoring.record import Record, Release
from iverson.research.backtest import (
    Feed,
    Prepared,
    Setup,
    interval_of,
    simulate,
    warm_up_bars,
)
from iverson.research.failures import blamed, refuse_faults
from iverson.research.lookahead_frames import Frames
from iverson.research.lookahead_lines import Clocks, Floats, Line, lines_of
from iverson.research.sweep_lines import constructed
from iverson.strategy import Strategy

Way = Literal["in one pass", "bar by bar", "one at a time"]
NEVER = float("inf")
_STEPS = ("next", "prenext", "nextstart")
_LINES_ONLY = {"__init__", "entry", "warm_up"}  # a strategy that defines no more decides by lines


@dataclass(frozen=True)
class Decision:
    """What was decided at the bar with date number `number`: a verdict, an order, a halt."""

    number: float
    value: Any


@dataclass(frozen=True)
class Trace:
    """What a run left: lines, decisions (None: not walked), and how it failed, if it did.

    `reached` is the last bar that was walked.
    """

    lines: list[Line]
    decisions: list[Decision] | None
    reached: float = NEVER
    failed: str | None = None
    failed_at: float = NEVER


@dataclass
class _Watch:
    """What the watching subclass reads and writes during one run."""

    way: Way = "in one pass"
    until: float = NEVER
    bar: float = float("-inf")
    strategy: Any = None
    decisions: list[Decision] = field(default_factory=list)
    clocks: list[tuple[str, Any, Any]] | None = None
    seen: list[dict[int, float]] = field(default_factory=list)


class Watched:
    """A setup, its range, and ways to run it over one future or another."""

    def __init__(self, setup: Setup, frames: Frames, *, first: date, last: date) -> None:
        self._original = setup.strategy
        self.frames = frames
        self.first, self.last = first, last
        self._watch = _Watch()
        self._numbers: dict[str, Floats] = {}
        self.setup = replace(setup, strategy=_watching(setup.strategy, lambda: self._watch))

    def warm_up(self, bars: Mapping[str, Bars]) -> int:
        """Return the bars of warm-up that the strategy asks for."""
        return warm_up_bars(
            self.setup.strategy, self.setup.params, tuple(bars), interval=interval_of(bars)
        )

    @property
    def decides_by_lines(self) -> bool:
        """Whether the entry lines alone decide, so that a run need not be walked."""
        own = self._original.__mro__[: self._original.__mro__.index(Strategy)]
        names = {name for cls in own for name in vars(cls)} - _LINES_ONLY
        return not any(isfunction(getattr(Strategy, name, None)) for name in names)

    def walk(
        self,
        bars: Mapping[str, Bars],
        *,
        until: float = NEVER,
        way: Way = "in one pass",
        frames: Frames | None = None,
        first: date | None = None,
        last: date | None = None,
        strict: bool = False,
    ) -> Trace:
        """Run bar after bar, up to and with the bar `until`; what was decided goes into a trace.

        `first` and `last` are the range of the check when not given. An error of the strategy's is
        noted, or raised when `strict`; so is a signal that nobody can trade.
        """
        self._watch = watch = _Watch(way=way, until=until)
        kind = _ArrivingFeed if way == "one at a time" else Feed
        feeds = self._feeds(bars, kind)  # a symbol is not gone because we look away
        ends = {symbol: float(self._numbers[symbol][-1]) for symbol in feeds}
        prepared = Prepared(feeds, DailyHistory(bars), ends)
        failed = None
        with self._reading(frames) as setup:
            try:
                outcome = simulate(
                    setup,
                    prepared,
                    first=first or self.first,
                    last=last or self.last,
                    at_end="carry",
                )
                if strict:
                    refuse_faults(outcome.record, self._original, setup.params)
            except ConfigError as error:
                if strict:
                    raise
                failed = str(error)
        lines = _lines_seen(watch) if way == "one at a time" else _lines_left(watch.strategy)
        failed_at = watch.bar if failed else NEVER
        return Trace(lines, watch.decisions, watch.bar, failed, failed_at)

    def lines(self, bars: Mapping[str, Bars], *, frames: Frames | None = None) -> Trace:
        """Compute the lines and walk no bar."""
        self._watch = _Watch()
        prepared = Prepared(self._feeds(bars), DailyHistory({}), {})  # nobody asks for the past
        with self._reading(frames) as setup:
            warm_up = self.warm_up(bars)
            windows = {s: f.window(self.first, self.last, warm_up)
                       for s, f in prepared.feeds.items()}  # fmt: skip
            windows = {s: rows for s, rows in windows.items() if rows.stop - rows.start > warm_up}
            try:
                with blamed(self._original, setup.params):
                    return Trace(lines_of(constructed(setup, prepared, windows)), None)
            except ConfigError as error:
                return Trace([], None, failed=str(error))

    def _feeds(self, bars: Mapping[str, Bars], kind: type[Feed] = Feed) -> dict[str, Feed]:
        """Return feeds of bars, all of which are the first ones given or fewer of them."""
        for symbol, one in bars.items():
            if len(one) > len(self._numbers.get(symbol, ())):
                self._numbers[symbol] = kind(one).numbers
        return {symbol: kind(one, self._numbers[symbol][: len(one)])
                for symbol, one in bars.items()}  # fmt: skip

    @contextmanager
    def _reading(self, frames: Frames | None) -> Iterator[Setup]:
        """Give the strategy other frames than its own, for one run."""
        if not frames:
            yield self.setup
            return
        with frames.in_place_of(self.frames):
            yield self.setup.with_params(frames.params)


def spread(values: NDArray[Any], most: int) -> NDArray[Any]:
    """Return at most so many of some values, evenly spread, the first and the last among them."""
    if len(values) <= most:
        return values
    places: NDArray[Any] = np.unique(np.linspace(0, len(values) - 1, most).round().astype(int))
    kept: NDArray[Any] = values[places]
    return kept


def _watching(strategy: type[Strategy], watch: Callable[[], _Watch]) -> type[Strategy]:
    """Return a subclass of the same name that notes what is decided."""

    def start(self: Any) -> None:
        if self.p.desk is not None:
            now = watch()
            now.strategy = self
            self.broker.end_at = None  # nothing is special about the bar at which we look away
            if now.way != "in one pass":
                self.cerebro._disable_runonce()  # noqa: SLF001 (Backtrader)
        strategy.start(self)

    def step(name: str) -> Callable[[Any], None]:
        def walk(self: Any) -> None:
            now = watch()
            if self.datetime[0] > now.until:
                self.env.runstop()
                return
            now.bar = self.datetime[0]
            if now.way == "one at a time":
                _look(now)
            record: Record = self.desk.record
            known, orders = len(record.values), len(now.decisions)
            getattr(strategy, name)(self)
            now.decisions[orders:orders] = [  # a verdict comes before the order made of it
                Decision(now.bar, value)
                for value in record.values[known:]
                if isinstance(value, Verdict | Halt | Release)
            ]

        return walk

    def sending(name: str) -> Callable[..., Any]:
        def send(self: Any, *given: Any, **options: Any) -> Any:
            order = getattr(strategy, name)(self, *given, **options)
            if order is not None:
                watch().decisions.append(Decision(watch().bar, _order(name, order)))
            return order

        return send

    own: dict[str, Any] = {"__module__": strategy.__module__, "__doc__": strategy.__doc__}
    own |= {"start": start, **{name: step(name) for name in _STEPS}}
    own |= {name: sending(name) for name in ("buy", "sell")}
    kind: Any = type(strategy)  # Backtrader's metaclass
    made: type[Strategy] = kind(strategy.__name__, (strategy,), own)
    return made


def _order(name: str, order: Any) -> tuple[Any, ...]:
    made = order.created
    return (name, order.data._name, order.info.get("leg", "plain"), order.getordername(),
            abs(made.size), made.price, made.pricelimit)  # fmt: skip


def _look(watch: _Watch) -> None:
    """Note the lines as they can be read at this bar."""
    if watch.clocks is None:
        watch.clocks = list(Clocks(watch.strategy).lines())
        watch.seen = [{} for _ in watch.clocks]
    for seen, (_, _, line) in zip(watch.seen, watch.clocks, strict=True):
        place = len(line) - 1
        if place >= 0 and place not in seen:
            seen[place] = line[0]


def _lines_seen(watch: _Watch) -> list[Line]:
    found = []
    stamps: dict[int, Any] = {}
    for (name, data, _), seen in zip(watch.clocks or (), watch.seen, strict=True):
        if id(data) not in stamps:
            stamps[id(data)] = np.array(data.lines.datetime.array)
        values = np.full(len(stamps[id(data)]), np.nan)
        values[list(seen)] = list(seen.values())
        found.append(Line(name, data._name, stamps[id(data)], values))
    return found


def _lines_left(strategy: Any) -> list[Line]:
    return [] if strategy is None else lines_of(strategy)


class _ArrivingFeed(Feed):
    """A feed whose bars arrive one at a time: before that they are nowhere to be read."""

    def data(self, rows: slice) -> ArrayData:
        """Return a fresh feed over some rows."""
        usual = super().data(rows)
        arriving: Any = with_lines(_Arriving, type(usual).added)
        found: ArrayData = arriving(
            dataname=columns_of(**{name: np.empty(0) for name in usual.p.dataname}),
            ahead=usual.p.dataname,
            timeframe=usual.p.timeframe,
            compression=usual.p.compression,
        )
        return found


class _Arriving(ArrayData):
    """`dataname` grows by one row with each bar; `ahead` is taken away before anybody can look."""

    params: Any = (("ahead", None),)

    def __init__(self) -> None:
        self._ahead, self.p.ahead = self.p.ahead, None

    def islive(self) -> bool:
        """Whether Cerebro has to ask for each bar: yes, and it must not preload."""
        return True

    def _load(self) -> bool:
        self._row += 1
        if self._row >= len(self._ahead["datetime"]):
            return False
        for name, column in self._ahead.items():
            self.p.dataname[name].append(column[self._row])
            getattr(self.lines, name)[0] = column[self._row]
        return True
