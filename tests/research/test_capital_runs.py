# SPDX-License-Identifier: GPL-3.0-or-later
"""Capital steps in research: runs, folds, searches, journals, and all that tells systems apart."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import iverson as iv
from iverson.errors import ConfigError
from iverson.model import Trade
from iverson.monitoring.events import Step
from iverson.monitoring.reports import read_report
from iverson.research.backtest import Prepared, Setup, simulate
from iverson.research.search import Task
from iverson.research.search_code import code_of
from iverson.research.search_places import importable
from iverson.research.search_resume import batch_keys
from iverson.research.trials import conditions_of
from iverson.stages.memory import remember
from iverson.testing import bars

STEPS = iv.CapitalSteps(levels=(0.002, 0.003, 0.004), trades=5)
RISING = "100/100.5/99.9/100.4 100.4/102.5/100.3/102.4 gap 100 "
SERIES = {"TEST": bars(RISING * 60)}
SESSIONS = SERIES["TEST"].session
FIRST, LAST = SESSIONS[10].item(), SESSIONS[-1].item()


class Winner(iv.Strategy):
    """Buys what is sure to rise, so that every trade wins."""

    warm_up = 10
    params = dict(max_sessions=2, reach=1.02)

    def entry(self, data: Any) -> Any:
        return iv.Long(
            confidence=5,
            limit=data.close * 1.01,
            stop=data.close * 0.97,
            target=data.close * self.p.reach,
        )


SYSTEM = iv.System(Winner, ["TEST"], bars=SERIES, capital=STEPS, costs=iv.Costs.none())
SETUP: Setup = SYSTEM._setup({})


def test_backtest_goes_up_level_by_level_and_is_bounded_by_each() -> None:
    run = SYSTEM.backtest()
    steps, approved = run.record.steps, [one for one in run.record.verdicts if one.approved]

    assert [step.level for step in steps] == [0, 1, 2]
    assert [step.cap for step in steps] == list(STEPS.levels)
    assert {one.rule for one in approved} == {"capital step"}
    equity = {row.at: row.equity for row in run.record.equity}
    for one in approved:
        cap = [step.cap for step in steps if step.at <= one.signal.at][-1]
        risk = one.risk / equity[one.signal.at]
        assert cap - one.signal.risk_per_share / equity[one.signal.at] < risk <= cap
    closed = [t for t in run.record.trades if steps[0].at < t.exit_at <= steps[1].at]
    assert len(closed) >= STEPS.trades
    assert "capital steps: 2 up, 0 down; a trade may risk 0.40% at the end" in str(run)


def test_without_them_nothing_is_said_or_bounded() -> None:
    run = replace(SYSTEM, capital=None).backtest()

    assert run.record.steps == []
    assert "capital" not in str(run)
    assert "capital step" not in {one.rule for one in run.record.verdicts}


def test_report_of_a_journal_shows_the_steps(tmp_path: Path) -> None:
    SYSTEM.backtest(journal=tmp_path / "a.db")
    replace(SYSTEM, capital=None).backtest(journal=tmp_path / "b.db")
    with iv.Journal(tmp_path / "a.db", read_only=True) as journal:
        report = read_report(journal)
        table = journal.steps()
    with iv.Journal(tmp_path / "b.db", read_only=True) as journal:
        other = read_report(journal)

    chapter = report.text().partition("\ncapital steps\n")[2]
    assert f"  {FIRST}: 0.20% of equity a trade; trading begins with the first level" in chapter
    assert "0.30% of equity a trade; " in chapter
    assert "trades since the last step made" in chapter
    assert [step["cap"] for step in report.as_dict()["steps"]] == list(STEPS.levels)
    assert table["cap"].tolist() == list(STEPS.levels)
    assert report.run.parameters["capital"] == repr(STEPS)
    assert "capital steps" not in other.text()
    assert "capital" not in other.run.parameters


def test_memory_read_from_a_backtests_journal_is_what_it_hands_over(tmp_path: Path) -> None:
    """Between two steps, so that there are trades to be counted."""
    last = SESSIONS[-30].item()
    outcome = simulate(SETUP, Prepared.of(SERIES), first=FIRST, last=last, at_end="carry")
    with iv.Journal(tmp_path / "a.db", durable=False) as journal:
        for value in outcome.record.values:
            journal.append("run", value)
        state = remember(journal, "run", after=last).state

    handed = outcome.opening.state
    assert len(handed.multiples) > 0
    assert handed.risk_cap in STEPS.levels
    assert (state.risk_cap, state.stepped, state.multiples) == (
        handed.risk_cap, handed.stepped, handed.multiples,
    )  # fmt: skip


@pytest.mark.parametrize("back", range(1, 7))
def test_trade_that_ends_with_the_run_counts_in_the_next_one(back: int) -> None:
    last = SESSIONS[-back].item()
    outcome = simulate(SETUP, Prepared.of(SERIES), first=FIRST, last=last)
    values = outcome.record.values
    since = max(number for number, value in enumerate(values) if isinstance(value, Step))

    after = [value.r_multiple for value in values[since:] if isinstance(value, Trade)]
    assert outcome.opening.state.multiples == tuple(after)


def test_those_runs_end_with_a_trade() -> None:
    """So that the test above is about it."""
    ends = [
        simulate(SETUP, Prepared.of(SERIES), first=FIRST, last=SESSIONS[-back].item())
        for back in range(1, 7)
    ]

    assert "fold end" in {one.record.trades[-1].exit_reason for one in ends}


@pytest.mark.parametrize("at_border", ["close", "carry"])
def test_folds_carry_the_level_on(at_border: Any) -> None:
    found = SYSTEM.walk_forward(
        FIRST, LAST, in_sample=20, out_of_sample=15, purge=0, minimum_trades=1, at_border=at_border
    )
    steps = found.record.steps
    folds = [one.fold.out_of_sample.first for one in found.results]

    assert len(folds) > 4
    assert [step.level for step in steps] == [0, 1, 2]
    assert steps[0].session == folds[0]
    assert steps[1].session > folds[0]
    assert "capital steps: 2 up, 0 down" in str(found)


def test_search_is_left_to_the_engine_and_says_so() -> None:
    how: Any = dict(in_sample=40, out_of_sample=20, purge=0, minimum_trades=1)
    grid = dict(reach=[1.015, 1.02])
    found = SYSTEM.walk_forward(FIRST, LAST, grid=grid, **how)
    alone = simulate(
        SETUP.with_params(dict(found.results[0].scores[0].params)),
        Prepared.of(SERIES),
        first=found.results[0].fold.in_sample.first,
        last=found.results[0].fold.in_sample.last,
        full=False,
    )

    assert any("by capital steps a size depends on the trades before it" in n for n in found.notes)
    assert found.results[0].scores[0].total_return == pytest.approx(
        alone.equity[-1] / alone.start - 1
    )
    free = replace(SYSTEM, capital=None).walk_forward(FIRST, LAST, grid=grid, **how)
    assert not any("capital" in note for note in free.notes)
    assert found.results[0].scores[0] != free.results[0].scores[0]


def test_search_records_count_trades_as_full_ones_do() -> None:
    marks = [
        simulate(SETUP, Prepared.of(SERIES), first=FIRST, last=LAST, full=full).equity
        for full in (True, False)
    ]

    np.testing.assert_array_equal(*marks)


def test_steps_are_a_condition_of_a_trial_and_of_a_resumed_search() -> None:
    setups = [replace(SETUP, capital=one) for one in (None, STEPS, replace(STEPS, trades=6))]
    tasks = [Task((0, 0), one, ({},), date(2024, 1, 2), LAST, "sharpe", 1) for one in setups]

    assert len({conditions_of(one) for one in setups}) == 3
    assert len({tuple(batch_keys([one], SERIES)) for one in tasks}) == 3


def test_setup_with_and_without_steps_is_importable() -> None:
    assert importable(SETUP)
    assert importable(replace(SETUP, capital=None))
    assert code_of(SETUP)


@pytest.mark.parametrize("given", [0.01, iv.CapitalSteps, (0.01, 0.02)])
def test_system_takes_capital_steps_only(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"expected iv\.CapitalSteps\(\.\.\.\) or None"):
        iv.System(Winner, ["TEST"], bars=SERIES, capital=given)
