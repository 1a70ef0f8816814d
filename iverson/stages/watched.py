# SPDX-License-Identifier: GPL-3.0-or-later
"""Live bars written down as they are handed to the strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from iverson.execution.alpaca.hub import Candle, Hub
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.stages.seen import Seen


class Watched:
    """Notes candles as the bars that a backtest of them would read.

    Parameters
    ----------
    bars: the history of the symbols, for their interval and the split ratio that is in force.
    """

    def __init__(self, seen: Seen, bars: Mapping[str, Bars]) -> None:
        self._seen = seen
        self._bars = bars

    def note(self, candle: Candle) -> None:
        """Write one down."""
        known = self._bars[candle.symbol]
        at = np.datetime64(candle.at.replace(tzinfo=None), "ns")
        factor = known.factor[max(int(np.searchsorted(known.at, at, "right")) - 1, 0)]
        self._seen.note_one(
            Bars(
                candle.symbol,
                known.interval,
                at=np.array([at]),
                session=np.array([new_york().session_of(candle.at)], dtype="datetime64[D]"),
                open=np.array([candle.open]),
                high=np.array([candle.high]),
                low=np.array([candle.low]),
                close=np.array([candle.close]),
                volume=np.array([candle.volume]),
                factor=np.array([factor]),
                dividend=np.zeros(1),
            )
        )


class SeeingHub(Hub):
    """A hub that has every bar written down before it hands it out."""

    see: Callable[[Candle], None] = staticmethod(lambda _: None)

    def take(self, symbol: str) -> Candle | None:
        """Return the next bar, once it is written down."""
        bar = super().take(symbol)
        if bar is not None:
            self.see(bar)
        return bar
