# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that send orders and `parity`: output, exit codes, refusals."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.cli.main import main
from iverson.market.calendar import new_york
from iverson.model import Stage
from iverson.monitoring.record import Record
from iverson.simulator.pacing import Pace
from iverson.simulator.scenarios import bundled
from iverson.stages.trading import Went
from iverson.system import System
from tests.stages.trading_kit import after_close, exchange, use

ROOT = Path(__file__).parents[2]
SYSTEM, SYMBOLS = "strategies.rsi_reversion", "AAPL,IBM,MSFT"
SPAN = ("--from", "2005-03-01", "--to", "2005-03-04", "--symbols", SYMBOLS, "--set", "oversold=45")
DONE, REFUSED, BROKEN, STOPPED = 0, 1, 2, 130


@pytest.fixture
def iverson(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])

    def run(*arguments: str, code: int = DONE) -> tuple[str, str]:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        shown = capfd.readouterr()
        assert left.value.code == code, shown.err
        return shown.out, shown.err

    return run


def test_rehearse_then_parity_with_a_report(iverson: Any, tmp_path: Path) -> None:
    shown, _ = iverson("rehearse", SYSTEM, *SPAN, "--journal", "r.db", "--seed", "1")
    assert "rehearse-RsiReversion, 2005-03-01 to 2005-03-04, 4 sessions" in shown
    assert "compare: iverson parity strategies.rsi_reversion r.db" in shown

    options = ("--symbols", SYMBOLS, "--set", "oversold=45", "--out", "page.html")
    shown, _ = iverson("parity", SYSTEM, "r.db", *options)
    assert "decisions are the same" in shown
    assert "report: page.html" in shown
    assert (tmp_path / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_rehearse_lists_the_scenarios(iverson: Any) -> None:
    shown, _ = iverson("rehearse", "--list")

    assert all(name in shown for name in bundled())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("rehearse",), "no system; name one"),
        (("rehearse", SYSTEM, "--scenario", "outages"), "there is no scenario 'outages'"),
        (("parity", SYSTEM, "none.db"), "there is no journal at none.db"),
        (("wake", SYSTEM), "no Alpaca keys"),
        (("kill",), "no Alpaca keys"),
    ],
)
def test_bad_input_is_one_sentence(iverson: Any, arguments: tuple[str, ...], words: str) -> None:
    _, told = iverson(*arguments, code=BROKEN)

    assert words in told
    assert len(told.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["wake", "paper", "live"])
def test_unchecked_strategy_is_refused_with_exit_code_one(
    iverson: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    """Before any call: there is no such host within reach of a test."""
    monkeypatch.setenv("IVERSON_ALPACA_KEY", "AK12345" if command == "live" else "PK12345")
    monkeypatch.setenv("IVERSON_ALPACA_SECRET", "secret-of-nobody")

    _, told = iverson(command, SYSTEM, code=REFUSED)

    assert "has not passed `iverson check`" in told
    assert "secret-of-nobody" not in told
    assert not (tmp_path / "iverson.db").exists()


def test_live_refuses_loopback_with_exit_code_one(
    iverson: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IVERSON_ALPACA_KEY", "AK12345")
    monkeypatch.setenv("IVERSON_ALPACA_SECRET", "secret-of-nobody")
    monkeypatch.setenv("IVERSON_ALPACA_LIVE_URL", "http://127.0.0.1:9")

    _, told = iverson("live", SYSTEM, "--max-loss", "500", "--account", "1", code=REFUSED)

    assert "loopback, where live trading does not go" in told


def test_wake_after_a_check_trades_and_kill_takes_it_back(
    iverson: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The commands of a user with `iverson simulator` in another terminal."""
    monkeypatch.setattr("iverson.stages.refreshed.HISTORY_BEGINS", date(2004, 6, 1))
    options = ("--symbols", SYMBOLS, "--set", "oversold=45")
    span = ("--from", "2005-04", "--to", "2005-05", "--sample", "1", "--decisions", "1")
    iverson("check", SYSTEM, *options, *span)
    with exchange(after_close(date(2005, 3, 1))) as venue:
        venue.advance_to(after_close(date(2005, 3, 1)).replace(hour=22))
        use(monkeypatch, venue, tmp_path)
        shown, _ = iverson("wake", SYSTEM, *options)
        assert "session 2005-03-01, acted on its newest bar" in shown
        assert "1 approved" in shown
        assert len(venue.ledger["orders"]) == 1

        shown, _ = iverson("kill")

        assert f"account {venue.ledger['account']['account_number']} at http://127.0.0.1" in shown
        assert "0 still work; positions: none" in shown
        assert venue.secret not in shown
        assert venue.ledger["orders"][0]["status"] == "canceled"


@pytest.mark.parametrize(("by", "code"), [("SIGINT", STOPPED), ("SIGTERM", DONE), ("", DONE)])
def test_exit_code_says_who_stopped_it(
    iverson: Any, monkeypatch: pytest.MonkeyPatch, by: str, code: int
) -> None:
    went = Went(
        "paper-RsiReversion", Stage.PAPER, Path("iverson.db"), date(2005, 3, 1), acted=True,
        record=Record(), stopped_by=by,
    )  # fmt: skip
    monkeypatch.setattr(System, "paper", lambda *_, **__: went)

    shown, _ = iverson("paper", SYSTEM, code=code)

    assert ("stopped by" in shown) == bool(by)


def test_drill_and_checklist_on_loopback_are_a_rehearsal(
    iverson: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A second is a minute there. What is drilled is written down, and counts for nothing."""
    at = new_york().open_at(date(2005, 3, 1)) + timedelta(minutes=40)
    options = ("--symbols", SYMBOLS)
    with exchange(at, pace=Pace.times(60)) as venue:
        use(monkeypatch, venue, tmp_path)
        shown, _ = iverson("drill", SYSTEM, *options, "--wait", "30")
        assert "drill-rehearse-RsiReversion: 14 drills passed" in shown
        assert "pass     stop: order" in shown
        assert "nothing done on the simulator counts as paper" in shown
        assert venue.ledger["positions"] == []

        shown, _ = iverson("checklist", SYSTEM, *options, code=REFUSED)

    assert "0 of 10 sessions" in shown
    assert "a rehearsal never writes a go-live token" in shown
    assert not list(tmp_path.glob("*.go-live.json"))


def test_drill_refuses_live_keys_with_exit_code_one(
    iverson: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IVERSON_ALPACA_KEY", "AK12345")
    monkeypatch.setenv("IVERSON_ALPACA_SECRET", "secret-of-nobody")

    for command in ("drill", "checklist"):
        _, told = iverson(command, SYSTEM, code=REFUSED)
        assert "these keys are not of a paper account" in told
    assert not (tmp_path / "iverson.db").exists()


def test_checklist_without_a_journal_is_one_sentence(
    iverson: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with exchange(after_close(date(2005, 3, 1))) as venue:
        use(monkeypatch, venue, tmp_path)
        _, told = iverson("checklist", SYSTEM, code=BROKEN)

    assert "there is no journal at" in told
