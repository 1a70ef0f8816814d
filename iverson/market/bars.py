# SPDX-License-Identifier: GPL-3.0-or-later
"""Bars: one symbol's history as immutable columns, raw, with what splits and dividends did.

Prices and volumes are raw: what was quoted and traded that day. `factor` is the cumulative split
ratio known *at* each bar, 1.0 at the first: raw price x factor is a continuous series that never
changes when a later split arrives, so nothing computed from it can see the future. `at` is the
bar's right edge in UTC (a daily bar's is its session's close); Alpaca and most vendors stamp the
left edge, and readers move it, once, on the way in. `extra` holds further columns by name, which
a strategy reads as lines beside the prices; `market.columns` puts them there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.errors import BadBars

Floats = NDArray[np.float64]
DAILY = "1d"
_NO_COLUMNS = ("symbol", "interval", "feed", "extra")


@dataclass(frozen=True)
class Bars:
    """Columns of equal length, strictly increasing in `at`.

    Shapes: every array (n,). `session` is datetime64[D], `at` datetime64[ns] in UTC. `dividend`
    is cash a share (raw dollars) on the first bar of the ex-session, 0 elsewhere. Prices are
    never NaN here; `BadBars` otherwise. `extra` may be NaN where nothing is known. `feed` says in
    words where the prices were seen ("iex", "SYNTHETIC"; "": unknown) and goes wherever they go.
    """

    symbol: str
    interval: str
    at: NDArray[np.datetime64]
    session: NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    factor: Floats
    dividend: Floats
    feed: str = ""
    extra: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.at)
        columns = {name: getattr(self, name) for name in _columns()}
        for name, values in (*columns.items(), *self.extra.items()):
            if values.shape != (n,):
                raise BadBars(
                    f"{self.symbol}: column {name} has shape {values.shape}, expected ({n},)"
                )
            values.setflags(write=False)
        if n > 1 and not (self.at[1:] > self.at[:-1]).all():
            raise BadBars(
                f"{self.symbol}: bars are not strictly increasing in time; "
                "run `iverson bars check` and mend the source"
            )
        for name in ("open", "high", "low", "close"):
            values = getattr(self, name)
            bad = ~(np.isfinite(values) & (values > 0))
            if bad.any():
                where = self.session[int(np.argmax(bad))]
                raise BadBars(
                    f"{self.symbol} has {int(bad.sum())} bars whose {name} is not a price above 0, "
                    f"the first on {where}; run `iverson bars check` and mend the source"
                )

    def __len__(self) -> int:
        return len(self.at)

    def __repr__(self) -> str:
        span = f"{self.session[0]}..{self.session[-1]}" if len(self) else "empty"
        return f"Bars({self.symbol!r}, {self.interval!r}, {len(self)} bars, {span})"

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Bars:
        """Return some bars, in time; `factor` keeps the basis of the whole history."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in _columns()}
        extra = {name: values[rows] for name, values in self.extra.items()}
        return replace(self, **columns, extra=extra)

    def between(self, first: date, last: date) -> Bars:
        """Return the bars of the sessions from `first` to `last`, both included."""
        start = int(np.searchsorted(self.session, np.datetime64(first, "D")))
        end = int(np.searchsorted(self.session, np.datetime64(last, "D"), side="right"))
        return self[start:end]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the symbol, the interval and every column, hexadecimal."""
        total = hashlib.sha256(f"{self.symbol}|{self.interval}".encode())
        for name in _columns():
            total.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        for name in sorted(self.extra):
            total.update(f"|{name}|".encode())
            total.update(np.ascontiguousarray(self.extra[name]).tobytes())
        return total.hexdigest()

    def frame(self) -> pd.DataFrame:
        """Return the columns as a DataFrame indexed by `at` (tz-aware UTC)."""
        columns = {name: getattr(self, name) for name in _columns() if name != "at"}
        index = pd.DatetimeIndex(self.at, name="at").tz_localize("UTC")
        return pd.DataFrame({**columns, **self.extra}, index=index)


def _columns() -> tuple[str, ...]:
    return tuple(one.name for one in fields(Bars) if one.name not in _NO_COLUMNS)
