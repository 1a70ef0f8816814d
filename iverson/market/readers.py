# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers: a CSV or Parquet file of any common vendor becomes rows of the one schema.

Columns of the result: symbol, session, `at` (intraday only: tz-aware UTC, right edge), open,
high, low, close, volume, and adj_close if the file has it. Rows keep the file's order; nothing is
dropped, filled or repaired, because what is wrong is for `checks` to say.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.errors import BadBars
from iverson.market import actions as table
from iverson.market import spellings, stamps
from iverson.market.bars import DAILY
from iverson.market.calendar import NEW_YORK, new_york
from iverson.market.files import read_parquet
from iverson.market.intervals import canonical

PRICES = ("open", "high", "low", "close")
_EMPTY = frozenset({"", "nan", "null", "none", "na", "n/a"})


@dataclass(frozen=True)
class Rows:
    """What a file held: its bars, the actions it listed (None: it has no such columns)."""

    path: Path
    interval: str
    frame: pd.DataFrame
    actions: pd.DataFrame | None

    def __repr__(self) -> str:
        return f"Rows({str(self.path)!r}, {self.interval!r}, {len(self.frame)} bars)"


def read(
    path: Path | str,
    *,
    symbol: str | None = None,
    interval: str | None = None,
    stamp: stamps.Edge | None = None,
    timezone: str = NEW_YORK,
) -> Rows:
    """Read bars, in the spelling of Backtrader, Yahoo, Stooq, Alpaca, Quandl or Tiingo.

    Parameters
    ----------
    symbol : the symbol of every row; None: the file's column, else the file's name
    interval : "1d" or minutes such as "5m"; None: inferred from the stamps
    stamp : the edge that intraday stamps mark; None: "left", "right" for a column named `at`
    timezone : of stamps without an offset

    `BadBars` names file, column and line of what cannot be read; empty cells become NaN.
    """
    source = _load(Path(path))
    found = spellings.meanings(source.header, source.path)
    missing = [name for name in ("stamp", *PRICES, "volume") if name not in found]
    if missing:
        raise BadBars(
            f"{source.path}: no column for {', '.join(missing).replace('stamp', 'date')}; "
            f"its columns are {', '.join(source.header)}"
        )
    columns = {
        name: source.numbers(found[name])
        for name in (*PRICES, "volume", "adj_close", "dividend", "split")
        if name in found
    }
    symbols = source.symbols(found.get("symbol"), symbol)
    when = source.stamps(found["stamp"], found.get("clock"))
    try:
        length = stamps.infer(when, symbols) if interval is None else canonical(interval)
    except BadBars as error:
        raise BadBars(f"{source.path}: {error}") from error
    frame = pd.DataFrame({"symbol": symbols})
    if length == DAILY:
        days = when.sessions()
    else:
        default: stamps.Edge = (
            "right" if spellings.plain(source.header[found["stamp"]]) == "at" else "left"
        )
        at, days = stamps.right_edges(when.instants(timezone), length, stamp or default, new_york())
        frame["at"] = at.as_unit("ns").tz_localize("UTC")
    frame.insert(1, "session", days.astype("datetime64[s]"))
    for name in (*PRICES, "volume", "adj_close"):
        if name in columns:
            frame[name] = columns[name]
    listed = _actions(frame, columns.get("dividend"), columns.get("split"))
    return Rows(source.path, length, frame, listed)


def read_actions(path: Path | str, *, symbol: str | None = None) -> pd.DataFrame:
    """Read an actions table: columns symbol, session (or date), kind, value.

    `BadBars` names file, column and line of what cannot be read.
    """
    source = _load(Path(path))
    found = spellings.meanings(source.header, source.path)
    missing = [name for name in ("stamp", "kind", "value") if name not in found]
    if missing:
        raise BadBars(
            f"{source.path}: no column for {', '.join(missing).replace('stamp', 'session')}; "
            "expected symbol, session, kind and value"
        )
    frame = pd.DataFrame({"symbol": source.symbols(found.get("symbol"), symbol)})
    frame["session"] = source.stamps(found["stamp"], None).sessions().astype("datetime64[s]")
    frame["kind"] = source.column(found["kind"]).astype("str").str.strip().str.lower()
    frame["value"] = source.numbers(found["value"])
    try:
        return table.tidy(frame)
    except BadBars as error:
        raise BadBars(f"{source.path}: {error}") from error


def _actions(
    frame: pd.DataFrame, dividend: NDArray[np.float64] | None, split: NDArray[np.float64] | None
) -> pd.DataFrame | None:
    if dividend is None and split is None:
        return None
    parts = [table.empty()]
    for kind, values, none in (
        (table.DIVIDEND, dividend, (0.0,)),
        (table.SPLIT, split, (0.0, 1.0)),
    ):
        if values is None:
            continue
        there = ~(np.isnan(values) | np.isin(values, none))
        rows = frame.loc[there, ["symbol", "session"]].assign(kind=kind, value=values[there])
        parts.append(rows)
    return table.tidy(pd.concat([part for part in parts if len(part)] or parts[:1]))


@dataclass(frozen=True)
class _Source:
    """A file's cells by column, with the line each row came from (Parquet: its row number)."""

    path: Path
    header: list[str]
    cells: list[pd.Series]
    lines: NDArray[np.int64]
    unit: str

    def column(self, position: int) -> pd.Series:
        return self.cells[position]

    def numbers(self, position: int) -> NDArray[np.float64]:
        values = self.cells[position]
        if pd.api.types.is_numeric_dtype(values.dtype):
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
        unknown = np.flatnonzero(np.isnan(numbers))
        for row in unknown:
            text = str(values.iloc[row]).strip()
            if text.lower() not in _EMPTY:
                raise self.bad(position, int(row), text, "a number")
        return numbers

    def symbols(self, position: int | None, symbol: str | None) -> pd.Series[str]:
        if symbol is not None or position is None:
            name = (
                spellings.symbol_of(self.path)
                if symbol is None
                else spellings.clean_symbol(symbol, self.path)
            )
            return pd.Series([name] * len(self.lines), dtype="str")
        written = self.cells[position].astype("str")
        clean = {text: spellings.clean_symbol(text, self.path) for text in written.unique()}
        return written.map(clean).astype("str")

    def stamps(self, position: int, clock: int | None) -> stamps.Stamps:
        values = self.cells[position]
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            if values.isna().any():
                raise self.bad(position, int(values.isna().to_numpy().argmax()), "NaT", "a date")
            return stamps.from_index(pd.DatetimeIndex(values))
        text = values.astype("str")
        if clock is not None:
            text = text.str.strip() + "T" + self.cells[clock].astype("str").str.strip().map(_clock)
        try:
            return stamps.parse(text)
        except stamps.Unreadable as error:
            raise self.bad(
                position, error.row, error.text, "ISO dates such as 2024-01-02, all alike"
            ) from error

    def bad(self, position: int, row: int, text: str, expected: str) -> BadBars:
        return BadBars(
            f"{self.path}: column {self.header[position]!r}, {self.unit} {self.lines[row]}: "
            f"{text!r} cannot be read; expected {expected}"
        )


def _clock(text: str) -> str:
    return text.zfill(6) if text.isdigit() else text


def _load(path: Path) -> _Source:
    if not path.is_file():
        raise BadBars(f"{path} is not a file; expected a CSV or Parquet file of bars")
    if path.suffix.lower() in (".parquet", ".pq"):
        return _load_parquet(path)
    return _load_csv(path)


def _load_parquet(path: Path) -> _Source:
    try:
        frame = read_parquet(path)
    except (OSError, ValueError) as error:
        raise BadBars(f"{path} cannot be read as Parquet: {error}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    if frame.empty:
        raise BadBars(f"{path} has no rows; expected one bar a row")
    header = [str(name) for name in frame.columns]
    cells = [frame.iloc[:, position] for position in range(frame.shape[1])]
    return _Source(path, header, cells, np.arange(1, len(frame) + 1), "row")


def _load_csv(path: Path) -> _Source:
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(file, delimiter=delimiter)
            header = [name.strip() for name in next(reader, [])]
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                if len(row) != len(header):
                    raise BadBars(
                        f"{path}: line {reader.line_num} has {len(row)} cells; expected "
                        f"{len(header)} as in the header"
                    )
                rows.append(row)
                lines.append(reader.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadBars(f"{path} cannot be read as CSV: {error}") from error
    if not header:
        raise BadBars(f"{path} is empty; expected a header line and one bar a line")
    if not rows:
        raise BadBars(f"{path} has no rows below its header; expected one bar a line")
    cells = [pd.Series(column, dtype="str") for column in zip(*rows, strict=True)]
    return _Source(path, header, cells, np.array(lines, dtype=np.int64), "line")
