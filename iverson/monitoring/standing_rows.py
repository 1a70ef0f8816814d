# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of a run, one after the other: positions, entries that wait and halts that remain."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from iverson.book import Halt
from iverson.market.calendar import new_york
from iverson.model import Answer, CashFlow, Fill, Intent, OrderEvent, Side, Verdict
from iverson.monitoring.events import Alarm, Heartbeat
from iverson.monitoring.record import EquityRow, Release, RunRow

ENDED = frozenset({"filled", "canceled", "expired", "rejected"})  # statuses of an order
SENT = frozenset({"accepted"})  # endings of an intent after which an order stands
KINDS: Any = (
    "run", "verdict", "intent", "answer", "order", "fill", "cash_flow", "equity", "halt", "release",
    "alarm", "heartbeat",
)  # fmt: skip
WHOLE = 1e-6  # shares


@dataclass(frozen=True, slots=True)
class Held:
    """Shares held: `size` signed, `entry` the average price, `stop` and `target` as planned.

    Prices are those of today's shares, NaN when unknown or not there; the entry session is 0.
    """

    symbol: str
    size: float
    entry: float
    stop: float
    target: float
    session: date
    sessions: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry that may still fill: shares left of it, its limit, until when."""

    symbol: str
    side: Side
    size: float
    limit: float
    until: datetime | None


@dataclass(slots=True)
class _Open:
    """A position in the making."""

    session: date
    verdict: Verdict | None
    size: float = 0.0
    entered: float = 0.0
    paid: float = 0.0
    ratio: float = 1.0


@dataclass(slots=True)
class Reader:
    """The fold over the rows of a run: what has not been ended by a later one."""

    row: RunRow | None = None
    halts: dict[str, Halt] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    open: dict[str, _Open] = field(default_factory=dict)
    entries: dict[str, Intent] = field(default_factory=dict)
    entered: dict[str, float] = field(default_factory=dict)
    closes: dict[date, float] = field(default_factory=dict)
    deposits: list[CashFlow] = field(default_factory=list)
    equity: EquityRow | None = None
    heartbeat: Heartbeat | None = None
    alarms: list[Alarm] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    judged: list[Verdict] = field(default_factory=list)
    newest: datetime | None = None

    def take(self, value: Any) -> None:  # noqa: C901, PLR0912 (a row of a table a kind)
        """Take one value."""
        at = getattr(value, "at", None)
        if at is not None and (self.newest is None or at > self.newest):
            self.newest = at
        if isinstance(value, RunRow):
            self.row = value
        elif isinstance(value, Halt):
            self.newest = max(self.newest or value.since, value.since)
            self.halts[value.rule] = value
        elif isinstance(value, Release):
            self.halts.pop(value.rule, None)
        elif isinstance(value, Verdict):
            self.judged.append(value)
            if value.approved:
                self.verdicts[value.signal.symbol] = value
        elif isinstance(value, Intent):
            if value.leg == "entry":
                self.entries[value.key] = value
        elif isinstance(value, Answer):
            if value.ending not in SENT:
                self.entries = {k: one for k, one in self.entries.items() if one.name != value.name}
        elif isinstance(value, OrderEvent):
            if value.leg == "entry" and value.status in ENDED:
                self.entries.pop(value.order_id.removesuffix("-entry"), None)
        elif isinstance(value, Fill):
            self.fills.append(value)
            self._fill(value)
        elif isinstance(value, CashFlow):
            self._flow(value)
        elif isinstance(value, EquityRow):
            self.equity = value
            self.closes[value.session] = value.equity
        elif isinstance(value, Heartbeat):
            self.heartbeat = value
        elif isinstance(value, Alarm):
            self.alarms.append(value)

    def _fill(self, fill: Fill) -> None:
        if fill.leg == "entry":
            key = fill.order_id.removesuffix("-entry")
            self.entered[key] = self.entered.get(key, 0.0) + fill.size
        signed = fill.size if fill.side == "buy" else -fill.size
        held = self.open.get(fill.symbol)
        if held is None:
            held = self.open[fill.symbol] = _Open(fill.session, self.verdicts.get(fill.symbol))
        if held.size * signed >= 0:
            held.entered += fill.size
            held.paid += fill.size * fill.price
        held.size += signed
        if abs(held.size) < WHOLE:
            del self.open[fill.symbol]

    def _flow(self, flow: CashFlow) -> None:
        if flow.kind == "deposit":
            self.deposits.append(flow)
        held = self.open.get(flow.symbol)
        if flow.kind != "split" or held is None:
            return
        held.size = math.copysign(math.floor(abs(held.size) * flow.ratio + WHOLE), held.size)
        held.entered *= flow.ratio
        held.ratio *= flow.ratio
        if not held.size:
            del self.open[flow.symbol]

    def held(self, symbol: str, today: date) -> Held:
        """Return the position of a symbol."""
        one, calendar = self.open[symbol], new_york()
        signal = None if one.verdict is None else one.verdict.signal
        target = None if signal is None else signal.target
        return Held(
            symbol=symbol,
            size=one.size,
            entry=one.paid / one.entered,
            stop=math.nan if signal is None else signal.stop / one.ratio,
            target=math.nan if target is None else target / one.ratio,
            session=one.session,
            sessions=calendar.ordinal(today) - calendar.ordinal(one.session),
        )

    def waits(self, at: datetime) -> list[Waiting]:
        """Return the entries that may still fill at an instant."""
        found = []
        for key, intent in self.entries.items():
            body = json.loads(intent.body)
            left = float(body.get("qty", 0)) - self.entered.get(key, 0.0)
            over = intent.valid_until is not None and intent.valid_until <= at
            if left < WHOLE or over:
                continue
            found.append(
                Waiting(
                    symbol=intent.symbol,
                    side="long" if body.get("side") == "buy" else "short",
                    size=left,
                    limit=float(body.get("limit_price", math.nan)),
                    until=intent.valid_until,
                )
            )
        return found

    def close_before(self, session: date) -> float:
        """Return the equity at the last close before a session, moved by the deposits since."""
        before = max((day for day in self.closes if day < session), default=None)
        if before is None:
            return math.nan if self.row is None else self.row.cash
        put_in = sum(flow.amount for flow in self.deposits if before < flow.session <= session)
        return self.closes[before] + put_in
