# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands import, check, list and adjust, and their exit code tells what happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from iverson.cli.bars import app
from iverson.errors import BadBars
from iverson.market.store import Store

FrameMaker = Callable[..., pd.DataFrame]
HEAD = "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"
WEEK = (
    "2021-03-01,100,101,99,100,10,0,0\n2021-03-02,100,101,99,100.5,10,0,0\n"
    "2021-03-03,50,51,49,50,20,0,2\n2021-03-04,50,51,49,50.5,20,0.5,0\n"
)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    def invoke(command: str, *arguments: str) -> Result:
        store = ["--store", str(tmp_path / "cache")]
        return CliRunner().invoke(app, [command, *arguments, *store])

    return invoke


def file(folder: Path, text: str, name: str = "AAA.csv") -> str:
    path = folder / name
    path.write_text(HEAD + text)
    return str(path)


def test_import_stores_the_bars_and_their_actions(
    tmp_path: Path, run: Callable[..., Result]
) -> None:
    result = run("import", file(tmp_path, WEEK), "--feed", "IEX")

    bars = Store(tmp_path / "cache").read("AAA")
    assert result.exit_code == 0
    assert "stored AAA 1d: 4 added, 0 revised, 0 unchanged" in result.output
    assert bars.factor.tolist() == [1.0, 1.0, 2.0, 2.0]
    assert bars.dividend.tolist() == [0.0, 0.0, 0.0, 0.5]


def test_import_refuses_a_changed_bar_until_it_is_a_revision(
    tmp_path: Path, run: Callable[..., Result]
) -> None:
    run("import", file(tmp_path, WEEK))
    changed = file(tmp_path, WEEK.replace("50.5,20", "50.6,20"))

    refused, revised = run("import", changed), run("import", changed, "--revise")

    assert refused.exit_code == 1
    assert "refused: AAA: 1 stored bars would change" in refused.output
    assert revised.exit_code == 0
    assert "1 revised" in revised.output


def test_import_refuses_adjusted_prices_unless_told_so(
    tmp_path: Path, run: Callable[..., Result]
) -> None:
    flat = WEEK.replace("2021-03-03,50,51,49,50", "2021-03-03,100,101,99,100.2")
    path = file(tmp_path, flat[: flat.index("2021-03-04")])

    refused, taken = run("import", path), run("import", path, "--adjusted")

    store = Store(tmp_path / "cache")
    assert refused.exit_code == 1
    assert "import with --adjusted" in refused.output
    assert taken.exit_code == 0
    assert store.read("AAA").factor.tolist() == [1.0, 1.0, 1.0]
    assert store.passport("AAA")["adjustment"] == "splits adjusted by the source"


def test_import_takes_actions_from_a_file(tmp_path: Path, run: Callable[..., Result]) -> None:
    bars = tmp_path / "AAA.csv"
    bars.write_text("Date,Open,High,Low,Close,Volume\n2021-03-01,9,9,9,9,1\n2021-03-02,3,3,3,3,1\n")
    actions = tmp_path / "actions.csv"
    actions.write_text("symbol,session,kind,value\nAAA,2021-03-02,split,3\n")

    run("import", str(bars), "--actions", str(actions))

    assert Store(tmp_path / "cache").read("AAA").factor.tolist() == [1.0, 3.0]


def test_import_stores_the_good_symbols_of_a_file_and_refuses_the_bad(
    tmp_path: Path, run: Callable[..., Result], daily: FrameMaker
) -> None:
    bad = daily([10.0, 10.1, 10.2], symbol="BAD")
    bad.loc[1, "open"] = 0.0
    path = tmp_path / "both.parquet"
    pd.concat([daily([10.0, 10.1, 10.2], symbol="GOOD"), bad]).to_parquet(path, index=False)

    result = run("import", str(path))

    assert result.exit_code == 1
    assert "price not above zero" in result.output
    assert Store(tmp_path / "cache").symbols() == ["GOOD"]


def test_an_unreadable_file_raises_our_own_error(
    tmp_path: Path, run: Callable[..., Result]
) -> None:
    result = run("import", str(tmp_path / "absent.csv"))

    assert isinstance(result.exception, BadBars)


def test_check_of_the_sample_finds_nothing(run: Callable[..., Result]) -> None:
    result = run("check")

    assert (result.exit_code, result.output) == (0, "no faults found\n")


def test_check_prints_faults_as_table_csv_and_json(
    tmp_path: Path, run: Callable[..., Result]
) -> None:
    run("import", file(tmp_path, WEEK.replace("2021-03-02,100,101,99,100.5,10,0,0\n", "")))

    outputs = [run("check", "AAA", *option) for option in ((), ("--csv",), ("--json",))]

    assert [result.exit_code for result in outputs] == [1, 1, 1]
    assert "missing session" in outputs[0].output
    assert outputs[1].output.splitlines()[1].startswith("AAA,2021-03-02,missing session,")
    assert json.loads(outputs[2].output) == [
        {
            "symbol": "AAA",
            "session": "2021-03-02",
            "kind": "missing session",
            "detail": "no bar between the symbol's first and last",
            "value": None,
        }
    ]


def test_list_shows_the_store_and_the_sample(tmp_path: Path, run: Callable[..., Result]) -> None:
    run("import", file(tmp_path, WEEK))

    lines = run("list").output.splitlines()

    assert lines[1].split()[:5] == ["AAA", "1d", "2021-03-01", "2021-03-04", "4"]
    assert [line.split()[0] for line in lines[2:]] == ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


@pytest.mark.parametrize(
    ("options", "closes"),
    [
        ((), ["50.000000", "50.250000", "50.000000", "50.500000"]),
        (("--basis", "first"), ["100.000000", "100.500000", "100.000000", "101.000000"]),
        (("--dividends",), ["49.500000", "49.747500", "49.500000", "50.500000"]),
    ],
    ids=["last", "first", "dividends"],
)
def test_adjust_prints_continuous_prices(
    tmp_path: Path, run: Callable[..., Result], options: tuple[str, ...], closes: list[str]
) -> None:
    run("import", file(tmp_path, WEEK))

    lines = run("adjust", "AAA", *options).output.splitlines()

    assert lines[0] == "symbol,session,open,high,low,close,volume"
    assert [line.split(",")[5] for line in lines[1:]] == closes
