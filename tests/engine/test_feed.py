# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole columns give the lines that loading row by row gives."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.engine.feed import ArrayData, columns_of, day_numbers, line_array, numbers_of
from iverson.execution.equity_broker import EquityBroker
from iverson.research.backtest import Feed
from iverson.testing import bars

N = 12
NAMES = ("open", "high", "low", "close", "volume", "openinterest", "factor", "dividend")
DAYS = [datetime(2024, 1, 1, 21) + timedelta(days=n) for n in range(N)]  # noqa: DTZ001 (naive on purpose)


def columns(*, without: tuple[str, ...] = ()) -> dict[str, Any]:
    values = {name: np.arange(N, dtype=float) + 10 * place for place, name in enumerate(NAMES)}
    values["datetime"] = day_numbers(DAYS)
    return columns_of(**{name: one for name, one in values.items() if name not in without})


def rows(data: Any, *, names: tuple[str, ...] = (*NAMES, "datetime"), **how: Any) -> list[Any]:
    """What a strategy sees of a feed, bar by bar."""
    seen = []

    class Reader(bt.Strategy):
        def next(self) -> None:
            seen.append(tuple(getattr(self.data, name)[0] for name in names))

    cerebro = bt.Cerebro(stdstats=False, **how)
    cerebro.adddata(data)
    cerebro.addstrategy(Reader)
    cerebro.run()
    return seen


HOW = {
    "batch": dict(preload=True, runonce=True),
    "bar by bar": dict(preload=True, runonce=False),
    "row by row": dict(preload=False, runonce=False),
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_each_line_comes_as_it_was_given(how: dict[str, bool]) -> None:
    given = columns()
    expected = list(zip(*(given[name] for name in (*NAMES, "datetime")), strict=True))

    assert rows(ArrayData(dataname=given), **how) == expected


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_line_that_is_not_given_is_nan(how: dict[str, bool]) -> None:
    seen = rows(
        ArrayData(dataname=columns(without=("factor", "dividend", "volume"))),
        names=("close", "volume", "factor", "dividend"),
        **how,
    )

    assert [row[0] for row in seen] == list(columns()["close"])
    assert all(math.isnan(value) for row in seen for value in row[1:])


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (dict(fromdate=DAYS[4]), range(4, N)),
        (dict(todate=DAYS[6]), range(7)),
        (dict(fromdate=DAYS[4], todate=DAYS[6]), range(4, 7)),
    ],
)
def test_window_is_cut_both_ways(
    how: dict[str, bool], window: dict[str, datetime], expected: range
) -> None:
    seen = rows(ArrayData(dataname=columns(), **window), names=("open", "datetime"), **how)

    assert seen == [(float(n), bt.date2num(DAYS[n])) for n in expected]


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_feed_without_rows_runs(how: dict[str, bool]) -> None:
    empty = columns_of(datetime=np.empty(0), close=np.empty(0))

    assert rows(ArrayData(dataname=empty), **how) == []


def test_a_run_leaves_the_columns_as_they_were() -> None:
    given = columns()
    before = {name: list(column) for name, column in given.items()}
    first, second = (rows(ArrayData(dataname=given)) for _ in range(2))

    assert first == second
    assert {name: list(column) for name, column in given.items()} == before


def test_line_arrays_are_copies_of_any_column() -> None:
    column = np.arange(10.0)
    for view in (column, column[::2], column[::-1], column.astype("float32")):
        copy = line_array(view)
        assert list(copy) == view.tolist()
    copy[0] = -1.0
    assert column[0] == 0.0


PRICES = ("open", "high", "low", "close")


def weekly(one: Any, *, how: dict[str, bool], more: tuple[str, ...] = ()) -> list[Any]:
    seen = []

    class Reader(bt.Strategy):
        def next(self) -> None:
            week = self.datas[1]
            if len(week) > len(seen):
                seen.append(tuple(
                    getattr(week, name)[0]
                    for name in (*PRICES, "volume", "factor", "dividend", *more)
                ))  # fmt: skip

    cerebro = bt.Cerebro(stdstats=False, **how)
    data = Feed(one).data(slice(0, len(one)))
    cerebro.adddata(data, name="TEST")
    cerebro.resampledata(
        Feed(one).data(slice(0, len(one))), timeframe=bt.TimeFrame.Weeks, name="week"
    )
    cerebro.setbroker(EquityBroker())
    cerebro.addstrategy(Reader)
    cerebro.run()
    return seen


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_resampled_bars_carry_the_factor_and_add_up_the_dividends(how: dict[str, bool]) -> None:
    # four sessions (Tuesday to Friday), then five, then two
    one = bars(
        "100 101 102 103 | 104 105 53 54 55 | 56 57", splits={6: 2.0}, dividends={1: 0.5, 2: 0.25}
    )
    seen = weekly(one, how=how)

    assert [row[3] for row in seen[:2]] == [103.0, 110.0]
    assert seen[0] == (100.0, 103.0, 100.0, 103.0, 4e6, 1.0, 0.75)
    assert seen[1][5:] == (2.0, 0.0)


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_lines_beside_the_prices_are_read_as_given(how: dict[str, bool]) -> None:
    one = bars("100 101 102")
    mood = np.array([0.5, np.nan, -1.0])
    told = Feed(replace(one, extra={"mood": mood, "age": np.arange(3.0)})).data(slice(0, 3))
    seen = rows(told, names=("mood", "age"), **how)

    assert np.array_equal([row[0] for row in seen], mood, equal_nan=True)
    assert [row[1] for row in seen] == [0.0, 1.0, 2.0]
    assert not hasattr(ArrayData(dataname=columns()).lines, "mood")


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_resampled_bars_have_the_other_lines_of_their_last_bar(how: dict[str, bool]) -> None:
    one = bars("100 101 102 103 | 104 105 106 107 108 | 109")
    told = replace(one, extra={"mood": np.arange(10.0)})

    assert [row[-1] for row in weekly(told, how=how, more=("mood",))[:2]] == [3.0, 8.0]


@given(
    st.lists(st.datetimes(DAYS[0].replace(year=1900), DAYS[0].replace(year=2100)), min_size=1)
    | st.lists(
        st.builds(
            lambda day, minute: DAYS[0] + timedelta(days=day - 20_000, minutes=minute),
            st.integers(0, 30_000),
            st.integers(0, 1439),
        ),
        min_size=1,
    )
)
def test_numbers_of_an_array_are_backtraders_to_the_bit(instants: list[datetime]) -> None:
    array = np.array(instants, dtype="datetime64[ns]")
    expected = [bt.date2num(at) for at in instants]

    assert numbers_of(array).tolist() == expected
    assert day_numbers(instants).tolist() == expected
