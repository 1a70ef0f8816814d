# SPDX-License-Identifier: GPL-3.0-or-later
"""The trial ledger: what it counts, and that nothing can be taken out unseen."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import DataError
from iverson.monitoring.record import TrialRow
from iverson.research.ledger import NO_TRIALS, Ledger, matrix, pack, unpack

RETURNS = (0.01, -0.02, 0.0)
ROW = TrialRow(
    at=datetime(2024, 1, 5, 22, 0, tzinfo=UTC),
    strategy="mine:Rsi",
    source="code-1",
    conditions="rules-1",
    data="bars-1",
    parameters={"period": 7},
    first=date(2024, 1, 2),
    last=date(2024, 1, 4),
    trades=3,
    total_return=-0.01,
    sharpe=math.nan,
    returns=pack(RETURNS),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "deep" / "trials.db")


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=50))
def test_returns_come_back_to_the_bit(returns: list[float]) -> None:
    back = unpack(pack(returns))
    assert back.tobytes() == np.asarray(returns, dtype=np.float64).tobytes()


@pytest.mark.parametrize("text", ["#", "aGVsbG8=", pack(RETURNS)[:-4]])
def test_returns_that_are_damaged_are_named(text: str) -> None:
    with pytest.raises(DataError, match="returns cannot be read"):
        unpack(text)


def test_ledger_that_was_never_written_knows_nothing(ledger: Ledger) -> None:
    assert ledger.of(ROW) == NO_TRIALS
    assert not ledger.path.exists()


def test_trials_come_back_as_they_were_recorded(ledger: Ledger) -> None:
    other = replace(ROW, parameters={"period": 14})
    assert ledger.add([ROW, other]) == len([ROW, other])
    assert ledger.of(ROW).rows == (ROW, other)
    yours = ledger.of(replace(ROW, strategy="yours:Rsi"))
    assert (yours.count, yours.rows) == (0, ())


def test_trial_evaluated_again_is_there_once_whenever_it_happened(ledger: Ledger) -> None:
    ledger.add([ROW])
    assert ledger.add([replace(ROW, at=ROW.at + timedelta(days=1)), ROW]) == 0
    assert ledger.of(ROW).rows == (ROW,)


@pytest.mark.parametrize("change", [
    {"source": "code-2"}, {"conditions": "rules-2"}, {"parameters": {"period": 8}},
])  # fmt: skip
def test_other_code_conditions_or_parameters_are_another_trial(
    ledger: Ledger, change: dict[str, object]
) -> None:
    ledger.add([ROW, replace(ROW, **change)])
    assert ledger.of(ROW).count == len([ROW, change])


@pytest.mark.parametrize("change", [{"data": "bars-2"}, {"last": date(2024, 1, 3)}])
def test_same_idea_on_other_bars_or_another_range_is_kept_but_counts_once(
    ledger: Ledger, change: dict[str, object]
) -> None:
    ledger.add([ROW, replace(ROW, **change)])
    trials = ledger.of(ROW)
    assert (trials.count, trials.rows) == (1, (ROW,))


def test_trials_of_other_strategies_on_the_same_bars_are_counted(ledger: Ledger) -> None:
    ledger.add([ROW, replace(ROW, strategy="yours:Sma"), replace(ROW, data="bars-2")])
    assert ledger.of(ROW).on_these_bars == 2


def test_matrix_has_a_column_a_trial(ledger: Ledger) -> None:
    other = replace(ROW, returns=pack([0.0, 0.5, math.nan]))
    assert np.array_equal(
        matrix([ROW, other]), np.array([RETURNS, (0.0, 0.5, math.nan)]).T, equal_nan=True
    )


def test_matrix_leaves_out_what_has_no_returns_or_ran_over_other_sessions() -> None:
    rows = [ROW, replace(ROW, returns=""), replace(ROW, returns=pack([0.1])), ROW]
    assert np.array_equal(matrix(rows), np.array([RETURNS, RETURNS]).T)
    assert matrix([rows[1]]).size == 0


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_row_that_was_taken_out_is_noticed(ledger: Ledger, seq: int) -> None:
    ledger.add([replace(ROW, parameters={"period": number}) for number in range(3)])
    assert ledger.of(ROW).sound
    with sqlite3.connect(ledger.path) as file:
        file.execute("DROP TRIGGER events_are_not_deleted")
        file.execute("DELETE FROM events WHERE seq = ?", (seq,))
    file.close()
    trials = ledger.of(ROW)
    assert (trials.sound, trials.count) == (False, 2)


def test_nothing_is_kept_of_an_addition_that_fails(ledger: Ledger) -> None:
    ledger.add([ROW])
    with pytest.raises(TypeError):
        ledger.add([replace(ROW, source="code-2"), replace(ROW, parameters={"period": object})])
    assert ledger.of(ROW).rows == (ROW,)


def test_of_very_many_trials_every_nth_is_compared_and_all_are_counted(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, tried = 3, 10
    monkeypatch.setattr("iverson.research.ledger.MOST_RETURNS", most)
    rows = [replace(ROW, parameters={"period": number}) for number in range(tried)]
    idle = replace(ROW, parameters={"period": -1}, returns="")
    shorter = replace(ROW, parameters={"period": -2}, returns=pack([0.1]))
    ledger.add([idle, shorter, *rows])
    found = ledger.of(ROW)
    assert found.rows == tuple(rows[:: math.ceil(tried / most)])
    assert found.count == len([idle, shorter, *rows])


def test_ledger_that_is_kept_open_sees_what_another_has_added(ledger: Ledger) -> None:
    other = replace(ROW, source="code-2")
    assert ledger.add([ROW]) == 1
    assert Ledger(ledger.path).add([other]) == 1
    assert ledger.add([ROW, other]) == 0
