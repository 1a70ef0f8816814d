# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers of the trading API about what is the same for everybody: clock, calendar, assets."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from iverson.simulator import data_query as read
from iverson.simulator import hours
from iverson.simulator.assets import Asset
from iverson.simulator.data_query import Query, Refusal
from iverson.simulator.data_view import Shown
from iverson.simulator.hours import ZONE

NOT_FOUND = 40410000
ONE_WEEK = timedelta(days=7)


def clock(exchange: Shown) -> dict[str, Any]:
    """Answer /v2/clock, at the simulated now."""
    return hours.clock(exchange.now)


def calendar(query: Query) -> list[dict[str, str]]:
    """Answer /v2/calendar: sessions from start to end, both included, 1970 to 2029 without."""
    kind = read.choice(query, "date_type", ("TRADING", "SETTLEMENT"), default="TRADING")
    first, last = read.day(query, "start"), read.day(query, "end")
    return hours.calendar_days(first, last, by_settlement=kind == "SETTLEMENT")


def market_clocks(exchange: Shown, query: Query) -> dict[str, Any]:
    """Answer /v3/clock, for the US equity markets; at another instant if `time` names one."""
    at = read.instant(query, "time") or exchange.now
    if not hours.midnight(hours.FIRST) <= at <= hours.midnight(hours.LAST):
        raise Refusal(400, f"invalid time: {query['time']}")
    named = [one for one in query.get("markets", "NYSE").split(",") if one.strip()]
    return {"clocks": [hours.market_clock(_market(one), at) for one in named]}


def market_calendar(exchange: Shown, query: Query) -> dict[str, Any]:
    """Answer /v3/calendar/{market}: today by default, and a week from the start."""
    zone = read.choice(query, "timezone", ("UTC", ""), default="")
    first = read.day(query, "start") or exchange.now.astimezone(ZONE).date()
    last = read.day(query, "end") or min(first, date.max - ONE_WEEK) + ONE_WEEK
    return hours.market_calendar(_market(query["market"]), first, last, utc=zone == "UTC")


def assets(exchange: Shown, query: Query) -> list[dict[str, Any]]:
    """Answer /v2/assets, filtered by status, class, exchange and attributes."""
    if query.get("asset_class", "") not in ("", "us_equity"):
        return []
    status, venue = query.get("status", ""), query.get("exchange", "")
    attributes = {one for one in query.get("attributes", "").split(",") if one}
    return [
        asset_row(asset)
        for asset in exchange.market.assets
        if status in ("", asset.status)
        and venue in ("", asset.exchange)
        and (not attributes or attributes.intersection(asset.attributes))
    ]


def asset(exchange: Shown, query: Query) -> dict[str, Any]:
    """Answer /v2/assets/{symbol or id}; 404 for what is not listed."""
    name = query["name"]
    found = exchange.market.asset(name) or next(
        (one for one in exchange.market.assets if one.id == name.lower()), None
    )
    if found is None:
        raise Refusal(404, f"asset not found for {name}", code=NOT_FOUND)
    return asset_row(found)


def asset_row(one: Asset) -> dict[str, Any]:
    """Write an asset, with the old flag and the new name of how easy it is to borrow."""
    margin = f"{100 * one.maintenance_margin:g}"
    return {
        "id": one.id,
        "class": "us_equity",
        "exchange": one.exchange,
        "symbol": one.symbol,
        "name": one.name or one.symbol,
        "status": one.status,
        "tradable": one.tradable,
        "marginable": one.marginable,
        "shortable": one.shortable,
        "easy_to_borrow": one.easy_to_borrow,
        "borrow_status": "easy_to_borrow" if one.easy_to_borrow else "hard_to_borrow",
        "fractionable": one.fractionable,
        "maintenance_margin_requirement": float(margin),
        "margin_requirement_long": margin,
        "margin_requirement_short": margin,
        "attributes": list(one.attributes),
    }


def _market(text: str) -> str:
    found = hours.market_named(text)
    if found is None:
        raise Refusal(400, f"invalid market: {text}; this simulator has {', '.join(hours.MARKETS)}")
    return found
