# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills worked out by hand: one table, one test, every row played long and mirrored short.

A row is read long. Mirrored, every price p becomes 200 - p, highs and lows change places, buys
are sales. Bars are numbered from 1; plans are made at a bar's close. `TICK` costs one tick a
taken share on both sides of the mirror, `WIDE` five.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import backtrader as bt
import pytest

from iverson.execution.bracket import exit_at_close
from iverson.execution.costs import Costs
from iverson.testing import bars, run_orders

MIRROR = 200.0
FREE = Costs.none()
TICK = Costs(0.02, 0, 0, 0, 0, 0, 0)  # half spread = half a tick, rounded up to one
WIDE = Costs(9.8, 0, 0, 0, 0, 0, 0)  # half spread = 0.048 to 0.05 from 98 to 102: five ticks


class Trader:
    """Plays a plan on a strategy, as written or mirrored."""

    def __init__(self, strategy: Any, *, mirrored: bool) -> None:
        self.strategy = strategy
        self.mirrored = mirrored

    def price(self, price: float | None) -> float | None:
        return round(MIRROR - price, 4) if price and self.mirrored else price

    def bracket(
        self, limit: float, stop: float, target: float | None = 105, size: int = 10, **more: Any
    ) -> None:
        place = self.strategy.sell_bracket if self.mirrored else self.strategy.buy_bracket
        more.setdefault("exectype", bt.Order.Limit)
        if target is None:
            more["limitexec"] = None
        if "plimit" in more:
            more["plimit"] = self.price(more["plimit"])
        self.strategy.orders = place(
            size=size,
            price=self.price(limit),
            stopprice=self.price(stop),
            limitprice=self.price(target),
            **more,
        )

    def day_trade(self, limit: float, stop: float) -> None:
        """A bracket that may not outlive its entry session."""
        entry = self.enter(size=10, exectype=bt.Order.Limit, price=limit, transmit=False)
        leg = dict(size=10, parent=entry)
        self.leave(**leg, exectype=bt.Order.Stop, price=stop, transmit=False)
        self.leave(**leg, exectype=bt.Order.Close)

    def opposite_bracket(self, limit: float, stop: float, target: float) -> None:
        Trader(self.strategy, mirrored=not self.mirrored).bracket(
            *(MIRROR - price for price in (limit, stop, target))
        )

    def enter(self, **order: Any) -> Any:
        return self._send(self.strategy.sell if self.mirrored else self.strategy.buy, order)

    def leave(self, **order: Any) -> Any:
        return self._send(self.strategy.buy if self.mirrored else self.strategy.sell, order)

    def _send(self, send: Callable[..., Any], order: dict[str, Any]) -> Any:
        for name in ("price", "plimit"):
            if name in order:
                order[name] = self.price(order[name])
        return send(**order)

    def time_limit(self, *, immediate: bool = False) -> None:
        signed = -10 if self.mirrored else 10
        entry = self.strategy.orders[0]
        data = self.strategy.data
        exit_at_close(self.strategy, data, entry, size=signed, immediate=immediate)

    def close(self) -> None:
        self.strategy.close()

    def oco_exits(self, stop: float, limit: float) -> None:
        first = self.leave(size=10, exectype=bt.Order.Stop, price=stop)
        self.leave(size=10, exectype=bt.Order.Limit, price=limit, oco=first)


Act = Callable[[Trader], Any]


@dataclass(frozen=True)
class Row:
    """`fills`: (bar, side, size, price, leg); `ambiguous`: of the closed trades, in order."""

    name: str
    bars: str
    plan: Mapping[int, Act]
    fills: list[tuple[int, str, int, float, str]]
    ambiguous: list[bool] = field(default_factory=list)
    costs: Costs = FREE
    options: dict[str, Any] = field(default_factory=dict)


def plain(t: Trader) -> None:
    """Entry limit 99, stop 95, target 105, ten shares."""
    t.bracket(99, 95, 105)


def today(t: Trader) -> None:
    """The same, valid to the end of the next day."""
    t.bracket(99, 95, 105, valid=timedelta(days=1))


IN = "100 100/100/98/99"  # bar 2 enters at 99 and touches neither leg
ENTRY = (2, "buy", 10, 99.0, "entry")

ROWS = [
    # -- limits
    # Bar 2 only touches 99; bar 3 trades a tick below it.
    Row(
        "limit needs a tick of penetration",
        "100 100/101/99/100 100/100/98.99/99.5",
        {1: plain},
        [(3, "buy", 10, 99, "entry")],
    ),
    # The same bar 2, told that a touch is enough.
    Row(
        "limit fills on a touch when told so",
        "100 100/101/99/100",
        {1: plain},
        [ENTRY],
        options=dict(through_ticks=0),
    ),
    # 98.99 is one tick, 98.98 two.
    Row(
        "limit needs two ticks when told so",
        "100 100/101/98.99/100 100/100/98.98/99.5",
        {1: plain},
        [(3, "buy", 10, 99, "entry")],
        options=dict(through_ticks=2),
    ),
    # Opens at 98, better than 99: the open is what there was to buy at.
    Row(
        "limit gapped through fills at the open",
        "100 98/98.5/97.5/98",
        {1: plain},
        [(2, "buy", 10, 98, "entry")],
    ),
    # Taken at the open: 98 + one tick. A fill at the limit itself rests and pays no spread (below).
    Row(
        "limit gapped through pays half the spread",
        "100 98/98.5/97.5/98",
        {1: plain},
        [(2, "buy", 10, 98.01, "entry")],
        costs=TICK,
    ),
    # 98 + 0.05 would be beyond the limit of 98.02.
    Row(
        "limit gapped through never pays more than the limit",
        "100 98/98.5/97.5/98",
        {1: lambda t: t.bracket(98.02, 95)},
        [(2, "buy", 10, 98.02, "entry")],
        costs=WIDE,
    ),
    Row("resting limit pays no spread", IN, {1: plain}, [ENTRY], costs=WIDE),
    # Opens at the limit: no penetration at the open, but later in the bar, so 99.
    Row(
        "limit opened at fills when penetrated later",
        "100 99/99.5/98.5/99",
        {1: plain},
        [ENTRY],
    ),
    # -- stops
    # Bar 3 trades through 95 on its way.
    Row(
        "stop fills at its price",
        IN + " 98/98/94/96",
        {1: plain},
        [ENTRY, (3, "sell", 10, 95, "stop")],
        [False],
    ),
    Row(
        "stop pays half the spread",
        IN + " 98/98/94/96",
        {1: plain},
        [ENTRY, (3, "sell", 10, 94.99, "stop")],
        [False],
        TICK,
    ),
    # A stop is triggered by a touch, not by penetration.
    Row(
        "stop fills on a touch",
        IN + " 98/98/95/96",
        {1: plain},
        [ENTRY, (3, "sell", 10, 95, "stop")],
        [False],
    ),
    # Opens at 90, five beyond the stop; with the spread 89.99.
    Row(
        "stop gapped through fills at the open",
        IN + " 90/91/89/90",
        {1: plain},
        [ENTRY, (3, "sell", 10, 89.99, "stop")],
        [False],
        TICK,
    ),
    # -- targets
    Row(
        "target needs a tick of penetration",
        IN + " 99/105/99/104 104/105.01/104/104",
        {1: plain},
        [ENTRY, (4, "sell", 10, 105, "target")],
        [False],
    ),
    # Opens at 107, beyond 105: sold there, less a tick.
    Row(
        "target gapped through fills at the open",
        IN + " 107/108/106/107",
        {1: plain},
        [ENTRY, (3, "sell", 10, 106.99, "target")],
        [False],
        TICK,
    ),
    # 105.02 - 0.05 would be below the target.
    Row(
        "target gapped through never sells below itself",
        IN + " 105.02/108/105/107",
        {1: plain},
        [ENTRY, (3, "sell", 10, 105, "target")],
        [False],
        WIDE,
    ),
    # The open at 106 comes before the low of 94: certain.
    Row(
        "open beyond the target comes before the stop",
        IN + " 106/107/94/95",
        {1: plain},
        [ENTRY, (3, "sell", 10, 106, "target")],
        [False],
    ),
    # -- a bar that reaches both, position held before it
    Row(
        "both in a later bar: worst is the stop",
        IN + " 99/106/94/100",
        {1: plain},
        [ENTRY, (3, "sell", 10, 95, "stop")],
        [True],
    ),
    Row(
        "both in a later bar: best is the target",
        IN + " 99/106/94/100",
        {1: plain},
        [ENTRY, (3, "sell", 10, 105, "target")],
        [True],
        options=dict(reading="best"),
    ),
    # High 105.5 is 5.5 from the open 100, low 94 is 6: the high first.
    Row(
        "both in a later bar: base takes the nearer extreme, the target",
        IN + " 100/105.5/94/100",
        {1: plain},
        [ENTRY, (3, "sell", 10, 105, "target")],
        [True],
        options=dict(reading="base"),
    ),
    # High 107 is 7 away, low 94 is 6: the low first.
    Row(
        "both in a later bar: base takes the nearer extreme, the stop",
        IN + " 100/107/94/100",
        {1: plain},
        [ENTRY, (3, "sell", 10, 95, "stop")],
        [True],
        options=dict(reading="base"),
    ),
    # -- the entry bar, entered inside by a limit
    # From 100 down to 94 the price passes 99, then 95: certain.
    Row(
        "stop in the entry bar is certain",
        "100 100/100/94/96",
        {1: plain},
        [ENTRY, (2, "sell", 10, 95, "stop")],
        [False],
    ),
    # Closes beyond 105 after having been at 99: certain.
    Row(
        "target in the entry bar is certain when the bar closes beyond it",
        "100 100/107/98/106",
        {1: plain},
        [ENTRY, (2, "sell", 10, 105, "target")],
        [False],
    ),
    # 106 may have come before 98: not counted; sold the next day at the open, marked.
    Row(
        "target in the entry bar is not counted in the worst reading",
        "100 100/106/98/100 106/106/106/106",
        {1: plain},
        [ENTRY, (3, "sell", 10, 106, "target")],
        [True],
    ),
    Row(
        "target in the entry bar is counted in the best reading",
        "100 100/106/98/100",
        {1: plain},
        [ENTRY, (2, "sell", 10, 105, "target")],
        [True],
        options=dict(reading="best"),
    ),
    # Low 98 is 2 from the open, high 106 is 6: entry first, then the target.
    Row(
        "target in the entry bar is counted in the base reading after a near entry",
        "100 100/106/98/100",
        {1: plain},
        [ENTRY, (2, "sell", 10, 105, "target")],
        [True],
        options=dict(reading="base"),
    ),
    # High 105.5 is 0.5 from the open, low 98 is 7: the target came first, the position stays.
    Row(
        "target in the entry bar is not counted in the base reading before a far entry",
        "100 105/105.5/98/100 100 106/106/106/106",
        {1: plain},
        [ENTRY, (4, "sell", 10, 106, "target")],
        [True],
        options=dict(reading="base"),
    ),
    Row(
        "both in the entry bar: worst is the stop",
        "100 100/106/94/100",
        {1: plain},
        [ENTRY, (2, "sell", 10, 95, "stop")],
        [True],
    ),
    Row(
        "both in the entry bar: best is the target",
        "100 100/106/94/100",
        {1: plain},
        [ENTRY, (2, "sell", 10, 105, "target")],
        [True],
        options=dict(reading="best"),
    ),
    # Bought at the open of 90, which lies beyond the stop of 95: out again at once, certain.
    Row(
        "entry gapped beyond its own stop is left at the open",
        "100 90/99/88/97",
        {1: plain},
        [(2, "buy", 10, 90.01, "entry"), (2, "sell", 10, 89.99, "stop")],
        [False],
        TICK,
    ),
    # In at the open of 98; from there the bar reaches the stop only.
    Row(
        "entry at the open can be stopped in the same bar",
        "100 98/98/94/96",
        {1: plain},
        [(2, "buy", 10, 98, "entry"), (2, "sell", 10, 95, "stop")],
        [False],
    ),
    # In at the open of 98; the high of 106 comes after it for sure.
    Row(
        "entry at the open can reach its target in the same bar",
        "100 98/106/97/100",
        {1: plain},
        [(2, "buy", 10, 98, "entry"), (2, "sell", 10, 105, "target")],
        [False],
    ),
    # -- other entries
    Row(
        "market entry fills at the open with half the spread",
        "100 101/102/100/101",
        {1: lambda t: t.bracket(100, 95, exectype=bt.Order.Market)},
        [(2, "buy", 10, 101.01, "entry")],
        costs=TICK,
    ),
    Row(
        "stop entry fills at its price",
        "100 100/103/100/103",
        {1: lambda t: t.bracket(102, 95, exectype=bt.Order.Stop)},
        [(2, "buy", 10, 102.01, "entry")],
        costs=TICK,
    ),
    Row(
        "stop entry gapped through fills at the open",
        "100 104/104.5/104/104",
        {1: lambda t: t.bracket(102, 95, exectype=bt.Order.Stop)},
        [(2, "buy", 10, 104, "entry")],
    ),
    # In at 102 on the way up; 99 may have come before, the close of 101 does not tell.
    Row(
        "stop in the bar of a stop entry: worst is the stop",
        "100 101/103/99/101",
        {1: lambda t: t.bracket(102, 100, 110, exectype=bt.Order.Stop)},
        [(2, "buy", 10, 102, "entry"), (2, "sell", 10, 100, "stop")],
        [True],
    ),
    Row(
        "stop in the bar of a stop entry: best is to stay",
        "100 101/103/99/101",
        {1: lambda t: t.bracket(102, 100, 110, exectype=bt.Order.Stop)},
        [(2, "buy", 10, 102, "entry")],
        options=dict(reading="best"),
    ),
    # The close of 99.5 lies beyond the stop of 100: it was crossed after the entry.
    Row(
        "stop in the bar of a stop entry is certain when the bar closes beyond it",
        "100 101/103/99/99.5",
        {1: lambda t: t.bracket(102, 100, 110, exectype=bt.Order.Stop)},
        [(2, "buy", 10, 102, "entry"), (2, "sell", 10, 100, "stop")],
        [False],
    ),
    # The way from 101 to 111 leads through 102, then 110: certain.
    Row(
        "target in the bar of a stop entry is certain",
        "100 101/111/101/105",
        {1: lambda t: t.bracket(102, 100, 110, exectype=bt.Order.Stop)},
        [(2, "buy", 10, 102, "entry"), (2, "sell", 10, 110, "target")],
        [False],
    ),
    # Opens at 104, beyond the limit: triggered, waits, filled when the bar comes back to 102.4.
    Row(
        "stop-limit gapped beyond its limit waits at the limit",
        "100 104/105/102.4/104",
        {1: lambda t: t.enter(size=10, exectype=bt.Order.StopLimit, price=102, plimit=102.5)},
        [(2, "buy", 10, 102.5, "plain")],
    ),
    # 102 + 0.05 would be beyond the limit of 102.02.
    Row(
        "stop-limit never pays more than its limit",
        "100 100/103/100/103",
        {1: lambda t: t.enter(size=10, exectype=bt.Order.StopLimit, price=102, plimit=102.02)},
        [(2, "buy", 10, 102.02, "plain")],
        costs=WIDE,
    ),
    # Prices off the grid: the limit goes to 99.00, the stop-limit's limit to 102.01.
    Row(
        "limit off the grid is rounded to the harder side",
        "100 100/100/98/99",
        {1: lambda t: t.bracket(99.008, 95)},
        [ENTRY],
    ),
    Row(
        "stop-limit off the grid stays on the grid",
        "100 104/105/102/104",
        {1: lambda t: t.enter(size=10, exectype=bt.Order.StopLimit, price=101, plimit=102.018)},
        [(2, "buy", 10, 102.01, "plain")],
    ),
    Row(
        "close order fills at the close",
        "100 101/103/99/102",
        {1: lambda t: t.enter(size=10, exectype=bt.Order.Close)},
        [(2, "buy", 10, 102.01, "plain")],
        costs=TICK,
    ),
    # -- volume: 0.1 of it a bar
    # 50 shares traded: 5 for us; the rest on bar 3 at the limit.
    Row(
        "entry takes its share of the volume, the rest waits",
        "100 100/100/98/99@50 100/100/98/99",
        {1: plain},
        [(2, "buy", 5, 99, "entry"), (3, "buy", 5, 99, "entry")],
    ),
    # 120 traded: 12 for both orders together, in order of submission.
    Row(
        "two orders share one budget",
        "100 100@120 100",
        {1: lambda t: (t.enter(size=10), t.enter(size=10))},
        [(2, "buy", 10, 100, "plain"), (2, "buy", 2, 100, "plain"), (3, "buy", 8, 100, "plain")],
    ),
    # 100 traded: the entry takes 10, nothing is left for the stop; its rest goes at the next open.
    Row(
        "entry and stop of one bar share one budget",
        "100 100/100/94/96@100 97",
        {1: plain},
        [ENTRY, (3, "sell", 10, 96, "stop")],
        [False],
    ),
    Row(
        "bar without volume fills nothing",
        "100 100/100/98/99@0 100/100/98/99",
        {1: plain},
        [(3, "buy", 10, 99, "entry")],
    ),
    # No trade below the stop on bar 3, so bar 4 at 97 is not stopped either.
    Row(
        "bar without volume triggers no stop",
        IN + " 90/91/89/90@0 gap 97 98",
        {1: plain},
        [ENTRY],
    ),
    Row(
        "bar of unknown volume is not bounded",
        "100 100/100/98/99@nan",
        {1: lambda t: t.bracket(99, 95, size=500)},
        [(2, "buy", 500, 99, "entry")],
    ),
    # 4 of 10 at the stop; then a market order: 6 at the open of 97.
    Row(
        "partially filled stop goes on as a market order",
        IN + " 98/98/94/96@40 gap 97",
        {1: plain},
        [ENTRY, (3, "sell", 4, 95, "stop"), (4, "sell", 6, 97, "stop")],
        [False],
    ),
    # -- partial entries
    # 4 in; bar 3 opens beyond the stop: 4 out, the other 6 never come in.
    Row(
        "partial entry is protected by as many shares",
        "100 100/100/98/99@40 90/99/89/90 100/100/98/99",
        {1: plain},
        [(2, "buy", 4, 99, "entry"), (3, "sell", 4, 90, "stop")],
        [False],
    ),
    # 4 in; bar 3 falls from 100 through 99 (6 more in) to 95 (10 out).
    Row(
        "the way to the stop leads through the entry's rest",
        "100 100/100/98/99@40 100/100/94/96",
        {1: plain},
        [(2, "buy", 4, 99, "entry"), (3, "buy", 6, 99, "entry"), (3, "sell", 10, 95, "stop")],
        [False],
    ),
    # 4 in on the last valid day; bar 3 would fill the rest; bar 4 stops 4.
    Row(
        "expired partial entry stays protected",
        "100 100/100/98/99@40 100/100/98/99 98/98/94/95",
        {1: today},
        [(2, "buy", 4, 99, "entry"), (4, "sell", 4, 95, "stop")],
        [False],
    ),
    # 4 in; the target takes 4 on bar 3 and ends the trade; bar 4 would have entered again.
    Row(
        "a leg's fill cancels the entry's rest",
        "100 100/100/98/99@40 104/106/104/106 100/100/98/99",
        {1: plain},
        [(2, "buy", 4, 99, "entry"), (3, "sell", 4, 105, "target")],
        [False],
    ),
    # Entered on the last valid day; the legs outlive it.
    Row(
        "legs do not inherit the entry's validity",
        IN + " 99 99 98/98/94/95",
        {1: today},
        [ENTRY, (5, "sell", 10, 95, "stop")],
        [False],
    ),
    Row(
        "entry expires at the close of its last day",
        "100 100/101/99.5/100 100/100/98/99",
        {1: today},
        [],
    ),
    # -- time limits
    Row(
        "time limit fills at the close",
        IN + " 99/101/98/100",
        {1: plain, 2: lambda t: t.time_limit()},
        [ENTRY, (3, "sell", 10, 99.99, "time limit")],
        [False],
        TICK,
    ),
    Row(
        "stop comes before the time limit of the same bar",
        IN + " 99/101/94/100",
        {1: plain, 2: lambda t: t.time_limit()},
        [ENTRY, (3, "sell", 10, 95, "stop")],
        [False],
    ),
    Row(
        "immediate time limit fills at the open",
        IN + " 97/101/96/100",
        {1: plain, 2: lambda t: t.time_limit(immediate=True)},
        [ENTRY, (3, "sell", 10, 97, "time limit")],
        [False],
    ),
    Row(
        "time limit of zero sessions leaves at the close of the entry bar",
        "100 100/101/98/98.5",
        {1: lambda t: t.day_trade(99, 95)},
        [ENTRY, (2, "sell", 10, 98.5, "time limit")],
        [False],
    ),
    # -- plain orders around brackets
    # 4 sold at the open of bar 3, the stop shrinks to 6.
    Row(
        "plain order cuts the legs",
        IN + " 99 98/98/94/95",
        {1: plain, 2: lambda t: t.leave(size=4)},
        [ENTRY, (3, "sell", 4, 99, "plain"), (4, "sell", 6, 95, "stop")],
        [False],
    ),
    Row(
        "close cancels the legs",
        IN + " 99 98/98/94/95",
        {1: plain, 2: lambda t: t.close()},
        [ENTRY, (3, "sell", 10, 99, "plain")],
        [False],
    ),
    # Bar 3 opens beyond the target: it sells ten, and nothing is left for close() to sell.
    Row(
        "close behind a gapped target does not open the other side",
        IN + " gap 107 108",
        {1: plain, 2: lambda t: t.close()},
        [ENTRY, (3, "sell", 10, 107, "target")],
        [False],
    ),
    # Two brackets of ten, ten sold: the older one's stop of 95 goes, the younger's of 96 stays.
    Row(
        "plain order cuts the oldest bracket first",
        IN + " 100/100/98/99 99 97/97/94/95",
        {1: plain, 2: lambda t: t.bracket(99, 96), 3: lambda t: t.leave(size=10)},
        [
            ENTRY,
            (3, "buy", 10, 99, "entry"),
            (4, "sell", 10, 99, "plain"),
            (5, "sell", 10, 96, "stop"),
        ],
        [False],
    ),
    # The second bracket sells the ten that the first one bought: flat, no stop is left to fire.
    Row(
        "an opposite bracket leaves the position and no legs",
        IN + " 99/102/99/99 90 110",
        {1: plain, 2: lambda t: t.opposite_bracket(101, 104, 96)},
        [ENTRY, (3, "sell", 10, 101, "entry")],
        [False],
    ),
    Row(
        "close and reverse",
        IN + " 98 99",
        {1: lambda t: t.enter(size=10), 2: lambda t: (t.close(), t.leave(size=10))},
        [
            (2, "buy", 10, 100, "plain"),
            (3, "sell", 10, 99, "plain"),
            (3, "sell", 10, 99, "plain"),
        ],
        [False],
    ),
    Row(
        "one order through zero",
        IN + " 98 99",
        {1: lambda t: t.enter(size=10), 2: lambda t: t.leave(size=25)},
        [(2, "buy", 10, 100, "plain"), (3, "sell", 25, 99, "plain")],
        [False],
    ),
    # The stop takes all; the limit is cancelled, although bar 4 trades there.
    Row(
        "one cancels the other",
        IN + " 98/98/94/95 100/106/100/105",
        {1: lambda t: t.enter(size=10), 2: lambda t: t.oco_exits(95, 104)},
        [(2, "buy", 10, 100, "plain"), (3, "sell", 10, 95, "plain")],
        [False],
    ),
    # Without oco: the limit outlives the position and is dropped with it.
    Row(
        "an exit whose position is gone is dropped",
        IN + " 98/98/94/95 100/106/100/105",
        {
            1: lambda t: t.enter(size=10),
            2: lambda t: (
                t.leave(size=10, exectype=bt.Order.Stop, price=95),
                t.leave(size=10, exectype=bt.Order.Limit, price=104),
            ),
        },
        [(2, "buy", 10, 100, "plain"), (3, "sell", 10, 95, "plain")],
        [False],
    ),
    # Stop two below the close: 97 after bar 2, 102 after bar 3's close of 104; bar 4 meets 102.
    Row(
        "trailing stop follows the close",
        IN + " 100/104/100/104 103/103/101.5/102",
        {
            1: lambda t: t.enter(size=10),
            2: lambda t: t.leave(size=10, exectype=bt.Order.StopTrail, trailamount=2.0),
        },
        [(2, "buy", 10, 100, "plain"), (4, "sell", 10, 102, "plain")],
        [False],
    ),
    # A trail of 2 started at 100 would stand at 102 after bar 2; started at the entry's bar, whose
    # close is 99, at 97; bar 4 gaps to 96.
    Row(
        "trailing leg follows only what is held",
        "100 100/104.5/100/104 101/101/98/99 gap 96",
        {
            1: lambda t: t.bracket(
                99, 95, 120, stopexec=bt.Order.StopTrail, stopargs=dict(trailamount=2.0)
            )
        },
        [(3, "buy", 10, 99, "entry"), (4, "sell", 10, 96, "stop")],
        [False],
    ),
    # Stop 95 limit 94: bar 3 opens at 93, beyond; it waits at 94 and bar 4 reaches 94.01.
    Row(
        "stop-limit leg that was jumped over waits at its limit",
        IN + " 93/93.5/92/93 93/94.01/93/94",
        {
            1: lambda t: t.bracket(
                99,
                95,
                stopexec=bt.Order.StopLimit,
                stopargs=dict(plimit=t.price(94)),
            )
        },
        [ENTRY, (4, "sell", 10, 94, "stop")],
        [False],
    ),
]

SWAP = {"buy": "sell", "sell": "buy"}


def mirrored_words(words: str) -> str:
    found = []
    for word in words.split():
        if word == "gap":
            found.append(word)
            continue
        prices, at_sign, volume = word.partition("@")
        numbers = [f"{MIRROR - float(price):.4f}" for price in prices.split("/")]
        if len(numbers) == 4:
            numbers[1], numbers[2] = numbers[2], numbers[1]
        found.append("/".join(numbers) + at_sign + volume)
    return " ".join(found)


@pytest.mark.parametrize("mirrored", [False, True], ids=["long", "short"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_fills_are_those_worked_out_by_hand(row: Row, mirrored: bool) -> None:
    given = bars(mirrored_words(row.bars) if mirrored else row.bars)
    plan = {
        number: lambda s, act=act: act(Trader(s, mirrored=mirrored))
        for number, act in row.plan.items()
    }
    expected = [
        (bar, SWAP[side] if mirrored else side, size, MIRROR - price if mirrored else price, leg)
        for bar, side, size, price, leg in row.fills
    ]

    record = run_orders(given, plan, costs=row.costs, **row.options)

    number = {session: n for n, session in enumerate(given.session.tolist(), start=1)}
    actual = [(number[f.session], f.side, f.size, f.price, f.leg) for f in record.fills]
    assert [(*fill[:3], fill[4]) for fill in actual] == [(*fill[:3], fill[4]) for fill in expected]
    assert [fill[3] for fill in actual] == pytest.approx([fill[3] for fill in expected], abs=1e-9)
    assert [trade.ambiguous for trade in record.trades] == row.ambiguous
