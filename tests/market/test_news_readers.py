# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of headlines are read in the usual spellings; what cannot be read is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from iverson.errors import BadBars, ConfigError
from iverson.market.news_readers import read, symbols_in

NOON = datetime(2024, 1, 3, 17, 0, 1, tzinfo=UTC)  # 12:00:01 in New York
ANSWER = (
    '{"created_at":"2024-01-03T17:00:01Z","headline":"Acme falls","symbols":["ACME"],'
    '"source":"wire"}'
)

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def made(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return made


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "date,headline,ticker,publisher\n2024-01-03 12:00:01,Acme falls,ACME,wire\n"),
        ("a.csv", "title,Published At,stock,source\nAcme falls,2024-01-03T17:00:01Z,acme,wire\n"),
        ("a.csv", "\ufeffdate,title,symbol,source\n2024-01-03 12:00:01-0500,Acme falls,$ACME,wire"),
        ("a.jsonl", f"{ANSWER}\n\n"),
        ("a.json", f'{{"news":[{ANSWER}],"next_page_token":null}}'),
    ],
    ids=["no zone", "zone", "offset and mark", "lines of JSON", "saved answer"],
)  # fmt: skip
def test_usual_spellings_mean_the_same(write: Write, name: str, text: str) -> None:
    (one,) = read(write(name, text)).headlines

    assert (one.seen_at, one.headline, one.source, one.symbols) == (
        NOON, "Acme falls", "wire", ("ACME",),
    )  # fmt: skip


def test_parquet_with_times_is_read(tmp_path: Path) -> None:
    stamps = pd.DatetimeIndex([NOON, NOON.replace(hour=18)])
    frame = pd.DataFrame(
        {"timestamp": stamps, "headline": ["Acme falls", "Acme rises"], "symbol": ["ACME", None]}
    )
    frame.to_parquet(tmp_path / "a.parquet")
    one, two = read(tmp_path / "a.parquet", source="wire").headlines

    assert (one.seen_at, two.seen_at) == tuple(stamps.to_pydatetime())
    assert (one.symbols, two.symbols, two.source) == (("ACME",), (), "wire")


def test_stamps_without_a_zone_are_in_the_one_given(write: Write) -> None:
    path = write("a.csv", "date,headline\n2024-01-03 17:00:01,Acme falls\n")

    assert read(path, timezone="UTC").headlines[0].seen_at == NOON


def test_date_and_midnight_are_known_at_the_end_of_the_day(write: Write) -> None:
    path = write(
        "a.csv", "date,headline\n2024-01-03,Acme\n2024-01-03 00:00:00,IBM\n20240103,MSFT\n"
    )

    assert {one.seen_at for one in read(path).headlines} == {datetime(2024, 1, 4, 5, tzinfo=UTC)}


def test_columns_that_say_more_are_used(write: Write) -> None:
    row = {
        "id": 7, "source": "wire",
        "created_at": "2024-01-03T17:00:01Z", "updated_at": "2024-01-03T17:05:01Z",
        "seen_at": "2024-01-03T17:09:01Z", "headline": "Acme falls", "summary": "<p>Much.</p>",
    }  # fmt: skip
    (one,) = read(write("a.jsonl", json.dumps(row))).headlines

    assert (one.id, one.summary, one.observed) == ("wire:7", "Much.", True)
    assert (one.published_at, one.updated_at.minute, one.seen_at.minute) == (NOON, 5, 9)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("AAPL", ["AAPL"]), ("$aapl, MSFT", ["AAPL", "MSFT"]),
        ("['AAPL', 'BRK.B']", ["AAPL", "BRK.B"]),
        (["AAPL", "msft"], ["AAPL", "MSFT"]), ("", []), ("nan", []), (None, []), (float("nan"), []),
    ],
)  # fmt: skip
def test_symbols_of_a_cell(cell: object, expected: list[str]) -> None:
    assert symbols_in(cell) == expected


BAD_ROW = "date,headline\n2024-01-03,Acme falls\nyesterday,IBM falls\n2024-01-04,\n"


def test_row_that_cannot_be_read_is_named(write: Write) -> None:
    with pytest.raises(BadBars, match=r"a\.csv: row 3: 'yesterday' is no time; expected one as"):
        read(write("a.csv", BAD_ROW))


def test_rows_that_cannot_be_read_are_left_out_and_counted_if_asked(write: Write) -> None:
    found = read(write("a.csv", BAD_ROW), skip=True)

    assert (len(found.headlines), found.left_out) == (1, 2)
    assert "row 3: 'yesterday'" in found.why


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "date,text\n2024-01-03,Acme\n", "no column for headline; its columns are date"),
        ("a.csv", "", "no column for headline and published; its columns are none"),
        ("a.csv", "date,headline\n", "no headline that can be read"),
        ("a.jsonl", '{"headline": "Acme", "da', "cannot be read as JSON"),
        ("a.json", '{"message": "forbidden."}', "holds no list of headlines"),
        ("a.csv", "date,headline\n2024-01-03,<p></p>\n", "nothing of the headline is left"),
        ("a.jsonl", '{"title":"Acme","at":"2024-01-03","seen_at":"2024-01-04"}', "expected a time"),
    ],
)  # fmt: skip
def test_file_that_holds_no_headlines_is_refused(
    write: Write, name: str, text: str, words: str
) -> None:
    with pytest.raises(BadBars, match=words):
        read(write(name, text))


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadBars, match="is not a file"):
        read(tmp_path / "a.csv")


def test_file_of_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"date,headline\n2024-01-03,\xff\xfe\n")
    (tmp_path / "a.parquet").write_bytes(b"no parquet")

    with pytest.raises(BadBars, match="cannot be read as CSV"):
        read(tmp_path / "a.csv")
    with pytest.raises(BadBars, match="cannot be read as Parquet"):
        read(tmp_path / "a.parquet")


def test_unknown_time_zone_is_refused(write: Write) -> None:
    with pytest.raises(ConfigError, match="'Mars' is no time zone"):
        read(write("a.csv", BAD_ROW), timezone="Mars")
