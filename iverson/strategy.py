# SPDX-License-Identifier: GPL-3.0-or-later
"""The spine: `Strategy.next` takes one bar from signal to order, in every stage the same way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

import backtrader as bt
from backtrader.lineiterator import LineIterator

from iverson.desk import Desk, ranked
from iverson.errors import ConfigError
from iverson.execution.bracket import exit_at_close, make_bracket, open_bracket
from iverson.market.calendar import new_york
from iverson.market.moments import Moment, moment
from iverson.model import Bracket, Signal, Verdict
from iverson.signals.entry import Entry, Long, Short

WARM_UP_PERIODS = 10  # RSI(14) is off by 0.7 points after 30 bars, by 0.001 after 140
WARM_UP_RULES = 62  # sessions that the correlation rule looks back, and a return needs two closes
SESSION_MINUTES = 390  # of a full session
CLOSING_MINUTES = 5  # before the close: when minute bars decide on the time limit
_CLOSING = ("time limit", "flatten")  # legs that leave a position by themselves


class Strategy(bt.Strategy):
    """A strategy says when to enter; the rest is the same for all.

    Implement `entry(data)`, called once per symbol with Backtrader lines, or `signals()`, called
    each bar. Parameters that every strategy has:

    max_sessions: leave at the close of this session after entry (entry session = 0; None: never).
    entry_sessions: sessions after the decision during which the entry may fill.
    entry_minutes: minutes after the decision during which it may, those of the next bar at least
        (None: as entry_sessions says); of bars within the session only.

    `reads` names the lines it needs beside the prices, as ("news_score",); the system's `columns`
    give them, and without them it is refused. `least_feed` names the feed without which its signals
    mean nothing: "delayed" (any will do), "iex" (at once) or "sip" (at once and complete).
    """

    reads: ClassVar[tuple[str, ...]] = ()
    least_feed: ClassVar[str] = "delayed"
    params: Any = dict(max_sessions=3, entry_sessions=1, entry_minutes=None, desk=None)

    def __init__(self) -> None:
        self.entries: list[tuple[Any, tuple[Entry, ...]]] = []
        if self._declares_entries():
            self.entries = [(data, _as_entries(self, data)) for data in self.datas]
        self.factored = {data: "factor" in data.getlinealiases() for data in self.datas}

    def start(self) -> None:
        """Refuse a strategy whose own `__init__` left out this class's."""
        if self._declares_entries() and "entries" not in vars(self):
            raise ConfigError(f"{type(self).__name__}.__init__ must call super().__init__() first")

    @cached_property
    def ready_after(self) -> int:
        """The warm-up, worked out once a run."""
        return self.warm_up

    @cached_property
    def confidences(self) -> dict[Any, list[Any] | None]:
        """The confidence lines of each data; None where they may be too short to be read."""
        once = self.cerebro._dorunonce  # noqa: SLF001 (Backtrader's: lines are there as a whole)
        return {data: _lines(entries) if once else None for data, entries in self.entries}

    @property
    def desk(self) -> Desk:
        """Where gate, account, broker and record meet; whoever starts the run hands it over."""
        if self.p.desk is None:
            raise ConfigError(
                f"{type(self).__name__} has no desk; run it by `System` or `iverson.research`, "
                "not by a Cerebro of your own"
            )
        desk: Desk = self.p.desk
        return desk

    # -- one bar's journey: the page to read first ---------------------------------------------

    def next(self) -> None:
        """Close what has expired, then bring each signal through the gate to the broker."""
        if not self.desk.begin_bar(self.datetime[0]):
            return
        self.close_expired()
        if not self.desk.open_for_entries:
            return
        for signal in ranked(self.signals(), self.getdatanames()):
            verdict = self.desk.review(signal, ready=self._is_tradable(signal.symbol))
            if verdict.approved:
                self.open(verdict)

    # a symbol that is young or absent holds nobody else up: each is judged by its own bars
    prenext = nextstart = next  # noqa: A003 (Backtrader's name)

    # -- its parts -----------------------------------------------------------------------------

    def entry(self, data: Any) -> Entry | Iterable[Entry]:  # noqa: ARG002 (heirs)
        """Return `Long` or `Short` (or several) for one symbol; everything in it may be a line."""
        raise ConfigError(
            f"{type(self).__name__} has neither entry(data) nor signals(); write one of them"
        )

    def signals(self) -> Iterator[Signal]:
        """Yield this bar's signals: those of the entry lines, for symbols with a new bar."""
        now = self.desk.now
        assert now is not None
        for data, entries in self.entries:
            # on most bars no entry is wanted, and nothing else has to be asked
            confidences = self.confidences[data]
            if confidences is not None and not any(line[0] for line in confidences):
                continue
            if not self.is_ready(data):
                continue
            for entry in entries:
                if entry.wanted():
                    yield entry.signal(
                        at=now.at,
                        session=now.session,
                        symbol=data._name,
                        factor=data.factor[0] if self.factored[data] else 1.0,
                        max_sessions=self.p.max_sessions,
                        strategy=type(self).__name__,
                    )

    def is_ready(self, data: Any) -> bool:
        """Whether a symbol printed this very bar and has its own warm-up behind it."""
        return len(data) > self.ready_after and data.datetime[0] == self.datetime[0]

    def _is_tradable(self, symbol: str) -> bool:
        data = self.cerebro.datasbyname.get(symbol)
        return data is not None and self.is_ready(data)

    def _declares_entries(self) -> bool:
        cls = type(self)
        return cls.entry is not Strategy.entry or cls.signals is Strategy.signals

    def waits(self, signal: Signal) -> tuple[int, float | None]:  # noqa: ARG002 (heirs)
        """Return the sessions, and the minutes, after the decision during which it may fill."""
        return self.p.entry_sessions, self.p.entry_minutes

    def open(self, verdict: Verdict) -> None:
        """Place the bracket of an approved verdict."""
        assert self.desk.now is not None
        data = self.getdatabyname(verdict.signal.symbol)
        length = None if _daily(data) else data._compression
        until = expiry(self.desk.now, *self.waits(verdict.signal), bar=length)
        bracket = make_bracket(verdict, valid_until=until)
        open_bracket(
            self, data, bracket, verdict, exit_at_close=bracket.max_sessions == 0 and _daily(data)
        )

    def close_expired(self) -> None:
        """Leave positions that have reached their last session, or all when a halt flattens.

        Daily bars: decided the evening before, filled at that session's close. Minute bars:
        decided five minutes or one bar before the close, whichever is longer.
        """
        for group in list(self.broker.groups.values()):
            bracket = group.entry.info.get("bracket")
            if not group.held or bracket is None:
                continue
            if any(leg.info["leg"] in _CLOSING and leg.alive() for leg in group.legs):
                continue
            flatten = self.desk.reducing
            if flatten or self._expires(group, bracket):
                exit_at_close(
                    self,
                    group.data,
                    group.entry,
                    size=group.held,
                    immediate=not _daily(group.data),
                    leg="flatten" if flatten else "time limit",
                )

    def _expires(self, group: Any, bracket: Bracket) -> bool:
        if bracket.max_sessions is None:
            return False
        assert self.desk.now is not None
        age = self.desk.now.ordinal - moment(group.entered).ordinal
        if age + 1 < bracket.max_sessions:  # no lead is longer
            return False
        return age >= bracket.max_sessions - self._lead(group.data)

    def _lead(self, data: Any) -> int:
        """Return by how many sessions a time limit is sent early: daily 1, at the close 0."""
        if _daily(data):
            return 1
        now = self.desk.now
        assert now is not None
        left = (new_york().close_at(now.session) - now.at).total_seconds()
        return 0 if left <= 60 * max(CLOSING_MINUTES, data._compression) else -1

    @property
    def warm_up(self) -> int:
        """Bars a symbol needs before it may trade; ten times the longest period, or more.

        An indicator of minute bars that looks back whole sessions says how many by an attribute
        `warm_up_sessions`; they count as full ones. Override with a number of your own when your
        lines settle faster or slower.
        """
        sessions = _sessions_behind(self) * _most_bars(self.datas)
        return max(WARM_UP_RULES, WARM_UP_PERIODS * int(self._minperiod), sessions)


def expiry(now: Moment, sessions: int, minutes: float | None, *, bar: int | None) -> datetime:
    """Return the last instant at which an entry decided now may fill.

    `bar` is the minutes of a bar, None of a daily one, which `minutes` do not concern. What would
    expire within the next bar waits for its end, or nothing could ever fill.
    """
    calendar = new_york()
    close = calendar.close_at(calendar.offset(now.session, sessions))
    if minutes is None or bar is None:
        return close
    return min(close, now.at + timedelta(minutes=max(minutes, bar)))


def _sessions_behind(owner: Any) -> int:
    """Return the sessions that an owner's indicators, or their own, say they look back."""
    parts = owner.getindicators() if isinstance(owner, LineIterator) else ()
    own = int(vars(owner).get("warm_up_sessions", 0))
    return max([own, *(_sessions_behind(one) for one in parts)])


def _most_bars(datas: Iterable[Any]) -> int:
    """Return how many bars a full session has, of the data that has most."""
    lengths = (1 if _daily(data) else -(-SESSION_MINUTES // data._compression) for data in datas)
    return max(lengths, default=1)


def _lines(entries: tuple[Entry, ...]) -> list[Any] | None:
    """Return the confidence lines of some entries; None when one is no line."""
    found = [entry.confidence for entry in entries]
    if not all(isinstance(one, bt.linebuffer.LineRoot) for one in found):
        return None
    return [one if isinstance(one, bt.linebuffer.LineBuffer) else one.lines[0] for one in found]


def _as_entries(strategy: Strategy, data: Any) -> tuple[Entry, ...]:
    found = strategy.entry(data)
    entries = tuple(found) if isinstance(found, list | tuple | Iterator) else (found,)
    for entry in entries:
        if not isinstance(entry, Long | Short):
            raise ConfigError(
                f"{type(strategy).__name__}.entry returned {entry!r}; expected Long or Short, "
                "several of them, or () for a symbol that is not to be traded"
            )
    return entries


def _daily(data: Any) -> bool:
    return bool(data._timeframe >= bt.TimeFrame.Days)
