# SPDX-License-Identifier: GPL-3.0-or-later
"""Readers of headlines: CSV, Parquet, JSON lines, or an answer of Alpaca's saved as JSON.

The usual spellings of columns are known. A stamp with an offset is an instant; one without is in
the time zone given; a bare date, or midnight, is known at the end of that day. Nothing is repaired:
a row that cannot be read is named, and refused or, if asked, left out.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from iverson.errors import BadBars, ConfigError, IversonError
from iverson.market.calendar import NEW_YORK
from iverson.market.news import Headline, headline
from iverson.market.spellings import plain

_MEANINGS = {
    "id": ("id", "newsid", "articleid", "uuid"),
    "headline": ("headline", "title"),
    "published": ("published", "publishedat", "createdat", "created", "timestamp", "datetime",
                  "date", "time", "publisheddate", "at", "pubdate"),
    "updated": ("updatedat", "updated", "modified"),
    "seen": ("seenat", "seen", "firstseen", "receivedat", "crawldate"),
    "source": ("source", "publisher", "provider"),
    "symbols": ("symbols", "tickers", "symbol", "ticker", "stock"),
    "summary": ("summary", "description", "teaser"),
}  # fmt: skip
_NEEDED = ("headline", "published")
_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.^=\-/]{0,19}")
_DATE_ONLY = re.compile(r"\d{4}-?\d{2}-?\d{2}")
_EMPTY = {"", "nan", "nat", "none", "null"}


@dataclass(frozen=True)
class Delivered:
    """What a file held: headlines, and of the rows left out how many and why the first."""

    headlines: tuple[Headline, ...]
    left_out: int = 0
    why: str = ""


def read(
    path: Path | str,
    *,
    timezone: str = NEW_YORK,
    source: str = "",
    symbol: str | None = None,
    skip: bool = False,
) -> Delivered:
    """Read headlines; `source` and `symbol` are for files that have no such column.

    `timezone` is that of stamps without an offset. With `skip`, rows that cannot be read are left
    out and counted. `BadBars` names file, row and what was expected otherwise.
    """
    file = Path(path)
    zone = _zone(timezone)
    if not file.is_file():
        raise BadBars(f"{file} is not a file; expected CSV, Parquet or JSON lines of headlines")
    found: list[Headline] = []
    left_out, why = 0, ""
    for number, row in _rows(file):
        try:
            found.append(_headline(row, zone, source, symbol))
        except (ValueError, IversonError) as error:
            sentence = f"{file}: row {number}: {error}"
            if not skip:
                raise BadBars(
                    f"{sentence}; mend the row, or leave such rows out with --skip"
                ) from error
            left_out, why = left_out + 1, why or sentence
    if not found:
        raise BadBars(f"{file} has no headline that can be read{f': {why}' if why else ''}")
    return Delivered(tuple(found), left_out, why)


def _headline(row: Mapping[str, Any], zone: ZoneInfo, source: str, symbol: str | None) -> Headline:
    text = _text(row.get("headline"))
    if not text:
        raise ValueError("there is no headline")
    origin, number = _text(row.get("source")) or source, _text(row.get("id"))
    made = headline(
        text,
        published_at=_stamp(row["published"], zone),
        updated_at=_instant(row.get("updated"), zone),
        seen_at=_instant(row.get("seen"), zone),
        source=origin,
        symbols=[symbol] if symbol is not None else symbols_in(row.get("symbols")),
        id=f"{origin}:{number}" if number else "",  # two vendors count from 1
        summary=_text(row.get("summary")),
        observed=bool(_text(row.get("seen"))),
    )
    if not made.headline:
        raise ValueError("nothing of the headline is left but tags and marks")
    return made


def symbols_in(cell: Any) -> list[str]:
    """Return the symbols of a cell: "AAPL", "$AAPL, MSFT", "['AAPL', 'MSFT']", or a list."""
    if isinstance(cell, str) or not isinstance(cell, Sequence):
        text = _text(cell).upper()
        return _SYMBOL.findall(text)
    return [found for one in cell for found in _SYMBOL.findall(str(one).upper())]


def _stamp(cell: Any, zone: ZoneInfo) -> datetime | date:
    if isinstance(cell, datetime):
        return cell if cell.tzinfo else cell.replace(tzinfo=zone)
    text = _text(cell)
    try:
        if _DATE_ONLY.fullmatch(text):
            return date.fromisoformat(text)
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time; expected one as 2020-06-05 10:30:54-04:00 or 2020-06-05"
        ) from None
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _instant(cell: Any, zone: ZoneInfo) -> datetime | None:
    if not _text(cell):
        return None
    at = _stamp(cell, zone)
    if not isinstance(at, datetime):
        raise ValueError(f"{_text(cell)!r} is a date; expected a time in this column")
    return at


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    text = str(cell).strip()
    return "" if text.lower() in _EMPTY else text


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(
            f"{name!r} is no time zone; expected a name such as {NEW_YORK}"
        ) from error


# -- rows of a file --------------------------------------------------------------------------------


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield rows with their number, columns by our names."""
    kind = file.suffix.lower()
    if kind in (".parquet", ".pq"):
        return _of_parquet(file)
    if kind in (".jsonl", ".ndjson", ".json"):
        return _of_json(file)
    return _of_csv(file)


def _of_parquet(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    from iverson.market.files import read_parquet

    try:
        frame = read_parquet(file)
    except (OSError, ValueError) as error:
        raise BadBars(f"{file} cannot be read as Parquet: {error}") from error
    names = _names([str(name) for name in frame.columns], file)
    columns = {ours: frame[theirs].tolist() for ours, theirs in names.items()}
    for number, cells in enumerate(zip(*columns.values(), strict=True), start=1):
        yield number, dict(zip(columns, cells, strict=True))


def _of_csv(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened)
            names = _names(list(reader.fieldnames or ()), file)
            for row in reader:
                yield reader.line_num, {ours: row.get(theirs) for ours, theirs in names.items()}
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadBars(f"{file} cannot be read as CSV: {error}") from error


def _of_json(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix.lower() == ".json":
            told = json.loads(text)
            rows = told.get("news") if isinstance(told, dict) else told
        else:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (UnicodeDecodeError, ValueError) as error:
        raise BadBars(
            f"{file} cannot be read as JSON: {error}; expected one object a line"
        ) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadBars(f"{file} holds no list of headlines; expected one object a line")
    for number, row in enumerate(rows, start=1):
        names = _names(list(row), file)
        yield number, {ours: row[theirs] for ours, theirs in names.items()}


def _names(header: Sequence[str], file: Path) -> dict[str, str]:
    """Return the file's name of each of our columns; the first spelling of our list wins."""
    spelled = {plain(name): name for name in reversed(header)}
    found = {}
    for ours, spellings in _MEANINGS.items():
        theirs = next((spelled[one] for one in spellings if one in spelled), None)
        if theirs is not None:
            found[ours] = theirs
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise BadBars(
            f"{file} has no column for {' and '.join(missing)}; its columns are "
            f"{', '.join(header) or 'none'}"
        )
    return found
