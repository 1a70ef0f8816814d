# SPDX-License-Identifier: GPL-3.0-or-later
"""One wake: reconcile, look at the newest bar, act on it once, write everything down, end.

A wake is a backtest whose last bar is now and whose broker is real. It may be repeated, overlap a
restart or follow a crash: a bar that was acted on is not acted on again, and an order that was
sent keeps its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from iverson.desk import Desk
from iverson.engine.cerebro import LeanCerebro
from iverson.execution.account import Account
from iverson.execution.alpaca.opening import sendable_until
from iverson.execution.alpaca.store import AlpacaStore
from iverson.execution.reconcile import Written
from iverson.market.bars import DAILY
from iverson.market.moments import number_of
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Record
from iverson.monitoring.recorder import Recorder
from iverson.research.backtest import Prepared, Setup, warm_up_bars, windows_of
from iverson.research.failures import blamed
from iverson.risk.gate import Gate
from iverson.stages.late import Late
from iverson.stages.lock import account_lock
from iverson.stages.memory import JournaledRecord, remember
from iverson.stages.overheard import Others, heed

LINGER_SECONDS = 120.0  # for what is under way when everything is decided

StoreMaker = Callable[[Written, Callable[[Any], None]], AlpacaStore]


@dataclass(frozen=True, slots=True)
class Woke:
    """What a wake did: the bar it looked at, whether it acted on it, and what was noted."""

    at: datetime
    session: date
    acted: bool
    record: Record
    problems: tuple[str, ...]


def wake(
    setup: Setup,
    prepared: Prepared,
    *,
    session: date,
    store: StoreMaker,
    journal: Journal,
    run: str,
) -> Woke:
    """Act on the newest bar of `session`, through the broker of an account.

    Parameters
    ----------
    prepared: bars that end with the newest complete one.
    store: makes the `AlpacaStore`, given what was written down and how to note.
    journal, run: where everything is kept, and under which name; a journal in use is refused
        (`ConfigError`).
    """
    with account_lock(journal.path):
        return _wake(setup, prepared, session=session, store=store, journal=journal, run=run)


def _wake(
    setup: Setup,
    prepared: Prepared,
    *,
    session: date,
    store: StoreMaker,
    journal: Journal,
    run: str,
) -> Woke:
    record = JournaledRecord(journal, run)
    others = Others(journal, run, record, after=journal.head.seq)
    memory = remember(journal, run, after=session)

    def note(value: Any) -> None:
        journal.append(run, value)

    alpaca = store(memory.written, note)
    warm_up = warm_up_bars(
        setup.strategy, setup.params, tuple(prepared.feeds), interval=prepared.interval
    )
    windows = windows_of(prepared, memory.first or session, session, warm_up)
    newest = max(prepared.feeds[symbol].bars.at[rows][-1] for symbol, rows in windows.items())
    at = newest.astype("datetime64[us]").item().replace(tzinfo=UTC)
    acts = memory.decided is None or memory.decided < at
    in_time = alpaca.clock() <= sendable_until(at)

    account = Account(memory.state, history=prepared.history)
    never = date.max
    desk = Desk(
        gate=Gate(setup.all_rules, setup.sizing),
        account=account,
        record=record,
        first=session if acts else never,
        last=never if in_time else session,  # an old decision is not carried out late
        within=in_time and prepared.interval != DAILY,
        after=at - timedelta(microseconds=1),
        answered=memory.answered,
        capital=setup.capital,
    )
    heed(desk, alpaca, others, journal, run)
    broker = alpaca.getbroker(linger_seconds=LINGER_SECONDS)
    broker.desk = desk
    broker.carried_from = number_of(at)
    desk.broker = broker
    alpaca.late = Late(memory, record, account, alpaca.costs)
    alpaca.late.catch_up()

    cerebro = LeanCerebro(stdstats=False, quicknotify=False)
    cerebro.setbroker(broker)
    for symbol, rows in windows.items():
        cerebro.adddata(prepared.feeds[symbol].data(rows), name=symbol)
    since = broker.carried_from if acts else float("inf")
    cerebro.addanalyzer(Recorder, record=record, builder=memory.builder, since=since)
    cerebro.addstrategy(setup.strategy, desk=desk, **setup.params)
    with blamed(setup.strategy, setup.params):
        (strategy,) = cerebro.run()
    recorder = strategy.analyzers[0]
    while (order := broker.get_notification()) is not None:
        recorder.notify_order(order)  # what came after the last bar
    return Woke(at, session, acts, record, alpaca.problems)
