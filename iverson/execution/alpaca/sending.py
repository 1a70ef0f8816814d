# SPDX-License-Identifier: GPL-3.0-or-later
"""From Backtrader's orders to the body of a request: which kinds there are, and which are refused.

What Alpaca would refuse, or would understand otherwise than Backtrader, is refused here with a
sentence, before anything is sent.
"""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt

from iverson.errors import ConfigError
from iverson.execution.alpaca.wire import (
    Body,
    Kind,
    bracket_body,
    order_body,
    price_text,
    size_text,
)
from iverson.execution.groups import Group
from iverson.execution.orders import STOPS
from iverson.market.calendar import new_york
from iverson.market.moments import moment, number_of
from iverson.model import Bracket, OrderSide

KINDS: dict[int, Kind] = {
    bt.Order.Market: "market",
    bt.Order.Limit: "limit",
    bt.Order.Stop: "stop",
    bt.Order.StopLimit: "stop_limit",
    bt.Order.StopTrail: "trailing_stop",
}


def body_of(group: Group, name: str) -> Body:
    """Return the one request that places a group; `ConfigError` when there is none."""
    bracket = group.entry.info.get("bracket")
    if isinstance(bracket, Bracket):
        return bracket_body(bracket, name=name)
    legs = [leg for leg in group.legs if leg.exectype != bt.Order.Close]
    day = not legs and ends_with_session(group.entry)  # legs would inherit it, and end too
    body = plain_body(group.entry, size=abs(group.entry.created.size), name=name, day=day)
    return body | _protection(group.entry, legs, body) if legs else body


def ends_with_session(order: Any) -> bool:
    """Whether an order made within a session is valid until its end, and no longer."""
    if not order.valid:
        return False
    calendar, at = new_york(), moment(order.created.dt).at
    session = calendar.session_of(at)
    close, following = calendar.close_at(session), calendar.next_open(at)
    is_open = calendar.open_at(session) <= at < close
    return is_open and number_of(close) <= order.valid < number_of(following)


def plain_body(order: Any, *, size: int, name: str, day: bool = False) -> Body:
    """Return the request for one order of Backtrader's; `day`: the venue itself ends it."""
    kind = KINDS.get(order.exectype)
    if kind is None:
        raise ConfigError(
            f"Alpaca has no {order.getordername()} order; use Market, Limit, Stop, StopLimit or "
            "StopTrail"
        )
    created = order.created
    stop_limit = order.exectype == bt.Order.StopLimit
    return order_body(
        symbol=order.data._name,
        side=side_of(order),
        size=size,
        kind=kind,
        name=name,
        day=day,
        limit=created.pricelimit if stop_limit else created.price,
        stop=created.price,
        # Backtrader has put a price of its own on a trailing stop: only its distance is sent.
        trail=order.trailamount or None,
        trail_fraction=order.trailpercent or None,
    )


def side_of(order: Any) -> OrderSide:
    """Return the side of an order."""
    return "buy" if order.isbuy() else "sell"


def _protection(entry: Any, legs: list[Any], body: Body) -> Body:
    if entry.exectype not in (bt.Order.Market, bt.Order.Limit):
        raise ConfigError(
            f"Alpaca takes brackets only around Market and Limit entries, not around "
            f"{entry.getordername()}; send the protection once the entry has filled"
        )
    stops = [leg for leg in legs if leg.exectype in (bt.Order.Stop, bt.Order.StopLimit)]
    targets = [leg for leg in legs if leg.exectype == bt.Order.Limit]
    if len(stops) > 1 or len(targets) > 1 or len(stops) + len(targets) < len(legs):
        raise ConfigError(
            "an Alpaca bracket has one Stop or StopLimit leg and one Limit leg at most"
        )
    up = entry.isbuy()
    more: Body = {"order_class": "bracket" if stops and targets else "oto"}
    for leg in targets:
        more["take_profit"] = {"limit_price": price_text(leg.created.price, up=up)}
    for leg in stops:
        more["stop_loss"] = {"stop_price": price_text(leg.created.price, up=up)}
        if leg.exectype == bt.Order.StopLimit:
            more["stop_loss"]["limit_price"] = price_text(leg.created.pricelimit, up=up)
    more["qty"] = size_text(float(body["qty"]))
    return more


def stop_of(group: Group) -> Any | None:
    """Return the living protective order of a group."""
    return next((leg for leg in group.legs if leg.exectype in STOPS and leg.alive()), None)


def target_of(group: Group) -> Any | None:
    """Return the living profit target of a group."""
    kind = bt.Order.Limit
    return next((leg for leg in group.legs if leg.exectype == kind and leg.alive()), None)


def marketable(price: float, collar: float, *, buy: bool) -> float:
    """Return a limit that takes what the market offers, up to `collar` (a fraction) away."""
    if not (math.isfinite(price) and price > 0):
        raise ConfigError(f"no price to leave at: the last one is {price!r}")
    return price * (1 + collar) if buy else max(price * (1 - collar), 0.0001)
