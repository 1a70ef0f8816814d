# SPDX-License-Identifier: GPL-3.0-or-later
"""Dates as people write them, and the range of a run among the bars there are."""

from __future__ import annotations

import calendar as months
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import numpy as np

from iverson.errors import ConfigError
from iverson.market.bars import Bars

Day = str | date
_DAY = re.compile(r"\d{4}(-\d{1,2}){0,2}")


def asked_range(bars: Mapping[str, Bars], start: Day | None, end: Day | None) -> tuple[date, date]:
    """Return the first and last date of a run, within those of the bars; None asks for all.

    Raises
    ------
    ConfigError: no date, an empty range, or one without bars.
    """
    known_first = min(one.session[0].item() for one in bars.values())
    known_last = max(one.session[-1].item() for one in bars.values())
    first = known_first if start is None else read_day(start, last=False)
    last = known_last if end is None else read_day(end, last=True)
    if first > last:
        raise ConfigError(f"the range is empty: it starts on {first} and ends on {last}")
    if not any(_in_range(one.session, first, last) for one in bars.values()):
        raise ConfigError(
            f"no bars between {first} and {last}; there are bars from {known_first} to {known_last}"
        )
    return max(first, known_first), min(last, known_last)


def read_day(day: Day | int, *, last: bool) -> date:
    """Read a date; a year or a month stands for its first day, or its last when `last`."""
    if isinstance(day, datetime):
        return day.date()
    if isinstance(day, date):
        return day
    parts = [int(part) for part in str(day).split("-")] if _DAY.fullmatch(str(day)) else []
    try:
        if len(parts) == 1:
            parts += [12, 31] if last else [1, 1]
        elif len(parts) == 2:
            parts.append(months.monthrange(*parts)[1] if last else 1)
        return date(*parts)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{day!r} is no date; write 2005, 2005-03 or 2005-03-31") from error


def _in_range(sessions: Any, first: date, last: date) -> bool:
    start = sessions.searchsorted(np.datetime64(first, "D"))
    return bool(start < sessions.searchsorted(np.datetime64(last, "D"), side="right"))
