# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson news`: files in, headlines as they were known out, refusals in one sentence."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iverson.cli.main import main
from iverson.market.news_store import NewsStore
from tests.market.alpaca_server import KEY, NEWS, SECRET, FakeAlpaca, article, serving

ROOT = Path(__file__).parents[2]
RANGE = ("--from", "2003", "--to", "2004")
ROWS = """date,headline,symbol,source
2024-01-03 12:00:01,Acme beats estimates,ACME,wire
2024-01-03 12:00:01,Acme beats estimates,IBM,wire
2024-01-03 17:30:00,"Acme cuts outlook, misses estimates",ACME,wire
2024-01-04,Acme opens office,,wire
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    (tmp_path / "a.csv").write_text(ROWS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def iverson(capfd: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        shown = capfd.readouterr()
        assert left.value.code == code, shown.err
        return shown.out if code == 0 else shown.out + shown.err

    return run


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_import_says_what_was_new_and_what_is_not_used(iverson: Any) -> None:
    first, again = (iverson("news", "import", "a.csv") for _ in range(2))

    assert first == (
        "a.csv: 3 new headlines, 1 known already; 1 without a symbol, kept and not used\n"
    )
    assert again.startswith("a.csv: 0 new headlines, 4 known already")


def test_list_shows_what_was_known_at_an_instant(iverson: Any) -> None:
    iverson("news", "import", "a.csv")
    then = rows(iverson("news", "list", "--at", "2024-01-03T22:29Z", "--csv"))
    now = rows(iverson("news", "list", "--csv"))
    of_ibm = json.loads(iverson("news", "list", "--symbols", "ibm", "--json"))

    assert [row["headline"] for row in then] == ["Acme beats estimates"]
    assert [row["seen_at"] for row in now] == [
        "2024-01-03T17:00:01+00:00", "2024-01-03T22:30:00+00:00", "2024-01-05T05:00:00+00:00",
    ]  # fmt: skip
    assert float(now[0]["score"]) > 0 > float(now[1]["score"])
    assert [(row["symbols"], row["revision"]) for row in of_ibm] == [("ACME IBM", 0)]


def test_table_of_headlines_fits_a_terminal(iverson: Any) -> None:
    iverson("news", "import", "a.csv")
    shown = iverson("news", "list", "--last", "2")

    assert max(map(len, shown.splitlines())) <= 80
    assert "3 headlines known, lexicon" in shown
    assert "beats" not in shown


def test_refused_file_changes_nothing_and_others_are_read(iverson: Any, folder: Path) -> None:
    (folder / "b.csv").write_text("date,headline\nyesterday,Acme\n", encoding="utf-8")
    told = iverson("news", "import", "b.csv", "a.csv", code=1)

    assert "refused: b.csv: row 2: 'yesterday' is no time" in told
    assert len(NewsStore(folder / "data/cache/news")) == 3


def test_rows_left_out_are_told(iverson: Any, folder: Path) -> None:
    (folder / "b.csv").write_text(f"{ROWS}yesterday,Acme,ACME,wire\n", encoding="utf-8")
    told = iverson("news", "import", "b.csv", "--skip", "--store", "other", code=1)

    assert "left out 1 rows, the first: b.csv: row 6: 'yesterday'" in told
    assert len(NewsStore(folder / "other/news")) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "--at", "noon"), "--at 'noon' is no instant; write it as"),
        (("list", "--symbols", ","), "--symbols ',' names no symbol"),
        (("list", "--csv", "--json"), "--csv and --json are both given"),
        (("import", "a.csv", "--timezone", "Mars"), "'Mars' is no time zone"),
        (("fetch", "--symbols", "ACME"), "no Alpaca keys; set IVERSON_ALPACA_KEY"),
        (("fetch", "--symbols", "ACME", "--to", "2024"), "--to is given without --from"),
    ],
)
def test_mistake_is_one_sentence(iverson: Any, arguments: tuple[str, ...], words: str) -> None:
    told = iverson("news", *arguments, code=2)

    assert words in told
    assert len(told.splitlines()) == 1


def test_strategy_says_where_headlines_come_from(iverson: Any) -> None:
    told = iverson("backtest", "strategies.news_reversal", code=2)

    assert "there are no headlines in data/cache/news; run `iverson news import FILE`" in told


def test_made_up_headlines_are_enough_to_try_the_strategy(iverson: Any) -> None:
    told = iverson("news", "synthesize", "--symbols", "AAPL,IBM")
    shown = iverson("backtest", "strategies.news_reversal", "--symbols", "AAPL,IBM", *RANGE)

    assert told.startswith("SYNTHETIC headlines for AAPL, IBM: ")
    assert shown.startswith("SYNTHETIC DATA: NewsReversal on AAPL, IBM")
    listed = rows(iverson("news", "list", "--csv"))
    assert len(listed) == 20
    assert all(row["source"].startswith("SYNTHETIC") for row in listed)


@pytest.fixture
def alpaca(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAlpaca]:
    """The data API on loopback, with one headline just before the end of January."""
    with serving(FakeAlpaca(news=[article(7, "Acme beats", at="2024-02-01T04:30:00Z")])) as server:
        monkeypatch.setenv("IVERSON_ALPACA_KEY", KEY)
        monkeypatch.setenv("IVERSON_ALPACA_SECRET", SECRET)
        monkeypatch.setenv("IVERSON_ALPACA_DATA_URL", server.url)
        yield server


def test_fetch_brings_history_and_goes_on(iverson: Any, alpaca: FakeAlpaca) -> None:
    assert "were never fetched" in iverson("news", "fetch", "--symbols", "acme", code=2)
    span = ("--from", "2024-01-02", "--to", "2024-01")
    first = iverson("news", "fetch", "--symbols", "acme", *span)
    again = iverson("news", "fetch", "--symbols", "acme")
    history, later = alpaca.asked(NEWS)

    assert first == "ACME: 1 new headlines\n"
    assert again == "ACME: 0 new headlines, 1 known already\n"
    assert history["start"] == "2024-01-02T05:00:00Z"
    assert history["end"] == "2024-02-01T05:00:00Z"
    assert later["start"] == "2024-02-01T04:00:00Z"
