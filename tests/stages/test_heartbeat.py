# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs of life: rows with the next one's time, pings, systemd's watchdog, and who misses them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from iverson.errors import ConfigError, IversonError
from iverson.market.calendar import new_york
from iverson.model import Stage
from iverson.monitoring.events import Heartbeat
from iverson.monitoring.journal import Journal
from iverson.stages.heartbeat import BEAT_SECONDS, MISSED, Pulse, next_stream, next_wake
from iverson.stages.ping import Ping
from iverson.stages.pinged import Pinged, sign_of
from iverson.stages.supervisor import notify
from iverson.stages.watch import Sign, Watcher, signs_of

AT = datetime(2024, 1, 2, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
RUN = "paper-Rsi"


@pytest.mark.parametrize(
    ("at", "due"),
    [
        # before the close of a Tuesday: that day's bar; after it: the next day's
        (datetime(2024, 1, 2, 20, 55, tzinfo=UTC), datetime(2024, 1, 2, 21, 45, tzinfo=UTC)),
        (datetime(2024, 1, 2, 21, 0, tzinfo=UTC), datetime(2024, 1, 3, 21, 45, tzinfo=UTC)),
        # Friday evening: Monday was a holiday
        (datetime(2024, 1, 12, 21, 20, tzinfo=UTC), datetime(2024, 1, 16, 21, 45, tzinfo=UTC)),
        # the day before a half day
        (datetime(2024, 7, 2, 20, 20, tzinfo=UTC), datetime(2024, 7, 3, 17, 45, tzinfo=UTC)),
    ],
)
def test_wake_says_when_the_next_one_is_due(at: datetime, due: datetime) -> None:
    assert next_wake(at) == due


def test_stream_is_due_again_after_the_next_open() -> None:
    close = new_york().close_at(date(2024, 1, 12))

    assert next_stream(close) == datetime(2024, 1, 16, 14, 35, tzinfo=UTC)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def at(self) -> datetime:
        return AT + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


def test_stream_gives_a_sign_a_minute_however_often_it_ticks() -> None:
    hand = Hand()
    with Journal() as journal:
        pulse = Pulse(journal, RUN, Stage.PAPER, clock=hand.at, monotonic=hand.monotonic)
        for _ in range(1200):
            pulse.tick()
            hand.seconds += 0.5
        beats = journal.values("heartbeat", run=RUN)

    assert len(beats) == 600 / BEAT_SECONDS
    for number, beat in enumerate(beats):
        assert isinstance(beat, Heartbeat)
        at = AT + number * timedelta(seconds=BEAT_SECONDS)
        assert (beat.at, beat.due, beat.stage) == (at, at + MISSED, Stage.PAPER)


def test_systemd_hears_that_it_runs_and_that_it_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not notify("READY=1")
    hand = Hand()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, Journal() as journal:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        pulse = Pulse(journal, RUN, Stage.PAPER, clock=hand.at, monotonic=hand.monotonic)
        for _ in range(25):
            pulse.tick()
            hand.seconds += 1.0
        heard = [systemd.recv(100) for _ in range(3)]

    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


@pytest.fixture
def pinged() -> Iterator[Pinged]:
    made = Pinged("127.0.0.1", 0, clock=lambda: AT, path="/secret")
    yield made
    made.close()


def test_ping_arrives_as_a_sign(pinged: Pinged) -> None:
    ping = Ping(f"http://127.0.0.1:{pinged.port}/secret?x=1")
    ping.send(RUN, AT + HOUR)
    ping.close()

    assert pinged.taken() == [Sign(RUN, AT, AT + HOUR)]


def test_last_ping_of_a_run_that_ended_says_that_none_is_to_come(pinged: Pinged) -> None:
    ping = Ping(f"http://127.0.0.1:{pinged.port}/secret")
    ping.send(RUN, None)
    ping.close()

    (sign,) = pinged.taken()
    watcher = Watcher(lambda _: None)
    watcher.seen(sign)
    assert sign.due is None
    assert watcher.look(AT + 1000 * HOUR) == []


def test_strangers_give_no_signs(pinged: Pinged) -> None:
    for path in (f"/?run={RUN}", "/secret", "/secret?run=%00", f"/secret?run={RUN}&due=soon"):
        with pytest.raises(IOError, match="404"):
            urlopen(f"http://127.0.0.1:{pinged.port}{path}", timeout=5)
    assert pinged.taken() == []
    assert sign_of(f"run={RUN}&due=2024-01-02T10:00:00", AT) is None  # no time zone


def test_ping_address_that_hangs_delays_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/very-secret"
        ping = Ping(address, timeout_seconds=0.3)
        began = time.monotonic()
        for _ in range(100):
            ping.send(RUN, AT)
        assert time.monotonic() - began < 0.2
        ping.close()
    assert "does not answer" in caplog.text
    assert "very-secret" not in caplog.text


def test_ping_is_retried_by_the_next_one() -> None:
    answers = iter([500, 200, 200])
    paths: list[str] = []

    class Sometimes(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(next(answers))
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sometimes)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        ping = Ping(f"http://127.0.0.1:{server.server_address[1]}/")
        for number in range(2):
            ping.send(RUN, AT)
            _until(lambda seen=number + 1: len(paths) == seen)
        ping.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(paths) == 2


def test_ping_address_must_be_one() -> None:
    with pytest.raises(ConfigError, match="IVERSON_PING_URL") as raised:
        Ping("file:///etc/passwd")
    assert "passwd" not in str(raised.value)


# The watcher


def test_late_run_is_told_once_and_so_is_its_return() -> None:
    told: list[str] = []
    watcher = Watcher(told.append)
    watcher.seen(Sign(RUN, AT, AT + HOUR))
    assert watcher.look(AT + HOUR) == []
    for minutes in range(1, 30):
        assert len(watcher.look(AT + HOUR + timedelta(minutes=minutes))) == 1
    assert len(told) == 1
    assert RUN in told[0]

    watcher.seen(Sign(RUN, AT + 3 * HOUR, AT + 4 * HOUR))
    watcher.seen(Sign(RUN, AT, AT + HOUR))  # an old one, read again
    assert watcher.look(AT + 3 * HOUR) == []
    assert len(told) == 2
    assert "is back" in told[1]
    watcher.look(AT + 5 * HOUR)
    assert len(told) == 3


def test_what_could_not_be_told_is_told_later_and_in_order() -> None:
    told: list[str] = []
    down = True

    def tell(sentence: str) -> None:
        if down:
            raise IversonError("no network")
        told.append(sentence)

    watcher = Watcher(tell)
    for run in ("one", "two"):
        watcher.seen(Sign(run, AT, AT + HOUR))
    for hours in range(2, 5):
        watcher.look(AT + hours * HOUR)
    assert told == []
    down = False
    watcher.look(AT + 6 * HOUR)
    assert [("one" in told[0]), ("two" in told[1]), len(told)] == [True, True, 2]


def test_signs_come_from_a_journal_run_by_run(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Journal(path) as journal:
        for hours, run in enumerate(("one", "two", "one")):
            at = AT + hours * HOUR
            journal.append(run, Heartbeat(at, Stage.PAPER, at + HOUR))
        signs, after = signs_of(path)
        journal.append("two", Heartbeat(AT + 9 * HOUR, Stage.PAPER, None))
        more, _ = signs_of(path, after=after)

    assert signs == [
        Sign("one", AT + 2 * HOUR, AT + 3 * HOUR),
        Sign("two", AT + HOUR, AT + 2 * HOUR),
    ]
    assert more == [Sign("two", AT + 9 * HOUR, None)]
    assert signs_of(path, after=after + 1) == ([], after + 1)


def _until(true: Any, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
