# SPDX-License-Identifier: GPL-3.0-or-later
"""A Backtrader feed over whole columns: preloading hands the arrays over instead of copying rows.

Knows Backtrader only. Stock `PandasData` spends about 80 microseconds a row on preloading; this
spends nothing, and gives the same lines.
"""

from __future__ import annotations

import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import backtrader as bt
import numpy as np
from numpy.typing import NDArray


def day_numbers(instants: Iterable[datetime]) -> NDArray[np.float64]:
    """Return Backtrader's date numbers (days, UTC) of naive UTC instants."""
    return np.fromiter((bt.date2num(at) for at in instants), dtype=np.float64)


def numbers_of(instants: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Return the same for an array of naive UTC instants, shape (n,), to the bit but quickly.

    Backtrader adds a date's number, a whole one, to fractions of the time of day and rounds once.
    From 1436 to 2871 all such sums are rounded to the same grid, on which whole numbers lie: so a
    time of day adds the same to every date, and there are few of them.
    """
    exact = instants.astype("datetime64[us]")
    days = exact.astype("datetime64[D]")
    times, place = np.unique(exact - days, return_inverse=True)
    on_epoch = (np.datetime64(0, "us") + times).tolist()
    return days.astype(np.int64) + day_numbers(on_epoch)[place.reshape(-1)]


def line_array(values: NDArray[np.float64]) -> array.array[float]:
    """Copy a column into the kind of array that Backtrader's lines hold."""
    line = array.array("d")
    line.frombytes(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    return line


class ArrayData(bt.feed.DataBase):
    """Feed whose `dataname` is a mapping of line name to `array.array` of doubles.

    Beside Backtrader's lines it has `factor` (cumulative split ratio: raw price x factor is the
    price line) and `dividend` (raw dollars a share on the ex-date's first bar). A line that is
    not given is NaN. The arrays are shared, not copied: a run never writes to them.
    """

    lines: Any = ("factor", "dividend")
    added: tuple[str, ...] = ()  # lines of `with_lines`; a resampled bar has its last bar's

    def start(self) -> None:
        """Point before the first row."""
        super().start()
        self._columns: Mapping[str, array.array[float]] = self.p.dataname
        self._rows = len(self._columns["datetime"])
        self._row = -1
        self._delivered = 0

    def preload(self) -> None:
        """Hand whole columns over; falls back to rows when filters have to see each one."""
        if self._filters or self._ffilters or self._tzinput or self._window_asked():
            super().preload()
            return
        nan = array.array("d", [float("nan")])
        for name in self.getlinealiases():
            line = getattr(self.lines, name)
            column = self._columns.get(name)
            line.array = column if column is not None else nan * self._rows
            if line.extension:
                line.array = line.array + nan * line.extension
        self._row = self._rows  # nothing is left for row-wise loading
        self.home()

    def _window_asked(self) -> bool:
        return bool(self.fromdate != float("-inf") or self.todate != float("inf"))

    def _fromstack(self, forward: bool = False, stash: bool = False) -> bool:
        """Deliver a resampled bar; Backtrader's filters know nothing of the lines added here."""
        if not super()._fromstack(forward=forward, stash=stash):
            return False
        row = bisect_right(self._columns["datetime"], self.lines.datetime[0])
        if row and "factor" in self._columns:
            self.lines.factor[0] = self._columns["factor"][row - 1]
        for name in self.added:
            if row:
                getattr(self.lines, name)[0] = self._columns[name][row - 1]
        if "dividend" in self._columns:
            self.lines.dividend[0] = sum(self._columns["dividend"][self._delivered : row])
        self._delivered = row
        return True

    def _load(self) -> bool:
        self._row += 1
        if self._row >= self._rows:
            return False
        for name in self.getlinealiases():
            column = self._columns.get(name)
            getattr(self.lines, name)[0] = column[self._row] if column is not None else float("nan")
        return True


@lru_cache(maxsize=64)
def with_lines(feed: type[ArrayData], names: tuple[str, ...]) -> type[ArrayData]:
    """Return a feed class with lines of these names beside those it has."""
    if not names:
        return feed
    kind: Any = type(feed)  # Backtrader's metaclass
    body = {"lines": names, "added": names, "__module__": __name__, "__doc__": feed.__doc__}
    made: type[ArrayData] = kind(f"_{feed.__name__.lstrip('_')}", (feed,), body)
    return made


def columns_of(**columns: NDArray[np.float64]) -> dict[str, Any]:
    """Turn numpy columns, by line name, into what `ArrayData` takes."""
    return {name: line_array(values) for name, values in columns.items()}
