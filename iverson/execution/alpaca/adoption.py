# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking over what is open at the venue: groups rebuilt as if this process had made them."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from iverson.execution.alpaca.states import OrderState
from iverson.execution.alpaca.tracking import Tracked
from iverson.execution.decisions import OpenGroup
from iverson.execution.groups import Group
from iverson.market.moments import number_of


def adopt_ready(broker: Any) -> bool:
    """Take over the groups whose symbols have a bar, once the first bar that counts has come.

    Returns whether any was taken over.
    """
    if not broker.adopting:
        return False
    clock = max((d.datetime[0] for d in broker.cerebro.datas if len(d)), default=float("-inf"))
    if clock < broker.carried_from:
        return False
    waiting = []
    for one in broker.adopting:
        data = broker.cerebro.datasbyname.get(one.symbol)
        if data is None or not len(data):
            waiting.append(one)
        else:
            _adopt(broker, one, data)
    taken = len(waiting) < len(broker.adopting)
    broker.adopting = waiting
    broker.adopted_at = number_of(broker.p.store.clock())
    return taken


def _adopt(broker: Any, one: OpenGroup, data: Any) -> None:
    if one.held:
        broker.positions[data].update(one.held, one.price)
    if not one.key:
        return  # a position without orders of ours: it speaks for itself
    enter, leave = bt.order.BuyOrder, bt.order.SellOrder
    if one.side == "short":
        enter, leave = leave, enter
    common = dict(owner=broker.cerebro.runningstrats[0], data=data)
    entry = enter(**common, size=one.size, exectype=bt.Order.Limit, price=one.limit)
    entry.addinfo(key=one.key, leg="entry")
    if one.verdict is not None:
        entry.addinfo(verdict=one.verdict)
    if one.bracket is not None:
        entry.addinfo(bracket=one.bracket)
        entry.valid = number_of(one.bracket.valid_until)
    entry.created.size = entry.size
    entry.executed.size = one.filled if one.side == "long" else -one.filled
    entry.executed.remsize = entry.size - entry.executed.size
    waiting = one.entry is not None and one.entry.alive
    entry.status = bt.Order.Accepted if waiting else bt.Order.Completed
    group = Group(entry, held=one.held, entered=one.entered)
    tracked = Tracked(group, entry, "entry", one.name, one.size, filled=one.filled)
    if one.entry is not None:
        tracked.id, tracked.working = one.entry.id, waiting
        tracked.filled = one.booked.get(one.entry.id, 0.0)  # as counted before any split
    tracked.ended = not waiting
    broker.tracking.add(tracked)
    for leg, kind, price, state in (
        ("stop", bt.Order.Stop, one.stop_price, one.stop),
        ("target", bt.Order.Limit, one.target_price, one.target),
    ):
        if price is None:
            continue
        size = abs(one.held) or one.size
        order = leave(**common, size=size, exectype=kind, price=price, parent=entry)
        order.addinfo(key=one.key, leg=leg)
        order.created.price = price
        order.submit(broker)
        order.accept(broker)
        if one.held:
            order.activate()
        group.legs.append(order)
        if state is not None:
            broker.tracking.add(_leg(group, order, leg, state))
    broker.groups[entry.ref] = group
    if one.exit is not None:
        _resume_exit(
            broker,
            group,
            one,
            leave(**common, size=abs(one.held), exectype=bt.Order.Market, parent=entry),
        )
    sessions = None if one.bracket is None else one.bracket.max_sessions
    broker.exits.expect(group, one.entered, sessions)


def _resume_exit(broker: Any, group: Group, one: OpenGroup, order: Any) -> None:
    order.addinfo(key=one.key, leg=one.exit_leg)
    order.created.price = broker.mark(group.data)
    order.submit(broker)
    order.accept(broker)
    order.activate()
    group.legs.append(order)
    broker.tracking.add(_leg(group, order, one.exit_leg, one.exit))
    broker.exits.resume(group, order, offered=one.exit.kind == "limit")


def _leg(group: Group, order: Any, leg: Any, state: OrderState) -> Tracked:
    # A stop sleeps ("held") beside a target at work, and before its entry has filled completely.
    working = state.meaning in ("working", "partial") or (leg == "stop" and not group.waiting)
    return Tracked(
        group, order, leg, state.name, state.size,
        id=state.id, filled=state.filled, working=working, ended=not state.alive,
        expires=state.expires_at,
    )  # fmt: skip
