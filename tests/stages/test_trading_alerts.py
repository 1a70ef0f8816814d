# SPDX-License-Identifier: GPL-3.0-or-later
"""Wakes that tell people: after all orders, in bounded time, whatever Telegram does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from iverson.errors import ConfigError
from iverson.market.calendar import new_york
from iverson.monitoring.events import Alarm
from iverson.monitoring.journal import Journal
from iverson.monitoring.outbox import Outbox, path_of
from iverson.simulator.server import Simulator
from iverson.stages import herald
from iverson.system import System
from tests.monitoring.bot_api import TOKEN, BotApi, hangs
from tests.stages.heralding import named
from tests.stages.trading_kit import after_close, checked, exchange, system, use

SESSIONS = [day.item() for day in new_york().between(date(2005, 3, 1), date(2005, 3, 9))]
RUN = "rehearse-RsiReversion"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> System:
    return checked(system(tmp_path_factory.mktemp("checked")))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[BotApi]:
    with BotApi() as opened:
        monkeypatch.setenv("IVERSON_TELEGRAM_TOKEN", opened.token)
        monkeypatch.setenv("IVERSON_TELEGRAM_CHAT", str(opened.chat))
        monkeypatch.setenv("IVERSON_TELEGRAM_URL", opened.url)
        yield opened


@pytest.fixture
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with exchange(after_close(SESSIONS[0])) as opened:
        use(monkeypatch, opened, tmp_path)
        yield opened


def wakes(made: System, venue: Simulator, count: int) -> None:
    for session in SESSIONS[:count]:
        venue.advance_to(after_close(session))
        made.wake()


def test_wakes_tell_what_filled_since(
    made: System, venue: Simulator, api: BotApi, tmp_path: Path
) -> None:
    wakes(made, venue, 3)

    with Journal(tmp_path / "iverson.db", read_only=True) as journal:
        fills, trades = journal.fills(), journal.trades()
    told = [one.text for one in api.told]
    assert len(named(told, " bought: ")) == (fills["leg"] == "entry").sum() > 0
    assert len(named(told, " left by ")) == len(trades)
    assert api.refused == []


def test_orders_of_a_wake_come_before_the_first_request_to_telegram(
    made: System, venue: Simulator, api: BotApi, tmp_path: Path
) -> None:
    quiet, busy = date(2005, 3, 10), date(2005, 3, 11)  # without and with entries
    venue.advance_to(after_close(quiet))
    made.wake()
    with Journal(tmp_path / "iverson.db") as journal:
        journal.append(RUN, Alarm(venue.now, "exit", "to be told by the next wake"))
    before = len(venue.ledger["orders"])
    seen: list[int] = []
    api.on_ask = lambda _: seen.append(len(venue.ledger["orders"]))
    venue.advance_to(after_close(busy))
    made.wake()

    assert len(named([one.text for one in api.messages], "to be told by the next wake")) == 1
    assert seen
    assert before < seen[0] == len(venue.ledger["orders"])


@pytest.mark.parametrize("silence", ["refused", "hangs"])
def test_dead_telegram_costs_a_wake_a_bounded_while_and_no_alert(  # noqa: PLR0917 (fixtures)
    made: System,
    venue: Simulator,
    api: BotApi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    silence: str,
) -> None:
    monkeypatch.setattr(herald, "TIMEOUT_SECONDS", 0.3)
    flush = 2.0
    monkeypatch.setattr(herald, "FLUSH_SECONDS", flush)
    monkeypatch.setattr(herald.Herald.close, "__defaults__", (flush,))
    if silence == "hangs":
        api.always(hangs(30))
    else:
        monkeypatch.setenv("IVERSON_TELEGRAM_URL", "http://127.0.0.1:9")
    wakes(made, venue, 2)
    venue.advance_to(after_close(SESSIONS[2]))
    began = time.monotonic()
    made.wake()
    took = time.monotonic() - began

    with Outbox(path_of(tmp_path / "iverson.db"), read_only=True) as outbox:
        counts = outbox.counts()
    told_perhaps = {"queued"} if silence == "refused" else {"unsure"}
    assert set(counts) == told_perhaps
    assert took < flush + 4
    assert "an alert was not delivered" in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in path_of(tmp_path / "iverson.db").read_bytes().decode("latin-1")


def test_run_that_cannot_go_on_is_an_alarm(
    made: System, venue: Simulator, api: BotApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wakes(made, venue, 1)
    monkeypatch.setenv("IVERSON_ALPACA_SECRET", "renewed")
    venue.advance_to(after_close(SESSIONS[1]))

    with pytest.raises(ConfigError, match="does not accept the keys"):
        made.wake()

    with Journal(tmp_path / "iverson.db", read_only=True) as journal:
        (alarm,) = journal.alarms(run=RUN).to_dict("records")
    assert "does not accept the keys" in alarm["reason"]
    (told,) = named([one.text for one in api.messages], "Alarm (run)")
    assert "it ended, and trades no more: Alpaca does not accept the keys" in told


def test_run_that_never_began_alarms_nobody(
    made: System, venue: Simulator, api: BotApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IVERSON_ALPACA_SECRET", "wrong")

    with pytest.raises(ConfigError, match="does not accept the keys"):
        made.wake()

    assert api.asked == []
    assert list(tmp_path.iterdir()) == []


def test_unknown_kind_is_refused_before_anything(
    made: System, venue: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IVERSON_ALERTS", '{"entrys": "on"}')

    with pytest.raises(ConfigError, match="no kind 'entrys'; expected one of 'entry filled'"):
        made.wake()

    assert list(tmp_path.iterdir()) == []
    assert venue.ledger["orders"] == []
