# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of intraday bars against the hours of their session.

Bars carry their right edge: the regular bars of a session lie after its open, up to and including
its close. Stamps at the wrong edge show as a full session shifted by one bar.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.market.calendar import Calendar
from iverson.market.faults import Fault, listed

_KEYS = ["symbol", "session"]


def by_session(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row a symbol and session: first open, last close, highest, lowest, volume."""
    grouped = frame.groupby(_KEYS, sort=False, as_index=False)
    return grouped.agg(
        open=("open", "first"),
        high=("high", "max"),
        low=("low", "min"),
        close=("close", "last"),
        volume=("volume", "sum"),
    )


def check(frame: pd.DataFrame, calendar: Calendar, *, length: int) -> list[Fault]:
    """List bars outside the regular hours, absent bars and stamps at the wrong edge.

    `frame` is ordered by symbol and `at`, `length` is minutes. Extended hours, missing minutes
    and a late first bar are one fault a symbol and session; `value` counts bars, for the late
    first bar the minutes late. A wrong edge is one fault a symbol; `value` counts its sessions.
    """
    days = frame["session"].to_numpy().astype("datetime64[D]")
    on = np.isin(days, calendar.sessions)
    rows = frame.loc[on, [*_KEYS, "volume"]].reset_index(drop=True)
    if rows.empty:
        return []
    unique, index = np.unique(days[on], return_inverse=True)
    opens, closes = calendar.opens(unique)[index], calendar.closes(unique)[index]
    stamps = pd.DatetimeIndex(frame["at"])
    naive = stamps.tz_convert("UTC").tz_localize(None) if stamps.tz is not None else stamps
    at = naive.to_numpy().astype("datetime64[ns]")[on]
    step = np.timedelta64(length, "m")
    rows["regular"] = (at > opens) & (at <= closes)
    rows["outside"] = ~rows["regular"]
    rows["early"] = at < opens
    rows["late"] = at > closes + step
    rows["at_open"] = at == opens
    rows["second"] = at == opens + step
    rows["third"] = at == opens + step + step
    rows["at_close"] = at == closes
    rows["past_close"] = at == closes + step
    rows["delay"] = np.where(rows["regular"], (at - opens) / np.timedelta64(1, "m"), np.inf)
    rows["expected"] = np.ceil((closes - opens) / step)
    for name in ("at_open", "second", "third"):
        rows[f"volume_{name}"] = np.where(rows[name], rows["volume"], 0.0)
    sums = [name for name in rows.columns if name not in (*_KEYS, "delay", "expected")]
    grouped = rows.groupby(_KEYS, sort=False)
    sessions = grouped[sums].sum().join(grouped[["delay", "expected"]].min()).reset_index()
    return _hours(sessions, length) + _edges(sessions)


def _hours(sessions: pd.DataFrame, length: int) -> list[Fault]:
    outside = sessions.loc[sessions["outside"] > 0]
    faults = listed(
        outside,
        "extended hours",
        [f"{count} bars outside the regular hours" for count in outside["outside"]],
        outside["outside"].to_numpy(dtype=np.float64),
    )
    traded = sessions.loc[sessions["regular"] > 0]
    gaps = traded.loc[traded["regular"] < traded["expected"]]
    absent = (gaps["expected"] - gaps["regular"]).to_numpy(dtype=np.float64)
    texts = [
        f"{count:.0f} of {expected:.0f} bars absent"
        for count, expected in zip(absent, gaps["expected"], strict=True)
    ]
    faults += listed(gaps, "missing minutes", texts, absent)
    late = traded.loc[traded["delay"] > length]
    minutes_late = late["delay"].to_numpy() - length
    texts = [f"first bar {delay:.0f} minutes after the one due" for delay in minutes_late]
    return faults + listed(late, "late first bar", texts, minutes_late)


def _edges(sessions: pd.DataFrame) -> list[Fault]:
    """Compare how often sessions look shifted by one bar with how often they look right.

    Without extended hours the presence of the first and last stamp tells; with them, the volume
    of the opening, the largest of the morning, tells in which bar the session began.
    """
    bare = (sessions["early"] == 0) & (sessions["late"] == 0)
    left = bare & (sessions["at_open"] > 0) & (sessions["at_close"] == 0)
    right = bare & (sessions["past_close"] > 0) & (sessions["second"] == 0)
    good = bare & (sessions["at_open"] == 0) & (sessions["past_close"] == 0)
    busy = ~bare & (sessions["second"] > 0) & (sessions["third"] > 0) & (sessions["at_open"] > 0)
    volumes = [sessions[f"volume_{name}"] for name in ("at_open", "second", "third")]
    left |= busy & (volumes[0] > 2 * volumes[1]) & (volumes[0] > 2 * volumes[2])
    good |= busy & (volumes[1] > 2 * volumes[0])
    right |= busy & (volumes[2] > 2 * volumes[1]) & (volumes[1] < 2 * volumes[0])
    counts = sessions[["symbol"]].assign(left=left, right=right, good=good)
    totals = counts.groupby("symbol", sort=False).sum()
    faults: list[Fault] = []
    for name, marks, text in (
        ("left", left, "look stamped at their left edge; read them with stamp 'left'"),
        ("right", right, "look moved although stamped right; read them with stamp 'right'"),
    ):
        rest = totals["good"] + totals["left"] + totals["right"] - totals[name]
        suspects = totals.index[(totals[name] > 0) & (totals[name] > rest)]
        rows = sessions.loc[marks & sessions["symbol"].isin(suspects)].drop_duplicates("symbol")
        amount: NDArray[np.float64] = totals.loc[rows["symbol"], name].to_numpy(dtype=np.float64)
        texts = [f"bars of {count:.0f} sessions {text}" for count in amount]
        faults += listed(rows, "wrong edge", texts, amount)
    return faults
