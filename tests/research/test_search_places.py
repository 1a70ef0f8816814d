# SPDX-License-Identifier: GPL-3.0-or-later
"""Where batches run: lost workers, places that are not there, what travels."""

from __future__ import annotations

import json
import os
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import iverson as iv
from iverson.errors import ConfigError
from iverson.research import search as searching
from iverson.research.search import Task, search
from iverson.research.search_rounds import Lost, run
from iverson.research.search_worker import Load
from tests.research.search_systems import BARS, DEADLY, SETUP, SPANS, Deadly, deadly

SETS = [dict(period=2, max_sessions=n) for n in range(12)]
SMALL = 3  # sets in a batch, so that there are several
NUMBERS = ("score", "trades", "total_return", "cagr", "sharpe", "bars")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "BATCH", SMALL)
    monkeypatch.setattr(searching, "KERNEL_BATCH", SMALL)


def found(setup: Any = SETUP, **options: Any) -> Any:
    return search(
        setup, BARS, SPANS, SETS, **{"objective": "sharpe", "minimum_trades": 1, **options}
    )


def numbers(scores: Any) -> list[list[Any]]:
    """Without the parameters, in which markers and process ids differ; NaN as a word."""
    return [[repr([getattr(one, name) for name in NUMBERS]) for one in row] for row in scores]


def forked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The deadly strategy, where no other process could import it."""
    monkeypatch.setattr(Deadly, "__module__", "__main__")
    return deadly


NO_FORK = pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
PLACES = ["processes", pytest.param("forks", marks=NO_FORK)]


@pytest.mark.parametrize("place", PLACES)
def test_batch_of_a_lost_worker_is_run_again(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = numbers(found())
    if place == "forks":
        forked(monkeypatch)
    told: list[int] = []

    scores = found(deadly(tmp_path / "once"), jobs=2, progress=lambda done, _: told.append(done))

    assert (tmp_path / "once").exists()  # a worker did end
    assert numbers(scores) == expected
    assert told == list(range(SMALL, 2 * len(SETS) + 1, SMALL))


@pytest.mark.parametrize("place", PLACES)
def test_batch_that_ends_its_worker_each_time_is_named_and_the_others_kept(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resumed search has only the rest to do."""
    file = None if place == "forks" else tmp_path / "done.jsonl"
    if place == "forks":
        forked(monkeypatch)  # which has no source file to be known by
    first = DEADLY // SMALL * SMALL  # of its batch

    with pytest.raises(
        ConfigError,
        match=rf"Deadly\(period=2, max_sessions={first}\) and 2 sets after it, 2005-03-01 to "
        "2005-06-30, ended its worker 3 times",
    ):
        found(deadly(), jobs=2, resume=file)

    if file is not None:
        kept = len(file.read_text().splitlines()) - 1
        assert kept >= 1
        assert numbers(found(deadly(), resume=file)) == numbers(found())
        assert len(file.read_text().splitlines()) - 1 == 2 * len(SETS) // SMALL


class Scripted:
    """A place that loses what it is told to, and writes down who ran beside whom."""

    def __init__(self, *losses: set[int]) -> None:
        self.losses = list(losses)
        self.rounds: list[list[int]] = []

    def round(self, numbers: Any) -> Any:
        self.rounds.append(list(numbers))
        lost = self.losses.pop(0) if self.losses else set()
        for number in numbers:
            yield number, Lost("scripted") if number in lost else []


TASKS = [Task((0, n), SETUP, ({"period": n},), *SPANS[0], "sharpe", 1) for n in range(4)]


def test_only_what_was_lost_runs_again_and_alone_after_two_losses() -> None:
    place = Scripted({1, 2}, {1, 2})

    done = [number for number, _ in run(TASKS, place)]

    assert place.rounds == [[0, 1, 2, 3], [1, 2], [1], [2]]
    assert done == [0, 3, 1, 2]


def test_one_loss_alone_is_not_held_against_a_batch() -> None:
    place = Scripted({0}, {0})

    assert [number for number, _ in run(TASKS[:1], place)] == [0]
    with pytest.raises(ConfigError, match="ended its worker 3 times"):
        list(run(TASKS[:1], Scripted({0}, {0}, {0})))


def test_place_without_a_worker_is_an_error_not_a_loop() -> None:
    class Nowhere:
        def round(self, numbers: Any) -> Any:
            return iter(())

    with pytest.raises(ConfigError, match="no worker took a batch"):
        list(run(TASKS, Nowhere()))


def test_first_fault_waits_for_those_before_it() -> None:
    """Whichever worker is quickest."""
    faults = {2: ConfigError("later"), 1: ConfigError("first")}

    class Backwards:
        def round(self, numbers: Any) -> Any:
            for number in reversed(numbers):
                yield number, faults.get(number, [])

    done: list[int] = []

    def note_all() -> None:
        done.extend(number for number, _ in run(TASKS, Backwards()))

    with pytest.raises(ConfigError, match="first"):
        note_all()
    assert done == [3, 0]


@pytest.mark.parametrize("last_is_lost", [False, True])
def test_fault_does_not_hide_a_deadly_batch_before_it(last_is_lost: bool) -> None:
    """Whatever else was lost beside it: the first in order, once all others are done."""

    class Both(Scripted):
        def round(self, numbers: Any) -> Any:
            for number, outcome in super().round(numbers):
                fault = number == 1 and not isinstance(outcome, Lost)
                yield number, ConfigError("a fault") if fault else outcome

    beside = {0, 3} if last_is_lost else {0}
    done: list[int] = []

    def note_all() -> None:
        done.extend(number for number, _ in run(TASKS, Both(beside, beside, {0})))

    with pytest.raises(ConfigError, match="ended its worker 3 times"):
        note_all()
    assert sorted(done) == [2, 3]


@pytest.mark.parametrize(
    ("jobs", "package"), [("dask", "dask"), ("tcp://127.0.0.1:1", "dask"), ("ray", "ray")]
)
def test_missing_cluster_package_says_what_to_install(
    jobs: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("dask", "distributed", "ray"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(ConfigError, match=rf"needs {package}; run `pip install 'iverson\[cluster"):
        found(jobs=jobs)


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_ray_that_starts_too_slowly_gets_a_second_chance(
    failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray says so with a plain Exception, and leaves running what did start."""
    from iverson.research.search_ray import RayCluster

    left, steps = [Exception("timed out during startup")] * failures, []

    def init(*_: Any, **__: Any) -> None:
        steps.append("init")
        if left:
            raise left.pop()

    slow = types.SimpleNamespace(
        init=init, shutdown=lambda: steps.append("shutdown"), is_initialized=lambda: False
    )
    monkeypatch.setitem(sys.modules, "ray", slow)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(RayCluster, "__init__", lambda self, own: None)

    if failures < 2:
        RayCluster.connected(None)
    else:
        with pytest.raises(ConfigError, match=r"this machine \(it did not start twice: timed out"):
            RayCluster.connected(None)

    assert steps == ["init", "shutdown"] * failures + ["init"] * (failures < 2)


@pytest.mark.parametrize("jobs", ["dask", "ray"])
def test_strategy_of_a_notebook_is_refused_by_clusters(jobs: str) -> None:
    local = type("Local", (SETUP.strategy,), {"__module__": "__main__"})

    with pytest.raises(ConfigError, match="put it into a module that its workers can import"):
        found(replace(SETUP, strategy=local), jobs=jobs)


def test_load_is_known_by_its_bars_and_their_order() -> None:
    one, same, turned = (
        Load.of(bars) for bars in (BARS, dict(BARS), dict(reversed(list(BARS.items()))))
    )

    assert one == same
    assert hash(one) == hash(same)
    assert one != turned


def test_batches_do_not_carry_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is pickled for a batch is far smaller than the bars, which a worker gets once."""
    import pickle

    size = len(pickle.dumps((0, TASKS[0], Load.of(BARS).digest), protocol=5))

    assert size < len(pickle.dumps(Load.of(BARS), protocol=5)) / 10


def test_batch_is_known_by_the_system_and_nothing_accidental(tmp_path: Path) -> None:
    """The same search made twice finds all of its batches."""
    file = tmp_path / "done.jsonl"
    found(resume=file)
    size = file.stat().st_size

    found(replace(SETUP, rules=iv.rules.standard()), resume=file)

    assert file.stat().st_size == size
    assert {type(json.loads(line)) for line in file.read_text().splitlines()} == {dict}
    assert os.access(file, os.R_OK)
