# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `iverson report ...`: what they print, write and send."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from iverson.cli.main import main
from iverson.cli.report import send
from iverson.monitoring.journal import Journal
from iverson.monitoring.message import plain
from iverson.reports import phone
from iverson.reports.daily import daily
from tests.reports.week import RUN, WED, journal, run_row, values

TOKEN = "123456:not-a-real-one"  # noqa: S105 (of no bot)


class Bot:
    """Takes messages and keeps them."""

    made: list[Bot] = []

    def __init__(self, token: str = "", **options: Any) -> None:
        self.token, self.options = token, options
        self.told: list[tuple[str, str]] = []
        self.closed = False
        Bot.made.append(self)

    def send(self, html: str, *, silent: bool = False) -> int:
        self.told.append(("silent" if silent else "text", html))
        return len(self.told)

    def photo(self, png: bytes, *, caption: str = "", silent: bool = False) -> int:
        assert png.startswith(b"\x89PNG")
        self.told.append(("silent photo" if silent else "photo", caption))
        return len(self.told)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Bot, "made", [])
    with Journal(tmp_path / "iverson.db", durable=False) as made:
        made.append_many(RUN, [run_row(), *values()])
    return tmp_path


@pytest.fixture
def iverson(capfd: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        shown = capfd.readouterr()
        assert left.value.code == code, shown.err
        return shown.out, shown.err

    return run


def test_without_a_word_it_is_the_report_of_the_run(iverson: Any) -> None:
    named, _ = iverson("report", "run", "iverson.db")

    assert f"run {RUN}" in named
    for arguments in (("report",), ("report", "iverson.db"), ("report", "--run", RUN)):
        assert iverson(*arguments)[0] == named


def test_the_last_day_is_printed_by_default(iverson: Any) -> None:
    shown, _ = iverson("report", "daily")

    assert shown.startswith(f"Week, 2026-03-06\npaper · run {RUN}\n+$7.45 (+0.07%), 1 trade closed")
    assert "\nIncidents\n  None." in shown


def test_json_is_exact_and_alone_on_the_output(iverson: Any, folder: Path) -> None:
    out, err = iverson(
        "report", "daily", "iverson.db", "--session", "2026-03-04", "--json", "--html", "day.html"
    )

    assert json.loads(out)["sections"]["result"]["net_pnl_usd"] == pytest.approx(-122.25)
    assert err == "report: day.html\n"
    assert "−$122.25" in (folder / "day.html").read_text(encoding="utf-8")


def test_what_cannot_be_reported_is_one_sentence_and_nothing_is_written(
    iverson: Any, folder: Path
) -> None:
    before = sorted(folder.iterdir())
    for arguments, words in (
        (("--session", "2026-03-07", "--html", "day.html"), "has no session 2026-03-07"),
        (("--session", "soon", "--html", "day.html"), "expected a date"),
        (("--run", "other", "--html", "day.html"), "the journal has no run 'other'"),
        (("nothing.db", "--html", "day.html"), "there is no journal at nothing.db"),
        (("--html", "no/such/place.html"), "make it first"),
        (("--telegram", "--html", "day.html"), "IVERSON_TELEGRAM_TOKEN and IVERSON_TELEGRAM_CHAT"),
    ):
        out, err = iverson("report", "daily", *arguments, code=2)
        assert out == ""
        assert words in err
        assert err.count("\n") == 1
    assert sorted(folder.iterdir()) == before


def test_a_page_is_sent_as_one_text_and_its_charts_in_silence() -> None:
    with journal() as opened:
        page = daily(opened, session=WED)
    bot = Bot()

    send(page, bot)

    assert bot.told == [
        ("text", phone.text(page)),
        ("silent photo", "Week, 2026-03-04: result"),
    ]


def test_telegram_is_told_with_the_settings_and_left_closed(
    iverson: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake: Any = ModuleType("iverson.monitoring.telegram")
    fake.Telegram = Bot
    monkeypatch.setitem(sys.modules, "iverson.monitoring.telegram", fake)
    monkeypatch.setenv("IVERSON_TELEGRAM_TOKEN", TOKEN)
    monkeypatch.setenv("IVERSON_TELEGRAM_CHAT", "42")

    out, err = iverson("report", "daily", "--telegram")

    (bot,) = Bot.made
    assert bot.token == TOKEN
    assert bot.options == {"chat": 42, "url": "https://api.telegram.org"}
    assert [kind for kind, _ in bot.told] == ["text", "silent photo"]
    assert bot.closed
    assert err == "sent to Telegram\n"
    assert TOKEN not in out


def test_a_tearsheet_is_written_and_loads_nothing(iverson: Any, folder: Path) -> None:
    out, _ = iverson("report", "tearsheet")

    assert out == f"tearsheet: reports/tearsheet-{RUN}.html\n"
    page = (folder / "reports" / f"tearsheet-{RUN}.html").read_text(encoding="utf-8")
    assert f"Week, run {RUN}" in page
    assert "<link" not in page


def test_a_tearsheet_is_told_in_numbers_and_by_telegram(
    iverson: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake: Any = ModuleType("iverson.monitoring.telegram")
    fake.Telegram = Bot
    monkeypatch.setitem(sys.modules, "iverson.monitoring.telegram", fake)
    monkeypatch.setenv("IVERSON_TELEGRAM_TOKEN", TOKEN)
    monkeypatch.setenv("IVERSON_TELEGRAM_CHAT", "42")

    out, _ = iverson("report", "tearsheet", "--json", "--telegram")
    whole, _ = iverson("report", "run", "--json")
    text, _ = iverson("report", "run")

    told = json.loads(out)
    assert told.pop("tearsheet") == f"reports/tearsheet-{RUN}.html"
    assert told == json.loads(whole)
    ((kind, sent),) = Bot.made[-1].told
    assert (kind, plain(sent).strip()) == ("text", text.strip())


def test_a_run_that_never_moved_has_no_tearsheet(iverson: Any, folder: Path) -> None:
    with Journal(folder / "flat.db", durable=False) as made:
        made.append_many(RUN, [run_row(), *values()[:7]])  # Monday

    _, err = iverson("report", "tearsheet", "flat.db", code=2)

    assert "has no tearsheet: equity never moved" in err
    assert not (folder / "reports").exists()
