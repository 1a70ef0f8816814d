# SPDX-License-Identifier: GPL-3.0-or-later
"""What connects a stream with daily bars: history, then the session's own once it is over."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import backtrader as bt

from iverson.engine.feed import with_lines
from iverson.execution.alpaca.days import Coming, DayData
from iverson.execution.alpaca.store import AlpacaStore
from iverson.market.bars import Bars
from iverson.market.history import DailyHistory
from iverson.market.moments import timeframe
from iverson.research.backtest import Feed


class DayLine:
    """The feeds of one session.

    Parameters
    ----------
    history: what rules and sizing read of days gone by; it grows by the bars that are given.
    wait: lets at most so many seconds pass; it may `give`, or end the run.
    started: called with the store once everything else is ready.
    """

    def __init__(
        self,
        history: DailyHistory,
        *,
        wait: Callable[[float], None],
        started: Callable[[AlpacaStore], None],
    ) -> None:
        self.begin = started
        self._history = history
        self._coming = Coming(wait)
        self._since: dict[str, float] = {}
        self._newest = math.inf

    def feed(self, known: Feed, rows: slice) -> bt.feed.DataBase:
        """Return the feed of a symbol."""
        bars = known.bars
        kind: Any = with_lines(DayData, tuple(bars.extra))
        columns = {name: column[rows] for name, column in known.columns.items()}
        self._since[bars.symbol] = columns["datetime"][0]
        made: bt.feed.DataBase = kind(
            dataname=columns, coming=self._coming, **timeframe(bars.interval)
        )
        return made

    def give(self, bars: Mapping[str, Bars]) -> None:
        """Hand out what is new in longer bars."""
        self._history.renew(bars)
        found = {}
        for symbol, since in self._since.items():
            feed = Feed(bars[symbol])
            start = int(feed.numbers.searchsorted(since))
            found[symbol] = {name: column[start:] for name, column in feed.columns.items()}
        self._newest = max(columns["datetime"][-1] for columns in found.values())
        self._coming.give(found)

    def decided(self, cerebro: bt.Cerebro) -> bool:
        """Whether the run has acted on what was given."""
        return bool(cerebro.runningstrats[0].datetime[0] >= self._newest)
