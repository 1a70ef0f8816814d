# SPDX-License-Identifier: GPL-3.0-or-later
"""One session of minute bars through Alpaca's sockets: started by a timer, ended by the close.

Ctrl-C or SIGTERM end it sooner, and a crash is no different: nothing more is sent, protective stops
stay at the venue, and the next start goes on from journal and account.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from iverson.errors import Refused
from iverson.execution.alpaca import stream as sockets
from iverson.execution.alpaca.hub import Candle, Hub
from iverson.execution.alpaca.live import MUTE_SECONDS, candles_after
from iverson.market.calendar import new_york
from iverson.market.intervals import minutes
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Note
from iverson.research.backtest import Prepared
from iverson.stages.heartbeat import next_stream
from iverson.stages.heralded import heralded
from iverson.stages.opened import Admitted
from iverson.stages.refreshed import vendor_of
from iverson.stages.seen import Seen
from iverson.stages.stream import MinuteLine, stream
from iverson.stages.supervisor import notify
from iverson.stages.trading import Went, alarm, beating, noting, started
from iverson.stages.watched import SeeingHub, Watched

EARLY = timedelta(hours=2)  # before the open that a stream may be started
LATE_SECONDS = 45.0  # for the last bar to come, once it is the close
LOOPBACK_SECONDS = 2.0  # the same on loopback, where time may stand still by then


class SessionHub(SeeingHub):
    """A hub that ends the run when it is over."""

    over: Callable[[], bool] = staticmethod(lambda: False)
    end: Callable[[], None] = staticmethod(lambda: None)
    tick: Callable[[], None] = staticmethod(lambda: None)

    def wait(self, seconds: float) -> None:
        """Wait for a bar; after the close for none."""
        self.tick()
        if self.empty and self.over():
            self.end()
        else:
            super().wait(seconds)


def stream_session(desk: Admitted) -> Went:
    """Trade the session in progress, or the next one, until its close."""
    calendar, now = new_york(), desk.at
    session = calendar.coming_session(now)
    opening, close = calendar.open_at(session), calendar.close_at(session)
    if opening - now > EARLY:
        raise Refused(
            f"the market opens at {opening:%Y-%m-%d %H:%M} UTC; start the stream at most two hours "
            "before"
        )
    connection = desk.connection
    alarms: list[tuple[str, str]] = []
    hub = SessionHub(
        desk.bars,
        length=minutes(desk.system.interval) or 1,
        monotonic=time.monotonic,
        calendar=calendar,
    )
    watched = Watched(Seen(desk.journal, desk.run), desk.bars)
    wires = _Wires(desk, hub)
    stopping = Stopping()
    hub.see, hub.end = watched.note, stopping.end
    late = LOOPBACK_SECONDS if connection.on_loopback else LATE_SECONDS
    hub.over = After(lambda: connection.clock() >= close, late, time.monotonic).passed
    told = heralded(desk.journal, connection.clock, desk.settings, threaded=True)
    with (
        told,
        Journal(desk.journal) as book,
        stopping.listening(),
        beating(desk, book) as pulse,
    ):
        setup = started(desk, book)
        hub.tick = pulse.tick
        try:
            made = stream(
                setup,
                Prepared.of(desk.bars),
                line=MinuteLine(
                    hub,
                    missed=lambda symbol, after: _missed(desk, watched, symbol, after),
                    connections=wires.count,
                    started=wires.connect,
                ),
                store=connection.store(
                    alarm(alarms, book, desk.run, connection),
                    noting(book, desk.run, connection),
                    threaded=True,
                ),
                journal=book,
                run=desk.run,
                now=now,
                running=stopping.begin,
            )
        finally:
            wires.close()
        notify("STOPPING=1")
        if stopping.by:
            words = f"stopped by {stopping.by}; protective stops stay at the venue"
            book.append(desk.run, Note(connection.clock(), words))
            pulse.beat(f"stopped by {stopping.by}", None)
        else:
            pulse.beat("the session is over", next_stream(close))
    return Went(
        desk.run, connection.stage, desk.journal, session, True, made.record, made.problems,
        desk.notes, alarms, stopping.by,
    )  # fmt: skip


class After:
    """Whether so many seconds have passed since something came true."""

    def __init__(
        self, true: Callable[[], bool], seconds: float, monotonic: Callable[[], float]
    ) -> None:
        self._true, self._seconds, self._monotonic = true, seconds, monotonic
        self._since: float | None = None

    def passed(self) -> bool:
        """Look."""
        if self._since is None and self._true():
            self._since = self._monotonic()
        return self._since is not None and self._monotonic() - self._since >= self._seconds


class Stopping:
    """Ends a run at its close or by a signal; `by` names the signal."""

    def __init__(self) -> None:
        self.by = ""
        self._cerebro: Any = None

    def begin(self, cerebro: Any) -> None:
        """Take the run that is to be ended; one that was stopped before it began ends at once."""
        self._cerebro = cerebro
        if self.by:
            cerebro.runstop()

    def end(self) -> None:
        """End the run after the bar it is at."""
        if self._cerebro is not None:
            self._cerebro.runstop()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for Ctrl-C and SIGTERM; only the main thread of a process can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def heard(number: int, _: Any) -> None:
            self.by = signal.Signals(number).name
            self.end()

        before = {one: signal.signal(one, heard) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


class _Wires(sockets.Pair):
    """Both sockets of the account."""

    def __init__(self, desk: Admitted, hub: Hub) -> None:
        super().__init__()
        self._desk, self._hub = desk, hub

    def connect(self, store: Any) -> None:
        connection = self._desk.connection
        options: Any = dict(refused=store.refused)
        self.open(
            sockets.trades(
                connection.key, connection.secret, paper=connection.is_paper,
                url=connection.socket("/stream"), hear=store.hear, connected=store.connected,
                lost=store.lost, **options,
            ),
            sockets.minutes(
                connection.key, connection.secret, tuple(self._desk.bars),
                feed=connection.stream_feed, url=connection.socket(f"/v2/{connection.stream_feed}"),
                hear=self._hub.hear, connected=lambda: None, mute_seconds=MUTE_SECONDS, **options,
            ),
        )  # fmt: skip


def _missed(desk: Admitted, watched: Watched, symbol: str, after: datetime) -> Iterable[Candle]:
    """Return a symbol's bars after an instant, written down as what the run sees."""
    connection = desk.connection
    now = connection.clock()
    vendor = vendor_of(connection, feed=connection.stream_feed, now=now)
    found = candles_after(vendor, symbol, desk.system.interval, after, now)
    for bar in found:
        watched.note(bar)
    return found
