# SPDX-License-Identifier: GPL-3.0-or-later
"""From our words to Alpaca's: names, prices and the bodies of orders. Pure.

Prices leave as decimal strings on the price grid and sizes as whole numbers, so that no float is
ever rounded by somebody else. The way back is `states`.
"""

from __future__ import annotations

import base64
import hashlib
import math
from datetime import UTC, datetime
from typing import Any, Literal

from iverson.errors import ConfigError
from iverson.execution.orders import CHEAPEST
from iverson.execution.ticks import round_down, round_up
from iverson.model import Bracket, OrderSide

PREFIX = "iv1-"
DRILL_PREFIX = "ivd-"  # of drills: no name of a decision can be one of theirs

Kind = Literal["market", "limit", "stop", "stop_limit", "trailing_stop"]
Body = dict[str, Any]


def client_order_id(
    *,
    account: str,
    strategy: str,
    symbol: str,
    at: datetime,
    leg: str,
    attempt: int = 1,
    prefix: str = PREFIX,
) -> str:
    """Return the name of an order: the same decision has the same name in every process.

    Alpaca keeps names reserved for ever, so a decision cannot be sent twice, whatever happens.
    `attempt` grows only when an earlier order of the same decision has certainly ended. 36 of the
    allowed 128 characters: the prefix and 160 bits of SHA-256 in base 32.
    """
    if at.tzinfo is None:
        raise ConfigError(f"{at} has no time zone; an instant must be tz-aware UTC")
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")
    named = "|".join((account, strategy, symbol, stamp, leg, str(attempt)))
    digest = base64.b32encode(hashlib.sha256(named.encode()).digest()).decode()
    return prefix + digest[:32].lower()


def is_ours(name: str | None) -> bool:
    """Whether an order's client id was made by Iverson."""
    return bool(name) and str(name).startswith(PREFIX)


def price_text(price: float, *, up: bool) -> str:
    """Return a price as Alpaca takes it: on the grid, two decimals from a dollar up, else four."""
    if not (math.isfinite(price) and price > 0):
        raise ConfigError(f"price is {price!r}; expected a finite price above 0")
    rounded = (round_up(price) if up else round_down(price)) or CHEAPEST
    return f"{rounded:.2f}" if rounded >= 1 else f"{rounded:.4f}"


def size_text(size: float) -> str:
    """Return a size as Alpaca takes it: whole shares above 0."""
    if not math.isfinite(size) or size != int(size) or size <= 0:
        raise ConfigError(f"size is {size!r}; expected a whole number of shares above 0")
    return str(int(size))


def bracket_body(bracket: Bracket, *, name: str) -> Body:
    """Return the body of one POST for an entry with its protection.

    Good till canceled, because the legs inherit the entry's time in force and a stop that ends
    with the day protects nobody overnight; the entry's own expiry is ours to enforce
    (`Bracket.valid_until`). Without a target it is one-triggers-other: the stop alone.
    """
    buys = bracket.side == "long"
    body: Body = {
        "symbol": bracket.symbol,
        "qty": size_text(bracket.size),
        "side": "buy" if buys else "sell",
        "type": "limit",
        "limit_price": price_text(bracket.limit, up=not buys),
        "time_in_force": "gtc",
        "order_class": "oto" if bracket.target is None else "bracket",
        "stop_loss": {"stop_price": price_text(bracket.stop, up=buys)},
        "client_order_id": name,
    }
    if bracket.target is not None:
        body["take_profit"] = {"limit_price": price_text(bracket.target, up=buys)}
    return body


def protection_body(
    *, symbol: str, size: int, side: OrderSide, stop: float, target: float | None, name: str
) -> Body:
    """Return the body that protects shares already held: one-cancels-other, or a stop alone."""
    sells = side == "sell"
    body: Body = {
        "symbol": symbol,
        "qty": size_text(size),
        "side": side,
        "time_in_force": "gtc",
        "client_order_id": name,
    }
    stop_price = price_text(stop, up=sells)
    if target is None:
        return body | {"type": "stop", "stop_price": stop_price}
    return body | {
        "type": "limit",
        "order_class": "oco",
        "take_profit": {"limit_price": price_text(target, up=sells)},
        "stop_loss": {"stop_price": stop_price},
    }


def order_body(
    *,
    symbol: str,
    side: OrderSide,
    size: int,
    kind: Kind,
    name: str,
    day: bool = False,
    limit: float | None = None,
    stop: float | None = None,
    trail: float | None = None,
    trail_fraction: float | None = None,
) -> Body:
    """Return the body of a plain order; `trail_fraction` is a fraction, Alpaca wants percent.

    Rounded as the simulated broker does: limits to the harder fill, stops to the worse price.
    """
    buys = side == "buy"
    body: Body = {
        "symbol": symbol,
        "qty": size_text(size),
        "side": side,
        "type": kind,
        "time_in_force": "day" if day else "gtc",
        "client_order_id": name,
    }
    if kind in ("limit", "stop_limit"):
        body["limit_price"] = price_text(_given(limit, kind, "a limit"), up=not buys)
    if kind in ("stop", "stop_limit"):
        body["stop_price"] = price_text(_given(stop, kind, "a stop price"), up=buys)
    if kind == "trailing_stop":
        if (trail is None) == (trail_fraction is None):
            raise ConfigError("a trailing stop needs either a distance in dollars or a fraction")
        if trail is not None:
            body["trail_price"] = price_text(trail, up=True)
        else:
            body["trail_percent"] = f"{100 * _given(trail_fraction, kind, 'a fraction'):.4f}"
    return body


def _given(value: float | None, kind: str, what: str) -> float:
    if value is None:
        raise ConfigError(f"a {kind} order needs {what}")
    return value
