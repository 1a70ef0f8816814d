# SPDX-License-Identifier: GPL-3.0-or-later
"""Capital steps, by hand and over whatever trades: up on evidence alone, down on a drawdown."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.book import Book
from iverson.errors import ConfigError
from iverson.model import Signal
from iverson.risk.capital import CapitalSteps, Change, Evidence, student_quantile, weigh
from iverson.risk.gate import Gate
from iverson.risk.sizing import RiskSizing, Sized
from iverson.testing import FixedHistory, book, signal

STEPS = CapitalSteps()
CALM, HALF_LIMIT = 0.0, -0.05
TRADES = STEPS.trades
MULTIPLES = st.floats(-3.0, 10.0)
DRAWDOWNS = st.floats(-1.0, 0.0)
NO_TRADES = Evidence(0, math.nan, math.nan)


def after(multiples: list[float], *, level: int = 0, drawdown: float = CALM) -> int:
    """The level after these trades."""
    change = STEPS.step(level, weigh(multiples), drawdown)
    return level if change is None else change.level


def test_trading_begins_with_one_percent() -> None:
    change = STEPS.begin(math.inf)

    assert change is not None
    assert STEPS.levels[change.level] == 0.01
    assert STEPS.begin(0.01) is None


@pytest.mark.parametrize(
    ("multiple", "needed"),
    [
        # n wins of w and one loss of 1 R: n w > 1 + t (w + 1), with t from a printed table
        (1.0, TRADES),  # 10 > 1 + 2.228 * 2
        (0.5, TRADES),  # 5 > 1 + 2.228 * 1.5 = 4.3
        (1 / 3, 12),  # 11 / 3 < 1 + 2.201 * 4 / 3 = 3.93, and 12 / 3 > 1 + 2.179 * 4 / 3 = 3.91
        (0.25, 15),  # 14 / 4 < 1 + 2.145 * 1.25 = 3.68, and 15 / 4 > 1 + 2.131 * 1.25 = 3.66
    ],
)
def test_steps_up_after_enough_wins_and_never_before_ten(multiple: float, needed: int) -> None:
    levels = [after([multiple] * count) for count in range(needed + 1)]

    assert levels == [0] * needed + [1]


def test_wins_and_losses_that_outweigh_each_other_never_step_up() -> None:
    assert {after([1.0, -1.0] * count) for count in range(1, 200)} == {0}


def test_mean_above_zero_with_a_lower_bound_below_it_is_no_step() -> None:
    multiples = [2.0, -1.0, -1.0, 2.0, -1.0, 1.5, -1.0, 2.0, -1.0, 0.5, -1.0, 1.0]
    evidence = weigh(multiples)

    assert evidence.mean > 0 > evidence.lower
    assert after(multiples) == 0


def test_bound_is_the_lower_end_of_a_t_interval_with_one_more_loss() -> None:
    """Ten trades: mean and deviation by hand, the quantile from a printed table."""
    multiples = [1.2, -1.0, 0.8, 2.0, -0.5, 1.0, 0.4, -1.0, 1.5, 0.6]
    seen = [*multiples, -1.0]
    mean = sum(seen) / 11  # 4.0 / 11
    deviation = math.sqrt(sum((one - mean) ** 2 for one in seen) / 10)

    assert weigh(multiples).trades == 10
    assert weigh(multiples).mean == pytest.approx(0.5)
    assert weigh(multiples).lower == pytest.approx(
        mean - 2.228 * deviation / math.sqrt(11), abs=1e-4
    )


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(4, 2.776), (5, 2.571), (10, 2.228), (15, 2.131), (30, 2.042), (120, 1.980)],
)
def test_quantile_is_that_of_printed_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(0.975, freedom) == pytest.approx(quantile, abs=0.001)


def test_ten_small_wins_without_a_loss_are_no_evidence() -> None:
    """Nine of ten such trades win when the expectancy is zero, so ten in a row are common."""
    assert after([1 / 9] * TRADES) == 0


@pytest.mark.parametrize("level", [1, 2])
def test_half_the_drawdown_limit_steps_down_whatever_the_trades(level: int) -> None:
    for multiples in ([], [1.0] * 50, [-1.0] * 50):
        assert after(multiples, level=level, drawdown=HALF_LIMIT) == level - 1
        assert after(multiples, level=level, drawdown=HALF_LIMIT * 0.999) >= level


def test_lowest_level_goes_no_further_down_and_not_up_while_the_account_is_down() -> None:
    assert after([1.0] * 50, level=0, drawdown=HALF_LIMIT) == 0
    assert after([1.0] * 50, level=0, drawdown=HALF_LIMIT * 0.999) == 1


def test_highest_level_stays() -> None:
    assert after([1.0] * 50, level=2) == 2


def test_unknown_equity_changes_nothing() -> None:
    assert after([1.0] * 50, level=1, drawdown=math.nan) == 1


def test_reasons_name_the_numbers() -> None:
    up = STEPS.step(0, weigh([1.0] * TRADES), CALM)
    down = STEPS.step(1, NO_TRADES, -0.0612)

    assert up == Change(
        1,
        "10 trades since the last step made 1.00 R each on average, with a lower bound of 0.41 R",
    )
    assert down == Change(0, "equity is 6.1% below its 30-day high, the limit is 5.0%")


@pytest.mark.parametrize(
    ("cap", "level"), [(0.005, 0), (0.012, 0), (0.018, 1), (0.03, 2), (0.015, None)]
)
def test_levels_that_were_changed_raise_no_size(cap: float, level: int | None) -> None:
    change = STEPS.begin(cap)

    assert (None if change is None else change.level) == level
    if change is not None:
        assert "the levels were changed; the cap was" in change.reason


@given(
    st.lists(st.floats(0.0001, 0.05), min_size=1, max_size=6, unique=True).map(sorted),
    st.data(),
    st.lists(MULTIPLES, max_size=40),
    st.one_of(DRAWDOWNS, st.just(math.nan)),
    st.integers(5, 20),
)
def test_level_stays_within_bounds_and_moves_by_one(
    levels: list[float], data: st.DataObject, multiples: list[float], drawdown: float, trades: int
) -> None:
    steps = CapitalSteps(tuple(levels), trades=trades)
    level = data.draw(st.integers(0, len(levels) - 1))
    evidence = weigh(multiples)
    change = steps.step(level, evidence, drawdown)

    if change is None:
        return
    assert 0 <= change.level < len(levels)
    assert abs(change.level - level) == 1
    if change.level > level:
        assert len(multiples) >= trades
        assert evidence.mean > evidence.lower > 0
        assert drawdown > HALF_LIMIT
    else:
        assert drawdown <= HALF_LIMIT * (1 - 1e-9)


@given(st.lists(MULTIPLES, max_size=30), st.randoms(use_true_random=False))
def test_order_of_the_trades_changes_no_bit(multiples: list[float], chance: random.Random) -> None:
    mixed = list(multiples)
    chance.shuffle(mixed)

    assert repr(weigh(mixed)) == repr(weigh(multiples))


@pytest.mark.parametrize(("win", "wins"), [(1 / 9, 0.9), (1 / 3, 0.75), (1.0, 0.5), (3.0, 0.25)])
def test_systems_without_an_edge_seldom_go_up(win: float, wins: float) -> None:
    """Looked at after every one of 50 trades; expectancy zero."""
    chance, paths, length = random.Random(0), 400, 50
    up = 0
    for _ in range(paths):
        path = [win if chance.random() < wins else -1.0 for _ in range(length)]
        up += any(after(path[:count]) for count in range(TRADES, length + 1))

    assert 0 < up / paths < 0.12


def test_system_with_an_edge_goes_up() -> None:
    chance = random.Random(0)
    paths = [[2.0 if chance.random() < 0.5 else -1.0 for _ in range(100)] for _ in range(100)]

    up = sum(any(after(path[:n]) for n in range(TRADES, len(path) + 1)) for path in paths)
    assert up > 90


# -- what was given -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (dict(levels=()), "levels is"),
        (dict(levels=0.01), "levels is 0.01; expected rising fractions"),
        (dict(levels=(0.02, 0.01)), "levels is"),
        (dict(levels=(0.01, 0.01)), "levels is"),
        (dict(levels=(0.0, 0.01)), "levels is"),
        (dict(levels=(0.01, 1.5)), "up to 0.05, as"),
        (dict(levels=(0.01, math.nan)), "levels is"),
        (dict(levels=("1 %",)), "levels is"),
        (dict(levels=(True,)), "levels is"),
        (dict(trades=4), "trades is 4; expected a whole number of 5 or more"),
        (dict(trades=10.0), "trades is 10.0"),
        (dict(drawdown=0.0), "drawdown is 0.0; expected a fraction"),
        (dict(drawdown=-0.05), "drawdown is -0.05"),
        (dict(drawdown=5), "drawdown is 5"),
        (dict(drawdown=math.nan), "drawdown is nan"),
    ],
)
def test_faulty_settings_are_refused_in_a_sentence(given: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        CapitalSteps(**given)


def test_settings_print_as_they_are_written() -> None:
    """Their text identifies a trial, a token and a search."""
    given: Any = [0.01, 0.02]

    assert repr(CapitalSteps()) == (
        "CapitalSteps(levels=(0.01, 0.015, 0.02), trades=10, drawdown=0.05)"
    )
    assert CapitalSteps(given) == CapitalSteps((0.01, 0.02))


# -- sizes ----------------------------------------------------------------------------------------


def test_cap_bounds_the_size_under_its_own_name() -> None:
    """1 % of $100,000 over $2 a share is 500 shares; confidence 5 alone would risk 2 %."""
    sizing = RiskSizing(notional=1.0)

    assert sizing.size(signal(), book())[:2] == (1_000, "risk")
    assert sizing.size(signal(), book(risk_cap=0.01)) == Sized(500, "capital step", 1_000.0, 2.0)
    assert sizing.size(signal(confidence=2), book(risk_cap=0.01))[:2] == (250, "risk")
    assert sizing.size(signal(confidence=3), book(risk_cap=0.01))[:2] == (500, "risk")


class Bold(RiskSizing):
    """A sizing of one's own that asks nobody."""

    def size(self, signal: Signal, book: Book) -> Sized:
        return Sized(5_000, "boldness", 0.0, 0.0)


def test_sizing_of_ones_own_is_held_to_the_cap_by_the_gate() -> None:
    gate = Gate((), Bold())

    assert gate.review(signal(), book()).size == 5_000
    verdict = gate.review(signal(), book(risk_cap=0.01))
    assert (verdict.size, verdict.rule) == (500, "capital step")


def test_cap_below_one_share_is_a_denial() -> None:
    verdict = Gate((), RiskSizing()).review(signal(), book(equity=1_000.0, risk_cap=0.001))

    assert (verdict.approved, verdict.rule) == (False, "size: capital step")
    assert verdict.reason == "capital step allows 1.00 and one share needs 2.00"


@given(
    st.floats(100.0, 1e8), st.floats(0.0001, 0.05), st.integers(1, 5), st.integers(1, 9_900),
    st.sampled_from([RiskSizing(), RiskSizing(notional=1.0), Bold()]),
)  # fmt: skip
def test_size_never_risks_more_than_the_cap(
    equity: float, cap: float, confidence: int, cents: int, sizing: RiskSizing
) -> None:
    one = signal(confidence=confidence, stop=100.0 - cents / 100)
    of = book(equity=equity, risk_cap=cap, history=FixedHistory(volume=1e9))
    free = book(equity=equity, history=FixedHistory(volume=1e9))
    verdict = Gate((), sizing).review(one, of)

    assert verdict.risk <= equity * cap * (1 + 1e-9)
    if verdict.rule != "capital step" and verdict.approved:
        assert verdict == Gate((), sizing).review(one, free)
