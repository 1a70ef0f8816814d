# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs in a worker: it keeps the bars of one search, made ready once, and scores batches.

Bars travel once to each worker, as a `Load` known by its digest; a batch names the digest only.
"""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from iverson.errors import ConfigError, IversonError
from iverson.market.bars import Bars
from iverson.research.backtest import Prepared
from iverson.research.search import Score, Task, evaluate
from iverson.research.search_code import code_of

Outcome = list[Score] | IversonError


@dataclass(frozen=True, eq=False)
class Load:
    """The bars of a search; two loads of one digest are the same."""

    digest: str
    bars: Mapping[str, Bars]

    @classmethod
    def of(cls, bars: Mapping[str, Bars]) -> Load:
        """Make the load of these bars, in the order of their symbols."""
        joined = "/".join(one.digest for one in bars.values())
        return cls(hashlib.sha256(joined.encode()).hexdigest(), dict(bars))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Load) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __dask_tokenize__(self) -> str:
        return self.digest


# A worker with several threads still runs one batch at a time: Backtrader counts in globals.
_ONE_AT_A_TIME = threading.RLock()
_READY: dict[str, Prepared] = {}


def keep(load: Load) -> None:
    """Make the bars of a search ready, and forget those of the one before."""
    with _ONE_AT_A_TIME:
        if load.digest not in _READY:
            _READY.clear()
            _READY[load.digest] = Prepared.of(load.bars)


def keeps(digest: str) -> bool:
    """Whether the bars of this digest are ready here."""
    return digest in _READY


def begin(load: Load) -> None:
    """Prepare a process of joblib's: the parent hears Ctrl-C and ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep(load)


def work(number: int, task: Task, digest: str, code: str | None = None) -> tuple[int, Outcome]:
    """Score one batch over the bars kept here; an error of Iverson's is a result too.

    `code`, when given, is what `code_of` says where the search was started: a worker with other
    code would give other numbers, and refuses.
    """
    with _ONE_AT_A_TIME:
        if code is not None and code_of(task.setup) != code:
            return number, ConfigError(
                "a worker of the cluster has another version of Iverson, numpy, Backtrader or of "
                f"{task.setup.strategy.__module__}; install there what is installed here, and "
                "start its workers again"
            )
        return number, outcome_of(task, _READY[digest])


def outcome_of(task: Task, prepared: Prepared) -> Outcome:
    """Score one batch; an error of Iverson's is returned, for the first in order to be raised."""
    try:
        return evaluate(task, prepared)
    except IversonError as error:
        return error


def dask_setup(worker: Any) -> None:  # noqa: ARG001 (the name and signature are Dask's)
    """Prepare a worker of our own Dask cluster, which loads this module first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def with_bars(call: Callable[[], Any], load: Load) -> Any:
    """Make a call of a Dask worker's, to which Dask has brought the bars."""
    with _ONE_AT_A_TIME:
        keep(load)
        return call()


def with_fetched_bars(call: Callable[[], Any], digest: str, boxed: list[Any]) -> Any:
    """Make a call of a Ray worker's, which fetches the bars when it has others.

    Ray hands over what is inside a list as a reference, and what is not as a new copy each time.
    """
    if not keeps(digest):
        import ray

        keep(ray.get(boxed[0]))
    return call()
