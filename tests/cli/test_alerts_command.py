# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson alerts`: what was told and what waits, a test message, another try."""

from __future__ import annotations

from pathlib import Path

import pytest

from iverson.book import Halt
from iverson.cli.main import main
from iverson.market.calendar import utc_now
from iverson.monitoring.channel import Undelivered
from iverson.stages.herald import Herald
from tests.monitoring.bot_api import BotApi, forbidden
from tests.monitoring.rows import AT, began, entry
from tests.stages.heralding import Remembering, write

HALT = Halt("drawdown", "lost \x1b[31m15 %", AT, latched=True)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "iverson.db"


def use(api: BotApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TOKEN": api.token, "CHAT": str(api.chat), "URL": api.url}.items():
        monkeypatch.setenv(f"IVERSON_TELEGRAM_{name}", value)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["alerts", *arguments])
    return int(ended.value.code or 0)


def waiting(path: Path) -> None:
    """Two alerts that could not be delivered."""
    channel = Remembering()
    channel.faults = [Undelivered("nobody there")] * 5
    herald = Herald(path, channel=channel, clock=utc_now)
    write(path, began(), HALT, entry())
    herald.close(0)


def test_nothing_was_told_yet(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert "nothing was told yet: there is no iverson.db.alerts" in capsys.readouterr().out


def test_table_says_what_waits_and_why(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    waiting(path)

    assert run(str(path)) == 0
    told = capsys.readouterr().out
    assert "Halt (drawdown): lost [31m15 %" in told
    assert "queued: nobody there" in told
    assert "2 alerts: 2 queued" in told
    assert "\x1b" not in told


def test_send_delivers_what_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(path)
    with BotApi() as api:
        use(api, monkeypatch)
        assert run("--send") == 0
        assert "2 messages delivered, 0 alerts wait" in capsys.readouterr().out
        assert run("--send") == 0
        assert len(api.messages) == 2
        assert run() == 0
    assert "2 alerts: 2 sent" in capsys.readouterr().out


def test_send_that_is_refused_is_exit_1(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting(path)
    with BotApi() as api:
        use(api, monkeypatch)
        api.always(forbidden())
        assert run("--send") == 1
    assert "0 messages delivered, 2 alerts wait" in capsys.readouterr().out


def test_test_message_arrives_or_says_why_not(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with BotApi() as api:
        use(api, monkeypatch)
        assert run("--test") == 0
        assert "delivered to chat 42, message 1" in capsys.readouterr().out
        api.fail(forbidden())
        assert run("--test") == 1
        told = capsys.readouterr().err
        assert "iverson: the test was not delivered: Telegram does not let the bot write" in told
        monkeypatch.setenv("IVERSON_TELEGRAM_TOKEN", "1:wrong-one")
        assert run("--test") == 1
        told = capsys.readouterr().err
        assert "Telegram does not know the bot's token" in told
        assert "wrong-one" not in told
        assert len(api.messages) == 1


@pytest.mark.parametrize("option", ["--test", "--send"])
def test_without_a_bot_nothing_is_sent(
    path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    write(path, began())

    assert run(option) == 1
    assert "IVERSON_TELEGRAM_TOKEN" in capsys.readouterr().err


def test_send_without_a_journal_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with BotApi() as api:
        use(api, monkeypatch)
        assert run("--send") == 1
    assert "there is no journal at iverson.db" in capsys.readouterr().err
    assert list(path.parent.iterdir()) == []
