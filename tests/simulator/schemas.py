# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers and updates about trading have to look like.

Written from Alpaca's documentation in JSON Schema, more strictly than it: no other fields.
"""

from __future__ import annotations

import re
from typing import Any

from jsonschema import Draft202012Validator

from iverson.simulator.orders import TRANSITIONS
from tests.simulator.schemas_data import (
    DATE,
    FLAG,
    IDENTIFIER,
    TEXT,
    UTC_STAMP,
    check,
    list_of,
    record,
)

NUMBER = {"type": "string", "pattern": r"^-?\d+(\.\d{1,9})?$"}
AMOUNT = {"type": "string", "pattern": r"^\d+(\.\d{1,9})?$"}
# Alpaca's, and `done_for_day` and others that this exchange never gives.
STATUS = {"enum": sorted(TRANSITIONS)}


def maybe(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


ORDER_FIELDS: dict[str, Any] = {
    "id": IDENTIFIER,
    "client_order_id": {"type": "string", "minLength": 1, "maxLength": 128},
    "created_at": UTC_STAMP,
    "updated_at": UTC_STAMP,
    "submitted_at": UTC_STAMP,
    "filled_at": maybe(UTC_STAMP),
    "expired_at": maybe(UTC_STAMP),
    "expires_at": UTC_STAMP,
    "canceled_at": maybe(UTC_STAMP),
    "failed_at": maybe(UTC_STAMP),
    "replaced_at": maybe(UTC_STAMP),
    "replaced_by": maybe(IDENTIFIER),
    "replaces": maybe(IDENTIFIER),
    "asset_id": IDENTIFIER,
    "symbol": TEXT,
    "asset_class": {"const": "us_equity"},
    "notional": maybe(AMOUNT),
    "qty": maybe(AMOUNT),
    "filled_qty": AMOUNT,
    "filled_avg_price": maybe(AMOUNT),
    "order_class": {"enum": ["simple", "bracket", "oco", "oto"]},
    "order_type": {"enum": ["market", "limit", "stop", "stop_limit", "trailing_stop"]},
    "type": {"enum": ["market", "limit", "stop", "stop_limit", "trailing_stop"]},
    "side": {"enum": ["buy", "sell"]},
    "position_intent": {"enum": ["buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"]},
    "time_in_force": {"enum": ["day", "gtc", "ioc", "fok", "opg", "cls"]},
    "limit_price": maybe(AMOUNT),
    "stop_price": maybe(AMOUNT),
    "status": STATUS,
    "extended_hours": FLAG,
    "trail_percent": maybe(AMOUNT),
    "trail_price": maybe(AMOUNT),
    "hwm": maybe(AMOUNT),
    "ratio_qty": {"type": "null"},
    "subtag": {"type": "null"},
    "source": {"type": "null"},
}
LEG = record(ORDER_FIELDS | {"legs": {"type": "null"}})
ORDER = record(ORDER_FIELDS | {"legs": maybe({**list_of(LEG), "minItems": 1})})

ACCOUNT = record(
    {
        "id": IDENTIFIER,
        "account_number": TEXT,
        "status": {"const": "ACTIVE"},
        "crypto_status": TEXT,
        "currency": {"const": "USD"},
        "cash": NUMBER,
        "equity": NUMBER,
        "portfolio_value": NUMBER,
        "last_equity": NUMBER,
        "long_market_value": AMOUNT,
        "short_market_value": NUMBER,
        "initial_margin": AMOUNT,
        "maintenance_margin": AMOUNT,
        "last_maintenance_margin": AMOUNT,
        "multiplier": {"enum": ["1", "2", "4"]},
        "buying_power": AMOUNT,
        "regt_buying_power": AMOUNT,
        "non_marginable_buying_power": AMOUNT,
        "options_buying_power": AMOUNT,
        "options_approved_level": {"const": 0},
        "options_trading_level": {"const": 0},
        "sma": NUMBER,
        "accrued_fees": AMOUNT,
        "pending_reg_taf_fees": AMOUNT,
        "pending_transfer_in": AMOUNT,
        "pending_transfer_out": AMOUNT,
        "intraday_adjustments": NUMBER,
        "balance_asof": DATE,
        "created_at": UTC_STAMP,
        "shorting_enabled": FLAG,
        "trading_blocked": FLAG,
        "transfers_blocked": FLAG,
        "account_blocked": FLAG,
        "trade_suspended_by_user": FLAG,
    },
)
CONFIGURATION = record(
    {
        "fractional_trading": FLAG,
        "max_margin_multiplier": {"enum": ["1", "2", "4"]},
        "no_shorting": FLAG,
        "suspend_trade": FLAG,
        "trade_confirm_email": {"enum": ["all", "none"]},
        "ptp_no_exception_entry": FLAG,
        "disable_overnight_trading": FLAG,
    }
)
POSITION = record(
    {
        "asset_id": IDENTIFIER,
        "symbol": TEXT,
        "exchange": TEXT,
        "asset_class": {"const": "us_equity"},
        "asset_marginable": FLAG,
        "side": {"enum": ["long", "short"]},
        "qty": NUMBER,
        "qty_available": NUMBER,
        "avg_entry_price": AMOUNT,
        "cost_basis": NUMBER,
        "market_value": NUMBER,
        "current_price": AMOUNT,
        "lastday_price": AMOUNT,
        "change_today": {"type": "string"},
        "unrealized_pl": NUMBER,
        "unrealized_plpc": {"type": "string"},
        "unrealized_intraday_pl": NUMBER,
        "unrealized_intraday_plpc": {"type": "string"},
    }
)
ACTIVITY_ID = {
    "type": "string",
    "pattern": r"^\d{17}::[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
}
EXECUTION = record(
    {
        "id": ACTIVITY_ID,
        "account_id": IDENTIFIER,
        "activity_type": {"const": "FILL"},
        "transaction_time": UTC_STAMP,
        "type": {"enum": ["fill", "partial_fill"]},
        "price": AMOUNT,
        "qty": AMOUNT,
        "side": {"enum": ["buy", "sell", "sell_short"]},
        "symbol": TEXT,
        "leaves_qty": AMOUNT,
        "cum_qty": AMOUNT,
        "order_id": IDENTIFIER,
        "order_status": {"enum": ["filled", "partially_filled"]},
    }
)
OTHER_ACTIVITY = record(
    {
        "id": ACTIVITY_ID,
        "account_id": IDENTIFIER,
        "activity_type": {"enum": ["CSD", "CSW", "DIV", "FEE", "SPLIT", "CIL"]},
        "date": DATE,
        "created_at": UTC_STAMP,
        "net_amount": NUMBER,
        "description": TEXT,
        "currency": {"const": "USD"},
        "status": {"const": "executed"},
    },
    {"symbol": TEXT, "qty": NUMBER, "per_share_amount": AMOUNT},
)
COLUMN = list_of({"type": "number"})
HISTORY = record(
    {
        "timestamp": list_of({"type": "integer"}),
        "equity": COLUMN,
        "profit_loss": COLUMN,
        "profit_loss_pct": COLUMN,
        "base_value": {"type": "number"},
        "timeframe": {"enum": ["1Min", "5Min", "15Min", "1H", "1D"]},
        "cashflow": {"type": "object", "maxProperties": 0},
    },
    {"base_value_asof": DATE},
)
CANCELED = list_of(record({"id": IDENTIFIER, "status": {"enum": [200, 500]}}))
ERROR = {
    "type": "object",
    "properties": {"code": {"type": "integer"}, "message": {"type": "string", "minLength": 1}},
    "required": ["message"],
    "additionalProperties": {"anyOf": [TEXT, list_of(IDENTIFIER)]},
}
CLOSED = list_of(
    record(
        {
            "symbol": TEXT,
            "status": {"type": "integer"},
            "body": {"anyOf": [ORDER, ERROR]},
        }
    )
)
UPDATE = {
    "type": "object",
    "properties": {
        "stream": {"const": "trade_updates"},
        "data": record(
            {
                "event": TEXT,
                "execution_id": maybe(IDENTIFIER),
                "timestamp": UTC_STAMP,
                "order": ORDER,
            },
            {"price": AMOUNT, "qty": AMOUNT, "position_qty": NUMBER},
        ),
    },
    "required": ["stream", "data"],
    "additionalProperties": False,
}

IDENTIFIED = r"/v2/orders/[^/]+"
ANSWERS: list[tuple[str, str, int, dict[str, Any]]] = [
    ("GET", r"/v2/account", 200, ACCOUNT),
    ("GET|PATCH", r"/v2/account/configurations", 200, CONFIGURATION),
    ("GET", r"/v2/account/activities(/\w+)?", 200, list_of({"anyOf": [EXECUTION, OTHER_ACTIVITY]})),
    ("GET", r"/v2/account/portfolio/history", 200, HISTORY),
    ("GET", r"/v2/orders", 200, list_of(ORDER)),
    ("POST", r"/v2/orders", 200, ORDER),
    ("DELETE", r"/v2/orders", 207, CANCELED),
    ("GET", r"/v2/orders:by_client_order_id", 200, ORDER),
    ("GET|PATCH", IDENTIFIED, 200, ORDER),
    ("GET", r"/v2/positions", 200, list_of(POSITION)),
    ("DELETE", r"/v2/positions", 207, CLOSED),
    ("GET", r"/v2/positions/[^/]+", 200, POSITION),
    ("DELETE", r"/v2/positions/[^/]+", 200, ORDER),
]
VALIDATORS = [
    (re.compile(method), re.compile(path), status, Draft202012Validator(schema))
    for method, path, status, schema in ANSWERS
]
ERRORS, UPDATES = Draft202012Validator(ERROR), Draft202012Validator(UPDATE)


def check_answer(method: str, path: str, status: int, content: Any) -> None:
    """Hold an answer of the trading API against its schema; what is not known is an error."""
    for methods, paths, expected, validator in VALIDATORS:
        if methods.fullmatch(method) and paths.fullmatch(path) and status < 300:
            assert status == expected, f"{method} {path} answered {status}, not {expected}"
            validator.validate(content)
            return
    if status < 300:
        check(path, content)
    else:
        ERRORS.validate(content)


def check_update(message: Any) -> None:
    """Hold a message of the trading stream against its schema."""
    UPDATES.validate(message)
