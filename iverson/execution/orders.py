# SPDX-License-Identifier: GPL-3.0-or-later
"""One Backtrader order: its price grid, its size, what it may pay. No broker, no account."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt

from iverson.execution.ticks import round_down, round_up

STOPS = (bt.Order.Stop, bt.Order.StopTrail, bt.Order.StopLimit, bt.Order.StopTrailLimit)
STOP_LIMITS = (bt.Order.StopLimit, bt.Order.StopTrailLimit)
TRAILS = (bt.Order.StopTrail, bt.Order.StopTrailLimit)
UNPRICED = (bt.Order.Market, bt.Order.Close)
CHEAPEST = 0.0001  # dollars: the lowest price there is
_A_DAY = 1.0 - 1e-6  # days: to the end of a date, short of the next one


def prepare(order: Any, *, mark: float, now: float) -> None:
    """Bring a new order into the broker's terms: raw dollars, whole shares, the grid, the time.

    Backtrader takes a price that was not given from the price line, which a split has rescaled
    (`mark` is the raw close), dates an order by its symbol's last bar, and turns a validity that
    is a plain date into its midnight, before the session.
    """
    order.created.dt = now
    order.created.pclose = mark
    if not order.price and not order.pricelimit:
        order.created.price = mark
        if order.exectype in TRAILS:
            order.created.price = math.inf if order.isbuy() else -math.inf
            order.trailadjust(mark)
    if order.valid and float(order.valid).is_integer():
        order.valid += _A_DAY
    resize(order, int(abs(order.created.size) + 1e-9))
    to_grid(order)


def is_faulty(order: Any) -> bool:
    """Whether an order has no shares, or lacks a price above 0 that it needs."""
    if not order.created.size:
        return True
    if order.exectype in UNPRICED:
        return False
    prices = [order.created.price]
    if order.exectype in STOP_LIMITS:
        prices.append(order.created.pricelimit)
    return not all(math.isfinite(price) and price > 0 for price in prices)


def resize(order: Any, size: int) -> None:
    """Change an order's total size, keeping what was executed; `size` is positive."""
    signed = size if order.isbuy() else -size
    order.size = order.created.size = signed
    order.executed.remsize = signed - order.executed.size


def limit_price(order: Any) -> float | None:
    """Return the worst price an order accepts, None when it takes any."""
    if order.exectype in STOP_LIMITS:
        return float(order.created.pricelimit)
    return float(order.created.price) if order.exectype == bt.Order.Limit else None


def taken_price(order: Any, price: float, half_spread: float) -> float:
    """Return what a taker pays: half the spread worse, on the grid, never beyond its limit."""
    limit = limit_price(order)
    if order.isbuy():
        paid = round_up(price + half_spread)
        return paid if limit is None else min(paid, limit)
    paid = max(round_down(price - half_spread), CHEAPEST)
    return paid if limit is None else max(paid, limit)


def to_grid(order: Any) -> None:
    """Put an order's prices on the grid: limits the harder to fill, stops the worse to pay."""
    if order.exectype in UNPRICED:
        return
    harder, worse = (round_down, round_up) if order.isbuy() else (round_up, round_down)
    created = order.created
    if order.exectype == bt.Order.Limit:
        created.price = _rounded(created.price, harder)
        return
    created.price = _rounded(created.price, worse)
    if order.exectype in STOP_LIMITS:
        created.pricelimit = _rounded(created.pricelimit, harder)


def trail(order: Any, close: float) -> None:
    """Let a trailing stop follow a close."""
    order.trailadjust(close)
    to_grid(order)


def convert(order: Any, ratio: float) -> None:
    """Re-price an order through a split that makes `ratio` shares of one."""
    order.created.price /= ratio
    if order.created.pricelimit:
        order.created.pricelimit /= ratio
    if order.trailamount:
        order.trailamount = order.trailamount / ratio
    order._limitoffset /= ratio  # noqa: SLF001 (Backtrader's)
    to_grid(order)


def _rounded(price: float, rounding: Any) -> float:
    return float(rounding(price)) if price and math.isfinite(price) else price
