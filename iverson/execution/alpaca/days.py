# SPDX-License-Identifier: GPL-3.0-or-later
"""Daily bars for a run that stays awake: history, then the bar of the session once it is over.

Alpaca's stream of daily bars repeats a day that is still going on. So the bar is read like those of
the history, whole and with its split ratio, dividend and added columns, and not put together here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from iverson.engine.feed import ArrayData
from iverson.execution.alpaca.feed import history_left


class Coming:
    """What comes after the history of all feeds of a run.

    Parameters
    ----------
    wait: lets at most so many seconds pass; it may `give`, or end the run.
    """

    def __init__(self, wait: Callable[[float], None]) -> None:
        self.wait = wait
        self._given: dict[str, Any] = {}
        self._untaken: set[str] = set()

    def give(self, columns: dict[str, Any]) -> None:
        """Hand out longer columns, by symbol; they begin where the symbol's history does."""
        self._given = columns
        self._untaken = set(columns)

    def take(self, symbol: str) -> Any:
        """Return the columns of a symbol, once; None while there are none."""
        if symbol not in self._untaken:
            return None
        self._untaken.discard(symbol)
        return self._given[symbol]

    @property
    def empty(self) -> bool:
        """Whether all that was given has been taken."""
        return not self._untaken


class DayData(ArrayData):
    """One symbol; `dataname` has the columns of its history, `coming` what follows."""

    params: Any = (("coming", None), ("qcheck", 0.5))

    def islive(self) -> bool:
        """Tell Cerebro not to preload."""
        return True

    def start(self) -> None:
        """Begin with the history."""
        super().start()
        self.put_notification(self.DELAYED)
        self._is_live = False

    def haslivedata(self) -> bool:
        """Whether a bar waits."""
        coming: Coming = self.p.coming
        return self.behind or not coming.empty

    @property
    def behind(self) -> bool:
        """Whether history is left."""
        return self._row + 1 < self._rows

    def _load(self) -> Any:
        if self.behind:
            return super()._load()
        coming: Coming = self.p.coming
        columns = coming.take(self._name)
        if columns is None and self.getenvironment().datas[0] is self and not history_left(self):
            coming.wait(self._qcheck)  # one waits for all, so that the broker is asked in between
            columns = coming.take(self._name)
        if columns is None:
            return None
        if not self._is_live:
            self._is_live = True
            self.put_notification(self.LIVE)
        last = self._columns["datetime"][self._row]
        self._columns = columns
        self._rows = len(columns["datetime"])
        self._row = bisect_right(columns["datetime"], last) - 1
        return super()._load() if self.behind else None
