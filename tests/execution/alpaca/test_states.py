# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes back from Alpaca: read tolerantly, never guessed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from alpaca.trading.enums import OrderStatus

from iverson.errors import OutOfSync
from iverson.execution.alpaca import states

ORDER: dict[str, Any] = {
    "id": "o-1",
    "client_order_id": "iv1-x",
    "symbol": "AAPL",
    "side": "buy",
    "type": "limit",
    "status": "partially_filled",
    "qty": "40",
    "filled_qty": "12",
    "filled_avg_price": "97.5",
    "limit_price": "98",
    "stop_price": None,
    "submitted_at": "2024-03-04T21:00:00.123456789Z",
    "legs": None,
}
TERMINAL = {"filled", "canceled", "expired", "rejected", "replaced"}


def test_order_is_read_with_its_numbers_and_instants() -> None:
    order = states.order_state(ORDER)

    assert (order.size, order.filled, order.average, order.limit, order.stop) == (
        40.0,
        12.0,
        97.5,
        98.0,
        None,
    )
    assert order.submitted_at == datetime(2024, 3, 4, 21, 0, 0, 123456, tzinfo=UTC)
    assert order.meaning == "partial"


@pytest.mark.parametrize("status", [one.value for one in OrderStatus])
def test_every_status_that_the_library_knows_has_a_meaning(status: str) -> None:
    order = states.order_state(ORDER | {"status": status})

    assert order.meaning != "unknown"
    assert order.alive == (status not in TERMINAL)


def test_status_nobody_knows_is_unknown_and_may_still_fill() -> None:
    order = states.order_state(ORDER | {"status": "levitating"})

    assert (order.meaning, order.alive) == ("unknown", True)


def test_legs_are_told_apart_by_their_type_whatever_their_order() -> None:
    target = ORDER | {"id": "t", "side": "sell", "type": "limit", "limit_price": "105"}
    stop = ORDER | {"id": "s", "side": "sell", "type": "stop", "stop_price": "93"}
    for legs in ([target, stop], [stop, target]):
        order = states.order_state(ORDER | {"legs": legs})

        assert {leg.leg: leg.id for leg in order.legs} == {"target": "t", "stop": "s"}


def test_new_fields_and_missing_ones_are_no_error() -> None:
    bare = {key: ORDER[key] for key in ("id", "symbol", "side", "status")}

    order = states.order_state(bare | {"invented": {"a": 1}})

    assert math.isnan(order.size)
    assert (order.filled, order.name, order.legs) == (0.0, "", ())


@pytest.mark.parametrize("gone", ["id", "symbol", "side", "status"])
def test_order_without_what_makes_it_one_is_out_of_sync(gone: str) -> None:
    with pytest.raises(OutOfSync, match="cannot be read"):
        states.order_state({key: value for key, value in ORDER.items() if key != gone})


@pytest.mark.parametrize("wrong", [None, [], "text", {"id": 1}, {**ORDER, "qty": "many"}])
def test_nonsense_is_out_of_sync(wrong: Any) -> None:
    with pytest.raises(OutOfSync):
        states.order_state(wrong)


def test_update_has_this_executions_numbers_and_the_order() -> None:
    found = states.update(
        {
            "event": "partial_fill",
            "execution_id": "e-1",
            "order": ORDER,
            "timestamp": "2024-03-04T16:00:01-05:00",
            "price": "97.4",
            "qty": "5",
            "position_qty": "12",
        }
    )

    assert (found.event, found.execution, found.size, found.price, found.position) == (
        "partial_fill",
        "e-1",
        5.0,
        97.4,
        12.0,
    )
    assert found.at == datetime(2024, 3, 4, 21, 0, 1, tzinfo=UTC)


def test_update_may_lack_its_time_and_its_execution() -> None:
    found = states.update({"event": "canceled", "order": ORDER})

    assert (found.at, found.execution, found.position) == (None, None, None)
    assert math.isnan(found.size)


def test_short_position_is_negative_whichever_way_it_is_written() -> None:
    raw = {"symbol": "AAPL", "qty": "-7", "side": "short", "avg_entry_price": "98"}

    assert states.holding(raw).size == -7.0
    assert states.holding(raw | {"qty": "7"}).size == -7.0
    assert states.holding(raw | {"qty": "7", "side": "long"}).size == 7.0


@pytest.mark.parametrize(
    ("flags", "blocks"),
    [
        ({}, ()),
        ({"trading_blocked": True}, ("trading_blocked",)),
        ({"account_blocked": True, "trade_suspended_by_user": True},
         ("account_blocked", "trade_suspended_by_user")),
        ({"status": "ACCOUNT_CLOSED"}, ("status ACCOUNT_CLOSED",)),
    ],
)  # fmt: skip
def test_account_says_what_keeps_it_from_trading(
    flags: dict[str, Any], blocks: tuple[str, ...]
) -> None:
    raw = {
        "account_number": "PA1",
        "cash": "100.5",
        "equity": "200",
        "buying_power": "100",
        "status": "ACTIVE",
    }

    account = states.standing(raw | flags)

    assert (account.cash, account.blocks, account.shorting) == (100.5, blocks, False)


def test_fill_row_is_read() -> None:
    row = states.fill_row(
        {
            "id": "20240304160001000::u",
            "order_id": "o-1",
            "symbol": "AAPL",
            "side": "sell_short",
            "qty": "5",
            "price": "97.4",
            "cum_qty": "12",
            "transaction_time": "2024-03-04T21:00:01Z",
        }
    )

    assert (row.side, row.size, row.cumulative) == ("sell", 5.0, 12.0)


@pytest.mark.parametrize("text", ["2024-03-04T21:00:01", "yesterday", "2024-13-01T00:00:00Z"])
def test_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the readers turn it into a sentence)
        states.instant(text)
