# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers about clock, calendar, assets and market data have to look like.

Written from Alpaca's documentation in JSON Schema, more strictly than it: no other fields.
"""

from __future__ import annotations

import re
from typing import Any

from jsonschema import Draft202012Validator

STAMP = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$",
}
UTC_STAMP = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"}
DATE = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d$"}
PRICE = {"type": "number", "exclusiveMinimum": 0}
COUNT = {"type": "integer", "minimum": 0}
TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
TOKEN = {"type": ["string", "null"]}
IDENTIFIER = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
CUSIP = {"type": "string", "pattern": "^[0-9A-Z]{9}$"}


def record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


def by_symbol(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": item}


CLOCK = record({"timestamp": STAMP, "is_open": FLAG, "next_open": STAMP, "next_close": STAMP})
HOUR = {"type": "string", "pattern": r"^\d\d:\d\d$"}
SHORT_HOUR = {"type": "string", "pattern": r"^\d{4}$"}
CALENDAR = list_of(
    record(
        {
            "date": DATE,
            "open": HOUR,
            "close": HOUR,
            "session_open": SHORT_HOUR,
            "session_close": SHORT_HOUR,
            "settlement_date": DATE,
        }
    )
)
MARKET = record({"acronym": TEXT, "name": TEXT, "timezone": TEXT, "mic": TEXT})
CLOCKS = record(
    {
        "clocks": list_of(
            record(
                {
                    "market": MARKET,
                    "timestamp": STAMP,
                    "is_market_day": FLAG,
                    "next_market_open": STAMP,
                    "next_market_close": STAMP,
                    "phase": {"enum": ["closed", "pre", "core", "lunch", "post"]},
                    "phase_until": STAMP,
                }
            )
        )
    }
)
EDGES = ("pre_start", "pre_end", "core_start", "core_end", "post_start", "post_end")
MARKET_CALENDAR = record(
    {
        "market": MARKET,
        "calendar": list_of(
            record({"date": DATE, "settlement_date": DATE} | dict.fromkeys(EDGES, STAMP))
        ),
    }
)
ASSET = record(
    {
        "id": IDENTIFIER,
        "class": {"const": "us_equity"},
        "exchange": {"enum": ["AMEX", "ARCA", "BATS", "NYSE", "NASDAQ", "NYSEARCA", "OTC"]},
        "symbol": TEXT,
        "name": {"type": "string", "minLength": 1},
        "status": {"enum": ["active", "inactive"]},
        "tradable": FLAG,
        "marginable": FLAG,
        "shortable": FLAG,
        "easy_to_borrow": FLAG,
        "fractionable": FLAG,
        "borrow_status": {"enum": ["easy_to_borrow", "hard_to_borrow"]},
        "maintenance_margin_requirement": {"type": "number"},
        "margin_requirement_long": {"type": "string", "pattern": r"^\d+(\.\d+)?$"},
        "margin_requirement_short": {"type": "string", "pattern": r"^\d+(\.\d+)?$"},
        "attributes": list_of(TEXT),
    }
)
BAR = record(
    {
        "t": UTC_STAMP,
        "o": PRICE,
        "h": PRICE,
        "l": PRICE,
        "c": PRICE,
        "v": COUNT,
        "n": COUNT,
        "vw": PRICE,
    }
)
TRADE = record(
    {
        "t": UTC_STAMP,
        "i": COUNT,
        "x": TEXT,
        "p": PRICE,
        "s": COUNT,
        "c": list_of(TEXT),
        "z": {"enum": ["A", "B", "C", "N", "O"]},
    }
)
QUOTE = record(
    {
        "t": UTC_STAMP,
        "bx": TEXT,
        "bp": PRICE,
        "bs": COUNT,
        "ax": TEXT,
        "ap": PRICE,
        "as": COUNT,
        "c": list_of(TEXT),
        "z": {"enum": ["A", "B", "C", "N", "O"]},
    }
)
SHOT = {
    "latestTrade": TRADE,
    "latestQuote": QUOTE,
    "minuteBar": BAR,
    "dailyBar": BAR,
    "prevDailyBar": BAR,
}
ARTICLE = record(
    {
        "id": {"type": "integer"},
        "headline": {"type": "string", "minLength": 1},
        "author": TEXT,
        "created_at": UTC_STAMP,
        "updated_at": UTC_STAMP,
        "summary": TEXT,
        "content": TEXT,
        "images": {"type": "array"},
        "symbols": list_of(TEXT),
        "source": TEXT,
        "url": {"type": ["string", "null"]},
    }
)
ACTION = {
    "id": IDENTIFIER,
    "symbol": TEXT,
    "process_date": DATE,
    "ex_date": DATE,
    "record_date": DATE,
}
RATES = {"new_rate": {"type": "number"}, "old_rate": {"type": "number"}}
FORWARD = record({**ACTION, **RATES, "cusip": CUSIP})
REVERSE = record({**ACTION, **RATES, "old_cusip": CUSIP, "new_cusip": CUSIP})
DIVIDEND = record(
    {
        **ACTION,
        "cusip": CUSIP,
        "rate": PRICE,
        "special": FLAG,
        "foreign": FLAG,
        "payable_date": DATE,
    }
)
ACTIONS = record(
    {
        "corporate_actions": record(
            {},
            {
                "forward_splits": list_of(FORWARD),
                "reverse_splits": list_of(REVERSE),
                "cash_dividends": list_of(DIVIDEND),
            },
        ),
        "next_page_token": TOKEN,
    }
)


def _past(name: str, item: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    one, many = f"/v2/stocks/[^/]+/{name}", f"/v2/stocks/{name}"
    token = {"next_page_token": TOKEN}
    return [
        (f"{many}/latest", record({name: by_symbol(item)})),
        (f"{one}/latest", record({name[:-1]: item, "symbol": TEXT})),
        (many, record({name: by_symbol(list_of(item)), **token})),
        (one, record({name: list_of(item), "symbol": TEXT, **token})),
    ]


SCHEMAS = [
    ("/v2/clock", CLOCK),
    ("/v2/calendar", CALENDAR),
    ("/v3/clock", CLOCKS),
    ("/v3/calendar/[^/]+", MARKET_CALENDAR),
    ("/v2/assets", list_of(ASSET)),
    ("/v2/assets/.+", ASSET),
    *_past("bars", BAR),
    *_past("trades", TRADE),
    *_past("quotes", QUOTE),
    ("/v2/stocks/snapshots", by_symbol(record({}, SHOT))),
    ("/v2/stocks/[^/]+/snapshot", record({"symbol": TEXT}, SHOT)),
    ("/v1beta1/news", record({"news": list_of(ARTICLE), "next_page_token": TOKEN})),
    ("/v1/corporate-actions", ACTIONS),
]


def check(path: str, body: object) -> None:
    """Hold the answer to a request against the schema of its path."""
    for pattern, schema in SCHEMAS:
        if re.fullmatch(pattern, path):
            Draft202012Validator(schema).validate(body)
            return
    raise AssertionError(f"no schema for {path}")
