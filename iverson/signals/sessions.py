# SPDX-License-Identifier: GPL-3.0-or-later
"""The last sessions as a minute bar knows them: their true ranges and their opening volume."""

from __future__ import annotations

from collections import deque
from math import fsum, isnan, nan


class Past:
    """The last `sessions` sessions that have a session before them; bounded, exact sums."""

    def __init__(self, sessions: int) -> None:
        self.close = nan  # the last one before now; NaN before the first session is over
        self._ranges: deque[float] = deque(maxlen=sessions)
        self._volumes: deque[float] = deque(maxlen=sessions)

    def add(self, high: float, low: float, close: float, volume: float) -> None:
        """Add a session that is over; one without a bar (NaN prices) is none.

        The true range is Wilder's, of sessions: from the lower to the higher of their extremes
        and the close before.
        """
        if isnan(close):
            return
        if not isnan(self.close):
            self._ranges.append(max(high, self.close) - min(low, self.close))
            self._volumes.append(volume)
        self.close = close

    def true_range(self) -> float:
        """Return the mean true range, NaN until there are enough sessions."""
        if len(self._ranges) < (self._ranges.maxlen or 0):
            return nan
        return fsum(self._ranges) / len(self._ranges)

    def volume(self) -> float:
        """Return the mean of the volumes that are known, NaN when less than half of them are."""
        known = [volume for volume in self._volumes if not isnan(volume)]
        if len(self._volumes) < (self._volumes.maxlen or 0) or 2 * len(known) < len(self._volumes):
            return nan
        return fsum(known) / len(known)
