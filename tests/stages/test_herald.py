# SPDX-License-Identifier: GPL-3.0-or-later
"""The herald: each alert once in spite of everything, and nobody who trades waits for it."""

from __future__ import annotations

import logging
import multiprocessing
import random
import re
import tempfile
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.book import Halt
from iverson.config import Settings
from iverson.errors import ConfigError
from iverson.model import Stage
from iverson.monitoring.channel import Later, Log, Undelivered
from iverson.monitoring.events import Heartbeat
from iverson.monitoring.gathering import AGAIN
from iverson.monitoring.journal import Journal
from iverson.monitoring.outbox import Outbox, path_of
from iverson.monitoring.telegram import Telegram
from iverson.stages.herald import Herald
from iverson.stages.heralded import channel_of, herald_of, heralded
from iverson.stages.trade_picture import picture_of
from tests.monitoring.bot_api import BotApi
from tests.monitoring.rows import AT, CASH, account, alarm, approved, began, closed, entry, later
from tests.stages.heralding import (
    Breaking,
    Clock,
    Remembering,
    SimulatedCrash,
    deliver,
    herald_on,
    named,
    write,
)
from tests.stages.trading_kit import system

HALT = Halt("drawdown", "lost 15 %", AT, latched=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "iverson.db"


def test_each_alert_is_told_once_whoever_reads_and_however_often(path: Path) -> None:
    channel = Remembering()
    with herald_on(path, channel) as first:
        write(path, began(), approved(), entry())
        first.flush(0)
        first.flush(0)
    with herald_on(path, channel) as second:
        second.flush(0)
        write(path, closed(), HALT)
        second.flush(0)
    with herald_on(path, channel) as third, herald_on(path, channel) as fourth:
        third.flush(0)
        fourth.flush(0)

    assert [text.split()[1] for text in channel.took] == ["AAPL", "Halt", "AAPL"]
    assert "stop $42.00" in channel.took[0]  # the verdict was in the rows before


def test_fill_that_is_read_after_a_restart_still_has_its_plan(path: Path) -> None:
    channel = Remembering()
    with herald_on(path, channel) as herald:
        write(path, began(), approved(), entry(40, 43.0))
        herald.flush(0)
    with herald_on(path, channel) as herald:
        write(path, entry(60, 44.0))
        herald.flush(0)

    assert "100 shares at $43.60 on average\nstop $42.00" in channel.took[1]


def test_what_was_before_the_first_outbox_is_not_told(path: Path) -> None:
    channel = Remembering()
    write(path, began(), entry(), HALT, Heartbeat(AT, Stage.PAPER, later(1)))
    with herald_on(path, channel) as herald:
        herald.flush(0)
        assert channel.took == []
        write(path, alarm("the stop is gone"))
        herald.flush(0)

    assert len(channel.took) == 1


def test_another_journal_under_the_same_name_is_told_from_its_start(path: Path) -> None:
    channel = Remembering()
    with herald_on(path, channel) as herald:
        write(path, began(), alarm("first"))
        herald.flush(0)
        path.unlink()
        write(path, began(cash=CASH + 1), alarm("second"))
        herald.flush(0)

    assert ["first" in channel.took[0], "second" in channel.took[1]] == [True, True]


def test_kinds_are_on_silent_or_off(path: Path) -> None:
    channel = Remembering()
    chosen = {"entry filled": "silent", "milestone": "off"}
    with herald_on(path, channel, chosen=chosen) as herald:
        write(path, began(), entry(), account(CASH * 2), HALT)
        herald.flush(0)

    assert [text.split()[1] for text in channel.took] == ["Halt", "AAPL"]
    assert channel.silent == [False, True]


def story() -> list[list[Any]]:
    """Rows that come in three lots, each with what is critical and what is not."""
    return [
        [began(), approved(), entry(), alarm("alarm one")],
        [closed(), Halt("drawdown", "halt two", AT, latched=True)],
        [alarm(f"alarm {number}") for number in range(3, 9)] + [account(CASH * 1.2)],
    ]


def played(path: Path, channel: Remembering, breaking: Breaking) -> int:
    """Tell the story with a process that ends at a point; returns how many processes it took."""
    clock, processes = Clock(), 0
    for lot in story():
        written = False
        while True:
            processes += 1
            channel.breaking = breaking
            try:
                with herald_on(path, channel, breaking=breaking, clock=clock) as herald:
                    if not written:
                        write(path, *lot)
                        written = True
                    herald.flush(0)
                break
            except SimulatedCrash:
                clock.at += timedelta(seconds=7)
        clock.at += timedelta(minutes=20)
    return processes


# Where a process may end and leave in doubt whether a message arrived.
DOUBTFUL = (
    "after begin", "before the request", "after the request", "before sent", "within sent"
)  # fmt: skip
CRITICAL = ["alarm one", "halt two", *(f"alarm {number}" for number in range(3, 9))]
OTHERS = ["AAPL bought", "AAPL left by", "Equity +20%"]


def points() -> list[str]:
    breaking = Breaking()
    with tempfile.TemporaryDirectory() as folder:
        channel = Remembering()
        played(Path(folder) / "j.db", channel, breaking)
    assert sorted(word for word in CRITICAL if named(channel.took, word)) == sorted(CRITICAL)
    return breaking.points


POINTS = points()


@pytest.mark.parametrize("number", range(1, len(POINTS) + 1))
def test_process_may_end_at_every_point(path: Path, number: int) -> None:
    """Before, within and after each write, and before and after each request."""
    channel = Remembering()

    processes = played(path, channel, Breaking(number))

    assert processes == len(story()) + 1
    for words in CRITICAL:
        told = named(channel.took, words)
        assert told, f"{words} was lost at {POINTS[number - 1]}"
        assert len(told) <= 2
        assert all(AGAIN in text for text in told[1:])
    certain = POINTS[number - 1] not in DOUBTFUL
    for words in OTHERS:
        told_once = len(named(channel.took, words) + counted(channel.took, words))
        assert told_once <= 1
        assert told_once == 1 or not certain
    if certain:
        assert not named(channel.took, AGAIN)


def counted(texts: list[str], words: str) -> list[str]:
    """Return the messages that only count this one."""
    return named(texts, "1 milestones") if "Equity" in words else []


def test_dead_channel_is_tried_again_and_loses_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    channel, clock = Remembering(), Clock()
    channel.faults = [Undelivered("nobody there")] * 3
    with herald_on(path, channel, clock=clock) as herald:
        write(path, began(), HALT)
        for _ in range(3):
            assert herald.flush(0) == 0
            clock.at += timedelta(seconds=500)
        assert "not delivered for 15 minutes: ⛔ Halt (drawdown): lost 15 %" in caplog.text
        assert caplog.text.count("nobody there") == 1
        assert herald.flush(0) == 1
        clock.at += timedelta(days=1)
        herald.flush(0)

    assert len(channel.took) == 1
    assert caplog.text.count("not delivered for 15 minutes") == 1


def test_channel_that_asks_to_wait_is_waited_for(path: Path) -> None:
    channel, clock = Remembering(), Clock()
    channel.faults = [Undelivered("wait", retry_after=8.0)]
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        clock.at += timedelta(seconds=seconds)

    with herald_on(path, channel, clock=clock, pause=pause) as herald:
        write(path, began(), HALT)
        assert herald.flush(20) == 1

    assert waited == [8.0]


def test_outbox_that_cannot_be_written_costs_alerts_only(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path_of(path).write_text("not a database " * 100)

    with heralded(path, Clock(), Settings(), threaded=False):
        write(path, began(), HALT)

    assert "nobody is told" in caplog.text


def test_alert_that_could_not_be_queued_is_queued_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = Remembering()
    with herald_on(path, channel) as herald:
        write(path, began(), HALT)
        with monkeypatch.context() as patch:
            patch.setattr(Outbox, "queue", lambda *_, **__: (_ for _ in ()).throw(OSError("full")))
            assert herald.flush(0) == 0
        write(path, alarm("another"))
        herald.flush(0)

    assert len(channel.took) == 2


def test_thread_tells_within_seconds_and_ends(path: Path) -> None:
    channel = Remembering()
    with Journal(path) as journal:
        journal.append("paper-Dip", began())
        herald = Herald(path, channel=channel, clock=lambda: later(time.monotonic()))
        herald.start(0.05)
        began_at = time.monotonic()
        journal.append("paper-Dip", HALT)
        while not channel.took and time.monotonic() - began_at < 5:
            time.sleep(0.01)
        took = time.monotonic() - began_at
        herald.close()

    assert len(channel.took) == 1
    assert took < 2
    assert channel.closed
    assert not [one for one in threading.enumerate() if one.name == "herald"]
    assert not path.with_name(f"{path.name}-wal").exists()


def test_storm_in_a_journal_is_few_messages_in_time(path: Path) -> None:
    channel = Remembering()
    with herald_on(path, channel) as herald:
        write(path, began(), *(entry(1, order=str(n)) for n in range(9_900)))
        write(path, *(alarm(f"alarm number {number}.") for number in range(100)))
        start = time.monotonic()
        herald.flush(0)
        took = time.monotonic() - start

    assert len(channel.took) <= 25
    assert all(named(channel.took, f"alarm number {number}.") for number in range(100))
    assert named(channel.took, "9,900 entries filled")
    assert took < 20


def test_settings_choose_bot_or_log_and_half_of_a_bot_is_refused(path: Path) -> None:
    assert isinstance(channel_of(Settings()), Log)
    both: dict[str, Any] = {"telegram_token": "1:a", "telegram_chat": 5}
    assert isinstance(channel_of(Settings(**both)), Later)
    for name, missing in (("telegram_token", "CHAT"), ("telegram_chat", "TOKEN")):
        with pytest.raises(ConfigError, match=f"set IVERSON_TELEGRAM_{missing} too"):
            herald_of(path, Clock(), Settings(**{name: both[name]}))
    with pytest.raises(ConfigError, match="no kind 'news'"):
        herald_of(path, Clock(), Settings(alerts={"news": "on"}))
    assert not path_of(path).exists()


def test_without_a_bot_alerts_are_on_the_log(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with heralded(path, Clock(), Settings(), threaded=False):
        write(path, began(), HALT)

    (record,) = [one for one in caplog.records if "Halt" in one.getMessage()]
    assert record.levelno == logging.WARNING
    assert "<b>" not in record.getMessage()


def test_month_is_told_by_a_bot(tmp_path: Path) -> None:
    """Each order that filled and each trade is one message, trades with a picture."""
    with BotApi() as api:

        def maker(journal: Path, clock: Any) -> Herald:
            bot = Telegram(api.token, chat=api.chat, url=api.url, pace_seconds=0)
            return Herald(journal, channel=bot, clock=clock, picture=picture_of)

        done = system(tmp_path).rehearse(
            date(2005, 3, 1), date(2005, 3, 18), journal=tmp_path / "j.db", seed=3,
            herald=maker, scenario="partial-then-nothing",
        )  # fmt: skip

        with Journal(tmp_path / "j.db", read_only=True) as journal:
            fills = journal.fills()
        orders = fills[fills["leg"] == "entry"]["order_id"].unique()
        assert len(orders) > 3
        told = [one.text for one in api.messages]
        assert len(named(told, " bought: ")) == len(orders)
        assert len(named(told, "Protection repaired: MSFT: 32 shares protected again")) == 1
        assert len(api.photos) == len(done.trades) > 1
        assert len(told) == len(orders) + 1
        assert api.refused == []
        assert all(one.links == () for one in api.told)
        assert all(one.picture.startswith(b"\x89PNG") for one in api.photos)


def child_of(path: Path, api: BotApi, *, seconds: float, ahead: float = 0.0) -> Any:
    """Start a process that tells; returns it when it has begun."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.stages.heralding", "iverson.monitoring.telegram"])
    ready = context.Event()
    child = context.Process(
        target=deliver,
        args=(str(path), (api.url, api.token, api.chat), ready),
        kwargs={"seconds": seconds, "ahead": ahead},
    )
    child.start()
    assert ready.wait(30)
    return child


def test_two_processes_tell_each_alert_once(path: Path) -> None:
    alerts = 40
    with BotApi() as api:
        Outbox(path_of(path)).close()
        write(path, began())
        both = [child_of(path, api, seconds=4.0) for _ in range(2)]
        for number in range(alerts):
            write(path, alarm(f"alarm number {number}."))
            time.sleep(0.02)
        for child in both:
            child.join(30)
            assert child.exitcode == 0

        whole = "".join(one.text for one in api.messages)
        counts = [whole.count(f"alarm number {number}.") for number in range(alerts)]
        assert counts == [1] * alerts
        assert AGAIN not in whole


IN_THE_SENDING = 3  # every so-manyth kill


def killed(path: Path, api: BotApi, *, kills: int, seed: int) -> dict[int, list[str]]:
    """Kill a process that tells, again and again; returns the messages of each critical alert.

    The kill comes at a random moment of the telling, and now and then in the sending: every answer
    takes a while.
    """
    chance, apart = random.Random(seed), 1_200.0
    Outbox(path_of(path)).close()
    write(path, began())
    for number in range(kills):
        write(path, alarm(f"alarm number {number}."), entry(1, order=f"order {number}"))
        child = child_of(path, api, seconds=60.0, ahead=number * apart)
        if number % IN_THE_SENDING:
            time.sleep(chance.uniform(0.0, 0.3))
        else:  # the bot has it, and has not said so yet
            until, there = time.monotonic() + 10, len(api.messages)
            while len(api.messages) == there and time.monotonic() < until:
                time.sleep(0.001)
        child.kill()
        child.join(10)
    last = child_of(path, api, seconds=2.0, ahead=kills * apart)
    last.join(60)
    assert last.exitcode == 0
    told: dict[int, list[str]] = {}
    for one in api.messages:
        for line in one.text.splitlines():
            if found := re.search(r"alarm number (\d+)\.", line):
                told.setdefault(int(found[1]), []).append(one.text)
    return told


def test_killed_processes_lose_nothing_critical(path: Path) -> None:
    kills = 10
    with BotApi(seconds=0.05) as api:
        told = killed(path, api, kills=kills, seed=5)

        assert sorted(told) == list(range(kills))
        for texts in told.values():
            assert all(AGAIN in text for text in texts[1:])
        assert any(AGAIN in one.text for one in api.messages)  # some were killed in the sending
        assert len(named([one.text for one in api.messages], "AAPL bought")) <= kills
        with Outbox(path_of(path), read_only=True) as outbox:
            assert set(outbox.counts()) <= {"sent", "unsure"}
