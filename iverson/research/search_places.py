# SPDX-License-Identifier: GPL-3.0-or-later
"""Where batches run, by the one word `jobs`: this process, all cores, a Dask or a Ray cluster.

Processes and clusters are joblib's backends. Backtrader's metaclasses cannot be pickled by value,
so a strategy or a rule that lives in a notebook or in `__main__` cannot be sent to another process:
on Linux forked processes inherit it, elsewhere such a search runs in one process and says so.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.research.backtest import Prepared, Setup
from iverson.research.search import Jobs, Task
from iverson.research.search_forks import Forks
from iverson.research.search_rounds import Lost, Place
from iverson.research.search_worker import Load, Outcome, begin, outcome_of, work
from iverson.research.several import uses_of

DASK, RAY = "dask", "ray"
DASK_ADDRESSES, RAY_ADDRESSES = ("tcp://", "tls://"), ("ray://",)


def check_jobs(jobs: Jobs) -> None:
    """Refuse what is neither a number of processes nor a cluster.

    Raises
    ------
    ConfigError: with what there is.
    """
    if isinstance(jobs, str):
        good = jobs in (DASK, RAY) or jobs.startswith((*DASK_ADDRESSES, *RAY_ADDRESSES))
    else:
        good = isinstance(jobs, int) and (jobs == -1 or jobs >= 1)
    if not good:
        raise ConfigError(
            f"jobs is {jobs!r}; expected 1 or more processes, or -1 for all cores, or 'dask' or "
            "'ray' for a cluster of this machine, or a cluster's address as tcp://host:8786 (Dask) "
            "or ray://host:10001"
        )


@contextmanager
def opened(jobs: Jobs, tasks: Sequence[Task], bars: Mapping[str, Bars]) -> Iterator[Place]:
    """Give the place where these batches run over these bars, and leave it in order.

    Raises
    ------
    ConfigError: a cluster that is not installed, cannot be reached or cannot be sent the strategy.
    """
    if isinstance(jobs, str):
        with _cluster(jobs, tasks, bars) as place:
            yield place
        return
    processes = min(len(tasks), cores() if jobs == -1 else jobs)
    if processes > 1 and importable(tasks[0].setup):
        yield Processes(tasks, Load.of(bars), processes)
    elif processes > 1 and sys.platform == "linux":
        yield Forks(tasks, Prepared.of(bars), processes)
    else:
        if processes > 1:
            warnings.warn(
                "searching in one process: a strategy or rule defined in a notebook or script "
                "cannot be sent to others; put it into a module and import it",
                stacklevel=2,
            )
        yield ThisProcess(tasks, Prepared.of(bars))


@contextmanager
def _cluster(jobs: str, tasks: Sequence[Task], bars: Mapping[str, Bars]) -> Iterator[Place]:
    from iverson.research.search_cluster import Cluster, OnCluster

    if not importable(tasks[0].setup):
        raise ConfigError(
            "a strategy or rule defined in a notebook or script cannot be sent to a cluster; put "
            "it into a module that its workers can import"
        )
    address = None if jobs in (DASK, RAY) else jobs
    cluster: Cluster
    if jobs == DASK or jobs.startswith(DASK_ADDRESSES):
        from iverson.research.search_dask import DaskCluster

        cluster = DaskCluster.connected(address)
    else:
        from iverson.research.search_ray import RayCluster

        cluster = RayCluster.connected(address)
    try:
        yield OnCluster(tasks, Load.of(bars), cluster)
    finally:
        cluster.close()


class ThisProcess:
    """One batch after the other, here."""

    def __init__(self, tasks: Sequence[Task], prepared: Prepared) -> None:
        self.tasks = tasks
        self.prepared = prepared

    def round(self, numbers: Sequence[int]) -> Iterator[tuple[int, Outcome | Lost]]:
        """Run these batches in order."""
        for number in numbers:
            yield number, outcome_of(self.tasks[number], self.prepared)


class Processes:
    """Fresh processes of joblib's loky, kept for the next search over the same bars."""

    def __init__(self, tasks: Sequence[Task], load: Load, processes: int) -> None:
        self.tasks = tasks
        self.load = load
        self.processes = processes

    def round(self, numbers: Sequence[int]) -> Iterator[tuple[int, Outcome | Lost]]:
        """Run these batches; when a process ends, loky gives up all that are in hand."""
        from joblib import parallel_config
        from joblib.externals.loky.process_executor import BrokenProcessPool

        where = parallel_config(
            "loky", n_jobs=self.processes, initializer=begin, initargs=(self.load,)
        )
        calls = {number: (number, self.tasks[number], self.load.digest) for number in numbers}
        yield from in_parallel(where, calls, broken=BrokenProcessPool)


def in_parallel(
    where: Any, calls: Mapping[int, tuple[Any, ...]], broken: type[Exception]
) -> Iterator[tuple[int, Outcome | Lost]]:
    """Run `work` with each of these arguments through joblib, configured by `where`."""
    from joblib import Parallel, delayed

    in_hand: set[int] = set()

    def handed_out() -> Iterator[Any]:
        for number, arguments in calls.items():
            in_hand.add(number)
            yield delayed(work)(*arguments)

    with where:
        parallel = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
    results = parallel(handed_out())
    finished = False
    try:
        for number, outcome in results:
            in_hand.discard(number)
            yield number, outcome
        finished = True
    except broken as error:
        finished = True  # joblib has ended the workers itself
        for number in sorted(in_hand):
            yield number, Lost(f"joblib says {type(error).__name__}")
    finally:
        if not finished:  # Ctrl-C or an error: nobody works on for nothing
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # joblib tells what was cancelled
                results.close()


def cores() -> int:
    """Return how many processes this machine runs at once."""
    from joblib import cpu_count

    return int(cpu_count())


def importable(setup: Setup) -> bool:
    """Whether another process finds these classes by their names."""
    strategies = (use.strategy for use in uses_of(setup.strategy))
    parts = (
        *strategies, type(setup.sizing), type(setup.costs), *map(type, setup.rules),
        *((type(setup.capital),) if setup.capital else ()),
    )  # fmt: skip
    return all(
        part.__module__ != "__main__"
        and getattr(sys.modules.get(part.__module__), part.__qualname__, None) is part
        and getattr(sys.modules[part.__module__], "__spec__", None) is not None
        for part in parts
    )
