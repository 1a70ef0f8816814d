# SPDX-License-Identifier: GPL-3.0-or-later
"""Splits, dividends, halts and the corners of the exchange's day."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from iverson.market.calendar import new_york
from iverson.simulator.events import ClockEdge
from iverson.simulator.schedule import Schedule
from iverson.simulator.settings import Halt
from tests.simulator.exchange_kit import FLAT, MONDAY, Rig, bars, clock, refusal, rig

TUESDAY = date(2024, 11, 26)


def split(ratio: float, before: str, after: str, **switches: Any) -> Rig:
    found = bars(before) + bars(after, day=TUESDAY)
    return rig(found, market={"splits": {TUESDAY: {"AAA": ratio}}}, **switches)


# Splits


def test_forward_split_takes_effect_at_half_past_two_and_changes_no_worth() -> None:
    it = split(10.0, "100 100 100 100", "10 10 10 10")
    it.submit(qty=15)
    it.to("20:00")

    it.to("02:29:59", TUESDAY)
    assert it.qty() == 15
    it.to("02:30", TUESDAY)

    position = it.exchange.position(it.account_id, "AAA")
    assert (position.qty, position.avg_entry_price, position.cost_basis) == (150, 10, 1_500)
    assert (position.current_price, position.lastday_price) == (10, 10)
    assert it.exchange.account(it.account_id).equity == 100_000
    (row,) = it.exchange.activities(it.account_id, types=["SPLIT"])
    assert (row.symbol, row.qty) == ("AAA", 135)


def test_reverse_split_pays_cash_for_the_fraction_of_a_share() -> None:
    it = split(0.1, "10 10 10 10", "100 100 100 100")
    it.submit(qty=155)
    it.to("02:30", TUESDAY)

    assert it.qty() == 15
    assert it.cash() == 100_000 - 1_550 + 50
    assert it.exchange.account(it.account_id).equity == 100_000
    kinds = {row.activity_type for row in it.exchange.activities(it.account_id)}
    assert kinds == {"FILL", "SPLIT", "REORG"}


def test_ratio_that_is_no_decimal_is_exact() -> None:
    it = split(1 / 3, "10 10 10 10", "30 30 30 30")
    it.submit(qty=300)
    it.to("02:30", TUESDAY)

    assert it.qty() == 100
    assert it.cash() == 97_000


def test_forward_split_adjusts_gtc_buy_limits_and_sell_stops_only() -> None:
    it = split(10.0, "100 100 100 100", "10 10 10 10")
    it.submit(qty=100)
    it.to("09:31")
    gtc: dict[str, Any] = {"time_in_force": "gtc"}
    stop = it.submit("sell", 40, type="stop", stop_price=90.55, **gtc)
    target = it.submit("sell", 60, type="limit", limit_price=150, **gtc)
    entry = it.exchange.open_account("OTHER", cash=Decimal(100_000)).id
    it.account_id, mine = entry, it.account_id
    limit = it.submit(qty=7, type="limit", limit_price=80, **gtc)
    above = it.submit(qty=7, type="stop", stop_price=120, **gtc)

    it.to("02:30", TUESDAY)

    assert [(it.now(one).qty, it.now(one).limit_price) for one in (limit,)] == [(70, 8)]
    assert (it.now(above).qty, it.now(above).stop_price) == (7, 120)
    it.account_id = mine
    assert (it.now(stop).qty, it.now(stop).stop_price) == (400, Decimal("9.05"))
    assert (it.now(target).qty, it.now(target).limit_price) == (60, 150)
    assert it.words(stop)[-1] == "restated"


def test_reverse_split_cancels_gtc_orders() -> None:
    it = split(0.5, "100 100 100 100", "200 200 200 200")
    order = it.submit(qty=10, type="limit", limit_price=80, time_in_force="gtc")

    it.to("02:30", TUESDAY)

    assert it.now(order).status == "canceled"


@pytest.mark.parametrize("ratio", [4.0, 0.25])
def test_legs_of_brackets_are_not_touched(ratio: float) -> None:
    it = split(ratio, "100 100 100 100", f"{100 / ratio} " * 4)
    order = it.bracket(110, 90)
    it.to("02:31", TUESDAY)

    stop, target = it.leg(order, "stop"), it.leg(order, "target")
    assert (stop.qty, stop.stop_price, stop.status) == (100, 90, "held")
    assert (target.qty, target.limit_price, target.status) == (100, 110, "new")


def test_unadjusted_stop_sells_at_the_open_after_a_split() -> None:
    it = split(4.0, "100 100 100 100", "25 25.5 24.5 25")
    it.bracket(110, 90)
    it.to("09:31", TUESDAY)

    assert it.fills() == [("buy", 100, 100), ("sell", 100, 25)]
    assert it.qty() == 300


def test_unadjusted_target_never_sells_more_than_a_reverse_split_left() -> None:
    it = split(0.1, "10 10 10 10", "100 101 99 100")
    it.bracket(11, 9)
    it.to("09:31", TUESDAY)

    assert it.fills()[1:] == [("sell", 10, 100)]
    assert it.qty() == 0


# Dividends


@pytest.mark.parametrize(("paid", "side", "cash"), [
    (False, "buy", 0), (True, "buy", 50), (True, "sell", -50),
])  # fmt: skip
def test_paper_pays_no_dividend_unless_switched_on(paid: bool, side: str, cash: int) -> None:
    found = bars(FLAT) + bars(FLAT, day=TUESDAY)
    it = rig(found, market={"dividends": {TUESDAY: {"AAA": 0.5}}}, dividends=paid)
    it.submit(side)
    it.to("20:00")
    before = it.cash()
    it.to("02:30", TUESDAY)

    assert it.cash() - before == cash
    rows = it.exchange.activities(it.account_id, types=["DIV"])
    assert [row.net_amount for row in rows] == ([cash] if paid else [])


def test_gtc_buy_limits_may_fall_by_the_dividend() -> None:
    found = bars(FLAT) + bars(FLAT, day=TUESDAY)
    it = rig(found, market={"dividends": {TUESDAY: {"AAA": 0.255}}}, reduce_for_dividends=True)
    order = it.submit(type="limit", limit_price=95, time_in_force="gtc")

    it.to("02:30", TUESDAY)

    assert it.now(order).limit_price == Decimal("94.74")


# Halts


def test_halted_symbol_fills_nothing_and_reopens_at_its_price() -> None:
    it = rig("100 100 100 100 | 100 100 99 99 | 90 90 89 89 | 80 81 79 80")
    it.submit()
    it.to("09:31")
    it.submit("sell", type="stop", stop_price=99.5)
    it.exchange.halt("AAA")

    it.to("09:33")
    assert len(it.fills()) == 1
    it.exchange.resume("AAA")
    it.to("09:34")

    assert it.fills()[1:] == [("sell", 100, 80)]


def test_trailing_stop_that_is_passed_in_a_halt_sells_when_trading_goes_on() -> None:
    it = rig("100 100 100 100 | 100 110 90 100", path="high first")
    it.submit()
    it.to("09:31")
    it.submit("sell", type="trailing_stop", trail_price=5)
    it.to("09:31:22")  # 108 on the way down from 110; the stop at 105 comes at second 25
    it.exchange.halt("AAA")
    it.to("09:31:38")
    it.exchange.resume("AAA")

    it.to("09:32")

    assert it.fills()[1:] == [("sell", 100, 92)]
    assert it.updates()[-1].at == clock("09:31:38")


def test_halt_may_be_written_down_before() -> None:
    halt = Halt("AAA", clock("09:31"), clock("09:32:30"))
    it = rig("100 100 100 100 | 98 98 98 98 | 97 97 97 97", halts=(halt,))
    it.to("09:31")
    order = it.submit()

    it.to("09:33")

    assert it.now(order).filled_at == clock("09:32:30")


def test_immediate_order_in_a_halt_is_cancelled_at_once() -> None:
    it = rig(FLAT)
    it.exchange.halt("AAA")

    assert it.words(it.submit(time_in_force="ioc"))[-1] == "canceled"


def test_price_band_halts_for_five_minutes() -> None:
    words = " | ".join(["100 100 100 100", "100 100 85 85"] + ["84 84 84 84"] * 7)
    it = rig(words, luld_band=Decimal("0.1"))
    it.submit()
    it.to("09:31")
    order = it.submit("sell", type="stop", stop_price=88)

    it.to("09:39")

    halted_at = clock("09:31") + timedelta(seconds=20) * 10 / 15  # 10 of 15 dollars down
    assert it.now(order).filled_at is not None
    waited = it.now(order).filled_at - halted_at  # type: ignore[operator] # it is filled
    assert abs(waited - timedelta(minutes=5)) < timedelta(milliseconds=1)
    assert it.fills()[1:] == [("sell", 100, 84)]


# The day


def test_edges_of_half_days_weekends_and_daylight_saving() -> None:
    schedule = Schedule(new_york())
    half, spring = date(2024, 7, 3), date(2025, 3, 10)

    assert str(schedule.day(half).close)[11:16] == "17:00"  # 13:00 in summer
    assert str(schedule.day(MONDAY).open)[11:16] == "14:30"
    assert str(schedule.day(spring).open)[11:16] == "13:30"
    friday = schedule.day(date(2025, 3, 7))
    assert schedule.next_edge(friday.after).at == schedule.day(spring).overnight
    assert schedule.valid_session(friday.close, extended=False) == spring
    assert schedule.valid_session(friday.close, extended=True) == friday.session
    phases = ["03:59", "04:00", "09:30", "16:00", "20:00"]
    assert [schedule.phase(clock(text)) for text in phases] == [
        "closed", "pre", "regular", "after", "closed",
    ]  # fmt: skip
    assert schedule.phase(clock("12:00", date(2024, 11, 28))) == "closed"  # Thanksgiving


def test_day_turns_its_corners_in_order() -> None:
    it = rig(bars(FLAT) + bars(FLAT, day=TUESDAY), at="00:00")
    it.to("20:00", TUESDAY)

    edges = [event.edge for event in it.heard if isinstance(event, ClockEdge)]
    assert edges == ["overnight", "pre", "open", "close", "aged", "after"] * 2


def test_position_is_valued_before_its_first_bar_has_ended() -> None:
    it = rig("100 104 100 104", at="09:30")
    it.submit()
    it.to("09:30:30")

    assert it.exchange.account(it.account_id).equity == 100_000


def test_order_for_a_symbol_that_has_not_begun_has_to_have_a_limit() -> None:
    later = bars(FLAT, "NEW", start="11:00")
    it = rig(bars(FLAT) + later)

    assert refusal(it.submit, symbol="NEW").code == 42210000
    assert it.submit(symbol="NEW", type="limit", limit_price=100).status == "pending_new"
