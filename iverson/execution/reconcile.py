# SPDX-License-Identifier: GPL-3.0-or-later
"""Our books against the broker's: one path for a start, a wake and the recovery of a crash. Pure.

What we wrote down (intents, executions, verdicts) is laid beside what the broker shows (orders,
fills, positions). Fills that we missed are told; what is open is rebuilt; what nobody can explain
is a problem, and with a problem no entry is made until a person has looked. Foreign positions and
orders are left alone and counted.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from iverson.execution.bracket import key_of, make_bracket
from iverson.model import Bracket, Execution, Fill, Intent, OrderEvent, Side, Verdict

NEAR = 1e-6  # shares


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """One decision that is still open: shares held, an entry working, or both.

    `size` shares were asked for, `filled` entered at `price` on average, `held` (signed) are left;
    `entered` is Backtrader's date number of the first fill. The orders are the broker's, None when
    it has none alive.
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
    bracket: Bracket | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What our journal says of decisions that may be open, each in the order in which it happened.

    `verdicts` has the approved ones; `names` the client ids of every intent there ever was; `told`
    the orders (decision and leg) whose end is journaled.
    """

    intents: Sequence[Intent] = ()
    executions: Sequence[Execution] = ()
    verdicts: Sequence[Verdict] = ()
    names: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Shown:
    """What the broker shows: orders by client id (legs inside), fills, positions, open orders.

    `orders` has an entry for each of our names that the broker knows.
    """

    orders: Mapping[str, Any]
    fills: Sequence[Any]
    holdings: Sequence[Any]
    working: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What follows: groups to go on with, what to note, orders to cancel, what is wrong."""

    groups: tuple[OpenGroup, ...] = ()
    missed: tuple[Execution, ...] = ()
    ended: tuple[OrderEvent, ...] = ()
    sweep: tuple[str, ...] = ()
    foreign: tuple[Any, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read: sessions of instants, Backtrader's date numbers, which client ids are ours."""

    session_of: Callable[[datetime], date]
    number_of: Callable[[datetime], float]
    is_ours: Callable[[str | None], bool]


def reconcile(written: Written, shown: Shown, reading: Reading) -> Reconciled:
    """Lay the two books beside each other."""
    intents: dict[str, list[Intent]] = defaultdict(list)
    for intent in written.intents:
        intents[intent.key].append(intent)
    booked: dict[str, list[Execution]] = defaultdict(list)
    for execution in written.executions:
        booked[execution.key].append(execution)
    fills: dict[str, list[Any]] = defaultdict(list)
    for row in shown.fills:
        fills[row.order_id].append(row)
    verdicts = {key_of(one.signal): one for one in written.verdicts if one.approved}

    groups, missed, ended, sweep = [], [], [], []
    known: set[str] = set()
    for key, several in intents.items():
        decision = _Decision(key, several, _orders(several, shown.orders), verdicts.get(key))
        known.update(decision.orders)
        late = decision.missed(booked[key], fills, reading)
        missed += late
        ended += decision.ended(written.told, reading)
        group = decision.group([*booked[key], *late], shown.orders, reading)
        if group is not None:
            groups.append(group)
        else:
            sweep += decision.standing
    foreign, wrong = _positions(groups, shown.holdings)
    problems = [*_orphans(shown.working, known, reading), *wrong]
    return Reconciled(
        tuple(groups), tuple(missed), tuple(ended), tuple(sweep), tuple(foreign), tuple(problems)
    )


def unbooked(executions: Iterable[Execution], fills: Iterable[Fill]) -> list[Execution]:
    """Return the executions that no fill of the journal speaks of: a crash came between the two.

    Both are matched by decision and leg, in order, by the shares they add up to.
    """
    told: dict[tuple[str, str], float] = defaultdict(float)
    for fill in fills:
        told[fill.order_id, fill.leg] += fill.size
    left = []
    for one in executions:
        place = (f"{one.key}-{one.leg.replace(' ', '-')}", one.leg)
        if told[place] >= one.size - NEAR:
            told[place] -= one.size
        elif told[place] > NEAR:
            left.append(replace(one, size=one.size - told[place]))
            told[place] = 0.0
        else:
            left.append(one)
    return left


@dataclass(frozen=True, slots=True)
class _Decision:
    """One decision: what was written down for it, and its orders at the broker, with their legs."""

    key: str
    intents: Sequence[Intent]
    orders: Mapping[str, tuple[str, Any]]
    verdict: Verdict | None

    @property
    def standing(self) -> list[str]:
        """Ids of exits that still work at the broker."""
        return [one.id for leg, one in self.orders.values() if one.alive and leg != "entry"]

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

    def ended(self, told: frozenset[str], reading: Reading) -> list[OrderEvent]:
        """Return how its orders ended, as far as nobody has noted it."""
        found = {}
        for leg, one in self.orders.values():
            name = f"{self.key}-{leg.replace(' ', '-')}"
            if one.alive or name in told or one.meaning == "replaced":
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
        """Return what is open of it, None when nothing is."""
        first = next((one for one in self.intents if one.leg == "entry"), None)
        if first is None:
            return None
        entry = shown.get(first.name)
        entered = [one for one in executions if one.leg == "entry"]
        filled = round(sum(one.size for one in entered))
        held = filled - round(sum(one.size for one in executions if one.leg != "entry"))
        alive = entry is not None and entry.alive
        if not held and not alive:
            return None
        long = _buys(first, entered)
        size = round(entry.size) if entry is not None else filled
        paid = sum(one.size * one.price for one in entered)
        stop, target = self._living("stop"), self._living("target", "time limit", "flatten")
        signal = None if self.verdict is None else self.verdict.signal
        return OpenGroup(
            symbol=first.symbol,
            side="long" if long else "short",
            key=self.key,
            name=first.name,
            size=size,
            filled=filled,
            held=held if long else -held,
            price=paid / filled if filled else math.nan,
            limit=_limit(entry, signal, paid, filled),
            entered=reading.number_of(entered[0].at) if entered else None,
            stop_price=_price(stop, "stop", None if signal is None else signal.stop),
            target_price=_price(target, "limit", None if signal is None else signal.target),
            entry=entry,
            stop=stop,
            target=target,
            bracket=None if self.verdict is None else _bracket(self.verdict, first),
            verdict=None if self.verdict is None else replace(self.verdict, size=size),
        )

    def _living(self, *legs: str) -> Any:
        return next((one for leg, one in self.orders.values() if leg in legs and one.alive), None)


def _orders(intents: Sequence[Intent], shown: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
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


def _buys(first: Intent, entered: Sequence[Execution]) -> bool:
    return entered[0].side == "buy" if entered else '"side":"buy"' in first.body


def _limit(entry: Any, signal: Any, paid: float, filled: int) -> float:
    if entry is not None and entry.limit is not None:
        return float(entry.limit)
    if signal is not None:
        return float(signal.limit)
    return paid / filled if filled else math.nan


def _price(leg: Any, field: str, planned: float | None) -> float | None:
    shown = None if leg is None else getattr(leg, field)
    return planned if shown is None else float(shown)


def _bracket(verdict: Verdict, first: Intent) -> Bracket:
    end = first.valid_until or datetime.max.replace(tzinfo=UTC)
    return make_bracket(verdict, valid_until=end)


def _orphans(working: Sequence[Any], known: set[str], reading: Reading) -> list[str]:
    return [
        f"{one.symbol}: order {one.id} has a name of Iverson's, but the journal does not know it; "
        "another journal or another Iverson trades on this account"
        for one in working
        if reading.is_ours(one.name) and one.id not in known
    ]


def _positions(groups: Sequence[OpenGroup], holdings: Sequence[Any]) -> tuple[list[Any], list[str]]:
    ours: dict[str, int] = defaultdict(int)
    for group in groups:
        ours[group.symbol] += group.held
    foreign, wrong = [], []
    shown = {one.symbol: one for one in holdings}
    for symbol, one in shown.items():
        if symbol not in ours:
            foreign.append(one)
    for symbol, size in ours.items():
        there = shown[symbol].size if symbol in shown else 0.0
        if abs(there - size) > NEAR:
            wrong.append(
                f"{symbol}: we hold {size} by our fills, the broker shows {there:g}; somebody "
                "else has traded it, or a fill is missing"
            )
    return foreign, wrong
