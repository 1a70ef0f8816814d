# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: imported bars and actions on disk, one file a symbol and interval.

    bars/1d/AAPL.parquet     raw rows          actions/AAPL.parquet     splits and dividends
    bars/1d/AAPL.json        passport: source, feed, adjustment, span, rows, digest, faults

Files are replaced whole or not at all. Importing again adds rows; a row that changed is refused
unless it is meant as a revision, because a result must not change behind its reader's back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import pandas as pd

from iverson.errors import BadBars, MissingBars
from iverson.market import actions as table
from iverson.market.assembly import assemble
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.faults import Fault
from iverson.market.feeds import is_synthetic, joined
from iverson.market.files import ColumnFile, Columns, ParquetFile, replace_file
from iverson.market.intervals import canonical

DEFAULT = Path("data/cache")
VALUES = ["open", "high", "low", "close", "volume"]
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{p}{n}" for p in ("COM", "LPT") for n in range(1, 10))}


@dataclass(frozen=True)
class Written:
    """What one write did: rows added, rows revised (their stamps), rows that were there already."""

    symbol: str
    interval: str
    added: int
    revised: tuple[str, ...]
    unchanged: int


class Store:
    """Bars and actions in a directory; a directory that is not there is an empty store."""

    def __init__(
        self, path: Path | str = DEFAULT, *, column_file: ColumnFile | None = None
    ) -> None:
        self.path = Path(path)
        self._file: ColumnFile = ParquetFile() if column_file is None else column_file

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def symbols(self, interval: str = DAILY) -> list[str]:
        """Return the symbols that have bars of this interval, sorted."""
        folder = self.path / "bars" / canonical(interval)
        return sorted(unquote(file.stem) for file in folder.glob(f"*{self._file.suffix}"))

    def intervals(self) -> list[str]:
        """Return the intervals that have bars, sorted."""
        return sorted(folder.name for folder in (self.path / "bars").glob("*") if folder.is_dir())

    def read(self, symbol: str, interval: str = DAILY) -> Bars:
        """Return the bars with split factor and dividends; `MissingBars` if there are none."""
        frame = self.rows(symbol, interval)
        return assemble(
            frame,
            self.actions(symbol),
            new_york(),
            symbol=symbol,
            interval=canonical(interval),
            feed=str(self.passport(symbol, interval)["feed"]),
        )

    def rows(self, symbol: str, interval: str = DAILY) -> pd.DataFrame:
        """Return the raw rows as stored, in time: symbol, session, [at], prices, volume."""
        path = self._bars(symbol, interval)
        if not path.is_file():
            raise self._missing(symbol, interval)
        return _frame(symbol, self._file.read(path))

    def actions(self, symbol: str) -> pd.DataFrame:
        """Return the stored splits and dividends of a symbol; an empty table if none are."""
        path = self.path / "actions" / f"{_name(symbol)}{self._file.suffix}"
        if not path.is_file():
            return table.empty()
        columns = self._file.read(path)
        rows = pd.DataFrame({name: columns[name] for name in ("session", "kind", "value")})
        return table.tidy(rows.assign(symbol=symbol))

    def passport(self, symbol: str, interval: str = DAILY) -> dict[str, Any]:
        """Return what is known of the stored bars; `MissingBars` if there are none."""
        path = self._bars(symbol, interval).with_suffix(".json")
        if not path.is_file():
            raise self._missing(symbol, interval)
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

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
        faults: Iterable[Fault] = (),
        revise: bool = False,
    ) -> Written:
        """Merge one symbol's raw rows, and its actions if given, into the store.

        Parameters
        ----------
        frame : columns session, open, high, low, close, volume, and `at` for intraday bars
        actions : actions table; None leaves the stored ones as they are
        source, feed, adjustment : words for the passport
        faults : what `check` found, counted in the passport
        revise : whether rows and actions that differ from the stored ones replace them

        `BadBars` when a stored row or action would change without `revise`, when two rows of one
        stamp differ, when SYNTHETIC and real bars would meet, or when the rows are no bars; nothing
        is written then.
        """
        length = canonical(interval)
        path = self._bars(symbol, length)
        key = "session" if length == DAILY else "at"
        new = _tidy(frame, symbol, key)
        old = self.rows(symbol, length) if path.is_file() else new.iloc[:0]
        if len(old):
            before = str(self.passport(symbol, length)["feed"])
            _refuse_mixing(symbol, length, before, feed)
            feed = joined([before, feed])
        merged, revised, unchanged = _merge(old, new, key, symbol=symbol, revise=revise)
        listed = self._merged_actions(symbol, actions, revise=revise)
        bars = assemble(merged, listed, new_york(), symbol=symbol, interval=length)
        columns = _columns(merged, key)
        if actions is not None:
            self._write_actions(symbol, listed)
        replace_file(path, lambda part: self._file.write(part, columns))
        counts: dict[str, int] = {}
        for fault in faults:
            counts[fault.kind] = counts.get(fault.kind, 0) + 1
        content = {
            "symbol": symbol,
            "interval": length,
            "source": source,
            "feed": feed,
            "adjustment": adjustment,
            "first": str(bars.session[0]),
            "last": str(bars.session[-1]),
            "bars": len(bars),
            "digest": digest(columns),
            "faults": dict(sorted(counts.items())),
        }
        text = json.dumps(content, indent=2) + "\n"
        replace_file(path.with_suffix(".json"), lambda part: _write_text(part, text))
        added = len(merged) - len(old)
        return Written(symbol, length, added, tuple(revised), unchanged)

    def _merged_actions(
        self, symbol: str, actions: pd.DataFrame | None, *, revise: bool
    ) -> pd.DataFrame:
        stored = self.actions(symbol)
        if actions is None:
            return stored
        given = table.of_symbol(table.tidy(actions), symbol)
        keys = ["session", "kind"]
        # Two dividends of one date are both paid; a row listed twice is one action.
        totals = (
            given.drop_duplicates([*keys, "value"]).groupby(keys, as_index=False)["value"].sum()
        )
        both = stored.merge(totals, on=keys, suffixes=("_old", "_new"))
        changed = both.loc[~np.isclose(both["value_old"], both["value_new"], rtol=1e-6)]
        if len(changed) and not revise:
            row = changed.iloc[0]
            raise BadBars(
                f"{symbol}: the stored {row['kind']} of {row['value_old']:g} on "
                f"{row['session']:%Y-%m-%d} would become {row['value_new']:g}, as would "
                f"{len(changed) - 1} more; import with --revise if that is meant"
            )
        parts = [part for part in (stored, totals.assign(symbol=symbol)) if len(part)]
        if not parts:
            return table.empty()
        return table.tidy(pd.concat(parts).drop_duplicates(keys, keep="last"))

    def _write_actions(self, symbol: str, actions: pd.DataFrame) -> None:
        columns: Columns = {
            "session": actions["session"].to_numpy().astype("datetime64[D]"),
            "kind": actions["kind"].to_numpy(dtype=object),
            "value": actions["value"].to_numpy(dtype=np.float64),
        }
        path = self.path / "actions" / f"{_name(symbol)}{self._file.suffix}"
        replace_file(path, lambda part: self._file.write(part, columns))

    def _bars(self, symbol: str, interval: str) -> Path:
        folder = self.path / "bars" / canonical(interval)
        return folder / f"{_name(symbol)}{self._file.suffix}"

    def _missing(self, symbol: str, interval: str) -> MissingBars:
        return missing(symbol, self.symbols(interval), where=str(self.path), interval=interval)


def missing(symbol: str, known: list[str], *, where: str, interval: str) -> MissingBars:
    """Build the sentence for an unknown symbol, with a "did you mean" when one is close."""
    close = get_close_matches(symbol.upper(), known, n=1)
    shown = ", ".join(known[:8]) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
    hint = f"did you mean {close[0]}?" if close else f"there are {shown or 'none'}."
    return MissingBars(
        f"{symbol} has no {interval} bars in {where}; {hint} "
        "Others can be imported with `iverson bars import`"
    )


def _refuse_mixing(symbol: str, interval: str, before: str, feed: str) -> None:
    """Refuse to put bars of a market and bars made by a computer into one file."""
    if is_synthetic(before) == is_synthetic(feed):
        return
    stored, new = ("SYNTHETIC", "real") if is_synthetic(before) else ("real", "SYNTHETIC")
    raise BadBars(
        f"{symbol}: the stored {interval} bars are {stored} and these are {new}; "
        "give them a store of their own with --store"
    )


def digest(columns: Columns) -> str:
    """Return the SHA-256 of the columns, hexadecimal, the same for every file format."""
    total = hashlib.sha256()
    for name in sorted(columns):
        total.update(name.encode())
        total.update(np.ascontiguousarray(columns[name]).tobytes())
    return total.hexdigest()


def _name(symbol: str) -> str:
    name = quote(symbol, safe="^=")
    # Windows keeps these names for devices, whatever the suffix.
    return f"%{ord(name[0]):02X}{name[1:]}" if name.upper() in _RESERVED else name


def _frame(symbol: str, columns: Columns) -> pd.DataFrame:
    frame = pd.DataFrame({"symbol": pd.Series([symbol] * len(columns["open"]), dtype="str")})
    frame["session"] = columns["session"].astype("datetime64[s]")
    if "at" in columns:
        frame["at"] = pd.DatetimeIndex(columns["at"].astype("datetime64[ns]")).tz_localize("UTC")
    for name in VALUES:
        frame[name] = columns[name].astype(np.float64)
    return frame


def _columns(frame: pd.DataFrame, key: str) -> Columns:
    columns: Columns = {"session": frame["session"].to_numpy().astype("datetime64[D]")}
    if key == "at":
        naive = pd.DatetimeIndex(frame["at"]).tz_convert("UTC").tz_localize(None)
        columns["at"] = naive.to_numpy().astype("datetime64[ns]")
    return columns | {name: frame[name].to_numpy(dtype=np.float64) for name in VALUES}


def _tidy(frame: pd.DataFrame, symbol: str, key: str) -> pd.DataFrame:
    wanted = ["session", *(["at"] if key == "at" else []), *VALUES]
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise BadBars(f"{symbol}: no column {', '.join(absent)}; expected {', '.join(wanted)}")
    if frame.empty:
        raise BadBars(f"{symbol} has no rows to store; expected at least one bar")
    rows = frame[wanted].copy()
    rows.insert(0, "symbol", pd.Series([symbol] * len(rows), dtype="str", index=rows.index))
    rows["session"] = rows["session"].astype("datetime64[s]")
    if key == "at":
        rows["at"] = pd.DatetimeIndex(rows["at"]).tz_convert("UTC").as_unit("ns")
    rows[VALUES] = rows[VALUES].astype(np.float64)
    rows = rows.sort_values(key, kind="stable").drop_duplicates(ignore_index=True)
    twice = rows.duplicated(key)
    if twice.any():
        raise BadBars(
            f"{symbol} has {int(twice.sum())} stamps with two different bars, the first on "
            f"{rows.loc[twice, key].iloc[0]}; mend the source"
        )
    return rows


def _merge(
    old: pd.DataFrame, new: pd.DataFrame, key: str, *, symbol: str, revise: bool
) -> tuple[pd.DataFrame, list[str], int]:
    both = old.merge(new, on=key, suffixes=("_old", "_new"))
    before = both[[f"{name}_old" for name in VALUES]].to_numpy(dtype=np.float64)
    after = both[[f"{name}_new" for name in VALUES]].to_numpy(dtype=np.float64)
    same = (before == after).all(axis=1)
    changed = both.loc[~same, key]
    if len(changed) and not revise:
        raise BadBars(
            f"{symbol}: {len(changed)} stored bars would change, the first on {changed.iloc[0]}; "
            "import with --revise if the source corrected them"
        )
    parts = [part for part in (old, new) if len(part)]
    merged = pd.concat(parts).drop_duplicates(key, keep="last")
    merged = merged.sort_values(key, kind="stable", ignore_index=True)
    return merged, [str(stamp) for stamp in changed], int(same.sum())


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
