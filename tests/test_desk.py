# SPDX-License-Identifier: GPL-3.0-or-later
"""The desk makes the book the gate reads, and is the second lock for orders without a verdict."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from iverson.book import Book
from iverson.desk import Desk, _stop, ranked
from iverson.errors import ConfigError
from iverson.execution.costs import Costs
from iverson.market.calendar import new_york
from iverson.model import OrderEvent, Signal
from iverson.monitoring.record import Release
from iverson.research.backtest import Outcome, Prepared, Setup, simulate
from iverson.risk import rules
from iverson.risk.rules import RiskRule
from iverson.strategy import Strategy
from iverson.testing import bars, run_signals, signal

CASH = 100_000.0
FLAT = "100/101/99/100 "


class Peek(RiskRule):
    """Keeps the books it is shown; a rule of tests only, for rules hold no state."""

    params = dict(books=None)

    def deny(self, signal: Signal, book: Book) -> str | None:
        self.p.books.append(book)
        return None


def books(given: Any, plan: Any, **options: Any) -> list[Book]:
    """What the gate saw at each signal."""
    seen: list[Book] = []
    run_signals(given, plan, rules=(Peek(books=seen),), **options)
    return seen


def test_working_entry_is_pending_and_a_filled_one_a_position_with_its_stop() -> None:
    series = {name: bars(FLAT * 5, symbol=name) for name in ("A", "B")}
    plan = {
        1: [signal(symbol="A", limit=99.5), signal(symbol="B")],
        2: signal(symbol="B", confidence=1),
    }
    first, second, third = books(series, plan)

    assert (first.symbols, first.open_risk) == (frozenset(), 0.0)
    assert list(second.pending) == ["A"]
    assert second.open_risk == 201 * 1.5
    assert third.positions.keys() == {"A", "B"}
    held = third.positions["A"]
    assert (held.size, held.price, held.mark, held.stop) == (201, 99.5, 100.0, 98.0)
    assert held.entry_session == new_york().offset(first.session, 1)


def test_partly_filled_entry_counts_once() -> None:
    thin = bars("100 | 100/101/99/100@1000 | 100/101/100/100@0 " + FLAT, symbol="A")
    plan = {1: signal(symbol="A"), 2: signal(symbol="A", confidence=1)}
    options = dict(params=dict(entry_sessions=3), cash=CASH)
    _, then = books({"A": thin, "B": bars(FLAT * 4, symbol="B")}, plan, **options)

    assert then.positions["A"].size == 100
    assert then.pending["A"].size == 100
    assert then.open_risk == pytest.approx(200 * 2.0)
    assert then.buying_power == pytest.approx(CASH - 200 * 100.0)


@pytest.mark.parametrize(
    ("groups", "size", "seen"),
    [
        ([(100, 98.0)], 100, 98.0),
        ([(100, 98.0), (50, 97.0)], 150, 97.0),
        ([(-100, 102.0), (-50, 103.0)], -150, 103.0),
        ([(100, 98.0), (50, None)], 150, math.nan),  # part of it has no stop
        ([(100, 98.0)], 110, math.nan),  # a plain order added to it
        ([], 10, math.nan),
    ],
)
def test_position_has_the_furthest_stop_of_its_entries_and_none_when_part_is_bare(
    groups: list[tuple[int, float | None]], size: int, seen: float
) -> None:
    held = [SimpleNamespace(held=shares, stop_price=stop) for shares, stop in groups]

    assert _stop(held, size) == pytest.approx(seen, nan_ok=True)


def _run(strategy: type[Strategy], words: str, using: tuple[Any, ...] = (), **how: Any) -> Outcome:
    series = bars(words)
    return simulate(
        Setup(strategy, rules=using, costs=Costs.none(), cash=CASH, **how),
        Prepared.of({"TEST": series}),
        first=series.session[0].item(),
        last=series.session[-1].item(),
    )


class Plain(Strategy):
    """Places one of Backtrader's own orders on the first bar."""

    warm_up = 0
    order: dict[str, Any] = {}

    def signals(self) -> Any:
        if len(self) == 1:
            self.buy_bracket(**self.order)
        return []


def _plain(**order: Any) -> type[Strategy]:
    return type("Plain" + "".join(map(str, order.values())), (Plain,), dict(order=order))


def test_plain_bracket_is_reviewed_and_cut_to_the_approved_size() -> None:
    run = _run(_plain(size=10_000, price=100.0, stopprice=98.0, limitprice=104.0), FLAT * 5)
    (verdict,) = run.record.verdicts

    assert verdict.approved
    assert (verdict.size, verdict.rule) == (200, "notional")
    assert {fill.size for fill in run.record.fills} == {200.0}


def test_plain_order_for_less_than_allowed_keeps_its_size() -> None:
    run = _run(_plain(size=7, price=100.0, stopprice=98.0, limitprice=104.0), FLAT * 5)

    assert {fill.size for fill in run.record.fills} == {7.0}


def test_plain_order_without_a_stop_is_denied() -> None:
    class Naked(Strategy):
        warm_up = 0

        def signals(self) -> Any:
            if len(self) == 1:
                self.buy(size=5)
            return []

    run = _run(Naked, FLAT * 4)
    (verdict,) = run.record.verdicts

    assert (verdict.approved, verdict.rule) == (False, "signal")
    assert "stop is nan" in verdict.reason
    assert [event.status for event in run.record.of(OrderEvent)] == ["rejected"]


@pytest.mark.parametrize(
    ("price", "prices"),
    [
        (100.0, dict(limit=100.009, stop=99.991, target=101.0)),
        (100.0, dict(side="short", limit=100.001, stop=100.009, target=99.0)),
        (0.5, dict(limit=0.50009, stop=0.49991, target=0.6)),
    ],
)
def test_signal_without_a_tick_between_limit_and_stop_is_denied_without_an_alert(
    price: float, prices: dict[str, Any]
) -> None:
    sound = signal(**prices)
    series = bars(f"{price} " * 4)
    (verdict,) = run_signals(series, {1: sound}).record.verdicts

    assert sound.fault() is None
    assert (verdict.approved, verdict.alert, verdict.rule) == (False, False, "price grid")
    assert (verdict.signal.limit, verdict.signal.stop) == (sound.limit, sound.stop)
    tick = "0.01" if price > 1 else "0.0001"
    assert verdict.reason.startswith(f"on the price grid of {tick} dollars, stop ")


def test_plain_order_against_a_rule_is_denied() -> None:
    run = _run(
        _plain(size=5, price=100.0, stopprice=90.0, limitprice=104.0),
        FLAT * 4,
        (rules.StopDistance(),),
    )

    assert [verdict.rule for verdict in run.record.verdicts] == ["stop distance"]
    assert run.record.fills == []


def test_end_of_a_halt_is_noted_before_the_next_begins() -> None:
    words = FLAT * 2 + "96/96/95/95 " * 2 + "90 " * 6
    plan = {n: signal(limit=101.0, stop=60.0, target=None) for n in range(1, 10)}
    run = run_signals(
        bars(words),
        plan,
        rules=(rules.DailyLossHalt(limit_usd=100.0),),
        params=dict(max_sessions=None),
        cash=CASH,
    )
    kinds = [
        type(value).__name__ for value in run.record.values if "Halt" in str(value)[:4]
        or isinstance(value, Release)
    ]  # fmt: skip

    assert kinds[:2] == ["Halt", "Release"]
    assert len(run.record.halts) - len(run.record.of(Release)) in {0, 1}


def test_signals_rank_by_confidence_then_symbol_then_as_they_came() -> None:
    given = [
        signal(symbol=symbol, confidence=confidence, limit=limit)
        for symbol, confidence, limit in (
            ("C", 3, 100.0),
            ("Z", 3, 100.0),
            ("A", 3, 100.0),
            ("A", 3, 101.0),
            ("B", 5, 100.0),
        )
    ]
    found = [(one.symbol, one.limit) for one in ranked(given, ("C", "A", "B"))]

    assert found == [("B", 100.0), ("C", 100.0), ("A", 100.0), ("A", 101.0), ("Z", 100.0)]


@pytest.mark.parametrize("wrong", [None, [None], ["buy"]])
def test_ranking_takes_signals_only(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="signals\\(\\)"):
        ranked(wrong, ())


def test_desk_before_its_first_bar_is_closed() -> None:
    day = new_york().offset(bars("100").session[0].item(), 0)
    desk = Desk(gate=None, account=None, record=None, first=day, last=day)

    assert not desk.open_for_entries
