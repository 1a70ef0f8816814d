# SPDX-License-Identifier: GPL-3.0-or-later
"""Our books against the broker's: one path for a start, a wake and the recovery of a crash. Pure.

What we wrote down (intents, executions, verdicts) is laid beside what the broker shows (orders,
fills, positions). Fills that we missed are told; what is open is rebuilt; what nobody can explain
is a problem, and with a problem no entry is made until a person has looked. Foreign positions and
orders are left alone and counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from iverson.book import OPERATOR, Halt
from iverson.execution.bracket import key_of
from iverson.execution.decisions import Decision, OpenGroup, Reading, orders_of
from iverson.model import CashFlow, Execution, Fill, Intent, OrderEvent, Verdict

NEAR = 1e-6  # shares


@dataclass(frozen=True, slots=True)
class Written:
    """What our journal says of decisions that may be open, each in the order in which it happened.

    `verdicts` has the approved ones; `names` the client ids of every intent there ever was, and
    `answered` of those whose answer is known; `told` the orders (decision and leg) whose end is
    journaled. `flows` are the cash flows and splits since `since`, None when nobody asks for them;
    `halts` those that nobody has ended.
    """

    intents: Sequence[Intent] = ()
    executions: Sequence[Execution] = ()
    verdicts: Sequence[Verdict] = ()
    names: frozenset[str] = frozenset()
    answered: frozenset[str] = frozenset()
    told: frozenset[str] = frozenset()
    flows: Sequence[CashFlow] = ()
    since: datetime | None = None
    halts: Sequence[Halt] = ()

    @property
    def left_at(self) -> datetime | None:
        """Since when an operator has everything left, by whatever means; None: nobody has."""
        return next((one.since for one in self.halts if one.rule == OPERATOR and one.flatten), None)


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
    """What follows: groups to go on with, what to note, orders to cancel, what is wrong.

    `stale` orders were made before a split: their prices and sizes are those of other shares.
    """

    groups: tuple[OpenGroup, ...] = ()
    missed: tuple[Execution, ...] = ()
    ended: tuple[OrderEvent, ...] = ()
    sweep: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    foreign: tuple[Any, ...] = ()
    problems: tuple[str, ...] = ()


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

    decisions = [
        Decision(key, own, orders_of(own, shown.orders), verdicts.get(key), written.flows)
        for key, own in intents.items()
    ]
    known = {order_id for one in decisions for order_id in one.orders}
    strangers = [row for row in shown.fills if row.order_id not in known]
    there = {one.symbol: one.size for one in shown.holdings}
    missed: list[Execution] = []
    ended: list[OrderEvent] = []
    problems = _orphans(shown.working, known, reading)
    groups, sweep, stale = [], [], []
    for symbol, several in _by_symbol(decisions).items():
        executions = {}
        for one in several:
            late = one.missed(booked[one.key], fills, reading)
            executions[one.key] = [*booked[one.key], *late]
            missed += late
        ours = sum(one.held(executions[one.key]) for one in several)
        size = there.pop(symbol, 0.0) if ours or any(one.alive for one in several) else 0.0
        gone, others = _gone(ours, size), []
        for one in reversed(several):  # what others have left is taken from the newest decision
            by_others = one.left_by_others(executions[one.key], strangers, gone, reading)
            executions[one.key] += by_others
            others += by_others
            gone -= round(sum(other.size for other in by_others))
        missed += others
        if abs(ours - size) > NEAR and not _meant(written.left_at, ours, size, others):
            problems.append(_differs(symbol, ours, size))
        for one in several:
            group = one.group(executions[one.key], shown.orders, reading)
            if group is not None and gone:
                cut = min(gone, abs(group.held))  # nobody knows where they went
                gone -= cut
                group = replace(
                    group, held=group.held - cut if group.held > 0 else group.held + cut
                )
            is_open = group is not None and bool(group.held or one.alive)
            ended += one.ended(written.told, reading, is_open=is_open)
            if group is not None and is_open:
                groups.append(group)
                stale += one.stale
            else:
                sweep += one.standing
    return Reconciled(
        groups=tuple(groups),
        missed=tuple(sorted(missed, key=lambda one: one.at)),
        ended=tuple(ended),
        sweep=tuple(sweep),
        stale=tuple(stale),
        foreign=tuple(one for one in shown.holdings if one.symbol in there),
        problems=tuple(problems),
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


def _orphans(working: Sequence[Any], known: set[str], reading: Reading) -> list[str]:
    return [
        f"{one.symbol}: order {one.id} has a name of Iverson's, but the journal does not know it; "
        "another journal or another Iverson trades on this account"
        for one in working
        if reading.is_ours(one.name) and one.id not in known
    ]


def _by_symbol(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    found: dict[str, list[Decision]] = defaultdict(list)
    for one in decisions:
        found[one.symbol].append(one)
    return found


def _gone(ours: int, there: float) -> int:
    """Return how many of our shares the broker does not show."""
    if ours * there <= 0:
        return abs(ours)
    return max(0, abs(ours) - round(abs(there)))


def _meant(left_at: datetime | None, ours: int, there: float, others: Sequence[Execution]) -> bool:
    """Whether an operator has had the shares left that the broker does not show any more."""
    told = sum(one.size for one in others)
    return (
        left_at is not None
        and abs(ours) - abs(there) <= told + NEAR
        and ours * there >= 0
        and abs(there) < abs(ours)
        and all(one.at >= left_at for one in others)
    )


def _differs(symbol: str, ours: int, there: float) -> str:
    return (
        f"{symbol}: we hold {ours} by our fills, the broker shows {there:g}; somebody else has "
        "traded it, or a fill is missing"
    )
