# SPDX-License-Identifier: GPL-3.0-or-later
"""Minute bars of many symbols made into steps that all feeds take together.

On the wire the bars of one minute come one after the other, and a symbol that did not trade has
none. A backtest sees all symbols of an instant at once; so must a live strategy, or two signals
of one minute would compete only in history. The bars of a minute are held until every symbol has
sent its own, a later minute begins, or `grace_seconds` are over.

Longer bars are built here of minutes, by the session's own clock: those that close at an instant
close together, whether or not a symbol traded in the last minute.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from iverson.errors import ConfigError
from iverson.market.calendar import Calendar, new_york

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Candle:
    """One bar by its left edge; prices raw, as they were traded."""

    symbol: str
    start: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    end: datetime | None = None

    @property
    def at(self) -> datetime:
        """The right edge."""
        return self.start + MINUTE if self.end is None else self.end


class Hub:
    """Collects bars from the socket's thread, hands out steps to Backtrader's.

    Parameters
    ----------
    symbols: every symbol whose bars a step waits for.
    length: minutes of the bars that are handed out, 1 or more.
    grace_seconds: how long a minute waits for symbols that may not trade in it.
    monotonic: seconds that never go back.
    """

    def __init__(
        self,
        symbols: Iterable[str],
        *,
        length: int = 1,
        grace_seconds: float = 1.5,
        monotonic: Callable[[], float],
        calendar: Calendar | None = None,
    ) -> None:
        self.symbols = tuple(symbols)
        self._length = timedelta(minutes=length)
        self._grace = grace_seconds
        self._monotonic = monotonic
        self._calendar = calendar or new_york()
        self._changed = threading.Condition()
        self._minutes: dict[datetime, dict[str, Candle]] = {}
        self._first_heard: dict[datetime, float] = {}
        self._building: dict[str, Candle] = {}
        self._ready: dict[str, deque[Candle]] = {symbol: deque() for symbol in self.symbols}
        self._released: datetime | None = None
        self.late = 0  # bars that came after their minute was handed out

    def add(self, symbol: str) -> None:
        """Hand out one symbol more; before the first bar is heard."""
        if symbol in self._ready:
            raise ConfigError(f"{symbol} has its feed already; resample or clone that one")
        self.symbols += (symbol,)
        self._ready[symbol] = deque()

    def hear(self, bar: Candle) -> None:
        """Take one minute bar; any thread may. Outside regular hours it is passed over."""
        if not self._regular(bar):
            return
        with self._changed:
            if self._released is not None and bar.at <= self._released:
                self.late += 1
                return
            self._minutes.setdefault(bar.at, {})[bar.symbol] = bar
            self._first_heard.setdefault(bar.at, self._monotonic())
            self._changed.notify_all()

    def take(self, symbol: str) -> Candle | None:
        """Return the next bar of a symbol that was handed out, None when there is none."""
        self.release()
        waiting = self._ready[symbol]
        return waiting.popleft() if waiting else None

    @property
    def waiting(self) -> bool:
        """Whether bars can be taken now."""
        self.release()
        with self._changed:
            return any(self._ready.values())

    @property
    def empty(self) -> bool:
        """Whether no bars are there, not even of a minute that waits for other symbols."""
        with self._changed:
            return not self._minutes and not any(self._ready.values())

    def wait(self, seconds: float) -> None:
        """Wait until something may be handed out, so long at most."""
        with self._changed:
            if not any(self._ready.values()):
                self._changed.wait(min(seconds, self._grace) if self._minutes else seconds)

    def release(self) -> None:
        """Hand out the minutes that are complete, in order."""
        with self._changed:
            while self._minutes:
                minute = min(self._minutes)
                if not self._complete(minute):
                    return
                bars = self._minutes.pop(minute)
                self._first_heard.pop(minute, None)
                self._released = minute
                for bar in bars.values():
                    self._build(bar)
                self._close(minute)

    def _complete(self, minute: datetime) -> bool:
        if len(self._minutes[minute]) == len(self.symbols) or len(self._minutes) > 1:
            return True
        return self._monotonic() - self._first_heard[minute] >= self._grace

    def _build(self, bar: Candle) -> None:
        end = self._end_of(bar)
        begun = self._building.get(bar.symbol)
        if begun is not None and begun.end != end:
            self._hand_out(begun)
            begun = None
        if begun is None:
            self._building[bar.symbol] = replace(bar, end=end)
            return
        self._building[bar.symbol] = replace(
            begun,
            high=max(begun.high, bar.high),
            low=min(begun.low, bar.low),
            close=bar.close,
            volume=begun.volume + bar.volume,
        )

    def _close(self, minute: datetime) -> None:
        for bar in list(self._building.values()):
            if bar.at <= minute:
                self._hand_out(bar)

    def _hand_out(self, bar: Candle) -> None:
        self._building.pop(bar.symbol, None)
        self._ready[bar.symbol].append(bar)

    def _end_of(self, bar: Candle) -> datetime:
        """Return the right edge of the longer bar that a minute is in; the close cuts the last."""
        session = self._calendar.session_of(bar.at)
        opened, closed = self._calendar.open_at(session), self._calendar.close_at(session)
        number = (bar.start - opened) // self._length
        return min(opened + (number + 1) * self._length, closed)

    def _regular(self, bar: Candle) -> bool:
        session = self._calendar.session_of(bar.at)
        return (
            self._calendar.open_at(session) <= bar.start
            and bar.at <= self._calendar.close_at(session)
            and bar.symbol in self._ready
        )
