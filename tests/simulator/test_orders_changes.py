# SPDX-License-Identifier: GPL-3.0-or-later
"""Replacing, cancelling, closing, identifying and listing orders, through alpaca-py."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.enums import QueryOrderStatus
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetOrdersRequest,
    ReplaceOrderRequest,
)

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


def state(venue: Opened, order: Order) -> str:
    return venue.order(order).status.value


def replaced(venue: Opened, order: Order, **changes: Any) -> Order:
    return venue.trading.replace_order_by_id(order.id, ReplaceOrderRequest(**changes))


# O15


def test_a_replacement_is_a_new_order_that_knows_the_old_one() -> None:
    with opened("100 100") as venue:
        old = venue.listen().buy(10, limit=90)
        new = replaced(venue, old, limit_price=91.0, qty=12)
        before, after = venue.order(old), venue.order(new)
        venue.step()

        assert new.id != old.id
        assert (before.status.value, before.replaced_by) == ("replaced", new.id)
        assert (after.status.value, after.replaces) == ("new", old.id)
        assert (after.qty, after.limit_price) == ("12", "91")
        carried = next(one for one in venue.updates if one["event"] == "replaced")
        assert carried["order"]["id"] == str(old.id)


def test_what_was_filled_counts_for_the_new_order() -> None:
    with opened("100 100 100", scenario="partial-then-nothing") as venue:
        old = venue.buy(10, limit=100)
        venue.step()
        with refusal(422, 42210000, "qty must be > filled_qty"):
            replaced(venue, old, qty=4)
        new = replaced(venue, old, qty=8)
        assert venue.order(new).filled_qty == "4"
        venue.step()

        assert state(venue, new) == "filled"
        assert venue.held() == {SYMBOL: "8"}


def test_orders_that_wait_or_have_ended_cannot_be_replaced() -> None:
    slow = Switches.exact(ack_seconds=30.0, cancel_seconds=30.0, replace_seconds=30.0)
    with opened("100 100 100 100", switches=slow) as venue:
        pending = venue.buy(limit=90)
        with refusal(422, 42210000, "cannot replace order in pending_new status"):
            replaced(venue, pending, limit_price=91.0)
        venue.step()
        replaced(venue, pending, limit_price=91.0)
        with refusal(422, 42210000, "cannot replace order in pending_replace status"):
            replaced(venue, pending, limit_price=92.0)
        venue.step()
        with refusal(422, 42210000, "order already replaced"):
            replaced(venue, pending, limit_price=92.0)
        other = venue.buy(limit=90)
        venue.sim.advance_to(venue.sim.now + timedelta(seconds=31))
        venue.trading.cancel_order_by_id(other.id)
        with refusal(422, 42210000, "cannot replace order in pending_cancel status"):
            replaced(venue, other, limit_price=91.0)


def test_a_replacement_has_to_change_something() -> None:
    with opened("100") as venue:
        order = venue.buy(10, limit=90)
        with refusal(422, 42210000, "order parameters are not changed"):
            replaced(venue, order, limit_price=90.0)
        answer = venue.raw("PATCH", f"/v2/orders/{order.id}", json={"qty": "1.5"})

    assert refused(answer)[0] == 422


def test_a_fill_that_comes_before_the_replacement_wins() -> None:
    slow = Switches.exact(replace_seconds=30.0)
    with opened("100 100 89", switches=slow) as venue:
        old = venue.listen().buy(10, limit=99)
        venue.step()
        new = replaced(venue, old, limit_price=98.0)
        venue.step()

        assert (state(venue, old), state(venue, new)) == ("filled", "rejected")
        assert venue.events(old)[-2:] == ["fill", "order_replace_rejected"]
        assert venue.held() == {SYMBOL: "10"}


# O16


def test_a_cancellation_is_granted_and_done_later() -> None:
    slow = Switches.exact(cancel_seconds=1.0, emit_pending_cancel=True)
    with opened("100 100", switches=slow) as venue:
        order = venue.listen().buy(limit=90)
        venue.trading.cancel_order_by_id(order.id)
        assert state(venue, order) == "pending_cancel"
        venue.step()

        assert state(venue, order) == "canceled"
        assert venue.events(order) == ["pending_new", "new", "pending_cancel", "canceled"]


def test_a_fill_between_the_grant_and_the_cancellation_is_told() -> None:
    with opened("100 100 98", switches=Switches.exact(cancel_seconds=50.0)) as venue:
        order = venue.listen().buy(limit=99)
        venue.step()
        venue.trading.cancel_order_by_id(order.id)
        venue.step()

        assert state(venue, order) == "filled"
        assert venue.events(order)[-1] == "fill"


def test_a_filled_order_cannot_be_cancelled_and_a_cancelled_one_can_again() -> None:
    with opened("100 100") as venue:
        filled, canceled = venue.buy(), venue.buy(limit=90)
        venue.step()
        with refusal(422, 42210000, 'order is already in "filled" state'):
            venue.trading.cancel_order_by_id(filled.id)
        for _ in range(2):
            venue.trading.cancel_order_by_id(canceled.id)
        with refusal(404, 40410000, "order not found for"):
            venue.trading.cancel_order_by_id(uuid.UUID(int=7))


def test_after_hours_a_stops_cancellation_may_wait_for_the_open() -> None:
    switches = Switches.exact(stop_cancel_waits_for_open=True)
    history = {SYMBOL: bars("100 100 100 100", symbol=SYMBOL, start=SESSION)}
    with opened(history, switches=switches) as venue:
        venue.buy()
        venue.step()
        venue.sim.advance_to(at("09:35", NEXT.replace(day=5)))
        stop = venue.post(side="sell", qty=10, type="stop", stop_price=50, time_in_force="gtc")
        venue.sim.advance_to(at("18:00", NEXT.replace(day=5)))
        order = Order(**stop.json())
        venue.trading.cancel_order_by_id(order.id)

        assert state(venue, order) == "pending_cancel"
        assert venue.trading.get_open_position(SYMBOL).qty_available == "0"
        venue.step()
        assert state(venue, order) == "canceled"


# O17


def test_all_orders_are_cancelled_one_by_one() -> None:
    with opened("100 100") as venue:
        orders = [venue.buy(1, limit=90 + n) for n in range(3)]
        answers = venue.trading.cancel_orders()

        assert [(one.id, one.status) for one in answers] == [(one.id, 200) for one in orders]
        assert [state(venue, one) for one in orders] == ["canceled"] * 3
        assert venue.trading.cancel_orders() == []


def test_an_order_that_cannot_be_cancelled_is_told_with_500() -> None:
    with opened("100", switches=Switches.exact(replace_seconds=30.0)) as venue:
        free, busy = venue.buy(1, limit=90), venue.buy(1, limit=91)
        replaced(venue, busy, limit_price=92.0)
        answers = {one.id: one.status for one in venue.trading.cancel_orders()}

    assert answers[free.id] == 200
    assert answers[busy.id] == 500


def test_all_positions_are_closed_unless_their_shares_are_held() -> None:
    history = {name: minutes("100 100 100", symbol=name) for name in ("AAA", "BBB")}
    with opened(history) as venue:
        for name in history:
            venue.post(symbol=name, qty=10)
        venue.step()
        venue.post(symbol="AAA", side="sell", qty=10, type="limit", limit_price=120)
        first = {one.symbol: one for one in venue.trading.close_all_positions()}
        second = {one.symbol: one for one in venue.trading.close_all_positions(cancel_orders=True)}
        venue.step()

        assert (first["AAA"].status, first["BBB"].status) == (403, 200)
        assert getattr(first["AAA"].body, "code", None) == 40310000
        assert second["AAA"].status == 200
        assert venue.held() == {}


@pytest.mark.parametrize(
    ("how", "left"),
    [(None, {}), ({"qty": "4"}, {SYMBOL: "6"}), ({"percentage": "50"}, {SYMBOL: "5"})],
)
def test_a_position_is_closed_whole_or_in_part(
    how: dict[str, str] | None, left: dict[str, str]
) -> None:
    with opened("100 100 100") as venue:
        venue.buy(10)
        venue.step()
        options = None if how is None else ClosePositionRequest(**how)
        order = venue.trading.close_position(SYMBOL, options)
        venue.step()

        assert (order.side.value, order.type.value) == ("sell", "market")
        assert venue.held() == left
        asset = venue.trading.get_asset(SYMBOL)
        if left:
            assert venue.trading.get_open_position(asset.id).qty == left[SYMBOL]


def test_what_is_not_held_cannot_be_closed_or_shown() -> None:
    with opened("100") as venue:
        for ask in (venue.trading.close_position, venue.trading.get_open_position):
            with refusal(404, 40410000, "position does not exist"):
                ask(SYMBOL)


# O18


def test_a_client_order_id_is_unique_for_ever() -> None:
    with opened("100 100") as venue:
        order = venue.buy(limit=90, client_order_id="iv 1/ä")
        venue.trading.cancel_order_by_id(order.id)
        with refusal(422, 40010001, "client_order_id must be unique"):
            venue.buy(limit=90, client_order_id="iv 1/ä")
        found = venue.trading.get_order_by_client_id("iv 1/ä")
        generated = venue.buy(limit=90)

    assert found.id == order.id
    assert uuid.UUID(generated.client_order_id)


def test_the_status_of_a_duplicate_is_a_switch() -> None:
    with opened("100", switches=Switches.exact(duplicate_id_status=409)) as venue:
        venue.buy(limit=90, client_order_id="one")
        with refusal(409, 40010001):
            venue.buy(limit=90, client_order_id="one")


def test_an_unknown_client_order_id_is_not_found() -> None:
    with opened("100") as venue, refusal(404, 40410000):
        venue.trading.get_order_by_client_id("nobody's")


# O27


def test_orders_are_paged_by_five_hundred() -> None:
    count, page = 1200, 500
    with opened("100 " * 4) as venue:
        made: list[str] = []
        for _ in range(3):
            made += venue.sim.call(lambda inside: _submitted(inside, count // 3))
            venue.step()
        seen: list[str] = []
        until = None
        while True:
            query = GetOrdersRequest(status=QueryOrderStatus.ALL, limit=page, until=until)
            found = [one for one in venue.trading.get_orders(query) if str(one.id) not in seen]
            if not found:
                break
            seen += [str(one.id) for one in found]
            until = found[-1].submitted_at + timedelta(microseconds=1)
        walked: list[str] = []
        last = None
        while rows := venue.trading.get(
            "/orders", {"status": "all", "limit": page, "direction": "asc"} | _after(last)
        ):
            walked += [row["id"] for row in rows]
            last = walked[-1]

    assert walked == made
    assert seen == [*reversed(made)]


def _after(last: str | None) -> dict[str, str]:
    return {} if last is None else {"after_order_id": last}


def _submitted(inside: Any, count: int) -> list[str]:
    from iverson.simulator.requests import OrderRequest

    asked = OrderRequest(
        symbol=SYMBOL, side="buy", type="limit", qty=Decimal(1), limit_price=Decimal(5)
    )
    return [inside.exchange.submit(inside.accounts[0], asked).id for _ in range(count)]


def test_orders_are_filtered() -> None:
    history = {name: minutes("100 100 100 100", symbol=name) for name in ("AAA", "BBB")}
    with opened(history) as venue:
        first = Order(**venue.post(symbol="AAA", qty=1).json())
        venue.step()
        second = Order(**venue.post(symbol="BBB", qty=1, type="limit", limit_price=90).json())
        venue.step()
        third = Order(
            **venue.post(symbol="AAA", qty=1, type="limit", limit_price=120, side="sell").json()
        )

        def found(**query: Any) -> list[Any]:
            return [one.id for one in venue.trading.get_orders(GetOrdersRequest(**query))]

        everything = {"status": QueryOrderStatus.ALL}
        assert found() == [third.id, second.id]
        assert found(status=QueryOrderStatus.CLOSED) == [first.id]
        assert found(**everything, direction="asc") == [first.id, second.id, third.id]
        assert found(**everything, symbols=["AAA"]) == [third.id, first.id]
        assert found(**everything, side="buy") == [second.id, first.id]
        assert found(**everything, limit=1) == [third.id]
        assert found(**everything, after=first.submitted_at) == [third.id, second.id]
        assert found(**everything, until=third.submitted_at) == [second.id, first.id]
        assert refused(venue.raw("GET", "/v2/orders?limit=501")) == (
            422, 40010001, "invalid limit: 501, it must be from 1 to 500",
        )  # fmt: skip
        assert refused(venue.raw("GET", "/v2/orders?status=odd"))[:2] == (422, 40010001)
