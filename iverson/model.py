# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocabulary: frozen values that the four layers share.

Prices are raw dollars a share, as they were quoted on the day (never adjusted). `size` counts
shares; a position's size carries the sign of its side, every other size is positive. Fractions
are fractions (0.02 is 2 %). `at` is a tz-aware UTC instant, `session` an exchange date.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

Side = Literal["long", "short"]
OrderSide = Literal["buy", "sell"]
Leg = Literal[
    "entry", "stop", "target", "time limit", "flatten", "fold end", "bars end", "plain"
]  # fmt: skip
Reading = Literal["worst", "base", "best"]


class Stage(StrEnum):
    """The stages of a system's life."""

    BACKTEST = "backtest"
    WALK_FORWARD = "walk_forward"
    REHEARSE = "rehearse"
    PAPER = "paper"
    LIVE = "live"


class Value:
    """What frozen values share: equal when of one class with equal fields, NaN being equal to NaN.

    (A dataclass's own comparison differs by version: from Python 3.13 a missing number, NaN, makes
    a value unequal to its copy.)
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[object, ...]:
        found = (getattr(self, part.name) for part in fields(self))  # type: ignore[arg-type]  # heirs are dataclasses
        return tuple(math.nan if value != value else value for value in found)  # noqa: PLR0124 (NaN)


@dataclass(frozen=True, slots=True, eq=False)
class Signal(Value):
    """The wish to open a position; it becomes an order only through an approved verdict.

    `limit` is the worst acceptable entry price, `stop` the protective price, `target` the
    profit-taking price (None: leave at the stop or the time limit only). `max_sessions` counts
    exchange sessions with the entry session as 0 (None: no time limit). `reason` is free: a
    number or words, for the journal.
    """

    at: datetime
    session: date
    symbol: str
    side: Side
    confidence: int
    limit: float
    stop: float
    target: float | None = None
    max_sessions: int | None = None
    reason: str | float = ""
    strategy: str = ""

    @property
    def direction(self) -> int:
        """+1 for long, -1 for short."""
        return 1 if self.side == "long" else -1

    @property
    def risk_per_share(self) -> float:
        """Dollars a share lost between `limit` and `stop`; positive when the stop protects."""
        return (self.limit - self.stop) * self.direction

    def fault(self) -> str | None:
        """Say what makes this signal unusable, or None.

        Checked: an integer confidence of 1 to 5, finite positive prices, a stop on the losing
        side of the limit and a target on the winning side, a known side, `max_sessions` >= 0.
        """
        if type(self.confidence) is not int or not 1 <= self.confidence <= 5:
            return f"confidence is {self.confidence!r}; expected a whole number from 1 to 5"
        if self.side not in ("long", "short"):
            return f"side is {self.side!r}; expected 'long' or 'short'"
        target = self.limit if self.target is None else self.target
        for name, price in (("limit", self.limit), ("stop", self.stop), ("target", target)):
            if not isinstance(price, int | float) or not 0 < price < math.inf:
                return f"{name} is {price!r}; expected a finite price above 0"
        if self.risk_per_share <= 0:
            losing = "below" if self.side == "long" else "above"
            return f"stop {self.stop:g} must lie {losing} the limit {self.limit:g}"
        if self.target is not None and (self.target - self.limit) * self.direction <= 0:
            winning = "above" if self.side == "long" else "below"
            return f"target {self.target:g} must lie {winning} the limit {self.limit:g}"
        sessions = self.max_sessions
        if sessions is not None and (type(sessions) is not int or sessions < 0):
            return f"max_sessions is {sessions!r}; expected a whole number of 0 or more"
        return None


class Denial(str):
    """A reason to deny, in words, that also carries the rule's `limit` and the `value` it met."""

    __slots__ = ("limit", "value")
    limit: float
    value: float

    def __new__(cls, reason: str, *, limit: float = math.nan, value: float = math.nan) -> Denial:
        """Attach the numbers; NaN for a rule that has none."""
        denial = super().__new__(cls, reason)
        denial.limit = limit
        denial.value = value
        return denial


@dataclass(frozen=True, slots=True, eq=False)
class Verdict(Value):
    """The risk layer's answer to one signal.

    Approved: `rule` names what bounded the size. Denied: `size` is 0, and `rule`, `limit`, `value`
    and `reason` say why. NaN: not applicable.
    """

    signal: Signal
    approved: bool
    size: int
    rule: str
    reason: str
    limit: float = math.nan
    value: float = math.nan
    alert: bool = False

    @property
    def risk(self) -> float:
        """Dollars lost when the stop fills at its price."""
        return self.size * self.signal.risk_per_share

    @property
    def notional(self) -> float:
        """Dollars that the entry costs when it fills at its limit."""
        return self.size * self.signal.limit


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """One change of state of one order, as the broker reported it."""

    at: datetime
    session: date
    order_id: str
    symbol: str
    side: OrderSide
    leg: Leg
    kind: str
    status: str
    size: float
    price: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Fill:
    """Execution of (part of) an order.

    `price` includes `spread`, the dollars a share given away against the price the bar offered;
    `commission` is dollars for the whole fill. `ambiguous`: the bar does not tell whether or in
    which order this happened.
    """

    at: datetime
    session: date
    order_id: str
    symbol: str
    side: OrderSide
    leg: Leg
    size: float
    price: float
    commission: float
    spread: float = 0.0
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class CashFlow:
    """Cash that moved without a fill: a dividend, a split's cash in lieu, a deposit."""

    at: datetime
    session: date
    symbol: str
    kind: str
    amount: float
    ratio: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Trade(Value):
    """A closed round trip; `pnl` after costs, dividends included; prices in the exit's shares."""

    symbol: str
    side: Side
    size: float
    entry_at: datetime
    entry_session: date
    entry: float
    exit_at: datetime
    exit_session: date
    exit: float
    pnl: float
    commission: float
    spread: float
    dividends: float
    sessions: int
    exit_reason: str
    confidence: int
    risk: float
    stop: float
    target: float
    ambiguous: bool
    reason: str | float = ""
    strategy: str = ""
    entry_order: str = ""

    @property
    def r_multiple(self) -> float:
        """Profit in units of the planned risk; NaN when no risk was planned."""
        return self.pnl / self.risk if self.risk > 0 else math.nan


@dataclass(frozen=True, slots=True)
class Bracket:
    """An entry with its stop, target and time limit, ready for a broker: prices on ticks.

    The entry may fill up to `valid_until`, inclusive.
    """

    key: str
    symbol: str
    side: Side
    size: int
    limit: float
    stop: float
    target: float | None
    max_sessions: int | None
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be sent to a venue, written down before it is: one order, by name.

    `name` is the client order id, the same in every process for the same decision (`key`, `leg`,
    `attempt`); `body` the request as canonical JSON. `replaces` is the venue's id of an order that
    this one re-prices. After `valid_until` it is not sent any more (None: exits have no end).
    """

    at: datetime
    session: date
    name: str
    key: str
    symbol: str
    leg: Leg
    attempt: int
    body: str
    valid_until: datetime | None = None
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an intent: accepted, rejected, margin, abandoned or keys.

    `order` is the venue's id of what was accepted; `posts` counts the requests.
    """

    at: datetime
    session: date
    name: str
    symbol: str
    ending: str
    reason: str = ""
    order: str = ""
    posts: int = 0


@dataclass(frozen=True, slots=True)
class Execution:
    """A venue's word that shares changed hands, noted before it is booked, and booked once.

    `id` is the venue's id of the order and how many of its shares are executed with this one:
    the same execution has the same id wherever it is heard of.
    """

    at: datetime
    session: date
    id: str
    order: str
    key: str
    symbol: str
    side: OrderSide
    leg: Leg
    size: float
    price: float
