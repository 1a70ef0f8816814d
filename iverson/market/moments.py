# SPDX-License-Identifier: GPL-3.0-or-later
"""Backtrader's date numbers as instants and sessions, one lookup a bar; intervals as its own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import backtrader as bt

from iverson.market.calendar import new_york
from iverson.market.intervals import minutes


class Moment(NamedTuple):
    """A bar's right edge: instant (UTC), session, and the session's number in the calendar."""

    at: datetime
    session: date
    ordinal: int


@lru_cache(maxsize=1 << 18)  # more than the minutes of two years: a search walks them over and over
def moment(number: float) -> Moment:
    """Return the moment of a bar's date number; daily bars carry their session's close."""
    at: datetime = bt.num2date(number).replace(tzinfo=UTC)
    calendar = new_york()
    session = calendar.session_of(at)
    return Moment(at, session, calendar.ordinal(session))


def number_of(at: datetime) -> float:
    """Return an instant as Backtrader's date number: of UTC, as the right edges of bars."""
    return float(bt.date2num(at.astimezone(UTC).replace(tzinfo=None)))


def timeframe(interval: str) -> dict[str, Any]:
    """Return an interval as the parameters of a Backtrader feed."""
    length = minutes(interval)
    if length is None:
        return {"timeframe": bt.TimeFrame.Days}
    return {"timeframe": bt.TimeFrame.Minutes, "compression": length}
