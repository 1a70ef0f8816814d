# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream: one long run over bars as they close.

The same parts as a wake (memory, desk, broker, recorder) around Backtrader's own live loop. What
lies before the start is history: it makes the lines, and is never acted on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Protocol

import backtrader as bt

from iverson.desk import Desk
from iverson.engine.cerebro import LeanCerebro
from iverson.errors import MissingBars
from iverson.execution.account import Account
from iverson.execution.alpaca.feed import AlpacaData
from iverson.execution.alpaca.hub import Candle, Hub
from iverson.execution.alpaca.store import AlpacaStore
from iverson.market.bars import DAILY
from iverson.market.moments import number_of, timeframe
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Note, Record
from iverson.monitoring.recorder import Recorder
from iverson.research.backtest import Feed, Prepared, Setup, warm_up_bars
from iverson.research.failures import blamed
from iverson.risk.gate import Gate
from iverson.stages.late import Late
from iverson.stages.lock import account_lock
from iverson.stages.memory import JournaledRecord, remember
from iverson.stages.overheard import Others, heed
from iverson.stages.wake import StoreMaker


class Line(Protocol):
    """What connects a run with the market."""

    def feed(self, known: Feed, rows: slice) -> bt.feed.DataBase:
        """Return the feed of a symbol: these rows of its history, then what comes."""

    def begin(self, store: AlpacaStore) -> None:
        """Take the run's store: everything else is ready."""


@dataclass(frozen=True, slots=True)
class MinuteLine:
    """The hub of live bars and how gaps are filled.

    `missed` gives a symbol's bars after an instant; `connections` counts how often the socket was
    connected. `started` is called with the store once everything else is ready.
    """

    hub: Hub
    missed: Callable[[str, datetime], Iterable[Candle]] | None = None
    connections: Callable[[], int] | None = None
    started: Callable[[AlpacaStore], None] = lambda _: None

    def feed(self, known: Feed, rows: slice) -> bt.feed.DataBase:
        """Return the feed of a symbol; no split falls into a session."""
        bars = known.bars[rows]
        factor = float(bars.factor[-1])
        return AlpacaData(
            dataname=bars.symbol,
            hub=self.hub,
            history=bars,
            missed=self.missed,
            connections=self.connections,
            factor_of=lambda _: factor,
            **timeframe(bars.interval),
        )

    def begin(self, store: AlpacaStore) -> None:
        """Listen."""
        self.started(store)


@dataclass(frozen=True, slots=True)
class Streamed:
    """What a stream noted while it ran."""

    record: Record
    problems: tuple[str, ...]


def stream(
    setup: Setup,
    prepared: Prepared,
    *,
    line: Line,
    store: StoreMaker,
    journal: Journal,
    run: str,
    session: date,
    last: date = date.max,
    running: Callable[[bt.Cerebro], None] | None = None,
) -> Streamed:
    """Trade bars as they close until the feed ends or the run is stopped.

    Parameters
    ----------
    prepared: bars up to the start, for daily bars those before `session`.
    journal: a journal in use is refused (`ConfigError`).
    session: the first that is traded; what lies before it is history.
    last: the session after which there is none, if that is known: its last bar decides no entry.
    running: gets the Cerebro before it runs, so that `runstop` can end it.
    """
    with account_lock(journal.path):
        return _stream(
            setup, prepared, line=line, store=store, journal=journal, run=run, session=session,
            last=last, running=running,
        )  # fmt: skip


def _stream(
    setup: Setup,
    prepared: Prepared,
    *,
    line: Line,
    store: StoreMaker,
    journal: Journal,
    run: str,
    session: date,
    last: date,
    running: Callable[[bt.Cerebro], None] | None,
) -> Streamed:
    record = JournaledRecord(journal, run)
    others = Others(journal, run, record, after=journal.head.seq)
    memory = remember(journal, run, after=session)

    def note(value: Any) -> None:
        journal.append(run, value)

    alpaca: AlpacaStore = store(memory.written, note)
    warm_up = warm_up_bars(
        setup.strategy, setup.params, tuple(prepared.feeds), interval=prepared.interval
    )
    windows = windows_at_start(prepared, memory.first or session, session, warm_up)
    newest = max(_instant(prepared.feeds[one].bars.at[rows][-1]) for one, rows in windows.items())
    desk = Desk(
        gate=Gate(setup.all_rules, setup.sizing),
        account=Account(memory.state, history=prepared.history),
        record=record,
        first=session,
        last=last,
        within=prepared.interval != DAILY,
        after=max(newest, memory.decided or newest),
        answered=memory.answered,
        capital=setup.capital,
    )
    heed(desk, alpaca, others, journal, run)
    broker = alpaca.getbroker()
    broker.desk, desk.broker = desk, broker
    alpaca.late = Late(memory, record, desk.account, alpaca.costs)
    alpaca.late.catch_up()

    cerebro = LeanCerebro(stdstats=False, quicknotify=False)
    cerebro.setbroker(broker)
    for symbol, rows in windows.items():
        cerebro.adddata(line.feed(prepared.feeds[symbol], rows), name=symbol)

    def leave() -> None:
        """End: who has everything left sees to it, and one process acts at a time."""
        cerebro.runstop()
        note(Note(alpaca.clock(), "ended, because an operator has every position left"))

    others.left = leave
    since = number_of(desk.after) if desk.after else float("-inf")
    cerebro.addanalyzer(Recorder, record=record, builder=memory.builder, since=since + 1e-9)
    cerebro.addstrategy(setup.strategy, desk=desk, **setup.params)
    if running is not None:
        running(cerebro)
    line.begin(alpaca)
    with blamed(setup.strategy, setup.params):
        (strategy,) = cerebro.run()
    while (order := broker.get_notification()) is not None:
        strategy.analyzers[0].notify_order(order)
    return Streamed(record, alpaca.problems)


def windows_at_start(
    prepared: Prepared, first: date, session: date, warm_up: int
) -> dict[str, slice]:
    """Return each symbol's rows known at a start: from its warm-up before `first` on.

    A symbol that has not its whole warm-up is left out until the next start.

    Raises
    ------
    MissingBars: none has.
    """
    needed = max(warm_up, 1)
    windows = {
        symbol: rows
        for symbol, feed in prepared.feeds.items()
        if (rows := feed.window(first, session, needed)).stop - rows.start >= needed
    }
    if not windows:
        raise MissingBars(
            f"no symbol has its {needed} bars of warm-up before {session}; import more bars"
        )
    return windows


def _instant(stamp: Any) -> datetime:
    at: datetime = stamp.astype("datetime64[us]").item().replace(tzinfo=UTC)
    return at
