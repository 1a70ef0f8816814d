# SPDX-License-Identifier: GPL-3.0-or-later
"""Forked processes: they inherit a strategy that cannot be sent, and the bars with it."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process

from iverson.research.backtest import Prepared
from iverson.research.search import Task
from iverson.research.search_rounds import Lost
from iverson.research.search_worker import Outcome, outcome_of


class Forks:
    """Processes that are this one's copies; only numbers and scores go back and forth."""

    def __init__(self, tasks: Sequence[Task], prepared: Prepared, processes: int) -> None:
        self.tasks = tasks
        self.prepared = prepared
        self.processes = processes

    def round(self, numbers: Sequence[int]) -> Iterator[tuple[int, Outcome | Lost]]:
        """Run these batches; when a process ends, the pool gives up all that are in hand."""
        pool = ProcessPoolExecutor(
            self.processes,
            get_context("fork"),
            initializer=_begin,
            initargs=(self.tasks, self.prepared),
        )
        waiting = deque(numbers)
        in_hand: dict[Future[Outcome], int] = {}
        try:
            while waiting or in_hand:
                while waiting and len(in_hand) < 2 * self.processes:
                    number = waiting.popleft()
                    in_hand[_submit(pool, number)] = number
                for future in wait(in_hand, return_when=FIRST_COMPLETED).done:
                    if isinstance(future.exception(), BrokenProcessPool):
                        yield from ((number, Lost("it died")) for number in in_hand.values())
                        return
                    yield in_hand.pop(future), future.result()
        finally:
            for future in in_hand:
                future.cancel()
            pool.shutdown(wait=True, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, number: int) -> Future[Outcome]:
    with warnings.catch_warnings():
        # Python >= 3.12 warns of threads that a fork loses; the children need none of them.
        warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)
        return pool.submit(_inherited, number)


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


def _inherited(number: int) -> Outcome:
    tasks, prepared = _WORK[0]
    return outcome_of(tasks[number], prepared)
