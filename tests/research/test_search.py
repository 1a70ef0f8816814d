# SPDX-License-Identifier: GPL-3.0-or-later
"""The search: every set on every span, in order, whatever the number of processes."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from datetime import date
from typing import Any

import backtrader as bt
import pytest

import iverson as iv
from iverson.errors import ConfigError
from iverson.market import sample
from iverson.research import search_places
from iverson.research.backtest import Prepared, Setup, simulate
from iverson.research.search import BATCH, Score, best, search

BARS = {symbol: bars[1200:1420] for symbol, bars in sample.load(["AAPL", "IBM"]).items()}
SPANS = [(date(2005, 3, 1), date(2005, 6, 30)), (date(2005, 7, 1), date(2005, 9, 30))]


class Dip(iv.Strategy):
    """Buy a close below its average."""

    params = dict(period=5, max_sessions=2)

    def entry(self, data):
        dip = data.close < bt.ind.SMA(data, period=self.p.period)
        return iv.Long(confidence=bt.If(dip, 3, 0), limit=data.close, stop=data.close * 0.97)


SETUP = Setup(Dip, iv.rules.standard())
SETS = [dict(period=2, max_sessions=n) for n in range(BATCH + 1)]


def found(sets: list[dict[str, Any]] = SETS, *, setup: Setup = SETUP, **options: Any) -> Any:
    return search(
        setup, BARS, SPANS, sets, **{"objective": "sharpe", "minimum_trades": 1, **options}
    )


def test_scores_stand_where_they_were_asked_for() -> None:
    """More sets than a batch holds, and a last batch of one."""
    scores = found()

    assert [[score.params for score in row] for row in scores] == [SETS, SETS]


@pytest.mark.parametrize("count", [1, BATCH - 1, BATCH, BATCH + 1])
def test_batch_borders_lose_and_repeat_nothing(count: int) -> None:
    told: list[tuple[int, int]] = []
    scores = found(SETS[:count], progress=lambda *step: told.append(step))

    assert [len(row) for row in scores] == [count, count]
    assert told[-1] == (2 * count, 2 * count)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_number_of_processes_changes_nothing() -> None:
    one = found()

    assert found(jobs=2) == one
    assert found(jobs=-1) == one


def test_processes_that_cannot_fork_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """There it is one process, with a word, for classes that others cannot import."""
    monkeypatch.setattr(search_places.sys, "platform", "win32")
    local = type("Local", (Dip,), {"__module__": "__main__"})

    with warnings.catch_warnings(record=True) as told:  # Backtrader warns too from Python 3.12
        warnings.simplefilter("always")
        scores = found(setup=replace(SETUP, strategy=local), jobs=2)

    assert any("searching in one process" in str(warning.message) for warning in told)
    assert scores == found()


def test_score_is_that_of_a_full_run() -> None:
    score = found(SETS[2:3])[0][0]
    first, last = SPANS[0]

    outcome = simulate(SETUP.with_params(SETS[2]), Prepared.of(BARS), first=first, last=last)

    assert score.trades == len(outcome.pnl)
    assert score.total_return == outcome.equity[-1] / outcome.start - 1.0


def test_too_few_trades_cannot_win() -> None:
    assert {score.score for score in found(SETS[:1], minimum_trades=999)[0]} == {-math.inf}


def scored(*values: float) -> list[Score]:
    return [Score({"n": n}, value, 1, 0.0, 0.0, 0.0, 1) for n, value in enumerate(values)]


def test_best_is_the_first_of_equals_and_nobody_below_all() -> None:
    top = best(scored(1.0, 3.0, 3.0, -math.inf))

    assert top is not None
    assert top.params == {"n": 1}
    assert best(scored(-math.inf, -math.inf)) is None
    assert best([]) is None


def test_nan_score_cannot_win() -> None:
    top = best(scored(math.nan, 1.0))

    assert top is not None
    assert top.score == 1.0
    assert best(scored(math.nan)) is None


def test_equal_scores_are_equal_with_nan_in_them() -> None:
    one, same = (Score({"n": 1}, 1.0, 0, 0.0, 0.0, float("nan"), 1) for _ in range(2))

    assert one == same
    assert one != replace(same, sharpe=0.0)
    assert replace(same, sharpe=0.0) != one
    assert one != 1


@pytest.mark.parametrize("jobs", [0, -2, 1.5, None, "all", "dusk", "http://localhost:1"])
def test_place_has_to_be_one(jobs: Any) -> None:
    with pytest.raises(ConfigError, match="expected 1 or more processes, or -1"):
        found(jobs=jobs)


class Picky(Dip):
    """Fails with one parameter, gives faulty signals with another."""

    def entry(self, data):
        if self.p.max_sessions == 4:
            raise OSError("no sentiment")
        stop = data.close * (1.02 if self.p.max_sessions == 5 else 0.97)
        return iv.Long(confidence=3, limit=data.close, stop=stop)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (
            4,
            r"Picky\(period=2, max_sessions=4\) failed at test_search.py:\d+: OSError",
        ),
        (5, r"Picky\(period=2, max_sessions=5\), AAPL on 2005-03-10: stop .* below the limit"),
    ],
)
def test_first_fault_is_the_same_sentence_from_other_processes(
    jobs: int, number: int, words: str
) -> None:
    sets = [one for one in SETS if one["max_sessions"] not in {4, 5} - {number}]
    with pytest.raises(ConfigError, match=words):
        found(sets, setup=replace(SETUP, strategy=Picky), jobs=jobs)
