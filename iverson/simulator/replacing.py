# SPDX-License-Identifier: GPL-3.0-or-later
"""Replacing an order: a new order under a new id, unless the old one is filled first.

While the replacement is pending the old order works on. What it fills counts for the new one too;
if that leaves the new one nothing, or the old one ends, the replacement is rejected.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from iverson.simulator.accounts import Books
from iverson.simulator.admission import (
    check_available,
    check_base_price,
    check_cost,
    check_price_away,
    check_stop_side,
    check_window,
    reserve_price,
)
from iverson.simulator.brackets import reject_successor
from iverson.simulator.floor import Floor
from iverson.simulator.intake import check_unique
from iverson.simulator.matching import collar
from iverson.simulator.orders import STOPS, ZERO, Order, Status
from iverson.simulator.path import trailing_stop
from iverson.simulator.requests import ReplaceRequest
from iverson.simulator.validation import (
    IMMEDIATE_OR_AUCTION,
    check_client_id,
    check_exits,
    check_increments,
    malformed,
    unacceptable,
)
from iverson.simulator.wash import refuse_wash_trade
from iverson.simulator.witness import granted


def request_replace(floor: Floor, books: Books, order: Order, request: ReplaceRequest) -> Order:
    """Check a replacement and start it; the answer is the new order, not yet working."""
    _check_state(order)
    check_client_id(request.client_order_id)
    check_unique(floor, books, request.client_order_id)
    changes = _changes(order, request)
    wanted = replace(order, **changes)
    _check_against_market(floor, books, order, wanted)
    new = _successor(floor, order, wanted, request)
    granted(floor, books.id, "replace", order.client_order_id)
    floor.add(new)
    floor.change(new, "pending_new", "pending_new", published=False)
    floor.change(
        order,
        "pending_replace",
        "pending_replace",
        published=False,
        resting=order.status,
        replaced_by=new.id,
    )
    if floor.switches.replace_seconds:
        floor.wait(floor.switches.replace_seconds, "replace", order.id)
    else:
        finish_replace(floor, floor.orders[order.id])
    return floor.orders[new.id]


def finish_replace(floor: Floor, order: Order) -> None:
    """Put the new order in the old one's place, unless a fill came first."""
    if order.status != "pending_replace":
        return
    assert order.replaced_by is not None, f"order {order.id} has no successor"
    new = floor.orders[order.replaced_by]
    if new.is_ended or (new.qty is not None and new.qty <= order.filled_qty):
        order = floor.change(order, order.resting, "restored", published=False)
        reject_successor(floor, order)
        return
    old = floor.change(order, "replaced", "replaced", replaced_at=floor.now)
    status: Status = "partially_filled" if old.filled_qty else "new"
    if old.resting == "held":
        status = "held"
    taken: dict[str, Any] = {
        "filled_qty": old.filled_qty,
        "filled_value": old.filled_value,
        "active": old.active,
        "elected": old.elected,
        "live_from": floor.now,
    }
    if new.trail_price == old.trail_price and new.trail_percent == old.trail_percent:
        taken |= {"hwm": old.hwm, "stop_price": old.stop_price if old.hwm else new.stop_price}
    floor.change(new, status, "held" if status == "held" else "new", **taken)
    floor.legs[new.id] = floor.legs.pop(old.id, [])
    for leg in floor.legs_of(new):
        # The table of transitions allows no step without a status, so ended legs keep their parent.
        if not leg.is_ended:
            floor.change(leg, leg.status, "restated", published=False, parent_id=new.id)


def _check_state(order: Order) -> None:
    if order.status == "replaced":
        raise unacceptable("order already replaced")
    if order.is_ended:
        raise unacceptable("unable to replace order, order is not open")
    if order.status in ("accepted", "pending_new", "pending_cancel", "pending_replace"):
        raise unacceptable(f"cannot replace order in {order.status} status")
    if order.order_class == "oto":
        raise unacceptable("order replacement is not supported for oto orders")
    if order.notional is not None:
        raise unacceptable("notional orders cannot be replaced")


def _changes(order: Order, request: ReplaceRequest) -> dict[str, Any]:
    check_increments([("limit_price", request.limit_price), ("stop_price", request.stop_price)])
    asked: dict[str, Any] = {
        "qty": request.qty,
        "time_in_force": request.time_in_force,
        "limit_price": request.limit_price,
        "stop_price": request.stop_price,
    }
    changes = {name: value for name, value in asked.items() if value is not None}
    changes = {name: value for name, value in changes.items() if value != getattr(order, name)}
    if request.trail is not None:
        changes |= _trail(order, request.trail)
    if not changes:
        raise unacceptable("order parameters are not changed")
    if request.limit_price is not None and order.type not in ("limit", "stop_limit"):
        raise malformed(f"{order.type} orders require no limit price")
    if request.stop_price is not None and order.type not in ("stop", "stop_limit"):
        raise malformed(f"{order.type} orders require no stop price")
    if "stop_price" in changes and order.elected:
        raise unacceptable("stop price of a triggered order cannot be changed")
    if "qty" in changes:
        _check_qty(order, changes["qty"])
    force = changes.get("time_in_force", order.time_in_force)
    if force in IMMEDIATE_OR_AUCTION and (order.type in STOPS or order.is_complex):
        raise unacceptable(f"{order.type} orders must be DAY or GTC orders")
    if force != "day" and order.qty is not None and order.qty % 1:
        raise unacceptable("fractional orders must be DAY orders")
    if force != "day" and order.extended_hours:
        raise unacceptable("extended hours order must be DAY limit orders")
    return changes


def _trail(order: Order, trail: Decimal) -> dict[str, Any]:
    if order.type != "trailing_stop":
        raise malformed(f"{order.type} orders require no trail")
    if not trail.is_finite() or trail <= 0:
        raise malformed("trail must be > 0")
    field = "trail_price" if order.trail_price is not None else "trail_percent"
    if field == "trail_percent" and trail >= 100:
        raise malformed("trail_percent must be < 100")
    if trail == getattr(order, field):
        return {}
    assert order.hwm is not None, f"order {order.id} trails nothing"
    stop = trailing_stop(
        order.hwm,
        dollars=trail if field == "trail_price" else None,
        fraction=trail / 100,
        selling=order.side == "sell",
    )
    if stop <= 0:
        raise unacceptable("trail must leave a stop price above 0")
    return {field: trail, "stop_price": stop}


def _check_qty(order: Order, qty: Decimal) -> None:
    if order.is_complex:
        raise unacceptable("qty cannot be changed for advanced orders")
    if not qty.is_finite() or qty <= 0 or qty % 1:
        raise malformed("qty must be > 0 and whole shares")
    assert order.qty is not None, "notional orders are refused before"
    if order.qty % 1:
        raise unacceptable("qty of fractional orders cannot be changed")
    if qty <= order.filled_qty:
        raise unacceptable("qty must be > filled_qty")


def _check_against_market(floor: Floor, books: Books, order: Order, wanted: Order) -> None:
    price = floor.price(order.symbol)
    check_window(floor, wanted.time_in_force)
    if wanted.limit_price != order.limit_price:
        check_price_away(floor, wanted.limit_price, price)
    if wanted.stop_price is not None and wanted.stop_price != order.stop_price:
        if order.is_complex:
            check_base_price(wanted.stop_price, price, selling=order.side == "sell")
        elif order.type != "trailing_stop":
            check_stop_side(floor, order.side, wanted.stop_price, price)
    if order.role != "entry":
        twin = next(
            (
                one
                for one in floor.family(order)
                if one.role not in ("entry", order.role) and not one.is_ended
            ),
            None,
        )
        if twin is not None:
            target, stop = (wanted, twin) if order.role == "target" else (twin, wanted)
            check_exits(
                order.order_class,
                target.limit_price,
                stop.stop_price,
                selling=order.side == "sell",
            )
    if not order.is_complex:
        others = [one for one in floor.living(order.symbol, books.id) if one.id != order.id]
        refuse_wash_trade(order.side, order.type, wanted.limit_price, others)
    if order.opens:
        extra = wanted.remaining * _reserve(floor, wanted) - order.remaining * order.reserve_price
        if extra > 0:
            check_cost(floor, books, extra)
    elif wanted.remaining > order.remaining:
        check_available(floor, books, order.symbol, wanted.remaining - order.remaining)


def _reserve(floor: Floor, order: Order) -> Decimal:
    cap = collar(order.side, order.type, order.stop_price, floor.switches)
    limit, price = order.limit_price or cap, floor.price(order.symbol)
    return reserve_price(floor, order.side, limit, order.stop_price, price)


def _successor(floor: Floor, order: Order, wanted: Order, request: ReplaceRequest) -> Order:
    at = floor.now
    client_id = request.client_order_id
    expires = order.expires_at
    session = order.valid_session
    if wanted.time_in_force != order.time_in_force:
        session = floor.schedule.valid_session(at, extended=order.extended_hours)
        gtc = wanted.time_in_force == "gtc"
        expires = floor.schedule.expiry(at) if gtc else floor.schedule.day(session).close
    return replace(
        wanted,
        id=floor.new_id("order"),
        number=floor.count("number"),
        client_order_id=floor.new_id("client order") if client_id is None else client_id,
        status="pending_new",
        created_at=at,
        updated_at=at,
        submitted_at=at,
        replaces=order.id,
        replaced_by=None,
        valid_session=session,
        expires_at=expires,
        filled_qty=ZERO,
        filled_value=ZERO,
        reserve_price=_reserve(floor, wanted) if order.opens else ZERO,
        collar=collar(wanted.side, wanted.type, wanted.stop_price, floor.switches),
    )
