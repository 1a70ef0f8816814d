# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands: what machines read is exact, what people read fits, help is quick and complete."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import iverson as iv
from iverson.cli import tables
from iverson.cli.main import app, main
from iverson.market import sample
from strategies.rsi_reversion import RsiReversion, grid

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RANGE = ("--from", "2005", "--to", "2006-06", "--symbols", "AAPL,IBM")
WALK = ("--in-sample", "9mo", "--out-of-sample", "6mo", "--jobs", "1", "--minimum-trades", "1")
COLUMNS = 80
QUICK = 0.3  # seconds


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    return tmp_path


@pytest.fixture
def iverson(capfd: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        shown = capfd.readouterr()
        assert left.value.code == code, shown.err
        return shown.out

    return run


def test_csv_and_json_of_a_backtest_are_its_trades_exactly(iverson: Any) -> None:
    expected = iv.System(RsiReversion, ["AAPL", "IBM"]).backtest("2005", "2006-06").trades

    as_csv = iverson("backtest", "strategies.rsi_reversion", *RANGE, "--csv")
    as_json = iverson("backtest", "strategies.rsi_reversion", *RANGE, "--json")

    rows = list(csv.DictReader(io.StringIO(as_csv)))
    objects = json.loads(as_json)
    assert len(rows) == len(objects) == len(expected) > 3
    assert list(rows[0]) == list(objects[0]) == list(expected.columns)
    assert [float(row["pnl"]) for row in rows] == expected["pnl"].tolist()
    assert [one["pnl"] for one in objects] == expected["pnl"].tolist()
    days = [f"{day:%Y-%m-%d}" for day in expected["entry_session"]]
    assert [row["entry_session"] for row in rows] == days
    assert [one["entry_session"] for one in objects] == days


def test_backtest_writes_what_it_was_asked_to(iverson: Any, folder: Path) -> None:
    shown = iverson(
        "backtest", "strategies.rsi_reversion:system", *RANGE, "--set", "period=7",
        "--journal", "a.db", "--plot", "a.png",
    )  # fmt: skip

    assert shown.endswith("chart: a.png\n")
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in folder.iterdir()) == [
        "a.db",
        "a.png",
        "data",
    ]  # with the trial ledger
    with iv.Journal(folder / "a.db", read_only=True) as journal:
        assert journal.runs()["parameters"].iloc[0]["period"] == 7


def test_report_of_the_run_asked_for(iverson: Any, folder: Path) -> None:
    for period in ("7", "14"):
        iverson(
            "backtest", "strategies.rsi_reversion", *RANGE, "--set", f"period={period}",
            "--journal", "iverson.db",
        )  # fmt: skip
    with iv.Journal(folder / "iverson.db", read_only=True) as journal:
        first, last = journal.runs()["run"]

    assert f"run {last}" in iverson("report")
    assert f"run {first}" in iverson("report", "iverson.db", "--run", first)
    assert json.loads(iverson("report", "--json", "--run", first))["run"] == first


def test_walk_forward_prints_within_eighty_columns_and_machines_read_folds(
    iverson: Any, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    monkeypatch.setattr("iverson.research.report.write_tearsheet", lambda *_: "left out")
    arguments = ("walk-forward", "strategies.rsi_reversion", *RANGE, *WALK,
                 "--grid", "period=5,6")  # fmt: skip

    shown = iverson(*arguments, "--journal", "a.db")
    monkeypatch.setattr("iverson.research.report.render", lambda *_, **__: "drawn once")
    folds = json.loads(iverson(*arguments, "--json"))
    rows = list(csv.DictReader(io.StringIO(iverson(*arguments, "--csv"))))

    assert max(len(line) for line in shown.splitlines()) <= COLUMNS
    assert "…" not in shown
    assert "2005-" in shown
    assert "report: reports/rsi_reversion/index.html" in shown
    assert (folder / "reports/rsi_reversion/index.html").exists()
    assert [float(row["out_of_sample_return"]) for row in rows] == [
        fold["out_of_sample_return"] for fold in folds
    ]
    assert folds[0]["fold"] == 1
    assert folds[0]["period"] in (5, 6)


def test_tables_of_the_whole_grid_fit_too() -> None:
    chosen = SimpleNamespace(params={name: values[-1] for name, values in grid.items()}, cagr=-0.1)
    span = SimpleNamespace(first=sample.load(["IBM"])["IBM"].session[0].item(), last=None)
    span.last = span.first
    fold = SimpleNamespace(number=12, in_sample=span, out_of_sample=span)
    results = [
        SimpleNamespace(
            fold=fold, chosen=pick, out_of_sample_return=-0.123, trades=1234, efficiency=-12.34
        )
        for pick in (chosen, None)
    ]
    result: Any = SimpleNamespace(results=results, parameters=tuple(grid))
    console = Console(width=COLUMNS, file=io.StringIO())

    console.print(tables.fold_table(result))
    console.print(tables.chosen_table(result))

    shown = console.file.getvalue()
    assert "…" not in shown
    assert "-12.34" in shown
    assert max(len(line) for line in shown.splitlines()) <= COLUMNS


def test_settings_name_the_journal_and_the_store(
    iverson: Any, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    iv.Journal(folder / "mine.db").close()
    monkeypatch.setenv("IVERSON_JOURNAL", "mine.db")
    monkeypatch.setenv("IVERSON_STORE", "shelf")
    (folder / "AAA.csv").write_text("Date,Open,High,Low,Close,Volume\n2021-03-01,1,2,1,1,5\n")

    assert iverson("journal", "trades") == "no trades in mine.db\n"
    iverson("bars", "import", "AAA.csv")

    assert (folder / "shelf").is_dir()
    assert "AAA" in iverson("bars", "list")


def commands(group: Any, prefix: str = "") -> dict[str, Any]:
    found = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, f"{prefix}{name} ")
        else:
            found[f"{prefix}{name}"] = command
    return found


def test_every_command_and_option_has_help() -> None:
    import typer

    for name, command in commands(typer.main.get_command(app)).items():
        shown = CliRunner().invoke(app, [*name.split(), "--help"])
        assert shown.exit_code == 0
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None) or parameter.metavar, (name, parameter.name)


@pytest.mark.parametrize("name", ["backtest", "walk-forward", "journal", "report", "bars"])
def test_every_command_is_in_the_readme(name: str) -> None:
    assert re.search(rf"^\$ iverson {name}\b", README, flags=re.MULTILINE)


def test_bare_name_is_a_question_for_help(iverson: Any) -> None:
    for arguments in ((), ("journal",), ("bars",)):
        assert "Usage: iverson" in iverson(*arguments, code=2)


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    code = (
        "import sys; from iverson.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: "
    )
    shown = program("-c", code + "print(*sys.modules)").stdout.splitlines()[-1]
    took = []
    for _ in range(5):
        began = os.times()
        program("-c", code + "pass")
        ended = os.times()
        took.append(
            ended.children_user - began.children_user
            + ended.children_system - began.children_system
        )  # fmt: skip

    heavy = {"pandas", "numpy", "backtrader", "pydantic", "matplotlib", "joblib"}
    assert not heavy & set(shown.split())
    assert statistics.median(took) < QUICK
