# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a run: positions are left at the last close, or handed to the next run, legs and all.

Working entries are never handed over: they end with the run that made them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import backtrader as bt

from iverson.execution.groups import Carried, CarriedLeg, Group
from iverson.model import Leg


def carry(broker: Any) -> tuple[Carried, ...]:
    """Return the positions of a broker as they stand, and those it never came to take over."""
    return (*broker.carried, *_positions(broker))


def adopt(broker: Any, one: Carried, data: Any) -> None:
    """Rebuild one position with its legs; nothing is notified, for nothing happened."""
    broker.positions[data].update(one.size, one.price)
    if not one.legs:
        return
    enter, leave = bt.order.BuyOrder, bt.order.SellOrder
    if one.size < 0:
        enter, leave = leave, enter
    common = dict(owner=broker.cerebro.runningstrats[0], data=data, size=abs(one.size))
    entry = enter(**common, exectype=bt.Order.Limit, price=one.price)
    entry.addinfo(**one.info)
    entry.status = bt.Order.Completed
    group = Group(entry, held=one.size, entered=one.entered)
    for leg in one.legs:
        order = leave(**common, exectype=leg.kind, price=leg.price or None, parent=entry)
        order.addinfo(**leg.info)
        order.created.price, order.created.pricelimit = leg.price, leg.pricelimit
        order.trailamount, order.trailpercent = leg.trailamount, leg.trailpercent
        order._limitoffset = leg.limit_offset  # noqa: SLF001 (Backtrader's)
        order.triggered = leg.triggered
        order.submit(broker)
        order.accept(broker)
        order.activate()
        group.legs.append(order)
    broker.groups[entry.ref] = group


def withdraw_entries(broker: Any) -> None:
    """Cancel what is not filled; positions and their legs stay."""
    for group in list(broker.groups.values()):
        if group.waiting:
            broker.cancel(group.entry)


def end_run(broker: Any) -> None:
    """Withdraw the entries, and leave at its last close every position that does not go on."""
    withdraw_entries(broker)
    if not broker.hand_over:
        _close(broker, lambda data: True, "fold end")
        return
    on, gone = broker.carried_on, broker.gone
    if on is not None:
        _close(broker, lambda data: data._name not in on and data._name in gone, "bars end")
        _close(broker, lambda data: data._name not in on, "fold end")


def leave_gone(broker: Any, *, before: float) -> None:
    """Leave at its last close every position in a symbol whose bars ended before this instant.

    A bar late: on its last bar nobody knew that there would be no other.
    """
    if broker.gone:
        _close(broker, lambda data: broker.gone.get(data._name, math.inf) < before, "bars end")


def _close(broker: Any, which: Callable[[Any], bool], leg: Leg) -> None:
    for group in list(broker.groups.values()):
        if group.held and which(group.data):
            _close_out(broker, group.data, group.held, group, leg)
    for data, position in list(broker.positions.items()):
        if position.size and which(data):
            _close_out(broker, data, position.size, None, leg)


def _close_out(broker: Any, data: Any, size: int, group: Group | None, leg: Leg) -> None:
    make = bt.order.SellOrder if size > 0 else bt.order.BuyOrder
    order = make(
        owner=broker.cerebro.runningstrats[0],
        data=data,
        size=abs(size),
        exectype=bt.Order.Close,
        parent=group.entry if group else None,
    )
    order.addinfo(leg=leg)
    if group and "key" in group.entry.info:
        order.addinfo(key=group.entry.info["key"])
    order.submit(broker)
    order.accept(broker)
    if group is None:
        group = broker.groups[order.ref] = Group(order)
    else:
        group.legs.append(order)
    broker.fill(group, order, broker.mark(data), abs(size), taker=True, ambiguous=False)


def _positions(broker: Any) -> Iterator[Carried]:
    rest = {data: position.size for data, position in broker.positions.items()}
    for group in broker.groups.values():  # in their order, so that the next run keeps it
        if group.held:
            rest[group.data] -= group.held
            yield _carried(broker, group.data, group.held, group)
    for data, size in rest.items():
        if size:
            yield _carried(broker, data, size, None)


def _carried(broker: Any, data: Any, size: int, group: Group | None) -> Carried:
    return Carried(
        symbol=data._name,
        size=size,
        price=broker.positions[data].price,
        mark=broker.mark(data),
        factor=broker.factor(data),
        entered=group.entered if group else None,
        legs=tuple(_leg(order) for order in group.legs if order.alive()) if group else (),
        info=_noted(group.entry) if group else {},
    )


def _leg(order: Any) -> CarriedLeg:
    return CarriedLeg(
        kind=order.exectype,
        price=order.created.price,
        pricelimit=order.created.pricelimit,
        trailamount=order.trailamount,
        trailpercent=order.trailpercent,
        limit_offset=order._limitoffset,  # noqa: SLF001 (Backtrader's)
        triggered=bool(order.triggered),
        info=_noted(order),
    )


def _noted(order: Any) -> dict[str, Any]:
    return {name: value for name, value in order.info.items() if name != "marks"}
