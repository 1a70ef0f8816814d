# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream: one long run over bars as they close, for strategies of minutes.

The same parts as a wake (memory, desk, broker, recorder) around Backtrader's own live loop. What
lies before the start is history: it makes the lines, and is never acted on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import backtrader as bt

from iverson.desk import Desk
from iverson.engine.cerebro import LeanCerebro
from iverson.execution.account import Account
from iverson.execution.alpaca.feed import AlpacaData
from iverson.execution.alpaca.hub import Candle, Hub
from iverson.execution.alpaca.store import AlpacaStore
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.intervals import minutes
from iverson.market.moments import number_of
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Note, Record
from iverson.monitoring.recorder import Recorder
from iverson.research.backtest import Prepared, Setup, warm_up_bars, windows_of
from iverson.research.failures import blamed
from iverson.risk.gate import Gate
from iverson.stages.late import Late
from iverson.stages.lock import account_lock
from iverson.stages.memory import JournaledRecord, remember
from iverson.stages.overheard import Others, heed
from iverson.stages.wake import StoreMaker


@dataclass(frozen=True, slots=True)
class Line:
    """What connects a run with the market: the hub of live bars and how gaps are filled.

    `missed` gives a symbol's bars after an instant; `connections` counts how often the socket was
    connected. `started` is called with the store once everything else is ready.
    """

    hub: Hub
    missed: Callable[[str, datetime], Iterable[Candle]] | None = None
    connections: Callable[[], int] | None = None
    started: Callable[[Any], None] | None = None


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
    now: datetime,
    last: date = date.max,
    running: Callable[[bt.Cerebro], None] | None = None,
) -> Streamed:
    """Trade bars as they close until the feed ends or the run is stopped.

    Parameters
    ----------
    prepared: bars up to `now`, the instant of the start.
    journal: a journal in use is refused (`ConfigError`).
    last: the session after which there is none, if that is known: its last bar decides no entry.
    running: gets the Cerebro before it runs, so that `runstop` can end it.
    """
    with account_lock(journal.path):
        return _stream(
            setup, prepared, line=line, store=store, journal=journal, run=run, now=now,
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
    now: datetime,
    last: date,
    running: Callable[[bt.Cerebro], None] | None,
) -> Streamed:
    calendar = new_york()
    session = calendar.session_of(now)
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
    past = _past(prepared, windows)
    newest = max(_instant(bars.at[-1]) for bars in past.values())
    desk = Desk(
        gate=Gate(setup.all_rules, setup.sizing),
        account=Account(memory.state, history=prepared.history),
        record=record,
        first=session,
        last=last,
        within=True,
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
    for symbol, bars in past.items():
        factor = float(bars.factor[-1])
        cerebro.adddata(
            AlpacaData(
                dataname=symbol,
                timeframe=bt.TimeFrame.Minutes,
                compression=minutes(bars.interval),
                hub=line.hub,
                history=bars,
                missed=line.missed,
                connections=line.connections,
                factor_of=lambda _, known=factor: known,
            ),
            name=symbol,
        )

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
    if line.started is not None:
        line.started(alpaca)
    with blamed(setup.strategy, setup.params):
        (strategy,) = cerebro.run()
    while (order := broker.get_notification()) is not None:
        strategy.analyzers[0].notify_order(order)
    return Streamed(record, alpaca.problems)


def windows_at_start(
    prepared: Prepared, first: date, session: date, warm_up: int
) -> dict[str, slice]:
    """Return each symbol's rows known at a start, with their warm-up before `first`.

    In the first minute of a session there is no bar of it yet: then from the session before.
    """
    known = [feed.bars.session[-1].item() for feed in prepared.feeds.values() if len(feed.bars)]
    return windows_of(prepared, min(first, max(known, default=first)), session, warm_up)


def _past(prepared: Prepared, windows: Mapping[str, slice]) -> dict[str, Bars]:
    return {symbol: prepared.feeds[symbol].bars[rows] for symbol, rows in windows.items()}


def _instant(stamp: Any) -> datetime:
    at: datetime = stamp.astype("datetime64[us]").item().replace(tzinfo=UTC)
    return at
