# SPDX-License-Identifier: GPL-3.0-or-later
"""The book: what the account looks like at one instant; all that a rule or a sizing may read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from iverson.model import Value, Verdict

State = Literal["active", "reducing", "halted"]
OPERATOR = "operator"  # the rule of a halt that a person asked for


@dataclass(frozen=True, slots=True)
class Position:
    """Shares held. `size` is signed, `price` the average entry, `mark` the last close."""

    symbol: str
    size: int
    price: float
    mark: float
    stop: float
    entry_session: date

    @property
    def direction(self) -> int:
        """+1 for long, -1 for short."""
        return 1 if self.size > 0 else -1

    @property
    def notional(self) -> float:
        """Dollars of exposure at the mark, positive for either side."""
        return abs(self.size) * self.mark

    @property
    def risk(self) -> float:
        """Dollars lost from mark to stop, 0 once it locks in a profit; all of it without a stop."""
        lost = (self.mark - self.stop) * self.size
        return self.notional if math.isnan(lost) else max(0.0, lost)


@dataclass(frozen=True, slots=True, eq=False)
class Halt(Value):
    """New entries are refused until `until`, or, when `latched`, until somebody releases it.

    With `flatten` positions are left too, at the next close or sooner; without it (the default)
    they keep their stops, targets and time limits.
    """

    rule: str
    reason: str
    since: datetime
    until: datetime | None = None
    latched: bool = False
    limit: float = math.nan
    value: float = math.nan
    flatten: bool = False

    @property
    def lasts(self) -> bool:
        """Whether it has no end of its own: somebody has to release it."""
        return self.latched or self.until is None

    def in_force(self, at: datetime) -> bool:
        """Whether entries are still refused at this instant."""
        return self.latched or self.until is None or at < self.until


class History(Protocol):
    """Daily facts of the past, point in time: nothing at or after the given session leaks out."""

    def log_returns(
        self, symbol: str, *, before: date, sessions: int
    ) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
        """Sessions and split-adjusted log returns of the last `sessions` sessions before one."""
        ...

    def average_volume(self, symbol: str, *, through: date, sessions: int) -> float:
        """Mean daily volume in today's shares over the last sessions; NaN when none."""
        ...

    def previous_closes(self, symbol: str, sessions: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """Last raw close before each session; NaN when none."""
        ...

    def dollar_volumes(
        self, symbol: str, sessions: NDArray[np.datetime64], *, window: int
    ) -> NDArray[np.float64]:
        """Mean dollars traded in the exchange sessions before each session; NaN: unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Book:
    """What the account looks like at one instant; all that a rule or a sizing may read.

    `equity` is cash plus positions at market. `equity_at_previous_close` and `high` (of the last
    30 calendar days of closing equity and now) are corrected for deposits and withdrawals.
    `pending` holds the approved verdicts whose entry order is still working, by symbol; `risk_cap`
    is the fraction of equity that one trade may risk at the most, by the capital steps.
    """

    at: datetime
    session: date
    cash: float
    equity: float
    equity_at_previous_close: float
    high: float
    history: History
    positions: Mapping[str, Position] = field(default_factory=lambda: MappingProxyType({}))
    pending: Mapping[str, Verdict] = field(default_factory=lambda: MappingProxyType({}))
    halts: tuple[Halt, ...] = ()
    next_open: datetime | None = None
    risk_cap: float = math.inf

    @property
    def state(self) -> State:
        """Active; halted: no entries; reducing: no entries, and positions are being left."""
        standing = [halt for halt in self.halts if halt.in_force(self.at)]
        if any(halt.flatten for halt in standing):
            return "reducing"
        return "halted" if standing else "active"

    @property
    def symbols(self) -> frozenset[str]:
        """Symbols with a position or a working entry."""
        return frozenset(self.positions) | frozenset(self.pending)

    @property
    def day_pnl(self) -> float:
        """Dollars gained since the previous close, open positions included."""
        return self.equity - self.equity_at_previous_close

    @property
    def drawdown(self) -> float:
        """Fraction below the 30-day high, <= 0; NaN when either is unknown."""
        return drawdown(self.equity, self.high)

    @property
    def open_risk(self) -> float:
        """Dollars lost if every stop filled at its price, working entries included."""
        held = sum(position.risk for position in self.positions.values())
        return held + sum(verdict.risk for verdict in self.pending.values())

    @property
    def buying_power(self) -> float:
        """Equity not yet committed to positions or working entries, dollars; no leverage."""
        held = sum(position.notional for position in self.positions.values())
        waiting = sum(verdict.notional for verdict in self.pending.values())
        return max(0.0, self.equity - held - waiting)


def drawdown(equity: float, high: float) -> float:
    """Return the fraction that equity is below a high, <= 0; NaN when either is unknown."""
    if high == 0:
        return 0.0
    fall = equity / high - 1.0
    return fall if not fall >= 0.0 else 0.0  # NaN stays NaN
