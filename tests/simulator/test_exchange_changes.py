# SPDX-License-Identifier: GPL-3.0-or-later
"""Replacing and cancelling: granted is not done, and the fill may win."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.exchange_kit import FLAT, bars, refusal, rig

QUIET = "|".join([FLAT] * 3)
DIP = "100 100 100 100 | 100 100 94 95 | 95 95 95 95"


def limit(it: Any, price: float = 95, **fields: Any) -> Any:
    return it.submit(type="limit", limit_price=price, **fields)


# Cancel


def test_cancellation_is_granted_first_and_done_later() -> None:
    it = rig(QUIET, cancel_seconds=0.5)
    order = limit(it)

    it.cancel(order)

    assert (it.now(order).status, it.words(order)) == ("pending_cancel", ["pending_new", "new"])
    it.to("09:31")
    assert it.words(order)[2:] == ["canceled"]
    assert str(it.now(order).canceled_at)[17:23] == "00.500"


def test_pending_cancel_may_be_told() -> None:
    it = rig(QUIET, cancel_seconds=0.5, emit_pending_cancel=True)
    order = limit(it)

    it.cancel(order)

    assert it.words(order)[2:] == ["pending_cancel"]


def test_fill_wins_the_race_against_the_cancellation() -> None:
    it = rig(DIP, cancel_seconds=30)
    it.to("09:31")
    order = limit(it)

    it.cancel(order)
    it.to("09:33")

    assert it.now(order).status == "filled"
    assert it.words(order) == ["pending_new", "new", "fill"]


def test_part_filled_while_the_cancellation_was_pending_is_kept() -> None:
    it = rig(QUIET, cancel_seconds=1)
    order = limit(it)
    it.cancel(order)

    it.exchange.force_fill(order.id, qty=Decimal(40), price=Decimal(95))
    assert it.now(order).status == "pending_cancel"
    it.to("09:31")

    assert it.words(order)[2:] == ["partial_fill", "canceled"]
    assert (it.now(order).filled_qty, it.qty()) == (40, 40)


def test_cancelling_what_ended() -> None:
    it = rig(DIP)
    it.to("09:31")
    filled, canceled = it.submit(), limit(it, 90)
    it.to("09:32")
    it.cancel(canceled)

    it.cancel(canceled)  # once more: 204 and nothing happens
    no = refusal(it.cancel, filled)

    assert (no.status, no.code) == (422, 42210000)
    assert no.message == 'order is already in "filled" state'
    assert it.words(canceled).count("canceled") == 1


def test_unknown_order_is_not_found_nor_is_that_of_another_account() -> None:
    it = rig(QUIET)
    order = limit(it)
    other = it.exchange.open_account("OTHER", cash=Decimal(1000))

    for call in (
        lambda: it.exchange.cancel(it.account_id, "nothing"),
        lambda: it.exchange.cancel(other.id, order.id),
        lambda: it.exchange.order(it.account_id, client_order_id="nothing"),
    ):
        no = refusal(call)
        assert (no.status, no.code) == (404, 40410000)
        assert no.message.startswith("order not found for ")


def test_cancelling_a_stop_after_hours_may_wait_for_the_open() -> None:
    tuesday = date(2024, 11, 26)
    it = rig(bars(QUIET) + bars(FLAT, day=tuesday), stop_cancel_waits_for_open=True)
    it.submit()
    it.to("09:31")
    order = it.submit("sell", type="stop", stop_price=90, time_in_force="gtc")
    it.to("17:00")

    it.cancel(order)

    assert it.now(order).status == "pending_cancel"
    assert it.exchange.position(it.account_id, "AAA").qty_available == 0
    it.to("09:29", tuesday)
    assert it.now(order).status == "pending_cancel"
    it.to("09:30", tuesday)
    assert it.now(order).status == "canceled"


def test_cancel_all_lists_every_open_order() -> None:
    it = rig(QUIET)
    orders = [limit(it, price) for price in (95, 94, 93)]

    answers = it.exchange.cancel_all(it.account_id)

    assert answers == [(order.id, 200) for order in orders]
    assert {it.now(order).status for order in orders} == {"canceled"}


def test_cancel_all_says_500_for_what_cannot_be_cancelled() -> None:
    it = rig(QUIET, replace_seconds=5)
    order = limit(it)
    new = it.replace(order, limit_price=96)

    answers = it.exchange.cancel_all(it.account_id)

    assert answers == [(order.id, 500), (new.id, 500)]


def test_replacement_that_the_venue_ends_first_leaves_the_old_order_at_work() -> None:
    it = rig(QUIET, replace_seconds=5)
    order = limit(it)
    new = it.replace(order, limit_price=96)

    it.exchange.close_order(new.id, "rejected")
    it.to("09:31")

    assert (it.now(order).status, it.now(order).replaced_by) == ("new", None)
    assert it.words(order)[-1] == "order_replace_rejected"


# Replace


def test_replacement_has_a_new_id_and_the_event_carries_the_old_order() -> None:
    it = rig(QUIET)
    order = limit(it, client_order_id="mine")

    new = it.replace(order, limit_price=96, qty=150)

    old = it.now(order)
    assert new.id != order.id
    assert (new.status, new.replaces, new.limit_price, new.qty) == ("new", order.id, 96, 150)
    assert (old.status, old.replaced_by) == ("replaced", new.id)
    assert new.client_order_id not in ("mine", "")
    told = [one for one in it.updates() if one.event == "replaced"]
    assert [one.order.id for one in told] == [order.id]
    assert it.words(new) == ["new"]


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({}, 422, "order parameters are not changed"),
        ({"limit_price": 95, "qty": 100}, 422, "order parameters are not changed"),
        ({"limit_price": 95.123}, 422, "invalid limit_price 95.123"),
        ({"stop_price": 95}, 422, "limit orders require no stop price"),
        ({"trail": 5}, 422, "limit orders require no trail"),
        ({"qty": 1.5}, 422, "qty must be > 0 and whole shares"),
        ({"qty": 0}, 422, "qty must be > 0"),
        ({"client_order_id": "mine"}, 422, "client_order_id must be unique"),
        ({"qty": 100_000}, 403, "insufficient buying power"),
    ],
)
def test_replacements_that_are_refused(fields: dict[str, Any], status: int, message: str) -> None:
    it = rig(QUIET)
    order = limit(it, client_order_id="mine")

    no = refusal(it.replace, order, **fields)

    assert no.status == status
    assert message in no.message
    assert it.now(order).status == "new"


def test_replacement_is_refused_while_the_order_is_not_at_work() -> None:
    it = rig(QUIET, ack_seconds=1, cancel_seconds=1, replace_seconds=1)
    order = limit(it)
    assert (
        "cannot replace order in pending_new status"
        in refusal(it.replace, order, limit_price=96).message
    )
    it.to("09:30:01")
    it.replace(order, limit_price=96)
    assert "in pending_replace status" in refusal(it.replace, order, limit_price=97).message
    assert refusal(it.cancel, order).status == 422
    it.to("09:30:03")
    assert refusal(it.replace, order, limit_price=97).message == "order already replaced"
    late = rig(FLAT, at="20:00")
    queued = limit(late)
    assert "in accepted status" in refusal(late.replace, queued, limit_price=96).message


def test_fill_wins_the_race_against_the_replacement() -> None:
    it = rig(DIP, replace_seconds=50)
    it.to("09:31")
    order = limit(it)

    new = it.replace(order, limit_price=90)
    it.to("09:33")

    assert (it.now(order).status, it.now(order).replaced_by) == ("filled", None)
    assert it.now(new).status == "rejected"
    assert it.words(order)[2:] == ["fill", "order_replace_rejected"]
    assert len(it.fills()) == 1


def test_partial_fill_carries_over_to_the_replacement() -> None:
    it = rig(QUIET, replace_seconds=1)
    order = limit(it)
    new = it.replace(order, qty=150)
    it.exchange.force_fill(order.id, qty=Decimal(40), price=Decimal(95))

    it.to("09:31")

    assert it.now(order).status == "replaced"
    assert (it.now(new).status, it.now(new).filled_qty, it.now(new).remaining) == (
        "partially_filled", 40, 110,
    )  # fmt: skip


def test_replacement_that_a_partial_fill_used_up_is_rejected() -> None:
    it = rig(QUIET, replace_seconds=1)
    order = limit(it)
    new = it.replace(order, qty=30)
    it.exchange.force_fill(order.id, qty=Decimal(40), price=Decimal(95))

    it.to("09:31")

    assert (it.now(order).status, it.now(new).status) == ("partially_filled", "rejected")
    assert it.words(order)[-1] == "order_replace_rejected"


def test_qty_must_exceed_what_is_filled() -> None:
    it = rig(QUIET)
    order = limit(it)
    it.exchange.force_fill(order.id, qty=Decimal(40), price=Decimal(95))

    assert refusal(it.replace, order, qty=40).message == "qty must be > filled_qty"
    assert it.replace(order, qty=41).remaining == 1


def test_larger_of_both_orders_counts_while_the_replacement_is_pending() -> None:
    it = rig(QUIET, replace_seconds=1)
    order = limit(it, 90, qty=1000)
    before = it.exchange.account(it.account_id).buying_power

    it.replace(order, qty=2000)
    pending = it.exchange.account(it.account_id).buying_power
    it.to("09:31")
    after = it.exchange.account(it.account_id).buying_power

    assert (before, pending, after) == (310_000, 220_000, 220_000)


def test_notional_and_oto_orders_cannot_be_replaced() -> None:
    it = rig(QUIET)
    dollars = it.submit(qty=None, notional=100, type="limit", limit_price=95)
    oto = it.bracket(None, 80, order_class="oto", type="limit", limit_price=95)

    assert refusal(it.replace, dollars, limit_price=96).status == 422
    assert refusal(it.replace, oto, limit_price=96).status == 422


def test_leg_of_a_bracket_takes_new_prices_but_no_new_size() -> None:
    it = rig("100 100 100 100 | 100 100 100 100 | 100 100 88 89")
    it.to("09:31")
    order = it.bracket(110, 90)
    it.to("09:32")
    stop = it.leg(order, "stop")

    assert refusal(it.replace, stop, qty=50).message == "qty cannot be changed for advanced orders"
    assert "must be <= base_price" in refusal(it.replace, stop, stop_price=100).message
    new = it.replace(stop, stop_price=95)

    assert (new.status, new.active, new.parent_id) == ("held", True, order.id)
    assert {leg.id for leg in it.now(order).legs} == {it.leg(order, "target").id, new.id}
    it.to("09:33")
    assert it.fills()[1:] == [("sell", 100, 95)]
    assert it.leg(order, "target").status == "replaced"


def test_entry_of_a_bracket_keeps_its_legs_through_a_replacement() -> None:
    it = rig("100 100 100 100 | 100 100 97 98 | 98 111 98 110")
    it.to("09:31")
    order = it.bracket(110, 90, type="limit", limit_price=95)

    new = it.replace(order, limit_price=97)
    it.to("09:33")

    assert it.fills() == [("buy", 100, 97), ("sell", 100, 110)]
    assert {leg.role: leg.status for leg in it.now(new).legs} == {
        "target": "filled",
        "stop": "canceled",
    }


def test_target_that_fills_while_its_replacement_is_pending_ends_the_stop_too() -> None:
    it = rig("100 100 100 100 | 100 100 100 100 | 100 111 100 110", replace_seconds=59)
    it.to("09:31")
    order = it.bracket(110, 90)
    it.to("09:32")
    target = it.leg(order, "target")
    new = it.replace(target, limit_price=120)

    it.to("09:33")

    assert [it.now(one).status for one in (target, new)] == ["filled", "rejected"]
    assert it.leg(order, "stop").status == "canceled"
    assert it.qty() == 0


# Client order ids


@pytest.mark.parametrize("status", [422, 409])
def test_client_order_id_is_used_once_for_ever(status: Any) -> None:
    it = rig(QUIET, duplicate_id_status=status)
    order = limit(it, client_order_id="one")
    it.cancel(order)

    no = refusal(limit, it, client_order_id="one")

    assert (no.status, no.code, no.message) == (
        status, 40010001, "client_order_id must be unique",
    )  # fmt: skip
    assert it.exchange.order(it.account_id, client_order_id="one").id == order.id


def test_client_order_id_is_the_accounts_own() -> None:
    it = rig(QUIET)
    limit(it, client_order_id="one")
    it.account_id = it.exchange.open_account("OTHER", cash=Decimal(100_000)).id

    assert limit(it, client_order_id="one").client_order_id == "one"


def test_missing_client_order_id_is_generated() -> None:
    it = rig(QUIET)

    first, second = limit(it), limit(it, 94)

    assert len({first.client_order_id, second.client_order_id, ""}) == 3
