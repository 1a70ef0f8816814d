# SPDX-License-Identifier: GPL-3.0-or-later
"""What a universe denies: by membership, price and volume, all known the evening before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

import iverson as iv
from iverson.book import Book
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.history import DailyHistory
from iverson.model import Denial
from iverson.risk.universe import (
    LargestByDollarVolume,
    Membership,
    MinimumClose,
    MinimumDollarVolume,
    rules_of,
)
from iverson.testing import START, bars, book, signal

WINDOW = 3
PRICE = 10.0


def session(number: int) -> date:
    return new_york().offset(START, number)


def asked(rule: iv.RiskRule, number: int, symbol: str, series: dict[str, Bars]) -> str | None:
    day = session(number)
    now: Book = book(session=day, history=DailyHistory(series))
    return rule.deny(signal(symbol=symbol, session=day, at=new_york().close_at(day)), now)


def volumes(symbol: str, *shares: float, start: int = 0) -> dict[str, Bars]:
    words = " ".join(f"{PRICE}@{one}" for one in shares)
    return {symbol: bars(words, symbol=symbol, start=session(start))}


def test_membership_denies_outside_its_spells_and_says_when_it_was() -> None:
    universe = iv.Universe(membership=[("TEST", session(2), session(3))])
    rule = Membership(universe=universe)
    series = {"TEST": bars("100 " * 6)}

    answers = [asked(rule, number, "TEST", series) for number in range(6)]

    assert [answer is None for answer in answers] == [False, False, True, True, False, False]
    assert isinstance(answers[4], Denial)
    assert (answers[4].limit, answers[4].value) == (1.0, 0.0)
    assert f"{session(2)} to {session(3)}" in answers[4]


def test_close_of_the_session_itself_does_not_count() -> None:
    series = {"TEST": bars("4 6 4")}
    rule = MinimumClose(limit=5.0)

    answers = [asked(rule, number, "TEST", series) for number in range(3)]

    assert [answer is None for answer in answers] == [False, False, True]
    assert isinstance(answers[0], Denial)
    assert np.isnan(answers[0].value)
    assert isinstance(answers[1], Denial)
    assert (answers[1].limit, answers[1].value) == (5.0, 4.0)


def test_close_is_the_one_quoted_on_its_day() -> None:
    """A reverse split later on makes nothing dearer before."""
    series = {"TEST": bars("4 4 gap 40 40", splits={2: 0.1})}

    assert asked(MinimumClose(limit=5.0), 2, "TEST", series) is not None
    assert asked(MinimumClose(limit=5.0), 3, "TEST", series) is None


@pytest.mark.parametrize(("number", "dollars"), [(0, 0), (1, 100), (2, 300), (3, 600), (4, 900)])
def test_dollar_volume_is_the_mean_of_the_sessions_before(number: int, dollars: int) -> None:
    """100, 200, 300, 400 shares at $10, over windows of three sessions, none before the first."""
    series = volumes("TEST", 10, 20, 30, 40)
    mean = PRICE * sum([10, 20, 30, 40][max(0, number - WINDOW) : number]) / WINDOW
    assert mean == pytest.approx(dollars / WINDOW * 1.0)

    rule = MinimumDollarVolume(limit=1e9, sessions=WINDOW)
    answer = asked(rule, number, "TEST", series)

    assert isinstance(answer, Denial)
    assert answer.value == pytest.approx(mean)


def test_a_session_without_a_bar_is_nothing_traded() -> None:
    """A symbol that ended fades out of the ranks instead of standing there for ever."""
    gone = volumes("GONE", 90, 90, 90)
    rule = MinimumDollarVolume(limit=0.0, sessions=WINDOW)
    days = np.array([session(n) for n in range(3, 8)], dtype="datetime64[D]")

    found = rule.values("GONE", days, DailyHistory(gone))

    assert found.tolist() == pytest.approx([900.0, 600.0, 300.0, 0.0, 0.0])


def test_unknown_volume_is_a_denial() -> None:
    series = volumes("TEST", 10, float("nan"), 10, 10, 10, 10)
    rule = MinimumDollarVolume(limit=0.0, sessions=WINDOW)

    answers = [asked(rule, number, "TEST", series) for number in range(1, 6)]

    assert [answer is None for answer in answers] == [True, False, False, False, True]


def test_largest_ranks_the_members_of_the_day() -> None:
    series = volumes("BIG", *[90] * 8) | volumes("MID", *[50] * 8) | volumes("LOW", *[10] * 8)
    universe = iv.Universe(
        membership=[("LOW", None, None), ("MID", None, None), ("BIG", None, session(4))]
    )
    rule = LargestByDollarVolume(limit=1, sessions=WINDOW, universe=universe)

    assert asked(rule, 4, "MID", series) == "MID is number 2 by dollar volume, the limit is 1"
    assert asked(rule, 5, "MID", series) is None
    assert asked(rule, 5, "LOW", series) is not None
    assert "unranked" in str(asked(rule, 5, "BIG", series))


def test_equally_large_ones_stand_in_the_order_of_the_universe() -> None:
    series = volumes("AAA", *[10] * 5) | volumes("BBB", *[10] * 5)
    universe = iv.Universe(["BBB", "AAA"], largest=1, sessions=WINDOW)
    (rule,) = rules_of(universe)

    assert asked(rule, 4, "BBB", series) is None
    assert asked(rule, 4, "AAA", series) is not None


def test_later_bars_change_no_answer() -> None:
    """Whatever volume comes on the session itself or after it."""
    before = volumes("AAA", 10, 30, 20, 40, 50) | volumes("BBB", 30, 10, 20, 40, 50)
    after = volumes("AAA", 10, 30, 20, 9999, 1) | volumes("BBB", 30, 10, 20, 1, 7777)
    universe = iv.Universe(
        ["AAA", "BBB"], minimum_close=5, minimum_dollar_volume=150, largest=1, sessions=2
    )

    for rule in rules_of(universe):
        for symbol in universe.symbols:
            one, other = (asked(rule, 3, symbol, series) for series in (before, after))
            assert one == other


def test_one_session_and_many_give_the_same_answer() -> None:
    """The gate asks of one session, the compiled search of all of them."""
    rng = np.random.default_rng(5)
    names = ["AAA", "BBB", "CCC"]
    series: dict[str, Bars] = {}
    for name in names:
        series |= volumes(name, *rng.integers(1, 100, 40).tolist(), start=int(rng.integers(0, 9)))
    members = [(name, session(int(rng.integers(0, 20))), None) for name in names]
    universe = iv.Universe(
        membership=members, minimum_close=9, minimum_dollar_volume=400, largest=2, sessions=5
    )
    days = np.array([session(n) for n in range(45)], dtype="datetime64[D]")
    history = DailyHistory(series)

    for rule in rules_of(universe):
        for name in names:
            many = rule.admits(name, days, history)
            single = [asked(rule, n, name, series) is None for n in range(45)]
            assert many.tolist() == single
            assert not all(single) or isinstance(rule, MinimumClose)


def test_nothing_is_asked_for_without_a_universe() -> None:
    assert rules_of(None) == ()
    assert rules_of(iv.Universe(["AAA"])) == ()
    assert replace(iv.Universe(["AAA"]), largest=1) != iv.Universe(["AAA"])
