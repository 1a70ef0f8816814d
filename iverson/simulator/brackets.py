# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders that belong together: bracket, oco, oto.

The exits of a bracket sleep until the entry is filled to the last share; an entry that ends before
leaves what it bought without exits, as Alpaca does. Awake, the target works at the market and the
stop is held: it is watched, but the shares are reserved once. What the trade stream says about
all this is known from field reports only, so it is a matter of switches; the log has everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from iverson.simulator.floor import PENDING, Floor
from iverson.simulator.matching import collar
from iverson.simulator.orders import ZERO, Intent, Order, Role, Side, Status, Type
from iverson.simulator.requests import OrderRequest

EXITS: dict[Side, tuple[Side, Intent]] = {
    "buy": ("sell", "sell_to_close"),
    "sell": ("buy", "buy_to_close"),
}
STAMPS = {"canceled": "canceled_at", "expired": "expired_at", "rejected": "failed_at"}


def add_legs(floor: Floor, parent: Order, request: OrderRequest) -> None:
    """Put the legs of a class into the table, the target first."""
    target, stop = request.target_limit_price, request.stop_loss_stop_price
    if parent.role == "entry" and target is not None:
        _add_leg(floor, parent, "target", "limit", limit_price=target)
    if stop is not None:
        limit = request.stop_loss_limit_price
        kind: Type = "stop" if limit is None else "stop_limit"
        _add_leg(floor, parent, "stop", kind, stop_price=stop, limit_price=limit)


def after_fill(floor: Floor, order: Order) -> None:
    """Do what an execution of a member means to the others."""
    if order.order_class == "simple":
        return
    if order.role == "entry":
        if order.status == "filled":
            _wake(floor, order)
        return
    for other in _others(floor, order):
        if order.status == "filled":
            silent = order.role == "target" and not floor.switches.emit_oco_cancel
            end_order(floor, other, "canceled", published=not silent)
        elif order.role == "target":
            left = order.remaining
            floor.change(other, other.status, "restated", published=False, qty=left)


def elect(floor: Floor, stop: Order) -> Order:
    """Mark a stop as elected; a held leg becomes new, and its target gives way to it."""
    for target in _others(floor, stop) if stop.role == "stop" else ():
        _give_way(floor, target, stop)
    stop = floor.orders[stop.id]
    if stop.status == "held":
        return floor.change(stop, "new", "new", published=False, elected=True)
    resting = "new" if stop.resting == "held" else stop.resting
    return floor.change(
        stop, stop.status, "elected", published=False, elected=True, resting=resting
    )


def end_order(
    floor: Floor, order: Order, status: Status, *, event: str | None = None, published: bool = True
) -> None:
    """End an order, and with it what cannot outlive it: its successor and its family."""
    stamp: dict[str, Any] = {STAMPS[status]: floor.now}
    waited = order.status == "pending_replace"
    order = floor.change(order, status, event or status, published=published, **stamp)
    if waited:
        reject_successor(floor, order)
    for other in _others(floor, order):
        end_order(floor, other, status, event=event, published=published)


def reject_successor(floor: Floor, order: Order) -> None:
    """Tell that an order will not be replaced: it stays what it is, its successor never was."""
    assert order.replaced_by is not None, f"order {order.id} was not to be replaced"
    successor = floor.orders[order.replaced_by]
    if not successor.is_ended:
        floor.change(successor, "rejected", "rejected", published=False, failed_at=floor.now)
    floor.change(floor.orders[order.id], order.status, "order_replace_rejected", replaced_by=None)


def _wake(floor: Floor, entry: Order) -> None:
    legs = list(_others(floor, entry))
    for leg in legs:
        works = leg.role == "target" or len(legs) == 1
        status: Status = "new" if works else "held"
        waking: dict[str, Any] = {
            "active": True,
            "live_from": floor.now + floor.latency(leg.id),
        }
        if leg.status in PENDING:
            waking["resting"], status = status, leg.status
        published = works and floor.switches.emit_target_new
        floor.change(leg, status, "new" if works else "held", published=published, **waking)


def _give_way(floor: Floor, target: Order, stop: Order) -> None:
    how = floor.switches.target_when_stopped
    if how != "replaced":
        stamp: dict[str, Any] = {"canceled_at": floor.now}
        floor.change(target, "canceled", "canceled", published=how == "canceled", **stamp)
        return
    if target.status == "pending_replace":
        reject_successor(floor, target)
        target = floor.orders[target.id]
    floor.change(target, "replaced", "replaced", replaced_at=floor.now, replaced_by=stop.id)


def _others(floor: Floor, order: Order) -> Iterator[Order]:
    """Yield the other members that have not ended, each as it is when its turn comes.

    A successor that waits for its turn is its predecessor's business.
    """
    for other in floor.family(order):
        now = floor.orders[other.id]
        waits = now.replaces is not None and now.status == "pending_new"
        if not now.is_ended and not waits:
            yield now


def _add_leg(
    floor: Floor,
    parent: Order,
    role: Role,
    kind: Type,
    *,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
) -> None:
    sleeps = parent.role == "entry"
    side, intent = EXITS[parent.side] if sleeps else (parent.side, parent.position_intent)
    leg = replace(
        parent,
        id=floor.new_id("order"),
        number=floor.count("number"),
        client_order_id=floor.new_id("client order"),
        side=side,
        position_intent=intent,
        type=kind,
        status="held",
        limit_price=limit_price,
        stop_price=stop_price,
        parent_id=parent.id,
        role=role,
        active=not sleeps,
        reserve_price=ZERO,
        collar=collar(side, kind, stop_price, floor.switches),
    )
    floor.add(leg)
    floor.change(leg, "held", "held", published=floor.switches.emit_held)
