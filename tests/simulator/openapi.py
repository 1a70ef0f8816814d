# SPDX-License-Identifier: GPL-3.0-or-later
"""The trading API as an OpenAPI document in our own words: what routes take and answer."""

from __future__ import annotations

from typing import Any

from tests.simulator import schemas

NUMBER = {"type": "string", "pattern": r"^\d{1,6}(\.\d{1,2})?$"}
PRICE = {"anyOf": [NUMBER, {"type": "number", "exclusiveMinimum": 0, "maximum": 100_000}]}
FLAG = {"type": "boolean"}
SIDE = {"enum": ["buy", "sell"]}
FORCE = {"enum": ["day", "gtc", "ioc", "fok", "opg", "cls"]}
SYMBOL = {"enum": ["AAA", "BBB", "NONE"]}
STAMP = {"type": "string", "format": "date-time"}
TEXT = {"type": "string", "maxLength": 200}

PLACED = {
    "type": "object",
    "properties": {
        "symbol": SYMBOL,
        "side": SIDE,
        "type": {"enum": ["market", "limit", "stop", "stop_limit", "trailing_stop"]},
        "time_in_force": FORCE,
        "order_class": {"enum": ["simple", "bracket", "oco", "oto"]},
        "qty": PRICE,
        "notional": PRICE,
        "limit_price": PRICE,
        "stop_price": PRICE,
        "trail_price": PRICE,
        "trail_percent": PRICE,
        "extended_hours": FLAG,
        "client_order_id": TEXT,
        "take_profit": {"type": "object", "properties": {"limit_price": PRICE}},
        "stop_loss": {
            "type": "object",
            "properties": {"stop_price": PRICE, "limit_price": PRICE},
        },
    },
    "required": ["symbol", "side", "type", "time_in_force"],
}
CHANGED = {
    "type": "object",
    "properties": {
        "qty": PRICE,
        "time_in_force": FORCE,
        "limit_price": PRICE,
        "stop_price": PRICE,
        "trail": PRICE,
        "client_order_id": TEXT,
    },
}
CONFIGURED = {
    "type": "object",
    "properties": {
        "fractional_trading": FLAG,
        "no_shorting": FLAG,
        "ptp_no_exception_entry": FLAG,
        "max_margin_multiplier": {"enum": ["1", "2", "4"]},
        "trade_confirm_email": {"enum": ["all", "none"]},
    },
}


def operation(
    answers: dict[int, dict[str, Any] | None],
    *parameters: dict[str, Any],
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return one operation; a refusal is always possible."""
    responses: dict[str, Any] = {
        str(status): {"description": "done"} | ({} if schema is None else content(schema))
        for status, schema in answers.items()
    }
    for status in (400, 403, 404, 405, 409, 422):
        responses[str(status)] = {"description": "refused"} | content(schemas.ERROR)
    made: dict[str, Any] = {"parameters": list(parameters), "responses": responses}
    if body is not None:
        made["requestBody"] = {"required": True, **content(body)}
    return made


def content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def query(name: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def part(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def document(order_ids: list[str]) -> dict[str, Any]:
    """Return the document; `order_ids` are orders that exist, beside some that do not."""
    order_id = part("order_id", {"enum": [*order_ids, "0", "no-such-order"]})
    name = part("symbol", SYMBOL)
    rows = schemas.list_of
    page = [
        query("page_size", {"type": "integer", "minimum": 1, "maximum": 100}),
        query("direction", {"enum": ["asc", "desc"]}),
        query("after", STAMP),
        query("until", STAMP),
        query("date", {"type": "string", "format": "date"}),
    ]
    activities = rows({"anyOf": [schemas.EXECUTION, schemas.OTHER_ACTIVITY]})
    paths = {
        "/v2/account": {"get": operation({200: schemas.ACCOUNT})},
        "/v2/account/configurations": {
            "get": operation({200: schemas.CONFIGURATION}),
            "patch": operation({200: schemas.CONFIGURATION}, body=CONFIGURED),
        },
        "/v2/account/activities": {"get": operation({200: activities}, *page)},
        "/v2/account/activities/{kind}": {
            "get": operation({200: activities}, part("kind", {"enum": ["FILL", "DIV"]}), *page)
        },
        "/v2/account/portfolio/history": {
            "get": operation(
                {200: schemas.HISTORY},
                query("period", {"enum": ["1D", "1W", "1M", "3M", "1A"]}),
                query("timeframe", {"enum": ["15Min", "1H", "1D"]}),
                query("extended_hours", FLAG),
            )
        },
        "/v2/orders": {
            "get": operation(
                {200: rows(schemas.ORDER)},
                query("status", {"enum": ["open", "closed", "all"]}),
                query("limit", {"type": "integer", "minimum": 1, "maximum": 500}),
                query("after", STAMP),
                query("until", STAMP),
                query("direction", {"enum": ["asc", "desc"]}),
                query("nested", FLAG),
                query("symbols", TEXT),
                query("side", SIDE),
            ),
            "post": operation({200: schemas.ORDER}, body=PLACED),
            "delete": operation({207: schemas.CANCELED}),
        },
        "/v2/orders:by_client_order_id": {
            "get": operation({200: schemas.ORDER}, query("client_order_id", TEXT, required=True))
        },
        "/v2/orders/{order_id}": {
            "get": operation({200: schemas.ORDER}, order_id, query("nested", FLAG)),
            "patch": operation({200: schemas.ORDER}, order_id, body=CHANGED),
            "delete": operation({204: None}, order_id),
        },
        "/v2/positions": {
            "get": operation({200: rows(schemas.POSITION)}),
            "delete": operation({207: schemas.CLOSED}, query("cancel_orders", FLAG)),
        },
        "/v2/positions/{symbol}": {
            "get": operation({200: schemas.POSITION}, name),
            "delete": operation(
                {200: schemas.ORDER}, name, query("qty", NUMBER), query("percentage", NUMBER)
            ),
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Trading on loopback", "version": "2"},
        "paths": paths,
    }
