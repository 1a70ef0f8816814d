# SPDX-License-Identifier: GPL-3.0-or-later
"""Which orders the simulated broker lets in: exits always, entries with a verdict and the money."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

import backtrader as bt

from iverson.book import Halt
from iverson.execution.groups import Group
from iverson.execution.orders import STOPS, UNPRICED, is_faulty
from iverson.model import Verdict

_NEAR = 1e-6  # dollars: what adding up an account loses


class Desk(Protocol):
    """The second lock: reviews an order that increases exposure and carries no verdict."""

    def review_order(self, order: Any, *, stop: float | None, target: float | None) -> int:
        """Return the approved number of shares, 0 when denied."""
        ...

    def halt(self, rule: str, reason: str, *, at: datetime) -> None:
        """Refuse entries until a person has looked."""
        ...

    def standing(self, at: datetime) -> tuple[Halt, ...]:
        """Return the halts in force at an instant."""
        ...

    def withdraw_entries(self) -> None:
        """Cancel the entries that wait."""
        ...

    def listen(self) -> None:
        """Take in what other processes have halted and released."""
        ...


def refusal(broker: Any, group: Group) -> int | None:
    """Return the status that refuses a new group (Rejected, Margin), None to let it in.

    An order that only leaves a position is marked as such and always let in; of one that goes
    through zero and is refused, the part that leaves the position is let in.
    """
    entry = group.entry
    if not len(entry.data) or any(is_faulty(order) for order in group.orders):
        return int(bt.Order.Rejected)
    held, size = broker.positions[entry.data].size, entry.created.size
    leaves = max(0, abs(held) - _leaving(broker, entry)) if held * size < 0 else 0
    group.reduces = abs(size) <= leaves
    if group.reduces:
        return None
    status = _opening_refusal(broker, group, leaves)
    if status is None or not leaves:
        return status
    group.reduces = True
    group.resize(leaves)
    return None


def _opening_refusal(broker: Any, group: Group, leaves: int) -> int | None:
    entry = group.entry
    verdict = entry.info.get("verdict")
    if broker.desk is not None and not (isinstance(verdict, Verdict) and verdict.approved):
        stop, target = group.price_of(*STOPS), group.price_of(bt.Order.Limit)
        approved = broker.desk.review_order(entry, stop=stop, target=target)
        if approved <= 0:
            return int(bt.Order.Rejected)
        group.resize(approved)
    held, size = broker.positions[entry.data].size, entry.created.size
    power = broker.buying_power(leave_out=group)
    if held * size < 0:
        power += abs(held) * broker.mark(entry.data)  # it is left before the other side begins
    cost = max(0, abs(size) - leaves) * broker.reference_price(entry)
    return None if cost <= power + _NEAR else int(bt.Order.Margin)


def _leaving(broker: Any, order: Any) -> int:
    """Shares that orders of the same moment leave for sure: `close()`, then `sell()`."""
    return sum(
        abs(group.entry.executed.remsize)
        for group in broker.groups.values()
        if group.data is order.data
        and group.reduces
        and group.waiting
        and group.entry.exectype in UNPRICED
        and group.entry.created.dt == order.created.dt
    )


def name_legs(group: Group) -> None:
    """Name the orders of a plain bracket by what they are."""
    for order in group.orders:
        if "leg" not in order.info:
            name = "target" if order.exectype == bt.Order.Limit else "time limit"
            name = "stop" if order.exectype in STOPS else name
            order.addinfo(leg="entry" if order is group.entry else name)
