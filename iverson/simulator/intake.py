# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking an order: from a request to a record in the table, and the first word about it."""

from __future__ import annotations

from dataclasses import replace

from iverson.simulator.accounts import Books
from iverson.simulator.admission import admit
from iverson.simulator.brackets import add_legs, end_order
from iverson.simulator.floor import Floor
from iverson.simulator.lifecycle import acknowledge
from iverson.simulator.matching import collar
from iverson.simulator.orders import Order
from iverson.simulator.requests import OrderRequest, Refused
from iverson.simulator.validation import check_request, unacceptable
from iverson.simulator.witness import granted


def take_order(floor: Floor, books: Books, request: OrderRequest) -> Order:
    """Check a request and take it; the answer is the order as it was accepted, with its legs."""
    asset = floor.market.asset(request.symbol)
    if asset is None:
        raise unacceptable(f'asset "{request.symbol}" not found')
    if not asset.tradable or asset.status != "active":
        raise unacceptable(f'asset "{request.symbol}" is not tradable')
    check_request(request, asset, floor.switches)
    check_unique(floor, books, request.client_order_id)
    admitted = admit(floor, books, request, asset)
    at, schedule = floor.now, floor.schedule
    order_id = floor.new_id("order")
    client_id = request.client_order_id
    exit_pair = request.order_class == "oco"
    session = schedule.valid_session(
        at, extended=request.extended_hours, opening=request.time_in_force == "opg"
    )
    day = schedule.day(session)
    lasts = day.after if request.extended_hours else day.close
    order = Order(
        id=order_id,
        number=floor.count("number"),
        account_id=books.id,
        client_order_id=floor.new_id("client order") if client_id is None else client_id,
        symbol=request.symbol,
        asset_id=asset.id,
        side=request.side,
        type=request.type,
        time_in_force=request.time_in_force,
        order_class=request.order_class,
        position_intent=admitted.intent,
        status="accepted" if is_queued(floor, request) else "pending_new",
        created_at=at,
        updated_at=at,
        submitted_at=at,
        live_from=at + floor.latency(order_id),
        valid_session=session,
        qty=request.qty,
        notional=request.notional,
        limit_price=request.target_limit_price if exit_pair else request.limit_price,
        stop_price=admitted.stop_price,
        trail_price=request.trail_price,
        trail_percent=request.trail_percent,
        hwm=admitted.hwm,
        extended_hours=request.extended_hours,
        expires_at=schedule.expiry(at) if request.time_in_force == "gtc" else lasts,
        role="target" if exit_pair else "entry",
        collar=collar(request.side, request.type, admitted.stop_price, floor.switches),
        reserve_price=admitted.reserve_price,
    )
    granted(floor, books.id, "submit", order.client_order_id)
    return _announce(floor, floor.add(order), request)


def check_unique(floor: Floor, books: Books, client_order_id: str | None) -> None:
    """Refuse a client order id that the account has used before, whatever became of it."""
    if client_order_id is not None and (books.id, client_order_id) in floor.by_client:
        raise Refused(
            floor.switches.duplicate_id_status, 40010001, "client_order_id must be unique"
        )


def is_queued(floor: Floor, request: OrderRequest) -> bool:
    """Tell whether an order has to wait for the next session's morning."""
    phase = floor.schedule.phase(floor.now)
    if phase == "regular" or (request.extended_hours and phase != "closed"):
        return False
    return phase != "pre" or floor.switches.queued_until == "open"


def release(floor: Floor, order: Order) -> None:
    """Let a queued order become new."""
    live_from = floor.now + floor.latency(order.id)
    floor.change(order, "new", "new", live_from=live_from)


def _announce(floor: Floor, order: Order, request: OrderRequest) -> Order:
    switches = floor.switches
    if order.status == "accepted":
        floor.change(order, "accepted", "accepted", published=switches.emit_accepted)
    else:
        floor.change(order, "pending_new", "pending_new")
    add_legs(floor, order, request)
    answer = replace(floor.orders[order.id], legs=tuple(floor.legs_of(order)))
    if order.status == "pending_new":
        if switches.ack_seconds:
            floor.wait(switches.ack_seconds, "ack", order.id)
        else:
            acknowledge(floor, floor.orders[order.id])
    if order.time_in_force in ("ioc", "fok") and not _can_trade_now(floor, order):
        end_order(floor, floor.orders[order.id], "canceled")
    return answer


def _can_trade_now(floor: Floor, order: Order) -> bool:
    halted = floor.halted_until(order.symbol, floor.now) is not None
    return floor.schedule.phase(floor.now) == "regular" and not halted
