# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpaca's bars on the wire as rows of the store: stamps moved to the right edge, regular hours.

Alpaca stamps a bar with its left edge, a daily one with New York's midnight, and serves minute
bars from 04:00 to 20:00. Only bars that lie within the session are kept. The closing auction is
printed at or just after 16:00, in the bar that begins then, and so is not part of the last regular
minute; the daily bar has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from iverson.errors import BadBars, ConfigError
from iverson.market.bars import DAILY
from iverson.market.calendar import Calendar, midnight
from iverson.market.intervals import minutes
from iverson.market.stamps import new_york_days, right_edges

_LETTERS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}


def check_interval(interval: str) -> int | None:
    """Return the minutes of an interval, None for daily bars; `ConfigError` if it straddles 09:30.

    Alpaca's longer bars begin on the full hour, so that one of 1h would mix the half hour before
    the opening with the half hour after it.
    """
    length = minutes(interval)
    if length is not None and 30 % length:
        raise ConfigError(
            f"interval is {interval!r}; expected 1d, or minutes that divide 30 such as 1m, 5m or "
            "30m: Alpaca's others begin before the opening and go on into the session"
        )
    return length


def bounds(
    interval: str, first: date, last: date, until: datetime, calendar: Calendar
) -> tuple[datetime, datetime]:
    """Return the first and last left edge to ask for, both inclusive (UTC)."""
    length = check_interval(interval)
    if length is None:
        return midnight(first), midnight(last)
    step = timedelta(minutes=length)
    return calendar.open_at(first), min(calendar.close_at(last), until) - step


def rows(symbol: str, bars: Sequence[Any], interval: str) -> pd.DataFrame:
    """Return one page's bars of a symbol: `start` (naive UTC, left edge), prices, volume.

    `BadBars` when a bar lacks a field or has one that is no number.
    """
    try:
        start = pd.to_datetime([bar["t"] for bar in bars], format="ISO8601", utc=True)
        frame = pd.DataFrame({"start": start.tz_localize(None).as_unit("ns")})
        for name, letter in _LETTERS.items():
            frame[name] = np.array([bar[letter] for bar in bars], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise BadBars(
            f"{symbol}: Alpaca sent {interval} bars that cannot be read "
            f"({type(error).__name__}: {error}); try again later"
        ) from error
    return frame


def regular(
    frame: pd.DataFrame, interval: str, until: datetime, calendar: Calendar
) -> tuple[pd.DataFrame, int]:
    """Return the rows of the store and how many bars outside the regular hours were left out.

    Bars that end after `until` are not finished, and left out without being counted.
    """
    starts = pd.DatetimeIndex(frame["start"])
    limit = np.datetime64(until.astimezone(UTC).replace(tzinfo=None), "ns")
    if interval == DAILY:
        session = new_york_days(starts)
        done = calendar.closes(session) <= limit
        keep = np.isin(session, calendar.sessions)
        result = frame.drop(columns="start").assign(session=session.astype("datetime64[s]"))
    else:
        at, session = right_edges(starts, interval, "left", calendar)
        ends = at.to_numpy()
        done = ends <= limit
        begins = starts.to_numpy()
        keep = np.isin(session, calendar.sessions)
        keep &= (begins >= calendar.opens(session)) & (begins < calendar.closes(session))
        result = frame.drop(columns="start").assign(
            session=session.astype("datetime64[s]"), at=at.as_unit("ns").tz_localize("UTC")
        )
    return result.loc[keep & done].reset_index(drop=True), int((~keep & done).sum())
