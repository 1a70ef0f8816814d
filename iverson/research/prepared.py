# SPDX-License-Identifier: GPL-3.0-or-later
"""Bars made ready to be run over: converted once, sliced for each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from iverson.engine.feed import ArrayData, columns_of, numbers_of, with_lines
from iverson.market.bars import DAILY, Bars
from iverson.market.history import DailyHistory
from iverson.market.moments import timeframe


class Feed:
    """One symbol's bars as Backtrader lines, converted once and sliced for each run."""

    def __init__(self, bars: Bars, numbers: NDArray[np.float64] | None = None) -> None:
        self.bars = bars
        if numbers is None:  # else those of `bars.at`, which take longest
            numbers = numbers_of(bars.at)
        self.numbers = numbers
        self.columns = columns_of(
            datetime=numbers,
            open=bars.open * bars.factor,
            high=bars.high * bars.factor,
            low=bars.low * bars.factor,
            close=bars.close * bars.factor,
            volume=bars.volume / bars.factor,
            openinterest=np.zeros(len(bars)),
            factor=bars.factor,
            dividend=bars.dividend,
            **bars.extra,
        )
        self.kind: Any = with_lines(ArrayData, tuple(bars.extra))

    def window(self, first: date, last: date, warm_up: int) -> slice:
        """Rows from `warm_up` bars before the first session through the last."""
        start = int(np.searchsorted(self.bars.session, np.datetime64(first, "D")))
        end = int(np.searchsorted(self.bars.session, np.datetime64(last, "D"), side="right"))
        return slice(max(0, start - warm_up), end)

    def data(self, rows: slice) -> ArrayData:
        """Return a fresh feed over some rows."""
        columns = {name: column[rows] for name, column in self.columns.items()}
        feed: ArrayData = self.kind(dataname=columns, **timeframe(self.bars.interval))
        return feed


@dataclass(frozen=True)
class Prepared:
    """Bars made ready for many runs; `ends` is the date number of each symbol's last bar ever."""

    feeds: Mapping[str, Feed]
    history: DailyHistory
    ends: Mapping[str, float]

    @property
    def interval(self) -> str:
        """The interval of the bars, one for all symbols; daily when there are none."""
        return interval_of({symbol: feed.bars for symbol, feed in self.feeds.items()})

    @classmethod
    def of(cls, bars: Mapping[str, Bars]) -> Prepared:
        """Convert bars, in the order of their symbols; the same bars once, as long as in use."""
        key = tuple((symbol, id(one)) for symbol, one in bars.items())
        found = _IN_USE.get(key)  # which keeps its bars, so that no others have their places
        if found is None:
            feeds = {symbol: Feed(one) for symbol, one in bars.items()}
            ends = {name: float(one.numbers[-1]) for name, one in feeds.items() if len(one.bars)}
            found = _IN_USE[key] = cls(feeds, DailyHistory(bars), ends)
        return found


_IN_USE: WeakValueDictionary[tuple[tuple[str, int], ...], Prepared] = WeakValueDictionary()


def interval_of(bars: Mapping[str, Bars]) -> str:
    """Return the interval of a run's bars, that of the first symbol; daily when there are none."""
    return next((one.interval for one in bars.values()), DAILY)
