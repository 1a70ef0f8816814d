# SPDX-License-Identifier: GPL-3.0-or-later
"""Play a scene with a process that stays awake for each session, ended anywhere and started again.

Between two looks half an hour passes, and seconds before the close. What is asked of the venue is
answered at once, and every look compares everything: no word of a stream is needed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from iverson.market.calendar import new_york
from iverson.market.history import DailyHistory
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.research.backtest import Prepared
from iverson.stages.day_line import DayLine
from iverson.stages.runs import begin
from iverson.stages.stream import stream
from tests.stages.play import RUN, Played, Watching, covers, told
from tests.stages.rig import Breaking, SimulatedCrash, Street, journal_at, store_of
from tests.stages.scenes import Scene
from tests.stages.streaming import often

LOOKS = [timedelta(minutes=30 * n) for n in range(13)]  # after the open
LAST = [timedelta(seconds=30 * n) for n in range(10, 0, -1)]  # before the close
PATIENCE = (
    3  # looks that shares may be bare: one that shows the fill, one to cancel, one to protect
)


class Passing:
    """One session's time: it passes from look to look, then the bar is there, then the end."""

    def __init__(self, scene: Scene, street: Street, number: int, look: Callable[[], None]) -> None:
        calendar, session = new_york(), scene.sessions[number]
        opening, close = calendar.open_at(session), calendar.close_at(session)
        acts = {at: what for at, what in scene.timeline() if not isinstance(what, int)}
        marks = {*(opening + one for one in LOOKS), *(close - one for one in LAST)}
        marks |= {at for at in acts if opening < at < close}
        self._left = sorted(one for one in marks if street.now < one < close)
        self._left += [close + timedelta(minutes=1)] if street.now <= close else []
        self._acts, self._street, self._look = acts, street, look
        self._bars = {name: feed.bars for name, feed in scene.prepared(number).feeds.items()}
        known = scene.prepared(number - 1)
        history = DailyHistory({name: feed.bars for name, feed in known.feeds.items()})
        self.prepared: Prepared = replace(known, history=history)
        self.line = DayLine(history, wait=self._wait, started=lambda _: None)
        self._given = False
        self.cerebro: Any = None

    def running(self, cerebro: Any) -> None:
        """Take what runs."""
        self.cerebro = cerebro

    def _wait(self, _: float) -> None:
        self._look()
        if self._left:
            at = self._left.pop(0)
            self._street.advance_to(at)
            if at in self._acts:
                self._acts[at](self._street)
        elif not self._given:
            self._given = True
            self.line.give(self._bars)
        elif self.line.decided(self.cerebro):
            self.cerebro.runstop()


def play_days(scene: Scene, breaking: Breaking | None = None, *, again: bool = True) -> Played:
    """Play a scene to its end.

    `again`: an ended process is started again at once; else for the next session, and in the last
    one all the same, or nobody would know how it ended.
    """
    breaking = breaking or Breaking()
    setup = scene.setup()
    alarms: list[tuple[str, str]] = []
    start = new_york().open_at(scene.sessions[1]) - timedelta(minutes=30)
    street = Street(scene.series, at=start, faults=scene.faults, switches=scene.switches)
    if scene.race is not None:
        street.on_call = scene.race(street)
    watching = Watching(street)
    woken = watching.bare
    with tempfile.TemporaryDirectory(prefix="iverson-days-") as folder:
        path = Path(folder) / "iverson.db"
        with Journal(path, durable=False) as first:
            begin(
                first, RUN, setup, scene.series, stage=Stage.REHEARSE, system="scene",
                at=street.now,
            )  # fmt: skip
        for number, session in enumerate(scene.sessions[1:], 1):
            street.advance_to(new_york().open_at(session) - timedelta(minutes=30))
            while True:
                day = Passing(scene, street, number, watching.look)
                journal = journal_at(path, breaking)
                try:
                    stream(
                        setup, day.prepared, line=day.line, journal=journal, run=RUN,
                        store=often(store_of(street, breaking, alarms)), session=session,
                        running=day.running,
                    )  # fmt: skip
                except SimulatedCrash:
                    watching.begin()
                    if again or session == scene.sessions[-1]:
                        continue
                    break
                finally:
                    journal.close()
                woken.append((street.now, covers(street.witness)))
                break
        with Journal(path, read_only=True) as last:
            noted = last.values(run=RUN)
    street.close()
    seen = told(street.exchange, street.account, street.witness)
    return Played(scene, breaking, *seen, journal=noted, alarms=alarms, woken=woken)
