# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal of daily bars by a process that stays awake: one stream a session, in lock step.

Each begins half an hour before the open, listens to the orders all day, leaves before the close
what has to be left, decides on the session's bar a minute after it, and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iverson.errors import BrokerUnavailable
from iverson.execution.alpaca.store import AlpacaStore
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.history import DailyHistory
from iverson.research.backtest import Prepared, Setup
from iverson.stages.day_line import DayLine
from iverson.stages.herald import HeraldMaker
from iverson.stages.lock_step import PATIENCE, LockStep
from iverson.stages.rehearse import sessions_of
from iverson.stages.rehearsed import Rehearsal
from iverson.stages.scene import Scene, scene_of
from iverson.stages.seen import Seen
from iverson.stages.stream import stream

if TYPE_CHECKING:
    from iverson.simulator.settings import Switches

BEFORE_OPEN = timedelta(minutes=30)
AFTER_CLOSE = timedelta(minutes=1)
BEFORE_CLOSE = timedelta(minutes=5)  # from when what has to be left is left
SECOND, MINUTE, LONG = timedelta(seconds=1), timedelta(minutes=1), timedelta(minutes=15)
AGAIN = timedelta(hours=1)  # until a process that found no venue is started again
LIVELY = timedelta(seconds=25)  # after a word of the venue


def rehearse_days(
    setup: Setup,
    bars: Mapping[str, Bars],
    *,
    system: str,
    first: date,
    last: date,
    journal: Path,
    scenario: Any = None,
    switches: Switches | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    herald: HeraldMaker | None = None,
) -> Rehearsal:
    """Trade daily bars from before the open of `first` to after the close of `last`.

    `scenario` and `switches` say how the exchange behaves; `switches` None is paper with `seed`.
    `herald` makes what tells people; None: nobody is told.
    """
    from iverson.simulator.settings import Switches

    calendar, sessions = new_york(), sessions_of(bars, first, last)
    opened = scene_of(
        setup, bars, system=system, start=calendar.open_at(sessions[0]) - BEFORE_OPEN,
        journal=journal, switches=switches or Switches(seed=seed, close_early_seconds=600.0),
        scenario=scenario, herald=herald, threaded=True,
    )  # fmt: skip
    with opened as scene:
        seen = Seen(journal, scene.run)
        for number, session in enumerate(sessions):
            scene.venue.advance_to(calendar.open_at(session) - BEFORE_OPEN)
            while not _traded(scene, setup, seen, bars, session):
                scene.venue.advance_to(scene.venue.now + AGAIN)
            if progress is not None:
                progress(number + 1, len(sessions))
        return scene.result(len(sessions))


def _traded(
    scene: Scene, setup: Setup, seen: Seen, bars: Mapping[str, Bars], session: date
) -> bool:
    """Stream a session; whether it came to its end, or there is no time left to try again."""
    calendar = new_york()
    known = _through(bars, calendar.offset(session, -1))
    history = DailyHistory(known)
    day = _Day(scene, seen, bars, session)
    day.line = DayLine(history, wait=day.wait, started=day.connect)
    try:
        stream(
            setup, replace(Prepared.of(known), history=history), line=day.line, store=day.store,
            journal=scene.book, run=scene.run, session=session, running=day.running,
        )  # fmt: skip
    except BrokerUnavailable as error:
        scene.away(error)
        return scene.venue.now >= calendar.close_at(session)
    finally:
        day.stop()
    return True


class _Day(LockStep):
    """One session: time passes until something happens, then by seconds for a while."""

    line: DayLine

    def __init__(self, scene: Scene, seen: Seen, bars: Mapping[str, Bars], session: date) -> None:
        super().__init__(scene)
        self._seen, self._bars, self._session = seen, bars, session
        self._close = new_york().close_at(session)
        self._lively = scene.venue.now
        self._given = False

    def connect(self, store: AlpacaStore) -> None:
        """Listen to orders; an account that does not answer says so here."""
        store.venue.account()
        self.listen(self.orders(store))

    def heard(self, what: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a handler that also notes that something happens."""

        def hear(message: Any) -> None:
            self._lively = self.venue.now + LIVELY
            what(message)

        return super().heard(hear)

    def wait(self, _: float) -> None:
        """Go on by a step: there is no clock to wait for."""
        self.step()

    def move(self) -> None:
        """Let time pass up to a minute after the close, then hand out the bar, then end."""
        now, leaves, due = self.venue.now, self._close - BEFORE_CLOSE, self._close + AFTER_CLOSE
        if now < due:
            if now < self._lively:
                self.venue.advance_to(min(now + SECOND, due))
            elif now < leaves:
                self.venue.advance_until_word(min(now + LONG, leaves), step=MINUTE)
            else:
                self.venue.advance_to(min(now + MINUTE, due))
            self.venue.wait_until_consumed(seconds=PATIENCE)
        elif not self._given:
            self._given = True
            known = _through(self._bars, self._session)
            self._seen.note(known)
            self.line.give(known)
        elif self.line.decided(self.cerebro):
            self.end_run()


def _through(bars: Mapping[str, Bars], session: date) -> dict[str, Bars]:
    return {symbol: one.between(date.min, session) for symbol, one in bars.items()}
