# SPDX-License-Identifier: GPL-3.0-or-later
"""Submitting through alpaca-py: states, events, prices, times in force, stops, trails."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.requests import (
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopOrderRequest,
    TrailingStopOrderRequest,
)

from iverson.simulator.assets import Asset, stable_id
from iverson.simulator.market import Market
from iverson.simulator.settings import Switches
from iverson.testing import bars
from tests.simulator.rehearsing import (
    NEXT,
    SESSION,
    SYMBOL,
    Opened,
    at,
    minutes,
    opened,
    refusal,
    refused,
)

TICKET = {"symbol": SYMBOL, "side": "buy", "time_in_force": "day"}


def statuses(venue: Opened, *orders: Any) -> list[str]:
    return [str(venue.order(order).status.value) for order in orders]


# O1


def test_an_order_after_hours_is_accepted_and_new_at_four_in_the_morning() -> None:
    with opened({SYMBOL: bars("100 101", start=SESSION, symbol=SYMBOL)}) as venue:
        venue.listen().sim.advance_to(at("20:00"))
        order = venue.buy()
        assert (order.status.value, statuses(venue, order)) == ("accepted", ["accepted"])

        venue.sim.advance_to(at("03:59:59", NEXT))
        assert statuses(venue, order) == ["accepted"]
        venue.sim.advance_to(at("04:00", NEXT))
        assert statuses(venue, order) == ["new"]
        venue.step()
        assert statuses(venue, order) == ["filled"]

        assert venue.events(order) == ["accepted", "new", "fill"]
        assert venue.updates[-1]["timestamp"] == "2024-01-04T14:30:00Z"


def test_an_order_in_regular_hours_is_pending_new_and_then_new() -> None:
    with opened("100 101") as venue:
        order = venue.buy()

        assert order.status.value == "pending_new"
        assert statuses(venue, order) == ["new"]


# O2


def test_the_events_of_a_market_order_tell_this_execution_and_the_order_so_far() -> None:
    switches = Switches.exact(partial_probability=1.0, seed=3)
    with opened("100 101 102 103 104 105 106 107 108", switches=switches) as venue:
        venue.listen()
        order = venue.buy(100)
        while statuses(venue, order) != ["filled"]:
            venue.step()
        updates = venue.updates
        fills = [one for one in updates if "fill" in one["event"]]
        total, cost = Decimal(0), Decimal(0)
        for one in fills:
            total += Decimal(one["qty"])
            cost += Decimal(one["qty"]) * Decimal(one["price"])
            assert one["order"]["filled_qty"] == one["position_qty"] == f"{total}"
            average = Decimal(one["order"]["filled_avg_price"])
            assert abs(average - cost / total) < Decimal("0.000001")

    assert venue.events() == [
        "pending_new", "new", *["partial_fill"] * (len(fills) - 1), "fill",
    ]  # fmt: skip
    assert len(fills) > 1
    assert [one["execution_id"] is None for one in updates] == [True] + [False] * (len(updates) - 1)
    assert len({one["execution_id"] for one in updates}) == len(updates)
    assert all(one["timestamp"] for one in updates)


# O3, O4


def test_prices_finer_than_a_cent_are_refused_with_the_documented_words() -> None:
    with opened("100") as venue:
        with refusal(422, 42210000):
            venue.buy(limit=290.123)
        answer = refused(venue.post(type="limit", limit_price=290.123))
        cheap = venue.post(type="limit", limit_price="0.1234")

    assert answer[2] == (
        "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria"
    )
    assert cheap.json()["limit_price"] == "0.1234"


PRICES: list[tuple[dict[str, Any], str]] = [
    ({"type": "limit"}, "limit orders require a limit price"),
    ({"type": "stop"}, "stop orders require a stop price"),
    ({"type": "stop_limit", "stop_price": 101}, "stop limit orders require both"),
    ({"type": "market", "limit_price": 99}, "market orders require no stop or limit price"),
    ({"type": "limit", "limit_price": 99, "stop_price": 98}, "limit orders require no stop price"),
    ({"type": "trailing_stop"}, "trailing stop orders require exactly one"),
    ({"qty": 0}, "qty must be > 0"),
    ({"qty": -1}, "qty must be > 0"),
    ({"qty": None}, "qty or notional is required"),
    ({"notional": 100}, "only one of qty or notional is accepted"),
    ({"client_order_id": "x" * 129}, "client_order_id must be no more than 128 characters"),
]


@pytest.mark.parametrize(("fields", "message"), PRICES)
def test_fields_that_do_not_belong_together_are_refused(
    fields: dict[str, Any], message: str
) -> None:
    with opened("100") as venue:
        status, code, said = refused(venue.post(**fields))

    assert (status, code) == (422, 40010001)
    assert said.startswith(message)


def test_an_unknown_or_untradable_symbol_is_refused() -> None:
    closed = Asset("DEAD", stable_id("DEAD"), tradable=False)
    with opened_market(Market({SYMBOL: minutes("100")}, assets=[closed])) as venue:
        assert refused(venue.post(symbol="NONE")) == (422, 42210000, 'asset "NONE" not found')
        assert refused(venue.post(symbol="DEAD")) == (
            422, 42210000, 'asset "DEAD" is not tradable',
        )  # fmt: skip


def opened_market(market: Market) -> Any:
    return opened(market)  # type: ignore[arg-type]  # passed on as it is


# O5

FRACTIONS: list[tuple[dict[str, Any], str]] = [
    ({"time_in_force": "gtc"}, "fractional orders must be DAY orders"),
    (
        {
            "order_class": "bracket",
            "take_profit": {"limit_price": 105},
            "stop_loss": {"stop_price": 95},
        },
        "fractional orders must be simple orders",
    ),
    ({"side": "sell"}, "fractional orders cannot be sold short"),
]


@pytest.mark.parametrize(("fields", "message"), FRACTIONS)
def test_fractions_of_shares_are_for_simple_day_orders_only(
    fields: dict[str, Any], message: str
) -> None:
    with opened("100") as venue:
        assert refused(venue.post(qty=0.5, **fields)) == (422, 42210000, message)


def test_notional_orders_buy_for_dollars_and_cannot_be_replaced() -> None:
    with opened("100 100 100") as venue:
        small = refused(venue.post(qty=None, notional=0.99))
        order = venue.trading.submit_order(MarketOrderRequest(notional=150.5, **TICKET))
        resting = venue.trading.submit_order(
            LimitOrderRequest(notional=100, limit_price=50, **TICKET)
        )
        with refusal(422, 42210000, "notional"):
            venue.trading.replace_order_by_id(resting.id, ReplaceOrderRequest(limit_price=60))
        venue.step()

        assert small == (422, 42210000, "notional must be >= 1.00")
        assert (order.notional, order.qty) == ("150.5", None)
        assert venue.held() == {SYMBOL: "1.505"}


def test_an_asset_may_not_be_divisible() -> None:
    whole = Asset(SYMBOL, stable_id(SYMBOL), fractionable=False)
    with opened_market(Market({SYMBOL: minutes("100")}, assets=[whole])) as venue:
        assert refused(venue.post(qty=0.5)) == (
            422,
            42210000,
            "requested asset is not fractionable",
        )


def test_more_than_nine_decimals_are_refused() -> None:
    with opened("100") as venue:
        assert venue.post(qty="0.123456789").status_code == 200
        assert refused(venue.post(qty="0.1234567891"))[:2] == (422, 40010001)


# O6

KINDS: dict[str, dict[str, Any]] = {
    "market": {},
    "limit": {"limit_price": 99},
    "stop": {"stop_price": 101},
    "stop_limit": {"stop_price": 101, "limit_price": 102},
    "trailing_stop": {"trail_price": 1},
}
ALWAYS = {"day", "gtc"}
WITH = {
    "market": ALWAYS | {"ioc", "fok", "opg", "cls"},
    "limit": ALWAYS | {"ioc", "fok", "opg", "cls"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_times_in_force_that_a_type_may_have(kind: str) -> None:
    """At 09:31 opg is outside its window; it is tried by itself below."""
    with opened("100") as venue:
        taken = {
            force
            for force in ("day", "gtc", "ioc", "fok", "cls")
            if venue.post(type=kind, time_in_force=force, **KINDS[kind]).status_code == 200
        }

    assert taken == WITH.get(kind, ALWAYS) - {"opg"}


def test_the_switch_for_accounts_that_may_not_use_them() -> None:
    switches = Switches.exact(allow_immediate_and_auction=False)
    with opened("100", switches=switches) as venue:
        found = {
            force: venue.post(time_in_force=force).status_code
            for force in ("day", "ioc", "fok", "opg", "cls")
        }

    assert {force for force, status in found.items() if status == 200} == {"day"}


@pytest.mark.parametrize(
    ("clock", "force", "taken"),
    [
        ("09:27", "opg", True),
        ("09:29", "opg", False),
        ("15:49", "cls", True),
        ("15:51", "cls", False),
        ("18:59", "opg", False),
        ("19:01", "opg", True),
    ],
)
def test_auction_orders_have_a_window(clock: str, force: str, taken: bool) -> None:
    history = {SYMBOL: bars("100 101 102", symbol=SYMBOL)}
    with opened(history) as venue:
        venue.sim.advance_to(at(clock))
        answer = venue.post(time_in_force=force)

    assert (answer.status_code == 200) is taken
    if not taken:
        status, code, message = refused(answer)
        assert (status, code) == (403, 40310000)
        assert message.startswith(f"{force} orders must be submitted after 7:00pm and before")


def test_the_opening_and_the_closing_auction_fill_at_their_prices() -> None:
    history = {SYMBOL: bars("100 101/105/95/103", symbol=SYMBOL, start=SESSION)}
    with opened(history) as venue:
        venue.sim.advance_to(at("09:00", NEXT))
        opening = venue.buy(1, time_in_force="opg")
        closing = venue.buy(2, time_in_force="cls")
        venue.step()

        prices = [venue.order(one).filled_avg_price for one in (opening, closing)]
        assert prices == ["101", "103"]


def test_an_immediate_order_is_filled_or_gone() -> None:
    with opened("100 100") as venue:
        near = venue.buy(1, limit=100, time_in_force="ioc")
        far = venue.buy(1, limit=99, time_in_force="ioc")
        venue.step()

        assert statuses(venue, near, far) == ["filled", "canceled"]


def test_a_day_order_expires_and_a_gtc_order_stays() -> None:
    history = {SYMBOL: bars("100 100 100", symbol=SYMBOL, start=SESSION)}
    with opened(history) as venue:
        venue.listen().sim.advance_to(at("09:45", NEXT))
        day = venue.buy(1, limit=50)
        gtc = venue.buy(1, limit=50, time_in_force="gtc")
        venue.step()

        assert statuses(venue, day, gtc) == ["expired", "new"]
        assert venue.events(day)[-1] == "expired"
        assert venue.order(day).expired_at == at("16:00", NEXT)
        assert gtc.expires_at is not None
        assert gtc.expires_at.date() - NEXT in (timedelta(days=89), timedelta(days=90))


def test_a_gtc_order_is_cancelled_after_about_ninety_days_at_a_quarter_past_four() -> None:
    history = {SYMBOL: bars("100 " * 70, symbol=SYMBOL, start=SESSION)}
    with opened(history) as venue:
        order = venue.buy(1, limit=50, time_in_force="gtc")
        assert order.expires_at is not None
        venue.sim.run_until(order.expires_at - timedelta(seconds=1))
        assert statuses(venue, order) == ["new"]
        venue.sim.advance_to(order.expires_at + timedelta(seconds=1))

        assert statuses(venue, order) == ["canceled"]
        assert f"{order.expires_at.astimezone(at('16:15').tzinfo):%M}" == "15"


# O7


def test_extended_hours_are_for_day_limit_orders() -> None:
    with opened("100") as venue:
        for fields in ({}, {"type": "stop", "stop_price": 101}):
            assert refused(venue.post(extended_hours=True, **fields))[:2] == (422, 42210000)
        limit = {"type": "limit", "limit_price": 99, "extended_hours": True}
        assert refused(venue.post(**limit, time_in_force="gtc"))[:2] == (422, 42210000)
        assert venue.post(**limit).status_code == 200

    with opened("100", switches=Switches.exact(extended_gtc=True)) as venue:
        assert venue.post(**limit, time_in_force="gtc").status_code == 200


def test_only_an_extended_order_trades_before_the_open() -> None:
    early = minutes("100 99 98", first="08:01")
    with opened(early) as venue:
        usual = venue.buy(1, limit=99)
        extended = venue.buy(1, limit=99, extended_hours=True)
        venue.step(2)

        assert statuses(venue, usual, extended) == ["new", "filled"]


# O8


def test_a_buy_stop_triggers_and_stays_unfilled_when_the_price_jumps_its_collar() -> None:
    stop, collar = 102.0, "104.55"  # 2.5 % above, from $50 on
    with opened("100 | gap 110 | 108 104 103") as venue:
        order = venue.trading.submit_order(StopOrderRequest(qty=1, stop_price=stop, **TICKET))
        venue.step()
        assert statuses(venue, order) == ["new"]
        venue.step(2)

        assert venue.order(order).filled_avg_price == collar


def test_without_the_collar_a_buy_stop_buys_at_the_gap() -> None:
    with opened("100 | gap 110", switches=Switches.exact(buy_stop_collar=False)) as venue:
        order = venue.trading.submit_order(StopOrderRequest(qty=1, stop_price=102, **TICKET))
        venue.step()

        assert venue.order(order).filled_avg_price == "110"


# O9


def test_a_trailing_stop_follows_the_highest_price_and_never_back() -> None:
    trail, closes = 2.0, (102, 101, 105, 104, 102)
    with opened("100 100 | " + " ".join(str(one) for one in closes)) as venue:
        venue.buy(1)
        venue.step()
        order = venue.trading.submit_order(
            TrailingStopOrderRequest(**TICKET | {"side": "sell"}, qty=1, trail_price=trail)
        )
        seen = []
        highest = 100
        expected = []
        for close in closes[:-1]:
            venue.step()
            highest = max(highest, close)
            expected.append((f"{highest}", f"{highest - trail:g}"))
            now = venue.order(order)
            seen.append((now.hwm, now.stop_price))
        assert (seen, statuses(venue, order)) == (expected, ["new"])
        venue.step()

        assert venue.order(order).filled_avg_price == f"{highest - trail:g}"


def test_the_trail_can_be_replaced_and_percent_is_in_percent() -> None:
    with opened("200 200 200") as venue:
        venue.buy(1)
        venue.step()
        order = venue.trading.submit_order(
            TrailingStopOrderRequest(**TICKET | {"side": "sell"}, qty=1, trail_percent=1.5)
        )
        assert (order.trail_percent, order.stop_price, order.hwm) == ("1.5", "197", "200")
        new = venue.trading.replace_order_by_id(order.id, ReplaceOrderRequest(trail=2.5))

        assert (venue.order(new).trail_percent, venue.order(new).stop_price) == ("2.5", "195")


def test_a_trailing_stop_stands_alone() -> None:
    with opened("100") as venue:
        answer = venue.post(
            type="trailing_stop",
            trail_price=1,
            order_class="bracket",
            take_profit={"limit_price": 105},
            stop_loss={"stop_price": 95},
        )

    assert refused(answer)[:2] in {(422, 40010001), (422, 42210000)}


# O10

STOPPED: list[tuple[str, str]] = [("98", "98"), ("100/100/97/99", "98"), ("gap 90", "90")]


@pytest.mark.parametrize(("then", "price"), STOPPED)
def test_a_sell_stop_sells_at_the_stop_or_at_the_gap(then: str, price: str) -> None:
    with opened(f"100 100 | {then}") as venue:
        venue.buy(1)
        venue.step()
        order = venue.trading.submit_order(
            StopOrderRequest(**TICKET | {"side": "sell"}, qty=1, stop_price=98)
        )
        venue.step()

        assert venue.order(order).filled_avg_price == price


def test_a_stop_limit_triggers_and_waits_for_its_limit() -> None:
    with opened("100 100 | gap 90 | 95") as venue:
        venue.buy(1)
        venue.step()
        order = venue.trading.submit_order(
            StopLimitOrderRequest(**TICKET | {"side": "sell"}, qty=1, stop_price=98, limit_price=94)
        )
        venue.step()
        assert statuses(venue, order) == ["new"]
        venue.step()

        assert venue.order(order).filled_avg_price == "94"


def test_a_stop_on_the_wrong_side_of_the_market_is_refused() -> None:
    with opened("100 100") as venue:
        venue.buy(1)
        venue.step()
        answer = venue.post(side="sell", type="stop", stop_price=101)

    assert refused(answer)[:2] == (422, 42210000)
    assert answer.json()["stop_price"] == "101"
