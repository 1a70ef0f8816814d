# SPDX-License-Identifier: GPL-3.0-or-later
"""The source of bars for a run: the user's store first, then the bundled sample; and a passport.

A passport says what a result rests on: where the bars came from, how they were adjusted, which
sessions are missing, and a digest that changes when any number of them does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from iverson.errors import BadBars
from iverson.market import sample
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.checks_sessions import missing_sessions
from iverson.market.feeds import MADE_UP, MADE_UP_BESIDE, SYNTHETIC, is_synthetic, joined
from iverson.market.intervals import canonical
from iverson.market.store import Store, missing

RAW = "raw prices; splits by a factor known at each bar; dividends as cash"


@dataclass(frozen=True)
class Passport:
    """What a run's bars are: `bars` and `gaps` count bars and missing sessions by symbol.

    `columns` says what was read beside them; their numbers are in the digest too.
    """

    source: str
    symbols: tuple[str, ...]
    interval: str
    feed: str
    adjustment: str
    first: str
    last: str
    bars: Mapping[str, int]
    gaps: Mapping[str, int]
    digest: str
    columns: str = ""

    @property
    def is_synthetic(self) -> bool:
        """Whether any of the bars, or of what was read beside them, were made by a computer."""
        return bool(self.made_up)

    @property
    def mark(self) -> str:
        """What titles and pictures bear of anything that was made up; "" when nothing was."""
        marks = {MADE_UP: f"{SYNTHETIC} BARS", MADE_UP_BESIDE: f"{SYNTHETIC} DATA"}
        return marks.get(self.made_up, "")

    @property
    def made_up(self) -> str:
        """The sentence to say about it; "" when nothing was."""
        if is_synthetic(f"{self.source} {self.feed}"):
            return MADE_UP
        return MADE_UP_BESIDE if is_synthetic(self.columns) else ""

    def rows(self) -> list[tuple[str, str]]:
        """Return (label, text) pairs in the order to print them."""
        counts = ", ".join(f"{symbol} {count}" for symbol, count in self.bars.items())
        beside = [("beside the bars", self.columns)] if self.columns else []
        gaps = ", ".join(f"{symbol} {count}" for symbol, count in self.gaps.items() if count)
        return [
            ("source", self.source),
            ("symbols", ", ".join(self.symbols)),
            ("interval", self.interval),
            ("feed", self.feed),
            ("adjustment", self.adjustment),
            ("first session", self.first),
            ("last session", self.last),
            ("bars", counts),
            ("missing sessions", gaps or "none"),
            *beside,
            ("digest", self.digest),
        ]


def load_bars(
    symbols: Iterable[str],
    *,
    interval: str = DAILY,
    store: Store | Path | str | None = None,
    all_of_them: bool = True,
) -> dict[str, Bars]:
    """Return bars by symbol: from the store when it has them, else from the bundled sample.

    `store` is a `Store` or its directory; None is `data/cache`. `MissingBars` names what there is;
    unless `all_of_them` have to be there it is raised only when none is.
    """
    length = canonical(interval)
    shelf = _shelf(store)
    stored = set(shelf.symbols(length))
    result: dict[str, Bars] = {}
    symbols = list(symbols)
    for symbol in symbols:
        if symbol in stored:
            result[symbol] = shelf.read(symbol, length)
        elif length == DAILY and symbol in sample.names():
            result |= sample.load([symbol])
        elif all_of_them or (not result and symbol == symbols[-1]):
            known = sorted(stored | (set(sample.names()) if length == DAILY else set()))
            raise missing(
                symbol, known, where=f"{shelf.path} or the bundled sample", interval=length
            )
    return result


def passport(bars: Mapping[str, Bars], *, store: Store | Path | str | None = None) -> Passport:
    """Build the passport of the bars of one run; all must have the same interval.

    Source, feed and adjustment are what the store, or the sample, records for these symbols; a
    symbol in neither is "in memory". `BadBars` for no bars at all.
    """
    if not bars or not all(len(own) for own in bars.values()):
        raise BadBars("no bars to describe; expected at least one bar of each symbol")
    intervals = _intervals(bars)
    if len(intervals) > 1:
        raise BadBars(f"bars of several intervals ({', '.join(sorted(intervals))}); expected one")
    interval = intervals.pop()
    symbols = tuple(sorted(bars))
    shelf = _shelf(store)
    stored = set(shelf.symbols(interval))  # once: it looks through the folder
    origins = [_origin(symbol, bars[symbol], shelf, stored) for symbol in symbols]
    total = hashlib.sha256()
    for symbol in symbols:
        total.update(bars[symbol].digest.encode())
    calendar = new_york()
    return Passport(
        source=joined(origin[0] for origin in origins),
        symbols=symbols,
        interval=interval,
        feed=joined(origin[1] for origin in origins),
        adjustment=joined(origin[2] for origin in origins),
        first=str(min(own.session[0] for own in bars.values())),
        last=str(max(own.session[-1] for own in bars.values())),
        bars={symbol: len(bars[symbol]) for symbol in symbols},
        gaps={symbol: len(missing_sessions(bars[symbol].session, calendar)) for symbol in symbols},
        digest=total.hexdigest(),
    )


def feed_words(bars: Mapping[str, Bars], *, store: Store | Path | str | None = None) -> str:
    """Return what a passport of these bars would say of their feed."""
    shelf = _shelf(store)
    stored = {interval: set(shelf.symbols(interval)) for interval in _intervals(bars)}
    return joined(
        _origin(symbol, one, shelf, stored[one.interval])[1] for symbol, one in bars.items()
    )


def _intervals(bars: Mapping[str, Bars]) -> set[str]:
    return {one.interval for one in bars.values()}


def _shelf(store: Store | Path | str | None) -> Store:
    if isinstance(store, Store):
        return store
    return Store() if store is None else Store(store)


def _origin(symbol: str, bars: Bars, shelf: Store, stored: Collection[str]) -> tuple[str, str, str]:
    interval = bars.interval
    if symbol in stored:
        record = shelf.passport(symbol, interval)
        adjustment = RAW if record["adjustment"] == "raw" else str(record["adjustment"])
        source, feed = str(record["source"]) or str(shelf.path), str(record["feed"])
    elif interval == DAILY and symbol in sample.names():
        source, feed, adjustment = sample.SOURCE, sample.FEED, RAW
    else:
        source, feed, adjustment = "in memory", "", RAW
    # what the bars themselves say goes first: they may be others than those of the store
    return source, bars.feed or feed or "unknown", adjustment
