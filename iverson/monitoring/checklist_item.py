# SPDX-License-Identifier: GPL-3.0-or-later
"""One item of the paper checklist, and the words for lists of rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["pass", "fail", "not yet"]
SHOWN = 3  # of a list in a sentence


@dataclass(frozen=True, slots=True)
class Item:
    """One item: its evidence in words, the numbers of the journal's rows, what to do else."""

    name: str
    status: Status
    evidence: str
    rows: tuple[int, ...] = ()
    remedy: str = ""


def some(parts: Iterable[str], separator: str = ", ") -> str:
    """Return the first few of a list, and how many more there are."""
    found = list(parts)
    more = len(found) - SHOWN
    shown = separator.join(found[:SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown


def numbers(rows: Sequence[int]) -> str:
    """Return the numbers of rows for a sentence: "rows 12, 15, 19 and 4 more"."""
    if not rows:
        return "no row"
    return f"row{'s' * (len(rows) > 1)} {some(map(str, rows))}"


def plural(count: int, noun: str) -> str:
    """Return "1 fill" or "3 fills"."""
    return f"{count} {noun}{'s' * (count != 1)}"
