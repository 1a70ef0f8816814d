# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run left behind: seldom looked for, yet never twice a large run's."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import backtrader as bt
import pytest

from iverson.engine import cerebro as engine
from iverson.engine.cerebro import LeanCerebro
from iverson.engine.feed import ArrayData
from tests.engine.fuzz import columns, walk

FEED = columns(walk(100, 1))
EARLIER: list[weakref.ref[Any]] = []
SEEN: list[bool] = []


class Curious(bt.Strategy):
    """Notes at its start whether the strategy of the run before is still in memory."""

    def start(self) -> None:
        SEEN.extend(one() is not None for one in EARLIER)
        EARLIER[:] = [weakref.ref(self)]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    EARLIER.clear()
    SEEN.clear()
    gc.collect()
    monkeypatch.setattr(engine._Unseen, "count", 0)
    monkeypatch.setattr(engine._Unseen, "last", 0)
    yield
    EARLIER.clear()


def run() -> None:
    made = LeanCerebro(stdstats=False)
    made.adddata(ArrayData(dataname=FEED))
    made.addstrategy(Curious)
    made.run()


@pytest.mark.parametrize(("large", "kept"), [(0, False), (1_000_000, True)])
def test_run_that_left_much_is_gone_before_the_next_begins(
    monkeypatch: pytest.MonkeyPatch, large: int, kept: bool
) -> None:
    monkeypatch.setattr(engine, "_LARGE", large)
    run()
    run()
    assert [kept] == SEEN


def test_garbage_that_somebody_has_collected_is_not_looked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "_LARGE", 0)
    run()
    gc.collect()
    before = gc.get_stats()[-1]["collections"]
    run()

    assert gc.get_stats()[-1]["collections"] == before
    assert SEEN == [False]
