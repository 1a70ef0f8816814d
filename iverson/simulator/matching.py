# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an order first meets the way of the price: pure, one order, one bar.

The way is that of trades. The quote lies half a spread on either side, so a buy limit is met when
the price is half a spread below it. Who buys pays the ask, who sells gets the bid; a limit that is
reached fills at its price, one that is passed over before it is seen fills at the better price.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

from iverson.simulator.orders import STOPS, Order
from iverson.simulator.path import GRID, Path, Reached, trailing_stop
from iverson.simulator.settings import Switches

TICK = Decimal("0.01")
BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Touch:
    """What happens to an order at an instant.

    "fill" at `price`; "elect": a stop was reached but its limit does not let it fill; "kill": it
    had to fill at once and cannot. `elected` marks the fill of a stop.
    """

    at: datetime
    kind: Literal["fill", "elect", "kill"]
    price: Decimal
    elected: bool = False


@dataclass(frozen=True, slots=True)
class Tape:
    """One bar as orders see it: its way, whether in regular hours, whether it opens a session."""

    path: Path
    regular: bool
    opening: bool


def half_spread(price: Decimal, switches: Switches) -> Decimal:
    """Return half the bid-ask spread in dollars, rounded up to the grid."""
    return (price * switches.half_spread_bps / BPS).quantize(GRID, ROUND_CEILING)


def quoted(price: Decimal, side: str, switches: Switches) -> Decimal:
    """Return what a buyer pays (ask) or a seller gets (bid) when trades are at `price`."""
    half = half_spread(price, switches)
    return price + half if side == "buy" else price - half


def collar(side: str, kind: str, stop: Decimal | None, switches: Switches) -> Decimal | None:
    """Return the limit of a buy stop: 4 % above a stop below $50, else 2.5 %, to the tick.

    None for any other order: a sell stop takes what it gets.
    """
    if (side, kind) != ("buy", "stop") or stop is None or not switches.buy_stop_collar:
        return None
    factor = Decimal("1.04") if stop < 50 else Decimal("1.025")
    return (stop * factor).quantize(TICK if stop >= 1 else GRID, ROUND_FLOOR)


def meet(order: Order, tape: Tape, cursor: datetime, switches: Switches) -> Touch | None:
    """Return the first thing that happens to an order in a bar from `cursor` on, None if nothing.

    The order must be live. Only regular hours count, unless the order is for extended hours.
    """
    path = tape.path
    after = max(order.live_from, cursor, path.start)
    if after > path.end or not (tape.regular or order.extended_hours):
        return None
    if order.time_in_force == "cls":
        return None
    if order.time_in_force == "opg":
        return _at_the_open(order, tape, after)
    if order.type in STOPS and not order.elected:
        return _stop(order, path, after, switches)
    limit = limit_of(order)
    if limit is None:
        return Touch(after, "fill", quoted(path.price_at(after), order.side, switches))
    if order.time_in_force in ("ioc", "fok"):
        price = quoted(path.price_at(after), order.side, switches)
        return Touch(after, "fill" if within(limit, price, order.side) else "kill", price)
    return _limit(order, limit, path, after, switches)


def reach_of(order: Order, switches: Switches) -> tuple[float, float]:
    """Return the prices that a bar has to reach to matter to an order, each with a little slack.

    (at or below, at or above), -inf and inf for never; a bar that reaches neither can be skipped.
    """
    stops = order.type in STOPS and not order.elected
    level = order.stop_price if stops else limit_of(order)
    always = (math.inf, -math.inf)
    if level is None or order.type == "trailing_stop" or order.time_in_force not in ("day", "gtc"):
        return always
    slack = float(half_spread(level, switches) + GRID)
    price = float(level)
    if (order.side == "buy") == stops:
        return -math.inf, price - slack
    return price + slack, math.inf


def mark_at(order: Order, path: Path, after: datetime, until: datetime) -> tuple[Decimal, Decimal]:
    """Return a trailing stop's high-water mark and stop price when a stretch was gone."""
    mark, _ = _trail(order, path, after, until)
    percent, selling = order.trail_percent, order.side == "sell"
    fraction = None if percent is None else percent / 100
    return mark, trailing_stop(mark, dollars=order.trail_price, fraction=fraction, selling=selling)


def limit_of(order: Order) -> Decimal | None:
    """Return the price an order must not fill beyond, None if it takes any."""
    if order.type in ("limit", "stop_limit"):
        return order.limit_price
    return order.collar


def within(limit: Decimal, price: Decimal, side: str) -> bool:
    """Tell whether a price is at the limit or better."""
    return price <= limit if side == "buy" else price >= limit


def _at_the_open(order: Order, tape: Tape, after: datetime) -> Touch | None:
    if not (tape.opening and tape.regular) or after > tape.path.start:
        return None
    price, limit = tape.path.open, limit_of(order)
    allowed = limit is None or within(limit, price, order.side)
    return Touch(after, "fill" if allowed else "kill", price)


def _limit(
    order: Order, limit: Decimal, path: Path, after: datetime, switches: Switches
) -> Touch | None:
    buying = order.side == "buy"
    away = half_spread(limit, switches) + switches.through_ticks * TICK
    level = limit - away if buying else limit + away
    reached = path.reach(level, after, rising=not buying)
    if reached is None:
        return None
    if reached.price == level:
        return Touch(reached.at, "fill", limit)
    price = quoted(reached.price, order.side, switches)
    return Touch(reached.at, "fill", min(limit, price) if buying else max(limit, price))


def _stop(order: Order, path: Path, after: datetime, switches: Switches) -> Touch | None:
    if order.type == "trailing_stop":
        _, reached = _trail(order, path, after, path.end)
    else:
        assert order.stop_price is not None, f"order {order.id} has no stop"
        early = half_spread(order.stop_price, switches) * (switches.stop_election == "quote")
        level = order.stop_price - early if order.side == "buy" else order.stop_price + early
        reached = path.reach(level, after, rising=order.side == "buy")
    if reached is None:
        return None
    price, limit = quoted(reached.price, order.side, switches), limit_of(order)
    allowed = limit is None or within(limit, price, order.side)
    return Touch(reached.at, "fill" if allowed else "elect", price, elected=True)


def _trail(
    order: Order, path: Path, after: datetime, until: datetime
) -> tuple[Decimal, Reached | None]:
    assert order.hwm is not None, f"order {order.id} trails nothing"
    percent = order.trail_percent
    return path.trail(
        after,
        until,
        mark=order.hwm,
        dollars=order.trail_price,
        fraction=None if percent is None else percent / 100,
        selling=order.side == "sell",
    )
