# SPDX-License-Identifier: GPL-3.0-or-later
"""Admission: every question is asked before anything is fetched, written or sent.

The same for wake, paper and live but for what is plugged in: the account, and for live the maximum
loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from iverson.config import Settings, settings
from iverson.errors import ConfigError, IversonError
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.source import feed_words
from iverson.model import Stage
from iverson.monitoring.events import Alarm
from iverson.monitoring.journal import Journal
from iverson.redaction import redacted
from iverson.research.backtest import Setup
from iverson.risk.max_loss import MaxLoss
from iverson.stages import admission
from iverson.stages.connection import Connection, connect
from iverson.stages.heralded import check, heralded
from iverson.stages.lock import InUse
from iverson.stages.refreshed import refresh
from iverson.stages.runs import run_name
from iverson.stages.token import binding
from iverson.stages.traded import Traded

LOOK_BACK, LOOK_AHEAD = timedelta(days=7), timedelta(days=14)  # of the calendars compared


@dataclass(frozen=True)
class Asked:
    """What was asked for beside the system: for live its account's number and the maximum loss.

    `stream`: to stay awake for a session with daily bars, too.
    """

    stage: Stage
    journal: Path | str | None = None
    account: str | None = None
    max_loss: float | None = None
    stream: bool = False


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
    bars = {symbol: bars_until(one, at) for symbol, one in system.load().items()}
    if not connection.on_loopback:
        admission.admit_feed(feed_words(bars, store=system.store), strategy)
    return Admitted(
        system, connection, journal, run_name(connection.stage, system.name),
        replace(setup, cash=account.equity), bars, at, notes, chosen, account.number,
    )  # fmt: skip


def _small(stage: Stage, setup: Setup) -> tuple[str, ...]:
    """Say on paper what live trading will refuse, while there is time to try it."""
    if stage is not Stage.PAPER or setup.capital is not None:
        return ()
    words = "without capital steps sizes begin at their full risk, and live trading refuses the"
    return (f"{words} system; add capital=iv.CapitalSteps() to it",)


def bars_until(bars: Bars, at: datetime) -> Bars:
    """Return the bars that had closed by an instant."""
    import numpy as np

    stamp = np.datetime64(at.replace(tzinfo=None), "ns")
    return bars[: int(np.searchsorted(bars.at, stamp, "right"))]
