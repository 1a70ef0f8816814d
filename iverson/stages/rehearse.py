# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal: the system as it would trade, on the exchange on loopback, over history.

Everything but the venue is what paper and live use: broker, protocol, reconciliation, journal.
Daily bars are traded by wakes, two a session: shortly before the close for what has to be left,
after it for the new bar. Before the open of a session with a split there is one more: the stops at
the venue are made for other shares, and the open would meet them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iverson.errors import ConfigError
from iverson.execution.alpaca.store import AlpacaStore
from iverson.execution.reconcile import Written
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.model import Stage
from iverson.monitoring.events import Alarm
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Note
from iverson.research.backtest import Prepared, Setup
from iverson.stages.herald import HeraldMaker, telling
from iverson.stages.rehearsed import Rehearsal, share_seconds
from iverson.stages.runs import begin, run_name
from iverson.stages.seen import Seen
from iverson.stages.wake import wake

if TYPE_CHECKING:
    from iverson.simulator.server import Simulator
    from iverson.simulator.settings import Switches

AFTER_CLOSE = timedelta(minutes=1)
BEFORE_CLOSE = timedelta(minutes=5)
BEFORE_OPEN = timedelta(minutes=30)


def rehearse_daily(
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
    """Trade daily bars from the close before `first` to the close of `last`.

    `scenario` and `switches` say how the exchange behaves; `switches` None is paper with `seed`.
    `herald` makes what tells people after each wake; None: nobody is told.
    """
    from iverson.simulator.ledger import Ledger
    from iverson.simulator.server import Simulator
    from iverson.simulator.settings import Switches
    from iverson.simulator.venue import ServerSwitches

    if any(one.interval != DAILY for one in bars.values()):
        raise ConfigError("rehearse_daily takes daily bars; minute bars are rehearsed as a stream")
    calendar = new_york()
    sessions = [one.item() for one in calendar.between(first, last)]
    if not sessions:
        raise ConfigError(f"there is no session from {first} to {last}; ask for a longer range")
    prepared = Prepared.of(bars)
    run = run_name(Stage.REHEARSE, system)
    alarms: list[tuple[datetime, str, str]] = []
    start = calendar.close_at(calendar.offset(sessions[0], -1)) + AFTER_CLOSE
    behaves = switches or Switches(seed=seed, close_early_seconds=600.0)
    with (
        Simulator(
            bars, at=start, cash=setup.cash, switches=behaves, scenario=scenario,
            server=ServerSwitches(trading_limit=None, data_limit=None),
        ) as venue,
        Journal(journal) as book,
        telling(herald, journal, lambda: venue.now) as tell,
    ):  # fmt: skip
        watch = venue.call(lambda inside: Ledger(inside.exchange))
        begin(book, run, setup, bars, stage=Stage.REHEARSE, system=system, at=start)
        seen = Seen(journal, run)

        def wakes(session: date) -> None:
            wake(setup, prepared, session=session, store=store, journal=book, run=run)
            tell()

        store = _store_of(venue, alarms, book, run)
        before = calendar.offset(sessions[0], -1)
        splits = _splits(bars)
        for number, session in enumerate(sessions):
            if session in splits and number:
                venue.advance_to(calendar.open_at(session) - BEFORE_OPEN)
                wakes(before)
            if number:
                venue.advance_to(calendar.close_at(session) - BEFORE_CLOSE)
                wakes(before)
            venue.advance_to(calendar.close_at(session) + AFTER_CLOSE)
            seen.note({symbol: one.between(date.min, session) for symbol, one in bars.items()})
            wakes(session)
            before = session
            if progress is not None:
                progress(number + 1, len(sessions))
        bare = share_seconds(watch.covers, venue.now)
        return Rehearsal(run, journal, len(sessions), venue.ledger, venue.log, alarms, bare)


def _splits(bars: Mapping[str, Bars]) -> set[date]:
    """Return the sessions on which any symbol is split."""
    return {
        one.session[number].item()
        for one in bars.values()
        for number in range(1, len(one))
        if one.factor[number] != one.factor[number - 1]
    }


def _note(book: Journal, run: str, at: datetime, words: str) -> None:
    book.append(run, Note(at, words))


def _store_of(
    venue: Simulator, alarms: list[tuple[datetime, str, str]], book: Journal, run: str
) -> Callable[[Written, Callable[[Any], None]], AlpacaStore]:
    def alarm(rule: str, reason: str) -> None:
        alarms.append((venue.now, rule, reason))
        book.append(run, Alarm(venue.now, rule, reason))

    def store(written: Written, note: Callable[[Any], None]) -> AlpacaStore:
        return AlpacaStore(
            venue.key,
            venue.secret,
            url=venue.urls.trading,
            threaded=False,
            limited=False,
            written=written,
            note=note,
            alarm=alarm,
            told=lambda words: _note(book, run, venue.now, words),
            clock=lambda: venue.now,
            pause=lambda seconds: venue.advance_to(venue.now + timedelta(seconds=seconds)),
        )

    return store
