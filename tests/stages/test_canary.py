# SPDX-License-Identifier: GPL-3.0-or-later
"""Three secrets through every fault: no trace of them in what is kept, sent, logged or raised.

The key, its secret and the bot's token are canaries. Every bundled scenario goes wrong while a
wake trades, and Telegram goes wrong with it. What is looked at: files (journal, seen bars, outbox,
reports), the text of what was sent, log lines of every library at DEBUG, errors with their
tracebacks and the values in their frames' sentences, the terminal.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from iverson.cli.main import main
from iverson.errors import IversonError
from iverson.execution.alpaca.rest import Rest
from iverson.market import sample
from iverson.market.calendar import new_york
from iverson.market.synthesis import synthesize
from iverson.monitoring.journal import Journal
from iverson.monitoring.reports import read_report
from iverson.reports import html, phone, terminal
from iverson.reports import json as for_programs
from iverson.reports.kinds import KINDS, make_page
from iverson.simulator.pacing import Pace
from iverson.simulator.scenarios import bundled
from iverson.simulator.server import Simulator
from iverson.stages import admission, connection, heralded
from iverson.stages.herald import Herald
from iverson.system import System
from tests.monitoring.bot_api import (
    BotApi,
    answer_lost,
    broken,
    forbidden,
    too_many,
    unauthorized,
    unparsable,
)
from tests.stages.test_streaming import EveryMinute
from tests.stages.trading_kit import after_close, checked, exchange, system, use

KEY = "PK" + "CANARYKEY4711CANARY1"
SECRET = "canary/" + "Secret+4711=NotToBeSeen"
BUSY = date(2005, 3, 11)  # a day with entries
RUN = "rehearse-RsiReversion"
FAULTS = [too_many(0), unparsable(), forbidden(), unauthorized(), broken(), answer_lost()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> System:
    return checked(system(tmp_path_factory.mktemp("checked")))


@pytest.fixture(autouse=True)
def _canaries(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The simulator's account opens with the canaries, and everything is logged."""
    for place in ("auth", "server"):
        monkeypatch.setattr(f"iverson.simulator.{place}.PAPER_KEY", KEY)
        monkeypatch.setattr(f"iverson.simulator.{place}.SECRET", SECRET)
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[BotApi]:
    with BotApi() as opened:
        monkeypatch.setenv("IVERSON_TELEGRAM_TOKEN", opened.token)
        monkeypatch.setenv("IVERSON_TELEGRAM_CHAT", str(opened.chat))
        monkeypatch.setenv("IVERSON_TELEGRAM_URL", opened.url)
        yield opened


class Hurried:
    """Waiting is on the exchange's clock, which goes on meanwhile."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self, venue: Simulator) -> None:
        self._venue = venue

    def sleep(self, seconds: float) -> None:
        self._venue.advance_to(self._venue.now + timedelta(seconds=max(seconds, 0.001)))


def traces(where: dict[str, str | bytes], token: str) -> dict[str, list[str]]:
    """Name each place in which a canary is, with the canaries."""
    canaries = {"key": KEY, "secret": SECRET, "token": token}
    found: dict[str, list[str]] = {}
    for place, text in where.items():
        content = text.decode("latin-1") if isinstance(text, bytes) else text
        names = [name for name, canary in canaries.items() if canary in content]
        if names:
            found[place] = names
    return found


def sent_text(api: BotApi) -> str:
    return "\n".join(repr(given) for _, given in api.asked)


def files(folder: Path) -> dict[str, str | bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def reports(journal: Path) -> dict[str, str | bytes]:
    """Every report there is, in every form."""
    found: dict[str, str | bytes] = {}
    with Journal(journal, read_only=True) as book:
        try:
            found["run"] = read_report(book).text()
            for kind in KINDS:
                page = make_page(kind, book)
                found[f"{kind}.html"] = html.render(page)
                found[f"{kind}.json"] = for_programs.render(page)
                found[f"{kind}.txt"] = terminal.render(page)
                found[f"{kind}.phone"] = phone.render(page, photos=False).html
        except IversonError as error:  # a run that was refused at once has nothing to report
            found["reports"] = str(error)
    return found


NAMES = sorted(bundled())
SOME = NAMES[::4]  # the others are left to `make campaign`


@pytest.mark.parametrize(
    "name", [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_no_fault_brings_a_secret_to_light(  # noqa: PLR0917 (fixtures)
    name: str,
    made: System,
    api: BotApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(heralded, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(Herald.close, "__defaults__", (2.0,))
    monkeypatch.setitem(Rest.__init__.__kwdefaults__, "read_seconds", 0.5)
    api.fail(FAULTS[NAMES.index(name) % len(FAULTS)])
    raised = ""
    with exchange(after_close(BUSY), scenario=name) as venue:
        use(monkeypatch, venue, tmp_path)
        monkeypatch.setattr(connection, "time", Hurried(venue))
        for _ in range(2):
            try:
                made.wake()
            except Exception as error:  # noqa: BLE001 (whatever it is, it is looked at)
                raised += "".join(traceback.format_exception(error, chain=True))
            _forward(venue)
    journal = tmp_path / "iverson.db"
    printed = capfd.readouterr()
    places = {
        **files(tmp_path), "log": caplog.text, "raised": raised, "sent": sent_text(api),
        "terminal": printed.out + printed.err, **(reports(journal) if journal.exists() else {}),
    }  # fmt: skip

    assert traces(places, api.token) == {}
    assert caplog.records


def _forward(venue: Simulator) -> None:
    calendar = new_york()
    session = calendar.offset(calendar.session_of(venue.now), 1)
    venue.advance_to(after_close(session))


def test_stream_logs_no_secret_of_its_sockets(
    api: BotApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Both sockets send the keys as a frame, and their library logs frames."""
    monkeypatch.setattr(admission, "passed", lambda *_, **__: True)
    day = date(2012, 12, 28)
    bars = {
        "AAPL": synthesize(sample.load(["AAPL"])["AAPL"].between(date(2012, 12, 3), day), seed=1)
    }
    start = new_york().close_at(day) - timedelta(minutes=6)
    with exchange(start, bars, pace=Pace.times(120)) as venue:
        use(monkeypatch, venue, tmp_path)
        System(EveryMinute, ["AAPL"], interval="1m", bars=bars, store=tmp_path / "store").paper()

    places = {**files(tmp_path), "log": caplog.text, "sent": sent_text(api)}
    assert traces(places, api.token) == {}


@pytest.mark.parametrize(
    "arguments",
    [["doctor"], ["status"], ["wake", "strategies.rsi_reversion"], ["kill"], ["alerts", "--test"]],
)
def test_commands_say_what_is_wrong_without_a_secret(
    arguments: list[str],
    api: BotApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Keys that are refused and a bot that is unknown, with the traceback asked for."""
    mine, api.token = api.token, "1:" + "another"
    with exchange(after_close(BUSY)) as venue:
        use(monkeypatch, venue, tmp_path)
        monkeypatch.setenv("IVERSON_ALPACA_SECRET", SECRET + "-but-wrong")
        with pytest.raises(SystemExit) as ended:
            main(["--debug", *arguments])

    printed = capfd.readouterr()
    assert ended.value.code or arguments == ["status"]
    assert traces({"terminal": printed.out + printed.err, **files(tmp_path)}, mine) == {}
    assert SECRET not in printed.err
