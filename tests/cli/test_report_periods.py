# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson report weekly` and `monthly`: what they print, and where they find bars and trials."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from iverson.cli.main import main
from iverson.market import sample
from iverson.system import System
from strategies.rsi_reversion import RsiReversion

Run = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("periods")
    bars = {
        symbol: one.between(date(2004, 1, 2), date(2007, 12, 31))
        for symbol, one in sample.load(["AAPL", "IBM", "MSFT"]).items()
    }
    system = System(RsiReversion, list(bars), bars=bars, store=folder / "store")
    system.walk_forward(
        grid={"oversold": [35, 40]}, in_sample="1y", out_of_sample="6mo", minimum_trades=1,
        journal=folder / "walked.db",
    )  # fmt: skip
    system.backtest("2006", "2007", journal=folder / "iverson.db")
    return folder


@pytest.fixture
def iverson(made: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(made)
    monkeypatch.setenv("IVERSON_STORE", str(made / "store"))

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        shown = capfd.readouterr()
        assert left.value.code == code, shown.err
        return shown.out, shown.err

    return run


def test_week_has_bars_from_the_sample_and_trials_from_the_ledger(iverson: Run) -> None:
    out, _ = iverson("report", "weekly", "--week", "2007-W10")

    assert out.startswith("RsiReversion, week 2007-W10\nbacktest · run ")
    assert "no bars" not in out.lower()
    assert "1 parameter set compared" in out


def test_week_of_a_walk_forward_is_a_week(iverson: Run) -> None:
    out, _ = iverson("report", "weekly", "walked.db", "--week", "2006-W10")

    assert "\nwalk-forward · run " in out
    assert "1 parameter set compared" in out


def test_week_is_plain_values_for_programs(iverson: Run) -> None:
    out, _ = iverson("report", "weekly", "--week", "2007-03-07", "--json")
    found = json.loads(out)

    assert (found["first"], found["last"]) == ("2007-03-05", "2007-03-11")
    assert list(found["sections"]["risk"]["closes"]) == [
        f"2007-03-{day:02d}" for day in range(5, 10)
    ]
    assert set(found["sections"]) == {
        "the_account", "by_strategy", "risk", "metrics_to_date", "what_the_rules_saved_or_cost",
        "confidence", "suggestions",
    }  # fmt: skip


def test_month_stands_beside_the_walk_forward_that_is_named(iverson: Run, made: Path) -> None:
    out, err = iverson(
        "report", "monthly", "--month", "2007-03", "--expected", "walked.db", "--html", "m.html"
    )

    assert "RsiReversion, March 2007" in out
    assert "th percentile of what" in out or "st percentile" in out or "rd percentile" in out
    assert err == ""
    page = (made / "m.html").read_text(encoding="utf-8")
    assert page.count("data:image/svg+xml") == 3
    assert "No expectation" in iverson("report", "monthly", "--month", "2007-03")[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("weekly", "--week", "2007-W54"), "is no week"),
        (("weekly", "--week", "2009-W01"), "noted nothing in 2009-W01"),
        (("monthly", "--month", "March"), "is no month"),
        (("monthly", "--expected", "nothing.db"), "there is no journal at nothing.db"),
        (("weekly", "--session", "2007-03-07"), "no such option"),
        (("daily", "--expected", "walked.db"), "no such option"),
    ],
)
def test_what_cannot_be_reported_is_refused(
    iverson: Run, arguments: tuple[str, ...], words: str
) -> None:
    out, err = iverson("report", *arguments, "--html", "never.html", code=2)

    assert out == ""
    assert words in err
    assert not Path("never.html").exists()


def test_help_names_the_span_in_its_own_words(iverson: Run) -> None:
    told = {kind: iverson("report", kind, "--help")[0] for kind in ("weekly", "monthly")}

    assert "--week" in told["weekly"]
    assert "2026-W48" in told["weekly"]
    assert "--expected" not in told["weekly"]
    assert "--month" in told["monthly"]
    assert "--expected" in told["monthly"]
