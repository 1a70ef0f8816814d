# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: imported and fetched bars and actions on disk, one file a symbol and interval.

    bars/1d/AAPL.parquet            raw rows, or AAPL.npz where pyarrow is not installed
    bars/1d/AAPL.json               passport: source, feed, adjustment, span, rows, digest, faults
    bars/1d/AAPL.revisions.csv      bars that the source changed later: what was, what became
    actions/AAPL.parquet            splits and dividends

Files are replaced whole or not at all. Adding again adds rows; a row that changed is refused
unless it is meant as a revision, because a result must not change behind its reader's back.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zipfile import BadZipFile

import pandas as pd

from iverson.errors import BadBars, MissingBars
from iverson.market import revisions, store_passport
from iverson.market.assembly import assemble_columns
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york, utc_now
from iverson.market.faults import Fault
from iverson.market.files import (
    ColumnFile,
    Columns,
    NpzFile,
    ParquetFile,
    has_pyarrow,
    locked,
    replace_file,
    sweep,
)
from iverson.market.intervals import canonical
from iverson.market.store_actions import ActionFiles
from iverson.market.store_names import file_name, missing
from iverson.market.store_passport import Record, Span
from iverson.market.store_rows import columns_of, digest, frame_of, merged, stamps_of, typed

__all__ = ["DEFAULT", "Store", "Written", "digest", "missing"]

DEFAULT = Path("data/cache")


@dataclass(frozen=True)
class Written:
    """What one write did: rows added, rows revised (their stamps), rows that were there already.

    `changes` says in words what the revised bars were and became, `actions` the same of actions.
    """

    symbol: str
    interval: str
    added: int
    revised: tuple[str, ...]
    unchanged: int
    changes: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


class Store:
    """Bars and actions in a directory; a directory that is not there is an empty store.

    Parameters
    ----------
    column_file : the format to write; None keeps the format of the store, and is Parquet for an
        empty one, NPZ without pyarrow. Both are read, whichever is written.
    """

    def __init__(
        self, path: Path | str = DEFAULT, *, column_file: ColumnFile | None = None
    ) -> None:
        self.path = Path(path)
        self._chosen = column_file
        formats: list[ColumnFile] = [ParquetFile(), NpzFile()]
        if column_file is not None:
            formats.append(column_file)
        self._formats = {one.suffix: one for one in formats}
        self._actions = ActionFiles(self.path / "actions", self._formats)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def symbols(self, interval: str = DAILY) -> list[str]:
        """Return the symbols that have bars of this interval, sorted."""
        folder = self.path / "bars" / canonical(interval)
        names = {
            file.name[: -len(suffix)]
            for suffix in self._formats
            for file in folder.glob(f"*{suffix}")
        }
        return sorted(unquote(name) for name in names)

    def intervals(self) -> list[str]:
        """Return the intervals that have bars, sorted."""
        return sorted(folder.name for folder in (self.path / "bars").glob("*") if folder.is_dir())

    def read(self, symbol: str, interval: str = DAILY) -> Bars:
        """Return the bars with split factor and dividends; `MissingBars` if there are none."""
        return assemble_columns(
            self.columns(symbol, interval),
            self.actions(symbol),
            new_york(),
            symbol=symbol,
            interval=canonical(interval),
            feed=str(self.passport(symbol, interval)["feed"]),
        )

    def rows(self, symbol: str, interval: str = DAILY) -> pd.DataFrame:
        """Return the raw rows as stored, in time: symbol, session, [at], prices, volume."""
        return frame_of(symbol, self.columns(symbol, interval))

    def columns(self, symbol: str, interval: str = DAILY) -> Columns:
        """Return the raw columns as stored, in time; `MissingBars` if there are none."""
        return self._load(self._located(symbol, interval)[0])

    def actions(self, symbol: str) -> pd.DataFrame:
        """Return the stored splits and dividends of a symbol; an empty table if none are."""
        return self._actions.read(symbol, file_name(symbol))

    def passport(self, symbol: str, interval: str = DAILY) -> dict[str, Any]:
        """Return what is known of the stored bars; `MissingBars` if there are none."""
        record = self._located(symbol, interval)[1]
        if not record:
            raise self._missing(symbol, interval)
        return record

    def revisions(self, symbol: str, interval: str = DAILY) -> pd.DataFrame:
        """Return the bars that changed after they were stored: stamp, seen, source, was, became."""
        return revisions.read(self._beside(symbol, interval, revisions.SUFFIX), revisions.BARS)

    def verify(self) -> list[str]:
        """Return a sentence for each file that is not what its passport says; none when sound."""
        found = []
        for interval in self.intervals():
            for symbol in self.symbols(interval):
                try:
                    path, record = self._located(symbol, interval)
                    columns = self._load(path)
                    self.actions(symbol)
                except (BadBars, MissingBars) as error:
                    found.append(str(error))
                    continue
                if not record:
                    found.append(f"{path} has no passport; fetch or import {symbol} again")
                elif record["digest"] != digest(columns):
                    found.append(
                        f"{path} is not what its passport describes; it was changed outside "
                        f"Iverson: move both away and fetch or import {symbol} again"
                    )
        return found

    def write(
        self,
        frame: pd.DataFrame,
        *,
        symbol: str,
        interval: str,
        actions: pd.DataFrame | None = None,
        source: str = "",
        feed: str = "",
        adjustment: str = "raw",
        asof: str = "",
        hours: str = "",
        covered: Span | None = None,
        faults: Iterable[Fault] | None = (),
        revise: bool = False,
        seen: datetime | None = None,
    ) -> Written:
        """Merge one symbol's raw rows, and its actions if given, into the store.

        Parameters
        ----------
        frame : columns session, open, high, low, close, volume, and `at` for intraday bars
        actions : actions table; None leaves the stored ones as they are
        source, feed, adjustment, asof, hours : words for the passport; feed and adjustment must
            be those of the rows that are there already
        covered : first and last session the source was asked for, without a gap, over all writes
        faults : what `check` found, counted in the passport; None says that nobody looked
        revise : whether rows and actions that differ from the stored ones replace them; what was
            is kept in the revisions
        seen : the instant for the revisions; None reads the clock

        `BadBars` when a stored row or action would change without `revise`, when feeds (SYNTHETIC
        is one) or adjustments would mix, when two rows of one stamp differ, or when the rows are
        no bars; nothing is written then.
        """
        length = canonical(interval)
        key = "session" if length == DAILY else "at"
        new = columns_of(frame, symbol, key)
        with locked(self.path / ".lock"):
            old, before = self._stored(symbol, length, new)
            merge = merged(old, new, key)
            if len(merge.after[key]) and not revise:
                raise BadBars(
                    f"{symbol}: {len(merge.after[key])} stored bars would change, the first on "
                    f"{stamps_of(merge.after)[0]}; import with --revise if the source corrected "
                    "them"
                )
            change = self._actions.merged(symbol, file_name(symbol), actions, revise=revise)
            bars = assemble_columns(
                merge.columns, change.table, new_york(), symbol=symbol, interval=length
            )
            record: Record = {
                "symbol": symbol,
                "interval": length,
                "source": store_passport.sources(str(before.get("source", "")), source),
                "feed": feed,
                "adjustment": adjustment,
                "asof": asof or str(before.get("asof", "")),
                "hours": hours or str(before.get("hours", "")),
                "first": str(bars.session[0]),
                "last": str(bars.session[-1]),
                "covered": [str(day) for day in covered] if covered else before.get("covered"),
                "bars": len(bars),
                "digest": digest(merge.columns),
                "faults": None if faults is None else store_passport.counted(faults),
                "revisions": 0,
            }
            if before:
                store_passport.refuse_mixture(before, record)
            when = utc_now() if seen is None else seen
            self._actions.write(file_name(symbol), change, self._format(), seen=when, source=source)
            lines = revisions.of_bars(merge.before, merge.after, seen=when, source=source)
            beside = self._beside(symbol, length, revisions.SUFFIX)
            revisions.add(beside, revisions.BARS, lines)
            record["revisions"] = revisions.count(beside)
            self._commit(symbol, length, record, merge.columns)
        return Written(
            symbol, length, merge.added, tuple(stamps_of(merge.after)), merge.unchanged,
            revisions.sentences(merge.before, merge.after), change.sentences,
        )  # fmt: skip

    def mark(self, symbol: str, interval: str, covered: Span) -> None:
        """Note which sessions the source was asked for, when that brought no rows."""
        with locked(self.path / ".lock"):
            path, record = self._located(symbol, interval)
            changed = record | {"covered": [str(day) for day in covered]}
            self._commit(symbol, canonical(interval), changed, self._load(path))

    def convert(self, symbol: str, interval: str = DAILY) -> None:
        """Write the bars and actions of a symbol anew, in this store's format; nothing changes."""
        with locked(self.path / ".lock"):
            path, record = self._located(symbol, interval)
            self._actions.convert(symbol, file_name(symbol), self._format())
            self._commit(symbol, canonical(interval), dict(record), self._load(path))

    def _commit(self, symbol: str, interval: str, record: Record, columns: Columns) -> None:
        own = self._format()
        folder = self.path / "bars" / interval
        passport = self._beside(symbol, interval, ".json")
        target = folder / f"{file_name(symbol)}{own.suffix}"
        record["file"] = target.name
        before = self._find(symbol, interval)[1]
        if before != record:
            store_passport.write(passport, before, pending=record)
        if not before or (before.get("digest"), before.get("file")) != (
            record["digest"],
            target.name,
        ):
            replace_file(target, lambda part: own.write(part, columns))
        if before != record:
            store_passport.write(passport, record)
        for suffix in self._formats:
            if suffix != own.suffix:
                (folder / f"{file_name(symbol)}{suffix}").unlink(missing_ok=True)
        sweep(folder, file_name(symbol))

    def _stored(self, symbol: str, interval: str, new: Columns) -> tuple[Columns, Record]:
        path, record = self._find(symbol, interval)
        if path is None:
            return {name: values[:0] for name, values in new.items()}, {}
        return self._load(path), record

    def _located(self, symbol: str, interval: str) -> tuple[Path, Record]:
        path, record = self._find(symbol, canonical(interval))
        if path is None:
            raise self._missing(symbol, interval)
        return path, record

    def _find(self, symbol: str, interval: str) -> tuple[Path | None, Record]:
        """Return the bars that count and their passport, whatever was interrupted."""
        folder = self.path / "bars" / interval
        record, pending = store_passport.read(self._beside(symbol, interval, ".json"))
        if pending is not None:
            path = folder / Path(pending["file"]).name
            if path.is_file() and digest(self._load(path)) == pending["digest"]:
                return path, pending
        names = [f"{file_name(symbol)}{suffix}" for suffix in self._formats]
        if "file" in record:
            names.insert(0, Path(record["file"]).name)
        found = next((folder / name for name in names if (folder / name).is_file()), None)
        return found, record if found else {}

    def _load(self, path: Path) -> Columns:
        try:
            return typed(self._formats[path.suffix].read(path))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise BadBars(
                f"{path} cannot be read ({error}); move it and its passport away, then fetch or "
                "import these bars again"
            ) from error

    def _format(self) -> ColumnFile:
        if self._chosen is not None:
            return self._chosen
        for name in (".parquet", ".npz"):
            if any((self.path / "bars").glob(f"*/*{name}")):
                return self._formats[name]
        return self._formats[".parquet" if has_pyarrow() else ".npz"]

    def _beside(self, symbol: str, interval: str, suffix: str) -> Path:
        return self.path / "bars" / canonical(interval) / f"{file_name(symbol)}{suffix}"

    def _missing(self, symbol: str, interval: str) -> MissingBars:
        return missing(symbol, self.symbols(interval), where=str(self.path), interval=interval)
