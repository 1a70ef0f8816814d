# SPDX-License-Identifier: GPL-3.0-or-later
"""Suggestions: from recorded walk-forwards, by more than luck, with the trials counted."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from iverson.monitoring.record import FoldRow, TrialRow
from iverson.reports.suggestions import NO_LEDGER, Suggestion, suggest
from iverson.research.ledger import Ledger, pack
from tests.reports.hand_made import SETTINGS, account, told_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
FIRST, LAST = date(2024, 1, 2), date(2024, 12, 31)
SESSIONS, DAILY = 250, 0.01
RUN = replace(SETTINGS, parameters={"period": 14, "stop": 2.0, "rules": ("Rule()",)})
CURRENT = {"period": 14, "stop": 2.0}


def trial(
    parameters: dict, *, seed: int, mean: float = 0.0, at: datetime = AT, **other: object
) -> TrialRow:
    returns = np.random.default_rng(seed).normal(mean, DAILY, SESSIONS)
    usual = TrialRow(
        at, "mine:Mine", "c0de", "c0nd", "da7a", parameters, FIRST, LAST, 40, 0.0, 0.0,
        pack(returns),
    )  # fmt: skip
    return replace(usual, **other)


def asked(tmp_path: Path, rows: list[TrialRow], *values: object, settings=RUN) -> Suggestion:
    path = tmp_path / "trials.db"
    Ledger(path).add(rows)
    told = told_of([*values, account(date(2024, 12, 31), 10_000)], settings)
    return suggest(told, path, seed=0, resamples=400)


def search(*, better: float = 0.0, **other: object) -> list[TrialRow]:
    """Make a walk-forward of six sets: the current one, four useless ones, and one perhaps good."""
    sets = [CURRENT, *({"period": n, "stop": 2.0} for n in (5, 7, 9, 11))]
    rows = [trial(one, seed=number) for number, one in enumerate(sets)]
    return [*rows, trial({"period": 21, "stop": 2.5}, seed=99, mean=better, **other)]


def test_set_that_is_far_ahead_is_suggested_and_not_applied(tmp_path: Path) -> None:
    found = asked(tmp_path, search(better=DAILY / 2))

    assert found.changes == {"period": (14, 21), "stop": (2.0, 2.5)}
    assert found.sentences()[0].startswith("Suggestion, not applied: period 14 → 21, stop 2.0 →")
    assert (found.compared, found.ideas, found.sound) == (5, 6, True)
    assert "5 parameter sets compared" in found.sentences()[1]
    assert "6 ever tried" in found.sentences()[1]


def test_nothing_is_suggested_when_none_is_ahead_by_more_than_luck(tmp_path: Path) -> None:
    found = asked(tmp_path, search())

    assert found.better is None
    assert found.changes is None
    assert found.sentences()[0] == (
        "No suggestion: nothing beats the current parameters by more than luck."
    )
    assert found.test is not None
    assert found.test.consistent > 0.05


def test_noise_is_seldom_suggested(tmp_path: Path) -> None:
    seeds = range(60)
    suggested = 0
    for seed in seeds:
        rows = [trial(CURRENT, seed=1_000 * seed)] + [
            trial({"period": n, "stop": 2.0}, seed=1_000 * seed + n) for n in range(1, 9)
        ]
        (tmp_path / str(seed)).mkdir()
        suggested += asked(tmp_path / str(seed), rows).better is not None

    # Binomial with 60 of 6 %: 10 or more come once in a thousand.
    assert suggested < 10


@pytest.mark.parametrize(
    "other",
    [{"conditions": "other costs"}, {"source": "other code"}, {"at": AT + timedelta(days=1)}],
    ids=["other conditions", "other code", "a backtest, alone at its instant"],
)
def test_what_is_ahead_but_no_walk_forward_of_this_system_is_not_suggested(
    tmp_path: Path, other: dict
) -> None:
    found = asked(tmp_path, search(better=DAILY / 2, **other))

    assert found.better is None
    assert "other code or conditions, or was not part of a walk-forward" in found.sentences()[0]
    assert found.compared == 5  # it counts as tried all the same


def test_more_return_for_more_risk_is_not_suggested(tmp_path: Path) -> None:
    own = np.random.default_rng(0).normal(DAILY, DAILY, SESSIONS)
    wild = trial({"period": 21, "stop": 2.0}, seed=1, returns=pack(own * 3))
    found = asked(tmp_path, [trial(CURRENT, seed=0, mean=DAILY), wild])

    assert found.better is None
    assert "by more risk" in found.sentences()[0]


def test_last_fold_of_a_walk_forward_has_the_current_parameters(tmp_path: Path) -> None:
    folds = [
        FoldRow(n, FIRST, FIRST, FIRST, LAST, {"period": period}, 6)
        for n, period in ((1, 14), (2, 21))
    ]
    rows = [*search(), trial({"period": 21, "stop": 2.0}, seed=3)]
    found = asked(tmp_path, rows, *folds)

    assert found.current is not None
    assert found.current.parameters == {"period": 21, "stop": 2.0}


def test_trial_with_others_beside_it_is_taken_before_a_lonely_one(tmp_path: Path) -> None:
    lonely = trial(CURRENT, seed=4, last=LAST + timedelta(days=90))
    found = asked(tmp_path, [*search(), lonely])

    assert found.current is not None
    assert found.current.last == LAST


def test_system_whose_module_the_journal_does_not_name_is_found_by_its_class(
    tmp_path: Path,
) -> None:
    found = asked(tmp_path, search(better=DAILY / 2), settings=replace(RUN, system="my-robot"))

    assert found.better is not None


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    other = asked(tmp_path, [trial({"period": 3, "stop": 2.0}, seed=1)])

    assert "not in the trial ledger" in other.sentences()[0]
    assert suggest(told_of([account(LAST, 1.0)]), None).sentences() == (NO_LEDGER,)
    assert suggest(told_of([account(LAST, 1.0)]), tmp_path / "no.db").why == NO_LEDGER


def test_only_the_current_set_leaves_nothing_to_compare(tmp_path: Path) -> None:
    assert "no other parameter set" in asked(tmp_path, [trial(CURRENT, seed=0)]).why


def test_changed_ledger_makes_its_count_a_lower_bound(tmp_path: Path) -> None:
    asked(tmp_path, search())
    with sqlite3.connect(tmp_path / "trials.db") as connection:
        connection.execute("DROP TRIGGER events_are_not_updated")
        connection.execute("UPDATE events SET hash = 'forged' WHERE seq = 2")
    told = told_of([account(LAST, 10_000)], RUN)

    found = suggest(told, tmp_path / "trials.db", resamples=200)

    assert not found.sound
    assert "at least 6 ever tried" in found.sentences()[1]


def test_broken_ledger_costs_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "trials.db").write_text("no journal")

    found = suggest(told_of([account(LAST, 10_000)], RUN), tmp_path / "trials.db")

    assert found.why.startswith("No suggestion: the trial ledger cannot be used: ")
