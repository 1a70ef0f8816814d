# SPDX-License-Identifier: GPL-3.0-or-later
"""A system as the trading stages see it: what it is, what the time is, and where its bars are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from iverson.market.bars import Bars
from iverson.research.backtest import Setup
from iverson.research.days import Day, asked_range, read_day

DAILY_SESSIONS, MINUTE_SESSIONS = 21, 2  # what is rehearsed when nobody says what


@dataclass(frozen=True)
class Traded:
    """What a trading stage needs of a system.

    `load` reads the bars anew; `in_memory` says that they were given, so that none are fetched.
    """

    name: str
    setup: Setup
    symbols: tuple[str, ...]
    interval: str
    store: Path | str | None
    clock: Callable[[], datetime]
    load: Callable[[], dict[str, Bars]]
    in_memory: bool


def rehearsed_range(
    bars: Mapping[str, Bars], start: Day | None, end: Day | None, *, sessions: int
) -> tuple[date, date]:
    """Return the first and last day of a rehearsal.

    Without an end it is that of the start's own period ("2012-03" is that month); without either
    it is the last `sessions` that there are bars of.
    """
    if start is None and end is None:
        known = sorted({day.item() for one in bars.values() for day in one.session})
        return known[-min(sessions, len(known))], known[-1]
    if end is None and start is not None:
        end = read_day(start, last=True)
    return asked_range(bars, start, end)
