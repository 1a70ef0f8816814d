# SPDX-License-Identifier: GPL-3.0-or-later
"""A Ray cluster: of this machine's cores, the one in RAY_ADDRESS, or the one at an address."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from iverson.errors import ConfigError
from iverson.research.search_places import cores
from iverson.research.search_worker import Load, with_fetched_bars


class RayCluster:
    """See `search_cluster.Cluster`. Bars are put once; each worker fetches them once."""

    def __init__(self, *, own: bool) -> None:
        import ray
        from ray import exceptions

        self.ray = ray
        self.own = own
        self.lost: tuple[type[BaseException], ...] = (
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.ObjectLostError,
            exceptions.OutOfMemoryError,
        )
        # A batch is run again by us, who can say which one ends its workers.
        self.call = ray.remote(num_cpus=1, max_retries=0)(with_fetched_bars)
        self.digest = ""
        self.boxed: list[Any] = []
        self.in_hand: dict[Any, Any] = {}

    @classmethod
    def connected(cls, address: str | None) -> RayCluster:
        """Connect to a cluster, or start one on loopback with a worker for each core.

        Raises
        ------
        ConfigError: Ray is not installed, does not start, or nobody answers there.
        """
        there = address or os.environ.get("RAY_ADDRESS")
        # Ray reads both when it is imported: it would report each use to its makers, and on Linux
        # a cluster of one machine would listen to the network instead of loopback.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if there is None:
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        try:
            import ray
        except ImportError as error:
            raise ConfigError(
                "a search on Ray needs ray; run `pip install 'iverson[cluster]'`"
            ) from error
        if ray.is_initialized():
            return cls(own=False)
        usual = dict(log_to_driver=False, logging_level="error")
        try:
            if there is not None:
                ray.init(there, **usual)
            else:
                _start(ray, usual)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ConfigError(
                f"no Ray cluster answers at {there or 'this machine'} ({said}); start one with "
                "`ray start --head`, or mend the address"
            ) from error
        return cls(own=True)

    def send(self, load: Load) -> int:
        """Put the bars where every worker can fetch them; once for a search.

        Raises
        ------
        ConfigError: the cluster has no core.
        """
        if load.digest != self.digest:
            self.digest, self.boxed = load.digest, [self.ray.put(load)]
        workers = int(self.ray.cluster_resources().get("CPU", 0))
        if not workers:
            raise ConfigError("the Ray cluster has no core to run on; start a node with some")
        return workers

    def submit(self, call: Callable[[], Any]) -> Any:
        """Make a call on some worker; returns a future."""
        reference = self.call.remote(call, self.digest, self.boxed)
        future = reference.future()
        self.in_hand[future] = reference
        future.add_done_callback(lambda done: self.in_hand.pop(done, None))
        return future

    def cancel(self) -> None:
        """Drop all calls without an answer."""
        for reference in list(self.in_hand.values()):
            self.ray.cancel(reference, force=True)

    def close(self) -> None:
        """Disconnect; end the workers when they are ours."""
        self.boxed = []
        if self.own:
            self.ray.shutdown()


def _start(ray: Any, usual: dict[str, Any]) -> None:
    """Start a cluster on this machine; a busy one gets a second chance."""
    for chance in (1, 2):
        try:
            ray.init("local", num_cpus=cores(), include_dashboard=False, **usual)
        except Exception as error:  # with which Ray says that a node was too slow
            ray.shutdown()  # ends what did start
            if chance == 2:
                raise RuntimeError(f"it did not start twice: {error}") from error
        else:
            return
