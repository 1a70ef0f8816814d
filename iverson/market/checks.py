# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of bars before they are trusted: faults are reported, nothing is ever repaired.

`check` looks at each row, at the sessions against the exchange calendar, at jumps against the
listed actions and, for intraday bars, at the hours. A check cannot know what really happened: a
detail says what a row looks like, and a person decides.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from iverson.errors import BadBars
from iverson.market import (
    actions as table,
)
from iverson.market import (
    checks_actions,
    checks_hours,
    checks_jumps,
    checks_rows,
    checks_sessions,
)
from iverson.market.bars import DAILY
from iverson.market.calendar import Calendar
from iverson.market.faults import Fault, summary
from iverson.market.intervals import minutes

__all__ = ["Fault", "check", "summary"]

PRICES = ["open", "high", "low", "close"]


def check(
    frame: pd.DataFrame,
    actions: pd.DataFrame | None,
    calendar: Calendar,
    *,
    interval: str = DAILY,
) -> list[Fault]:
    """List everything that looks wrong, one fault per occurrence, by symbol and session.

    Parameters
    ----------
    frame : columns symbol, session, open, high, low, close, volume; intraday also `at` (tz-aware
        UTC, right edge); adj_close is checked against the actions when it is there
    actions : the listed splits and dividends; None: nothing is known about them
    calendar : the exchange's sessions
    interval : "1d", or minutes such as "5m"

    Runs of stale bars, extended hours and missing minutes are one fault a run or a session, whose
    `value` counts the bars. `BadBars` when a column is missing.
    """
    length = minutes(interval)
    needed = ["symbol", "session", *PRICES, "volume", *([] if length is None else ["at"])]
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise BadBars(f"bars have no column {', '.join(missing)}; expected {', '.join(needed)}")
    if frame.empty:
        return []
    listed_actions = table.empty() if actions is None else actions
    key = "session" if length is None else "at"
    faults = checks_rows.check(frame, key=key, daily=length is None)

    ordered = frame.sort_values(["symbol", key], kind="stable")
    ordered = ordered.drop_duplicates(["symbol", key], keep="last", ignore_index=True)
    faults += checks_sessions.check(ordered, calendar)

    prices = ordered[PRICES].to_numpy(dtype=np.float64)
    usable = ordered.loc[(np.isfinite(prices) & (prices > 0)).all(axis=1)].reset_index(drop=True)
    spikes = checks_jumps.spikes(usable, daily=length is None)
    faults += spikes
    if length is None:
        by_session = _without_units(usable, spikes)
    else:
        by_session = checks_hours.by_session(usable)
    faults += checks_jumps.splits(by_session, listed_actions)
    faults += checks_actions.check(by_session, listed_actions)
    if length is not None:
        faults += checks_hours.check(ordered, calendar, length=length)
    return sorted(faults, key=lambda fault: (fault.symbol, fault.session, fault.kind))


def _without_units(frame: pd.DataFrame, faults: list[Fault]) -> pd.DataFrame:
    wrong = [(fault.symbol, fault.session) for fault in faults if fault.kind == "factor of ten"]
    if not wrong:
        return frame
    keys = pd.MultiIndex.from_arrays([frame["symbol"], frame["session"].dt.date])
    return frame.loc[~keys.isin(wrong)].reset_index(drop=True)
