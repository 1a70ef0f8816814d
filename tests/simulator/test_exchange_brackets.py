# SPDX-License-Identifier: GPL-3.0-or-later
"""Bracket, oco and oto: legs that sleep, wake, cancel and oversell nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from iverson.errors import ConfigError
from iverson.simulator.requests import OrderQuery
from tests.simulator.exchange_kit import FLAT, Rig, bars, refusal, rig

UP = "100 100 100 100 | 100 100 100 100 | 100 112 100 111"
DOWN = "100 100 100 100 | 100 100 100 100 | 100 100 88 89"


def entered(words: str, **switches: Any) -> tuple[Rig, Any]:
    """A rig in which a bracket of 100 shares from 100 to 110 or 90 has just been entered."""
    it = rig(words, **switches)
    it.to("09:31")
    order = it.bracket(110, 90)
    it.to("09:32")
    return it, order


def statuses(it: Rig, order: Any) -> tuple[str, str, str]:
    now = it.now(order)
    return now.status, it.leg(order, "target").status, it.leg(order, "stop").status


# The life of a bracket


def test_legs_are_held_until_the_entry_is_completely_filled() -> None:
    it = rig(UP)
    it.to("09:31")
    order = it.bracket(110, 90)

    assert [leg.status for leg in order.legs] == ["held", "held"]
    assert [(leg.role, leg.type, leg.side, leg.active) for leg in order.legs] == [
        ("target", "limit", "sell", False),
        ("stop", "stop", "sell", False),
    ]
    assert len({leg.id for leg in order.legs} | {order.id}) == 3
    assert len({leg.client_order_id for leg in order.legs} | {order.client_order_id}) == 3
    it.exchange.limit_next_fill(order.id, Decimal(99))
    it.exchange.limit_next_fill(it.leg(order, "target").id, Decimal(0))
    it.to("09:32")
    assert statuses(it, order) == ("filled", "new", "held")
    assert (it.leg(order, "target").active, it.leg(order, "stop").active) == (True, True)


def test_held_leg_is_in_no_listing_of_open_orders() -> None:
    it, order = entered(UP)
    target, stop = it.leg(order, "target"), it.leg(order, "stop")

    flat = it.exchange.orders(it.account_id, OrderQuery(status="open"))
    nested = it.exchange.orders(it.account_id, OrderQuery(status="open", nested=True))
    every = it.exchange.orders(it.account_id, OrderQuery(status="all"))

    assert [one.id for one in flat] == [target.id]
    assert nested == []
    assert {one.id for one in every} == {order.id, target.id, stop.id}


@pytest.mark.parametrize("told", [False, True])
def test_filled_target_cancels_the_stop_without_a_word_by_default(told: bool) -> None:
    it, order = entered(UP, emit_oco_cancel=told)
    it.to("09:33")

    target, stop = it.leg(order, "target"), it.leg(order, "stop")
    assert (target.status, stop.status, it.qty()) == ("filled", "canceled", 0)
    assert it.fills()[1:] == [("sell", 100, 110)]
    assert it.words(target)[-1] == "fill"
    assert ("canceled" in it.words(stop)) is told


@pytest.mark.parametrize("how", ["replaced", "canceled", "silent"])
def test_triggered_stop_replaces_the_target(how: Any) -> None:
    it, order = entered(DOWN, target_when_stopped=how)
    target, stop = it.leg(order, "target"), it.leg(order, "stop")
    it.to("09:33")

    assert it.now(stop).status == "filled"
    assert it.fills()[1:] == [("sell", 100, 90)]
    assert it.qty() == 0
    assert it.now(target).status == ("replaced" if how == "replaced" else "canceled")
    assert it.words(target)[2:] == ([] if how == "silent" else [how])
    assert it.words(stop) == ["held", "fill"]


def test_target_comes_before_the_stop_in_the_order_of_events() -> None:
    it, _ = entered(DOWN)
    it.to("09:33")

    ends = [one.event for one in it.updates()][-2:]
    assert ends == ["replaced", "fill"]


SPIKE = f"{FLAT} | {FLAT} | 100 110 100 100"


def test_partly_filled_target_reduces_the_stop_which_sells_the_rest() -> None:
    # One second of latency: what is left of the target is back in the book after the spike.
    it, order = entered(f"{SPIKE} | 100 100 88 89", latency_seconds=(1, 1), path="high first")
    target, stop = it.leg(order, "target"), it.leg(order, "stop")
    it.exchange.limit_next_fill(target.id, Decimal(30))

    it.to("09:33")
    assert (it.now(target).status, it.now(target).filled_qty) == ("partially_filled", 30)
    assert (it.now(stop).status, it.now(stop).qty) == ("held", 70)
    assert it.exchange.position(it.account_id, "AAA").qty_available == 0
    it.to("09:34")

    assert it.fills()[1:] == [("sell", 30, 110), ("sell", 70, 90)]
    assert (it.now(target).status, it.qty()) == ("replaced", 0)


@pytest.mark.parametrize("role", ["target", "stop"])
def test_cancelled_exit_takes_the_other_with_it(role: str) -> None:
    it, order = entered(UP)

    it.cancel(it.leg(order, role))

    assert statuses(it, order) == ("filled", "canceled", "canceled")
    assert it.qty() == 100


def test_cancelled_entry_takes_its_legs_with_it() -> None:
    it = rig(UP)
    it.to("09:31")
    order = it.bracket(110, 90, type="limit", limit_price=95)

    it.cancel(order)

    assert statuses(it, order) == ("canceled", "canceled", "canceled")


def test_entry_of_forty_in_a_hundred_that_is_cancelled_never_wakes_its_legs() -> None:
    it = rig("100 100 100 100 | 100 100 99 100 | 100 100 80 80", volume_share=Decimal("0.04"))
    it.to("09:31")
    order = it.bracket(110, 90, type="limit", limit_price=99)
    it.to("09:32")
    assert (it.now(order).status, it.now(order).filled_qty) == ("partially_filled", 40)

    it.cancel(order)
    it.to("09:33")

    assert statuses(it, order) == ("canceled", "canceled", "canceled")
    assert it.qty() == 40  # the stop at 90 was passed and nobody sold
    assert it.ledger.covers[-1].bare == 40


def test_day_bracket_loses_its_exits_at_the_close_and_keeps_its_position() -> None:
    it = rig(UP.rpartition("|")[0])
    it.to("09:31")
    order = it.bracket(110, 90, time_in_force="day")

    it.to("16:00")

    assert statuses(it, order) == ("filled", "expired", "expired")
    assert it.qty() == 100


def test_short_bracket_is_the_mirror() -> None:
    it = rig(DOWN)
    it.to("09:31")
    order = it.bracket(90, 110, side="sell")
    it.to("09:33")

    assert it.fills() == [("sell", 100, 100), ("buy", 100, 90)]
    assert statuses(it, order) == ("filled", "filled", "canceled")


def test_stop_limit_leg_that_does_not_fill_stays_at_work_alone() -> None:
    it = rig("100 100 100 100 | 100 100 100 100 | 85 86 84 85")
    it.to("09:31")
    order = it.bracket(110, 90, stop_loss_limit_price=89)
    it.to("09:33")

    stop = it.leg(order, "stop")
    assert (stop.type, stop.status, stop.elected) == ("stop_limit", "new", True)
    assert it.leg(order, "target").status == "replaced"
    assert it.qty() == 100


def test_first_extreme_of_the_bar_decides_which_exit_fills() -> None:
    wide = "100 100 100 100 | 100 100 100 100 | 100 112 88 100"
    found = {}
    for way in ("high first", "low first", "adverse"):
        it, _ = entered(wide, path=way)
        it.to("09:33")
        found[way] = it.fills()[-1][2]

    assert found == {"high first": 110, "low first": 90, "adverse": 90}


def test_entry_and_exit_may_fill_in_one_bar_in_the_order_of_its_way() -> None:
    it = rig("100 100 100 100 | 100 104 95 103", path="low first")
    it.to("09:31")
    it.bracket(103.5, 90, type="limit", limit_price=97)

    it.to("09:32")

    assert it.fills() == [("buy", 100, 97), ("sell", 100, Decimal("103.5"))]
    first, second = (one.at for one in it.updates() if one.event == "fill")
    assert first < second


# Validation


@pytest.mark.parametrize(
    ("fields", "message", "base"),
    [
        ({"target_limit_price": None}, "bracket orders require take_profit.limit_price", None),
        ({"stop_loss_stop_price": None}, "bracket orders require stop_loss.stop_price", None),
        ({"target_limit_price": 89}, "take_profit.limit_price > stop_loss.stop_price", None),
        ({"stop_loss_stop_price": 100}, "stop_loss.stop_price must be <= base_price - 0.01", "100"),
        ({"type": "limit", "limit_price": 95, "stop_loss_stop_price": 95},
         "stop_loss.stop_price must be <= base_price - 0.01", "95"),
        ({"side": "sell", "target_limit_price": 90, "stop_loss_stop_price": 100},
         "stop_loss.stop_price must be >= base_price + 0.01", "100"),
        ({"target_limit_price": 100}, "take_profit.limit_price must be >= base_price", "100"),
        ({"time_in_force": "ioc"}, "bracket orders must be DAY or GTC orders", None),
        ({"type": "limit", "limit_price": 95, "extended_hours": True, "time_in_force": "day"},
         "bracket orders do not support extended hours", None),
        ({"qty": 0.5}, "fractional orders must be simple orders", None),
        ({"stop_loss_limit_price": 89.123}, "invalid stop_loss.limit_price 89.123", None),
    ],
)  # fmt: skip
def test_bracket_rules(fields: dict[str, Any], message: str, base: str | None) -> None:
    it = rig(UP)
    it.to("09:31")
    given: dict[str, Any] = {
        "order_class": "bracket",
        "time_in_force": "gtc",
        "target_limit_price": 110,
        "stop_loss_stop_price": 90,
    }

    no = refusal(it.submit, **(given | fields))

    assert (no.status, no.code) == (422, 42210000)
    assert message in no.message
    assert no.extra.get("base_price") == base


def test_bracket_entry_is_market_or_limit() -> None:
    it = rig(UP)
    it.to("09:31")

    no = refusal(it.bracket, 110, 90, type="stop", stop_price=101)

    assert (no.status, no.code) == (422, 40010001)
    assert no.message == "bracket orders must be market or limit orders"


def test_bracket_opens_and_oco_closes() -> None:
    it, _ = entered(UP)

    bracket = refusal(it.bracket, 90, 110, side="sell", qty=1)
    nothing = refusal(rig(FLAT).bracket, 110, 90, side="sell", order_class="oco", type="limit")

    assert (bracket.status, bracket.message) == (422, "bracket orders must be entry orders")
    assert (nothing.status, nothing.message) == (422, "oco orders must be exit orders")


# oco and oto


def held_hundred(words: str, **switches: Any) -> Rig:
    it = rig(words, **switches)
    it.submit()
    it.to("09:31")
    return it


def exits(it: Rig, **fields: Any) -> Any:
    given = {"side": "sell", "order_class": "oco", "type": "limit"} | fields
    return it.bracket(110, 90, **given)


def test_oco_shows_the_target_as_parent_of_the_stop() -> None:
    it = held_hundred(UP)
    parent = exits(it)

    assert (parent.limit_price, parent.role, parent.type) == (110, "target", "limit")
    assert [(leg.type, leg.stop_price, leg.status) for leg in parent.legs] == [("stop", 90, "held")]
    open_now = it.exchange.orders(it.account_id, OrderQuery(nested=True))
    assert [one.id for one in open_now] == [parent.id]
    assert [leg.id for leg in open_now[0].legs] == [parent.legs[0].id]


@pytest.mark.parametrize(("words", "price"), [(UP, 110), (DOWN, 90)])
def test_oco_fills_one_of_its_orders(words: str, price: int) -> None:
    it = held_hundred(words)
    parent = exits(it)

    it.to("09:33")

    assert it.fills()[1:] == [("sell", 100, price)]
    ended = {it.now(parent).status, it.leg(parent, "stop").status}
    assert ended == ({"filled", "canceled"} if price == 110 else {"replaced", "filled"})
    assert it.qty() == 0


def test_exits_wait_until_they_are_acknowledged() -> None:
    it = held_hundred(f"{FLAT} | 80 80 80 80", ack_seconds=30)
    it.to("09:31")
    parent = exits(it)
    with pytest.raises(ConfigError, match="only one at work can be filled"):
        it.exchange.force_fill(parent.id, qty=Decimal(1), price=Decimal(110))

    it.to("09:31:29")
    assert it.qty() == 100
    it.to("09:32")
    assert it.fills()[-1] == ("sell", 100, 80)


def test_oco_needs_the_shares_that_other_orders_hold() -> None:
    it = held_hundred(UP)
    exits(it)

    assert refusal(exits, it).code == 40310000


def test_oto_has_exactly_one_exit() -> None:
    it = rig(DOWN)
    it.to("09:31")

    both = refusal(it.bracket, 110, 90, order_class="oto")
    none = refusal(it.bracket, None, None, order_class="oto")
    order = it.bracket(None, 90, order_class="oto")
    it.to("09:32")

    assert {both.code, none.code} == {42210000}
    assert [leg.role for leg in order.legs] == ["stop"]
    assert it.leg(order, "stop").status == "new"  # nothing to share the shares with
    it.to("09:33")
    assert it.fills()[1:] == [("sell", 100, 90)]


# Never more than there is


def test_exit_never_sells_more_than_the_position() -> None:
    it, order = entered(DOWN)
    it.exchange.force_fill(it.leg(order, "target").id, qty=Decimal(60), price=Decimal(105))

    it.to("09:33")

    assert [qty for _, qty, _ in it.fills()] == [100, 60, 40]
    assert it.qty() == 0


def test_exit_without_a_position_is_cancelled_by_the_venue() -> None:
    words = bars("100 100 100 100 | 100 100 100 100 | 100 100 88 89")
    it = rig(words)
    it.to("09:31")
    order = it.bracket(110, 90)
    it.to("09:32")
    books = it.exchange._floor.accounts[it.account_id]
    books.holding("AAA").trade(Decimal(-100), Decimal(1))
    books.note(it.exchange.now)

    it.to("09:33")

    assert it.qty() == 0
    assert it.leg(order, "stop").status == "canceled"
