# SPDX-License-Identifier: GPL-3.0-or-later
"""Scored headlines as columns of the bars, each headline on the first bar that could know it.

    news_score         the strongest score of the bar's headlines; 0 without any
    news_count         how many headlines the bar has
    news_sources       distinct sources whose score has the sign of news_score
    bad_news_score     the worst score of the last bar with bad news
    bad_news_sources   distinct sources of bad news on that bar
    bad_news_age       bars since then; 0 on the bar itself
    bad_news_price     the last close before its worst headline was seen, in the lines' units

The last four are NaN before the first bad news. A headline belongs to the first bar that ends at
or after it was seen plus the latency: one after the close counts for the next session. An item is
counted once, when it first names the symbol, with its score as it was known at that bar's end;
what is edited later changes nothing. Headlines from before the first bar are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from iverson.market.bars import Bars, Floats

NAMES = (
    "news_score", "news_count", "news_sources", "bad_news_score", "bad_news_sources",
    "bad_news_age", "bad_news_price",
)  # fmt: skip
FAINT = 0.05  # a score nearer to 0 has no sign

Stamps = NDArray[np.datetime64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Sightings:
    """States of items that name one symbol, in the order of `seen`: arrays of equal length.

    `item` numbers the item that a state is of, `source` its source; `published` is the vendor's
    stamp, and no column rests on it.
    """

    seen: Stamps
    published: Stamps
    item: Ints
    source: Ints
    score: Floats

    def __len__(self) -> int:
        return len(self.seen)

    def __getitem__(self, rows: NDArray[np.bool_] | Ints) -> Sightings:
        """Return some rows."""
        return Sightings(**{name: values[rows] for name, values in vars(self).items()})


@dataclass(frozen=True)
class NewsColumns:
    """Makes the columns above: `sightings` by symbol; `bad` is the score from which news is bad.

    `latency` is how long after it was seen a headline counts.
    """

    sightings: Mapping[str, Sightings]
    latency: np.timedelta64
    bad: float
    words: str = "headlines"

    def columns(self, bars: Bars) -> dict[str, Floats]:
        """Return the columns of one symbol; a symbol without headlines has 0 and NaN."""
        count = len(bars)
        found = dict.fromkeys(NAMES, np.full(count, np.nan))
        found |= {name: np.zeros(count) for name in NAMES[:3]}
        known = self.sightings.get(bars.symbol)
        if known is None or not len(known) or not count:
            return found
        bar, one = self._counted(bars, known)
        if not len(bar):
            return found
        found |= _of_each_bar(bar, one, count)
        found |= self._of_last_bad(bar, one, bars)
        return found

    def as_of(self, at: datetime) -> NewsColumns:
        """Return the columns of what counted by an instant."""
        return self._each(lambda one: one[one.seen + self.latency <= _stamp(at)])

    def changed(self, at: datetime, seed: int) -> NewsColumns:
        """Return columns of other news after an instant: all scores differ, and there is more."""
        rng = np.random.default_rng(seed)
        since = _stamp(at) - self.latency
        soon = since + np.array([1, 60_000_000_000, 86_400_000_000_000], "timedelta64[ns]")

        def change(one: Sightings) -> Sightings:
            later = one.seen > since
            score = np.where(later, -np.sign(one.score + 1e-9) * rng.random(len(one)), one.score)
            new = 1 + one.item.max(initial=0) + np.arange(len(soon))
            more = Sightings(soon, soon, new, new, np.array([-1.0, 0.9, -0.8]))
            joined = {
                name: np.concatenate([values, getattr(more, name)])
                for name, values in vars(replace(one, score=score)).items()
            }
            both = Sightings(**joined)
            return both[np.argsort(both.seen, kind="stable")]

        return self._each(change)

    def _each(self, change: object) -> NewsColumns:
        assert callable(change)
        made = {symbol: change(one) for symbol, one in self.sightings.items()}
        return replace(self, sightings=made)

    def bars_of(self, bars: Bars, known: Sightings) -> Ints:
        """Return the row of the bar at which each state counts; `len(bars)`: none yet."""
        return np.searchsorted(bars.at, known.seen + self.latency, side="left")

    def _counted(self, bars: Bars, known: Sightings) -> tuple[Ints, Sightings]:
        """Return each item once: its bar, and its state as known at the end of that bar."""
        row = self.bars_of(bars, known)
        order = np.lexsort((np.arange(len(known)), known.item))
        row, known = row[order], known[order]
        begins = np.r_[True, known.item[1:] != known.item[:-1]]
        first = row[np.flatnonzero(begins)][np.cumsum(begins) - 1]
        in_time = row == first
        last = in_time & np.r_[~(in_time[1:] & ~begins[1:]), True]
        # of an item's first state the instant counts, whatever was edited in the same bar
        seen = known.seen[np.flatnonzero(begins)][np.cumsum(begins) - 1]
        known = replace(known, seen=seen)
        before = known.seen + self.latency <= bars.at[0]
        kept = last & (row < len(bars)) & ~(before & (row == 0))
        return row[kept], known[kept]

    def _of_last_bad(self, bar: Ints, one: Sightings, bars: Bars) -> dict[str, Floats]:
        is_bad = one.score <= self.bad
        bar, one = bar[is_bad], one[is_bad]
        count = len(bars)
        order = np.lexsort((-one.seen.astype(np.int64), -one.score, bar))
        bar, one = bar[order], one[order]
        worst = np.r_[bar[1:] != bar[:-1], True][: len(bar)]
        close = bars.close * bars.factor
        before = np.searchsorted(bars.at, one.seen[worst], side="right") - 1
        price = np.where(before >= 0, close[np.maximum(before, 0)], np.nan)
        last = np.full(count, -1, dtype=np.int64)
        last[bar[worst]] = np.arange(int(worst.sum()))
        last = np.maximum.accumulate(last)
        there = last >= 0

        def carried(values: Floats) -> Floats:
            return np.where(there, np.r_[values, np.nan][last], np.nan)

        return {
            "bad_news_score": carried(one.score[worst]),
            "bad_news_sources": carried(_distinct(bar, one.source, count)[bar[worst]]),
            "bad_news_age": np.arange(count) - carried(bar[worst].astype(np.float64)),
            "bad_news_price": carried(price),
        }


def _of_each_bar(bar: Ints, one: Sightings, count: int) -> dict[str, Floats]:
    order = np.lexsort((-one.score, np.abs(one.score), bar))  # between equals the bad one counts
    strongest = order[np.r_[np.diff(bar[order]) != 0, True]]
    score = np.zeros(count)
    score[bar[strongest]] = one.score[strongest]
    agree = (np.abs(one.score) >= FAINT) & (np.sign(one.score) == np.sign(score[bar]))
    return {
        "news_score": score,
        "news_count": np.bincount(bar, minlength=count).astype(np.float64),
        "news_sources": _distinct(bar[agree], one.source[agree], count),
    }


def _distinct(bar: Ints, source: Ints, count: int) -> Floats:
    pairs = np.unique(np.column_stack([bar, source]), axis=0)
    return np.bincount(pairs[:, 0], minlength=count).astype(np.float64)


def _stamp(at: datetime) -> np.datetime64:
    return np.datetime64(at.replace(tzinfo=None), "ns")
