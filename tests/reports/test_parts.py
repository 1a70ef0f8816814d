# SPDX-License-Identifier: GPL-3.0-or-later
"""Open trades, entries, slippage and incidents, each case by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from iverson.execution.costs import Costs
from iverson.model import Answer, CashFlow, Intent
from iverson.monitoring.events import Drill, Step
from iverson.monitoring.kinds import Value
from iverson.monitoring.record import Release
from iverson.reports.entries import entries, fill_rate, outcomes
from iverson.reports.incidents import incidents, standing_halts
from iverson.reports.open_trades import OpenTrade, open_pnl, open_trades
from iverson.reports.slippage import Slip, costs_of, slips
from iverson.reports.words import in_r, price, signed_money, signed_percent, why
from tests.reports.week import MON, THU, TUE, WED, at, fill, mark, order, run_row, values, verdict

COSTS = Costs()


def one(rows: list[Value]) -> OpenTrade:
    (found,) = open_trades(rows)
    return found


def slip(rows: list[Value], costs: Costs | None = COSTS, *, modelled: bool = False) -> Slip:
    (found,) = slips(rows, costs, modelled=modelled)
    return found


def test_a_short_position_plans_a_loss_above_its_entry() -> None:
    held = one([
        order(MON, "KO", "stop", "accepted", 10, 52.0, side="buy"),
        fill(MON, "KO", "entry", 10, 50.0, 0.1, side="sell"),
    ])  # fmt: skip

    assert held.side == "short"
    assert held.planned_loss == pytest.approx(10 * 2.0)
    assert held.cash == pytest.approx(10 * 50.0 - 0.1)


def test_a_stop_above_the_entry_has_locked_in_a_profit() -> None:
    held = one([
        fill(MON, "KO", "entry", 10, 50.0, 0.0),
        order(MON, "KO", "stop", "accepted", 10, 48.0),
        order(TUE, "KO", "stop", "accepted", 10, 51.0),
    ])  # fmt: skip

    assert held.planned_loss == pytest.approx(-10.0)


def test_a_split_converts_shares_entry_and_stop() -> None:
    held = one([
        order(MON, "KO", "stop", "accepted", 10, 48.0),
        fill(MON, "KO", "entry", 10, 50.0, 0.0),
        CashFlow(at(TUE), TUE, "KO", "split", 0.0, ratio=2.0),
    ])  # fmt: skip

    assert (held.size, held.entry, held.stop) == (20, 25.0, 24.0)
    assert held.planned_loss == pytest.approx(20.0)


def test_a_reverse_split_without_a_whole_share_leaves_nothing() -> None:
    rows = [
        fill(MON, "KO", "entry", 2, 50.0, 0.0),
        CashFlow(at(TUE), TUE, "KO", "split", 99.0, ratio=0.1),
    ]

    assert open_trades(rows) == []


def test_a_sale_through_zero_opens_the_other_side() -> None:
    held = one([
        fill(MON, "KO", "plain", 10, 50.0, 0.0, side="buy"),
        fill(TUE, "KO", "plain", 25, 52.0, 0.5, side="sell"),
    ])  # fmt: skip

    assert (held.size, held.entry, held.since) == (-15, 52.0, TUE)
    assert held.cash == pytest.approx(15 * 52.0 - 0.5 * 15 / 25)


def test_a_stop_that_ended_protects_no_more() -> None:
    held = one([
        fill(MON, "KO", "entry", 10, 50.0, 0.0),
        order(MON, "KO", "stop", "accepted", 10, 48.0),
        order(TUE, "KO", "stop", "canceled", 10, 48.0),
    ])  # fmt: skip

    assert math.isnan(held.stop)
    assert math.isnan(held.planned_loss)


def test_open_profit_is_what_positions_are_worth_and_what_they_cost() -> None:
    rows = [fill(MON, "KO", "entry", 10, 50.0, 0.25), mark(MON, 0.0, 520.0)]

    assert open_pnl(rows) == pytest.approx(520.0 - 500.25)
    assert open_pnl([]) == 0.0


def test_entries_by_what_became_of_them() -> None:
    def entry(symbol: str, ending: str, filled: float) -> list[Value]:
        rows: list[Value] = [order(MON, symbol, "entry", "accepted", 10, 50.0)]
        rows += [fill(TUE, symbol, "entry", filled, 50.0, 0.0)] if filled else []
        return [*rows, *([order(TUE, symbol, "entry", ending, 10, 50.0)] if ending else [])]

    found = entries([
        *entry("A", "filled", 10), *entry("B", "expired", 4), *entry("C", "expired", 0),
        *entry("D", "canceled", 0), *entry("E", "rejected", 0), *entry("F", "", 3),
    ])  # fmt: skip

    assert outcomes(found) == {
        "filled": 1, "partly": 1, "expired": 1, "canceled": 1, "rejected": 1, "working": 1,
    }  # fmt: skip
    assert fill_rate(found) == 2 / 4
    assert math.isnan(fill_rate([]))


@pytest.mark.parametrize(
    ("leg", "side", "meant", "paid", "cost"),
    [
        ("entry", "buy", 50.0, 50.10, 1.0),
        ("entry", "sell", 50.0, 50.10, -1.0),
        ("target", "sell", 55.0, 54.90, 1.0),
        ("target", "sell", 55.0, 55.25, -2.5),
    ],
)
def test_positive_slippage_is_a_cost_for_buys_and_sells(
    leg, side, meant: float, paid: float, cost: float
) -> None:
    found = slip([
        order(MON, "KO", leg, "filled", 10, meant, side=side),
        fill(MON, "KO", leg, 10, paid, 0.0, side=side),
    ])  # fmt: skip

    assert found.usd == pytest.approx(cost)
    assert math.isnan(found.model_usd) if cost < 0 else found.model_usd == pytest.approx(cost)
    assert found.bps == pytest.approx(cost / (10 * paid) * 10_000)


@pytest.mark.parametrize(
    ("side", "trigger", "expected"),
    [
        ("sell", 95.0, 94.99),  # 95 - 0.0095, down to the cent
        ("buy", 95.0, 95.01),
        ("sell", 500.0, 499.95),  # 1 basis point
        ("sell", 0.5, 0.4999),  # half a tick of 0.0001, down to the grid
    ],
)
def test_the_model_books_a_stop_at_its_trigger_less_half_the_spread(
    side, trigger: float, expected: float
) -> None:
    found = slip([
        order(MON, "KO", "stop", "filled", 10, trigger, side=side),
        fill(MON, "KO", "stop", 10, trigger, 0.0, side=side),
    ])  # fmt: skip

    assert found.expected == pytest.approx(expected)
    assert found.usd == 0.0


def test_the_last_word_on_an_order_before_its_fill_is_what_it_meant() -> None:
    found = slip([
        order(MON, "KO", "target", "accepted", 10, 55.0),
        order(TUE, "KO", "target", "filled", 10, 54.0),
        fill(TUE, "KO", "target", 10, 54.0, 0.0),
        order(WED, "KO", "target", "filled", 10, 53.0),
    ])  # fmt: skip

    assert found.meant == 54.0


@pytest.mark.parametrize("kind", ["close", "market", "limit"])
def test_leaving_by_the_time_limit_means_no_price(kind: str) -> None:
    found = slip([
        order(MON, "KO", "time limit", "filled", 10, 55.0, kind=kind),
        fill(MON, "KO", "time limit", 10, 50.0, 0.0),
    ])  # fmt: skip

    assert math.isnan(found.usd)
    assert math.isnan(found.model_usd)


def test_a_fill_without_an_order_and_costs_of_another_kind_stay_unknown() -> None:
    alone = [fill(MON, "KO", "entry", 10, 50.0, 0.0)]
    stop = [order(MON, "KO", "stop", "filled", 10, 95.0), fill(MON, "KO", "stop", 10, 95, 0.0)]

    assert math.isnan(slip(alone).usd)
    assert slip(stop, None).usd == 0.0
    assert math.isnan(slip(stop, None).model_usd)


def test_where_the_model_made_the_fill_nothing_lies_between_them() -> None:
    rows = [order(MON, "KO", "entry", "filled", 10, 50.0), fill(MON, "KO", "entry", 10, 49.0, 0.0)]
    found = slip(rows, modelled=True)

    assert found.usd == pytest.approx(-10.0)
    assert found.model_usd == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (repr(COSTS), COSTS),
        (repr(Costs(spread_bps=7.5)), Costs(spread_bps=7.5)),
        ("Costs(spread_bps=-1)", None),
        ("Mine(spread_bps=1)", None),
        ("Costs(spread_bps=__import__('os'))", None),
        ("no costs", None),
        ("", None),
    ],
)
def test_costs_are_read_from_the_settings_of_the_run(text: str, expected: Costs | None) -> None:
    assert costs_of(replace(run_row(), parameters={"costs": text})) == expected


def test_an_order_not_taken_is_told_once_for_its_decision() -> None:
    def answer(name: str, ending: str) -> Answer:
        return Answer(at(MON), MON, name, "KO", ending, "no")

    def intent(name: str, key: str) -> Intent:
        return Intent(at(MON), MON, name, key, "KO", "entry", 1, "{}")

    rejected = order(MON, "KO", "entry", "rejected", 10, 50.0, reason="no")
    told = [intent("n1", "KO"), rejected, answer("n1", "rejected")]
    untold = [intent("n2", "KO-2"), answer("n2", "abandoned"), answer("n3", "accepted")]

    found = incidents([*told, *untold])

    assert [(one.kind, one.text) for one in found] == [
        ("order rejected", "entry, buy 10: no"), ("order not taken", "abandoned: no"),
    ]  # fmt: skip


def test_steps_drills_and_denials_that_ask_for_a_person_are_incidents() -> None:
    asked = replace(verdict(MON, "KO", 0, 50.0, 48.0, rule="books", reason="NaN"), alert=True)
    found = incidents([
        Step(at(MON), MON, 1, 0.005, "20 trades"),
        Drill(at(MON), "kill", False, "timed out"),
        asked,
        verdict(MON, "KO", 0, 50.0, 48.0),
    ])  # fmt: skip

    assert [one.line for one in found] == [
        "03-02 21:00 risk: level 1, at most 0.50% of equity a trade: 20 trades",
        "03-02 21:00 drill: kill FAILED: timed out",
        "03-02 21:00 denied: KO: books: NaN",
    ]


def test_a_released_halt_stands_no_more() -> None:
    rows = values()
    release = Release(at(WED, 22), WED, "daily loss halt", "by hand")

    assert len(standing_halts(rows, at(WED))) == 1
    assert standing_halts(rows, at(THU)) == []
    assert standing_halts([*rows, release], at(WED)) == []


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (signed_money(12.3), "+$12.30"), (signed_money(-4), "−$4.00"), (signed_money(0), "$0.00"),
        (signed_money(0.001), "$0.00"), (signed_money(math.nan), "n/a"),
        (signed_percent(0.012), "+1.20%"), (signed_percent(-0.00001), "0.00%"),
        (in_r(1.56), "+1.6 R"), (in_r(-1.0), "−1.0 R"), (in_r(math.nan), "n/a"),
        (price(1234.5), "1,234.50"), (price(0.51234), "0.5123"), (price(math.nan), "n/a"),
        (why(30.456), "30.46"), (why(math.nan), ""), (why("x" * 130), "x" * 119 + "…"),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(written: str, expected: str) -> None:
    assert written == expected
