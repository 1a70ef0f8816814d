# SPDX-License-Identifier: GPL-3.0-or-later
"""What a search holds in memory does not grow with its sets, beyond their numbers and scores."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import iverson as iv
from iverson.research import search as searching
from iverson.research import sweep, sweep_lines, trials
from iverson.research.backtest import Prepared, Setup
from iverson.research.search import Task, search
from iverson.research.search_space import Uniform, random_sets
from tests.research.search_systems import BARS, SPANS


class Deep(iv.Strategy):
    """Buy a close far below its average; no two parameter sets have a line in common."""

    params = dict(depth=0.01, far=0.03, max_sessions=2)

    def entry(self, data):
        dip = data.close < bt.ind.SMA(data, period=5) * (1 - self.p.depth)
        stop = data.close * (1 - self.p.far)
        return iv.Long(confidence=bt.If(dip, 3, 0), limit=data.close, stop=stop)


ONE = {"AAPL": BARS["AAPL"]}  # no pair, whose correlation some sets would ask for and others not
SETUP = Setup(Deep, iv.rules.standard())
SPACE = dict(depth=Uniform(0.0, 0.02), far=Uniform(0.01, 0.04))
FEW, MANY, BATCH = 40, 100, 20  # whole batches: the plans of the last are kept
A_SET = 1_000  # bytes: two parameters, six scores, the digest of a name; measured: 60 to 140


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every bound be reached by few sets."""
    pytest.importorskip("numba")
    monkeypatch.setattr(searching, "KERNEL_BATCH", BATCH)
    monkeypatch.setattr(sweep, "MOST_SETS", BATCH)
    monkeypatch.setattr(sweep_lines, "MOST_PLANS", BATCH)
    monkeypatch.setattr(trials, "BATCH", BATCH)


A_PLAN = 20_000  # bytes; measured: 10,000, against 60,000 of a strategy and its lines


def peak_of(call: Callable[[Sequence[Any]], Any], sets: int) -> int:
    """Return how many bytes more than before were held at most while sets were searched."""
    drawn = random_sets(SPACE, sets, seed=sets)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = call(drawn)
        _, most = tracemalloc.get_traced_memory()
        assert kept is not None
        return most - before
    finally:
        tracemalloc.stop()


def growth(call: Callable[[Sequence[Any]], Any]) -> float:
    """Return by how many bytes a set the peak grows, all caches being warm."""
    call(random_sets(SPACE, BATCH + 1, seed=0))
    return (peak_of(call, MANY) - peak_of(call, FEW)) / (MANY - FEW)


def test_plan_keeps_names_of_lines_and_neither_their_values_nor_the_strategy() -> None:
    prepared, sets = Prepared.of(ONE), random_sets(SPACE, BATCH, seed=1)
    task = Task((0, 0), SETUP, sets, *SPANS[0], "sharpe", 1)
    sweep.kernel_runs(replace(task, sets=random_sets(SPACE, 1, seed=2)), prepared)
    gc.collect()
    tracemalloc.start()
    try:
        sweep.kernel_runs(task, prepared)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / BATCH < A_PLAN


@pytest.mark.parametrize("resumed", [False, True])
def test_search_keeps_numbers_and_scores_of_a_set_and_nothing_else(
    tmp_path: Path, resumed: bool
) -> None:
    resume = tmp_path / "done.jsonl" if resumed else None

    def collect(*_: int) -> None:
        gc.collect()  # the engine leaves its garbage for later, up to half a million objects
        tracemalloc.reset_peak()  # a batch's own peak is that of its best set's run

    def searched(sets: Sequence[Any]) -> Any:
        return search(
            SETUP, ONE, SPANS[:1], sets,
            objective="sharpe", minimum_trades=1, resume=resume, progress=collect,
        )  # fmt: skip

    assert growth(searched) < A_SET


def test_trials_go_to_the_ledger_and_leave_no_more_than_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iverson.research.ledger.MOST_RETURNS", BATCH)
    monkeypatch.setattr(trials, "MOST_RETURNS", MANY)
    prepared = Prepared.of(ONE)
    first, last = SPANS[0][0], SPANS[-1][1]

    def tried(sets: Sequence[Any]) -> Any:
        at = datetime(2024, 1, 1, len(sets) % 24, tzinfo=UTC)
        shared = trials.where(SETUP, data=f"bars-{len(sets)}", first=first, last=last, at=at)
        found, problems = trials.remember(
            trials.evaluate(SETUP, prepared, sets, shared), tmp_path / str(len(sets))
        )
        assert (found.count, problems) == (len(sets), ())
        assert 0 < len(found.rows) <= BATCH
        return found

    assert growth(tried) < A_SET
