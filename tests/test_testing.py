# SPDX-License-Identifier: GPL-3.0-or-later
"""The test kit says what it means."""

from __future__ import annotations

import doctest
from datetime import date

import numpy as np
import pytest

import iverson.testing
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.testing import START, VOLUME, FixedHistory, at, bars, book, run_orders, signal


def ohlc(one: Bars) -> list[tuple[float, ...]]:
    return list(zip(*(c.tolist() for c in (one.open, one.high, one.low, one.close)), strict=True))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("100", [(100, 100, 100, 100)]),
        ("100 101 99", [(100, 100, 100, 100), (100, 101, 100, 101), (101, 101, 99, 99)]),
        ("100 | gap 90", [(100, 100, 100, 100), (90, 90, 90, 90)]),
        ("100 gap 90 91", [(100, 100, 100, 100), (90, 90, 90, 90), (90, 91, 90, 91)]),
        ("100/105/95/101", [(100, 105, 95, 101)]),
        ("100/105/95/101 | 103", [(100, 105, 95, 101), (101, 103, 101, 103)]),
        ("", []),
    ],
)
def test_bars_are_written_in_words(words: str, expected: list[tuple[float, ...]]) -> None:
    assert ohlc(bars(words)) == expected


def test_volume_is_written_behind_an_at() -> None:
    assert bars("100@5000 101/102/100/101@7 99").volume.tolist() == [5_000, 7, VOLUME]


def test_bars_lie_on_consecutive_sessions_and_carry_their_close() -> None:
    found = bars("100 " * 5, start=date(2024, 7, 1))

    assert found.session.tolist() == [date(2024, 7, n) for n in (1, 2, 3, 5, 8)]
    assert found.at[2] == np.datetime64("2024-07-03T17:00")


def test_splits_multiply_and_dividends_lie_on_their_bar() -> None:
    found = bars("100 " * 4, splits={1: 2.0, 3: 3.0}, dividends={2: 0.5})

    assert found.factor.tolist() == [1, 2, 2, 6]
    assert found.dividend.tolist() == [0, 0, 0.5, 0]


def test_book_is_rich_and_empty_unless_told_otherwise() -> None:
    found = book()

    assert (found.equity, found.cash, found.high, found.day_pnl) == (1e5, 1e5, 1e5, 0.0)
    assert (found.session, found.at) == (START, new_york().close_at(START))
    assert found.next_open == at("2024-01-03 14:30")
    assert not found.symbols


def test_book_keeps_instant_and_session_together() -> None:
    by_session = book(session=date(2024, 7, 3))
    by_instant = book(at=at("2024-07-03 15:00"))

    assert by_session.at == at("2024-07-03 17:00")
    assert by_instant.session == date(2024, 7, 3)
    assert by_instant.next_open == at("2024-07-05 13:30")


def test_signal_is_sound_unless_told_otherwise() -> None:
    assert signal().fault() is None
    assert signal(side="short").fault() is not None


def test_fixed_history_ends_on_the_session_before() -> None:
    history = FixedHistory({"A": [0.1, 0.2, 0.3]}, volume=5.0)
    sessions, returns = history.log_returns("A", before=date(2024, 1, 8), sessions=2)

    assert sessions.tolist() == [date(2024, 1, 4), date(2024, 1, 5)]
    assert returns.tolist() == [0.2, 0.3]
    assert len(history.log_returns("B", before=START, sessions=9)[0]) == 0
    assert history.average_volume("B", through=START, sessions=9) == 5.0


def test_orders_are_planned_by_the_number_of_the_bar() -> None:
    record = run_orders(bars("100 101 102"), {2: lambda strategy: strategy.buy(size=3)})
    (fill,) = record.fills

    assert (fill.session, fill.price, fill.size) == (date(2024, 1, 4), 101.0, 3.0)


def test_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(iverson.testing).failed == 0
