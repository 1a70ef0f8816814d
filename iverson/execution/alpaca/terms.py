# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpaca's terms for an order, known beforehand: what it would refuse is refused here, in words.

The same for a real broker and for a simulated one that is asked to take orders as Alpaca does, so
that a plain strategy is refused alike in both. What follows from a price at the venue that is newer
than our last bar (a stop that the market has passed) is left to the venue. From alpaca-py's and
Alpaca's documentation of orders and user protection, 2026.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import backtrader as bt

from iverson.errors import ConfigError
from iverson.execution.alpaca import sending
from iverson.execution.groups import Group
from iverson.execution.orders import STOP_LIMITS, STOPS, TRAILS, limit_price
from iverson.execution.ticks import round_down

CHEAP, CHEAP_COLLAR, COLLAR = 50.0, 1.04, 1.025  # of a buy stop, by its price in dollars
CENT = 0.01  # at least, from a bracket's entry to its stop and to its target
_NEAR = 1e-9  # dollars


def meet(broker: Any, group: Group) -> str | None:
    """Fit a new group to Alpaca's terms; return the sentence that refuses it, None to let it in.

    An order through zero is cut to what leaves the position: the other side is for an order of its
    own, once the shares are gone. `broker.p.limit_away` is the largest distance of an entry's limit
    from the last price, as a fraction (None: any).
    """
    symbol = group.data._name
    held, size = broker.positions[group.data].size, group.entry.created.size
    try:
        sending.body_of(group, "")
    except ConfigError as error:
        return str(error)
    words = _ended(group) or _wash(broker, group) or _misplaced(group)
    if words is None:
        leaves = held * size < 0
        words = _leaving(broker, group, abs(held)) if leaves else _opening(broker, group)
    return f"{symbol}: {words}" if words else None


def collared(order: Any) -> None:
    """Give a buy stop the limit that Alpaca gives it: 4 % above a stop below $50, else 2.5 %.

    So it may be triggered and not fill; a sell stop takes what it gets.
    """
    if order.exectype == bt.Order.Stop and order.isbuy():
        stop = order.created.price
        order.exectype = bt.Order.StopLimit
        order.created.pricelimit = round_down(stop * (CHEAP_COLLAR if stop < CHEAP else COLLAR))


def _ended(group: Group) -> str | None:
    """Say that an order's time is over; a plain number of days, Backtrader takes and forgets."""
    entry = group.entry
    if entry.valid and entry.valid < entry.created.dt:
        return "its time is over; give `valid` as a date, a datetime or a timedelta, no number"
    return None


def _leaving(broker: Any, group: Group, held: int) -> str | None:
    """Fit an order that leaves a position of `held` shares."""
    wanted = abs(group.entry.created.size)
    if _protection(group):
        return "a bracket opens a position and cannot leave the one that is held; leave it first"
    promised = sum(_promised(other) for other in _others(broker, group))
    if min(wanted, held) > held - promised:
        return (
            f"{promised} of the {held} shares are promised to other orders of ours; cancel those "
            "first, or wait for them"
        )
    if wanted > held:
        group.resize(held)
        group.reduces = True
        broker.tell(
            f"{group.data._name}: {wanted} shares would go through zero; {held} leave the "
            "position, the rest is for an order of its own once they have"
        )
    return None


def _promised(group: Group) -> int:
    """Return the shares of a position that a group's own orders are to leave."""
    if group.held and any(leg.alive() for leg in group.legs):
        return abs(group.held)
    return abs(group.entry.executed.remsize) if group.reduces and group.waiting else 0


def _opening(broker: Any, group: Group) -> str | None:
    """Say what stands against an order that opens a position or adds to one."""
    entry, away = group.entry, broker.p.limit_away
    mine, theirs = ("buy", "sale") if entry.isbuy() else ("short sale", "buy")
    for other in _others(broker, group):
        if other.waiting and not other.reduces and other.entry.isbuy() != entry.isbuy():
            return f"no {mine} can open while a {theirs} that opens waits; cancel that one first"
    limit, last = limit_price(entry), broker.mark(group.data)
    if away is not None and limit is not None and abs(limit - last) > away * last + _NEAR:
        return (
            f"a limit of {limit:g} is more than {away:.1%} from the last price, {last:g}; "
            "the venue takes none so far away"
        )
    return None


def _wash(broker: Any, group: Group) -> str | None:
    """Say whether an order could trade with one of our own on the other side."""
    mine = group.entry
    for other in _others(broker, group):
        theirs = other.entry
        if not other.waiting or theirs.isbuy() == mine.isbuy():
            continue
        if _is_exempt(group) or _is_exempt(other):
            continue
        pair = (mine, theirs) if mine.isbuy() else (theirs, mine)
        buy, sell = (limit_price(order) for order in pair)
        if buy is None or sell is None or buy >= sell:
            return (
                f"it could trade with our own {'buy' if theirs.isbuy() else 'sale'} that waits, a "
                "wash trade; cancel that one first, or use a bracket"
            )
    return None


def _is_exempt(group: Group) -> bool:
    return bool(_protection(group)) or group.entry.exectype in TRAILS


def _misplaced(group: Group) -> str | None:
    """Say which leg of a bracket is not a cent beyond its entry's limit."""
    entry = group.entry
    if entry.exectype != bt.Order.Limit:
        return None
    way, base = (1 if entry.isbuy() else -1), entry.created.price
    for leg in _protection(group):
        beyond = way if leg.exectype == bt.Order.Limit else -way
        if (leg.created.price - base) * beyond < CENT - _NEAR:
            name = "stop" if leg.exectype in (*STOPS, *STOP_LIMITS) else "target"
            side = "above" if beyond > 0 else "below"
            return (
                f"the {name} at {leg.created.price:g} has to be a cent or more {side} the "
                f"entry's limit, {base:g}"
            )
    return None


def _protection(group: Group) -> list[Any]:
    return [leg for leg in group.legs if leg.exectype != bt.Order.Close]


def _others(broker: Any, group: Group) -> Iterator[Group]:
    return (one for one in broker.groups.values() if one.data is group.data and one is not group)
