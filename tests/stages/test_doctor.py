# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor finds each fault by itself, says what to do, and changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.config import Settings, settings
from iverson.errors import IversonError
from iverson.market.calendar import new_york
from iverson.model import Stage
from iverson.monitoring.events import Heartbeat
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Note
from iverson.simulator.server import Simulator
from iverson.stages.doctor import LEAST_BYTES, Finding, examine_machine
from iverson.stages.doctor_account import examine_account
from iverson.stages.doctor_phone import examine_phone
from tests.monitoring.bot_api import BotApi
from tests.stages.trading_kit import after_close, checked, exchange, system, use

NOW = datetime(2024, 1, 3, tzinfo=UTC)
SESSION = date(2005, 3, 1)
ROOMY = 10 * LEAST_BYTES


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IVERSON_JOURNAL", str(tmp_path / "iverson.db"))
    monkeypatch.setenv("IVERSON_STORE", str(tmp_path / "not" / "yet"))
    return settings()


def machine(chosen: Settings, free: int = ROOMY) -> dict[str, Finding]:
    return {one.what: one for one in examine_machine(chosen, now=NOW, disk=lambda _: free)}


def bad(findings: dict[str, Finding]) -> set[str]:
    return {name for name, one in findings.items() if one.state == "bad"}


def test_fresh_machine_is_well(chosen: Settings, tmp_path: Path) -> None:
    findings = machine(chosen)

    assert bad(findings) == set()
    assert findings["journal"].state == "not set up"
    assert list(tmp_path.iterdir()) == []  # nothing was made


def test_journal_is_read_to_its_end(chosen: Settings) -> None:
    with Journal(chosen.journal) as journal:
        for number in range(3):
            journal.append("paper-Rsi", Note(NOW, f"row {number}"))
    assert "3 rows" in machine(chosen)["journal"].said

    raw = sqlite3.connect(chosen.journal)
    raw.execute("DROP TRIGGER events_are_not_updated")
    raw.execute("UPDATE events SET payload = replace(payload, 'row 1', 'row 7') WHERE seq = 2")
    raw.commit()
    raw.close()
    findings = machine(chosen)

    assert "row 2 of" in findings["journal"].said
    assert "do not trade on it" in findings["journal"].remedy
    assert "journal" in bad(findings)


def test_late_sign_of_life_is_bad(chosen: Settings) -> None:
    with Journal(chosen.journal) as journal:
        beat = Heartbeat(NOW - timedelta(hours=2), Stage.PAPER, NOW + timedelta(seconds=1))
        journal.append("paper-Rsi", beat)
    assert bad(machine(chosen)) == set()
    with Journal(chosen.journal) as journal:
        due = NOW - timedelta(seconds=1)
        journal.append("paper-Rsi", Heartbeat(NOW - timedelta(hours=1), Stage.PAPER, due))

    findings = machine(chosen)
    assert bad(findings) == {"signs of life"}
    assert "paper-Rsi" in findings["signs of life"].said


@pytest.mark.parametrize(("free", "expected"), [(LEAST_BYTES, set()), (LEAST_BYTES - 1, {"disk"})])
def test_full_disk_is_noticed(chosen: Settings, free: int, expected: set[str]) -> None:
    assert {name.split()[0] for name in bad(machine(chosen, free))} == expected


def test_file_with_keys_that_others_may_read_is_bad(chosen: Settings, tmp_path: Path) -> None:
    secret = tmp_path / ".env"
    secret.write_text("IVERSON_ALPACA_KEY=x\n")
    secret.chmod(0o640)
    finding = machine(chosen)[".env"]
    assert (finding.state, finding.remedy) == ("bad", "chmod 600 .env")

    secret.chmod(0o600)
    assert machine(chosen)[".env"].state == "well"


def test_version_that_was_not_tested_is_named(
    chosen: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "iverson.stages.doctor.requires", lambda _: ["backtrader==1.0", "no-such-thing>=2"]
    )
    said = machine(chosen)["versions"].said

    assert "backtrader is 1.9.78.123, expected ==1.0" in said
    assert "no-such-thing is missing" in said


# The phone


def test_phone_is_known_and_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    with BotApi() as api:
        monkeypatch.setenv("IVERSON_TELEGRAM_TOKEN", api.token)
        monkeypatch.setenv("IVERSON_TELEGRAM_CHAT", str(api.chat))
        monkeypatch.setenv("IVERSON_TELEGRAM_URL", api.url)
        well, commands = examine_phone(settings())
        mine, api.token = api.token, "1:" + "revoked"
        refused, _ = examine_phone(settings())
        assert api.messages == []

    assert (well.state, commands.state, refused.state) == ("well", "not set up", "bad")
    assert "Ann" in well.said
    assert mine not in str(refused)


def test_without_a_token_it_says_how_to_get_one(chosen: Settings) -> None:
    (finding,) = examine_phone(chosen)

    assert finding.state == "not set up"
    assert "@BotFather" in finding.remedy


# At the venue


@pytest.fixture
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with exchange(after_close(SESSION)) as opened:
        use(monkeypatch, opened, tmp_path)
        yield opened


def account(venue: Simulator) -> dict[str, Finding]:
    found = examine_account(settings(), Stage.PAPER, clock=lambda: venue.now)
    return {one.what: one for one in found}


def test_account_in_order_is_well_and_nothing_is_sent(venue: Simulator) -> None:
    findings = account(venue)

    assert set(findings) == {"account", "clock", "calendar", "feed"}
    assert bad(findings) == set()
    assert "$10,000.00" in findings["account"].said
    assert venue.ledger["orders"] == []


def test_without_keys_it_says_which_to_set(chosen: Settings) -> None:
    (finding,) = examine_account(chosen, Stage.PAPER, clock=lambda: NOW)

    assert finding.state == "not set up"
    assert "IVERSON_ALPACA_KEY" in finding.remedy


def test_refused_keys_end_the_questions(venue: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IVERSON_ALPACA_SECRET", "wrong-" + "secret")
    findings = account(venue)

    assert bad(findings) == {"account"}
    assert "wrong-secret" not in str(findings)


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (lambda patch: _raise(patch, "admit_clock"), "clock"),
        (lambda patch: _raise(patch, "admit_calendar"), "calendar"),
        (lambda patch: _raise(patch, "admit_account"), "account"),
    ],
)
def test_each_fault_is_found_by_itself(
    venue: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    broken: Callable[[pytest.MonkeyPatch], None],
    what: str,
) -> None:
    broken(monkeypatch)

    assert bad(account(venue)) == {what}


def test_system_is_asked_for_its_check_and_its_bars(tmp_path: Path) -> None:
    made = system(tmp_path, clock=lambda: after_close(date(2005, 6, 30)))
    assert {one.what for one in made.examine() if one.state == "bad"} == {"check"}

    checked(made)
    assert {one.state for one in made.examine()} == {"well"}
    later = system(tmp_path, clock=lambda: new_york().close_at(date(2005, 7, 1)))
    (finding,) = (one for one in later.examine() if one.state == "bad")
    assert finding.what == "bars"
    assert "end before 2005-07-01" in finding.said


def _raise(patch: pytest.MonkeyPatch, name: str) -> None:
    def refuse(*_: Any) -> None:
        raise IversonError("it is not as it should be; see to it")

    patch.setattr(f"iverson.stages.admission.{name}", refuse)
