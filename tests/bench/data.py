# SPDX-License-Identifier: GPL-3.0-or-later
"""The bars of each work: `python -m tests.bench.data WORK FILE` writes them for the engines.

The walk-forward's are the bundled sample's, continuous through splits (raw price x factor) and in
cents, dividends left out: most engines know neither splits nor dividends.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from iverson.market import sample
from iverson.market.bars import Bars
from tests.bench.work import WORKS, Series, Work, daily_bars, minute_bars, save


def make(what: Work) -> dict[str, Series]:
    """Return the bars of a work."""
    if what.kind == "cross":
        return minute_bars(what)
    stocks = {symbol: _series(bars) for symbol, bars in sample.load().items()}
    if what.kind == "sweep":  # generated prices on the exchange's own sessions
        return daily_bars(what, stocks["IBM"].stamp)
    return {symbol: Series(*(c[-what.bars :] for c in one)) for symbol, one in stocks.items()}


def _series(bars: Bars) -> Series:
    prices = (
        np.round(getattr(bars, name) * bars.factor, 2) for name in ("open", "high", "low", "close")
    )
    stamp = bars.at.astype("datetime64[s]").astype(np.int64)
    return Series(stamp, *prices, bars.volume / bars.factor)


if __name__ == "__main__":
    save(make(WORKS[sys.argv[1]]), Path(sys.argv[2]))
