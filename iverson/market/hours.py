# SPDX-License-Identifier: GPL-3.0-or-later
"""Regular hours: where a bar's right edge lies within its session, by the exchange calendar.

Instants are whole seconds here, counted from the open of the session in progress or last begun, so
that a bar of one feed compares equal with the same bar of another whatever its number lost on the
way. Half days, holidays and changes to and from summer time are the calendar's.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.intervals import minutes

_EPOCH = 719_163  # date number of 1970-01-01, as Backtrader (and matplotlib of old) counts days
_DAY = 86_400
_HALF = 0.5 / _DAY  # half a second, in days

Integers = NDArray[np.int64]


class Since(NamedTuple):
    """The session's number in the calendar, seconds since it opened, seconds it lasts."""

    ordinal: int
    seconds: int
    length: int


def since_open(number: float) -> Since:
    """Return where the right edge with a date number lies."""
    opens, lengths, numbers = _sessions()
    ordinal = bisect_right(numbers, number + _HALF) - 1
    return Since(ordinal, round(number * _DAY) - opens[ordinal], lengths[ordinal])


def since_opens(numbers: NDArray[np.float64]) -> tuple[Integers, Integers, Integers]:
    """Return the same for an array of date numbers, shape (n,), as three arrays."""
    opens, lengths, known = _columns()
    ordinal = np.searchsorted(known, numbers + _HALF, side="right") - 1
    seconds = np.rint(numbers * _DAY).astype(np.int64) - opens[ordinal]
    return ordinal, seconds, lengths[ordinal]


def regular_hours(bars: Bars) -> Bars:
    """Return the bars that lie within their sessions; daily bars as they are.

    Stops do not trigger, and the session's open and close do not count, outside of them.
    """
    if bars.interval == DAILY:
        return bars
    length = np.timedelta64(minutes(bars.interval) or 0, "m")
    calendar = new_york()
    days, place = np.unique(bars.session, return_inverse=True)
    opens, closes = calendar.opens(days)[place], calendar.closes(days)[place]
    starts = (bars.at - length >= opens) | (bars.at == closes)  # a bar may outlast a half day
    kept = np.flatnonzero(starts & (bars.at > opens) & (bars.at <= closes))
    if len(kept) == len(bars):
        return bars
    regular = bars[kept]
    return replace(regular, dividend=_moved(bars, regular))


def _moved(bars: Bars, regular: Bars) -> NDArray[np.float64]:
    """Return the dividends, each on the first bar of its session that is left."""
    moved = np.zeros(len(regular))
    for row in np.flatnonzero(bars.dividend):
        first = int(np.searchsorted(regular.session, bars.session[row]))
        if first < len(regular):
            moved[first] += bars.dividend[row]
    return moved


@lru_cache(maxsize=1)
def _columns() -> tuple[Integers, Integers, NDArray[np.float64]]:
    calendar = new_york()
    opens, closes = (
        edges.astype("datetime64[s]").astype(np.int64)
        for edges in (calendar.opens(calendar.sessions), calendar.closes(calendar.sessions))
    )
    seconds = opens + _EPOCH * _DAY
    return seconds, closes - opens, seconds / _DAY


@lru_cache(maxsize=1)
def _sessions() -> tuple[list[int], list[int], list[float]]:
    opens, lengths, numbers = _columns()
    return opens.tolist(), lengths.tolist(), numbers.tolist()
