# SPDX-License-Identifier: GPL-3.0-or-later
"""Splits and dividends are read out of the steps of adj_close/close, and only real ones."""

from __future__ import annotations

import pandas as pd
import pytest

from iverson.errors import BadBars
from iverson.market import actions as table
from iverson.market import sample
from iverson.market.actions import derive_actions

SESSIONS = pd.to_datetime(["2021-03-01", "2021-03-02", "2021-03-03", "2021-03-04", "2021-03-05"])


def frame(close: list[float], adj_close: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "symbol": "AAA",
            "session": SESSIONS[: len(close)],
            "close": close,
            "adj_close": adj_close,
        }
    )


def found(actions: pd.DataFrame) -> list[tuple[str, str, float]]:
    return [
        (f"{row.session:%Y-%m-%d}", row.kind, row.value) for row in actions.itertuples(index=False)
    ]


def test_a_dividend_follows_the_rule_of_wiki() -> None:
    # 1/r = 1 + 0.60/60 on the ex-date, so everything before it is divided by 1.01.
    before = 61.0 / 1.01
    bars = frame([61.0, 61.0, 60.0, 60.0, 60.0], [before, before, 60.0, 60.0, 60.0])

    assert found(derive_actions(bars)) == [("2021-03-03", "dividend", 0.60)]


def test_a_halved_close_with_a_step_of_two_is_a_split() -> None:
    bars = frame([100.0, 101.0, 50.0, 51.0, 50.5], [50.0, 50.5, 50.0, 51.0, 50.5])

    assert found(derive_actions(bars)) == [("2021-03-03", "split", 2.0)]


def test_a_reverse_split_is_below_one() -> None:
    bars = frame([1.0, 1.0, 10.1, 10.0, 10.0], [10.0, 10.0, 10.1, 10.0, 10.0])

    assert found(derive_actions(bars)) == [("2021-03-03", "split", 0.1)]


def test_a_step_near_a_ratio_without_a_jump_is_no_split() -> None:
    bars = frame([100.0, 100.0, 100.0, 100.0, 100.0], [50.0, 50.0, 100.0, 100.0, 100.0])

    assert found(derive_actions(bars)) == [("2021-03-03", "dividend", 100.0)]


def test_the_level_of_adj_close_does_not_matter() -> None:
    close, adjusted = [100.0, 101.0, 50.0, 51.0, 50.5], [50.0, 50.5, 50.0, 51.0, 50.5]

    later_split = frame(close, [price / 7 for price in adjusted])

    assert found(derive_actions(later_split)) == [("2021-03-03", "split", 2.0)]


def test_rounding_of_adj_close_makes_no_dividends() -> None:
    bars = frame([10.01, 10.02, 10.03, 10.02, 10.01], [3.34, 3.34, 3.34, 3.34, 3.34])

    assert derive_actions(bars).empty


def test_a_quarter_cent_dividend_keeps_its_decimals() -> None:
    before = 30.0 / (1 + 0.0375 / 30.0)
    bars = frame([30.0, 30.0, 30.0, 30.0, 30.0], [before, before, 30.0, 30.0, 30.0])

    assert found(derive_actions(bars)) == [("2021-03-03", "dividend", 0.0375)]


def test_a_frame_without_adj_close_is_refused() -> None:
    with pytest.raises(BadBars, match="without the column adj_close"):
        derive_actions(frame([1.0], [1.0]).drop(columns="adj_close"))


def test_an_action_without_a_positive_value_is_refused() -> None:
    with pytest.raises(BadBars, match="expected a split or a dividend with a value above 0"):
        table.table([("AAA", "2021-03-01", "dividend", -1.0)])


def test_the_sample_has_its_three_splits_and_ninety_two_dividends() -> None:
    derived = derive_actions(sample.rows())

    splits = derived.loc[derived["kind"] == "split"]
    assert [(row.symbol, f"{row.session:%Y-%m-%d}", row.value) for row in splits.itertuples()] == [
        ("AAPL", "2000-06-21", 2.0),
        ("AAPL", "2005-02-28", 2.0),
        ("MSFT", "2003-02-18", 2.0),
    ]
    assert (derived["kind"] == "dividend").sum() == 92
    special = derived.loc[derived["session"] == "2004-11-15"]
    assert found(special) == [("2004-11-15", "dividend", 3.08)]
