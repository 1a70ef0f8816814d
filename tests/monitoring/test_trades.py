# SPDX-License-Identifier: GPL-3.0-or-later
"""Round trips built from fills, worked out by hand."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest

from iverson.market.calendar import new_york
from iverson.model import CashFlow, Fill, Trade, Verdict
from iverson.monitoring.trades import TradeBuilder
from iverson.testing import signal

DAYS = [date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 4), date(2024, 1, 5), date(2024, 1, 8)]


def fill(day: int, side: Any, size: float, price: float, **more: Any) -> Fill:
    session = DAYS[day]
    usual: dict[str, Any] = dict(
        at=new_york().close_at(session),
        session=session,
        order_id=f"order-{day}",
        symbol="TEST",
        leg="plain",
        commission=0.0,
    )
    return Fill(side=side, size=size, price=price, **{**usual, **more})


def flow(day: int, kind: str, amount: float, ratio: float = 1.0) -> CashFlow:
    session = DAYS[day]
    return CashFlow(new_york().close_at(session), session, "TEST", kind, amount, ratio)


def build(*values: Fill | CashFlow, verdict: Verdict | None = None) -> list[Trade]:
    builder = TradeBuilder(new_york().ordinal)
    found = [
        builder.add(value, verdict) if isinstance(value, Fill) else builder.flow(value)
        for value in values
    ]
    return [trade for trade in found if trade is not None]


@pytest.mark.parametrize(("enter", "leave", "pnl"), [("buy", "sell", 20.0), ("sell", "buy", -20.0)])
def test_a_round_trip_is_a_trade(enter: str, leave: str, pnl: float) -> None:
    """10 shares from 100 to 102."""
    (trade,) = build(fill(0, enter, 10, 100), fill(4, leave, 10, 102, leg="target"))

    assert (trade.side, trade.size) == ("long" if enter == "buy" else "short", 10)
    assert (trade.entry, trade.exit, trade.pnl) == (100, 102, pnl)
    assert (trade.sessions, trade.exit_reason) == (4, "target")
    assert math.isnan(trade.risk)


def test_partial_fills_are_averaged_and_one_trade() -> None:
    """In: 4 at 100, 6 at 105 = 103; out: 5 at 110, 5 at 104 = 107; 10 x 4 - fees of 0.40."""
    (trade,) = build(
        fill(0, "buy", 4, 100, commission=0.1, spread=0.01),
        fill(1, "buy", 6, 105, commission=0.1),
        fill(2, "sell", 5, 110, commission=0.1, spread=0.02),
        fill(3, "sell", 5, 104, commission=0.1, leg="stop"),
    )

    assert (trade.entry, trade.exit) == (103, 107)
    assert trade.pnl == pytest.approx(10 * 4 - 0.4)
    assert trade.commission == pytest.approx(0.4)
    assert trade.spread == pytest.approx(4 * 0.01 + 5 * 0.02)
    assert (trade.exit_reason, trade.exit_session) == ("stop", DAYS[3])


def test_a_fill_through_zero_closes_one_trade_and_opens_the_next() -> None:
    """10 long from 100 to 90; 15 sold, so 5 short from 90 to 80; the fee of 0.30 is shared 2:1."""
    first, second = build(
        fill(0, "buy", 10, 100),
        fill(1, "sell", 15, 90, commission=0.3),
        fill(2, "buy", 5, 80),
    )

    assert (first.side, first.size, first.pnl) == ("long", 10, pytest.approx(-100 - 0.2))
    assert (second.side, second.size, second.pnl) == ("short", 5, pytest.approx(50 - 0.1))
    assert (second.entry_session, second.entry_order) == (DAYS[1], "order-1")


def test_a_dividend_is_part_of_the_result() -> None:
    (trade,) = build(fill(0, "buy", 10, 100), flow(1, "dividend", 5.0), fill(2, "sell", 10, 100))

    assert (trade.dividends, trade.pnl) == (5, 5)


def test_a_flow_without_a_position_is_nobodys() -> None:
    (trade,) = build(flow(0, "dividend", 5.0), fill(1, "buy", 1, 100), fill(2, "sell", 1, 101))

    assert trade.pnl == 1


def test_a_split_converts_an_open_trade() -> None:
    """11 at 90 are 16.5 at 60: 16 sold at 66, half a share paid at 62 = 31."""
    (trade,) = build(
        fill(0, "buy", 11, 90), flow(1, "split", 0.5 * 62, 1.5), fill(2, "sell", 16, 66)
    )

    assert (trade.size, trade.entry, trade.exit) == (16.5, 60, 66)
    assert trade.pnl == pytest.approx(16 * 66 + 31 - 11 * 90)


def test_a_split_between_two_exits_counts_both_in_todays_shares() -> None:
    """4 of 10 out at 100 (8 at 50 today), 12 out at 60: 20 at an average of 56."""
    (trade,) = build(
        fill(0, "buy", 10, 90),
        fill(1, "sell", 4, 100),
        flow(2, "split", 0.0, 2.0),
        fill(3, "sell", 12, 60),
    )

    assert (trade.size, trade.entry, trade.exit) == (20, 45, 56)
    assert trade.pnl == pytest.approx(4 * 100 + 12 * 60 - 10 * 90)


@pytest.mark.parametrize(("side", "sign"), [("buy", 1), ("sell", -1)])
def test_a_reverse_split_that_leaves_no_share_closes_the_trade(side: str, sign: int) -> None:
    """5 shares at 10 are half a share at 100; $52 in lieu is an exit at 104."""
    first, second = build(
        fill(0, side, 5, 10),
        flow(1, "split", sign * 52.0, 0.1),
        fill(2, "buy", 1, 100),
        fill(3, "sell", 1, 101),
    )

    assert (first.exit_reason, first.exit, first.pnl) == ("split", 104, pytest.approx(sign * 2))
    assert (second.entry, second.pnl) == (100, 1)


def test_a_trade_is_ambiguous_when_any_of_its_fills_is() -> None:
    sure = build(fill(0, "buy", 1, 100), fill(1, "sell", 1, 101))
    unsure = build(fill(0, "buy", 1, 100), fill(1, "sell", 1, 101, ambiguous=True))

    assert [trade.ambiguous for trade in (*sure, *unsure)] == [False, True]


def test_symbols_do_not_meet() -> None:
    trades = build(fill(0, "buy", 1, 100), fill(1, "sell", 1, 90, symbol="ELSE"))

    assert trades == []


def test_a_verdict_lends_its_plan() -> None:
    """Risk of 2 dollars a share on what was filled: 7 shares, 14 dollars; 21 won are 1.5 R."""
    plan = signal(limit=100, stop=98, target=104, confidence=4, reason="dip", strategy="Dip")
    verdict = Verdict(plan, approved=True, size=10, rule="risk", reason="")

    (trade,) = build(fill(0, "buy", 7, 100), fill(1, "sell", 7, 103), verdict=verdict)

    assert (trade.risk, trade.r_multiple) == (14, 1.5)
    assert (trade.stop, trade.target, trade.confidence) == (98, 104, 4)
    assert (trade.reason, trade.strategy) == ("dip", "Dip")
