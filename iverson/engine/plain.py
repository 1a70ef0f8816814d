# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (Backtrader's loop is written in underscore names)
"""The loop of a plain run: one strategy, one calendar, nothing that acts on bars but the two.

It is `LeanLoop` and `Rider.turn` in one, with everything left out that such a run does not have;
on a single symbol the calls between them would be a tenth of the time.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt

from iverson.engine.notices import Listeners, take, unchanged
from iverson.engine.rider import Rider
from iverson.engine.timeline import Timeline


def is_plain(cerebro: Any, timeline: Timeline, riders: list[Rider]) -> bool:
    """Whether a run is plain, and its broker tells of orders as stock's does."""
    params = cerebro.p
    return (
        len(riders) == len(timeline.data_cells) == 1
        and not (params.cheat_on_open or params.quicknotify)
        and not (cerebro._timers or cerebro._timerscheat)
        and unchanged(cerebro._broker, bt.brokers.BackBroker, ("get_notification",))
        and unchanged(riders[0].strategy, bt.Strategy, ("_addnotification",))
        and riders[0].only_acts()
    )


def go_through(cerebro: Any, timeline: Timeline, rider: Rider) -> None:
    """Go through all bars of a plain run."""
    strategy, broker = rider.strategy, cerebro._broker
    broker_next, notices = broker.next, broker.notifs
    own = vars(strategy)  # looked up by name: attributes are slow where there is `__getattr__`
    note_instant = strategy.lines.datetime.array.append
    tell = Listeners(strategy).tell
    feeds, bars = timeline.data_cells[0], rider.cells[0]
    period = max(strategy._minperiods)
    status = 1
    for number in timeline.numbers():
        feeds[0] += 1
        broker_next()
        while notices and (order := notices.popleft()) is not None:
            owner = order.owner
            if owner is strategy or owner is None:
                take(strategy, order)
            else:
                owner._addnotification(order, quicknotify=False)
        if cerebro._event_stop:
            return

        bars[0] += 1
        note_instant(number)
        pending = own["_orderspending"] or own["_tradespending"]
        if pending:
            tell()
        if status >= 0:
            status = strategy._minperstatus = period - bars[0] - 1
        if status < 0:
            strategy.next()
        elif status == 0:
            strategy.nextstart()
        else:
            strategy.prenext()
        if pending or own["_orderspending"] or own["_tradespending"]:
            strategy.clear()
        if cerebro._event_stop:
            return
