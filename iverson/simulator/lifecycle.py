# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of an order after it was taken: acknowledged, executed, cancelled.

A cancellation that was granted is not done yet: until the timer rings the order works on, and a
fill that comes first wins.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Any

from iverson.simulator.bookings import activity_id, fees
from iverson.simulator.brackets import after_fill, elect, end_order, reject_successor
from iverson.simulator.floor import PENDING, Floor
from iverson.simulator.orders import STOPS, ZERO, Order, Status
from iverson.simulator.requests import Refused
from iverson.simulator.statements import Activity

SHARE_GRID = Decimal("0.000000001")


def acknowledge(floor: Floor, order: Order) -> None:
    """Let a pending order become new."""
    if order.status == "pending_new":
        floor.change(order, "new", "new")


def wanted(order: Order, price: Decimal) -> Decimal:
    """Return how many shares an order still wants at a price."""
    if order.qty is not None:
        return order.remaining
    assert order.notional is not None, f"order {order.id} has no size"
    return (order.notional / price).quantize(SHARE_GRID, ROUND_FLOOR)


def fill(floor: Floor, order: Order, qty: Decimal, price: Decimal, *, elected: bool) -> Order:
    """Execute `qty` shares of an order at `price`.

    An order that closes a position never takes it through zero: it fills what is there, and is
    cancelled if nothing is.
    """
    if elected and not order.elected:
        order = elect(floor, order)
    books = floor.books(order.account_id)
    position = books.qty(order.symbol)
    sign = 1 if order.side == "buy" else -1
    if order.opens and position * sign < 0:
        end_order(floor, order, "canceled")
        return floor.orders[order.id]
    if not order.opens:
        qty = min(qty, max(-position * sign, ZERO))
    if not qty:
        end_order(floor, order, "canceled")
        return floor.orders[order.id]
    holding = books.holding(order.symbol)
    if not order.opens and holding.today.qty:
        books.day_trades.add((floor.schedule.session_on_or_after(floor.now), order.symbol))
    holding.trade(qty * sign, price)
    books.cash -= qty * sign * price
    floor.traded[order.symbol] = price
    if floor.switches.regulatory_fees:
        books.fees += fees(qty, price, selling=sign < 0)
    books.note(floor.now)
    order = _executed(floor, order, qty, price)
    after_fill(floor, order)
    return floor.orders[order.id]


def check_cancel(floor: Floor, order: Order) -> None:
    """Refuse a cancellation that comes too late; that of a cancelled order changes nothing."""
    if order.is_ended and order.status != "canceled":
        raise Refused(422, 42210000, f'order is already in "{order.status}" state')
    if order.status == "pending_replace" or is_successor(floor, order):
        raise Refused(422, 42210000, "order is pending replacement and cannot be canceled")


def request_cancel(floor: Floor, order: Order) -> None:
    """Grant a cancellation, or refuse it because it is too late."""
    check_cancel(floor, order)
    if order.status in ("canceled", "pending_cancel"):
        return
    switches, at = floor.switches, floor.now
    waits = (
        switches.stop_cancel_waits_for_open
        and order.type in STOPS
        and order.status != "accepted"
        and floor.schedule.phase(at) != "regular"
    )
    if order.status in ("accepted", "pending_new") or (not waits and not switches.cancel_seconds):
        end_order(floor, order, "canceled")
        return
    floor.change(
        order,
        "pending_cancel",
        "pending_cancel",
        published=switches.emit_pending_cancel,
        resting=order.status,
    )
    if waits:
        floor.wait_until(floor.schedule.calendar.next_open(at), "cancel", order.id)
    else:
        floor.wait(switches.cancel_seconds, "cancel", order.id)


def is_successor(floor: Floor, order: Order) -> bool:
    """Tell whether an order still waits to take the place of another."""
    return (
        order.status == "pending_new"
        and order.replaces is not None
        and (floor.orders[order.replaces].status == "pending_replace")
    )


def finish_cancel(floor: Floor, order: Order) -> None:
    """End an order whose cancellation is due, unless a fill came first."""
    if order.status == "pending_cancel":
        end_order(floor, order, "canceled")


def _executed(floor: Floor, order: Order, qty: Decimal, price: Decimal) -> Order:
    filled = order.filled_qty + qty
    complete = order.qty is None or filled >= order.qty
    status: Status = "filled" if complete else "partially_filled"
    changes: dict[str, Any] = {
        "filled_qty": filled,
        "filled_value": order.filled_value + qty * price,
    }
    if complete:
        changes["filled_at"] = floor.now
    elif order.status in PENDING:
        status, changes["resting"] = order.status, "partially_filled"
    else:
        changes["live_from"] = floor.now + floor.latency(order.id, filled)
    event = "fill" if complete else "partial_fill"
    books = floor.books(order.account_id)
    books.activities.append(
        Activity(
            id=activity_id(floor),
            account_id=order.account_id,
            activity_type="FILL",
            at=floor.now,
            symbol=order.symbol,
            qty=qty,
            price=price,
            side=order.side,
            fill="fill" if complete else "partial_fill",
            cum_qty=filled,
            leaves_qty=ZERO if order.qty is None else order.qty - filled,
            order_id=order.id,
            order_status="filled" if complete else "partially_filled",
        )
    )
    waited = complete and order.status == "pending_replace"
    order = floor.change(order, status, event, execution=(qty, price), **changes)
    if waited:
        reject_successor(floor, order)
        order = floor.orders[order.id]
    return order
