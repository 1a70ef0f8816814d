# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders that belong together, through alpaca-py: legs, states, what the stream says."""

from __future__ import annotations

from typing import Any

import pytest
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)

from iverson.simulator.settings import Switches
from tests.simulator.rehearsing import SYMBOL, Opened, opened, refusal, refused

STOP, TARGET = 95.0, 105.0
Legs = dict[str, Order]


def legs_of(order: Order) -> Legs:
    """The legs by what they are: found by type, as their order is nowhere promised."""
    found = {("target" if leg.type == "limit" else "stop"): leg for leg in order.legs or []}
    assert len(found) == len(order.legs or [])
    return found


def states(venue: Opened, *orders: Order) -> list[str]:
    return [venue.order(one).status.value for one in orders]


# O11


def test_legs_sleep_until_the_entry_is_filled_then_target_is_new_and_stop_held() -> None:
    with opened("100 100 101") as venue:
        entry = venue.bracket(STOP, TARGET)
        legs = legs_of(entry)
        assert [one.status.value for one in legs.values()] == ["held", "held"]
        assert {one.client_order_id for one in legs.values()} & {entry.client_order_id} == set()
        assert {one.time_in_force.value for one in legs.values()} == {"gtc"}
        venue.step()

        assert states(venue, entry, legs["target"], legs["stop"]) == ["filled", "new", "held"]
        nested = legs_of(venue.order(entry, nested=True))
        assert {name: leg.id for name, leg in nested.items()} == {
            name: leg.id for name, leg in legs.items()
        }


def test_open_orders_do_not_list_a_held_leg() -> None:
    with opened("100 100") as venue:
        entry = venue.bracket(STOP, TARGET)
        before = venue.trading.get_orders(GetOrdersRequest(nested=True))
        venue.step()
        nested = venue.trading.get_orders(GetOrdersRequest(nested=True))
        flat = venue.trading.get_orders(GetOrdersRequest(nested=False))
        everything = venue.trading.get_orders(GetOrdersRequest(status="all"))

    assert [len(one.legs or []) for one in before] == [2]
    assert nested == []
    assert [one.id for one in flat] == [legs_of(entry)["target"].id]
    assert len(everything) == 3


def test_a_filled_target_cancels_the_stop_without_a_word() -> None:
    with opened("100 100 106") as venue:
        entry = venue.listen().bracket(STOP, TARGET)
        legs = legs_of(entry)
        venue.step(2)

        assert states(venue, legs["target"], legs["stop"]) == ["filled", "canceled"]
        assert venue.order(legs["target"]).filled_avg_price == f"{TARGET:g}"
        assert venue.events(legs["target"])[-1] == "fill"
        assert "canceled" not in venue.events(legs["stop"])
        assert venue.held() == {}


def test_a_stop_that_triggers_shows_the_target_as_replaced() -> None:
    with opened("100 100 94") as venue:
        entry = venue.listen().bracket(STOP, TARGET)
        legs = legs_of(entry)
        venue.step(2)

        assert states(venue, legs["target"], legs["stop"]) == ["replaced", "filled"]
        assert venue.order(legs["stop"]).filled_avg_price == f"{STOP:g}"
        assert venue.events(legs["target"])[-1] == "replaced"
        assert venue.events(legs["stop"])[-1] == "fill"
        assert venue.held() == {}


VARIANTS: list[tuple[dict[str, Any], str, str | None]] = [
    ({"emit_oco_cancel": True}, "106", "canceled"),
    ({"emit_oco_cancel": False}, "106", None),
    ({"target_when_stopped": "canceled"}, "94", "canceled"),
    ({"target_when_stopped": "replaced"}, "94", "replaced"),
    ({"target_when_stopped": "silent"}, "94", None),
]


@pytest.mark.parametrize(("switch", "then", "said"), VARIANTS)
def test_what_the_stream_says_of_the_leg_that_goes_is_a_switch(
    switch: dict[str, Any], then: str, said: str | None
) -> None:
    with opened(f"100 100 {then}", switches=Switches.exact(**switch)) as venue:
        entry = venue.listen().bracket(STOP, TARGET)
        legs = legs_of(entry)
        venue.step(2)
        gone = legs["stop"] if then == "106" else legs["target"]
        before = {"held", "new"}

        assert [one for one in venue.events(gone) if one not in before] == ([said] if said else [])


def test_a_target_filled_in_part_leaves_the_rest_to_the_stop() -> None:
    with opened("100 100 106 94") as venue:
        entry = venue.bracket(STOP, TARGET, qty=10)
        legs = legs_of(entry)
        venue.step()
        target = str(legs["target"].id)
        venue.sim.call(lambda inside: inside.exchange.limit_next_fill(target, 4))
        venue.sim.call(
            lambda inside: inside.exchange.listeners.append(
                lambda _: inside.exchange.limit_next_fill(target, 0)
            )
        )
        venue.step()
        assert venue.order(legs["target"]).filled_qty == "4"
        assert venue.order(legs["stop"]).qty == "6"
        venue.step()

        assert venue.held() == {}
        assert venue.order(legs["stop"]).filled_qty == "6"


def test_cancelling_the_entry_cancels_the_legs() -> None:
    with opened("100 100") as venue:
        entry = venue.bracket(STOP, 105, limit=99)
        venue.trading.cancel_order_by_id(entry.id)

        assert states(venue, entry, *(entry.legs or [])) == ["canceled"] * 3


def test_legs_of_a_day_bracket_expire_and_leave_the_position_bare() -> None:
    history = "100 100"
    with opened(history) as venue:
        entry = venue.bracket(STOP, TARGET, time_in_force="day")
        venue.step()
        venue.sim.advance_to(venue.sim.now.replace(hour=21, minute=0))

        assert states(venue, *legs_of(entry).values()) == ["expired", "expired"]
        assert venue.held() == {SYMBOL: "10"}


# O12

BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"take_profit": None}, 0, ""),
    ({"stop_loss": None}, 0, ""),
    ({"stop_loss": {"stop_price": 100}}, 42210000, "stop_loss.stop_price must be <= base_price"),
    ({"take_profit": {"limit_price": 100}}, 42210000, "take_profit.limit_price must be"),
    ({"time_in_force": "ioc"}, 0, ""),
    ({"extended_hours": True}, 0, ""),
    ({"type": "stop", "stop_price": 101}, 40010001, "bracket orders must be market or limit"),
    ({"qty": "0.5", "time_in_force": "day"}, 42210000, "fractional orders must be simple orders"),
]


@pytest.mark.parametrize(("change", "code", "message"), BAD)
def test_a_bracket_that_cannot_be_is_refused(
    change: dict[str, Any], code: int, message: str
) -> None:
    bracket = {
        "order_class": "bracket",
        "time_in_force": "gtc",
        "take_profit": {"limit_price": TARGET},
        "stop_loss": {"stop_price": STOP},
    }
    with opened("100") as venue:
        assert venue.post(**bracket).status_code == 200
        status, found, said = refused(venue.post(**bracket | change))

    assert status == 422
    assert found in ((code,) if code else (40010001, 42210000))
    assert said.startswith(message)


def test_a_stop_too_near_tells_the_price_it_was_measured_against() -> None:
    with opened("100") as venue:
        long = venue.post(
            order_class="bracket",
            take_profit={"limit_price": TARGET},
            stop_loss={"stop_price": "99.995"},
        )
        near = venue.post(
            order_class="bracket",
            take_profit={"limit_price": TARGET},
            stop_loss={"stop_price": "100"},
        )
        short = venue.post(
            side="sell",
            order_class="bracket",
            take_profit={"limit_price": STOP},
            stop_loss={"stop_price": "100"},
        )

    assert refused(long)[:2] == (422, 42210000)  # finer than a cent
    assert near.json()["base_price"] == "100"
    assert refused(short)[2] == "stop_loss.stop_price must be >= base_price + 0.01"


# O13


def oco(venue: Opened, *, qty: int = 10) -> Order:
    return venue.trading.submit_order(
        LimitOrderRequest(
            symbol=SYMBOL,
            qty=qty,
            side="sell",
            time_in_force="gtc",
            order_class="oco",
            take_profit=TakeProfitRequest(limit_price=TARGET),
            stop_loss=StopLossRequest(stop_price=STOP),
        )
    )


def test_an_oco_needs_a_position_and_is_limit() -> None:
    with opened("100 100") as venue:
        with refusal(422, 42210000):
            oco(venue)
        venue.buy()
        venue.step()
        market = venue.post(
            side="sell",
            order_class="oco",
            time_in_force="gtc",
            take_profit={"limit_price": TARGET},
            stop_loss={"stop_price": STOP},
        )

    assert refused(market)[0] == 422


@pytest.mark.parametrize(("then", "fills"), [("106", "target"), ("94", "stop")])
def test_an_oco_is_its_target_with_the_stop_as_leg(then: str, fills: str) -> None:
    with opened(f"100 100 {then}") as venue:
        venue.buy()
        venue.step()
        target = oco(venue)
        (stop,) = target.legs or []
        assert (target.type.value, target.limit_price, stop.type.value) == ("limit", "105", "stop")
        venue.step()

        filled = {"target": target, "stop": stop}[fills]
        assert venue.order(filled).status.value == "filled"
        assert venue.held() == {}


@pytest.mark.parametrize(
    ("leg", "then", "kind"),
    [
        ({"stop_loss": StopLossRequest(stop_price=STOP)}, "94", "stop"),
        ({"take_profit": TakeProfitRequest(limit_price=TARGET)}, "106", "limit"),
    ],
)
def test_an_oto_has_one_leg(leg: dict[str, Any], then: str, kind: str) -> None:
    with opened(f"100 100 {then}") as venue:
        entry = venue.buy(order_class="oto", time_in_force="gtc", **leg)
        (exit_,) = entry.legs or []
        assert exit_.type.value == kind
        venue.step(2)

        assert states(venue, entry, exit_) == ["filled", "filled"]
        assert venue.held() == {}


def test_an_oto_with_two_legs_or_none_is_refused() -> None:
    with opened("100") as venue:
        both = {"take_profit": {"limit_price": TARGET}, "stop_loss": {"stop_price": STOP}}
        for legs in (both, {}):
            assert refused(venue.post(order_class="oto", **legs))[0] == 422


# O14


def test_an_entry_filled_in_part_and_cancelled_leaves_a_position_without_exits() -> None:
    with opened("100 100 100 94 106", scenario="partial-then-nothing") as venue:
        entry = venue.bracket(STOP, TARGET, limit=100)
        venue.step()
        assert (venue.order(entry).filled_qty, states(venue, entry)) == ("4", ["partially_filled"])
        venue.trading.cancel_order_by_id(entry.id)
        venue.step(3)

        assert states(venue, entry, *(entry.legs or [])) == ["canceled"] * 3
        assert venue.held() == {SYMBOL: "4"}


# O15 of legs


def test_prices_of_legs_can_be_replaced_and_their_size_cannot() -> None:
    with opened("100 100 97") as venue:
        entry = venue.bracket(STOP, TARGET)
        venue.step()
        stop = legs_of(entry)["stop"]
        with refusal(422, 42210000, "qty cannot be changed for advanced orders"):
            venue.trading.replace_order_by_id(stop.id, ReplaceOrderRequest(qty=5))
        new = venue.trading.replace_order_by_id(stop.id, ReplaceOrderRequest(stop_price=98))
        venue.step()

        assert str(new.replaces) == str(stop.id)
        assert venue.order(new).filled_avg_price == "98"
        assert venue.held() == {}


def test_a_market_bracket_in_one_request_of_alpaca_py() -> None:
    request = MarketOrderRequest(
        symbol=SYMBOL,
        qty=1,
        side="buy",
        time_in_force="day",
        order_class="bracket",
        take_profit=TakeProfitRequest(limit_price=TARGET),
        stop_loss=StopLossRequest(stop_price=STOP, limit_price=94.5),
    )
    with opened("100") as venue:
        legs = legs_of(venue.trading.submit_order(request))

    assert (legs["stop"].type.value, legs["stop"].limit_price) == ("stop_limit", "94.5")
