# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule of the lint: where only it speaks, and where it is just silent."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

import iverson as iv
from iverson.execution.costs import Costs
from iverson.market import sample
from iverson.market.calendar import new_york
from iverson.market.source import Passport
from iverson.model import Stage, Trade
from iverson.monitoring.record import EquityRow, Record
from iverson.research import lint_account, lint_search, lint_trades
from iverson.research.backtest import Setup
from iverson.research.folds import Fold, Span
from iverson.research.lint import lint
from iverson.research.results import Run
from iverson.research.search import Score
from iverson.research.search_space import grid
from iverson.research.walk_forward import FoldResult, Judged, Plan
from iverson.research.walk_result import WalkForward
from iverson.testing import bars

START = date(2010, 1, 4)
SESSIONS = 900  # three and a half years, in four calendar years
TRADES = 80
SYMBOLS = ("A", "B", "C", "D")
WON, LOST = 30.0, -20.0
CASH = 10_000.0
FOLDS = 3
SPACE = dict(a=[1, 2, 3, 4, 5], b=[1, 2, 3, 4, 5])
PROMISE = 0.02  # a year; the account grows by 2.5 %


class Never(iv.Strategy):
    params = dict(a=1, b=1, word="x")

    def entry(self, data):
        return ()


def sessions(count: int) -> list[date]:
    first = new_york().ordinal(START)
    return [session.item() for session in new_york().sessions[first : first + count]]


def trades(count: int = TRADES, *, over: int = SESSIONS, **changes) -> list[Trade]:
    """Pairs of a winner and a loser, spread evenly over sessions and symbols."""
    days = sessions(over)
    made = []
    for number in range(count):
        leaving = 1 + number * (over - 2) // max(1, count - 1)
        entry, left = days[leaving - 1], days[leaving]
        made.append(
            Trade(
                symbol=SYMBOLS[number // 2 % len(SYMBOLS)],
                side="long",
                size=10.0,
                entry_at=new_york().close_at(entry),
                entry_session=entry,
                entry=100.0,
                exit_at=new_york().close_at(left),
                exit_session=left,
                exit=101.0,
                pnl=LOST if number % 2 else WON,
                commission=0.1,
                spread=0.1,
                dividends=0.0,
                sessions=1,
                exit_reason="target",
                confidence=3,
                risk=20.0,
                stop=98.0,
                target=103.0,
                ambiguous=False,
            )
        )
    return [replace(trade, **changes) for trade in made]


def paid(made: list[Trade], pnl) -> list[Trade]:
    return [replace(trade, pnl=float(own)) for trade, own in zip(made, pnl, strict=True)]


def zigzag(up: float, down: float, count: int = SESSIONS) -> np.ndarray:
    return np.where(np.arange(count) % 2, down, up)


def record(made: list[Trade], returns: np.ndarray) -> Record:
    equity = CASH * np.cumprod(1.0 + returns)
    rows = [
        EquityRow(new_york().close_at(day), day, float(own), float(own), 0.0, 0)
        for day, own in zip(sessions(len(returns)), equity, strict=True)
    ]
    return Record(values=[*rows, *made])


def universe(gone: int = 1, count: int = SESSIONS) -> dict:
    """Symbols of which the first few stop trading before the end."""
    last = {symbol: count - (10 if n < gone else 0) for n, symbol in enumerate(SYMBOLS)}
    return {one: bars("100 " * last[one], symbol=one, start=START) for one in SYMBOLS}


def passport(source: str = "a vendor") -> Passport:
    return Passport(source, SYMBOLS, "1d", "", "", "", "", {}, {}, "")


def members(*symbols: str) -> iv.Universe:
    return iv.Universe(membership=[(symbol, None, None) for symbol in symbols])


MEMBERS, ABSENT = members(*SYMBOLS), members(*SYMBOLS, "E")


def run(
    made=None, returns=None, *, costs=None, held=None, source="a vendor", members=MEMBERS
) -> Run:
    moves = zigzag(0.001, -0.0008) if returns is None else returns
    return Run(
        setup=Setup(strategy=Never, rules=(), cash=CASH, costs=costs or Costs(), universe=members),
        record=record(trades() if made is None else made, moves),
        bars=universe(count=len(moves)) if held is None else held,
        passport=passport(source),
        start=CASH,
        warm_up=1,
        stage=Stage.BACKTEST,
    )


def hill(params, at=(3, 3)) -> float:
    return 1.0 - 0.03 * ((params["a"] - at[0]) ** 2 + (params["b"] - at[1]) ** 2)


def fold(number: int, score=hill, *, space=SPACE, promise=PROMISE) -> FoldResult:
    days = sessions(SESSIONS)
    spans = Span(days[0], days[1], 2), Span(days[2], days[3], 2)
    scores = tuple(Score(one, score(one), 40, 0.0, promise, 1.0, 100) for one in grid(space))
    best = max(scores, key=lambda one: one.score)
    return FoldResult(
        Fold(number, spans[0], None, spans[1]), scores, best, CASH, CASH, TRADES // FOLDS, 0.0
    )


def walk(*scores, space=SPACE, promise=PROMISE, objective="sharpe") -> WalkForward:
    base = run()
    surfaces = scores or (hill,) * FOLDS
    return WalkForward(
        setup=base.setup,
        plan=Plan(sets=tuple(grid(space)), objective=objective),
        results=tuple(
            fold(number, score, space=space, promise=promise)
            for number, score in enumerate(surfaces, 1)
        ),
        judged={"worst": Judged(base.record)},
        bars=base.bars,
        passport=base.passport,
    )


def kinds(result) -> list[str]:
    return [finding.kind for finding in lint(result)]


def one_lucky(gain: float) -> list[Trade]:
    """One trade gains what other trades of its symbol and year lose: the sums stay."""
    made = trades()
    first = made[0]
    others = [
        n for n, one in enumerate(made)
        if n and one.symbol == first.symbol and one.exit_session.year == first.exit_session.year
    ]  # fmt: skip
    pnl = np.array([one.pnl for one in made])
    pnl[0] += gain
    pnl[others] -= gain / len(others)
    return paid(made, pnl)


def favoured(of, extra: float) -> list[Trade]:
    """The trades of which `of` is true win more, the others win what they lose."""
    made = trades()
    pnl = [(extra if of(one) else -LOST) if one.pnl > 0 else LOST for one in made]
    return paid(made, pnl)


def of_symbol(one: Trade) -> bool:
    return one.symbol == "B"


def of_year(one: Trade) -> bool:
    return one.exit_session.year == START.year + 1


def flagged(count: int) -> list[Trade]:
    return [replace(one, ambiguous=n % 4 == 1 and n // 4 < count) for n, one in enumerate(trades())]


def within_a_bar(count: int) -> list[Trade]:
    return [
        replace(one, entry_at=one.exit_at) if n < count else one for n, one in enumerate(trades())
    ]


def winners(count: int) -> list[Trade]:
    """So many of eighty trades win, evenly spread."""
    lost = set(np.linspace(0, TRADES - 1, TRADES - count).round().astype(int))
    return paid(trades(), [LOST / 4 if n in lost else WON / 4 for n in range(TRADES)])


def still(count: int) -> np.ndarray:
    returns = zigzag(0.001, -0.0008)
    returns[100 : 100 + count] = 0.0
    return returns


FAST = zigzag(0.021, -0.0167)  # over 60 % a year with a Sharpe ratio below 2
RUNS = {
    "too few trades": (lambda: run(trades(28)), lambda: run(trades(30))),
    "too few sessions": (
        lambda: run(trades(over=59), zigzag(0.001, -0.0008, 59)),
        lambda: run(trades(over=60), zigzag(0.001, -0.0008, 60)),
    ),
    "growth": (
        lambda: run(returns=FAST),
        lambda: run(trades(over=750), FAST[:750]),
    ),
    "sharpe": (
        lambda: run(returns=zigzag(0.001, -0.0006)),
        lambda: run(returns=zigzag(0.001, -0.0007)),
    ),
    "win rate": (lambda: run(winners(70)), lambda: run(winners(66))),
    "one trade": (lambda: run(one_lucky(180.0)), lambda: run(one_lucky(160.0))),
    "one symbol": (
        lambda: run(favoured(of_symbol, 60.0)),
        lambda: run(favoured(lambda one: one.symbol in {"A", "B", "C"}, 60.0)),
    ),
    "one year": (
        lambda: run(favoured(of_year, 60.0)),
        lambda: run(favoured(lambda one: one.exit_session.year < START.year + 3, 60.0)),
    ),
    "costs": (
        lambda: run(trades(commission=5.0, spread=1.0)),
        lambda: run(trades(commission=4.0, spread=0.9)),
    ),
    "no costs": (
        lambda: run(trades(commission=0.0, spread=0.0), costs=Costs.none()),
        lambda: run(trades(commission=0.0, spread=0.0)),
    ),
    "ambiguous bars": (lambda: run(flagged(9)), lambda: run(flagged(8))),
    "same-bar trades": (lambda: run(within_a_bar(21)), lambda: run(within_a_bar(20))),
    "flat equity": (lambda: run(returns=still(126)), lambda: run(returns=still(125))),
    "survivorship": (lambda: run(members=None), lambda: run(held=universe(gone=0))),
    "absent symbols": (lambda: run(members=ABSENT), run),
}


def spike(height: float):
    return lambda params: 1.0 if params == {"a": 3, "b": 3} else height


def low_a(params) -> float:
    return hill(params, at=(1, 3))


WALKS = {
    "in-sample promise": (lambda: walk(promise=0.06), lambda: walk(promise=0.04)),
    "cliff": (lambda: walk(*[spike(0.45)] * 3), lambda: walk(*[spike(0.55)] * 3)),
    "edge of the grid": (lambda: walk(low_a, low_a, hill), lambda: walk(low_a, hill, hill)),
}
CASES = {**RUNS, **WALKS}


@pytest.mark.parametrize("kind", CASES)
def test_the_rule_speaks_alone_past_its_threshold(kind):
    result = CASES[kind][0]()

    found = lint(result)

    assert [one.kind for one in found] == [kind]
    assert found[0].sentence.endswith(".")
    assert not math.isnan(found[0].number)


@pytest.mark.parametrize("kind", CASES)
def test_nothing_is_said_on_the_right_side_of_the_threshold(kind):
    assert kinds(CASES[kind][1]()) == []


@pytest.mark.parametrize("kind", RUNS)
def test_a_walk_forward_is_held_to_the_rules_of_a_run(kind):
    one = RUNS[kind][0]()
    judged = {"worst": Judged(one.record)}

    result = replace(
        walk(promise=0.001), setup=one.setup, bars=one.bars, passport=one.passport, judged=judged
    )

    assert kinds(result) == [kind]


def test_each_finding_carries_the_number_that_triggered_it():
    numbers = {kind: lint(case[0]())[0] for kind, case in CASES.items()}
    profit = TRADES / 2 * (WON + LOST)

    expected = {
        "too few trades": (28, 30),
        "too few sessions": (59, 60),
        "one trade": ((WON + 180.0) / profit, lint_trades.CARRIED_SHARE),
        "one symbol": (1.0, lint_trades.CARRIED_SHARE),
        "one year": (1.0, lint_trades.CARRIED_SHARE),
        "costs": ((profit + 6.0 * TRADES) / (6.0 * TRADES), lint_trades.BREAK_EVEN_COSTS),
        "ambiguous bars": (9 / TRADES, lint_trades.AMBIGUOUS_SHARE),
        "same-bar trades": (21 / TRADES, lint_trades.SAME_BAR_SHARE),
        "flat equity": (126, lint_account.FLAT_SESSIONS),
        "survivorship": (0, lint_account.MEMBERSHIPS),
        "absent symbols": (1, 0),
        "cliff": (0.45, lint_search.KEPT),
        "edge of the grid": (2 / 3, lint_search.EDGE_SHARE),
    }
    for kind, (number, threshold) in expected.items():
        assert numbers[kind].number == pytest.approx(number), kind
        assert numbers[kind].threshold == threshold, kind
    for kind in ("growth", "sharpe"):
        assert numbers[kind].number == pytest.approx(
            RUNS[kind][0]().metrics["cagr" if kind == "growth" else "sharpe"].value, rel=1e-9
        )


def test_efficiency_is_the_walk_forwards():
    result = WALKS["in-sample promise"][0]()

    assert lint(result)[0].number == pytest.approx(result.efficiency, rel=1e-9)


def test_a_result_without_its_best_trade_is_told_in_dollars():
    made = paid(trades(), [500.0 if n == 8 else LOST / 50 for n in range(TRADES)])

    found = {one.kind: one.sentence for one in lint(run(made))}

    rest = (TRADES - 1) * LOST / 50
    assert f"−${-rest:,.2f}" in found["one trade"]
    assert f"{made[8].exit_session}" in found["one trade"]
    assert found["one symbol"].startswith(made[8].symbol)
    assert found["one year"].startswith(f"The year {made[8].exit_session.year}")


def test_a_loss_is_carried_by_nobody_and_not_eaten_by_costs():
    losing = paid(trades(commission=9.0), [-one.pnl for one in trades()])

    assert sum(one.pnl for one in losing) < 0
    assert kinds(run(losing)) == ["costs"]  # a profit before costs there was
    assert kinds(run(paid(trades(), [-one.pnl for one in trades()]))) == []


def test_of_few_symbols_and_years_one_may_have_twice_its_part():
    two = {symbol: universe()[symbol] for symbol in SYMBOLS[:2]}
    halves = [replace(one, symbol=SYMBOLS[n // 2 % 2]) for n, one in enumerate(trades())]
    uneven = paid(halves, [LOST if n % 2 else 45.0 - 20 * (n // 2 % 2) for n in range(TRADES)])

    assert kinds(run(uneven, held=two, members=members("A", "B"))) == []
    alone, own = {"A": two["A"]}, members("A")
    made = [replace(one, symbol="A") for one in trades()]
    assert kinds(run(made, held=alone, members=own)) == []


def test_the_bundled_sample_is_named_even_when_a_symbol_is_gone():
    found = lint(run(source=f"a vendor; {sample.SOURCE}", members=None))

    assert [one.kind for one in found] == ["survivorship"]
    assert "bundled sample" in found[0].sentence


def test_a_flat_stretch_is_told_with_its_sessions():
    words = lint(run(returns=still(126)))[0].sentence
    days = sessions(SESSIONS)

    assert f"{days[100]} to {days[225]}" in words


def test_no_trade_at_all_is_only_too_few():
    assert kinds(run([])) == ["too few trades"]


def test_folds_that_stood_aside_have_no_promise_no_cliff_no_edge():
    result = walk(promise=0.06)
    aside = tuple(replace(one, chosen=None) for one in result.results)

    assert kinds(replace(result, results=aside)) == []


def test_neighbours_with_too_few_trades_say_nothing():
    def few(params):
        near = abs(params["a"] - 3) + abs(params["b"] - 3)
        return {0: 1.0, 1: -math.inf}.get(near, 0.1)

    assert kinds(walk(few)) == []


def test_a_peak_is_measured_from_what_no_edge_scores():
    def factor(params):
        return 1.2 if params == {"a": 3, "b": 3} else 1.05

    assert kinds(walk(factor, objective="sharpe")) == []
    found = lint(walk(factor, objective="profit_factor"))
    assert [one.kind for one in found] == ["cliff"]
    assert found[0].number == pytest.approx(0.05 / 0.2)


def test_an_infinite_peak_above_finite_neighbours_is_a_cliff():
    def lossless(params):
        return math.inf if params == {"a": 3, "b": 3} else 2.0

    assert kinds(walk(lossless, objective="profit_factor")) == ["cliff"]
    assert kinds(walk(lambda params: math.inf, space=dict(a=[3]), objective="calmar")) == []


def test_words_switches_and_two_values_have_neither_edge_nor_neighbours():
    space = dict(a=[1, 2], b=[True, False], word=["x", "y", "z"])

    def height(params):
        return 1.0 if tuple(params.values()) == (1, True, "x") else 0.1

    assert kinds(walk(height, space=space)) == []  # its only neighbour in a number says too little


def test_both_edges_are_told_with_value_and_folds():
    high = walk(lambda params: 0.9 + 0.01 * params["a"] - 0.01 * (params["b"] - 3) ** 2)
    low = walk(low_a, hill)

    (one,) = lint(high)
    (other,) = lint(low)

    assert "highest of its 5 values (5) in 1 of 1 fold (1)" in one.sentence
    assert "lowest of its 5 values (1) in 1 of 2 folds (1)" in other.sentence


def test_sets_drawn_at_random_have_no_neighbours_and_no_cliff():
    result = walk(spike(0.0))
    few = [score for score in result.results[0].scores if sum(score.params.values()) % 2 == 0]
    drawn = (replace(result.results[0], scores=tuple(few)),)

    assert kinds(result) == ["cliff"]
    assert kinds(replace(result, results=drawn)) == []


def test_a_set_beside_those_planned_has_no_neighbours():
    result = walk(spike(0.0))
    strange = replace(result.results[0].chosen, params={"a": 2.5, "b": 9})

    assert kinds(replace(result, results=(replace(result.results[0], chosen=strange),))) == []


def test_the_gravest_comes_first_and_the_universe_last():
    made = paid(trades(10), [500.0, *[-1.0] * 9])

    found = kinds(run(made, members=None))

    assert found[0] == "too few trades"
    assert found[-1] == "survivorship"
    assert {"one trade", "one symbol", "one year"} <= set(found)


def test_findings_are_values_and_print_as_a_line():
    first, again = (lint(run(trades(28)))[0] for _ in range(2))

    assert first == again
    assert str(first).startswith("too few trades: 28 trades")
    assert pd.Series([first.number, first.threshold]).tolist() == [28, 30]
