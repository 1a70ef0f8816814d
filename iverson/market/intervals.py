# SPDX-License-Identifier: GPL-3.0-or-later
"""Intervals: the length of a bar, written "1d" for a session and "5m" or "1h" within one."""

from __future__ import annotations

import re

from iverson.errors import ConfigError
from iverson.market.bars import DAILY

_PATTERN = re.compile(r"([1-9]\d*)(m|h)")
_LONGEST = 390


def minutes(interval: str) -> int | None:
    """Return the minutes of an intraday interval, None for daily bars.

    `ConfigError` for anything else than "1d", "<n>m" or "<n>h" of at most 390 minutes.
    """
    if interval == DAILY:
        return None
    match = _PATTERN.fullmatch(interval)
    if match is not None:
        length = int(match[1]) * (60 if match[2] == "h" else 1)
        if length <= _LONGEST:
            return length
    raise ConfigError(
        f"interval is {interval!r}; expected '1d', or minutes or hours of one session "
        "such as '1m', '5m' or '1h'"
    )


def bars_a_session(interval: str) -> int:
    """Return how many bars a full session of 390 minutes has at most, 1 of daily ones."""
    length = minutes(interval)
    return 1 if length is None else -(-_LONGEST // length)


def name(length: int) -> str:
    """Return the one spelling of an intraday interval: 60 minutes are "1h", 90 are "90m"."""
    return f"{length // 60}h" if length % 60 == 0 else f"{length}m"


def canonical(interval: str) -> str:
    """Return the one spelling of an interval, so that "60m" and "1h" are the same."""
    length = minutes(interval)
    return DAILY if length is None else name(length)
