# SPDX-License-Identifier: GPL-3.0-or-later
"""Columns beside the bars: what else was known at each bar, read by a strategy as lines.

A source makes columns from one symbol's bars. It must be able to say what it knew at an instant
(`as_of`) and to imagine another future (`changed`), because that is how `iverson check` finds a
column that knows too much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from iverson.errors import ConfigError
from iverson.market.bars import Bars, Floats
from iverson.market.feeds import MADE_UP_BESIDE, is_synthetic

PRICE_LINES = frozenset(
    ("datetime", "open", "high", "low", "close", "volume", "openinterest", "factor", "dividend")
)


class Source(Protocol):
    """Makes columns from what was known; frozen and picklable."""

    @property
    def words(self) -> str:
        """Say for the passport what the columns rest on."""
        ...

    def columns(self, bars: Bars) -> Mapping[str, Floats]:
        """Return columns (n,) by name; row i may rest on nothing later than `bars.at[i]`.

        Prices are in the units of the lines: raw price x factor.
        """
        ...

    def as_of(self, at: datetime) -> Source:
        """Return the source as it was at an instant."""
        ...

    def changed(self, at: datetime, seed: int) -> Source:
        """Return a source that is the same up to an instant and different after it."""
        ...


class Columns(Protocol):
    """What a system is given: opened beside its bars it is a source."""

    def opened(self, symbols: Sequence[str], store: Path) -> Source:
        """Return the source for these symbols; `store` is the folder of the bars."""
        ...


def attach(bars: Mapping[str, Bars], sources: Sequence[Source]) -> dict[str, Bars]:
    """Return the bars with the columns of each source, which replace extra ones of their names.

    `ConfigError` for a name that is no name of a line, or is a price's or another source's.
    """
    return {symbol: _attached(one, sources) for symbol, one in bars.items()}


def notes(sources: Sequence[Source]) -> tuple[str, ...]:
    """Return what there is to note about what was made up."""
    return (MADE_UP_BESIDE,) if any(is_synthetic(one.words) for one in sources) else ()


def _attached(bars: Bars, sources: Sequence[Source]) -> Bars:
    if not sources:
        return bars
    made: dict[str, Floats] = {}
    for source in sources:
        for name, values in source.columns(bars).items():
            if name in made or name in PRICE_LINES or not name.isidentifier():
                raise ConfigError(
                    f"column {name!r} is {'there twice' if name in made else 'no name of a line'}; "
                    "expected a name of its own in letters, as news_score"
                )
            made[name] = np.array(values, dtype=np.float64)
    return replace(bars, extra={**bars.extra, **made})
