# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled sample: five large companies, daily, 2000 to 2013, raw, with their actions.

Quandl WIKI Prices (public domain), via bokeh_sampledata; see data/sample/README.md. These are
names that survived and became famous: good for learning and for tests, never for judging a
strategy.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import pandas as pd

from iverson.errors import MissingBars
from iverson.market import actions as table
from iverson.market.assembly import assemble
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.files import read_parquet
from iverson.market.store import missing

DIRECTORY = Path(__file__).resolve().parents[2] / "data" / "sample"
SOURCE = "bundled sample: Quandl WIKI Prices (public domain), via bokeh_sampledata"
FEED = "consolidated, daily"


def load(symbols: Iterable[str] | None = None) -> dict[str, Bars]:
    """Return the daily bars of the named symbols, all of the sample if None.

    `MissingBars` for a symbol that is not in it, or when the sample is not installed.
    """
    known = names()
    wanted = known if symbols is None else list(symbols)
    for symbol in wanted:
        if symbol not in known:
            raise missing(symbol, known, where="the bundled sample", interval=DAILY)
    return {symbol: _bars(symbol) for symbol in wanted}


def names() -> list[str]:
    """Return the symbols of the sample, sorted."""
    return sorted(str(symbol) for symbol in rows()["symbol"].unique())


@lru_cache(maxsize=1)
def rows() -> pd.DataFrame:
    """Return the raw rows: symbol, session, prices, volume and adj_close as of 2018."""
    return _read("bars.parquet")


@lru_cache(maxsize=1)
def actions() -> pd.DataFrame:
    """Return the actions table of the sample."""
    return table.tidy(_read("actions.parquet"))


@lru_cache(maxsize=16)
def _bars(symbol: str) -> Bars:
    own = rows().loc[rows()["symbol"] == symbol]
    return assemble(own, actions(), new_york(), symbol=symbol, interval=DAILY, feed=FEED)


def _read(name: str) -> pd.DataFrame:
    path = DIRECTORY / name
    if not path.is_file():
        raise MissingBars(
            f"the bundled sample is not at {path}; run from a checkout of the project, or import "
            "bars of your own with `iverson bars import`"
        )
    return read_parquet(path)
