# SPDX-License-Identifier: GPL-3.0-or-later
"""The search on real Dask and Ray clusters of this machine, on loopback: `make test-cluster`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import iverson as iv
from iverson.errors import ConfigError
from iverson.research import search as searching
from iverson.research import search_cluster, search_places, search_worker
from iverson.research.search import search
from iverson.research.search_worker import Load
from tests.research.search_systems import BARS, DEADLY, SETUP, SPANS, Dip, deadly
from tests.research.test_search_places import numbers

pytestmark = [
    pytest.mark.cluster,
    # Dask's and Ray's own: files and sockets that they close when the interpreter ends, and Ray's
    # word on what a later version will do with graphics cards.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*Ray will no longer override accelerator:FutureWarning"),
]
PLACES = ["dask", "ray"]
SMALL = 3
SETS = [dict(period=2, max_sessions=n) for n in range(12)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "BATCH", SMALL)
    monkeypatch.setattr(searching, "KERNEL_BATCH", SMALL)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """A Dask cluster that was there before: one scheduler, two workers, their address."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


def found(setup: Any = SETUP, **options: Any) -> Any:
    return search(
        setup, BARS, SPANS, SETS, **{"objective": "sharpe", "minimum_trades": 1, **options}
    )


@pytest.mark.parametrize("jobs", PLACES)
def test_cluster_changes_nothing_and_tells_how_far_it_is(jobs: str) -> None:
    told: list[tuple[int, int]] = []
    scores = found(jobs=jobs, progress=lambda *step: told.append(step))

    assert scores == found()
    assert told == [(done, 2 * len(SETS)) for done in range(SMALL, 2 * len(SETS) + 1, SMALL)]


@pytest.mark.parametrize("jobs", PLACES)
def test_journal_of_a_walk_forward_is_the_same_bytes(jobs: str, tmp_path: Path) -> None:
    system = iv.System(Dip, list(BARS), bars=BARS)
    for name, where in {"here": 1, "there": jobs}.items():
        system.walk_forward(
            in_sample="4mo", out_of_sample="1mo", minimum_trades=1, grid=dict(period=[2, 3, 4]),
            jobs=where, journal=tmp_path / name,
        )  # fmt: skip

    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()


@pytest.mark.parametrize("jobs", PLACES)
def test_batch_of_a_lost_worker_is_run_again(jobs: str, tmp_path: Path) -> None:
    scores = found(deadly(tmp_path / "once"), jobs=jobs)

    assert (tmp_path / "once").exists()  # a worker did end
    assert numbers(scores) == numbers(found())


@pytest.mark.parametrize("jobs", PLACES)
def test_batch_that_ends_its_workers_is_named_and_costs_nothing_else(
    jobs: str, tmp_path: Path
) -> None:
    """All other batches are done, and kept, before it runs alone."""
    file = tmp_path / "done.jsonl"
    spans = SPANS[:1]
    first = DEADLY // SMALL * SMALL

    with pytest.raises(ConfigError, match=rf"max_sessions={first}\) and 2 sets after it, 2005-03"):
        search(
            deadly(), BARS, spans, SETS, objective="sharpe", minimum_trades=1, jobs=jobs,
            resume=file,
        )  # fmt: skip

    assert len(file.read_bytes().splitlines()) - 1 == len(SETS) // SMALL - 1


@pytest.mark.parametrize("jobs", PLACES)
def test_fault_of_the_strategy_is_the_same_sentence(jobs: str) -> None:
    from tests.research.test_search import Picky

    setup = iv.System(Picky, list(BARS), bars=BARS)._setup({})

    with pytest.raises(ConfigError, match=r"Picky\(period=2, max_sessions=4\) failed at test_sea"):
        found(setup, jobs=jobs)


@pytest.mark.parametrize("jobs", PLACES)
def test_worker_with_other_code_is_refused(jobs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_cluster, "code_of", lambda setup: "other")

    with pytest.raises(ConfigError, match="has another version of Iverson"):
        found(jobs=jobs)


def test_cluster_at_an_address_serves_and_stays(scheduler: str) -> None:
    assert found(jobs=scheduler) == found()
    assert found(jobs=scheduler) == found()


def test_bars_travel_once_to_each_worker(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted where they are pickled: once for the scatter, whatever the number of batches."""
    from iverson.research.search_dask import DaskCluster

    pickled: list[str] = []
    monkeypatch.setattr(Load, "__reduce__", lambda load: _noted(load, pickled), raising=False)
    cluster = DaskCluster.connected(scheduler)
    try:
        assert cluster.send(Load.of(BARS)) == 2
        once = len(pickled)
        held = cluster.client.who_has([cluster.load])
        place = search_cluster.OnCluster(_tasks(), Load.of(BARS), cluster)
        done = sorted(number for number, _ in place.round(range(len(_tasks()))))
    finally:
        cluster.close()

    assert [len(workers) for workers in held.values()] == [2]
    assert once >= 1
    assert len(pickled) <= 2 * once  # the second scatter is known by its digest, batches add none
    assert done == list(range(len(_tasks())))


def _noted(load: Load, pickled: list[str]) -> Any:
    pickled.append(load.digest)
    return Load, (load.digest, load.bars)


def _tasks() -> list[Any]:
    return [
        searching.Task((0, n), SETUP, (dict(period=2, max_sessions=n),), *SPANS[0], "sharpe", 1)
        for n in range(20)
    ]


def test_nobody_at_the_address_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from iverson.research import search_dask

    monkeypatch.setattr(search_dask, "PATIENCE", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()

    with pytest.raises(ConfigError, match=f"no Dask scheduler answers at tcp://127.0.0.1:{port}"):
        found(jobs=f"tcp://127.0.0.1:{port}")
    assert time.monotonic() - began < 20


def test_cluster_without_workers_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    from iverson.research import search_dask

    monkeypatch.setattr(search_dask, "PATIENCE", 1)
    with (
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        pytest.raises(ConfigError, match="has no worker after 1 s"),
    ):
        found(jobs=cluster.scheduler_address)


MODULE = """import iverson as iv
from tests.research.search_systems import BARS, Dip

system = iv.System(Dip, ["AAPL", "IBM"], bars=BARS, rules=[iv.rules.LongOnly()])
grid = dict(period=[2, 3], max_sessions=list(range(1, 11)))
"""
WALK = ["walk-forward", "mine", "--in-sample", "4mo", "--out-of-sample", "1mo"]
WALK += ["--minimum-trades", "1", "--json"]


@pytest.mark.parametrize("jobs", PLACES)
def test_ctrl_c_leaves_no_process_and_keeps_what_was_done(jobs: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MODULE)
    script = (
        "from iverson.research import search\nsearch.KERNEL_BATCH = search.BATCH = 6\n"
        "if __name__ == '__main__':\n    from iverson.cli.main import main\n    main()\n"
    )
    (tmp_path / "small.py").write_text(script)
    top = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "small.py", *WALK, "--jobs", jobs, "--resume", "done.jsonl"],
        cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, env={**os.environ, "PYTHONPATH": top},
    )  # fmt: skip
    assert process.stderr is not None
    lines = iter(process.stderr.readline, "")
    first = next((line for line in lines if "in-sample search" in line), "")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert first
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "iverson: stopped"
    assert "Traceback" not in err
    assert len((tmp_path / "done.jsonl").read_bytes().splitlines()) > 1
    deadline = time.monotonic() + 20
    while _named(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not _named(tmp_path)


def _named(folder: Path) -> list[str]:
    """Processes that work in a folder."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            if (one / "cwd").readlink() == folder:
                found.append((one / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_all_cores_are_what_a_local_cluster_has() -> None:
    from iverson.research.search_dask import DaskCluster

    cluster = DaskCluster.connected(None)
    try:
        assert cluster.send(Load.of(BARS)) == search_places.cores()
    finally:
        cluster.close()
    assert not search_worker.keeps(Load.of(BARS).digest)  # they are over there
