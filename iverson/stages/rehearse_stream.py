# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal of minute bars: the stream as it would run, in lock step with the exchange.

The exchange moves on by one bar only when everything it has sent is consumed and everything that
was asked of it is answered. So two weeks pass in minutes, and the same twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iverson.execution.alpaca import stream as sockets
from iverson.execution.alpaca.store import AlpacaStore
from iverson.execution.reconcile import Written
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.history import DailyHistory
from iverson.market.intervals import minutes
from iverson.research.backtest import Prepared, Setup
from iverson.stages.herald import HeraldMaker
from iverson.stages.rehearsed import Rehearsal
from iverson.stages.scene import Scene, scene_of
from iverson.stages.seen import Seen
from iverson.stages.stream import Line, stream
from iverson.stages.watched import SeeingHub, Watched

if TYPE_CHECKING:
    from iverson.simulator.data_settings import DataSwitches
    from iverson.simulator.settings import Switches

IDLE_SECONDS = 0.002
MOMENT = 0.05  # seconds that what was asked for is waited for before looking again
PATIENCE = 120.0  # seconds; on a busy machine a step may take long, and nothing is lost by waiting


class SteppedHub(SeeingHub):
    """A hub that moves the exchange on when it has nothing left to hand out."""

    step: Callable[[], None] = staticmethod(lambda: None)

    def wait(self, seconds: float) -> None:  # noqa: ARG002 (it never waits for the clock)
        """Move on by one bar, or wait a moment for what is still on its way."""
        if self.empty:
            self.step()


def rehearse_minutes(
    setup: Setup,
    bars: Mapping[str, Bars],
    *,
    system: str,
    first: date,
    last: date,
    journal: Path,
    scenario: Any = None,
    switches: Switches | None = None,
    data: DataSwitches | None = None,
    seed: int = 0,
    herald: HeraldMaker | None = None,
) -> Rehearsal:
    """Trade minute bars from the open of `first` to the close of `last`.

    `herald` makes what tells people meanwhile; None: nobody is told.
    """
    from iverson.simulator.settings import Switches

    calendar = new_york()
    sessions = calendar.between(first, last)
    start = calendar.open_at(sessions[0].item()) - timedelta(minutes=30)
    end = calendar.close_at(sessions[-1].item())
    past = {symbol: _until(one, start) for symbol, one in bars.items()}
    length = minutes(next(iter(bars.values())).interval) or 1
    hub = SteppedHub(
        bars, length=length, grace_seconds=0.0, monotonic=time.monotonic, calendar=calendar
    )
    opened = scene_of(
        setup, bars, system=system, start=start, journal=journal,
        switches=switches or Switches(seed=seed), scenario=scenario, data=data, herald=herald,
        threaded=True,
    )  # fmt: skip
    with opened as scene:
        hub.see = Watched(Seen(journal, scene.run), bars).note
        market = _Market(scene, hub, tuple(bars), end)
        try:
            stream(
                setup,
                # Its questions are of days gone by: as if it had started anew each day.
                replace(Prepared.of(past), history=DailyHistory(bars)),
                line=Line(hub, started=market.connect),
                store=market.store,
                journal=scene.book,
                run=scene.run,
                now=start,
                last=sessions[-1].item(),
                running=market.running,
            )
        finally:
            market.stop()
        return scene.result(len(sessions))


class _Market:
    """Both sockets of one exchange on loopback, and the step that moves it."""

    def __init__(
        self, scene: Scene, hub: SteppedHub, symbols: tuple[str, ...], end: datetime
    ) -> None:
        self.scene, self.venue, self.hub, self.end = scene, scene.venue, hub, end
        self.symbols = symbols
        self._sockets: list[sockets.Thread] = []
        self._store: AlpacaStore | None = None
        self._cerebro: Any = None
        hub.step = self.step

    def store(self, written: Written, note: Callable[[Any], None]) -> AlpacaStore:
        self._store = self.scene.store(
            written, note, threaded=True, pause=lambda _: time.sleep(IDLE_SECONDS)
        )
        return self._store

    def running(self, cerebro: Any) -> None:
        self._cerebro = cerebro

    def connect(self, store: AlpacaStore) -> None:
        venue = self.venue

        def heard(what: Callable[[Any], None]) -> Callable[[Any], None]:
            def hear(message: Any) -> None:
                what(message)
                venue.processed()

            return hear

        def connected() -> None:
            pass

        self._sockets = [
            sockets.trades(
                venue.key, venue.secret, paper=True, url=venue.urls.trading_stream,
                hear=heard(store.hear), connected=store.connected,
                lost=store.lost,
            ),
            sockets.minutes(
                venue.key, venue.secret, self.symbols, feed="iex",
                url=venue.urls.data_stream, hear=heard(self.hub.hear), connected=connected,
                mute_seconds=None,
            ),
        ]  # fmt: skip
        for socket in self._sockets:
            socket.start()
        venue.wait_for_subscriptions(2, seconds=PATIENCE)

    def step(self) -> None:
        """Move on by a bar when nothing is under way, else wait a moment for what is."""
        store = self._store
        assert store is not None
        if not store.worker.idle:
            store.worker.wait(MOMENT)
        elif self.venue.now >= self.end or self.venue.step() == 0:
            self._cerebro.runstop()
        else:
            self.venue.wait_until_consumed(seconds=PATIENCE)

    def stop(self) -> None:
        for socket in self._sockets:
            socket.stop()


def _until(bars: Bars, at: datetime) -> Bars:
    stamp = at.replace(tzinfo=None)
    return bars[: int((bars.at.astype("datetime64[us]").astype(object) <= stamp).sum())]
