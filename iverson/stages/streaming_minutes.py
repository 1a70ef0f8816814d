# SPDX-License-Identifier: GPL-3.0-or-later
"""The market of a stream of minutes: both of Alpaca's sockets, and the close that ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from iverson.execution.alpaca import stream as sockets
from iverson.execution.alpaca.hub import Candle
from iverson.execution.alpaca.live import MUTE_SECONDS, candles_after
from iverson.market.calendar import new_york
from iverson.market.intervals import minutes
from iverson.research.backtest import Prepared
from iverson.stages.connection import Connection
from iverson.stages.opened import Admitted
from iverson.stages.refreshed import vendor_of
from iverson.stages.seen import Seen
from iverson.stages.stopping import Stopping
from iverson.stages.stream import MinuteLine
from iverson.stages.watched import SeeingHub, Watched

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


class MinuteMarket:
    """Hears bars and orders of one session; `tick` is called meanwhile, again and again."""

    notes: tuple[str, ...] = ()

    def __init__(
        self, desk: Admitted, close: datetime, stopping: Stopping, tick: Callable[[], None]
    ) -> None:
        connection = desk.connection
        self._desk = desk
        self._watched = Watched(Seen(desk.journal, desk.run), desk.bars)
        self._wires = sockets.Pair()
        self._hub = SessionHub(
            desk.bars,
            length=minutes(desk.system.interval) or 1,
            monotonic=time.monotonic,
            calendar=new_york(),
        )
        late = LOOPBACK_SECONDS if connection.on_loopback else LATE_SECONDS
        over = After(lambda: connection.clock() >= close, late, time.monotonic)
        self._hub.see, self._hub.over = self._watched.note, over.passed
        self._hub.end, self._hub.tick = stopping.end, tick
        self.prepared = Prepared.of(desk.bars)
        self.line = MinuteLine(
            self._hub, missed=self._missed, connections=self._wires.count, started=self._connect
        )

    def close(self) -> None:
        """Stop listening."""
        self._wires.close()

    def _connect(self, store: Any) -> None:
        connection = self._desk.connection
        self._wires.open(
            orders_of(connection, store),
            sockets.minutes(
                connection.key, connection.secret, tuple(self._desk.bars),
                feed=connection.stream_feed, url=connection.socket(f"/v2/{connection.stream_feed}"),
                hear=self._hub.hear, connected=lambda: None, mute_seconds=MUTE_SECONDS,
                refused=store.refused,
            ),
        )  # fmt: skip

    def _missed(self, symbol: str, after: datetime) -> Iterable[Candle]:
        """Return a symbol's bars after an instant, written down as what the run sees."""
        connection = self._desk.connection
        now = connection.clock()
        vendor = vendor_of(connection, feed=connection.stream_feed, now=now)
        found = candles_after(vendor, symbol, self._desk.system.interval, after, now)
        for bar in found:
            self._watched.note(bar)
        return found


def orders_of(connection: Connection, store: Any) -> sockets.Thread:
    """Return the stream of an account's orders."""
    return sockets.trades(
        connection.key, connection.secret, paper=connection.is_paper,
        url=connection.socket("/stream"), hear=store.hear, connected=store.connected,
        lost=store.lost, refused=store.refused,
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
