# SPDX-License-Identifier: GPL-3.0-or-later
"""Stamps: what the time column of a file means, as sessions and as right-edge instants.

Most vendors stamp the left edge of an intraday bar. It is moved to the right edge here and
nowhere else, and never past the close of its session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.errors import BadBars, ConfigError
from iverson.market.bars import DAILY
from iverson.market.calendar import NEW_YORK, Calendar
from iverson.market.intervals import minutes, name

Edge = Literal["left", "right"]
Days = NDArray[np.datetime64]

_OFFSET = r"^(?P<wall>.*\d)\s*(?P<offset>Z|[+-]\d{2}:?\d{2})$"
_WEEKLY_DAYS = 5


class Unreadable(ValueError):
    """A stamp that is no date, with its row; the reader knows the file and the line."""

    def __init__(self, row: int, text: str, why: str) -> None:
        super().__init__(why)
        self.row, self.text, self.why = row, text, why


@dataclass(frozen=True)
class Stamps:
    """Times as written (naive) and, when the file says its offset, the instants (naive UTC)."""

    wall: pd.DatetimeIndex
    utc: pd.DatetimeIndex | None

    def instants(self, timezone: str) -> pd.DatetimeIndex:
        """Return naive UTC instants; times without an offset are in `timezone`."""
        if self.utc is not None:
            return self.utc
        try:
            local = self.wall.tz_localize(timezone)
        except (ValueError, KeyError) as error:
            raise ConfigError(
                f"times cannot be read in the time zone {timezone!r} ({error}); "
                f"expected a name such as {NEW_YORK}"
            ) from error
        return local.tz_convert("UTC").tz_localize(None)

    def sessions(self) -> Days:
        """Return the dates of daily bars: midnight as written is that date, else New York's."""
        days = self.wall.to_numpy().astype("datetime64[D]")
        if self.utc is None:
            return days
        midnight = self.wall == self.wall.normalize()
        return np.asarray(np.where(midnight, days, new_york_days(self.utc)))


def parse(values: pd.Series[str]) -> Stamps:
    """Read ISO dates or times, or dates as 20240102; `Unreadable` names the first bad row."""
    text = values.str.strip()
    parts = text.str.extract(_OFFSET)
    written = parts["wall"].fillna(text)
    wall = pd.to_datetime(written, format="ISO8601", errors="coerce", utc=False)
    bad = (wall.isna() | (written.str.len() < 8)).to_numpy()
    if bad.any():
        row = int(np.argmax(bad))
        raise Unreadable(row, str(text.iloc[row]), "is no date")
    aware = parts["offset"].notna().to_numpy()
    if not aware.any():
        return Stamps(pd.DatetimeIndex(wall), None)
    if not aware.all():
        row = int(np.argmin(aware))
        raise Unreadable(row, str(text.iloc[row]), "has no offset, unlike others")
    offset = parts["offset"].str.replace(":", "").replace("Z", "+0000")
    sign = np.where(offset.str[0] == "-", -1, 1)
    shift = sign * (offset.str[1:3].astype(int) * 60 + offset.str[3:5].astype(int)).to_numpy()
    utc = pd.DatetimeIndex(wall) - pd.to_timedelta(shift, unit="m")
    return Stamps(pd.DatetimeIndex(wall), utc)


def from_index(index: pd.DatetimeIndex) -> Stamps:
    """Take stamps that a typed file already holds as times, with or without a time zone."""
    if index.tz is None:
        return Stamps(index, None)
    return Stamps(index.tz_localize(None), index.tz_convert("UTC").tz_localize(None))


def infer(stamps: Stamps, symbols: pd.Series[str]) -> str:
    """Infer the interval: daily when no symbol has two stamps on a date, else the usual step.

    `BadBars` for weekly or longer bars and for steps that are no whole minutes.
    """
    rows = pd.DataFrame({"symbol": symbols.to_numpy(), "stamp": stamps.wall.to_numpy()})
    rows = rows.drop_duplicates().sort_values(["symbol", "stamp"], ignore_index=True)
    days = rows["stamp"].dt.normalize()
    same = (rows["symbol"] == rows["symbol"].shift()) & (days == days.shift())
    if not same.any():
        ahead = days.groupby(rows["symbol"]).diff().dropna()
        if len(ahead) > 1 and ahead.median() >= pd.Timedelta(days=_WEEKLY_DAYS):
            raise BadBars(
                f"bars are about {ahead.median().days} days apart; expected daily or intraday "
                "bars, give --interval 1d if a sparse daily file is meant"
            )
        return DAILY
    steps = rows["stamp"].diff()[same]
    usual = steps.mode().iloc[0]
    length, rest = divmod(usual, pd.Timedelta(minutes=1))
    if length < 1 or rest != pd.Timedelta(0):
        raise BadBars(f"bars are {usual} apart; expected whole minutes or sessions")
    return name(int(length))


def right_edges(
    starts: pd.DatetimeIndex, interval: str, edge: Edge, calendar: Calendar
) -> tuple[pd.DatetimeIndex, Days]:
    """Return right-edge instants (naive UTC) and New York dates of intraday bars.

    A bar that starts before the close of its session ends at the close at the latest.
    """
    length = minutes(interval)
    if length is None:
        raise ConfigError(f"interval is {interval!r}; expected minutes such as '5m'")
    if edge not in ("left", "right"):
        raise ConfigError(f"stamp is {edge!r}; expected 'left' or 'right'")
    if edge == "right":
        return starts, new_york_days(starts - pd.Timedelta(seconds=1))
    days = new_york_days(starts)
    ends = starts + pd.Timedelta(minutes=length)
    unique, index = np.unique(days, return_inverse=True)
    closes = pd.DatetimeIndex(calendar.closes(unique)[index])
    return ends.where(~((starts < closes) & (ends > closes)), closes), days


def new_york_days(utc: pd.DatetimeIndex) -> Days:
    """Return the New York date of naive UTC instants."""
    local = utc.tz_localize("UTC").tz_convert(NEW_YORK).tz_localize(None)
    return local.to_numpy().astype("datetime64[D]")
