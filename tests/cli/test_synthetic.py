# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic minutes from the command line: made, stored, and called so wherever they show."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from iverson.cli.main import main
from iverson.market import sample
from iverson.market.feeds import MADE_UP
from iverson.market.store import Store

ROOT = Path(__file__).parents[2]
SYSTEM = "strategies.opening_range"
SPAN = ("--from", "2012-01", "--to", "2012-03")
WALK = ("--from", "2012-01", "--to", "2012-02", "--in-sample", "15", "--out-of-sample", "8",
        "--purge", "0", "--minimum-trades", "1", "--jobs", "1")  # fmt: skip
MARK = "SYNTHETIC"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of synthetic minutes of two symbols."""
    from typer.testing import CliRunner

    from iverson.cli.bars import app

    folder = tmp_path_factory.mktemp("made")
    empty, store = str(folder / "empty"), str(folder / "store")
    result = CliRunner().invoke(
        app, ["synthesize", "IBM", "MSFT", *SPAN, "--store", empty, "--into", store]
    )
    assert result.exit_code == 0, result.output
    assert MADE_UP in result.output
    return folder / "store"


@pytest.fixture
def run(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Any:
    shutil.copytree(made, tmp_path / "data" / "cache")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])

    def call(*arguments: str, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        shown = capfd.readouterr()
        assert left.value.code == code, shown.err
        return shown.out, shown.err

    return call


TWO = ("--symbols", "IBM,MSFT")


def test_minutes_are_stored_with_the_seed_and_the_source_of_their_days(made: Path) -> None:
    passport = Store(made).passport("IBM", "1m")

    assert passport["feed"] == "SYNTHETIC"
    assert passport["source"].startswith("SYNTHETIC minutes, seed 0, made from daily bars (bundled")
    assert Store(made).read("IBM", "1m").feed == "SYNTHETIC"


def test_stored_minutes_keep_the_days_actions(made: Path) -> None:
    days = sample.load(["IBM"])["IBM"]
    minutes = Store(made).read("IBM", "1m")
    span = days.between(minutes.session[0].item(), minutes.session[-1].item())

    assert minutes.dividend.sum() == span.dividend.sum() > 0


def test_same_seed_adds_nothing_and_another_needs_a_revision(run: Any) -> None:
    again, _ = run("bars", "synthesize", "IBM", *SPAN)
    assert "IBM 1m: 0 added, 0 revised" in again
    _, refused = run("bars", "synthesize", "IBM", *SPAN, "--seed", "1", code=2)
    assert "would change" in refused
    revised, _ = run("bars", "synthesize", "IBM", *SPAN, "--seed", "1", "--revise")
    assert " 0 revised" not in revised


def test_real_and_synthetic_bars_never_meet_in_one_file(run: Any, tmp_path: Path) -> None:
    head = "timestamp,open,high,low,close,volume\n"
    (tmp_path / "IBM.csv").write_text(
        head + "2012-04-02 09:30:00,200,201,199,200,10\n2012-04-02 09:31:00,200,201,199,200,10\n"
    )
    out, err = run("bars", "import", "IBM.csv", "--feed", "iex", code=1)
    assert "have the feed 'SYNTHETIC', these have 'iex'" in out + err

    run("bars", "import", "IBM.csv", "--feed", "iex", "--store", "real")
    _, err = run("bars", "synthesize", "IBM", *SPAN, "--into", "real", code=2)
    assert "have the feed 'iex', these have 'SYNTHETIC'" in err


def test_backtest_says_it_in_table_note_and_picture(run: Any, tmp_path: Path) -> None:
    out, _ = run("backtest", SYSTEM, *TWO, "--set", "volume=0.8", "--plot", "trades.svg")

    assert out.startswith("SYNTHETIC BARS: OpeningRangeBreakout")
    assert f"note: {MADE_UP}" in out
    assert len(re.findall(r"<path", (tmp_path / "trades.svg").read_text())) > 0


@pytest.mark.parametrize("form", ["--csv", "--json"])
def test_tables_for_machines_say_it_on_standard_error(run: Any, form: str) -> None:
    out, err = run("backtest", SYSTEM, *TWO, "--set", "volume=0.8", form)

    assert MADE_UP in err
    assert MADE_UP not in out


def test_walk_forward_its_report_and_its_journal_say_it(run: Any, tmp_path: Path) -> None:
    out, _ = run(
        "walk-forward", SYSTEM, "--symbols", "IBM", *WALK, "--grid", "volume=0.5,0.8",
        "--grid", "reward=2.0", "--grid", "stop_atrs=0.5", "--report", "out", "--journal", "run.db",
    )  # fmt: skip
    page = (tmp_path / "out" / "index.html").read_text()

    assert "SYNTHETIC BARS: OpeningRangeBreakout" in out
    assert "<title>SYNTHETIC: OpeningRangeBreakout" in page
    assert f'<p class="made-up">{MADE_UP}</p>' in page
    assert "seed 0, made from daily bars" in page  # the passport

    text, _ = run("report", "run.db")
    assert text.startswith(MADE_UP)
    found, _ = run("report", "run.db", "--json")
    assert json.loads(found)["feed"] == MARK


def test_delayed_bars_are_refused_with_exit_code_1(run: Any, tmp_path: Path) -> None:
    passport = tmp_path / "data" / "cache" / "bars" / "1m" / "IBM.json"
    passport.write_text(passport.read_text().replace('"feed": "SYNTHETIC"', '"feed": "delayed"'))

    for verb in ("backtest", "check"):
        _, err = run(verb, SYSTEM, "--symbols", "IBM", code=1)
        assert err.count("\n") == 1
        assert "OpeningRangeBreakout needs at least the feed 'iex'" in err


def test_days_without_bars_are_told(run: Any) -> None:
    out, _ = run(
        "bars", "synthesize", "FB", "IBM", "--from", "2012-04", "--to", "2012-04", "--into", "x"
    )

    assert "FB: no daily bars from 2012-04-01 to 2012-04-30, left out" in out
    assert Store("x").symbols("1m") == ["IBM"]
