# SPDX-License-Identifier: GPL-3.0-or-later
"""Every common spelling becomes the same rows, and what cannot be read is named by its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from iverson.errors import BadBars, ConfigError
from iverson.market.readers import Rows, read, read_actions

DAILY = {
    "backtrader": (
        "aaa.csv",
        (
            "datetime,open,high,low,close,volume,openinterest\n"
            "2021-03-01 00:00:00,10,12,9,11,100,0\n2021-03-02 00:00:00,11,13,10,12,200,0\n"
        ),
    ),
    "yahoo": (
        "AAA.csv",
        (
            "Date,Open,High,Low,Close,Adj Close,Volume\n"
            "2021-03-01,10,12,9,11,5.5,100\n2021-03-02,11,13,10,12,6,200\n"
        ),
    ),
    "yfinance": (
        "AAA.csv",
        (
            "Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits\n"
            "2021-03-01 00:00:00-05:00,10,12,9,11,11,100,0.0,0.0\n"
            "2021-03-02 00:00:00-05:00,11,13,10,12,12,200,0.25,2.0\n"
        ),
    ),
    "stooq": (
        "aaa.us.txt",
        (
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
            "AAA.US,D,20210301,000000,10,12,9,11,100,0\nAAA.US,D,20210302,000000,11,13,10,12,200,0\n"
        ),
    ),
    "alpaca": (
        "download.csv",
        (
            "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n"
            "AAA,2021-03-01T05:00:00Z,10,12,9,11,100,7,10.5\n"
            "AAA,2021-03-02T05:00:00Z,11,13,10,12,200,8,11.5\n"
        ),
    ),
    "alpaca short": (
        "AAA.csv",
        (
            "t,o,h,l,c,v,n,vw\n"
            "2021-03-01T05:00:00Z,10,12,9,11,100,7,10.5\n2021-03-02T05:00:00Z,11,13,10,12,200,8,11.5\n"
        ),
    ),
    "quandl": (
        "WIKI_PRICES.csv",
        (
            "ticker,date,open,high,low,close,volume,ex-dividend,split_ratio,adj_open,adj_close\n"
            "AAA,2021-03-01,10,12,9,11,100,0,1,5,5.5\nAAA,2021-03-02,11,13,10,12,200,0.25,2,5.5,6\n"
        ),
    ),
    "semicolons and a byte order mark": (
        "AAA.csv",
        (
            "\ufeffDate;Open;High;Low;Close;Volume\n\n"
            "2021-03-01;10;12;9;11;100\n2021-03-02;11;13;10;12;200\n\n"
        ),
    ),
}


def written(folder: Path, text: str, name: str = "AAA.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("case", DAILY)
def test_daily_spellings_become_the_same_rows(tmp_path: Path, case: str) -> None:
    name, text = DAILY[case]

    rows = read(written(tmp_path, text, name))

    assert rows.interval == "1d"
    assert rows.frame["symbol"].tolist() == ["AAA", "AAA"]
    days = rows.frame["session"].dt.strftime("%Y-%m-%d").tolist()
    assert days == ["2021-03-01", "2021-03-02"]
    values = rows.frame[["open", "high", "low", "close", "volume"]].to_numpy().tolist()
    assert values == [[10, 12, 9, 11, 100], [11, 13, 10, 12, 200]]


@pytest.mark.parametrize("case", ["yfinance", "quandl"])
def test_action_columns_become_actions(tmp_path: Path, case: str) -> None:
    name, text = DAILY[case]

    actions = read(written(tmp_path, text, name)).actions

    assert actions is not None
    assert [(f"{row.session:%Y-%m-%d}", row.kind, row.value) for row in actions.itertuples()] == [
        ("2021-03-02", "dividend", 0.25),
        ("2021-03-02", "split", 2.0),
    ]


def test_a_file_without_action_columns_says_nothing_about_actions(tmp_path: Path) -> None:
    name, text = DAILY["yahoo"]

    assert read(written(tmp_path, text, name)).actions is None


def test_daily_bars_across_the_change_of_offset_keep_their_dates(tmp_path: Path) -> None:
    text = (
        "Date,Open,High,Low,Close,Volume\n"
        "2021-03-12 00:00:00-05:00,1,1,1,1,1\n2021-03-15 00:00:00-04:00,1,1,1,1,1\n"
    )

    session = read(written(tmp_path, text)).frame["session"]

    assert session.dt.strftime("%Y-%m-%d").tolist() == ["2021-03-12", "2021-03-15"]


FIVE = (
    "datetime,open,high,low,close,volume\n"
    "2021-03-01 {0}:30,1,1,1,1,1\n2021-03-01 {0}:35,1,1,1,1,1\n2021-03-01 {0}:45,1,1,1,1,1\n"
    "2021-03-01 {0}:50,1,1,1,1,1\n"
)


def clocks(rows: Rows) -> list[str]:
    return rows.frame["at"].dt.strftime("%H:%M").tolist()


@pytest.mark.parametrize(
    ("hour", "options", "expected"),
    [
        ("09", {}, ["14:35", "14:40", "14:50", "14:55"]),
        ("09", {"stamp": "right"}, ["14:30", "14:35", "14:45", "14:50"]),
        ("14", {"timezone": "UTC"}, ["14:35", "14:40", "14:50", "14:55"]),
    ],
    ids=["left by default", "right", "another zone"],
)
def test_intraday_stamps_move_to_the_right_edge_in_utc(
    tmp_path: Path, hour: str, options: dict[str, Any], expected: list[str]
) -> None:
    rows = read(written(tmp_path, FIVE.format(hour)), **options)

    assert rows.interval == "5m"
    assert clocks(rows) == expected
    assert str(rows.frame["at"].dt.tz) == "UTC"
    assert rows.frame["session"].dt.strftime("%Y-%m-%d").unique().tolist() == ["2021-03-01"]


def test_our_own_column_at_is_a_right_edge_already(tmp_path: Path) -> None:
    text = FIVE.format("09").replace("datetime", "at")

    assert clocks(read(written(tmp_path, text)))[0] == "14:30"


def test_an_hour_bar_ends_at_the_close_at_the_latest(tmp_path: Path) -> None:
    text = (
        "datetime,open,high,low,close,volume\n2021-03-01 14:30,1,1,1,1,1\n"
        "2021-03-01 15:30,1,1,1,1,1\n2021-03-01 16:30,1,1,1,1,1\n"
    )

    rows = read(written(tmp_path, text))

    assert rows.interval == "1h"
    assert clocks(rows) == ["20:30", "21:00", "22:30"]


def test_an_evening_bar_belongs_to_its_new_york_date(tmp_path: Path) -> None:
    text = (
        "timestamp,open,high,low,close,volume\n2021-03-02T00:58:00Z,1,1,1,1,1\n"
        "2021-03-02T00:59:00Z,1,1,1,1,1\n"
    )

    rows = read(written(tmp_path, text))

    assert rows.frame["session"].dt.strftime("%Y-%m-%d").tolist() == ["2021-03-01", "2021-03-01"]


def test_duplicated_dates_stay_daily(tmp_path: Path) -> None:
    text = "Date,Open,High,Low,Close,Volume\n2021-03-01,1,1,1,1,1\n2021-03-01,1,1,1,1,1\n"

    rows = read(written(tmp_path, text))

    assert rows.interval == "1d"
    assert len(rows.frame) == 2


def test_empty_cells_become_nan_and_are_not_repaired(tmp_path: Path) -> None:
    text = "Date,Open,High,Low,Close,Volume\n2021-03-01,,2,1,null,5\n"

    frame = read(written(tmp_path, text)).frame

    assert frame[["open", "close"]].isna().to_numpy().tolist() == [[True, True]]


def test_parquet_with_a_time_index_is_read(tmp_path: Path) -> None:
    index = pd.DatetimeIndex(["2021-03-01", "2021-03-02"], tz="UTC", name="timestamp")
    frame = pd.DataFrame({name: [1.0, 2.0] for name in "ohlcv"}, index=index)
    frame.to_parquet(tmp_path / "AAA.parquet")

    rows = read(tmp_path / "AAA.parquet")

    assert rows.frame["session"].dt.strftime("%Y-%m-%d").tolist() == ["2021-03-01", "2021-03-02"]
    assert rows.frame["close"].tolist() == [1.0, 2.0]


HEAD = "Date,Open,High,Low,Close,Volume\n"
GOOD = "2021-03-01,1,1,1,1,1\n"
BROKEN = {
    "missing column": ("Date,Open,High,Low,Close\n2021-03-01,1,1,1,1\n", "no column for volume"),
    "missing date": ("Open,High,Low,Close,Volume\n1,1,1,1,1\n", "no column for date"),
    "empty file": ("", "is empty"),
    "header only": (HEAD, "no rows below its header"),
    "bad number": (HEAD + GOOD + "2021-03-02,1,x7,1,1,1\n", "column 'High', line 3: 'x7'"),
    "thousands": (HEAD + '2021-03-01,"1,000",1,1,1,1\n', "column 'Open', line 2: '1,000'"),
    "bad date": (HEAD + GOOD + "\n03/02/2021,1,1,1,1,1\n", "column 'Date', line 4: '03/02/2021'"),
    "impossible date": (HEAD + "2021-02-30,1,1,1,1,1\n", "line 2: '2021-02-30'"),
    "a header again": (HEAD + GOOD + HEAD, "line 3"),
    "cut line": (HEAD + GOOD + "2021-03-02,1,1\n", "line 3 has 3 cells; expected 6"),
    "two closes": (
        HEAD.replace("Volume", "Volume,close") + "2021-03-01,1,1,1,1,1,1\n",
        "both mean",
    ),
    "two dates": ("Date,Date,Open,High,Low,Close,Volume\na,b,1,1,1,1,1\n", "there twice"),
    "mixed offsets": (HEAD + "2021-03-01T00:00Z,1,1,1,1,1\n" + GOOD, "all alike"),
    "weekly": (
        HEAD + "".join(f"2021-03-{day:02},1,1,1,1,1\n" for day in (1, 8, 15, 22)),
        "about 7 days apart",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, case: str) -> None:
    text, sentence = BROKEN[case]
    path = written(tmp_path, text)

    with pytest.raises(BadBars) as caught:
        read(path)

    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_binary_rubbish_and_missing_files_are_refused(tmp_path: Path) -> None:
    rubbish = tmp_path / "AAA.csv"
    rubbish.write_bytes(b"\xff\xfe\x00\x01 no text")
    fake = tmp_path / "AAA.parquet"
    fake.write_bytes(b"no parquet")

    for path, sentence in (
        (rubbish, "cannot be read as CSV"),
        (fake, "cannot be read as Parquet"),
        (tmp_path / "absent.csv", "is not a file"),
    ):
        with pytest.raises(BadBars, match=sentence):
            read(path)


def test_a_file_name_that_is_no_symbol_asks_for_one(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + GOOD, "my prices.csv")

    with pytest.raises(BadBars, match="name it with --symbol"):
        read(path)

    assert read(path, symbol="brk.b").frame["symbol"].tolist() == ["BRK.B"]


def test_an_unknown_time_zone_or_interval_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, FIVE.format("09"))

    with pytest.raises(ConfigError, match="'Mars/Base'"):
        read(path, timezone="Mars/Base")
    with pytest.raises(ConfigError, match="interval is '2w'"):
        read(path, interval="2w")


def test_an_actions_file_is_read(tmp_path: Path) -> None:
    text = "symbol,ex_date,kind,value\nAAA,2021-03-02,Split,2\nAAA,2021-03-01,dividend,0.1\n"

    actions = read_actions(written(tmp_path, text, "actions.csv"))

    assert actions[["kind", "value"]].to_numpy().tolist() == [["dividend", 0.1], ["split", 2.0]]


def test_an_actions_file_with_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    text = "symbol,date,kind,value\nAAA,2021-03-02,merger,2\n"

    with pytest.raises(BadBars, match="'merger'"):
        read_actions(written(tmp_path, text, "actions.csv"))
