# SPDX-License-Identifier: GPL-3.0-or-later
"""A Dask cluster: of this machine's cores, or the one whose scheduler has an address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iverson.errors import ConfigError
from iverson.research import search_worker
from iverson.research.search_cluster import PATIENCE
from iverson.research.search_places import cores
from iverson.research.search_worker import Load, with_bars


class DaskCluster:
    """See `search_cluster.Cluster`. Bars are scattered: each worker holds them once."""

    def __init__(self, client: Any, own: Any = None) -> None:
        from distributed import CancelledError, KilledWorker

        self.client = client
        self.own = own
        self.lost: tuple[type[BaseException], ...] = (KilledWorker, CancelledError)
        self.load: Any = None
        self.in_hand: set[Any] = set()

    @classmethod
    def connected(cls, address: str | None) -> DaskCluster:
        """Connect to a scheduler, or start one on loopback with a worker for each core.

        Raises
        ------
        ConfigError: Dask is not installed, or nobody answers there.
        """
        try:
            import dask
            from distributed import Client, LocalCluster
        except ImportError as error:
            raise ConfigError(
                f"a search on Dask needs {error.name}; run `pip install 'iverson[cluster]'`"
            ) from error
        if address is not None:
            try:
                return cls(Client(address, timeout=PATIENCE, set_as_default=False))
            except (OSError, ValueError, ImportError) as error:
                raise ConfigError(
                    f"no Dask scheduler answers at {address} ({_first_line(error)}); start one "
                    "with `dask scheduler`, or mend the address"
                ) from error
        # A batch is run again by us, who can say which one ends its workers.
        with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
            own = LocalCluster(
                n_workers=cores(),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs=50,
                preload=[search_worker.__name__],
            )
        return cls(Client(own, set_as_default=False), own)

    def send(self, load: Load) -> int:
        """Scatter the bars to all workers; those that have them get nothing.

        Raises
        ------
        ConfigError: no worker comes.
        """
        try:
            self.client.wait_for_workers(1, timeout=PATIENCE)
            self.load = self.client.scatter(load, broadcast=True)
        except (TimeoutError, OSError) as error:
            raise ConfigError(
                f"the Dask cluster has no worker after {PATIENCE} s; start some with `dask worker "
                "ADDRESS --nthreads 1`"
            ) from error
        return len(self.client.ncores())

    def submit(self, call: Callable[[], Any]) -> Any:
        """Make a call on some worker; returns a future."""
        future = self.client.submit(with_bars, call, self.load, pure=False)
        self.in_hand.add(future)
        future.add_done_callback(self.in_hand.discard)
        return future

    def cancel(self) -> None:
        """Drop all calls without an answer."""
        self.client.cancel(list(self.in_hand), force=True)

    def close(self) -> None:
        """Disconnect; end the workers when they are ours."""
        self.load = None
        self.client.close()
        if self.own is not None:
            self.own.close()


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
