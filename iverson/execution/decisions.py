# SPDX-License-Identifier: GPL-3.0-or-later
"""One decision between two processes: what was written down for it, what the broker shows of it.

Pure. From both together follows what is open, which fills were missed, and how its orders ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from iverson.execution.bracket import make_bracket
from iverson.execution.shares import ratio_after, shares_of
from iverson.model import Bracket, CashFlow, Execution, Intent, Leg, OrderEvent, Side, Verdict


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """One decision that is still open: shares held, an entry working, or both.

    `size` shares were asked for, `filled` entered at `price` on average, `held` (signed) are left;
    `entered` is Backtrader's date number of the first fill. The orders are the broker's, None when
    it has none alive; `exit` is one that leaves the position already, at a limit or at any price.
    `booked` counts the shares of each order that the books have, as the broker counted them then.
    """

    symbol: str
    side: Side
    key: str
    name: str
    size: int
    filled: int
    held: int
    price: float
    limit: float
    entered: float | None
    stop_price: float | None
    target_price: float | None
    entry: Any = None
    stop: Any = None
    target: Any = None
    exit: Any = None
    exit_leg: Leg = "flatten"
    booked: Mapping[str, float] = field(default_factory=dict)
    bracket: Bracket | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read: sessions of instants, Backtrader's date numbers, which client ids are ours."""

    session_of: Callable[[datetime], date]
    number_of: Callable[[datetime], float]
    is_ours: Callable[[str | None], bool]


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision: what was written down for it, and its orders at the broker, with their legs."""

    key: str
    intents: Sequence[Intent]
    orders: Mapping[str, tuple[str, Any]]
    verdict: Verdict | None
    flows: Sequence[CashFlow] = ()

    @property
    def symbol(self) -> str:
        """What is traded."""
        return self.intents[0].symbol

    @property
    def first(self) -> Intent | None:
        """The intent of its entry."""
        return next((one for one in self.intents if one.leg == "entry"), None)

    @property
    def alive(self) -> bool:
        """Whether its entry may still fill."""
        return any(leg == "entry" and one.alive for leg, one in self.orders.values())

    @property
    def standing(self) -> list[str]:
        """Ids of exits that still work at the broker."""
        return [one.id for leg, one in self.orders.values() if one.alive and leg != "entry"]

    @property
    def stale(self) -> list[str]:
        """Ids of living orders that were made before a split of the symbol."""
        splits = [
            flow.at for flow in self.flows if flow.kind == "split" and flow.symbol == self.symbol
        ]
        last = max(splits, default=None)
        return [
            one.id
            for _, one in self.orders.values()
            if one.alive and last is not None and (one.submitted_at or last) < last
        ]

    def held(self, executions: Sequence[Execution]) -> int:
        """Return the signed shares that its executions leave, in today's shares."""
        shares = shares_of(self.symbol, executions, self.flows)
        return shares.held if self._buys(executions) else -shares.held

    def missed(
        self, booked: Sequence[Execution], fills: Mapping[str, list[Any]], reading: Reading
    ) -> list[Execution]:
        """Return the executions that the broker shows and the journal lacks, in time."""
        known = {one.id for one in booked}
        late = []
        for order_id, (leg, _) in self.orders.items():
            for row in fills.get(order_id, ()):
                name = f"{order_id}:{row.cumulative:g}"
                if name not in known:
                    late.append(
                        Execution(
                            row.at, reading.session_of(row.at), name, order_id, self.key,
                            self.intents[0].symbol, row.side, leg, row.size, row.price,  # type: ignore[arg-type]  # a Leg by its kind
                        )
                    )  # fmt: skip
        return sorted(late, key=lambda one: one.at)

    def left_by_others(
        self, executions: Sequence[Execution], rows: Sequence[Any], gone: int, reading: Reading
    ) -> list[Execution]:
        """Return what somebody else has left of it: strangers' fills that explain missing shares.

        At most `gone` shares; the position was left all the same, so the books say so.
        """
        known = {one.id for one in executions}
        left = min(gone, abs(self.held(executions)))
        entered = min((one.at for one in executions if one.leg == "entry"), default=None)
        leaves = "sell" if self._buys(executions) else "buy"
        found = []
        for row in rows:
            name = f"{row.order_id}:{row.cumulative:g}"
            fits = row.symbol == self.symbol and row.side == leaves and name not in known
            if not left or not fits or entered is None or row.at < entered:
                continue
            size = min(left, round(row.size))
            left -= size
            found.append(
                Execution(
                    row.at, reading.session_of(row.at), name, row.order_id, self.key, self.symbol,
                    row.side, "flatten", size, row.price,
                )
            )  # fmt: skip
        return found

    def ended(self, told: frozenset[str], reading: Reading, *, is_open: bool) -> list[OrderEvent]:
        """Return how its orders ended, as far as nobody has noted it.

        Of an open decision the entry's end only: its legs may be made anew, and end with it.
        """
        found = {}
        for leg, one in self.orders.values():
            name = f"{self.key}-{leg.replace(' ', '-')}"
            waits = is_open and leg != "entry"
            if one.alive or waits or name in told or one.meaning == "replaced":
                continue
            at = one.ended_at or self.intents[0].at
            until = self.intents[0].valid_until
            overdue = leg == "entry" and until is not None and until <= at
            found[name] = OrderEvent(
                at=at,
                session=reading.session_of(at),
                order_id=name,
                symbol=one.symbol,
                side=one.side,
                leg=leg,  # type: ignore[arg-type]  # a Leg by its kind
                kind=one.kind,
                status="expired" if overdue and one.meaning == "canceled" else one.meaning,
                size=one.size,
                price=float(one.limit or one.stop or math.nan),
            )
        return list(found.values())

    def group(
        self, executions: Sequence[Execution], shown: Mapping[str, Any], reading: Reading
    ) -> OpenGroup | None:
        """Return what is open of it, None when nothing is; everything in today's shares."""
        first = self.first
        if first is None:
            return None
        entry = shown.get(first.name)
        shares = shares_of(self.symbol, executions, self.flows)
        if not shares.held and not self.alive:
            return None
        entered = [one.at for one in executions if one.leg == "entry"]
        long = self._buys(executions)
        size = round(entry.size) if entry is not None and self.alive else shares.entered
        stop, target = self._living("stop"), self._living("target")
        leaving = self._living("time limit", "flatten")
        signal = None if self.verdict is None else self.verdict.signal
        ratio = 1.0 if signal is None else ratio_after(self.symbol, signal.at, self.flows)
        planned = (None, None) if signal is None else (signal.stop, signal.target)
        return OpenGroup(
            symbol=first.symbol,
            side="long" if long else "short",
            key=self.key,
            name=first.name,
            size=size,
            filled=shares.entered,
            held=shares.held if long else -shares.held,
            price=shares.price or math.nan,
            limit=_limit(entry, signal, shares.price),
            entered=reading.number_of(min(entered)) if entered else None,
            stop_price=_price(stop, "stop", planned[0], ratio),
            target_price=_price(target, "limit", planned[1], ratio),
            entry=entry,
            stop=stop,
            target=target,
            exit=leaving,
            booked=_by_order(executions),
            exit_leg=self.orders[leaving.id][0] if leaving else "flatten",  # type: ignore[arg-type]  # a Leg
            bracket=None if self.verdict is None else _bracket(self.verdict, first),
            verdict=None if self.verdict is None else replace(self.verdict, size=size),
        )

    def _buys(self, executions: Sequence[Execution]) -> bool:
        side = next((one.side for one in executions if one.leg == "entry"), None)
        first = self.first
        return side == "buy" if side else first is not None and '"side":"buy"' in first.body

    def _living(self, *legs: str) -> Any:
        return next((one for leg, one in self.orders.values() if leg in legs and one.alive), None)


def orders_of(intents: Sequence[Intent], shown: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Return the orders of some intents by the broker's id, legs included, each with its leg."""
    found: dict[str, tuple[str, Any]] = {}
    for intent in intents:
        order = shown.get(intent.name)
        if order is None:
            continue
        # A protection is a target with a stop beside it: by its kind, not by its intent's leg.
        leg = order.leg if intent.leg == "stop" and order.legs else intent.leg
        found[order.id] = (leg, order)
        for one in order.legs:
            found[one.id] = (one.leg, one)
    return found


def _by_order(executions: Sequence[Execution]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in executions:
        found[one.order] = found.get(one.order, 0.0) + one.size
    return found


def _limit(entry: Any, signal: Any, paid: float) -> float:
    if entry is not None and entry.limit is not None:
        return float(entry.limit)
    return float(signal.limit) if signal is not None else paid


def _price(leg: Any, field: str, planned: float | None, ratio: float) -> float | None:
    shown = None if leg is None else getattr(leg, field)
    if shown is not None:
        return float(shown)
    return None if planned is None else planned / ratio


def _bracket(verdict: Verdict, first: Intent) -> Bracket:
    end = first.valid_until or datetime.max.replace(tzinfo=UTC)
    return make_bracket(verdict, valid_until=end)
