# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the entry orders: filled, filled in part, or not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from iverson.model import Fill, OrderEvent
from iverson.monitoring.kinds import Value

ENDED = ("filled", "canceled", "expired", "rejected")
OUTCOMES = ("filled", "partly", "expired", "canceled", "rejected", "working")


@dataclass(slots=True)
class Entry:
    """One entry order: shares ordered and filled, its last status and the session of that."""

    order_id: str
    symbol: str
    size: float
    status: str
    session: date
    reason: str = ""
    filled: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether nothing of it works any more."""
        return self.status in ENDED

    @property
    def outcome(self) -> str:
        """Return filled; partly: ended after some of its shares; else its last status, working."""
        if not self.ended:
            return "working"
        return "partly" if self.filled and self.status != "filled" else self.status


def entries(values: Iterable[Value]) -> list[Entry]:
    """Follow the orders whose leg is "entry", in the order in which they were first told."""
    found: dict[str, Entry] = {}
    for value in values:
        if isinstance(value, OrderEvent) and value.leg == "entry":
            entry = found.setdefault(
                value.order_id,
                Entry(value.order_id, value.symbol, value.size, value.status, value.session),
            )
            entry.status, entry.session = value.status, value.session
            entry.reason = value.reason or entry.reason
        elif isinstance(value, Fill) and value.order_id in found:
            found[value.order_id].filled += value.size
    return list(found.values())


def outcomes(orders: Sequence[Entry]) -> dict[str, int]:
    """Count the orders by outcome; every outcome is there."""
    counted = Counter(order.outcome for order in orders)
    return {outcome: counted[outcome] for outcome in OUTCOMES}


def fill_rate(orders: Sequence[Entry]) -> float:
    """Give the fraction of the ended entries that filled, whole or in part; NaN for none.

    Rejected ones never met the market and do not count.
    """
    ended = [order for order in orders if order.ended and order.outcome != "rejected"]
    return sum(order.filled > 0 for order in ended) / len(ended) if ended else math.nan
