# SPDX-License-Identifier: GPL-3.0-or-later
"""Which order at the venue is which order of ours: by id, by name, and through re-pricings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from iverson.execution.groups import Group
from iverson.model import Leg

NEAR = 1e-6  # shares


@dataclass(slots=True, eq=False)
class Tracked:
    """One order at the venue and the order of ours that it carries out.

    `filled` shares of it are booked; `size` is what the venue was asked for. `id` is empty until
    the venue has answered. `working` is False for a leg that waits for its entry. `ended`: the
    venue will not fill it any more; `expires`: when it ends it by itself.
    """

    group: Group
    order: Any
    leg: Leg
    name: str
    size: float
    id: str = ""
    filled: float = 0.0
    working: bool = False
    ended: bool = False
    cancel_asked: bool = False
    expires: datetime | None = None

    @property
    def covers(self) -> float:
        """Shares that it would still trade."""
        return 0.0 if self.ended or not self.id else self.size - self.filled


@dataclass(slots=True)
class Tracking:
    """All that is tracked; the newest of a group's orders for a leg counts."""

    _all: list[Tracked] = field(default_factory=list)
    _by_id: dict[str, Tracked] = field(default_factory=dict)
    _by_name: dict[str, Tracked] = field(default_factory=dict)

    def add(self, tracked: Tracked) -> Tracked:
        """Track one more."""
        self._all.append(tracked)
        if tracked.name:
            self._by_name[tracked.name] = tracked
        if tracked.id:
            self._by_id[tracked.id] = tracked
        return tracked

    def identify(self, tracked: Tracked, order_id: str) -> None:
        """Learn the venue's id of an order; of one that was re-priced, the new id."""
        tracked.id = order_id
        self._by_id[order_id] = tracked

    def find(self, order_id: str, name: str = "") -> Tracked | None:
        """Return what an id or a name stands for; None for somebody else's order."""
        return self._by_id.get(order_id) or (self._by_name.get(name) if name else None)

    def of(self, group: Group) -> Iterator[Tracked]:
        """Give what is tracked of a group, the oldest first."""
        return (one for one in self._all if one.group is group)

    def carrying(self, order: Any) -> Tracked | None:
        """Return the newest order at the venue that carries out one of ours."""
        return next((one for one in reversed(self._all) if one.order.ref == order.ref), None)

    def forget(self, group: Group) -> None:
        """Drop a finished group; ids and names stay known, so that late words are recognised."""
        self._all = [one for one in self._all if one.group is not group]
