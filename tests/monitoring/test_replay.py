# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills and cash flows alone rebuild the account."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iverson.model import CashFlow, Fill, OrderSide
from iverson.monitoring.journal import Journal
from iverson.monitoring.kinds import Value
from iverson.monitoring.record import EquityRow
from iverson.monitoring.replay import ReplayedBook, rebuild_equity, replay

AT = datetime(2024, 1, 2, 21, tzinfo=UTC)
DAY = date(2024, 1, 2)
CASH = 10_000.0


def fill(
    side: OrderSide, size: float, price: float, commission: float = 0.0, symbol: str = "A"
) -> Fill:
    return Fill(AT, DAY, "o", symbol, side, "plain", size, price, commission)


def flow(kind: str, amount: float, ratio: float = 1.0) -> CashFlow:
    return CashFlow(AT, DAY, "A", kind, amount, ratio)


@pytest.mark.parametrize(
    ("values", "cash", "positions"),
    [
        ([], 10_000.0, {}),
        ([fill("buy", 10, 100.0, 1.0)], 8_999.0, {"A": 10}),
        ([fill("buy", 10, 100.0, 1.0), fill("sell", 10, 101.0, 1.0)], 10_008.0, {}),
        ([fill("sell", 10, 100.0, 1.0)], 10_999.0, {"A": -10}),
        ([fill("sell", 10, 100.0), fill("buy", 15, 90.0)], 9_650.0, {"A": 5}),
        ([fill("buy", 10, 100.0), flow("dividend", 2.5)], 9_002.5, {"A": 10}),
        ([fill("buy", 10, 100.0), flow("split", 0.0, 4.0)], 9_000.0, {"A": 40}),
        ([fill("buy", 7, 100.0), flow("split", 100.0, 0.5)], 9_400.0, {"A": 3}),
        ([fill("sell", 7, 100.0), flow("split", -100.0, 0.5)], 10_600.0, {"A": -3}),
        ([fill("buy", 30, 1.0), flow("split", 0.0, 1 / 3)], 9_970.0, {"A": 10}),
        ([fill("buy", 1, 10.0), flow("split", 1.0, 0.1)], 9_991.0, {}),
        ([flow("deposit", 500.0)], 10_500.0, {}),
    ],
)
def test_book_follows_fills_and_cash_flows(
    values: list[Value], cash: float, positions: dict[str, float]
) -> None:
    assert replay(values, cash=CASH) == ReplayedBook(cash, positions)


CENTS = st.integers(min_value=1, max_value=1_000_000)
FILLS = st.builds(
    lambda side, size, price, commission, symbol: fill(
        side, size, price / 100, commission / 100, symbol
    ),
    st.sampled_from(["buy", "sell"]),
    st.integers(min_value=1, max_value=5_000),
    CENTS,
    st.integers(min_value=0, max_value=500),
    st.sampled_from(["A", "B", "C"]),
)
FLOWS = st.builds(
    flow, st.sampled_from(["dividend", "deposit"]), CENTS.map(lambda cents: cents / 100)
)


@settings(max_examples=80, deadline=None)
@given(st.lists(FILLS | FLOWS, max_size=30))
def test_replay_of_a_journal_equals_exact_arithmetic(events: list[Fill | CashFlow]) -> None:
    cash = Fraction(CASH)
    sizes = {"A": 0, "B": 0, "C": 0}
    values: list[Value] = []
    for event in events:
        if isinstance(event, Fill):
            signed = int(event.size) * (1 if event.side == "buy" else -1)
            sizes[event.symbol] += signed
            cash -= signed * Fraction(event.price) + Fraction(event.commission)
        else:
            cash += Fraction(event.amount)
        values += [event, EquityRow(AT, DAY, float(cash), float(cash), 0.0, 1)]
    with Journal() as journal:
        journal.append_many("r", values)
        stored = journal.values("fill", "cash_flow", "equity")

    book = replay(stored, cash=CASH)
    assert book.cash == pytest.approx(float(cash), abs=0.005)
    assert book.positions == {symbol: size for symbol, size in sizes.items() if size}
    assert rebuild_equity(stored, cash=CASH) == []


@settings(max_examples=80, deadline=None)
@given(st.lists(FILLS, min_size=1, max_size=20))
def test_closing_everything_at_its_last_price_leaves_no_position(fills: list[Fill]) -> None:
    book = replay(fills, cash=CASH)
    closing = [
        fill("sell" if size > 0 else "buy", abs(size), 1.0, symbol=symbol)
        for symbol, size in book.positions.items()
    ]
    closed = replay([*fills, *closing], cash=CASH)

    assert closed.positions == {}
    assert closed.cash == pytest.approx(book.cash + sum(book.positions.values()), abs=0.005)


def test_equity_row_that_is_a_cent_off_is_reported_with_both_numbers() -> None:
    values: list[Value] = [
        fill("buy", 10, 100.0),
        EquityRow(AT, DAY, 9_000.0, 10_000.0, 1_000.0, 1),
        EquityRow(AT, DAY, 9_000.01, 10_000.01, 1_000.0, 1),
        EquityRow(AT, DAY, 9_000.0, 10_500.0, 1_000.0, 1),
        EquityRow(AT, DAY, math.nan, 10_000.0, 1_000.0, 1),
    ]
    found = rebuild_equity(values, cash=CASH)

    assert [(row.what, row.expected) for row in found[:2]] == [
        ("cash", 9_000.0),
        ("equity", 10_000.0),
    ]
    assert found[0].difference == pytest.approx(0.01)
    assert [row.what for row in found[2:]] == ["cash", "equity"]
