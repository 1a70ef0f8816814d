# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene of a rehearsal: the exchange, the journal and whoever is told, opened together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iverson.errors import BrokerUnavailable
from iverson.execution.alpaca.store import AlpacaStore
from iverson.execution.reconcile import Written
from iverson.market.bars import Bars
from iverson.model import Stage
from iverson.monitoring.events import Alarm
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Note
from iverson.research.backtest import Setup
from iverson.stages.herald import HeraldMaker
from iverson.stages.heralded import telling
from iverson.stages.rehearsed import Rehearsal, share_seconds
from iverson.stages.runs import begin, run_name

if TYPE_CHECKING:
    from iverson.simulator.data_settings import DataSwitches
    from iverson.simulator.ledger import Ledger
    from iverson.simulator.server import Simulator
    from iverson.simulator.settings import Switches


@dataclass
class Scene:
    """One rehearsal's exchange and journal; `tell` tells people what is new up to now."""

    venue: Simulator
    book: Journal
    path: Path
    run: str
    tell: Callable[[], None]
    watch: Ledger
    alarms: list[tuple[datetime, str, str]] = field(default_factory=list)

    def store(
        self,
        written: Written,
        note: Callable[[Any], None],
        *,
        threaded: bool,
        pause: Callable[[float], None],
    ) -> AlpacaStore:
        """Return the store of a run on this exchange."""
        venue = self.venue
        return AlpacaStore(
            venue.key,
            venue.secret,
            url=venue.urls.trading,
            threaded=threaded,
            limited=False,
            written=written,
            note=note,
            alarm=self.alarm,
            told=lambda words: self._note(Note(venue.now, words)),
            clock=lambda: venue.now,
            pause=pause,
        )

    def result(self, sessions: int) -> Rehearsal:
        """Return what the rehearsal left behind, while the exchange is still there."""
        venue = self.venue
        bare = share_seconds(self.watch.covers, venue.now)
        return Rehearsal(self.run, self.path, sessions, venue.ledger, venue.log, self.alarms, bare)

    def away(self, error: BrokerUnavailable) -> None:
        """Note that a process ended because the venue did not answer; another comes later."""
        self.alarm("run", f"it does not trade now: {error}")

    def alarm(self, rule: str, reason: str) -> None:
        """Keep an alarm, and write it down."""
        self.alarms.append((self.venue.now, rule, reason))
        self._note(Alarm(self.venue.now, rule, reason))

    def _note(self, row: Alarm | Note) -> None:
        self.book.append(self.run, row)


@contextmanager
def scene_of(
    setup: Setup,
    bars: Mapping[str, Bars],
    *,
    system: str,
    start: datetime,
    journal: Path,
    switches: Switches,
    scenario: Any = None,
    data: DataSwitches | None = None,
    herald: HeraldMaker | None = None,
    threaded: bool = False,
) -> Iterator[Scene]:
    """Open the scene and begin the run; `threaded`: people are told while it goes on."""
    from iverson.simulator.ledger import Ledger
    from iverson.simulator.server import Simulator
    from iverson.simulator.venue import ServerSwitches

    run = run_name(Stage.REHEARSE, system)
    with (
        Simulator(
            bars, at=start, cash=setup.cash, switches=switches, scenario=scenario, data=data,
            server=ServerSwitches(trading_limit=None, data_limit=None),
        ) as venue,
        Journal(journal) as book,
        telling(herald, journal, lambda: venue.now, threaded=threaded) as tell,
    ):  # fmt: skip
        watch = venue.call(lambda inside: Ledger(inside.exchange))
        begin(book, run, setup, bars, stage=Stage.REHEARSE, system=system, at=start)
        yield Scene(venue, book, journal, run, tell, watch)
