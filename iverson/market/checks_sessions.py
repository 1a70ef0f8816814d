# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the sessions against the exchange calendar: rows on closed days, and gaps."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.market.calendar import Calendar
from iverson.market.faults import EVERY_SYMBOL, Fault, listed

MANY_SYMBOLS = 3
MANY_SHARE = 0.05

Days = NDArray[np.datetime64]


def check(frame: pd.DataFrame, calendar: Calendar) -> list[Fault]:
    """List rows on days without a session, and sessions without a row.

    A session is missing when it lies between the first and the last bar of its symbol; nothing
    can be said about the time before and after. A session missing for at least 3 symbols and 5 %
    of those alive that day is one more fault of the symbol "*".
    """
    rows = frame[["symbol", "session"]].drop_duplicates()
    days = rows["session"].to_numpy().astype("datetime64[D]")
    first, last = days.min().tolist(), days.max().tolist()
    sessions = calendar.between(first, last)
    closed = ~np.isin(days, sessions)
    faults = listed(rows.loc[closed], "holiday row", "the exchange was closed")

    alive: NDArray[np.int64] = np.zeros(len(sessions) + 1, dtype=np.int64)
    gaps: list[pd.DataFrame] = []
    for symbol, own in _by_symbol(rows.loc[~closed]):
        left, right = np.searchsorted(sessions, [own.min(), own.max()])
        alive[left] += 1
        alive[right + 1] -= 1
        expected = sessions[left : right + 1]
        absent = expected[~np.isin(expected, own)]
        gaps.append(pd.DataFrame({"symbol": symbol, "session": absent.astype("datetime64[s]")}))
    if not gaps:
        return faults
    missing = pd.concat(gaps, ignore_index=True)
    faults += listed(missing, "missing session", "no bar between the symbol's first and last")
    return faults + _for_many(missing, sessions, np.cumsum(alive)[:-1])


def missing_sessions(days: Days, calendar: Calendar) -> Days:
    """Return the sessions between the first and the last of `days` that are not among them."""
    if len(days) == 0:
        return days
    expected = calendar.between(days.min().tolist(), days.max().tolist())
    return expected[~np.isin(expected, days)]


def _for_many(missing: pd.DataFrame, sessions: Days, alive: NDArray[np.int64]) -> list[Fault]:
    counts = missing.groupby("session").size()
    index = np.searchsorted(sessions, counts.index.to_numpy().astype("datetime64[D]"))
    many = (counts.to_numpy() >= MANY_SYMBOLS) & (counts.to_numpy() >= MANY_SHARE * alive[index])
    rows = pd.DataFrame({"symbol": EVERY_SYMBOL, "session": counts.index[many]})
    absent = counts.to_numpy()[many]
    texts = [
        f"no bar for {count} of {total} symbols"
        for count, total in zip(absent, alive[index][many], strict=True)
    ]
    return listed(rows, "session missing for many", texts, absent.astype(np.float64))


def _by_symbol(rows: pd.DataFrame) -> Iterable[tuple[str, Days]]:
    for symbol, own in rows.groupby("symbol", sort=True)["session"]:
        yield str(symbol), own.to_numpy().astype("datetime64[D]")
