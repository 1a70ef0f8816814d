# SPDX-License-Identifier: GPL-3.0-or-later
"""Forms: what arrives as JSON or as a query, read into the requests that the exchange knows.

Numbers may come as numbers or as text, booleans as `True`, `true` or `1`; fields that nobody knows
are ignored; a word that is not one of the list is refused with 422 and 40010001.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

from iverson.simulator.orders import CLASSES, SIDES, TIMES_IN_FORCE, TYPES, Intent
from iverson.simulator.requests import OrderQuery, OrderRequest, Refused, ReplaceRequest

INTENTS: tuple[Intent, ...] = ("buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close")
STATUSES = ("open", "closed", "all")
DIRECTIONS = ("asc", "desc")
MOST_ORDERS = 500
TRUE, FALSE = ("true", "1", "t"), ("false", "0", "f")
NUMBER = re.compile(r"[+-]?(\d{1,15}(\.\d{0,18})?|\.\d{1,18})([eE][+-]?\d{1,2})?")
FRACTION_OF_A_SECOND = re.compile(r"(\.\d{6})\d+")


def refused(message: str) -> Refused:
    """Return the refusal of something that cannot be read: 422 and 40010001."""
    return Refused(422, 40010001, message)


def body_of(content: bytes) -> dict[str, Any]:
    """Read a JSON object; 400 and 40010000 for anything else."""
    try:
        found = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused(400, 40010000, "request body format is invalid")
    return found


def order_request(body: Mapping[str, Any]) -> OrderRequest:
    """Read the body of POST /v2/orders."""
    target, stop = _leg(body, "take_profit"), _leg(body, "stop_loss")
    return OrderRequest(
        symbol=_text(body, "symbol", required=True),
        side=_word(body, "side", SIDES, required=True),
        type=_word(body, "type", TYPES, required=True),
        time_in_force=_word(body, "time_in_force", TIMES_IN_FORCE, required=True),
        order_class=_word(body, "order_class", CLASSES) or "simple",
        qty=number(body, "qty"),
        notional=number(body, "notional"),
        limit_price=number(body, "limit_price"),
        stop_price=number(body, "stop_price"),
        trail_price=number(body, "trail_price"),
        trail_percent=number(body, "trail_percent"),
        extended_hours=flag(body, "extended_hours"),
        client_order_id=_text(body, "client_order_id") or None,
        position_intent=_word(body, "position_intent", INTENTS),
        target_limit_price=number(target, "limit_price", called="take_profit.limit_price"),
        stop_loss_stop_price=number(stop, "stop_price", called="stop_loss.stop_price"),
        stop_loss_limit_price=number(stop, "limit_price", called="stop_loss.limit_price"),
    )


def replace_request(body: Mapping[str, Any]) -> ReplaceRequest:
    """Read the body of PATCH /v2/orders/{id}."""
    return ReplaceRequest(
        qty=number(body, "qty"),
        time_in_force=_word(body, "time_in_force", TIMES_IN_FORCE),
        limit_price=number(body, "limit_price"),
        stop_price=number(body, "stop_price"),
        trail=number(body, "trail"),
        client_order_id=_text(body, "client_order_id") or None,
    )


def order_query(query: Mapping[str, str]) -> OrderQuery:
    """Read the query of GET /v2/orders."""
    return OrderQuery(
        status=_word(query, "status", STATUSES) or "open",
        limit=whole(query, "limit", 50, least=1, most=MOST_ORDERS),
        after=instant(query, "after"),
        until=instant(query, "until"),
        direction=_word(query, "direction", DIRECTIONS) or "desc",
        nested=flag(query, "nested"),
        symbols=tuple(one.strip() for one in query.get("symbols", "").split(",") if one.strip()),
        side=_word(query, "side", SIDES),
        before_order_id=query.get("before_order_id") or None,
        after_order_id=query.get("after_order_id") or None,
    )


def number(given: Mapping[str, Any], name: str, *, called: str = "") -> Decimal | None:
    """Read a number or the text of one; None when it is missing, null or empty."""
    value = given.get(name)
    if value is None or value == "":
        return None
    text = repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or NUMBER.fullmatch(text.strip()) is None:
        raise refused(f"{called or name} is not a number: {_shown(value)}")
    return Decimal(text.strip())


def whole(given: Mapping[str, str], name: str, usual: int, *, least: int, most: int) -> int:
    """Read a whole number within bounds, `usual` when it is missing."""
    text = given.get(name, "").strip()
    if not text:
        return usual
    if re.fullmatch(r"\d{1,9}", text) is None or not least <= int(text) <= most:
        raise refused(f"invalid {name}: {_shown(text)}, it must be from {least} to {most}")
    return int(text)


def flag(given: Mapping[str, Any], name: str) -> bool:
    """Read a boolean as clients write it; False when it is missing or null."""
    value = given.get(name)
    if value is None or value == "":
        return False
    text = str(value).lower()
    if text not in (*TRUE, *FALSE) or not isinstance(value, str | bool | int):
        raise refused(f"invalid {name}: {_shown(value)}")
    return text in TRUE


def instant(given: Mapping[str, str], name: str) -> datetime | None:
    """Read an instant, UTC where no zone is given; a date is its midnight in UTC."""
    text = given.get(name, "").strip()
    if not text:
        return None
    # A plus sign that was not escaped arrives as a space; nanoseconds are one place too fine.
    text = FRACTION_OF_A_SECOND.sub(r"\1", text.replace(" ", "+").replace("Z", "+00:00"))
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):  # the first and last hours there are, in another zone
        raise refused(f"invalid {name}: {_shown(given[name])}") from None


def day(given: Mapping[str, str], name: str) -> date | None:
    """Read a date."""
    text = given.get(name, "").strip()
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise refused(f"invalid {name}: {_shown(text)}") from None


def _leg(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(400, 40010000, "request body format is invalid")
    return value


def _text(given: Mapping[str, Any], name: str, *, required: bool = False) -> str:
    value = given.get(name)
    if value is None or value == "":
        if required:
            raise refused(f"{name} is required")
        return ""
    if not isinstance(value, str):
        raise refused(f"invalid {name}: {_shown(value)}")
    return value


def _word(
    given: Mapping[str, Any], name: str, known: tuple[str, ...], *, required: bool = False
) -> Any:
    """Read one word of a closed list; None when it is missing."""
    value = _text(given, name, required=required)
    if not value:
        return None
    if value not in known:
        raise refused(f"invalid {name}")
    return cast("Any", value)


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
