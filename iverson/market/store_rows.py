# SPDX-License-Identifier: GPL-3.0-or-later
"""What the store does with rows: frames to columns and back, and merging new rows into old ones.

Columns are `session` (datetime64[D]), `at` (datetime64[ns], UTC; intraday only), prices and
volume (float64), increasing in their key: `at`, or `session` for daily bars.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.errors import BadBars
from iverson.market.files import Columns

VALUES = ["open", "high", "low", "close", "volume"]


@dataclass(frozen=True)
class Merged:
    """Old and new rows together; `before` and `after` are the rows that changed, same length."""

    columns: Columns
    added: int
    before: Columns
    after: Columns
    unchanged: int


def digest(columns: Columns) -> str:
    """Return the SHA-256 of the columns, hexadecimal, the same for every file format."""
    total = hashlib.sha256()
    for name in sorted(columns):
        total.update(name.encode())
        total.update(np.ascontiguousarray(columns[name]).view(np.uint8).data)
    return total.hexdigest()


def typed(columns: Columns) -> Columns:
    """Return the columns of a file in the types that count, in the order that counts."""
    result: Columns = {"session": columns["session"].astype("datetime64[D]", copy=False)}
    if "at" in columns:
        result["at"] = columns["at"].astype("datetime64[ns]", copy=False)
    for name in VALUES:
        result[name] = columns[name].astype(np.float64, copy=False)
    return result


def frame_of(symbol: str, columns: Columns) -> pd.DataFrame:
    """Return the columns as a frame with symbol, session, [at], prices and volume."""
    frame = pd.DataFrame({"symbol": pd.Series([symbol] * len(columns["open"]), dtype="str")})
    frame["session"] = columns["session"].astype("datetime64[s]")
    if "at" in columns:
        frame["at"] = pd.DatetimeIndex(columns["at"]).tz_localize("UTC")
    for name in VALUES:
        frame[name] = columns[name]
    return frame


def columns_of(frame: pd.DataFrame, symbol: str, key: str) -> Columns:
    """Return the rows of a frame in order of their key, each once.

    `BadBars` for a missing column, no rows, or two different bars of one stamp.
    """
    wanted = ["session", *(["at"] if key == "at" else []), *VALUES]
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise BadBars(f"{symbol}: no column {', '.join(absent)}; expected {', '.join(wanted)}")
    if frame.empty:
        raise BadBars(f"{symbol} has no rows to store; expected at least one bar")
    columns: Columns = {"session": frame["session"].to_numpy().astype("datetime64[D]")}
    if key == "at":
        stamps = pd.DatetimeIndex(frame["at"]).tz_convert("UTC").tz_localize(None)
        columns["at"] = stamps.to_numpy().astype("datetime64[ns]")
    for name in VALUES:
        columns[name] = frame[name].to_numpy(dtype=np.float64)
    stamps_of = columns[key].astype(np.int64)
    if (stamps_of[1:] <= stamps_of[:-1]).any():
        columns = taken(columns, np.argsort(stamps_of, kind="stable"))
        columns = _each_once(columns, symbol, key)
    return columns


def merged(old: Columns, new: Columns, key: str) -> Merged:
    """Put new rows into old ones; a row of a stamp that is there already takes its place."""
    stamps, fresh = old[key].astype(np.int64), new[key].astype(np.int64)
    place = np.searchsorted(stamps, fresh)
    there = np.zeros(len(fresh), dtype=bool)
    inside = place < len(stamps)
    there[inside] = stamps[place[inside]] == fresh[inside]
    known, again = place[there], np.flatnonzero(there)
    same = np.ones(len(known), dtype=bool)
    for name in VALUES:
        was, becomes = old[name][known], new[name][again]
        same &= (was == becomes) | (np.isnan(was) & np.isnan(becomes))
    changed, by = known[~same], again[~same]
    result = {}
    order = np.argsort(np.concatenate((stamps, fresh[~there])), kind="stable")
    ordered = bool((order[1:] > order[:-1]).all())
    for name, values in old.items():
        kept = values
        if len(changed):
            kept = values.copy()
            kept[changed] = new[name][by]
        whole = np.concatenate((kept, new[name][~there]))
        result[name] = whole if ordered else whole[order]
    return Merged(
        columns=result,
        added=int((~there).sum()),
        before=taken(old, changed),
        after=taken(new, by),
        unchanged=int(same.sum()),
    )


def taken(columns: Columns, rows: NDArray[np.intp]) -> Columns:
    """Return some rows of the columns."""
    return {name: values[rows] for name, values in columns.items()}


def stamps_of(columns: Columns) -> list[str]:
    """Return the key of each row as text: the session, or the right edge in UTC."""
    if "at" not in columns:
        return [str(session) for session in columns["session"]]
    return [f"{stamp}Z" for stamp in np.datetime_as_string(columns["at"], unit="s")]


def _each_once(columns: Columns, symbol: str, key: str) -> Columns:
    stamps = columns[key].astype(np.int64)
    twice = np.flatnonzero(stamps[1:] == stamps[:-1])
    same = np.ones(len(twice), dtype=bool)
    for name in VALUES:
        first, second = columns[name][twice], columns[name][twice + 1]
        same &= (first == second) | (np.isnan(first) & np.isnan(second))
    if not same.all():
        row = int(twice[~same][0])
        raise BadBars(
            f"{symbol} has {int((~same).sum())} stamps with two different bars, the first on "
            f"{stamps_of(taken(columns, np.array([row])))[0]}; mend the source"
        )
    keep = np.ones(len(stamps), dtype=bool)
    keep[twice + 1] = False
    return taken(columns, np.flatnonzero(keep))
