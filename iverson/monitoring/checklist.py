# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper checklist: what has to be seen on paper before real money, item by item. Pure.

Each item says whether it passed, by which rows of the journal, and what to do when it has not.
"fail" is something that was seen and is wrong; "not yet" is something that was not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from iverson.monitoring import checklist_books as books
from iverson.monitoring import checklist_trading as trading
from iverson.monitoring.checklist_item import Item
from iverson.monitoring.evidence import Evidence

Part = Callable[[Evidence], Item]
PARTS: tuple[Part, ...] = (
    trading.sessions,
    trading.signals,
    trading.rules,
    trading.entries,
    trading.stops,
    trading.emergencies,
    books.orders,
    books.protection,
    books.chain,
    books.sums,
    books.alarms,
    books.alerts,
    books.parity,
    books.capital,
    books.max_loss,
    books.account,
)


@dataclass(frozen=True)
class Checklist:
    """Every item, in order. `notes` say what the items do not."""

    system: str
    items: tuple[Item, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every item passed."""
        return all(item.status == "pass" for item in self.items)

    @property
    def missing(self) -> tuple[Item, ...]:
        """The items that have not passed."""
        return tuple(item for item in self.items if item.status != "pass")

    def with_note(self, note: str) -> Checklist:
        """Return the checklist with one more note."""
        return replace(self, notes=(*self.notes, note))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "system": self.system,
            "passed": self.passed,
            "items": [{**asdict(item), "rows": list(item.rows)} for item in self.items],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        """Say it in a few lines an item."""
        lines = [f"paper checklist of {self.system}"]
        for item in self.items:
            lines.append(f"{item.status:<8} {item.name}: {item.evidence}")
            lines += [f"         -> {item.remedy}"] if item.remedy else []
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__


def judge(evidence: Evidence, parts: Sequence[Part] = PARTS) -> Checklist:
    """Judge every item by the evidence."""
    notes = []
    if evidence.rehearsed:
        notes.append("the journal has a rehearsal of the system, which never counts as paper")
    return Checklist(evidence.system, tuple(part(evidence) for part in parts), tuple(notes))
