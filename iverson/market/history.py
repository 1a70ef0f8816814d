# SPDX-License-Identifier: GPL-3.0-or-later
"""Daily facts of the past for rules and sizing, cut off at a session: nothing later can be read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york

Sessions = NDArray[np.datetime64]
Floats = NDArray[np.float64]


class DailyHistory:
    """Point-in-time view of daily bars; minute bars are first summed up by session."""

    def __init__(self, bars: Mapping[str, Bars]) -> None:
        self.renew(bars)

    def renew(self, bars: Mapping[str, Bars]) -> None:
        """Know these bars from now on, and no others."""
        self._symbols = {symbol: _Columns(one) for symbol, one in bars.items()}

    def log_returns(self, symbol: str, *, before: date, sessions: int) -> tuple[Sessions, Floats]:
        """Return the log returns of the `sessions` exchange sessions before one.

        Shapes (k,), k <= sessions; the return of a session is log(close / close of the symbol's
        previous bar), split-adjusted. An unknown symbol and sessions without a bar give fewer
        rows, down to none; they are never made up for by older ones.
        """
        columns = self._symbols.get(symbol)
        if columns is None:
            return np.empty(0, dtype="datetime64[D]"), np.empty(0)
        calendar = new_york()
        oldest = calendar.sessions[max(0, calendar.ordinal(before) - sessions)]
        end = int(np.searchsorted(columns.session, np.datetime64(before, "D")))
        start = max(1, int(np.searchsorted(columns.session, oldest)))
        return columns.session[start:end], columns.log_return[start:end]

    def average_volume(self, symbol: str, *, through: date, sessions: int) -> float:
        """Return the mean volume of the last `sessions` bars' sessions, in shares of `through`.

        Session `through` counts for daily bars, which are read after it ended; of minute bars it
        does not, for the rest of it lies ahead. Fewer sessions are averaged when there are fewer;
        NaN when there is none.
        """
        day = np.datetime64(through, "D")
        return float(self.average_volumes(symbol, day, window=sessions))

    def average_volumes(
        self, symbol: str, through: Sessions | np.datetime64, *, window: int
    ) -> Floats:
        """Return `average_volume` through each of these sessions."""
        columns = self._symbols.get(symbol)
        if columns is None or not len(columns.session):
            return np.full(np.shape(through), np.nan)
        known = np.searchsorted(columns.session, through, side="right")
        end = known if columns.daily else np.searchsorted(columns.session, through)
        found: Floats = columns.averages(window)[end] * columns.factor[known - 1]
        return found

    def previous_closes(self, symbol: str, sessions: Sessions) -> Floats:
        """Return the last close before each session, raw dollars of its day; NaN: none so far."""
        columns = self._symbols.get(symbol)
        if columns is None or not len(columns.session):
            return np.full(len(sessions), np.nan)
        place = np.searchsorted(columns.session, sessions) - 1
        return np.where(place >= 0, columns.quoted[place], np.nan)

    def dollar_volumes(self, symbol: str, sessions: Sessions, *, window: int) -> Floats:
        """Return the mean dollars traded in the `window` exchange sessions before each session.

        Close x volume of each bar; a session without a bar counts as 0, so that a symbol that
        lists late, halts or ends grows or fades. NaN for an unknown symbol, and where a volume is.
        """
        columns = self._symbols.get(symbol)
        if columns is None or not len(columns.session):
            return np.full(len(sessions), np.nan)
        begin, means = columns.traded(window)
        place = np.searchsorted(new_york().sessions, sessions) - begin
        inside = (place >= 0) & (place < len(means))
        return np.where(inside, means[np.where(inside, place, 0)], 0.0)


class _Columns:
    """One row per session: split-adjusted returns and volume, and the factor known that day."""

    def __init__(self, bars: Bars) -> None:
        self.daily = bars.interval == DAILY
        last = np.ones(len(bars), dtype=bool)
        if not self.daily:
            last[:-1] = bars.session[1:] != bars.session[:-1]
        starts = np.flatnonzero(np.r_[True, last[:-1]]) if len(bars) else np.empty(0, dtype=int)
        self.session = bars.session[last]
        self.factor = bars.factor[last]
        self.quoted = bars.close[last]
        close = self.quoted * self.factor
        self.log_return = np.full(len(close), np.nan)
        self.log_return[1:] = np.log(close[1:] / close[:-1])
        adjusted = bars.volume / bars.factor
        self.volume = np.add.reduceat(adjusted, starts) if len(starts) else adjusted
        dollars = bars.close * bars.volume
        self._dollars = np.add.reduceat(dollars, starts) if len(starts) else dollars
        self._traded: dict[int, tuple[int, Floats]] = {}
        self._averages: dict[int, Floats] = {}

    def averages(self, window: int) -> Floats:
        """Return by how many sessions are known their mean volume, of the last `window` at most."""
        if window not in self._averages:
            young = min(window, len(self.volume) + 1)  # with fewer sessions than the window
            means = [math.nan, *(self.volume[:known].mean() for known in range(1, young))]
            if window <= len(self.volume):
                means += sliding_window_view(self.volume, window).mean(axis=-1).tolist()
            self._averages[window] = np.array(means)
        return self._averages[window]

    def traded(self, window: int) -> tuple[int, Floats]:
        """Return the first session's ordinal, and of it and all after the mean known before it."""
        if window not in self._traded:
            calendar = new_york().sessions
            place = np.searchsorted(calendar, self.session)
            known = (place < len(calendar)) & (calendar[place % len(calendar)] == self.session)
            begin = int(place[0])
            days = np.zeros(int(place[-1]) - begin + 2 * window)
            days[place[known] - begin + window] = self._dollars[known]
            means = sliding_window_view(days, window).mean(axis=-1)
            self._traded[window] = (begin, means)
        return self._traded[window]
