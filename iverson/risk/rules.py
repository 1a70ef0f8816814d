# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard rails: each rule answers one question about a signal, in words, or lets it pass.

A rule is a Backtrader component (`params`, tuned like a strategy's) that holds no state, does no
I/O and reads no clock: everything it may know is in the `Book`. Three questions can be asked:

* `deny(signal, book)`: may this entry be made at all?
* `deny_size(signal, size, book)`: may it be made with this many shares?
* `halt(book)`: should all entries stop for a while?

Exits are never asked about.
"""

from __future__ import annotations

import math
from datetime import timedelta
from functools import cache
from typing import Any

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from iverson.book import Book, Halt, drawdown
from iverson.model import Denial, Signal

_ROUNDING = 1e-9  # relative slack for float arithmetic when a limit is met exactly


@cache
def _in_words(name: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


class RiskRule(metaclass=bt.MetaParams):
    """The base of all rules: lets everything pass. Override what the rule is about."""

    params: Any = ()
    p: Any

    @property
    def name(self) -> str:
        """The class name in words, as journaled: `MaxPositions` is "max positions"."""
        return _in_words(type(self).__name__)

    def deny(self, signal: Signal, book: Book) -> str | None:  # noqa: ARG002 (signature)
        """Say why this entry must not be made, or None. A `Denial` adds limit and value."""
        return None

    def deny_size(self, signal: Signal, size: int, book: Book) -> str | None:  # noqa: ARG002 (signature)
        """Say why this entry must not be made with `size` shares, or None."""
        return None

    def halt(self, book: Book) -> Halt | None:  # noqa: ARG002 (signature)
        """Return a halt of all entries when the book calls for one, or None."""
        return None

    def drill(self, signal: Signal, book: Book) -> tuple[Signal, Book] | None:  # noqa: ARG002 (signature)
        """Change a sound pair into one that this rule, and no rule before it, has to deny.

        Return None when it cannot be made up (the default): then only trading shows the rule deny.
        """
        return None

    def __repr__(self) -> str:
        values = ", ".join(f"{key}={value!r}" for key, value in self.p._getkwargs().items())
        return f"{type(self).__name__}({values})"


class OneSystemPerSymbol(RiskRule):
    """Deny a second entry in a symbol that is held or has a working entry.

    Reads: book.positions, book.pending.
    """

    def deny(self, signal: Signal, book: Book) -> str | None:
        """Deny when the symbol is taken."""
        if signal.symbol in book.positions:
            return Denial(f"{signal.symbol} is already held", limit=1, value=1)
        if signal.symbol in book.pending:
            return Denial(f"{signal.symbol} already has a working entry", limit=1, value=1)
        return None


class LongOnly(RiskRule):
    """Deny short entries: part of the standard set until shorting is asked for.

    Reads: signal.side.
    """

    def deny(self, signal: Signal, book: Book) -> str | None:  # noqa: ARG002 (signature)
        """Deny a short signal."""
        return "short entries are not allowed" if signal.side == "short" else None


class MaxPositions(RiskRule):
    """Deny an entry when `limit` symbols have a position or a working entry.

    Reads: book.positions, book.pending (foreign ones included).
    """

    params = (("limit", 5),)

    def deny(self, signal: Signal, book: Book) -> str | None:  # noqa: ARG002 (signature)
        """Deny when every slot is taken."""
        taken = len(book.symbols)
        if taken >= self.p.limit:
            return Denial(
                f"{taken} positions and working entries, the limit is {self.p.limit}",
                limit=self.p.limit,
                value=taken,
            )
        return None


class StopDistance(RiskRule):
    """Deny an entry whose stop lies further than `limit` (a fraction) from its limit price.

    Reads: signal. The planned loss only: a gap through the stop costs more.
    """

    params = (("limit", 0.05),)

    def deny(self, signal: Signal, book: Book) -> str | None:  # noqa: ARG002 (signature)
        """Deny a stop that is too far away."""
        distance = signal.risk_per_share / signal.limit
        if exceeds(distance, self.p.limit):
            return Denial(
                f"the stop is {distance:.2%} from the entry, the limit is {self.p.limit:.2%}",
                limit=self.p.limit,
                value=distance,
            )
        return None


class Correlation(RiskRule):
    """Deny an entry that would double a bet already open.

    Reads: book.history, book.positions, book.pending.

    Pearson correlation of daily log returns over the last `lookback` sessions that end the day
    before, on the sessions both symbols share, signed by the two directions: a short in a
    correlated symbol is a hedge. Fewer than `shared` shared sessions, or returns without
    variance, are a denial, because silence is no evidence of safety.
    """

    params = (("limit", 0.70), ("lookback", 60), ("shared", 40))

    def deny(self, signal: Signal, book: Book) -> str | None:
        """Deny when the correlation with any open or pending symbol exceeds the limit."""
        directions = {s: position.direction for s, position in book.positions.items()}
        directions.update({s: v.signal.direction for s, v in book.pending.items()})
        for symbol in sorted(directions):
            if symbol == signal.symbol:
                continue
            found = self._correlation(signal, symbol, book)
            if isinstance(found, str):
                return found
            signed = found * signal.direction * directions[symbol]
            if not signed <= self.p.limit:
                return Denial(
                    f"correlation of {signal.symbol} with {symbol} is {signed:.2f}, "
                    f"the limit is {self.p.limit:.2f}",
                    limit=self.p.limit,
                    value=signed,
                )
        return None

    def _correlation(self, signal: Signal, other: str, book: Book) -> float | Denial:
        mine, theirs = (
            book.history.log_returns(symbol, before=book.session, sessions=self.p.lookback)
            for symbol in (signal.symbol, other)
        )
        shared, i, j = np.intersect1d(mine[0], theirs[0], assume_unique=True, return_indices=True)
        x, y = mine[1][i], theirs[1][j]
        if len(shared) < self.p.shared:
            return Denial(
                f"only {len(shared)} sessions shared with {other}, {self.p.shared} are needed "
                "to judge the correlation",
                limit=self.p.shared,
                value=len(shared),
            )
        found = float(correlation(x, y))
        if math.isnan(found):
            return Denial(
                f"the correlation with {other} is undefined: returns without variance",
                limit=self.p.limit,
            )
        return found


class OpenRisk(RiskRule):
    """Deny an entry that would lift the loss at all stops together above `limit` of equity.

    Reads: book.open_risk (positions and working entries), book.equity.
    """

    params = (("limit", 0.06),)

    def deny_size(self, signal: Signal, size: int, book: Book) -> str | None:
        """Deny when the total risk would exceed the limit."""
        total = total_risk(book.open_risk, size, signal.risk_per_share, book.equity)
        if exceeds(total, self.p.limit):
            return Denial(
                f"all stops together would risk {total:.2%} of equity, "
                f"the limit is {self.p.limit:.2%}",
                limit=self.p.limit,
                value=total,
            )
        return None


class DailyLossHalt(RiskRule):
    """Halt entries after a bad day: a loss of min(`limit_usd`, `limit` x equity) or more.

    Reads: book.day_pnl (open positions included, deposits and withdrawals not), book.equity.

    The halt lasts until max(trigger + 24 hours, next session open). Positions keep their exits
    unless `flatten` asks that they be left. `limit` is a fraction of the
    equity at the previous close, so that the threshold does not shrink with the loss itself.
    """

    params = (("limit_usd", 500.0), ("limit", 0.03), ("hours", 24), ("flatten", False))

    def has_reached(self, equity: float, previous_close: float, high: float) -> bool:  # noqa: ARG002 (signature)
        """Whether the day's loss is at the limit: all that `halt` asks, in three numbers."""
        allowed = allowed_loss(self.p.limit_usd, self.p.limit, previous_close)
        return has_fallen(equity - previous_close, allowed)

    def halt(self, book: Book) -> Halt | None:
        """Halt when today's loss reaches the limit."""
        if not self.has_reached(book.equity, book.equity_at_previous_close, book.high):
            return None
        allowed = allowed_loss(self.p.limit_usd, self.p.limit, book.equity_at_previous_close)
        until = book.at + timedelta(hours=self.p.hours)
        if book.next_open is not None:
            until = max(until, book.next_open)
        return Halt(
            rule=self.name,
            reason=f"the day's loss of ${-book.day_pnl:,.2f} reached the limit of ${allowed:,.2f}",
            since=book.at,
            until=until,
            limit=-allowed,
            value=book.day_pnl,
            flatten=self.p.flatten,
        )


class DrawdownHalt(RiskRule):
    """Halt entries when equity has fallen `limit` (a fraction) below its 30-day high.

    Reads: book.drawdown. Latched: in paper and live only an operator releases it; a backtest
    releases it after 20 sessions, re-bases the high, and says so. Positions keep their exits unless
    `flatten` asks that they be left.
    """

    params = (("limit", 0.10), ("flatten", False))

    def has_reached(self, equity: float, previous_close: float, high: float) -> bool:  # noqa: ARG002 (signature)
        """Whether the drawdown is at the limit: all that `halt` asks, in three numbers."""
        return has_fallen(drawdown(equity, high), self.p.limit)

    def halt(self, book: Book) -> Halt | None:
        """Halt when the drawdown reaches the limit."""
        if not self.has_reached(book.equity, book.equity_at_previous_close, book.high):
            return None
        return Halt(
            rule=self.name,
            reason=f"equity is {-book.drawdown:.2%} below its 30-day high of ${book.high:,.2f}",
            since=book.at,
            latched=True,
            limit=-self.p.limit,
            value=book.drawdown,
            flatten=self.p.flatten,
        )


# -- the arithmetic alone, the same for these rules and for the compiled search --------------------


def exceeds(value: float, limit: float) -> bool:
    """Whether a value lies above its limit, float noise aside; NaN does."""
    return not value <= limit * (1 + _ROUNDING)


def has_fallen(value: float, limit: float) -> bool:
    """Whether a loss (negative) has reached its limit (positive), float noise aside."""
    return value <= -limit * (1 - _ROUNDING)


def total_risk(open_risk: float, size: int, risk_per_share: float, equity: float) -> float:
    """Return the fraction of equity lost when every stop and that of a new entry is hit."""
    return (open_risk + size * risk_per_share) / equity


def allowed_loss(limit_usd: float, limit: float, previous_close: float) -> float:
    """Return the dollars that a day may lose: the smaller of two limits."""
    return min(limit_usd, limit * previous_close)


def correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation of pairs of return series, shapes (..., k) to (...).

    NaN where either has no variance: differs by no more than float noise, or is not all numbers.
    """
    undefined = _steady(x) | _steady(y)
    x, y = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    with np.errstate(all="ignore"):
        found = _dot(x, y) / np.sqrt(_dot(x, x) * _dot(y, y))
    return np.where(undefined, np.nan, np.clip(found, -1.0, 1.0))


def _dot(x: NDArray[np.float64], y: NDArray[np.float64]) -> Any:
    return (x[..., None, :] @ y[..., :, None])[..., 0, 0]


def _steady(returns: NDArray[np.float64]) -> NDArray[np.bool_]:
    spread = np.ptp(returns, axis=-1)
    steady: NDArray[np.bool_] = ~(spread > _ROUNDING * np.abs(returns).max(axis=-1))
    return steady


def standard(*, short: bool = False) -> tuple[RiskRule, ...]:
    """Return the standard rule set, in the order in which it is asked; long-only unless `short`."""
    sides: tuple[RiskRule, ...] = () if short else (LongOnly(),)
    return (
        DrawdownHalt(),
        DailyLossHalt(),
        *sides,
        OneSystemPerSymbol(),
        MaxPositions(),
        StopDistance(),
        Correlation(),
        OpenRisk(),
    )
