# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster as a joblib backend: what Dask and Ray have in common.

joblib's own Dask backend waits for ever for a batch that ended its workers, and Ray's cannot hand
out results as they are done; this one has neither fault and knows both clusters by five verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, Self

from joblib import parallel_config
from joblib._parallel_backends import ParallelBackendBase

from iverson.errors import ConfigError
from iverson.research.search import Task
from iverson.research.search_code import code_of
from iverson.research.search_places import in_parallel
from iverson.research.search_rounds import Lost
from iverson.research.search_worker import Load, Outcome

PATIENCE = 30  # seconds to wait for a cluster, or for its first worker


class Cluster(Protocol):
    """Workers somewhere: `lost` are the errors that mean a worker ended, not that it failed."""

    lost: tuple[type[BaseException], ...]

    @classmethod
    def connected(cls, address: str | None) -> Self:
        """Reach the cluster at an address, or make one of this machine's cores."""
        ...

    def send(self, load: Load) -> int:
        """Bring the bars to the workers; returns how many these are."""
        ...

    def submit(self, call: Callable[[], Any]) -> Any:
        """Make a call on some worker; returns a future."""
        ...

    def cancel(self) -> None:
        """Drop all calls without an answer."""
        ...

    def close(self) -> None:
        """Let go, and end what `connected` made."""
        ...


class OnCluster:
    """The place of batches that run on a cluster."""

    def __init__(self, tasks: Sequence[Task], load: Load, cluster: Cluster) -> None:
        self.tasks = tasks
        self.load = load
        self.cluster = cluster
        self.code = code_of(tasks[0].setup)

    def round(self, numbers: Sequence[int]) -> Iterator[tuple[int, Outcome | Lost]]:
        """Run these batches; a worker that ends loses what it had in hand and nothing else."""
        backend = _Backend(self.cluster, self.cluster.send(self.load))
        where = parallel_config(backend, n_jobs=-1)
        calls = {
            number: (number, self.tasks[number], self.load.digest, self.code) for number in numbers
        }
        yield from in_parallel(where, calls, broken=_Never)


class _Never(Exception):
    """What this backend raises for a lost worker: nothing, it answers `Lost`."""


class _Backend(ParallelBackendBase):
    supports_retrieve_callback = True

    def __init__(self, cluster: Cluster, workers: int) -> None:
        super().__init__()
        self.cluster = cluster
        self.workers = workers

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        self.parallel = parallel
        return self.effective_n_jobs(n_jobs)

    def effective_n_jobs(self, n_jobs: int) -> int:  # noqa: ARG002 (joblib's signature)
        return max(2, self.workers)  # joblib runs one job here instead of there

    def submit(self, func: Any, callback: Callable[[Any], None]) -> Any:
        number = func.items[0][1][0]
        future = self.cluster.submit(func)
        future.add_done_callback(lambda done: callback((number, done)))
        return future

    def retrieve_result_callback(self, out: tuple[int, Any]) -> list[tuple[int, Outcome | Lost]]:
        number, future = out
        try:
            result: list[tuple[int, Outcome | Lost]] = future.result()
        except self.cluster.lost as error:
            return [(number, Lost(f"the cluster says {type(error).__name__}"))]
        except ImportError as error:
            raise ConfigError(
                f"a worker of the cluster cannot import what it needs: {error}; install there "
                "what is installed here, the module of the strategy too"
            ) from error
        return result

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: ARG002 (the same)
        self.cluster.cancel()
