# SPDX-License-Identifier: GPL-3.0-or-later
"""The market: history to be replayed, its assets and its news; immutable, and blind ahead.

Built from `iverson.market.bars.Bars`, raw prices, all of one interval. Every question names the
instant it is asked at, or the span it is about; nothing that ends later is in the answer. Minute
bars may lie outside regular hours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pandas as pd

from iverson.errors import DataError
from iverson.market import intervals
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.simulator.assets import Asset, listed
from iverson.simulator.news import Article, in_order


@dataclass(frozen=True, slots=True)
class Bar:
    """One replayed bar: raw prices of its day, volume in shares, `start` < `end` in UTC.

    `end` is the right edge. A daily bar starts at the open of its session.
    """

    symbol: str
    start: datetime
    end: datetime
    session: date
    open: float
    high: float
    low: float
    close: float
    volume: float


class Market:
    """Replayed history of some symbols.

    Parameters
    ----------
    history : symbol -> bars; all of one interval ("1d" or minutes), none empty
    assets : what is known about symbols; those not named are liquid stocks that allow everything.
        An asset without bars is listed, and never traded.
    news : every version of every article, in any order
    seed : of the assets' identifiers

    `DataError` without bars, for mixed intervals, for a name that is not its bars' symbol, for a
    session on which the exchange was closed, and for a dividend of no less than the close before.
    """

    def __init__(
        self,
        history: Mapping[str, Bars],
        *,
        assets: Iterable[Asset] = (),
        news: Iterable[Article] = (),
        seed: int = 0,
    ) -> None:
        found = {bars.interval for bars in history.values() if len(bars)}
        if len(found) != 1 or not all(len(bars) for bars in history.values()):
            raise DataError(
                f"the market was given bars of {', '.join(sorted(found)) or 'no interval'}; "
                "expected at least one bar of every symbol, all of one interval"
            )
        for symbol, bars in history.items():
            if bars.symbol != symbol:
                raise DataError(f"the bars of {bars.symbol} were given as those of {symbol}")
        self.interval: str = found.pop()
        self.symbols: tuple[str, ...] = tuple(sorted(history))
        self.seed = seed
        self.news: tuple[Article, ...] = in_order(news)
        self._assets = {symbol: listed(symbol, seed=seed) for symbol in self.symbols}
        self._assets |= {asset.symbol: asset for asset in assets}
        self._columns = {symbol: _Columns(history[symbol]) for symbol in self.symbols}
        self._merge(history)

    def __repr__(self) -> str:
        return (
            f"Market({len(self.symbols)} symbols, {self.interval!r}, "
            f"{self._ends[0]:%Y-%m-%d}..{self._ends[-1]:%Y-%m-%d})"
        )

    @property
    def minutes(self) -> int | None:
        """Length of a bar in minutes, None for daily bars."""
        return intervals.minutes(self.interval)

    def bars_between(self, after: datetime, until: datetime) -> list[Bar]:
        """Return the bars of all symbols whose end lies in (after, until], by (end, symbol)."""
        rows = range(bisect_right(self._ends, after), bisect_right(self._ends, until))
        return [self._columns[self.symbols[self._owner[i]]].bar(self._row[i]) for i in rows]

    def next_end(self, after: datetime) -> datetime | None:
        """Return the first end of a bar strictly after an instant, None when there is none."""
        index = bisect_right(self._ends, after)
        return self._ends[index] if index < len(self._ends) else None

    def last(self, symbol: str, at: datetime) -> Bar | None:
        """Return the symbol's last bar that had ended at `at`; None before it, or if unknown."""
        columns = self._columns.get(symbol)
        if columns is None:
            return None
        index = bisect_right(columns.ends, at)
        return columns.bar(index - 1) if index else None

    def bars_of(self, symbol: str, after: datetime, until: datetime) -> Iterator[Bar]:
        """Return one symbol's bars whose end lies in (after, until], in order; none if unknown."""
        columns = self._columns.get(symbol)
        if columns is None:
            return iter(())
        first, last = bisect_right(columns.ends, after), bisect_right(columns.ends, until)
        return map(columns.bar, range(first, last))

    def splits_on(self, session: date) -> dict[str, float]:
        """Return the splits in force from a session on: new shares for one old share."""
        return dict(self._splits.get(session, {}))

    def dividends_on(self, session: date) -> dict[str, float]:
        """Return the dividends whose ex-date a session is: raw dollars a share."""
        return dict(self._dividends.get(session, {}))

    def splits(self, symbol: str) -> dict[date, float]:
        """Return all splits of one symbol by ex-date, those to come as well."""
        return _of_symbol(self._splits, symbol)

    def dividends(self, symbol: str) -> dict[date, float]:
        """Return all dividends of one symbol by ex-date, those to come as well."""
        return _of_symbol(self._dividends, symbol)

    def asset(self, symbol: str) -> Asset | None:
        """Return what is known about a symbol, None if it is not listed."""
        return self._assets.get(symbol)

    @property
    def assets(self) -> list[Asset]:
        """Every listed asset, by exchange and symbol."""
        return sorted(self._assets.values(), key=lambda one: (one.exchange, one.symbol))

    def news_between(self, after: datetime, until: datetime) -> list[Article]:
        """Return the versions of articles that came out in (after, until], in order."""
        first = bisect_right(self.news, after, key=_out_at)
        return list(self.news[first : bisect_right(self.news, until, key=_out_at)])

    def next_news(self, after: datetime) -> datetime | None:
        """Return the first instant after another at which a version of an article came out."""
        index = bisect_right(self.news, after, key=_out_at)
        return self.news[index].updated_at if index < len(self.news) else None

    def _merge(self, history: Mapping[str, Bars]) -> None:
        ends = np.concatenate([history[symbol].at for symbol in self.symbols])
        sizes = [len(history[symbol]) for symbol in self.symbols]
        owner = np.repeat(np.arange(len(sizes)), sizes)
        row = np.concatenate([np.arange(size) for size in sizes])
        order = np.lexsort((owner, ends))
        self._ends = _instants(ends[order])
        self._owner: list[int] = owner[order].tolist()
        self._row: list[int] = row[order].tolist()
        self._splits: dict[date, dict[str, float]] = {}
        self._dividends: dict[date, dict[str, float]] = {}
        for symbol in self.symbols:
            bars = history[symbol]
            steps = np.flatnonzero(bars.factor[1:] != bars.factor[:-1]) + 1
            for index in steps.tolist():
                ratio = _plain(float(bars.factor[index] / bars.factor[index - 1]))
                self._splits.setdefault(bars.session[index].item(), {})[symbol] = ratio
            for index in np.flatnonzero(bars.dividend).tolist():
                paid = float(bars.dividend[index])
                if index:
                    ratio = float(bars.factor[index] / bars.factor[index - 1])
                    _check_dividend(bars, index, paid, close=float(bars.close[index - 1]) / ratio)
                self._dividends.setdefault(bars.session[index].item(), {})[symbol] = paid


class _Columns:
    """One symbol's columns as lists, from which a bar is made when it is asked for."""

    def __init__(self, bars: Bars) -> None:
        self.symbol = bars.symbol
        self.ends = _instants(bars.at)
        self.sessions: list[date] = bars.session.tolist()
        self.prices = [
            column.tolist() for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)
        ]
        self.length = intervals.minutes(bars.interval)
        calendar = new_york()
        self.opens = _instants(calendar.opens(bars.session))
        if not np.isin(bars.session, calendar.sessions).all():
            closed = bars.session[~np.isin(bars.session, calendar.sessions)][0]
            raise DataError(
                f"{bars.symbol} has a bar on {closed}, when the exchange was closed; "
                "run `iverson bars check` and mend the source"
            )

    def bar(self, index: int) -> Bar:
        opened, high, low, close, volume = (column[index] for column in self.prices)
        return Bar(
            symbol=self.symbol,
            start=self._start(index),
            end=self.ends[index],
            session=self.sessions[index],
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=volume,
        )

    def _start(self, index: int) -> datetime:
        opened, end = self.opens[index], self.ends[index]
        if self.length is None:
            return opened
        start = end - timedelta(minutes=self.length)
        if start < opened < end:
            return opened
        # The last bar of a session may be short: hours counted from 09:30 leave half an hour.
        return max(start, self.ends[index - 1]) if index else start


def _instants(stamps: np.ndarray[tuple[int], np.dtype[np.datetime64]]) -> list[datetime]:
    instants: list[datetime] = pd.DatetimeIndex(stamps).tz_localize("UTC").to_pydatetime().tolist()
    return instants


def _check_dividend(bars: Bars, index: int, paid: float, *, close: float) -> None:
    if not 0 < paid < close:
        raise DataError(
            f"{bars.symbol} pays a dividend of {paid:g} on {bars.session[index]}, which is not "
            f"above 0 and below the close of {close:g} before it; mend the actions"
        )


def _out_at(article: Article) -> datetime:
    return article.updated_at


def _of_symbol(table: Mapping[date, Mapping[str, float]], symbol: str) -> dict[date, float]:
    return {day: of[symbol] for day, of in sorted(table.items()) if symbol in of}


def _plain(ratio: float) -> float:
    """Undo the rounding of a quotient of two cumulative factors: 7.000000000000001 is 7."""
    simple = float(Fraction(ratio).limit_denominator(1000))
    return simple if abs(simple / ratio - 1) < 1e-9 else ratio
