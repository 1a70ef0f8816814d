# SPDX-License-Identifier: GPL-3.0-or-later
"""`System.wake`, `paper` and `live`: everything is admitted first, then one wake or one stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from iverson.errors import ConfigError, StaleBars
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york, utc_now
from iverson.model import Stage
from iverson.monitoring.events import Alarm
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Note, Record, RunRow
from iverson.redaction import redacted
from iverson.research.backtest import Prepared, Setup
from iverson.stages.connection import Connection
from iverson.stages.evening import evening_text
from iverson.stages.heartbeat import Pulse, next_wake
from iverson.stages.heralded import heralded
from iverson.stages.opened import Admitted, Asked, Opened
from iverson.stages.ping import Ping
from iverson.stages.runs import begin, note_identity
from iverson.stages.seen import Seen
from iverson.stages.token import binding
from iverson.stages.traded import Traded
from iverson.stages.wake import wake


@dataclass
class Went:
    """What a wake or a stream did, and what a person has to see."""

    run: str
    stage: Stage
    journal: Path
    session: date
    acted: bool
    record: Record
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    alarms: list[tuple[str, str]] = field(default_factory=list)
    stopped_by: str = ""

    def __str__(self) -> str:
        """Say it in a few lines."""
        verdicts = self.record.verdicts
        approved = sum(one.approved for one in verdicts)
        did = "acted on its newest bar" if self.acted else "its newest bar was acted on before"
        signals = f"{len(verdicts)} signals, {approved} approved"
        closed = f"{len(self.record.fills)} fills, {len(self.record.trades)} trades closed"
        lines = [
            f"{self.run}: session {self.session}, {did}",
            f"{signals}; {closed}; written to {self.journal}",
        ]
        lines += [f"stopped by {self.stopped_by}"] if self.stopped_by else []
        lines += [f"alarm: {rule}: {reason}" for rule, reason in self.alarms]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__


def trade(system: Traded, asked: Asked) -> Went:
    """Wake once for daily bars, or stream; see `System.paper` and `System.live`."""
    if system.interval == DAILY and not asked.stream:
        return wake_once(system, asked)
    from iverson.stages.streaming import stream_session

    with Opened(system, asked) as desk:
        return stream_session(desk)


def wake_once(system: Traded, asked: Asked, *, at: datetime | None = None) -> Went:
    """Act on the newest complete bar once; see `System.wake`."""
    with Opened(system, asked, at=at) as desk:
        calendar = new_york()
        session = calendar.session_of(desk.at)
        if system.interval == DAILY and calendar.close_at(session) > desk.at:
            session = calendar.offset(session, -1)
        alarms: list[tuple[str, str]] = []
        notes = [*desk.notes, *_stale(desk.bars, session)]
        told = heralded(desk.journal, desk.connection.clock, desk.settings, threaded=False)
        with told, Journal(desk.journal) as book:
            _refuse_stale(desk, book, session)
            setup = started(desk, book)
            notes += hear_commands(desk)
            Seen(desk.journal, desk.run).note(desk.bars)
            woke = wake(
                setup,
                Prepared.of(desk.bars),
                session=session,
                store=desk.connection.store(
                    alarm(alarms, book, desk.run, desk.connection),
                    noting(book, desk.run, desk.connection),
                    threaded=False,
                ),
                journal=book,
                run=desk.run,
            )
            with beating(desk, book) as pulse:
                pulse.beat("woke", next_wake(desk.connection.clock()))
        return Went(
            desk.run, desk.connection.stage, desk.journal, session, woke.acted, woke.record,
            woke.problems, tuple(notes), alarms,
        )  # fmt: skip


def started(desk: Admitted, book: Journal) -> Setup:
    """Begin the run, or go on with it; its cash is what the account held when it began."""
    begin(
        book, desk.run, desk.setup, desk.bars, stage=desk.connection.stage,
        system=desk.system.name, at=desk.at,
    )  # fmt: skip
    system = desk.system
    with suppress(ConfigError):  # a rule typed into a notebook trades, and no checklist counts it
        bound = binding(system.setup, system.symbols, system.interval, account=desk.account)
        note_identity(book, desk.run, bound, at=desk.at)
    row = book.values("run", run=desk.run)[0]
    assert isinstance(row, RunRow)
    return replace(desk.setup, cash=row.cash)


@contextmanager
def beating(desk: Admitted, book: Journal) -> Iterator[Pulse]:
    """Give what gives the run's signs of life; a ping that waits goes out at the end."""
    address = desk.settings.ping_url
    ping = None if address is None else Ping(address.get_secret_value())
    connection = desk.connection
    try:
        yield Pulse(
            book, desk.run, connection.stage, clock=connection.clock, monotonic=time.monotonic,
            ping=ping,
        )  # fmt: skip
    finally:
        if ping is not None:
            ping.close()


def hear_commands(desk: Admitted) -> list[str]:
    """Carry out the commands that wait at the bot, if there is one; what went wrong, in words."""
    chosen = desk.settings
    if chosen.telegram_token is None:
        return []
    from iverson.stages.listening import poll_waiting

    fault = poll_waiting(
        chosen, journal=desk.journal, run=desk.run, venue=desk.connection.venue, clock=utc_now,
        pause=time.sleep, report=evening_text(desk.journal),
    )  # fmt: skip
    return [fault] if fault else []


def alarm(kept: list[tuple[str, str]], book: Journal, run: str, connection: Connection) -> Any:
    """Return what takes an alarm: kept for who started the run, and written down."""

    def told(rule: str, reason: str) -> None:
        words = redacted(reason)  # it may quote what a library said
        kept.append((rule, words))
        book.append(run, Alarm(connection.clock(), rule, words))

    return told


def noting(book: Journal, run: str, connection: Connection) -> Callable[[str], None]:
    """Return what takes words that are worth keeping: a stop that is there again, and the like."""
    return lambda words: note(book, run, connection.clock(), words)


def note(book: Journal, run: str, at: datetime, words: str) -> None:
    """Write words down."""
    book.append(run, Note(at, words))


def _refuse_stale(desk: Admitted, book: Journal, session: date) -> None:
    """Raise `StaleBars` for a first wake without a new bar; later ones have exits to see to."""
    newest = max((one.session[-1].item() for one in desk.bars.values() if len(one)), default=None)
    if newest == session or book.values("equity", run=desk.run):
        return
    had = f"the newest is of {newest}" if newest else "there is none"
    why = f" ({'; '.join(desk.notes)})" if desk.notes else ""
    raise StaleBars(f"no bar of {session} yet, {had}{why}; wait, or look at `iverson bars fetch`")


def _stale(bars: Mapping[str, Bars], session: date) -> list[str]:
    behind = [name for name, one in bars.items() if len(one) and one.session[-1].item() < session]
    if not behind:
        return []
    return [f"no bar of {session} yet for {', '.join(behind)}; nothing is decided on older ones"]
