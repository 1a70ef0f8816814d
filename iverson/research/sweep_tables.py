# SPDX-License-Identifier: GPL-3.0-or-later
"""What many sweeps share: bars as the broker quotes them, spans, histories for rules and sizing.

Everything is computed once for a `Prepared` and kept as long as it is swept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from typing import Any, NamedTuple

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from iverson.book import History
from iverson.engine.feed import numbers_of
from iverson.execution.account import HIGH_DAYS
from iverson.market.calendar import new_york
from iverson.market.moments import moment
from iverson.research.backtest import Feed, Prepared
from iverson.research.kernel_state import MARKET, STEP, Flags, Floats, Ints, Records, Span
from iverson.risk.rules import correlation
from iverson.risk.universe import UniverseRule


class Moments(NamedTuple):
    """The moments of bars as columns, shape (n,): instants in microseconds since 1970, UTC."""

    at: Ints
    session: NDArray[np.datetime64]
    ordinal: Ints

    def only(self, rows: Any) -> Moments:
        """Return some of them."""
        return Moments(self.at[rows], self.session[rows], self.ordinal[rows])


def moments_of(feed: Feed) -> Moments:
    """Return what `moment` says of each bar's date number.

    A number holds a whole second exactly, and other instants nearly: those are asked one by one.
    """
    at = feed.bars.at.astype("datetime64[us]")
    if (at != at.astype("datetime64[s]")).any():
        asked = [moment(number).at.replace(tzinfo=None) for number in feed.numbers.tolist()]
        at = np.array(asked, dtype="datetime64[us]")
    ordinal = new_york().ordinals_of(at)
    return Moments(at.astype(np.int64), new_york().sessions[ordinal], ordinal)


class Unusual(Exception):
    """These bars or dates are not what the kernel expects; says why."""


class Bench:
    """All symbols' bars in flat columns, and what is derived from them."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.symbols = tuple(prepared.feeds)
        sizes = [len(feed.numbers) for feed in prepared.feeds.values()]
        self.starts = dict(zip(self.symbols, np.r_[0, np.cumsum(sizes)].tolist(), strict=False))
        self._markets: dict[int, Records] = {}
        self._correlations: dict[tuple[str, str, int, int], Floats] = {}
        self._spans: dict[tuple[date, date, tuple[tuple[str, int, int], ...]], Stretch] = {}

    @cached_property
    def columns(self) -> dict[str, Floats]:
        """Raw columns by the broker's arithmetic: what the feed shows, divided by the factor."""
        found: dict[str, list[Floats]] = {}
        for feed in self.prepared.feeds.values():
            shown = {name: np.frombuffer(line) for name, line in feed.columns.items()}
            factor = shown["factor"]
            raw = {name: shown[name] / factor for name in ("open", "high", "low", "close")}
            raw |= {"volume": shown["volume"] * factor, "factor": factor}
            raw["dividend"] = shown["dividend"]
            for name, values in raw.items():
                found.setdefault(name, []).append(values)
        return {name: np.concatenate(parts) for name, parts in found.items()}

    @cached_property
    def moments(self) -> dict[str, Moments]:
        """The moments of all bars, by symbol."""
        return {symbol: moments_of(feed) for symbol, feed in self.prepared.feeds.items()}

    def market(self, volume_sessions: int) -> Records:
        """Return the bars as the kernel's records."""
        if volume_sessions not in self._markets:
            if np.isinf(self.columns["volume"]).any():
                raise Unusual("a volume is infinite")
            market = np.empty(len(self.columns["close"]), MARKET)
            for name, column in self.columns.items():
                market[name] = column
            market["average_volume"] = np.concatenate(
                [
                    self.prepared.history.average_volumes(
                        symbol, moments.session, window=volume_sessions
                    )
                    for symbol, moments in self.moments.items()
                ]
            )
            self._markets[volume_sessions] = market
        return self._markets[volume_sessions]

    def stretch(self, first: date, last: date, windows: Mapping[str, slice]) -> Stretch:
        """Return the steps of a span, for the windows of its symbols."""
        key = (first, last, tuple((name, w.start, w.stop) for name, w in windows.items()))
        if key not in self._spans:
            self._spans[key] = Stretch(self, first, last, windows)
        return self._spans[key]

    def correlations(self, one: str, other: str, lookback: int, shared: int) -> Floats:
        """Return the correlation of a pair before each session of the calendar; NaN: unknown."""
        key = (min(one, other), max(one, other), lookback, shared)
        if key not in self._correlations:
            self._correlations[key] = self._correlate(one, other, lookback, shared)
        return self._correlations[key]

    def _correlate(self, one: str, other: str, lookback: int, shared: int) -> Floats:
        feeds, sessions = self.prepared.feeds, new_york().sessions
        end = max(feeds[symbol].bars.session[-1] for symbol in (one, other)).item()
        (mine, x), (theirs, y) = (
            self.prepared.history.log_returns(
                symbol, before=end + timedelta(days=1), sessions=len(sessions)
            )
            for symbol in (one, other)
        )
        both, i, j = np.intersect1d(mine, theirs, assume_unique=True, return_indices=True)
        x, y = x[i], y[j]
        ends = np.searchsorted(both, sessions)
        oldest = sessions[np.maximum(0, np.arange(len(sessions)) - lookback)]
        begins = np.searchsorted(both, oldest)
        found = np.full(len(sessions), np.nan)
        lengths = ends - begins
        for length in np.unique(lengths[lengths >= shared]).tolist():
            at = np.flatnonzero(lengths == length)
            rows = begins[at][:, None] + np.arange(length)
            found[at] = correlation(x[rows], y[rows])
        return found


class Stretch:
    """The steps of one span, from `first` on: arrays by step, and where each symbol's bars lie."""

    def __init__(self, bench: Bench, first: date, last: date, windows: Mapping[str, slice]) -> None:
        self.first, self.last = first, last
        self.symbols = tuple(windows)
        self.starts = [bench.starts[symbol] + rows.start for symbol, rows in windows.items()]
        self.bars = sum(rows.stop - rows.start for rows in windows.values())
        numbers = [bench.prepared.feeds[symbol].numbers[rows] for symbol, rows in windows.items()]
        known = [bench.moments[symbol].only(rows) for symbol, rows in windows.items()]
        number, found = np.unique(np.concatenate(numbers), return_index=True)
        moments = Moments(*(np.concatenate(column)[found] for column in zip(*known, strict=True)))
        self._check(number, moments)
        within = moments.session >= np.datetime64(first, "D")
        self.number = number[within]
        self.at, self.session, self.ordinal = moments.only(within)
        # of each bar of each symbol: its step, -1 before the first
        self.steps: list[NDArray[np.int64]] = []
        for one in numbers:
            found = np.searchsorted(self.number, one)
            self.steps.append(np.where(one >= self.number[0], found, -1))
        self.before = [int((one < 0).sum()) for one in self.steps]  # bars
        self.row = np.full((len(self.number), len(known)), -1, dtype=np.int64)
        self.printed = np.zeros(self.row.shape, dtype=np.bool_)
        for s, (one, start) in enumerate(zip(numbers, self.starts, strict=True)):
            place = np.searchsorted(one, self.number, side="right") - 1
            self.row[:, s] = np.where(place >= 0, start + place, -1)
            self.printed[:, s] = (place >= 0) & (one[place] == self.number)
        ends = [bench.prepared.ends[symbol] for symbol in self.symbols]
        self.gone: Ints = np.searchsorted(self.number, ends, side="right").astype(np.int64)
        self.oldest = np.searchsorted(self.session, self.session - np.timedelta64(HIGH_DAYS, "D"))
        self.open_for_entries = self.session < np.datetime64(last, "D")
        self.pairs: dict[tuple[int, int], Pairs] = {}
        self._spans: dict[tuple[float, int], Span] = {}
        self._enterable: dict[tuple[int, int], Flags] = {}
        self._admits: dict[str, Flags] = {}

    def enterable(self, symbol: int, ready: int) -> Flags:
        """Return at which bars of a symbol the spine looks at entries: in the span and warm."""
        key = (symbol, ready)
        if key not in self._enterable:
            steps = self.steps[symbol]
            found = (steps >= 0) & self.open_for_entries[steps]
            found[: max(ready, 0)] = False
            self._enterable[key] = found
        return self._enterable[key]

    def admits(self, filters: Sequence[UniverseRule], history: History) -> Flags:
        """Return at which steps each symbol passes all of some rules; shape (steps, symbols)."""
        key = repr(filters)
        if key not in self._admits:
            by_symbol = [
                np.all([rule.admits(symbol, self.session, history) for rule in filters], axis=0)
                for symbol in self.symbols
            ]
            self._admits[key] = np.column_stack(by_symbol)
        return self._admits[key]

    def span(self, *, hours: float, entry_sessions: int) -> Span:
        """Return the kernel's arrays for a daily-loss halt and an entry's time to fill."""
        key = (hours, entry_sessions)
        if key not in self._spans:
            until, valid = self._ahead(hours, entry_sessions)
            steps = np.empty(len(self.number), STEP)
            steps["number"], steps["at"], steps["ordinal"] = self.number, self.at, self.ordinal
            steps["until"], steps["valid"], steps["oldest"] = until, valid, self.oldest
            self._spans[key] = Span(steps, self.row, self.printed, self.gone)
        return self._spans[key]

    def _ahead(self, hours: float, entry_sessions: int) -> tuple[Ints, Floats]:
        """Return of each step until when a halt lasts, and to which date number an entry lives."""
        calendar = new_york()
        for one in (moment(self.number[0]), moment(self.number[-1])):  # raises as the engine would
            calendar.next_open(one.at)
            calendar.offset(one.session, entry_sessions)
        # a moment's session is the last that had opened, so that the next one opens next
        opens = calendar.opens(calendar.sessions[self.ordinal + 1])
        pause = timedelta(hours=hours) // timedelta(microseconds=1)
        until = np.maximum(self.at + pause, opens.astype("datetime64[us]").astype(np.int64))
        closes = calendar.closes(calendar.sessions[self.ordinal + entry_sessions])
        return until, numbers_of(closes)

    def correlated(self, bench: Bench, lookback: int, shared: int) -> Pairs:
        """Return the correlations over one pair of windows."""
        key = (lookback, shared)
        if key not in self.pairs:
            self.pairs[key] = Pairs(bench, self, key)
        return self.pairs[key]

    def _check(self, number: Floats, moments: Moments) -> None:
        if (moments.session[1:] <= moments.session[:-1]).any():
            raise Unusual("some session has bars that end at different times")
        since = float(bt.date2num(self.first))
        if ((number >= since) != (moments.session >= np.datetime64(self.first, "D"))).any():
            raise Unusual("a bar ends on another date than its session's")


class Pairs:
    """The correlations of a stretch that were asked for so far: by pair and step."""

    def __init__(self, bench: Bench, stretch: Stretch, windows: tuple[int, int]) -> None:
        self._bench, self._stretch, self._windows = bench, stretch, windows
        count = len(stretch.symbols)
        self.numbers: Ints = np.full((count, count), -1, dtype=np.int64)
        self.table: Floats = np.empty((0, len(stretch.number)))
        self._count = 0

    def add(self, one: int, other: int) -> None:
        """Put one more pair into the table."""
        if self._count == len(self.table):
            room = np.empty((max(4, len(self.table)), self.table.shape[1]))
            self.table = np.concatenate([self.table, room])
        names = self._stretch.symbols
        found = self._bench.correlations(names[one], names[other], *self._windows)
        self.table[self._count] = found[self._stretch.ordinal]
        self.numbers[one, other] = self.numbers[other, one] = self._count
        self._count += 1
