# SPDX-License-Identifier: GPL-3.0-or-later
"""`System.wake`, `paper` and `live`: everything is admitted first, then one wake or one stream.

The same for all three but for what is plugged in: the account, and for live the maximum loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from iverson.config import Settings, settings
from iverson.errors import ConfigError, StaleBars
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.source import feed_words
from iverson.model import Stage
from iverson.monitoring.events import Alarm
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Record, RunRow
from iverson.research.backtest import Prepared, Setup
from iverson.risk.max_loss import MaxLoss
from iverson.stages import admission
from iverson.stages.connection import Connection, connect
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
        with Journal(desk.journal) as book:
            _refuse_stale(desk, book, session)
            setup = started(desk, book)
            Seen(desk.journal, desk.run).note(desk.bars)
            woke = wake(
                setup,
                Prepared.of(desk.bars),
                session=session,
                store=desk.connection.store(
                    alarm(alarms, book, desk.run, desk.connection), threaded=False
                ),
                journal=book,
                run=desk.run,
            )
        return Went(
            desk.run, desk.connection.stage, desk.journal, session, woke.acted, woke.record,
            woke.problems, tuple(notes), alarms,
        )  # fmt: skip


class Opened:
    """A system admitted to trade, for as long as its connection is open."""

    def __init__(self, system: Traded, asked: Asked, *, at: datetime | None = None) -> None:
        self._system, self._asked, self._at = system, asked, at
        self._connection: Connection | None = None

    def __enter__(self) -> Admitted:
        chosen = settings()
        self._connection = connection = connect(chosen, self._asked.stage, self._system.clock)
        try:
            return admitted(self._system, self._asked, chosen, connection, at=self._at)
        except BaseException:
            connection.close()
            raise

    def __exit__(self, *error: object) -> None:
        if self._connection is not None:
            self._connection.close()


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
    account = connection.venue.account()
    admission.admit_account(account)
    now = connection.clock()
    if not connection.on_loopback:  # there it is the venue's own clock, and may run fast
        admission.admit_clock(now, connection.venue.now())
    first, last = (now - LOOK_BACK).date(), (now + LOOK_AHEAD).date()
    admission.admit_calendar(connection.calendar(str(first), str(last)), new_york(), first, last)
    setup = system.setup
    if connection.stage is Stage.LIVE:
        bound = binding(setup, system.symbols, system.interval, account=account.number)
        admission.admit_live(
            account, typed=asked.account, max_loss=asked.max_loss, journal=journal, bound=bound
        )
    if asked.max_loss is not None:
        agreed: Any = MaxLoss
        setup = replace(setup, rules=(agreed(limit_usd=asked.max_loss), *setup.rules))
    at = at or now
    if at > now + timedelta(seconds=1):
        raise ConfigError(f"at is {at}, which is still to come; leave it out to wake now")
    notes = refresh(system, connection, now=at)
    bars = {symbol: _until(one, at) for symbol, one in system.load().items()}
    if not connection.on_loopback:
        admission.admit_feed(feed_words(bars, store=system.store), strategy)
    return Admitted(
        system, connection, journal, run_name(connection.stage, system.name),
        replace(setup, cash=account.equity), bars, at, notes, account.number,
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


def alarm(kept: list[tuple[str, str]], book: Journal, run: str, connection: Connection) -> Any:
    """Return what takes an alarm: kept for who started the run, and written down."""

    def told(rule: str, reason: str) -> None:
        kept.append((rule, reason))
        book.append(run, Alarm(connection.clock(), rule, reason))

    return told


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
