# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run did beside its backtest: every difference has a cause, and the causes add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from iverson.execution.costs import Costs
from iverson.market import sample
from iverson.model import CashFlow, Fill, OrderEvent, Verdict
from iverson.monitoring.record import EquityRow
from iverson.research.backtest import Outcome, Prepared, Setup, simulate
from iverson.risk import rules
from iverson.stages.parity import Parity, compare
from strategies.rsi_reversion import RsiReversion

FIRST, LAST = date(2005, 3, 1), date(2005, 5, 31)
SETUP = Setup(RsiReversion, tuple(rules.standard()), costs=Costs.none(), params=dict(oversold=45))
NUDGE = 0.25


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return simulate(SETUP, Prepared.of(sample.load()), first=FIRST, last=LAST)


@pytest.fixture(scope="module")
def marks() -> dict[str, float]:
    return {symbol: float(bars.close[-1]) for symbol, bars in sample.load().items()}


def changed(values: list[Any], change: Callable[[Any], Any]) -> list[Any]:
    """The values with some changed, or left out where the change gives None."""
    made = [change(value) for value in values]
    return [value for value in made if value is not None]


def beside(outcome: Outcome, marks: Any, change: Callable[[Any], Any], **more: Any) -> Parity:
    values = outcome.record.values
    return compare(changed(values, change), values, marks=marks, **more)


def first_of(outcome: Outcome, leg: str) -> Fill:
    return next(fill for fill in outcome.record.fills if fill.leg == leg)


def test_run_beside_itself_is_the_same_in_every_decision(outcome: Outcome, marks: Any) -> None:
    parity = beside(outcome, marks, lambda value: value)

    assert parity.differences == ()
    assert parity.same == parity.decisions > 50
    assert parity.unexplained == pytest.approx(0.0)


def test_entry_that_did_not_fill_is_a_missed_fill(outcome: Outcome, marks: Any) -> None:
    order = first_of(outcome, "entry").order_id.removesuffix("-entry")

    parity = beside(
        outcome,
        marks,
        lambda value: None if isinstance(value, Fill) and order in value.order_id else value,
    )

    (one,) = parity.differences
    assert one.cause == "missed fill"
    assert one.key == order


def test_missed_fill_says_who_refused_it_and_why(outcome: Outcome, marks: Any) -> None:
    """A bracket through zero, say: the backtest crosses, the adapter does not."""
    order = first_of(outcome, "entry").order_id.removesuffix("-entry")

    def refuse(value: Any) -> Any:
        if isinstance(value, Fill) and order in value.order_id:
            return None
        if isinstance(value, OrderEvent) and value.order_id == f"{order}-entry":
            return replace(value, status="rejected", reason="a bracket opens a position")
        return value

    (one,) = beside(outcome, marks, refuse).differences

    assert one.cause == "missed fill"
    assert one.words.endswith(": a bracket opens a position")


def test_other_price_is_told_in_dollars(outcome: Outcome, marks: Any) -> None:
    entry = first_of(outcome, "entry")

    parity = beside(
        outcome,
        marks,
        lambda value: replace(value, price=value.price + NUDGE) if value is entry else value,
    )

    (one,) = parity.differences
    assert (one.cause, one.dollars) == ("fill price", pytest.approx(-NUDGE * entry.size))


def test_exit_a_session_later_is_a_delay(outcome: Outcome, marks: Any) -> None:
    leaving = first_of(outcome, "time limit")
    later = replace(leaving, session=leaving.session + timedelta(days=1))

    parity = beside(outcome, marks, lambda value: later if value is leaving else value)

    assert [one.cause for one in parity.differences] == ["delay"]


def test_other_fees_are_fees(outcome: Outcome, marks: Any) -> None:
    entry = first_of(outcome, "entry")

    parity = beside(
        outcome, marks, lambda value: replace(value, commission=1.5) if value is entry else value
    )

    (one,) = parity.differences
    assert (one.cause, one.dollars) == ("fees", pytest.approx(-1.5))


def approved(outcome: Outcome) -> Verdict:
    return next(one for one in outcome.record.verdicts if one.approved)


def test_other_answer_of_the_gate_is_risk(outcome: Outcome, marks: Any) -> None:
    verdict = approved(outcome)
    denied = replace(verdict, approved=False, size=0, rule="daily loss halt")

    parity = beside(outcome, marks, lambda value: denied if value is verdict else value)

    (one,) = parity.differences
    assert one.cause == "risk"
    assert "daily loss halt" in one.words


def test_other_signal_names_what_differs(outcome: Outcome, marks: Any) -> None:
    verdict = approved(outcome)
    other = replace(verdict, signal=replace(verdict.signal, limit=verdict.signal.limit + NUDGE))

    parity = beside(outcome, marks, lambda value: other if value is verdict else value)

    (one,) = parity.differences
    assert one.cause == "signal"
    assert one.words.startswith("limit ")


def test_other_signal_on_another_bar_is_the_feed(outcome: Outcome, marks: Any) -> None:
    verdict = approved(outcome)
    other = replace(verdict, signal=replace(verdict.signal, limit=verdict.signal.limit + NUDGE))
    bar: tuple[str, datetime] = (verdict.signal.symbol, verdict.signal.at)

    parity = beside(
        outcome,
        marks,
        lambda value: other if value is verdict else value,
        other_bars=frozenset({bar}),
    )

    assert [one.cause for one in parity.differences] == ["feed"]


def test_causes_add_up_to_the_difference_of_the_accounts(outcome: Outcome, marks: Any) -> None:
    entry = first_of(outcome, "entry")
    cost = NUDGE * entry.size

    def change(value: Any) -> Any:
        if value is entry:
            return replace(value, price=value.price + NUDGE)
        if isinstance(value, EquityRow) and value.at >= entry.at:
            return replace(value, equity=value.equity - cost)
        return value

    parity = beside(outcome, marks, change)

    mine, theirs = list(parity.equity.values())[-1]
    assert mine - theirs == pytest.approx(-cost)
    assert sum(dollars for _, dollars in parity.by_cause().values()) == pytest.approx(-cost)
    assert parity.unexplained == pytest.approx(0.0, abs=1e-6)
    assert "fill price" in str(parity)


def test_dollars_that_no_decision_explains_are_named(outcome: Outcome, marks: Any) -> None:
    deposit = 100.0

    parity = beside(
        outcome,
        marks,
        lambda value: (
            replace(value, equity=value.equity + deposit) if isinstance(value, EquityRow) else value
        ),
    )

    assert parity.unexplained == pytest.approx(deposit)
    assert "not explained" in str(parity)
    assert list(parity.table().columns) == ["symbol", "at", "cause", "dollars", "words"]


def test_cash_flows_of_the_run_alone_are_told_apart(outcome: Outcome, marks: Any) -> None:
    """A deposit, and the backtest's dividends, which paper does not pay."""
    deposit, last = 250.0, outcome.record.equity[-1]
    dividends = [one for one in outcome.record.values if isinstance(one, CashFlow)]
    assert sum(one.amount for one in dividends) > 0
    unpaid = sum(one.amount for one in dividends)
    flow = CashFlow(last.at, last.session, "", "deposit", deposit)

    def run(value: Any) -> Any:
        if value is last:
            return replace(last, equity=last.equity + deposit - unpaid)
        return None if isinstance(value, CashFlow) else value

    values = [*changed(outcome.record.values, run), flow]
    parity = compare(values, outcome.record.values, marks=marks)

    assert parity.differences == ()
    assert parity.flows == pytest.approx(deposit - unpaid)
    assert parity.unexplained == pytest.approx(parity.flows)
