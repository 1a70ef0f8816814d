# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills of the gate: for each rule a made-up signal and book that it, and no other, must deny.

Nothing here is traded: symbols, prices and the past are invented, and the gate is the system's own.
A rule of the user's says by its `drill` what it would deny.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from iverson.book import Book, Position
from iverson.market.universe import Universe
from iverson.model import Signal, Verdict
from iverson.risk import rules, universe
from iverson.risk.gate import Gate
from iverson.risk.max_loss import MaxLoss
from iverson.risk.rules import RiskRule

PRICE = 100.0
STOP, TARGET = 0.98, 1.04  # of the price
STRANGER = "DRILL"  # symbols of nobody
PLENTY = 1e9  # shares and dollars: no bound
Drilling = Callable[[Any, Signal, Book], tuple[Signal, Book] | None]


@dataclass(frozen=True, eq=False)
class MadeUp:
    """A past in which nothing is alike, unless `alike`; `dollars` by symbol differ from plenty."""

    alike: bool = False
    close: float = PRICE
    dollars: dict[str, float] = field(default_factory=dict)

    def log_returns(
        self, symbol: str, *, before: date, sessions: int
    ) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
        """Return noise, the same for all symbols when they are alike."""
        days = np.datetime64(before, "D") - np.arange(sessions, 0, -1)
        seed = 0 if self.alike else crc32(symbol.encode())
        return days, 0.01 * np.random.default_rng(seed).standard_normal(sessions)

    def average_volume(self, symbol: str, *, through: date, sessions: int) -> float:  # noqa: ARG002 (signature)
        """Return plenty."""
        return PLENTY

    def previous_closes(self, symbol: str, sessions: NDArray[np.datetime64]) -> NDArray[np.float64]:  # noqa: ARG002 (signature)
        """Return the one close."""
        return np.full(len(sessions), self.close)

    def dollar_volumes(
        self,
        symbol: str,
        sessions: NDArray[np.datetime64],
        *,
        window: int,  # noqa: ARG002 (signature)
    ) -> NDArray[np.float64]:
        """Return the symbol's dollars, plenty for most."""
        return np.full(len(sessions), self.dollars.get(symbol, PLENTY))


def sound(
    gate: Gate, symbol: str, *, at: datetime, session: date, cash: float
) -> tuple[Signal, Book]:
    """Return a signal and an idle account's book that no standard rule has anything against."""
    confidence = 1 + int(np.argmax(gate.sizing.risk))
    signal = Signal(
        at=at, session=session, symbol=symbol, side="long", confidence=confidence, limit=PRICE,
        stop=PRICE * STOP, target=PRICE * TARGET, max_sessions=1, reason="drill", strategy="drill",
    )  # fmt: skip
    book = Book(
        at=at, session=session, cash=cash, equity=cash, equity_at_previous_close=cash, high=cash,
        history=MadeUp(),
    )  # fmt: skip
    return signal, book


def drilled(gate: Gate, rule: RiskRule, signal: Signal, book: Book) -> Verdict | None:
    """Ask the gate about a pair that a rule must deny; None when nobody can make one up.

    A rule that halts is asked for its halt first, as at a bar.
    """
    pair = _pair(rule, signal, book)
    if pair is None:
        return None
    asked, seen = pair
    return gate.review(asked, replace(seen, halts=tuple(gate.halts(seen))))


def shows(verdict: Verdict, rule: RiskRule) -> bool:
    """Whether a verdict shows that a rule works: denied by it, and not because it failed."""
    failed = verdict.alert or "the rule failed" in verdict.reason
    return not verdict.approved and verdict.rule == rule.name and not failed


def _pair(rule: RiskRule, signal: Signal, book: Book) -> tuple[Signal, Book] | None:
    if type(rule).drill is not RiskRule.drill:
        return rule.drill(signal, book)
    for kind, made in _STANDARD.items():
        if isinstance(rule, kind):
            return made(rule, signal, book)
    return None


def _held(symbol: str, book: Book, *, size: int = 1, stop: float = PRICE) -> Position:
    return Position(symbol, size, PRICE, PRICE, stop, book.session)


def _short(_: Any, signal: Signal, book: Book) -> tuple[Signal, Book]:
    turned = replace(
        signal, side="short", stop=signal.limit * (2 - STOP), target=signal.limit * (2 - TARGET)
    )
    return turned, book


def _taken(_: Any, signal: Signal, book: Book) -> tuple[Signal, Book]:
    return signal, replace(book, positions={signal.symbol: _held(signal.symbol, book)})


def _full(rule: Any, signal: Signal, book: Book) -> tuple[Signal, Book]:
    names = [f"{STRANGER}{number}" for number in range(math.ceil(rule.p.limit))]
    return signal, replace(book, positions={name: _held(name, book) for name in names})


def _far(rule: Any, signal: Signal, book: Book) -> tuple[Signal, Book] | None:
    stop = signal.limit * (1 - rule.p.limit - 0.01)
    return None if stop <= 0 else (replace(signal, stop=stop), book)


def _alike(_: Any, signal: Signal, book: Book) -> tuple[Signal, Book]:
    other = {STRANGER: _held(STRANGER, book)}
    return signal, replace(book, positions=other, history=MadeUp(alike=True))


def _risky(rule: Any, signal: Signal, book: Book) -> tuple[Signal, Book]:
    size = math.ceil(rule.p.limit * book.equity / PRICE) + 1
    return signal, replace(book, positions={STRANGER: _held(STRANGER, book, size=size, stop=0.0)})


def _bad_day(_: Any, signal: Signal, book: Book) -> tuple[Signal, Book]:
    return signal, replace(book, equity_at_previous_close=2 * book.equity)


def _fallen(rule: Any, signal: Signal, book: Book) -> tuple[Signal, Book] | None:
    left = 1 - rule.p.limit - 0.01
    return None if left <= 0 else (signal, replace(book, high=book.equity / left))


def _lost(rule: Any, signal: Signal, book: Book) -> tuple[Signal, Book]:
    left = (book.equity if rule.p.start is None else rule.p.start) - rule.p.limit_usd
    return signal, replace(book, cash=left, equity=left, equity_at_previous_close=left, high=left)


def _outsider(_: Any, signal: Signal, book: Book) -> tuple[Signal, Book]:
    return replace(signal, symbol=STRANGER), book


def _cheap(rule: Any, signal: Signal, book: Book) -> tuple[Signal, Book]:
    return signal, replace(book, history=MadeUp(close=rule.limit / 2))


def _idle(rule: Any, signal: Signal, book: Book) -> tuple[Signal, Book]:
    return signal, replace(book, history=MadeUp(dollars={signal.symbol: rule.limit / 2}))


def _unranked(_: Any, signal: Signal, book: Book) -> tuple[Signal, Book]:
    # Unknown dollars have no rank; as infinite ones they are above every minimum.
    return signal, replace(book, history=MadeUp(dollars={signal.symbol: math.inf}))


_STANDARD: dict[type[RiskRule], Drilling] = {
    rules.LongOnly: _short,
    rules.OneSystemPerSymbol: _taken,
    rules.MaxPositions: _full,
    rules.StopDistance: _far,
    rules.Correlation: _alike,
    rules.OpenRisk: _risky,
    rules.DailyLossHalt: _bad_day,
    rules.DrawdownHalt: _fallen,
    MaxLoss: _lost,
    universe.Membership: _outsider,
    universe.MinimumClose: _cheap,
    universe.MinimumDollarVolume: _idle,
    universe.LargestByDollarVolume: _unranked,
}


def member(symbols: tuple[str, ...], known: Universe | None, session: date) -> str:
    """Return the first symbol that belongs to the universe on a session, else the first."""
    day = np.array([session], dtype="datetime64[D]")
    inside = (one for one in symbols if known is None or known.is_member(one, day)[0])
    return next(inside, symbols[0])
