# SPDX-License-Identifier: GPL-3.0-or-later
"""One finding of the lint: what makes a result hard to believe, in words and as a number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from iverson.research.results import Run
    from iverson.research.walk_result import WalkForward

    Result: TypeAlias = Run | WalkForward


@dataclass(frozen=True, slots=True)
class Finding:
    """A warning: `number` triggered it by passing `threshold`, both in `unit`.

    `kind` names the rule, `sentence` says it in plain words with the number in it. `unit` is
    "fraction", "ratio" or "count".
    """

    kind: str
    sentence: str
    number: float
    threshold: float
    unit: str = "ratio"

    def __str__(self) -> str:
        """Print as `one trade: The best trade made 62 % of the profit ...`."""
        return f"{self.kind}: {self.sentence}"


Rule: TypeAlias = Callable[["Result"], Iterator[Finding]]
