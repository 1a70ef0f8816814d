# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists with pages: orders and activities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from iverson.simulator.floor import Floor
from iverson.simulator.orders import Order
from iverson.simulator.requests import OrderQuery, Refused
from iverson.simulator.schedule import ZONE
from iverson.simulator.statements import Activity
from iverson.simulator.validation import malformed

MOST_ORDERS = 500
MOST_ACTIVITIES = 100


def with_legs(floor: Floor, order: Order) -> Order:
    """Return an order that carries the legs it has now, replaced ones left out."""
    legs = [leg for leg in floor.legs_of(order) if leg.status != "replaced" or _by_stop(floor, leg)]
    return replace(order, legs=tuple(legs))


def list_orders(floor: Floor, account_id: str, query: OrderQuery) -> list[Order]:
    """Return the orders that a query asks for, by `submitted_at`, then by arrival.

    Nested, a leg stands with its parent and the parent decides; else every order is its own. A
    held leg is neither open nor closed.
    """
    if not 1 <= query.limit <= MOST_ORDERS:
        raise malformed(f"limit must be between 1 and {MOST_ORDERS}")
    if query.before_order_id is not None and query.after_order_id is not None:
        raise malformed("only one of before_order_id and after_order_id is accepted")
    before, after = (
        None if order_id is None else _position(floor, account_id, order_id)
        for order_id in (query.before_order_id, query.after_order_id)
    )
    found = []
    for order_id in floor.of_account[account_id]:
        order = floor.orders[order_id]
        place = (order.submitted_at, order.number)
        if query.nested and order.parent_id is not None:
            continue
        if before is not None and place >= before:
            continue
        if after is not None and place <= after:
            continue
        if _wanted(order, query):
            found.append(order)
    found.sort(key=lambda one: (one.submitted_at, one.number), reverse=query.direction == "desc")
    page = found[: query.limit]
    return [with_legs(floor, order) for order in page] if query.nested else page


def list_activities(
    activities: Sequence[Activity],
    *,
    types: Sequence[str] = (),
    on: date | None = None,
    after: datetime | None = None,
    until: datetime | None = None,
    direction: str = "desc",
    page_size: int = MOST_ACTIVITIES,
    page_token: str | None = None,
) -> list[Activity]:
    """Return a page of activities; the token is the last id of the page before."""
    if not 1 <= page_size <= MOST_ACTIVITIES:
        raise malformed(f"page_size must be between 1 and {MOST_ACTIVITIES}")
    found = [
        one
        for one in activities
        if (not types or one.activity_type in types)
        and (on is None or one.at.astimezone(ZONE).date() == on)
        and (after is None or one.at > after)
        and (until is None or one.at < until)
    ]
    if direction == "desc":
        found.reverse()
    if page_token is not None:
        ids = [one.id for one in found]
        if page_token not in ids:
            raise malformed("page_token is not the id of an activity in this list")
        found = found[ids.index(page_token) + 1 :]
    return found[:page_size]


def _wanted(order: Order, query: OrderQuery) -> bool:
    if query.status == "open" and not order.is_open:
        return False
    if query.status == "closed" and not order.is_ended:
        return False
    if query.after is not None and order.submitted_at <= query.after:
        return False
    if query.until is not None and order.submitted_at >= query.until:
        return False
    if query.symbols and order.symbol not in query.symbols:
        return False
    return query.side is None or order.side == query.side


def _position(floor: Floor, account_id: str, order_id: str) -> tuple[datetime, int]:
    order = floor.orders.get(order_id)
    if order is None or order.account_id != account_id:
        raise Refused(404, 40410000, f"order not found for {order_id}")
    return order.submitted_at, order.number


def _by_stop(floor: Floor, leg: Order) -> bool:
    """Whether a leg was replaced by its own stop, and not by a client's PATCH."""
    return leg.replaced_by is not None and floor.orders[leg.replaced_by].replaces != leg.id
