# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson halt`, `resume` and `telegram`: output, exit codes, what is asked first."""

from __future__ import annotations

import io
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from iverson.cli.main import main
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import RunRow
from iverson.simulator.server import Simulator
from tests.monitoring.bot_api import BotApi
from tests.stages.trading_kit import after_close, exchange, use

DONE, REFUSED, BROKEN = 0, 1, 2
RUN, USER = "rehearse-RsiReversion", 7
PATIENCE_SECONDS = 30


@pytest.fixture
def iverson(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = DONE) -> tuple[str, str]:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        shown = capfd.readouterr()
        assert left.value.code == code, shown.err
        return shown.out, shown.err

    return run


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal in which a rehearsal has begun."""
    path = tmp_path / "iverson.db"
    with Journal(path) as made:
        row = RunRow(
            "RsiReversion", "RsiReversion", {}, ("IBM",), "", None, Stage.REHEARSE, cash=10_000.0,
            at=after_close(date(2005, 3, 1)),
        )  # fmt: skip
        made.append(RUN, row)
    return path


@pytest.fixture
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal: Path) -> Iterator[Simulator]:
    with exchange(after_close(date(2005, 3, 1))) as opened:
        use(monkeypatch, opened, tmp_path)
        yield opened


def rows(path: Path, *kinds: Any) -> list[Any]:
    with Journal(path, read_only=True) as book:
        return book.values(*kinds, run=RUN)


def test_halt_resume_and_what_they_write(iverson: Any, venue: Simulator, journal: Path) -> None:
    shown, _ = iverson("halt", "--reason", "a look first")
    assert f"{RUN} is halted: no entry until somebody resumes" in shown
    assert "0 orders taken back; 0 still work; positions: none" in shown
    shown, _ = iverson("halt")
    assert "already" in shown

    shown, _ = iverson("resume", "--yes")
    assert "halt, operator: by command line: a look first" in shown
    assert "released operator." in shown
    (halt,), (release,) = rows(journal, "halt"), rows(journal, "release")
    assert halt.since.year == release.at.year == 2005  # the exchange's clock, not this machine's
    assert [one.text for one in rows(journal, "command")] == ["halt", "halt", "resume"]


def test_resume_asks_for_the_runs_name(
    iverson: Any, venue: Simulator, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iverson("halt")
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    _, told = iverson("resume", code=REFUSED)
    assert "nothing was released" in told
    assert rows(journal, "release") == []

    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{RUN}\n"))
    iverson("resume")
    assert len(rows(journal, "release")) == 1


def test_halt_flatten_says_that_nothing_is_held(
    iverson: Any, venue: Simulator, journal: Path
) -> None:
    shown, _ = iverson("halt", "--flatten")

    assert "The account holds nothing" in shown
    assert [one.flatten for one in rows(journal, "halt")] == [True]


def test_halt_without_keys_is_kept_and_says_what_is_missing(iverson: Any, journal: Path) -> None:
    shown, told = iverson("halt", code=BROKEN)

    assert "no Alpaca keys" in told
    assert "was not asked to take entries back" in shown
    assert len(rows(journal, "halt")) == 1


def test_account_of_another_stage_is_not_touched(
    iverson: Any, venue: Simulator, journal: Path
) -> None:
    with Journal(journal) as book:
        (row,) = book.values("run", run=RUN)
        assert isinstance(row, RunRow)
        book.append("paper-X", RunRow(**{**fields(row), "stage": Stage.PAPER}))

    _, told = iverson("halt", code=BROKEN)

    assert "the run is of paper and the settings lead to rehearse" in told
    with Journal(journal, read_only=True) as book:
        assert len(book.values("halt", run="paper-X")) == 1


def fields(row: RunRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("halt", "--journal", "none.db"), "there is no journal at none.db"),
        (("resume", "--journal", "none.db"), "there is no journal at none.db"),
        (("halt", "--run", "paper-X"), f"the journal has no run 'paper-X'; it has {RUN}"),
        (("telegram",), "commands need IVERSON_TELEGRAM_TOKEN"),
    ],
)
def test_bad_input_is_one_sentence(
    iverson: Any, journal: Path, arguments: tuple[str, ...], words: str
) -> None:
    _, told = iverson(*arguments, code=BROKEN)

    assert words in told
    assert len(told.strip().splitlines()) == 1


def test_telegram_listens_until_it_is_ended(
    iverson: Any, venue: Simulator, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of its own: answers a command, then ends by SIGTERM."""
    with BotApi() as api:
        for name, value in {
            "TOKEN": api.token,
            "CHAT": str(api.chat),
            "USERS": f"[{USER}]",
            "URL": api.url,
        }.items():
            monkeypatch.setenv(f"IVERSON_TELEGRAM_{name}", value)

        def talk() -> None:
            until = time.monotonic() + PATIENCE_SECONDS
            api.say("/status", user=USER)
            while not api.messages and time.monotonic() < until:
                time.sleep(0.05)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            api.say("good night", user=USER)  # or the poll would wait for its end

        threading.Thread(target=talk, daemon=True).start()
        shown, told = iverson("telegram")

    assert f"listening for commands to {RUN}" in shown
    (answer,) = api.messages
    assert "state: active" in answer.text
    assert api.token not in shown + told
