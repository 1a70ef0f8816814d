# SPDX-License-Identifier: GPL-3.0-or-later
"""The in-sample search: score many parameter sets over many spans, here or on many machines.

Where the compiled kernel can express a system it scores a span's sets together, and the best of
them is run through the engine as well; elsewhere every set is. The result depends neither on that
nor on where the batches run, nor on how often the search was ended and resumed: scores stand in
the order in which they were asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iverson.errors import ConfigError
from iverson.market.bars import DAILY, Bars
from iverson.monitoring.metrics import OBJECTIVES
from iverson.research.backtest import Prepared, Setup

if TYPE_CHECKING:
    from iverson.research.search_resume import Finished

BATCH = 6  # parameter sets one task runs: small enough for a smooth progress bar
KERNEL_BATCH = 1000  # the same for the kernel: large enough that checking the best is cheap

Jobs = int | str


@dataclass(frozen=True, slots=True)
class Score:
    """One parameter set over one span. `score` is -inf when it made too few trades to count."""

    params: Mapping[str, Any]
    score: float
    trades: int
    total_return: float
    cagr: float
    sharpe: float
    bars: int

    def __eq__(self, other: object) -> bool:
        """Whether all is the same; NaN, the Sharpe ratio of no movement, is the same as NaN."""
        if not isinstance(other, Score):
            return NotImplemented
        pairs = [(getattr(self, one.name), getattr(other, one.name)) for one in fields(self)]
        return all(ours == theirs or (_nan(ours) and _nan(theirs)) for ours, theirs in pairs)

    __hash__ = None  # type: ignore[assignment] # `params` has none either


@dataclass(frozen=True)
class Task:
    """A batch of parameter sets over one span; `place` says where its scores belong."""

    place: tuple[int, int]
    setup: Setup
    sets: tuple[Mapping[str, Any], ...]
    first: date
    last: date
    objective: str
    minimum_trades: int


def search(
    setup: Setup,
    bars: Mapping[str, Bars],
    spans: Sequence[tuple[date, date]],
    sets: Sequence[Mapping[str, Any]],
    *,
    objective: str,
    minimum_trades: int,
    jobs: Jobs = 1,
    resume: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[Score]]:
    """Score every parameter set on every span; shape (spans, sets).

    `jobs` is where: a number of processes, -1 for all cores, "dask" or "ray" for a cluster of this
    machine's cores, or a cluster's address, "tcp://host:8786" for Dask and "ray://host:10001" for
    Ray. `resume` names a file that keeps what is done: with the same file a search that was ended
    goes on from there. `progress(done, total)` is told after each batch, and first of what was
    done before.

    Raises
    ------
    ConfigError: an unknown objective, no such place to run, a worker that a batch ends again and
    again, or a strategy that fails or gives faulty signals; the first in order, wherever it ran.
    """
    from iverson.research.search_places import check_jobs
    from iverson.research.search_resume import finished

    check_jobs(jobs)
    if objective not in OBJECTIVES:
        raise ConfigError(
            f"objective {objective!r} is not known; choose one of {', '.join(sorted(OBJECTIVES))}"
        )
    # The kernel shares equal lines within a batch and checks the best of each against the engine.
    batch = BATCH if why_engine(setup, bars) else KERNEL_BATCH
    tasks = [
        Task((number, start), setup, tuple(sets[start : start + batch]), first, last,
             objective, minimum_trades)
        for number, (first, last) in enumerate(spans)
        for start in range(0, len(sets), batch)
    ]  # fmt: skip
    scores: dict[int, list[Score]] = {}
    done = 0
    with finished(resume, tasks, bars) as kept:
        for number, found in _found(tasks, bars, jobs, kept):
            scores[number] = found
            done += len(found)
            if progress is not None:
                progress(done, len(sets) * len(spans))
    rows: list[list[Score]] = [[] for _ in spans]
    for number, task in enumerate(tasks):
        rows[task.place[0]].extend(scores[number])
    return rows


def _found(
    tasks: Sequence[Task], bars: Mapping[str, Bars], jobs: Jobs, kept: Finished
) -> Iterator[tuple[int, list[Score]]]:
    """Yield number and scores of each batch: those kept from before, then the rest as they come."""
    from iverson.research.search_places import opened
    from iverson.research.search_rounds import run

    yield from kept.found.items()
    rest = [number for number in range(len(tasks)) if number not in kept.found]
    if rest:
        with opened(jobs, [tasks[number] for number in rest], bars) as place:
            for at, found in run([tasks[number] for number in rest], place):
                kept.add(rest[at], found)
                yield rest[at], found


def best(scores: Sequence[Score]) -> Score | None:
    """Return the highest score, the first of equals; None when no set made enough trades."""
    counted = [score for score in scores if score.score > -math.inf]  # NaN does not count either
    return max(counted, key=lambda score: score.score, default=None)


def _nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def why_engine(setup: Setup, bars: Mapping[str, Bars]) -> str | None:
    """Say why a search runs every bar through the engine, None when the compiled kernel serves."""
    from iverson.research.sweep import explain  # which imports this module

    if any(one.interval != DAILY for one in bars.values()):
        return "the bars are not daily"
    return explain(setup)


def evaluate(task: Task, prepared: Prepared) -> list[Score]:
    """Run one batch, by the compiled kernel where it can: the same scores, bit for bit."""
    from iverson.research.sweep import sweep

    return sweep(task, prepared)
