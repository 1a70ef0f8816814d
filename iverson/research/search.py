# SPDX-License-Identifier: GPL-3.0-or-later
"""The in-sample search: score many parameter sets over many spans, here or on many machines.

Where the compiled kernel can express a system it scores a span's sets together, and the best of
them is run through the engine as well; elsewhere every set is. The result depends neither on that
nor on where the batches run, nor on how often the search was ended and resumed: scores stand in
the order in which they were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from iverson.errors import ConfigError
from iverson.market.bars import DAILY, Bars
from iverson.monitoring.metrics import OBJECTIVES
from iverson.research.backtest import Prepared, Setup
from iverson.research.search_scores import Score, Scores, best

if TYPE_CHECKING:
    from iverson.research.search_rounds import Place

__all__ = ["Jobs", "Score", "Scores", "Search", "Task", "best", "evaluate", "search", "why_engine"]

BATCH = 6  # parameter sets one task runs: small enough for a smooth progress bar
KERNEL_BATCH = 1000  # the same for the kernel: large enough that checking the best is cheap

Jobs = int | str
Span = tuple[date, date]


@dataclass(frozen=True)
class Task:
    """A batch of parameter sets over one span; `place` says where its scores belong."""

    place: tuple[int, int]
    setup: Setup
    sets: Sequence[Mapping[str, Any]]
    first: date
    last: date
    objective: str
    minimum_trades: int


def search(
    setup: Setup,
    bars: Mapping[str, Bars],
    spans: Sequence[Span],
    sets: Sequence[Mapping[str, Any]],
    *,
    objective: str,
    minimum_trades: int,
    jobs: Jobs = 1,
    resume: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Scores]:
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
    with Search(
        setup, bars, spans, len(spans) * len(sets), objective=objective,
        minimum_trades=minimum_trades, jobs=jobs, resume=resume, progress=progress,
    ) as searching:  # fmt: skip
        return searching.round([sets] * len(spans))


class Search:
    """A search in as many rounds as it takes: its file and its workers stay open in between.

    Arguments and errors are those of `search`; `total` is how many runs are expected.
    """

    def __init__(
        self,
        setup: Setup,
        bars: Mapping[str, Bars],
        spans: Sequence[Span],
        total: int,
        *,
        objective: str,
        minimum_trades: int,
        jobs: Jobs = 1,
        resume: Path | str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        from iverson.research.search_places import check_jobs

        check_jobs(jobs)
        if objective not in OBJECTIVES:
            raise ConfigError(
                f"objective {objective!r} is not known; "
                f"choose one of {', '.join(sorted(OBJECTIVES))}"
            )
        self.setup, self.bars, self.spans, self.jobs = setup, bars, spans, jobs
        self.objective, self.minimum_trades = objective, minimum_trades
        self.resume, self.progress, self.total = resume, progress, total
        # The kernel shares equal lines within a batch and checks the best of each by the engine.
        self.batch = BATCH if why_engine(setup, bars) else KERNEL_BATCH
        self.done = 0
        self._tasks: list[Task] = []  # what the place has in hand in this round
        self._place: Place | None = None

    def __enter__(self) -> Self:
        from iverson.research.search_resume import finished

        self._open = ExitStack()
        self._kept = self._open.enter_context(finished(self.resume, self.setup, self.bars))
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def round(self, sets: Sequence[Sequence[Mapping[str, Any]]]) -> list[Scores]:
        """Score on each span the sets that are for it; shape (spans, sets of that span)."""
        tasks = list(self._tasks_of(sets))
        found = [Scores(own) for own in sets]
        for task, scores in self._found(tasks):
            number, start = task.place
            found[number].put(start, scores)
            self.done += len(scores)
            if self.progress is not None:
                self.progress(self.done, self.total)
        return found

    def _tasks_of(self, sets: Sequence[Sequence[Mapping[str, Any]]]) -> Iterator[Task]:
        """Cut into batches: some sets over all spans, then the next, for they share their lines."""
        for start in range(0, max(map(len, sets), default=0), self.batch):
            parts: dict[int, Sequence[Mapping[str, Any]]] = {}  # equal sets are one object
            for number, (span, own) in enumerate(zip(self.spans, sets, strict=True)):
                if start >= len(own):
                    continue
                part = parts.setdefault(id(own), own[start : start + self.batch])
                yield Task(
                    (number, start), self.setup, part, *span, self.objective, self.minimum_trades
                )

    def _found(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, list[Score]]]:
        """Yield the batches kept from before, then the rest as they are done."""
        from iverson.research.search_places import opened
        from iverson.research.search_rounds import run

        keys = self._kept.keys(tasks)
        rest = []
        for number, task in enumerate(tasks):
            scores = self._kept.found(keys[number], task)
            if scores is None:
                rest.append(number)
            else:
                yield task, scores
        if not rest:
            return
        self._tasks[:] = tasks  # a place is made for a whole round, though some of it may be done
        if self._place is None:
            self._place = self._open.enter_context(opened(self.jobs, self._tasks, self.bars))
        self._tasks[:] = [tasks[number] for number in rest]
        for at, scores in run(self._tasks, self._place):
            self._kept.add(keys[rest[at]], scores)
            yield self._tasks[at], scores


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
