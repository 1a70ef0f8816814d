# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the capital stands on its steps: told from the journaled steps, never decided."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

from iverson.monitoring.events import Step
from iverson.reports.capital_step import standing, step_section
from tests.reports.hand_made import SETTINGS, account, close, sessions, told_of, trade

DAYS = sessions(date(2026, 9, 1), 40)
STEPPED = replace(
    SETTINGS,
    parameters={"capital": "CapitalSteps(levels=(0.01, 0.015, 0.02), trades=8, drawdown=0.04)"},
)


def step(session: date, level: int) -> Step:
    return Step(close(session), session, level, 0.01 + 0.005 * level, "trading begins")


def test_trades_since_the_last_step_are_counted() -> None:
    values = [
        step(DAYS[0], 0),
        *(trade(day, 25.0) for day in DAYS[1:11]),
        step(DAYS[11], 1),
        *(trade(day, 50.0) for day in DAYS[12:19]),
        trade(DAYS[19], 9.0, risk=math.nan),  # nobody planned what it risked
        account(DAYS[20], 10_000.0),
    ]
    found = standing(told_of(values, STEPPED))
    said = step_section(found)

    assert found is not None
    assert (found.trades, found.mean_r) == (7, 1.0)
    assert said.lines[0].startswith(f"Level 2 of 3 since {DAYS[11]}: at most 1.5% of equity")
    # seven of 1 R and one lost trade: 0.75 less t(0.975, 7) = 2.365 times 0.7071 / sqrt(8)
    bound = "1.00 R on average, lower bound 0.16 R; up"
    assert said.lines[1].startswith(f"7 of 8 trades since the last step, {bound}")
    assert said.facts["trades_since"] == 7


def test_fall_from_the_thirty_day_high_is_told_and_older_highs_are_forgotten() -> None:
    equities = [12_000.0, *([10_000.0] * 25), 10_200.0, 9_780.0]
    values = [
        step(DAYS[0], 1),
        *(account(day, equity) for day, equity in zip(DAYS, equities, strict=False)),
    ]
    found = standing(told_of(values, STEPPED))

    assert found is not None
    assert found.drawdown == 9_780 / 10_200 - 1
    assert step_section(found).lines[2] == (
        "Equity is 4.1% below its 30-day high; 4% is a step down, reached."
    )


def test_highest_level_waits_for_nothing() -> None:
    found = standing(told_of([step(DAYS[0], 2), account(DAYS[1], 10_000.0)], STEPPED))

    assert step_section(found).lines[1] == "It is the highest level."


def test_run_without_steps_says_so_and_unreadable_settings_are_the_usual_ones() -> None:
    assert standing(told_of([account(DAYS[0], 10_000.0)])) is None
    assert "No step was journaled" in step_section(None).lines[0]

    odd = replace(SETTINGS, parameters={"capital": "__import__('os').getcwd()"})
    found = standing(told_of([step(DAYS[0], 0), account(DAYS[1], 10_000.0)], odd))
    assert found is not None
    assert (found.needed, found.limit, found.levels) == (10, 0.05, 0)
