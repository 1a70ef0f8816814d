# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson journal ...` prints what is there and says when something is wrong."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iverson.cli.journal import TABLES, app
from iverson.errors import DataError
from iverson.model import Fill, Signal, Stage
from iverson.monitoring.chain import verify_json_lines
from iverson.monitoring.journal import Journal
from iverson.monitoring.kinds import Value
from iverson.monitoring.record import RunRow

AT = datetime(2024, 1, 2, 21, tzinfo=UTC)


def fill(day: int, symbol: str) -> Fill:
    at = AT + timedelta(days=day)
    return Fill(at, at.date(), f"order-{day}", symbol, "buy", "entry", 10, 100.125, 1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "j.db"
    values: list[Value] = [
        RunRow("s", "S", {"period": 14, "stop": float("inf")}, ("A",), "ab", 1, Stage.PAPER),
        fill(0, "AAPL"),
        fill(1, "MSFT"),
        fill(2, "AAPL"),
        Signal(AT, AT.date(), "AAPL", "long", 3, 100.0, 95.0, reason="[red]\x1b[2J é"),
    ]
    with Journal(found, durable=False) as journal:
        journal.append_many("r1", values)
    return found


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(part) for part in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_table_shows_every_column_whole(path: Path) -> None:
    shown = run("fills", path)

    assert "order-2" in shown
    assert "commission" in shown
    assert "100.125" in shown
    assert "2024-01-02 21:00:00Z" in shown


def test_rows_are_cut_by_session_symbol_and_limit(path: Path) -> None:
    def orders(*options: str) -> list[str]:
        shown = run("fills", "--journal", path, "--csv", *options)
        return [row["order_id"] for row in csv.DictReader(io.StringIO(shown))]

    assert orders() == ["order-0", "order-1", "order-2"]
    assert orders("--since", "2024-01-03") == ["order-1", "order-2"]
    assert orders("--until", "2024-01-03", "--symbol", "AAPL") == ["order-0"]
    assert orders("--limit", "1") == ["order-2"]
    assert orders("--run", "r2") == []


@pytest.mark.parametrize("name", TABLES)
def test_every_table_prints_and_is_json(path: Path, name: str) -> None:
    run(name, path)
    rows = json.loads(run(name, path, "--json"))

    assert all(row["run"] == "r1" for row in rows)


def test_json_has_plain_values(path: Path) -> None:
    (row,) = json.loads(run("runs", path, "--json"))

    assert row["parameters"] == {"period": 14, "stop": None}
    assert row["symbols"] == ["A"]
    assert json.loads(run("fills", path, "--json"))[0]["at"] == "2024-01-02T21:00:00+00:00"


def test_words_of_others_reach_the_terminal_without_control_characters(path: Path) -> None:
    shown = run("signals", path)

    assert "\x1b" not in shown
    assert "[red] [2J é" in shown


def test_empty_table_is_a_sentence(path: Path) -> None:
    assert run("halts", path) == f"no halts in {path}\n"


def test_default_file_is_in_the_current_directory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.rename(path.with_name("iverson.db"))
    monkeypatch.chdir(path.parent)

    assert "order-1" in run("fills")


def test_whole_journal_verifies_and_a_broken_one_says_where(path: Path) -> None:
    assert "5 rows" in run("verify", path)
    raw = sqlite3.connect(path)
    raw.execute("DROP TRIGGER events_are_not_updated")
    raw.execute("UPDATE events SET payload = replace(payload, '100.125', '100.126') WHERE seq = 3")
    raw.commit()
    raw.close()

    broken = CliRunner().invoke(app, ["verify", str(path)])
    assert broken.exit_code == 1
    assert "row 3" in broken.output


def test_export_to_file_and_to_terminal_are_the_same_verified_lines(path: Path) -> None:
    target = path.with_name("out.jsonl")
    assert "5 rows" in run("export", path, "--to", target)

    lines = target.read_text(encoding="ascii")
    assert run("export", path) == lines
    assert verify_json_lines(lines.splitlines()) is None


def test_errors_reach_the_main_program(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no journal at"):
        run("trades", tmp_path / "no.db")


def test_contradictory_options_are_refused(path: Path) -> None:
    for arguments in (["fills", str(path), "--csv", "--json"], ["fills", "a", "--journal", "b"]):
        assert CliRunner().invoke(app, arguments).exit_code == 2
