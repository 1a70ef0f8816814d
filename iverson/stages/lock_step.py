# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream on the exchange on loopback, in lock step: time moves only when nothing is under way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from iverson.execution.alpaca import stream as sockets
from iverson.execution.alpaca.store import AlpacaStore
from iverson.execution.reconcile import Written
from iverson.stages.scene import Scene

IDLE_SECONDS = 0.002
MOMENT = 0.05  # seconds that what was asked for is waited for before looking again
PATIENCE = 120.0  # seconds; on a busy machine a step may take long, and nothing is lost by waiting


class LockStep:
    """One run's store, sockets and Cerebro; a heir says how time moves."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.venue = scene, scene.venue
        self._sockets: tuple[sockets.Thread, ...] = ()
        self._store: AlpacaStore | None = None
        self.cerebro: Any = None

    def store(self, written: Written, note: Callable[[Any], None]) -> AlpacaStore:
        """Make the run's store."""
        self._store = self.scene.store(
            written, note, threaded=True, pause=lambda _: time.sleep(IDLE_SECONDS)
        )
        return self._store

    def running(self, cerebro: Any) -> None:
        """Take what runs."""
        self.cerebro = cerebro

    def end_run(self) -> None:
        """End the run after the bar it is at."""
        self.cerebro.runstop()

    def heard(self, what: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a handler after which the exchange knows that a message is consumed."""

        def hear(message: Any) -> None:
            what(message)
            self.venue.processed()

        return hear

    def orders(self, store: AlpacaStore) -> sockets.Thread:
        """Return the stream of orders."""
        venue = self.venue
        return sockets.trades(
            venue.key, venue.secret, paper=True, url=venue.urls.trading_stream,
            hear=self.heard(store.hear), connected=store.connected, lost=store.lost,
        )  # fmt: skip

    def listen(self, *found: sockets.Thread) -> None:
        """Open sockets and wait until they are heard by."""
        before = self.venue.subscriptions
        self._sockets = found
        for socket in found:
            socket.start()
        self.venue.wait_for_subscriptions(before + len(found), seconds=PATIENCE)

    def step(self) -> None:
        """Move on when nothing is under way, else wait a moment for what is."""
        assert self._store is not None
        if self._store.worker.idle:
            self.move()
        else:
            self._store.worker.wait(MOMENT)

    def move(self) -> None:
        """Let time pass, or end the run."""
        raise NotImplementedError  # a heir says how

    def stop(self) -> None:
        """Stop listening."""
        for socket in self._sockets:
            socket.stop()
