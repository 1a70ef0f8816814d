# SPDX-License-Identifier: GPL-3.0-or-later
"""The in-sample search: score many parameter sets over many spans, on one core or all of them.

Where the compiled kernel can express a system it scores a span's sets together, and the best of
them is run through the engine as well; elsewhere every set is. The result depends neither on that
nor on the number of processes: scores stand in the order in which they were asked for.

Processes are joblib's. Backtrader's metaclasses cannot be pickled by value, so a strategy or a
rule that lives in a notebook or in `__main__` cannot be sent to another process: on Linux forked
processes inherit it, elsewhere such a search runs in one process and says so.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context, parent_process
from typing import Any

from iverson.errors import ConfigError, IversonError
from iverson.market.bars import DAILY, Bars
from iverson.monitoring.metrics import OBJECTIVES
from iverson.research.backtest import Prepared, Setup

BATCH = 6  # parameter sets one task runs: small enough for a smooth progress bar


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
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[Score]]:
    """Score every parameter set on every span; shape (spans, sets).

    `jobs` is the number of processes, -1 for all cores. `progress(done, total)` is told after
    each batch.

    Raises
    ------
    ConfigError: an unknown objective, no such number of processes, or a strategy that fails or
    gives faulty signals; the first in order, whatever the number of processes.
    """
    if jobs != -1 and (not isinstance(jobs, int) or jobs < 1):
        raise ConfigError(f"jobs is {jobs!r}; expected 1 or more processes, or -1 for all cores")
    if objective not in OBJECTIVES:
        raise ConfigError(
            f"objective {objective!r} is not known; choose one of {', '.join(sorted(OBJECTIVES))}"
        )
    # The kernel shares equal lines within a batch and checks the best of each against the engine.
    batch = BATCH if why_engine(setup, bars) else max(1, len(sets))
    tasks = [
        Task((number, start), setup, tuple(sets[start : start + batch]), first, last,
             objective, minimum_trades)
        for number, (first, last) in enumerate(spans)
        for start in range(0, len(sets), batch)
    ]  # fmt: skip
    found: list[list[Score | None]] = [[None] * len(sets) for _ in spans]
    done = 0
    for task, scores in _run(tasks, bars, jobs):
        span, start = task.place
        found[span][start : start + len(scores)] = scores
        done += len(scores)
        if progress is not None:
            progress(done, len(sets) * len(spans))
    return [[score for score in row if score is not None] for row in found]


def best(scores: Sequence[Score]) -> Score | None:
    """Return the highest score, the first of equals; None when no set made enough trades."""
    counted = [score for score in scores if score.score > -math.inf]  # NaN does not count either
    return max(counted, key=lambda score: score.score, default=None)


def _run(
    tasks: Sequence[Task], bars: Mapping[str, Bars], jobs: int
) -> Iterator[tuple[Task, list[Score]]]:
    processes = min(len(tasks), _cores() if jobs == -1 else jobs)
    if processes > 1 and _importable(tasks[0].setup):
        yield from _sent(tasks, bars, processes)
    elif processes > 1 and sys.platform == "linux":
        yield from _inherited(tasks, Prepared.of(bars), processes)
    else:
        if processes > 1:
            warnings.warn(
                "searching in one process: a strategy or rule defined in a notebook or script "
                "cannot be sent to others; put it into a module and import it",
                stacklevel=2,
            )
        prepared = Prepared.of(bars)
        for task in tasks:
            yield task, evaluate(task, prepared)


def _inherited(
    tasks: Sequence[Task], prepared: Prepared, processes: int
) -> Iterator[tuple[Task, list[Score]]]:
    """Run in forked processes, which inherit tasks and bars; only numbers go back and forth."""
    with warnings.catch_warnings():
        # Python >= 3.12 warns of threads that a fork loses; the children need none of them.
        warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)
        pool = ProcessPoolExecutor(
            processes, get_context("fork"), initializer=_begin, initargs=(tasks, prepared)
        )
        futures = [pool.submit(_evaluate_inherited, number) for number in range(len(tasks))]
    try:
        for task, future in zip(tasks, futures, strict=True):
            yield task, future.result()
    except BrokenProcessPool as error:
        raise ConfigError(
            "a process of the search died, perhaps for want of memory; run it with jobs=1"
        ) from error
    finally:
        for future in futures:
            future.cancel()
        pool.shutdown(wait=True, cancel_futures=True)


_WORK: list[tuple[Sequence[Task], Prepared]] = []


def _begin(tasks: Sequence[Task], prepared: Prepared) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C: leave without a word
    _WORK[:] = [(tasks, prepared)]
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _evaluate_inherited(number: int) -> list[Score]:
    tasks, prepared = _WORK[0]
    return evaluate(tasks[number], prepared)


def _sent(
    tasks: Sequence[Task], bars: Mapping[str, Bars], processes: int
) -> Iterator[tuple[Task, list[Score]]]:
    """Run in fresh processes, to which tasks and bars are sent."""
    from joblib import Parallel, delayed, parallel_config

    for one in bars.values():
        _ = one.digest  # computed once here, not in every worker: it is how a worker knows its bars
    with parallel_config("loky", n_jobs=processes, initializer=_ignore_interrupts):
        parallel = Parallel(return_as="generator", batch_size=1, pre_dispatch="2*n_jobs")
    results = parallel(delayed(_evaluate_elsewhere)(task, dict(bars)) for task in tasks)
    finished = False
    try:
        for task, scores in zip(tasks, results, strict=True):
            if isinstance(scores, IversonError):
                raise scores  # the first in order, whichever process met one first
            yield task, scores
        finished = True
    finally:
        if not finished:  # Ctrl-C or an error: nobody works on for nothing
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # joblib tells what was cancelled
                results.close()


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and ends the workers


def _cores() -> int:
    from joblib import cpu_count

    return int(cpu_count())


def _importable(setup: Setup) -> bool:
    """Whether another process finds these classes by their names."""
    parts = (setup.strategy, type(setup.sizing), type(setup.costs), *map(type, setup.rules))
    return all(
        part.__module__ != "__main__"
        and getattr(sys.modules.get(part.__module__), part.__qualname__, None) is part
        and getattr(sys.modules[part.__module__], "__spec__", None) is not None
        for part in parts
    )


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


_PREPARED: dict[str, Prepared] = {}


def _evaluate_elsewhere(task: Task, bars: Mapping[str, Bars]) -> list[Score] | IversonError:
    """Run one batch in a worker, which converts the bars once and keeps them."""
    key = "/".join(one.digest for one in bars.values())
    if key not in _PREPARED:
        _PREPARED.clear()
        _PREPARED[key] = Prepared.of(bars)
    try:
        return evaluate(task, _PREPARED[key])
    except IversonError as error:
        return error
