# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson bars fetch` as a user meets it: what it prints, and what its exit code says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from iverson.cli.main import app
from iverson.errors import ConfigError
from iverson.market import calendar
from iverson.market.alpaca import patience
from iverson.market.calendar import new_york
from iverson.market.store import Store
from tests.market.alpaca_server import KEY, SECRET, Failure, FakeAlpaca, daily_bars, serving

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)  # a Saturday
SESSIONS: list[date] = new_york().between(date(2026, 10, 1), date(2026, 11, 27)).tolist()
FIRST = str(SESSIONS[0])


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeAlpaca]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(calendar, "utc_now", lambda: NOW)
    with serving(FakeAlpaca(now=NOW)) as server:
        for symbol in ("AAA", "BBB"):
            server.bars[symbol, "1Day"] = daily_bars(SESSIONS)
        monkeypatch.setenv("IVERSON_ALPACA_DATA_URL", server.url)
        monkeypatch.setenv("IVERSON_ALPACA_KEY", KEY)
        monkeypatch.setenv("IVERSON_ALPACA_SECRET", SECRET)
        yield server


@pytest.fixture
def run(market: FakeAlpaca) -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(app, ["bars", *arguments])


def test_a_universe_file_is_fetched_and_all_of_it_brought_up_to_date(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "universe.txt").write_text("AAA\nBBB # the other\n")

    first = run("fetch", "--universe", "universe.txt", "--from", FIRST)
    again = run("fetch")
    listed = run("list")

    assert first.exit_code == again.exit_code == 0, first.output + again.output
    assert f"stored AAA 1d: {len(SESSIONS)} added, 0 revised, 0 unchanged" in first.output
    assert f"2 of 2 symbols are up to date, asked through {SESSIONS[-1]}" in first.output
    assert f"{2 * len(SESSIONS)} bars added, 0 revised" in first.output
    assert "stored BBB 1d: 0 added, 0 revised, 5 unchanged" in again.output
    assert re.search(r"AAA +1d .* sip +raw", listed.output)
    assert Store("data/cache").symbols() == ["AAA", "BBB"]


def test_a_correction_is_printed(run: Callable[..., Result], market: FakeAlpaca) -> None:
    run("fetch", "AAA", "--from", FIRST)
    market.bars["AAA", "1Day"][-1]["v"] = 1234

    result = run("fetch", "AAA")

    assert f"  revised {SESSIONS[-1]}: volume was 1000 and is now 1234" in result.output
    assert result.exit_code == 0


def test_refused_symbols_are_named_once_a_reason_and_the_exit_code_is_one(
    run: Callable[..., Result],
) -> None:
    result = run("fetch", "AAA,NOPE", "NADA", "--from", FIRST)

    assert result.exit_code == 1
    assert "stored AAA" in result.output
    assert re.search(r"refused: NOPE, NADA: no 1d bars between", result.output)
    assert "1 of 3 symbols are up to date" in result.output


def test_wrong_keys_are_exit_code_two(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IVERSON_ALPACA_SECRET", "wrongsecret")

    result = run("fetch", "AAA")

    assert result.exit_code == 2
    assert "does not accept these keys" in result.output
    assert "wrongsecret" not in result.output


def test_a_vendor_that_is_down_is_exit_code_two(
    run: Callable[..., Result], market: FakeAlpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience.Backoff, "wait", lambda *_: 0.0)
    market.failures.extend([Failure(500) for _ in range(6)])

    result = run("fetch", "AAA", "--from", FIRST)

    assert result.exit_code == 2
    assert "answered 500, 6 times in a row" in result.output


def test_alpacas_own_names_of_the_keys_are_known(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, own in (("KEY", "KEY_ID"), ("SECRET", "SECRET_KEY")):
        value = {"KEY": KEY, "SECRET": SECRET}[name]
        monkeypatch.delenv(f"IVERSON_ALPACA_{name}")
        monkeypatch.setenv(f"APCA_API_{own}", value)

    assert run("fetch", "AAA", "--from", FIRST).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fetch",), "no symbols: data/cache has no 1d bars yet"),
        (("fetch", "the rest"), "'the rest' is not a symbol"),
        (("fetch", "AAA", "--interval", "1h"), "minutes that divide 30"),
        (("fetch", "AAA", "--interval", "soon"), "interval is 'soon'"),
        (("fetch", "AAA", "--from", "yesterday"), "is no date"),
        (("fetch", "AAA", "--from", "2020", "--to", "2019"), "the range is empty"),
        (("fetch", "AAA", "--from", "2040"), "nothing to fetch"),
        (("fetch", "AAA", "--asof", "then"), "is no date"),
        (("fetch", "--universe", "absent.txt"), "absent.txt cannot be read"),
        (("convert", "auto"), "auto is no format"),
    ],
)
def test_bad_input_is_one_sentence(
    run: Callable[..., Result], arguments: tuple[str, ...], words: str
) -> None:
    result = run(*arguments)

    assert isinstance(result.exception, ConfigError)
    assert words in str(result.exception)
    assert not Path("data").exists()


def test_without_keys_it_says_what_to_set(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IVERSON_ALPACA_KEY")

    assert "set IVERSON_ALPACA_KEY and IVERSON_ALPACA_SECRET" in str(run("fetch", "AAA").exception)


def test_a_store_is_converted_for_a_machine_without_pyarrow(run: Callable[..., Result]) -> None:
    run("fetch", "AAA", "--from", FIRST)
    before = Store("data/cache").read("AAA").digest

    result = run("convert", "npz")

    assert result.output == "data/cache: bars of 1 symbols and intervals are npz now\n"
    assert [path.suffix for path in Path("data/cache/bars/1d").glob("*")].count(".npz") == 1
    assert list(Path("data/cache").rglob("*.parquet")) == []
    assert Store("data/cache").read("AAA").digest == before


def test_the_format_can_be_set(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IVERSON_STORE_FORMAT", "npz")

    run("fetch", "AAA", "--from", FIRST)
    run("fetch", "BBB", "--from", FIRST, "--format", "parquet")

    folder = Path("data/cache/bars/1d")
    assert (folder / "AAA.npz").is_file()
    assert (folder / "BBB.parquet").is_file()


def test_an_unsound_store_is_found_by_check(run: Callable[..., Result]) -> None:
    run("fetch", "AAA", "BBB", "--from", FIRST)
    folder = Path("data/cache/bars/1d")
    (folder / "AAA.parquet").write_bytes((folder / "AAA.json").read_bytes())

    result = run("check")

    assert result.exit_code == 1
    assert "unsound: data/cache/bars/1d/AAA.parquet cannot be read" in result.output
