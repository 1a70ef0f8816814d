# SPDX-License-Identifier: GPL-3.0-or-later
"""Run batches until all are done: what a lost worker had in hand is run again, by another.

A batch that was lost twice beside others runs alone the third time, so that only the one that
really ends its workers is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from iverson.errors import ConfigError, IversonError
from iverson.research.failures import named
from iverson.research.search import Score, Task
from iverson.research.search_worker import Outcome

BESIDE_OTHERS = 2  # times a batch may be lost beside others before it runs alone


@dataclass(frozen=True)
class Lost:
    """The worker ended before it had an answer."""

    why: str


class Place(Protocol):
    """Where batches run."""

    def round(self, numbers: Sequence[int]) -> Iterator[tuple[int, Outcome | Lost]]:
        """Run these batches, in whatever order; one without an answer at the end was not begun."""
        ...


def run(tasks: Sequence[Task], place: Place) -> Iterator[tuple[int, list[Score]]]:
    """Run these batches; yields number and scores of each when it is done.

    Raises
    ------
    ConfigError: a strategy that fails, or, when all others are done, a batch that ends its
    workers; the first in order, whichever worker was quickest.
    """
    losses: Counter[int] = Counter()
    faults: dict[int, IversonError] = {}
    deadly: dict[int, ConfigError] = {}
    open_ones = set(range(len(tasks)))
    while open_ones:
        group, done = _next(open_ones, losses), 0
        for number, outcome in place.round(group):
            done += 1
            if isinstance(outcome, Lost):
                losses[number] += 1
                if len(group) == 1 and losses[number] > BESIDE_OTHERS:
                    deadly[number] = ConfigError(_ends_workers(tasks[number], outcome))
                    open_ones.discard(number)
                continue
            open_ones.discard(number)
            if isinstance(outcome, IversonError):
                faults[number] = outcome
            else:
                yield number, outcome
            if faults and min(faults) < min(open_ones | deadly.keys(), default=len(tasks)):
                raise faults[min(faults)]
        if not done:
            raise ConfigError("no worker took a batch of the search; run it with jobs=1")
    if deadly:  # before any fault, or that would have been raised
        raise deadly[min(deadly)]


def _next(open_ones: set[int], losses: Counter[int]) -> list[int]:
    suspects = sorted(number for number in open_ones if losses[number] >= BESIDE_OTHERS)
    others = sorted(open_ones.difference(suspects))
    return others or suspects[:1]


def _ends_workers(task: Task, last: Lost) -> str:
    sets = named(task.setup.strategy, task.sets[0])
    more = f" and {len(task.sets) - 1} sets after it" if len(task.sets) > 1 else ""
    return (
        f"{sets}{more}, {task.first} to {task.last}, ended its worker {BESIDE_OTHERS + 1} times "
        f"({last.why}), perhaps for want of memory; use fewer processes, or jobs=1 to see what it "
        "says"
    )
