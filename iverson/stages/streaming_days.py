# SPDX-License-Identifier: GPL-3.0-or-later
"""The market of a stream of daily bars: orders as they are heard, then the session's own bar.

What is bought in the morning is protected a moment later, and what an operator commands is done at
once; a wake would come to it in the afternoon.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from iverson.execution.alpaca import stream as sockets
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.history import DailyHistory
from iverson.research.backtest import Prepared
from iverson.stages.day_line import DayLine
from iverson.stages.opened import Admitted, bars_until
from iverson.stages.refreshed import refresh
from iverson.stages.seen import Seen
from iverson.stages.stopping import Stopping
from iverson.stages.streaming_minutes import orders_of

AGAIN_SECONDS = 60.0  # until a bar that is not there yet is asked for again
PATIENCE_SECONDS = 45 * 60.0  # after the close that bars are waited for; a free plan has them in 15


class DayMarket:
    """Waits for the bar of one session; `tick` is called meanwhile, again and again."""

    def __init__(
        self,
        desk: Admitted,
        session: date,
        alarm: Callable[[str, str], None],
        stopping: Stopping,
        tick: Callable[[], None],
    ) -> None:
        self._stopping, self._tick = stopping, tick
        self._desk, self._session, self._alarm = desk, session, alarm
        self._close = new_york().close_at(session)
        self._seen = Seen(desk.journal, desk.run)
        self._sockets = sockets.Pair()
        self._asked: float | None = None  # when first, by the monotonic clock
        self._again = 0.0
        self._given = False
        self.notes: tuple[str, ...] = ()
        before = new_york().offset(session, -1)
        known = {symbol: one.between(date.min, before) for symbol, one in desk.bars.items()}
        history = DailyHistory(known)
        self.prepared = replace(Prepared.of(known), history=history)
        self.line = DayLine(history, wait=self._wait, started=self._connect)

    def close(self) -> None:
        """Stop listening."""
        self._sockets.close()

    def _connect(self, store: Any) -> None:
        self._sockets.open(orders_of(self._desk.connection, store))

    def _wait(self, seconds: float) -> None:
        self._tick()
        now = time.monotonic()
        if self._given:
            if self.line.decided(self._stopping.cerebro):
                self._stopping.end()
        elif self._desk.connection.clock() < self._close or now < self._again:
            time.sleep(seconds)
        else:
            self._look(now)

    def _look(self, now: float) -> None:
        """Hand out the session's bars when all are there, or when they have been waited for."""
        self._asked, self._again = self._asked or now, now + AGAIN_SECONDS
        bars, notes = self._read()
        absent = [
            symbol for symbol, one in bars.items()
            if not len(one) or one.session[-1].item() < self._session
        ]  # fmt: skip
        if absent and now - self._asked < PATIENCE_SECONDS:
            return
        self._given, self.notes = True, notes
        if absent:
            why = f" ({'; '.join(notes)})" if notes else ""
            self._alarm(
                "bars",
                f"no bar of {self._session} for {', '.join(absent)}{why}; nothing is decided on "
                "older ones",
            )
        self._seen.note(bars)
        self.line.give(bars)

    def _read(self) -> tuple[Mapping[str, Bars], tuple[str, ...]]:
        desk = self._desk
        at = desk.connection.clock()
        notes = refresh(desk.system, desk.connection, now=at)
        return {symbol: bars_until(one, at) for symbol, one in desk.system.load().items()}, notes
