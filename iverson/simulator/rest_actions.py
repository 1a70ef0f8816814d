# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers about corporate actions: splits and cash dividends of the replayed history.

They are listed from their ex-date on, or `announced_days` before it. History knows the ex-date
only, so an action is processed, and a dividend paid, on that date. CUSIPs are made up.
"""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from fractions import Fraction
from random import Random
from typing import Any

from iverson.simulator import data_query as read
from iverson.simulator.data_query import Query, Refusal, Row
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.data_view import Shown
from iverson.simulator.hours import ZONE, midnight
from iverson.simulator.market import Market

GROUPS = {
    "forward_split": "forward_splits",
    "reverse_split": "reverse_splits",
    "cash_dividend": "cash_dividends",
}
NEVER_REPLAYED = (
    "unit_split",
    "stock_dividend",
    "spin_off",
    "cash_merger",
    "stock_merger",
    "stock_and_cash_merger",
    "redemption",
    "name_change",
    "worthless_removal",
    "rights_distribution",
    "partial_call",
    "reorganization",
)
PAGE = {"default": 100, "most": 1000}


def corporate_actions(exchange: Shown, switches: DataSwitches, query: Query) -> dict[str, Any]:
    """Answer /v1/corporate-actions: by ex-date and symbol, dates of New York, today by default."""
    today = exchange.now.astimezone(ZONE).date()
    listed = [
        one
        for one in everything(exchange.market)
        if one[1] <= midnight(today + timedelta(days=switches.announced_days))
    ]
    ids = {one for one in query.get("ids", "").split(",") if one}
    if ids:
        if any(query.get(name) for name in ("symbols", "types", "start", "end")):
            raise Refusal(400, "ids cannot be combined with other filters")
        found = [one for one in listed if one[2]["id"] in ids]
    else:
        found = _filtered(listed, query, today)
    if read.choice(query, "sort", ("asc", "desc"), default="asc") == "desc":
        found.reverse()
    return _page(found, query)


def everything(market: Market) -> list[Row]:
    """Return every action of the history as (symbol, ex-date, row), by date, symbol and kind."""
    rows: list[tuple[str, date, dict[str, Any]]] = []
    for symbol in market.symbols:
        for day, ratio in market.splits(symbol).items():
            rows.append((symbol, day, _split(market, symbol, day, ratio)))
        for day, paid in market.dividends(symbol).items():
            rows.append((symbol, day, _dividend(market, symbol, day, paid)))
    rows.sort(key=lambda row: (row[1], row[0], row[2]["kind"]))
    return [(symbol, midnight(day), row) for symbol, day, row in rows]


def _filtered(listed: list[Row], query: Query, today: date) -> list[Row]:
    wanted = set(read.symbols(query, required=False))
    kinds = [one.strip() for one in query.get("types", "").split(",") if one.strip()]
    for kind in kinds:
        if kind not in GROUPS and kind not in NEVER_REPLAYED:
            raise Refusal(400, f"invalid types: {kind}")
    first = midnight(read.day(query, "start") or today)
    last = midnight(read.day(query, "end") or today)
    if first > last:
        raise Refusal(400, "end should not be before start")
    return [
        row
        for row in listed
        if first <= row[1] <= last
        and (not wanted or row[0] in wanted)
        and (not kinds or row[2]["kind"] in kinds)
    ]


def _page(found: list[Row], query: Query) -> dict[str, Any]:
    size = read.limit(query, **PAGE)
    token = query.get("page_token", "")
    if token:
        places = [number for number, row in enumerate(found) if row[2]["id"] == token]
        if not places:
            raise Refusal(400, "invalid page_token")
        found = found[places[0] + 1 :]
    grouped: dict[str, list[dict[str, Any]]] = {}
    for _, _, row in found[:size]:
        shown = {name: value for name, value in row.items() if name != "kind"}
        grouped.setdefault(GROUPS[row["kind"]], []).append(shown)
    more = found[size - 1][2]["id"] if len(found) > size else None
    return {"corporate_actions": grouped, "next_page_token": more}


def _split(market: Market, symbol: str, day: date, ratio: float) -> dict[str, Any]:
    simple = Fraction(ratio).limit_denominator(1000)
    exact = abs(float(simple) / ratio - 1) < 1e-9
    new, old = (simple.numerator, simple.denominator) if exact else (ratio, 1)
    row = _common(market, symbol, day, "forward_split" if ratio > 1 else "reverse_split")
    row |= {"new_rate": new, "old_rate": old}
    cusip = row.pop("cusip")
    if ratio > 1:
        return row | {"cusip": cusip}
    return row | {"old_cusip": cusip, "new_cusip": cusip[:-1] + "9"}


def _dividend(market: Market, symbol: str, day: date, paid: float) -> dict[str, Any]:
    row = _common(market, symbol, day, "cash_dividend")
    return row | {
        "rate": paid,
        "special": False,
        "foreign": False,
        "payable_date": day.isoformat(),
    }


def _common(market: Market, symbol: str, day: date, kind: str) -> dict[str, Any]:
    draw = Random(f"action {market.seed} {symbol} {day} {kind}")
    return {
        "kind": kind,
        "id": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "symbol": symbol,
        "cusip": f"{Random(f'cusip {symbol}').randrange(10**8):08d}0",
        "ex_date": day.isoformat(),
        "record_date": day.isoformat(),
        "process_date": day.isoformat(),
    }
