# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs are done elsewhere, urgent ones first; what follows happens here, in order."""

from __future__ import annotations

import threading
import time

import pytest

from iverson.execution.alpaca.pace import Priority
from iverson.execution.alpaca.worker import Inline, Threaded

PATIENCE = 5.0


def settle(worker: Threaded) -> None:
    """Drain until nothing is left."""
    until = time.monotonic() + PATIENCE
    while not worker.idle:
        assert time.monotonic() < until
        worker.drain()
        time.sleep(0.001)


def test_inline_does_the_job_at_once_and_what_follows_when_drained() -> None:
    worker, seen = Inline(), []
    worker.do(Priority.READ, lambda: seen.append("job") or 7, seen.append)

    assert seen == ["job"]
    assert not worker.idle
    worker.drain()
    assert seen == ["job", 7]
    assert worker.idle


def test_what_follows_may_ask_for_more() -> None:
    worker, seen = Inline(), []
    worker.do(
        Priority.READ,
        lambda: 1,
        lambda one: worker.do(Priority.READ, lambda: one + 1, seen.append),
    )
    worker.drain()

    assert seen == [2]


def test_jobs_run_in_another_thread_and_what_follows_in_this_one() -> None:
    worker, threads = Threaded(), []
    worker.do(Priority.READ, threading.get_ident, threads.append)
    worker.do(Priority.READ, lambda: None, lambda _: threads.append(threading.get_ident()))
    settle(worker)

    assert threads[0] != threading.get_ident()
    assert threads[1] == threading.get_ident()
    assert worker.stop(PATIENCE)


def test_waiting_ends_with_the_last_job_and_leaves_what_follows_to_be_drained() -> None:
    worker, seen, gate = Threaded(), [], threading.Event()
    worker.do(Priority.READ, gate.wait, seen.append)
    worker.do(Priority.READ, lambda: 1, seen.append)
    worker.wait(0.01)
    assert not worker.idle

    threading.Timer(0.05, gate.set).start()
    began = time.monotonic()
    worker.wait(PATIENCE)

    assert time.monotonic() - began < PATIENCE
    assert seen == []
    worker.drain()
    assert seen == [True, 1]
    assert worker.idle
    assert worker.stop(PATIENCE)


def test_urgent_jobs_go_first() -> None:
    worker, order, gate = Threaded(), [], threading.Event()
    worker.do(Priority.READ, lambda: gate.wait(PATIENCE), lambda _: None)
    for priority in (Priority.READ, Priority.ENTRY, Priority.CANCEL, Priority.EXIT):
        worker.do(priority, lambda: None, lambda _, one=priority: order.append(one))
    gate.set()
    settle(worker)

    assert order == sorted(Priority)
    assert worker.stop(PATIENCE)


def test_error_of_a_job_is_raised_where_it_is_drained() -> None:
    worker = Threaded()
    worker.do(Priority.READ, lambda: 1 // 0, print)
    assert worker.stop(PATIENCE)

    with pytest.raises(ZeroDivisionError):
        worker.drain()


def test_stop_waits_for_what_runs_and_takes_no_more() -> None:
    worker, seen = Threaded(), []
    worker.do(Priority.READ, lambda: time.sleep(0.05), lambda _: seen.append("done"))

    assert worker.stop(PATIENCE)
    worker.do(Priority.READ, lambda: 1, seen.append)
    worker.drain()
    assert seen == ["done"]


def test_stop_says_when_something_hangs() -> None:
    worker, gate = Threaded(), threading.Event()
    worker.do(Priority.READ, lambda: gate.wait(PATIENCE), print)

    assert not worker.stop(0.05)
    gate.set()
