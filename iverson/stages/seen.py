# SPDX-License-Identifier: GPL-3.0-or-later
"""The bars that a run really saw: one line of JSON each, beside its journal, never changed again.

    iverson.db -> iverson.db.seen.jsonl

Vendors correct bars for days, so the store of a week later is not what a decision rested on. What
lay before a run began is history and is not repeated here.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from iverson.errors import DataError
from iverson.market.bars import Bars

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume", "factor", "dividend")


class Seen:
    """The seen bars of one run: appended as they are acted on, each once.

    Parameters
    ----------
    journal: the run's journal; the bars are kept beside it.
    """

    def __init__(self, journal: Path | str, run: str) -> None:
        self.path = path_of(journal)
        self.run = run
        self._newest: dict[str, datetime] = {}
        for row in _rows(self.path, run):
            self._newest[row["symbol"]] = datetime.fromisoformat(row["at"])

    def note(self, bars: Mapping[str, Bars]) -> None:
        """Write down what is newer than what was noted; at first a symbol's newest bar."""
        rows: list[dict[str, Any]] = []
        for symbol, one in bars.items():
            known = self._newest.get(symbol)
            start = max(len(one) - 1, 0) if known is None else _after(one, known)
            rows += [_row(self.run, one, number) for number in range(start, len(one))]
        self._append(sorted(rows, key=lambda row: (row["at"], row["symbol"])))

    def note_one(self, bars: Bars) -> None:
        """Write down the bars of one symbol that are newer than its newest."""
        start = _after(bars, self._newest.get(bars.symbol))
        self._append([_row(self.run, bars, number) for number in range(start, len(bars))])

    def _append(self, rows: Iterable[dict[str, Any]]) -> None:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if not text:
            return
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_mended(self.path) + text)
            file.flush()
            os.fsync(file.fileno())
        for row in map(json.loads, text.splitlines()):
            self._newest[row["symbol"]] = datetime.fromisoformat(row["at"])


def path_of(journal: Path | str) -> Path:
    """Return the file of the bars that the runs of a journal saw."""
    journal = Path(journal)
    return journal.with_name(f"{journal.name}.seen.jsonl")


def seen_rows(journal: Path | str, run: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a run by symbol, in time.

    Raises
    ------
    DataError: none was kept, or the file is no such file.
    """
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in _rows(path_of(journal), run):
        found[row["symbol"]].append(row)
    if not found:
        raise DataError(
            f"{path_of(journal)} has no bars of {run!r}; parity needs the file that was written "
            "beside the journal while it ran"
        )
    return dict(found)


def with_seen(history: Bars, rows: list[dict[str, Any]]) -> Bars:
    """Return the history up to the first seen bar, then the bars as they were seen."""
    first = np.datetime64(datetime.fromisoformat(rows[0]["at"]).replace(tzinfo=None), "ns")
    past = history[: int(np.searchsorted(history.at, first))]
    stamps = [datetime.fromisoformat(row["at"]).replace(tzinfo=None) for row in rows]
    columns: dict[str, Any] = {
        "at": np.r_[past.at, np.array(stamps, dtype="datetime64[ns]")],
        "session": np.r_[
            past.session, np.array([row["session"] for row in rows], dtype="datetime64[D]")
        ],
    }
    for name in NUMBERS:
        columns[name] = np.r_[getattr(past, name), np.array([row[name] for row in rows], float)]
    return replace(past, **columns, extra={})


def changed(history: Bars, rows: list[dict[str, Any]]) -> set[datetime]:
    """Return the instants whose prices the store has otherwise now, or not at all."""
    places = {stamp: number for number, stamp in enumerate(history.at.astype("datetime64[us]"))}
    found = set()
    for row in rows:
        at = datetime.fromisoformat(row["at"])
        place = places.get(np.datetime64(at.replace(tzinfo=None), "us"))
        if place is None or any(
            row[name] != float(getattr(history, name)[place]) for name in PRICES
        ):
            found.add(at)
    return found


def _mended(path: Path) -> str:
    """Return what ends half a line that a killed process left, so that it spoils no other."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if not size:
            return ""
        file.seek(size - 1)
        return "" if file.read(1) == b"\n" else "\n"


def _after(bars: Bars, known: datetime | None) -> int:
    if known is None:
        return 0
    return int(np.searchsorted(bars.at, np.datetime64(known.replace(tzinfo=None), "ns"), "right"))


def _row(run: str, bars: Bars, number: int) -> dict[str, Any]:
    at = bars.at[number].astype("datetime64[us]").item().replace(tzinfo=UTC)
    row = {"run": run, "symbol": bars.symbol, "at": at.isoformat()}
    row["session"] = str(bars.session[number])
    return row | {name: float(getattr(bars, name)[number]) for name in NUMBERS}


def _rows(path: Path, run: str) -> Iterable[dict[str, Any]]:
    """Give the rows of a run; half a line at the end, of a process that was killed, is no row."""
    if not path.exists():
        return
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(text)
        except ValueError:
            continue
        if isinstance(row, dict) and row.get("run") == run:
            yield row
