# SPDX-License-Identifier: GPL-3.0-or-later
"""Adjustment makes returns continuous, in either basis, and never looks ahead in the first."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import BadBars
from iverson.market import actions as table
from iverson.market.adjust import adjust, dividends_per_bar, split_factor

DAYS = np.arange("2021-03-01", "2021-03-31", dtype="datetime64[D]")
SPLIT = table.table([("AAA", "2021-03-03", "split", 2.0)])
DIVIDEND = table.table([("AAA", "2021-03-03", "dividend", 5.0)])


def bars(closes: list[float]) -> pd.DataFrame:
    close = np.array(closes)
    return pd.DataFrame(
        {
            "symbol": "AAA",
            "session": DAYS[: len(close)].astype("datetime64[s]"),
            "open": close,
            "high": close,
            "low": close,
            "close": close,
            "volume": 600.0,
        }
    )


def closes(frame: pd.DataFrame) -> list[float]:
    return frame["close"].round(9).tolist()


def test_a_split_divides_earlier_prices_and_multiplies_their_volume() -> None:
    result = adjust(bars([100.0, 102.0, 51.0, 52.0]), SPLIT, dividends=False, basis="last")

    assert closes(result) == [50.0, 51.0, 51.0, 52.0]
    assert result["volume"].tolist() == [1200.0, 1200.0, 600.0, 600.0]


def test_first_basis_multiplies_later_prices_instead() -> None:
    result = adjust(bars([100.0, 102.0, 51.0, 52.0]), SPLIT, dividends=False, basis="first")

    assert closes(result) == [100.0, 102.0, 102.0, 104.0]
    assert result["volume"].tolist() == [600.0, 600.0, 300.0, 300.0]


def test_a_dividend_scales_by_the_close_before_the_ex_date() -> None:
    # (100 - 5) / 100 by Yahoo and CRSP; WIKI would take 95 / (95 + 5) only if it closed at 95.
    result = adjust(bars([98.0, 100.0, 97.0]), DIVIDEND, dividends=True, basis="last")

    assert closes(result) == [93.1, 95.0, 97.0]
    assert result["volume"].tolist() == [600.0, 600.0, 600.0]


def test_dividends_are_left_alone_unless_asked_for() -> None:
    result = adjust(bars([98.0, 100.0, 97.0]), DIVIDEND, dividends=False, basis="last")

    assert closes(result) == [98.0, 100.0, 97.0]


def test_a_dividend_on_the_split_date_is_in_new_shares() -> None:
    both = table.table(
        [("AAA", "2021-03-03", "split", 2.0), ("AAA", "2021-03-03", "dividend", 5.0)]
    )

    result = adjust(bars([100.0, 100.0, 45.0]), both, dividends=True, basis="last")

    # 100 before are 50 in new shares, less 5 of 50: 100 / 2 * 0.9.
    assert closes(result) == [45.0, 45.0, 45.0]


def test_a_dividend_as_large_as_the_price_is_refused() -> None:
    with pytest.raises(BadBars, match="not smaller than the close of 4"):
        adjust(bars([4.0, 4.0, 1.0]), DIVIDEND, dividends=True, basis="last")


def test_actions_on_or_before_the_first_bar_or_after_the_last_change_nothing() -> None:
    outside = table.table(
        [
            ("AAA", "2021-02-01", "split", 3.0),
            ("AAA", "2021-03-01", "split", 5.0),
            ("AAA", "2021-06-01", "split", 7.0),
            ("BBB", "2021-03-02", "split", 2.0),
        ]
    )

    result = adjust(bars([10.0, 11.0, 12.0]), outside, dividends=True, basis="last")

    assert closes(result) == [10.0, 11.0, 12.0]


def test_split_factor_is_one_at_first_and_cumulative() -> None:
    splits = table.table([("AAA", "2021-03-02", "split", 2.0), ("AAA", "2021-03-04", "split", 0.1)])

    factor = split_factor(DAYS[:5], splits)

    assert factor.round(12).tolist() == [1.0, 2.0, 2.0, 0.2, 0.2]


def test_a_dividend_falls_on_the_first_bar_of_its_ex_session_only() -> None:
    sessions = np.repeat(DAYS[:4], 2)

    paid = dividends_per_bar(sessions, DIVIDEND)

    assert paid.tolist() == [0, 0, 0, 0, 5.0, 0, 0, 0]


def test_an_ex_date_without_a_bar_counts_for_the_next_bar() -> None:
    sessions = DAYS[[0, 1, 3, 4]]

    assert dividends_per_bar(sessions, DIVIDEND).tolist() == [0.0, 0.0, 5.0, 0.0]


def test_a_split_between_the_ex_date_and_the_next_bar_makes_the_dividend_smaller() -> None:
    sessions = DAYS[[0, 1, 4, 5]]
    both = table.table(
        [("AAA", "2021-03-03", "dividend", 5.0), ("AAA", "2021-03-04", "split", 2.0)]
    )

    assert dividends_per_bar(sessions, both).tolist() == [0.0, 0.0, 2.5, 0.0]


def test_a_dividend_before_the_first_or_after_the_last_bar_is_left_out() -> None:
    rows = table.table(
        [("AAA", "2021-02-26", "dividend", 1.0), ("AAA", "2021-04-20", "dividend", 1.0)]
    )

    assert dividends_per_bar(DAYS[:3], rows).tolist() == [0.0, 0.0, 0.0]


prices = st.lists(st.floats(20.0, 500.0), min_size=6, max_size=20)
ratios = st.sampled_from([2.0, 3.0, 1.5, 7.0, 0.1, 0.5])
events = st.lists(
    st.tuples(st.integers(1, 19), st.sampled_from(["split", "dividend"]), ratios), max_size=4
)


def listed(rows: list[tuple[int, str, float]]) -> pd.DataFrame:
    return table.table(
        [
            ("AAA", str(DAYS[day]), kind, value if kind == "split" else value / 10)
            for day, kind, value in rows
        ]
    )


@given(prices, events, st.booleans())
def test_both_bases_give_the_same_returns(
    values: list[float], rows: list[tuple[int, str, float]], dividends: bool
) -> None:
    frame, actions = bars(values), listed(rows)

    first = adjust(frame, actions, dividends=dividends, basis="first")["close"]
    last = adjust(frame, actions, dividends=dividends, basis="last")["close"]

    assert first.iloc[0] == values[0]
    assert last.iloc[-1] == values[-1]
    np.testing.assert_allclose(first.pct_change()[1:], last.pct_change()[1:], rtol=1e-9, atol=1e-9)


@given(prices, events, ratios)
def test_a_later_split_never_changes_what_the_first_basis_said_before(
    values: list[float], rows: list[tuple[int, str, float]], ratio: float
) -> None:
    ex = len(values) - 1
    later = [(ex, "split", ratio)]
    known = [row for row in rows if row[0] < ex]

    before = adjust(bars(values), listed(known), dividends=True, basis="first")
    after = adjust(bars(values), listed(known + later), dividends=True, basis="first")

    assert before["close"].iloc[:-1].tolist() == after["close"].iloc[:-1].tolist()
    assert before["volume"].iloc[:-1].tolist() == after["volume"].iloc[:-1].tolist()


@given(prices, events)
def test_splits_leave_the_dollars_traded_alone(
    values: list[float], rows: list[tuple[int, str, float]]
) -> None:
    frame = bars(values)

    result = adjust(frame, listed(rows), dividends=False, basis="last")

    dollars = frame["close"] * frame["volume"]
    np.testing.assert_allclose(result["close"] * result["volume"], dollars, rtol=1e-9)
