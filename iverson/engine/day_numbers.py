# SPDX-License-Identifier: GPL-3.0-or-later
"""Backtrader's date numbers of whole columns: `bt.date2num`, to the last bit, without a loop.

`date2num` adds the ordinal day and its hour, minute, second and microsecond as fractions of a day,
rounded once (`math.fsum`). Here the fractions are added once for each time of day that occurs, as
a sum and its rounding error (Dekker 1971, "A floating-point technique for extending the available
precision"), and then to all days at once. Only where the exact sum lies next to the middle of two
numbers could the last rounding differ: those are left to `date2num`.
"""

from __future__ import annotations

import math

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

_DAY = 86_400_000_000  # microseconds
_EPOCH = 719_163  # the ordinal of 1970-01-01
_NEAR = 2.0**-70  # days; far above the error of the rest, far below a day number's last bit


def day_numbers_of(at: NDArray[np.datetime64]) -> NDArray[np.float64]:
    """Return the date numbers (days, UTC) of instants, datetime64 of any unit, shape (n,)."""
    microseconds = at.astype("datetime64[us]").astype(np.int64)
    day, clock = np.divmod(microseconds, _DAY)
    clocks, which = np.unique(clock, return_inverse=True)
    sums, errors = np.empty(len(clocks)), np.empty(len(clocks))
    for index, one in enumerate(clocks.tolist()):
        parts = _fractions(one)
        sums[index] = math.fsum(parts)
        errors[index] = math.fsum((*parts, -sums[index]))
    ordinal = (day + _EPOCH).astype(np.float64)
    fraction = sums[which]
    total = ordinal + fraction
    rest = ((ordinal - total) + fraction) + errors[which]
    numbers = np.asarray(total + rest, dtype=np.float64)
    doubtful = np.abs(np.abs(rest) - np.spacing(total) / 2) < _NEAR
    for index in np.flatnonzero(doubtful).tolist():
        numbers[index] = bt.date2num(microseconds[index].astype("datetime64[us]").item())
    return numbers


def _fractions(clock: int) -> tuple[float, float, float, float]:
    minutes, microseconds = divmod(clock, 60_000_000)
    hour, minute = divmod(minutes, 60)
    second, microsecond = divmod(microseconds, 1_000_000)
    return hour / 24.0, minute / 1440.0, second / 86_400.0, microsecond / 86_400e6
