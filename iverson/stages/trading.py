# SPDX-License-Identifier: GPL-3.0-or-later
"""`System.wake`, `paper` and `live`: everything is admitted first, then one wake or one stream.

The same for all three but for what is plugged in: the account, and for live the maximum loss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from iverson.config import Settings, settings
from iverson.errors import ConfigError, IversonError, StaleBars
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york, utc_now
from iverson.market.source import feed_words
from iverson.model import Stage
from iverson.monitoring.events import Alarm
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Note, Record, RunRow
from iverson.redaction import redacted
from iverson.research.backtest import Prepared, Setup
from iverson.risk.max_loss import MaxLoss
from iverson.stages import admission
from iverson.stages.connection import Connection, connect
from iverson.stages.heartbeat import Pulse, next_wake
from iverson.stages.heralded import check, heralded
from iverson.stages.lock import InUse
from iverson.stages.ping import Ping
from iverson.stages.refreshed import refresh
from iverson.stages.runs import begin, note_identity, run_name
from iverson.stages.seen import Seen
from iverson.stages.token import binding
from iverson.stages.traded import Traded
from iverson.stages.wake import wake

LOOK_BACK, LOOK_AHEAD = timedelta(days=7), timedelta(days=14)  # of the calendars compared


@dataclass(frozen=True)
class Asked:
    """What was asked for beside the system: for live its account's number and the maximum loss."""

    stage: Stage
    journal: Path | str | None = None
    account: str | None = None
    max_loss: float | None = None


@dataclass(frozen=True)
class Admitted:
    """A system admitted to trade: its connection, its journal's run, its bars, its setup."""

    system: Traded
    connection: Connection
    journal: Path
    run: str
    setup: Setup
    bars: Mapping[str, Bars]
    at: datetime
    notes: tuple[str, ...]
    settings: Settings
    account: str


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
    """Wake once for daily bars, stream for minutes; see `System.paper` and `System.live`."""
    if system.interval == DAILY:
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


class Opened:
    """A system admitted to trade, for as long as its connection is open.

    When a run that has begun before cannot go on, or ends by an error, nobody may be there to see
    it: that is written down as an alarm, and told.
    """

    def __init__(self, system: Traded, asked: Asked, *, at: datetime | None = None) -> None:
        self._system, self._asked, self._at = system, asked, at
        self._chosen = settings()
        self._stage = asked.stage
        self._connection: Connection | None = None

    def __enter__(self) -> Admitted:
        check(self._chosen)
        try:
            self._connection = connect(self._chosen, self._asked.stage, self._system.clock)
            self._stage = self._connection.stage
            return admitted(self._system, self._asked, self._chosen, self._connection, at=self._at)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        try:
            if isinstance(error, Exception) and not isinstance(error, InUse):
                self._tell(error)
        finally:
            if self._connection is not None:
                self._connection.close()

    def _tell(self, error: Exception) -> None:
        own = isinstance(error, IversonError)
        words = redacted(str(error)) if own else f"{type(error).__name__}, see its traceback"
        journal = Path(self._asked.journal or self._chosen.journal)
        run, clock = run_name(self._stage, self._system.name), self._system.clock
        with suppress(IversonError, OSError):
            if not journal.exists():
                return
            with Journal(journal) as book:
                if not book.values("run", run=run):
                    return
                book.append(run, Alarm(clock(), "run", f"it does not trade now: {words}"))
            with heralded(journal, clock, self._chosen, threaded=False):
                pass


def admitted(
    system: Traded,
    asked: Asked,
    chosen: Settings,
    connection: Connection,
    *,
    at: datetime | None = None,
) -> Admitted:
    """Ask every question of `admission`, then bring the bars up to date.

    Raises
    ------
    Refused: what may not be, in one sentence; nothing was fetched, written or sent.
    """
    journal = Path(asked.journal or chosen.journal)
    strategy = system.setup.strategy
    streams = system.interval != DAILY and at is None
    admission.admit_strategy(strategy, store=system.store)
    admission.admit_feed(connection.stream_feed if streams else connection.feed, strategy)
    if streams:
        admission.admit_symbols(len(system.symbols), feed=connection.stream_feed)
    account = connection.venue.account()
    admission.admit_account(account)
    now = connection.clock()
    if not connection.on_loopback:  # there the venue's clock is ours, at whatever pace
        admission.admit_clock(now, connection.venue.now())
    first, last = (now - LOOK_BACK).date(), (now + LOOK_AHEAD).date()
    admission.admit_calendar(connection.calendar(str(first), str(last)), new_york(), first, last)
    setup = system.setup
    if connection.stage is Stage.LIVE:
        bound = binding(setup, system.symbols, system.interval, account=account.number)
        admission.admit_live(
            account, typed=asked.account, max_loss=asked.max_loss, capital=setup.capital,
            journal=journal, bound=bound,
        )  # fmt: skip
    if asked.max_loss is not None:
        agreed: Any = MaxLoss
        setup = replace(setup, rules=(agreed(limit_usd=asked.max_loss), *setup.rules))
    at = at or now
    if at > now + timedelta(seconds=1):
        raise ConfigError(f"at is {at}, which is still to come; leave it out to wake now")
    notes = (*_small(connection.stage, setup), *refresh(system, connection, now=at))
    bars = {symbol: _until(one, at) for symbol, one in system.load().items()}
    if not connection.on_loopback:
        admission.admit_feed(feed_words(bars, store=system.store), strategy)
    return Admitted(
        system, connection, journal, run_name(connection.stage, system.name),
        replace(setup, cash=account.equity), bars, at, notes, chosen, account.number,
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
        pause=time.sleep,
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


def _small(stage: Stage, setup: Setup) -> tuple[str, ...]:
    """Say on paper what live trading will refuse, while there is time to try it."""
    if stage is not Stage.PAPER or setup.capital is not None:
        return ()
    words = "without capital steps sizes begin at their full risk, and live trading refuses the"
    return (f"{words} system; add capital=iv.CapitalSteps() to it",)


def _until(bars: Bars, at: datetime) -> Bars:
    import numpy as np

    stamp = np.datetime64(at.replace(tzinfo=None), "ns")
    return bars[: int(np.searchsorted(bars.at, stamp, "right"))]


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
