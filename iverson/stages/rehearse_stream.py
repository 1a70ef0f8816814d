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
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.history import DailyHistory
from iverson.market.intervals import minutes
from iverson.research.backtest import Prepared, Setup
from iverson.stages.herald import HeraldMaker
from iverson.stages.lock_step import PATIENCE, LockStep
from iverson.stages.rehearsed import Rehearsal
from iverson.stages.scene import Scene, scene_of
from iverson.stages.seen import Seen
from iverson.stages.stream import MinuteLine, stream
from iverson.stages.watched import SeeingHub, Watched

if TYPE_CHECKING:
    from iverson.simulator.data_settings import DataSwitches
    from iverson.simulator.settings import Switches


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
                line=MinuteLine(hub, started=market.connect),
                store=market.store,
                journal=scene.book,
                run=scene.run,
                session=sessions[0].item(),
                last=sessions[-1].item(),
                running=market.running,
            )
        finally:
            market.stop()
        return scene.result(len(sessions))


class _Market(LockStep):
    """The exchange, moved on by a bar when nothing is under way."""

    def __init__(
        self, scene: Scene, hub: SteppedHub, symbols: tuple[str, ...], end: datetime
    ) -> None:
        super().__init__(scene)
        self.hub, self.end, self.symbols = hub, end, symbols
        hub.step = self.step

    def connect(self, store: AlpacaStore) -> None:
        """Listen to orders and to bars."""
        venue = self.venue
        bars = sockets.minutes(
            venue.key, venue.secret, self.symbols, feed="iex", url=venue.urls.data_stream,
            hear=self.heard(self.hub.hear), connected=lambda: None, mute_seconds=None,
        )  # fmt: skip
        self.listen(self.orders(store), bars)

    def move(self) -> None:
        """Move on by a bar."""
        if self.venue.now >= self.end or self.venue.step() == 0:
            self.end_run()
        else:
            self.venue.wait_until_consumed(seconds=PATIENCE)


def _until(bars: Bars, at: datetime) -> Bars:
    stamp = at.replace(tzinfo=None)
    return bars[: int((bars.at.astype("datetime64[us]").astype(object) <= stamp).sum())]
