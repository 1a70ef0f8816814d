# SPDX-License-Identifier: GPL-3.0-or-later
"""One session by a process that stays awake: started by a timer, ended after the close.

Ctrl-C or SIGTERM end it sooner, and a crash is no different: nothing more is sent, protective stops
stay at the venue, and the next start goes on from journal and account.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from iverson.errors import Refused
from iverson.execution.alpaca.opening import sendable_until
from iverson.market.bars import DAILY
from iverson.market.calendar import new_york
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Note
from iverson.stages.heartbeat import next_stream
from iverson.stages.heralded import heralded
from iverson.stages.opened import Admitted
from iverson.stages.stopping import Stopping
from iverson.stages.stream import stream
from iverson.stages.streaming_days import DayMarket
from iverson.stages.streaming_minutes import MinuteMarket
from iverson.stages.supervisor import notify
from iverson.stages.trading import Went, alarm, beating, noting, started

EARLY = timedelta(hours=2)  # before the open that a stream may be started


def stream_session(desk: Admitted) -> Went:
    """Trade the session in progress, or the next one, until its close.

    Daily bars: also one that has closed and whose bar is not decided on yet, while it may be.
    """
    calendar, now = new_york(), desk.at
    session = _session(desk)
    opening, close = calendar.open_at(session), calendar.close_at(session)
    if opening - now > EARLY:
        raise Refused(
            f"the market opens at {opening:%Y-%m-%d %H:%M} UTC; start the stream at most two hours "
            "before"
        )
    connection = desk.connection
    alarms: list[tuple[str, str]] = []
    stopping = Stopping()
    told = heralded(desk.journal, connection.clock, desk.settings, threaded=True)
    with (
        told,
        Journal(desk.journal) as book,
        stopping.listening(),
        beating(desk, book) as pulse,
    ):
        setup = started(desk, book)
        alarming = alarm(alarms, book, desk.run, connection)
        market: DayMarket | MinuteMarket
        if desk.system.interval == DAILY:
            market = DayMarket(desk, session, alarming, stopping, pulse.tick)
        else:
            market = MinuteMarket(desk, close, stopping, pulse.tick)
        try:
            made = stream(
                setup,
                market.prepared,
                line=market.line,
                store=connection.store(alarming, noting(book, desk.run, connection), threaded=True),
                journal=book,
                run=desk.run,
                session=session,
                running=stopping.begin,
            )
        finally:
            market.close()
        notify("STOPPING=1")
        if stopping.by:
            words = f"stopped by {stopping.by}; protective stops stay at the venue"
            book.append(desk.run, Note(connection.clock(), words))
            pulse.beat(f"stopped by {stopping.by}", None)
        else:
            pulse.beat("the session is over", next_stream(close))
    return Went(
        desk.run, connection.stage, desk.journal, session, True, made.record, made.problems,
        (*desk.notes, *market.notes), alarms, stopping.by,
    )  # fmt: skip


def _session(desk: Admitted) -> date:
    calendar, now = new_york(), desk.at
    ended = calendar.session_of(now)
    close = calendar.close_at(ended)
    sendable = desk.system.interval == DAILY and close <= now <= sendable_until(close)
    if sendable and ended not in _decided(desk):
        return ended
    return calendar.coming_session(now)


def _decided(desk: Admitted) -> set[date]:
    if not desk.journal.exists():
        return set()
    with Journal(desk.journal, read_only=True) as book:
        rows: list[Any] = book.values("equity", run=desk.run)
    return {row.session for row in rows}
