# SPDX-License-Identifier: GPL-3.0-or-later
"""Who talks to the venue while bars go on: one thread, the most urgent job first.

A job returns what it found; what follows from it is done later, by whoever drains the inbox, which
is Backtrader's own thread. So orders and positions are only ever touched there.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from queue import PriorityQueue
from typing import Any, Protocol

from iverson.execution.alpaca.pace import Priority

Job = Callable[[], Any]
Then = Callable[[Any], None]


class Worker(Protocol):
    """Does jobs and keeps what follows from them."""

    def do(self, priority: Priority, job: Job, then: Then) -> None:
        """Do a job now or soon; `then` gets what it returned."""
        ...

    def drain(self) -> None:
        """Do what follows from the jobs that are done, in order; raises what a job raised."""
        ...

    @property
    def idle(self) -> bool:
        """Whether no job waits or runs and nothing is left to drain."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until every job is done and can be drained, so long at most."""
        ...

    def stop(self, seconds: float) -> bool:
        """Take no more jobs; wait so long for those there are. False: some are left."""
        ...


class Inline:
    """Does each job at once, in the caller's thread: for wakes, which have nothing else to do."""

    def __init__(self) -> None:
        self._done: deque[tuple[Then, Any]] = deque()

    def do(self, priority: Priority, job: Job, then: Then) -> None:  # noqa: ARG002 (as the other)
        """Do a job; what follows waits for `drain`."""
        self._done.append((then, job()))

    def drain(self) -> None:
        """Do what follows, and what follows from that."""
        while self._done:
            then, found = self._done.popleft()
            then(found)

    @property
    def idle(self) -> bool:
        """Whether nothing is left to drain."""
        return not self._done

    def wait(self, seconds: float) -> None:
        """Nothing runs."""

    def stop(self, seconds: float) -> bool:  # noqa: ARG002 (nothing runs)
        """Nothing runs, so nothing is left."""
        return True


class Threaded:
    """Does jobs in a thread of its own."""

    def __init__(self, name: str = "alpaca") -> None:
        self._jobs: PriorityQueue[tuple[int, int, Job | None, Then]] = PriorityQueue()
        self._number = count()
        self._done: deque[tuple[Then, Any, BaseException | None]] = deque()
        self._pending = 0
        self._lock = threading.Condition()
        self._stopped = False
        # A daemon: a call that hangs must not keep the process from ending; `stop` waits first.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, priority: Priority, job: Job, then: Then) -> None:
        """Queue a job; after `stop` it is not taken."""
        with self._lock:
            if self._stopped:
                return
            self._pending += 1
        self._jobs.put((priority, next(self._number), job, then))

    def drain(self) -> None:
        """Do what follows from the jobs that are done; raises what a job raised."""
        while self._done:
            then, found, error = self._done.popleft()
            if error is not None:
                raise error
            then(found)

    @property
    def idle(self) -> bool:
        """Whether no job waits or runs and nothing is left to drain."""
        with self._lock:
            return self._pending == 0 and not self._done

    def wait(self, seconds: float) -> None:
        """Wait until every job is done and can be drained, so long at most."""
        with self._lock:
            self._lock.wait_for(lambda: self._pending == 0, timeout=seconds)

    def stop(self, seconds: float) -> bool:
        """Take no more jobs and wait for those there are."""
        with self._lock:
            self._stopped = True
            finished = self._lock.wait_for(lambda: self._pending == 0, timeout=seconds)
        self._jobs.put((-1, next(self._number), None, print))
        if finished:
            self._thread.join(timeout=seconds)
        return finished

    def _run(self) -> None:
        while True:
            _, _, job, then = self._jobs.get()
            if job is None:
                return
            try:
                self._done.append((then, job(), None))
            except BaseException as error:  # noqa: BLE001 (handed to Backtrader's thread, which raises it)
                self._done.append((then, None, error))
            finally:
                with self._lock:
                    self._pending -= 1
                    self._lock.notify_all()
