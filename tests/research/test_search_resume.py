# SPDX-License-Identifier: GPL-3.0-or-later
"""A search that was ended goes on from what was done, and ends with the same table."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import iverson as iv
from iverson.errors import ConfigError
from iverson.execution.costs import Costs
from iverson.research import search as searching
from iverson.research import sweep as sweeping
from iverson.research.search import Score, Task, search
from iverson.research.search_resume import HEADER, batch_keys, finished
from tests.research.search_systems import BARS, SETUP, SPANS

SMALL = 3
SETS = [dict(period=2, max_sessions=n) for n in range(7)]
BATCHES = 2 * math.ceil(len(SETS) / SMALL)
LENGTHS = dict(in_sample="4mo", out_of_sample="1mo", minimum_trades=1)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "BATCH", SMALL)
    monkeypatch.setattr(searching, "KERNEL_BATCH", SMALL)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """The batches that were really run in this process."""
    seen: list[Task] = []
    sweep = sweeping.sweep

    def noting(task: Task, prepared: Any) -> Any:
        seen.append(task)
        return sweep(task, prepared)

    monkeypatch.setattr(sweeping, "sweep", noting)
    return seen


def found(resume: Path | None = None, setup: Any = SETUP, **options: Any) -> Any:
    usual: dict[str, Any] = {"objective": "sharpe", "minimum_trades": 1}
    return search(setup, BARS, SPANS, SETS, resume=resume, **{**usual, **options})


def lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines(keepends=True)


def test_stopped_search_goes_on_and_finds_the_same(tmp_path: Path, runs: list[Task]) -> None:
    file, done_before = tmp_path / "done.jsonl", 2

    def stop(done: int, _: int) -> None:
        if len(runs) == done_before:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found(file, progress=stop)
    assert len(lines(file)) == 1 + done_before
    told: list[int] = []

    scores = found(file, progress=lambda done, _: told.append(done))

    assert len(runs) == BATCHES  # none twice
    assert scores == found()
    assert told[-1] == 2 * len(SETS)
    assert told == sorted(told)


def test_finished_search_runs_nothing(tmp_path: Path, runs: list[Task]) -> None:
    file = tmp_path / "done.jsonl"
    first = found(file)
    runs.clear()
    size = file.stat().st_size

    assert found(file) == first
    assert found(file, jobs=2) == first
    assert not runs
    assert file.stat().st_size == size


def test_equal_batches_are_all_found(tmp_path: Path, runs: list[Task]) -> None:
    """A grid may name one set twice."""
    file = tmp_path / "done.jsonl"
    sets = [SETS[0]] * (2 * SMALL)
    look = lambda: search(
        SETUP, BARS, SPANS[:1], sets, objective="sharpe", minimum_trades=1, resume=file
    )
    first = look()
    runs.clear()

    assert look() == first
    assert not runs


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_torn_last_line_costs_its_batch_only(tmp_path: Path, runs: list[Task], cut: int) -> None:
    file = tmp_path / "done.jsonl"
    first = found(file)
    whole = file.read_bytes()
    last = lines(file)[-1]
    file.write_bytes(whole[: -min(cut, len(last) - 1)])
    runs.clear()

    assert found(file) == first
    assert len(runs) == 1
    assert file.read_bytes() == whole


@pytest.mark.parametrize("kept", [0, 1, len(HEADER) - 1])
def test_torn_header_is_written_anew(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "done.jsonl"
    file.write_bytes(HEADER[:kept])

    found(file)

    assert lines(file)[0] == HEADER
    assert len(lines(file)) == 1 + BATCHES


@pytest.mark.parametrize(
    "change",
    [
        {"objective": "cagr"},
        {"minimum_trades": 2},
        {"setup": replace(SETUP, costs=Costs(spread_bps=77.0))},
        {"setup": replace(SETUP, rules=iv.rules.standard()[1:])},
        {"setup": replace(SETUP, cash=20_000.0)},
        {"setup": replace(SETUP, params=dict(period=3))},
        {"setup": replace(SETUP, sizing=iv.RiskSizing(volume_sessions=9))},
    ],
    ids=str,
)
def test_nothing_is_taken_from_another_search(
    tmp_path: Path, runs: list[Task], change: dict[str, Any]
) -> None:
    file = tmp_path / "done.jsonl"
    found(file)
    runs.clear()

    assert found(file, **change) == found(**change)
    assert len(runs) == 2 * BATCHES


def test_other_bars_and_other_order_of_bars_are_another_search() -> None:
    task = Task((0, 0), SETUP, (SETS[0],), *SPANS[0], "sharpe", 1)
    shorter = {symbol: bars[:-1] for symbol, bars in BARS.items()}
    turned = dict(reversed(list(BARS.items())))

    keys = {batch_keys([task], bars)[0] for bars in (BARS, shorter, turned)}

    assert len(keys) == 3


def test_keys_are_the_same_in_another_process(tmp_path: Path) -> None:
    script = (
        "from tests.research.search_systems import *\n"
        "from iverson.research.search import Task\n"
        "from iverson.research.search_resume import batch_keys\n"
        "task = Task((0, 0), SETUP, (dict(period=2),), *SPANS[0], 'sharpe', 1)\n"
        "print(batch_keys([task], BARS)[0])\n"
    )
    task = Task((0, 0), SETUP, (dict(period=2),), *SPANS[0], "sharpe", 1)

    told = [
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("1", "2")
    ]  # fmt: skip

    assert told == [batch_keys([task], BARS)[0]] * 2


VALUES = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan]


def test_floats_come_back_to_the_bit(tmp_path: Path) -> None:
    file = tmp_path / "done.jsonl"
    sets = tuple({"n": n} for n in range(len(VALUES)))
    task = Task((0, 0), SETUP, sets, *SPANS[0], "sharpe", 1)
    given = [
        Score(one, value, 1, value, -value, value, 9)
        for one, value in zip(sets, VALUES, strict=True)
    ]
    with finished(file, SETUP, BARS) as kept:
        (key,) = kept.keys([task])
        kept.add(key, given)

    with finished(file, SETUP, BARS) as again:
        back = again.found(key, task)

    assert back == given
    assert [math.copysign(1.0, one.score) for one in back] == [
        math.copysign(1.0, value) for value in VALUES
    ]
    assert [one.score.hex() for one in back] == [value.hex() for value in VALUES]


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "strategy.py"
    file.write_text("print('mine')\n")

    with pytest.raises(ConfigError, match="holds something else than finished batches"):
        found(file)

    assert file.read_text() == "print('mine')\n"


BAD = ["nonsense", "{}", '{"batch": 7}', "[1, 2]", '"text"']


@pytest.mark.parametrize("bad", BAD)
def test_damaged_line_in_the_middle_is_named(tmp_path: Path, bad: str) -> None:
    file = tmp_path / "done.jsonl"
    found(file)
    told = lines(file)
    file.write_bytes(b"".join([*told[:2], bad.encode() + b"\n", *told[2:]]))

    with pytest.raises(ConfigError, match=r"line 3 of .*done\.jsonl is no finished batch"):
        found(file)


@pytest.mark.parametrize(
    "row", [[1.0, 2], [1.0, 2, 0.1, 0.1, 0.1, "9"], [1.0, 2.5, 0.1, 0.1, 0.1, 9], "text"]
)
def test_scores_of_another_form_are_refused(tmp_path: Path, row: Any) -> None:
    file = tmp_path / "done.jsonl"
    found(file)
    told = lines(file)
    line = json.loads(told[1])
    line["scores"][0] = row
    file.write_bytes(b"".join([told[0], json.dumps(line).encode() + b"\n", *told[2:]]))

    with pytest.raises(ConfigError, match="line 2 of"):
        found(file)


def test_strategy_without_a_source_file_cannot_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cell", types.ModuleType("cell"))
    local = type("Local", (SETUP.strategy,), {"__module__": "cell"})

    with pytest.raises(ConfigError, match="Local has no source file"):
        found(tmp_path / "done.jsonl", replace(SETUP, strategy=local))


def test_resumed_walk_forward_journals_the_same_bytes(tmp_path: Path) -> None:
    system = iv.System(SETUP.strategy, list(BARS), bars=BARS)
    file = tmp_path / "done.jsonl"
    for name, options in {
        "plain": {},
        "first": {"resume": file},
        "again": {"resume": file},
    }.items():
        system.walk_forward(
            grid=dict(period=[2, 3, 4]), journal=tmp_path / name, **LENGTHS, **options
        )  # fmt: skip

    plain, first, again = ((tmp_path / name).read_bytes() for name in ("plain", "first", "again"))
    assert plain == first == again


MODULE = """import iverson as iv
from tests.research.search_systems import BARS, Dip

system = iv.System(Dip, ["AAPL", "IBM"], bars=BARS, rules=[iv.rules.LongOnly()])
grid = dict(period=[2, 3], max_sessions=list(range(1, 11)))
"""
WALK = ["walk-forward", "mine", "--in-sample", "4mo", "--out-of-sample", "1mo"]
WALK += ["--minimum-trades", "1", "--json"]
# The report of the folds, which takes longer than the search, is looked at elsewhere.
SCRIPT = """
from iverson.research import search
from iverson.research.walk_result import WalkForward
search.KERNEL_BATCH = search.BATCH = 6
WalkForward.report = lambda self, target, **_: target
from iverson.cli.main import main
main()
"""


def started(folder: Path, *more: str) -> Any:
    """Begin the command in a folder of its own, as a leader of its processes."""
    (folder / "mine.py").write_text(MODULE)
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *WALK, *more], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip


@pytest.fixture(scope="module")
def never_ended(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the command prints when nobody ends it."""
    return str(started(tmp_path_factory.mktemp("plain"), "--jobs", "1").communicate(timeout=100)[0])


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_ended_command_goes_on_and_prints_the_same(
    tmp_path: Path, never_ended: str, ending: int
) -> None:
    """Ctrl-C says where to go on from; a killed one had no time to."""
    stopped = started(tmp_path, "--jobs", "2", "--resume", "done.jsonl")
    first = stopped.stderr.readline()  # a tenth is done
    os.killpg(stopped.pid, ending)
    _, err = stopped.communicate(timeout=60)
    kept = len((tmp_path / "done.jsonl").read_bytes().splitlines()) - 1
    again = started(tmp_path, "--jobs", "1", "--resume", "done.jsonl")
    printed, _ = again.communicate(timeout=100)

    assert "in-sample search" in first
    assert kept >= 1
    if ending == signal.SIGINT:
        assert stopped.returncode == 130
        assert "go on with --resume done.jsonl" in err
    assert json.loads(printed)
    assert printed == never_ended
