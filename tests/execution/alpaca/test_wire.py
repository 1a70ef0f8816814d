# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves for Alpaca: names that follow from decisions, prices on the grid, whole shares."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import ConfigError
from iverson.execution.alpaca.wire import (
    PREFIX,
    bracket_body,
    client_order_id,
    is_ours,
    order_body,
    price_text,
    protection_body,
)
from iverson.model import Bracket

AT = datetime(2024, 3, 4, 21, tzinfo=UTC)
DECISION: dict[str, Any] = dict(
    account="PA1", strategy="RsiReversion", symbol="AAPL", at=AT, leg="entry", attempt=1
)
LIMIT, STOP, TARGET, SIZE = 98.0, 93.1, 105.25, 40


def bracket(side: str = "long", target: float | None = TARGET) -> Bracket:
    stop = STOP if side == "long" else 2 * LIMIT - STOP
    if side == "short" and target is not None:
        target = 2 * LIMIT - target
    return Bracket(
        "AAPL-1", "AAPL", side, SIZE, LIMIT, stop, target, 3, AT + timedelta(days=1)  # type: ignore[arg-type]  # a text
    )  # fmt: skip


def test_the_same_decision_has_the_same_name_wherever_it_is_made() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=-5)))

    assert client_order_id(**DECISION) == client_order_id(**{**DECISION, "at": elsewhere})


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("account", "PA2"),
        ("strategy", "Pullback"),
        ("symbol", "MSFT"),
        ("at", AT + timedelta(microseconds=1)),
        ("leg", "stop"),
        ("attempt", 2),
    ],
)
def test_another_decision_has_another_name(part: str, other: Any) -> None:
    assert client_order_id(**DECISION) != client_order_id(**{**DECISION, part: other})


def test_name_is_short_plain_and_known_as_ours() -> None:
    name = client_order_id(**DECISION)

    assert len(name) == len(PREFIX) + 32
    assert name.isascii()
    assert is_ours(name)
    assert not is_ours("manual")
    assert not is_ours(None)


def test_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="no time zone"):
        client_order_id(**{**DECISION, "at": AT.replace(tzinfo=None)})


@pytest.mark.parametrize(
    ("price", "down", "up"),
    [
        (290.123, "290.12", "290.13"),
        (290.12, "290.12", "290.12"),
        (0.12345, "0.1234", "0.1235"),
        (0.99999, "0.9999", "1.00"),
        (1.0, "1.00", "1.00"),
        (0.1 + 0.2, "0.3000", "0.3000"),
        (0.00001, "0.0001", "0.0001"),
    ],
)
def test_price_is_text_on_the_grid(price: float, down: str, up: str) -> None:
    assert (price_text(price, up=False), price_text(price, up=True)) == (down, up)


@given(st.floats(min_value=0.0001, max_value=1e6), st.booleans())
def test_price_keeps_to_rule_612_and_to_its_direction(price: float, up: bool) -> None:
    sent = Decimal(price_text(price, up=up))

    assert sent == sent.quantize(Decimal("0.01") if sent >= 1 else Decimal("0.0001"))
    assert abs(float(sent) - price) <= (0.01 if price >= 0.9999 else 0.0001) * 1.0001
    if up:
        assert float(sent) >= price - 1e-6
    else:
        assert float(sent) <= price + 1e-6


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_price_that_is_none_is_refused(price: float) -> None:
    with pytest.raises(ConfigError, match="finite price above 0"):
        price_text(price, up=True)


def test_long_bracket_is_one_order_with_both_legs_good_till_canceled() -> None:
    assert bracket_body(bracket(), name="iv1-x") == {
        "symbol": "AAPL",
        "qty": "40",
        "side": "buy",
        "type": "limit",
        "limit_price": "98.00",
        "time_in_force": "gtc",
        "order_class": "bracket",
        "stop_loss": {"stop_price": "93.10"},
        "take_profit": {"limit_price": "105.25"},
        "client_order_id": "iv1-x",
    }


def test_short_bracket_sells_and_protects_above() -> None:
    body = bracket_body(bracket("short"), name="iv1-x")

    assert (body["side"], body["stop_loss"], body["take_profit"]) == (
        "sell",
        {"stop_price": "102.90"},
        {"limit_price": "90.75"},
    )


def test_entry_without_a_target_is_one_triggers_other() -> None:
    body = bracket_body(bracket(target=None), name="iv1-x")

    assert body["order_class"] == "oto"
    assert "take_profit" not in body


def test_shares_already_held_are_protected_by_one_cancels_other() -> None:
    body = protection_body(
        symbol="AAPL", size=7, side="sell", stop=STOP, target=TARGET, name="iv1-y"
    )

    assert body["order_class"] == "oco"
    assert "limit_price" not in body
    assert (body["take_profit"], body["stop_loss"]) == (
        {"limit_price": "105.25"},
        {"stop_price": "93.10"},
    )


def test_protection_without_a_target_is_a_stop_to_market() -> None:
    body = protection_body(symbol="AAPL", size=7, side="sell", stop=STOP, target=None, name="n")

    assert (body["type"], body["stop_price"], "order_class" in body) == ("stop", "93.10", False)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (dict(kind="market"), {"type": "market"}),
        (dict(kind="limit", limit=98.004), {"type": "limit", "limit_price": "98.01"}),
        (dict(kind="stop", stop=93.109), {"type": "stop", "stop_price": "93.10"}),
        (
            dict(kind="stop_limit", stop=93.0, limit=92.5),
            {"type": "stop_limit", "stop_price": "93.00", "limit_price": "92.50"},
        ),
        (
            dict(kind="trailing_stop", trail_fraction=0.015),
            {"type": "trailing_stop", "trail_percent": "1.5000"},
        ),
        (dict(kind="trailing_stop", trail=1.5), {"trail_price": "1.50"}),
        (dict(kind="market", day=True), {"time_in_force": "day"}),
    ],
)
def test_plain_order_carries_the_prices_of_its_kind_and_no_others(
    given: dict[str, Any], sent: dict[str, str]
) -> None:
    body = order_body(symbol="AAPL", side="sell", size=3, name="iv1-z", **given)

    assert sent.items() <= body.items()
    prices = {"limit_price", "stop_price", "trail_price", "trail_percent"}
    assert prices & set(body) == prices & set(sent)
    assert body["time_in_force"] == ("day" if given.get("day") else "gtc")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (dict(kind="limit"), "needs a limit"),
        (dict(kind="stop"), "needs a stop price"),
        (dict(kind="trailing_stop"), "either a distance"),
        (dict(kind="trailing_stop", trail=1.0, trail_fraction=0.1), "either a distance"),
        (dict(kind="market", size=0.5), "whole number of shares"),
        (dict(kind="market", size=0), "whole number of shares"),
        (dict(kind="market", size=-3), "whole number of shares"),
    ],
)
def test_order_that_lacks_something_is_refused_before_it_is_sent(
    given: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        order_body(**{"symbol": "AAPL", "side": "sell", "size": 3, "name": "n", **given})
