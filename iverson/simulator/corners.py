# SPDX-License-Identifier: GPL-3.0-or-later
"""What the exchange does when its day turns a corner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from iverson.simulator.bookings import charge_fees
from iverson.simulator.brackets import end_order
from iverson.simulator.corporate import overnight
from iverson.simulator.events import ClockEdge
from iverson.simulator.floor import Floor
from iverson.simulator.intake import release
from iverson.simulator.lifecycle import fill, request_cancel, wanted
from iverson.simulator.matching import limit_of, within
from iverson.simulator.orders import Order
from iverson.simulator.schedule import Edge


def turn(floor: Floor, edge: Edge) -> None:
    """Do what is due at an edge; the clock already stands there."""
    floor.emit(ClockEdge(edge.name, edge.session, edge.at))
    match edge.name:
        case "overnight":
            overnight(floor, edge.session)
        case "pre":
            _recall_shorts(floor)
            if floor.switches.queued_until == "04:00":
                _release(floor, edge.session)
            else:
                _release(floor, edge.session, extended_only=True)
        case "open":
            _release(floor, edge.session)
        case "close":
            _closing_auction(floor, edge.session)
            _expire(floor, lambda one: not one.extended_hours, edge.session)
            _strike_balance(floor, edge.session)
        case "aged":
            _cancel_aged(floor)
        case "after":
            _expire(floor, lambda one: one.extended_hours, edge.session)
            charge_fees(floor)


def _living(floor: Floor) -> list[Order]:
    orders = [floor.orders[i] for ids in floor.alive.values() for i in ids]
    return sorted(orders, key=lambda one: one.number)


def _release(floor: Floor, session: date, *, extended_only: bool = False) -> None:
    for order in _living(floor):
        due = order.time_in_force == "gtc" or order.valid_session <= session
        if order.status == "accepted" and due and (order.extended_hours or not extended_only):
            release(floor, order)


def _recall_shorts(floor: Floor) -> None:
    """Cancel orders that would open shorts in what has become hard to borrow."""
    for order in _living(floor):
        now = floor.orders[order.id]
        opens_short = not now.is_ended and now.position_intent == "sell_to_open"
        if opens_short and not floor.is_easy(now.symbol):
            end_order(floor, now, "canceled")


def _closing_auction(floor: Floor, session: date) -> None:
    """Fill orders for the close at the last trade of the session; cancel those that do not."""
    for order in _living(floor):
        now = floor.orders[order.id]
        if now.is_ended or now.time_in_force not in ("opg", "cls") or now.valid_session > session:
            continue
        price, limit = floor.price(now.symbol), limit_of(now)
        traded = floor.opened.get(now.symbol) == session
        halted = floor.halted_until(now.symbol, floor.now) is not None
        if now.time_in_force == "cls" and now.status == "new" and traded and not halted:
            assert price is not None, "what traded has a price"
            if limit is None or within(limit, price, now.side):
                fill(floor, now, wanted(now, price), price, elected=False)
                continue
        end_order(floor, now, "canceled")


def _expire(floor: Floor, which: Callable[[Order], bool], session: date) -> None:
    event = floor.switches.day_end_event
    for order in _living(floor):
        now = floor.orders[order.id]
        if now.is_ended or now.time_in_force == "gtc" or not which(now):
            continue
        waits = now.status == "pending_new" and now.replaces is not None
        if now.valid_session <= session and not waits:
            end_order(floor, now, event)


def _strike_balance(floor: Floor, session: date) -> None:
    """Note what every account is worth at the close."""
    for symbol, mark in floor.marks.items():
        if floor.opened.get(symbol) == session or symbol not in floor.closes:
            price = floor.price(symbol)
            assert price is not None, f"{symbol} is marked at {mark}"
            floor.closes[symbol] = price
    for books in floor.accounts.values():
        books.last_equity = books.equity(floor.mark)
        books.last_maintenance = books.maintenance_margin(floor.mark, floor.market.asset)
        books.balance_asof = session
        books.at_close = {symbol: holding.qty for symbol, holding in books.holdings.items()}
        books.daily_equity.append((session, books.last_equity))


def _cancel_aged(floor: Floor) -> None:
    for order in _living(floor):
        now = floor.orders[order.id]
        if now.is_ended or now.time_in_force != "gtc" or now.status == "pending_replace":
            continue
        waits = now.status == "pending_new" and now.replaces is not None
        if now.expires_at is not None and now.expires_at <= floor.now and not waits:
            request_cancel(floor, now)
