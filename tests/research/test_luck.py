# SPDX-License-Identifier: GPL-3.0-or-later
"""Trials on their way into the ledger, and every instrument on one walk-forward over noise."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pytest

import iverson as iv
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import TrialRow
from iverson.research.backtest import Prepared, simulate
from iverson.research.charts_luck import luck_chart
from iverson.research.ledger import matrix, unpack
from iverson.research.luck import LUCK, MORE, luck
from iverson.research.overfitting import overfitting_probability, reality_check
from iverson.research.trials import (
    BATCH,
    MOST_RETURNS,
    conditions_of,
    evaluate,
    name_of,
    remember,
    source_of,
    trial,
    where,
)
from iverson.research.walk_result import WalkForward
from iverson.testing import noise

NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
BARS = noise("AAA BBB", seed=1, sessions=900, start=date(2010, 1, 4))
GRID = dict(depth=[0.5, 1.0, 2.0], hold=[1, 3])


class Dip(iv.Strategy):
    """Buys a fall."""

    params = dict(depth=1.0, hold=2)
    warm_up = 65

    def entry(self, data: Any) -> iv.Long:
        fell = data.close < data.close(-self.p.hold) * (1 - self.p.depth / 100)
        return iv.Long(
            confidence=bt.If(fell, 5, 0), limit=data.close,
            stop=data.close * 0.97, target=data.close * 1.03,
        )  # fmt: skip


def system(store: Path) -> iv.System:
    return iv.System(Dip, symbols=list(BARS), bars=BARS, store=store, clock=lambda: NOON)


def walk(store: Path, grid: dict[str, list[Any]] = GRID) -> WalkForward:
    return system(store).walk_forward(in_sample="6mo", out_of_sample="6mo", grid=grid)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def walked(store: Path) -> WalkForward:
    return walk(store)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_every_set_of_a_search_is_in_the_ledger_with_its_returns(
    walked: WalkForward, store: Path
) -> None:
    with Journal(store / "trials.db", read_only=True) as journal:
        rows = [row for row in journal.values("trial") if isinstance(row, TrialRow)]
    asked = {(depth, hold) for depth in GRID["depth"] for hold in GRID["hold"]}
    assert {(row.parameters["depth"], row.parameters["hold"]) for row in rows} == asked
    assert {(row.at, row.strategy, row.data) for row in rows} == {
        (NOON, name_of(Dip), walked.passport.digest)
    }
    prepared = Prepared.of(BARS)
    for row in rows:
        setup = walked.setup.with_params(dict(row.parameters))
        run = simulate(setup, prepared, first=row.first, last=row.last)
        equity = np.r_[run.start, run.equity]
        assert np.array_equal(unpack(row.returns), equity[1:] / equity[:-1] - 1)
        assert row.trades == len(run.pnl)


def test_same_search_again_is_no_new_trial_and_another_grid_is(fresh: Path) -> None:
    first, again = walk(fresh), walk(fresh)
    wider = walk(fresh, dict(depth=[0.5, 1.5]))
    assert (first.known.count, again.known.count) == (6, 6)
    assert wider.known.count == first.known.count + len([0.5, 1.5])  # `hold` is 2 in both
    assert wider.luck.searched == 2
    assert matrix(wider.tried).shape[1] == wider.known.count


def test_backtest_is_a_trial(fresh: Path) -> None:
    one = system(fresh)
    one.backtest("2011", "2012")
    one.backtest("2011", "2012", depth=3.0)
    assert walk(fresh).known.count == 6 + 2


def test_ledger_that_cannot_be_written_costs_a_sentence_not_the_result(fresh: Path) -> None:
    fresh.mkdir()
    (fresh / "trials.db").write_text("no journal")
    run = system(fresh).backtest("2011", "2012")
    assert len(run.trades) > 0
    assert any("trial ledger cannot be used" in note for note in run.notes)
    assert (fresh / "trials.db").read_text() == "no journal"


def test_rows_taken_out_of_the_ledger_are_said_so(fresh: Path) -> None:
    walk(fresh)
    with sqlite3.connect(fresh / "trials.db") as file:
        file.execute("DROP TRIGGER events_are_not_deleted")
        file.execute("DELETE FROM events WHERE seq = 2")
    file.close()
    result = walk(fresh, dict(depth=[0.5]))
    assert not result.luck.sound
    assert any("taken out" in note for note in result.notes)


def test_what_was_not_run_over_the_whole_range_is_counted_all_the_same(fresh: Path) -> None:
    setup = iv.System(Dip, ["AAA"], bars=BARS)._setup({})
    sets = [dict(depth=n / 1000) for n in range(MOST_RETURNS + 1)]
    shared = where(setup, data="d", first=date(2012, 1, 3), last=date(2012, 1, 20), at=NOON)
    rows = list(evaluate(setup, Prepared.of({"AAA": BARS["AAA"]}), sets, shared))
    assert [row.parameters["depth"] for row in rows] == [one["depth"] for one in sets]
    assert [bool(row.returns) for row in rows] == [not n % 2 for n in range(len(sets))]
    known, problems = remember(rows, fresh)
    assert (known.count, problems) == (len(sets), ())
    assert [row.parameters["depth"] for row in known.rows] == [one["depth"] for one in sets[::2]]


def test_ledger_is_free_while_the_trials_run(fresh: Path) -> None:
    """Another search may add its own meanwhile."""
    setup = iv.System(Dip, ["AAA"], bars=BARS)._setup({})
    shared = where(setup, data="d", first=date(2012, 1, 3), last=date(2012, 1, 20), at=NOON)

    def rows() -> Iterator[TrialRow]:
        for number in range(BATCH + 1):
            if number == BATCH:  # the first batch is in, the second runs
                system(fresh).backtest("2011", "2012", depth=0.5)
            yield trial(setup.with_params(dict(depth=float(number))), shared, None, 0)

    known, problems = remember(rows(), fresh)
    assert (known.count, problems) == (BATCH + 2, ())


def test_conditions_are_told_apart_and_parameters_are_none_of_them(walked: WalkForward) -> None:
    setup = walked.setup
    others = [
        setup,
        replace(setup, cash=setup.cash * 2),
        replace(setup, rules=setup.rules[1:]),
        replace(setup, costs=setup.costs.scaled(2)),
        replace(setup, through_ticks=0),
    ]
    assert len({conditions_of(one) for one in others}) == len(others)
    assert conditions_of(setup) == conditions_of(setup.with_params(dict(depth=9.0)))


def test_strategy_typed_anew_is_the_same_code_until_a_line_changes() -> None:
    def typed(number: float) -> type[iv.Strategy]:
        space: dict[str, Any] = {"__name__": "of_no_file", "iv": iv}
        code = f"class Typed(iv.Strategy):\n    def entry(self, data):\n        return {number}\n"
        exec(code, space)  # noqa: S102 (as a notebook does)
        found: type[iv.Strategy] = space["Typed"]
        return found

    assert source_of(typed(1.0)) == source_of(typed(1.0))
    assert source_of(typed(1.0)) != source_of(typed(2.0))


def test_instruments_are_asked_about_all_trials_and_the_stitched_account(
    walked: WalkForward,
) -> None:
    found, trials = walked.luck, matrix(walked.tried)
    assert trials.shape[1] == len(GRID["depth"]) * len(GRID["hold"])
    assert found.overfitting is not None
    assert found.reality is not None
    assert found.overfitting.probability == overfitting_probability(trials).probability
    assert found.reality == reality_check(trials, seed=walked.seed, resamples=1000)
    assert found.out_of_sample is not None
    assert found.out_of_sample.sharpe == pytest.approx(walked.metrics["sharpe"].value)
    assert set(found.table["says"]) <= {MORE, LUCK}


def test_instrument_that_cannot_be_used_says_why(fresh: Path) -> None:
    alone = walk(fresh, dict(depth=[1.0]))
    row = alone.luck.table.loc["probability of overfitting"]
    assert row["value"] == "not used"
    assert "nothing was chosen" in row["says"]
    assert "probability of overfitting" in str(alone.luck)


def test_luck_is_the_same_for_a_seed(walked: WalkForward) -> None:
    assert str(luck(walked, seed=3)) == str(luck(walked, seed=3))


def test_search_over_noise_convinces_nobody(fresh: Path) -> None:
    """The notebook's case: splendid in sample, and every instrument says no."""
    bars = noise("AAA BBB CCC", seed=1, sessions=1200, start=date(2010, 1, 4))
    grid = dict(depth=[0.5, 1.0, 1.5, 2.0, 2.5], hold=[1, 2, 3, 5, 8])
    found = iv.System(Dip, symbols=list(bars), bars=bars, store=fresh).walk_forward(
        in_sample="1y", out_of_sample="1y", grid=grid
    )
    chosen = [one.chosen.sharpe for one in found.results if one.chosen is not None]
    assert max(chosen) > 1.0
    assert found.luck.passed == 0


def test_chart_draws_all_four_questions(walked: WalkForward) -> None:
    figure = luck_chart(walked)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Every parameter set ever tried",
        "Best in one half, in the other half",
        "Random entries, the same exits",
        "The same trades in other orders",
    ]
    assert all(axes.has_data() for axes in figure.axes)


def test_noise_has_nothing_to_find() -> None:
    """The mean daily return is within three standard errors of 0, symbols are independent."""
    made = noise("A B", seed=7, sessions=4_000)
    returns = [one.close[1:] / one.close[:-1] - 1 for one in made.values()]
    for one in returns:
        assert abs(one.mean()) < 3 * one.std() / np.sqrt(one.size)
        assert one.std() == pytest.approx(0.015, rel=0.05)
    assert abs(np.corrcoef(returns)[0, 1]) < 3 / np.sqrt(returns[0].size)
    assert np.array_equal(noise("A B", seed=7, sessions=4_000)["B"].close, made["B"].close)
