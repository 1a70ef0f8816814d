# SPDX-License-Identifier: GPL-3.0-or-later
"""The replay: bars in progress, and the orders that meet them, in the order of time.

All bars that end together are one window. Sweeping it to an instant executes what happens up to
there, across all symbols; sweeping in two steps gives the same as in one. A client learns of a
bar when it has ended, of its own fills when they happen.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import NamedTuple

from iverson.simulator.brackets import elect, end_order
from iverson.simulator.events import BarClosed, TradingHalt
from iverson.simulator.floor import Floor, can_meet
from iverson.simulator.lifecycle import fill, wanted
from iverson.simulator.market import Bar
from iverson.simulator.matching import Tape, Touch, mark_at, meet, reach_of
from iverson.simulator.orders import Order
from iverson.simulator.path import Path

ONE = Decimal(1)
AT_ONCE = frozenset({"ioc", "fok", "opg"})


class Next(NamedTuple):
    """What happens next in a symbol; ordered by instant, then by the order's arrival."""

    at: datetime
    number: int
    order_id: str
    touch: Touch | None


class Replay:
    """The window of bars that end next, and how far it was swept."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._bars: dict[str, Bar] = {}
        self._tapes: dict[str, Tape] = {}
        self._spent: set[str] = set()
        self._volume: dict[str, Decimal] = {}
        self._halts: dict[str, datetime] = {}
        self._reaches: dict[str, tuple[Order, float, float]] = {}
        self._trailing: list[str] = []
        self.end: datetime | None = None
        self._load()

    def sweep(self, until: datetime) -> None:
        """Execute everything that orders meet up to and including an instant.

        Ends earlier if something that happens sets a timer before it; `floor.now` says where.
        """
        floor, cursor = self._floor, self._floor.now
        if until <= cursor:
            return
        self._trailing = []
        coming = {
            symbol: event
            for symbol in floor.alive
            if symbol in self._bars and (event := self._next(symbol, cursor, until)) is not None
        }
        while coming:
            symbol, event = min(coming.items(), key=lambda item: item[1][:2])
            floor.now = event.at
            self._happen(symbol, event)
            timer = floor.next_timer()
            if timer is not None and timer < until:
                until = timer
                coming = {name: one for name, one in coming.items() if one.at <= until}
            follows = self._next(symbol, event.at, until)
            if follows is None:
                coming.pop(symbol, None)
            else:
                coming[symbol] = follows
        floor.now = until
        if until == self.end:
            for order_id in self._trailing:
                self._trail(floor.orders[order_id], until)

    def close(self) -> None:
        """End the window: its bars are known from now on."""
        floor = self._floor
        for symbol, bar in self._bars.items():
            floor.marks[symbol] = bar.close
            if self._is_regular(bar):
                floor.opened[symbol] = bar.session
            if floor.listeners or floor.switches.log_bars:
                floor.emit(BarClosed(bar, bar.end))
        self._load()

    def _load(self) -> None:
        self.end = self._floor.market.next_end(self._floor.now)
        self._tapes, self._spent, self._volume, self._halts = {}, set(), {}, {}
        if self.end is None:
            self._bars = {}
            return
        bars = self._floor.market.bars_between(self._floor.now, self.end)
        self._bars = {bar.symbol: bar for bar in bars}

    def _next(self, symbol: str, cursor: datetime, until: datetime) -> Next | None:
        floor, found = self._floor, None
        bar = self._bars[symbol]
        for order_id in floor.alive[symbol]:
            order = floor.orders[order_id]
            if not self._can_reach(order, bar):
                continue
            tape = self._tape(symbol)
            touch = self._meet(order, tape, cursor)
            if touch is None or touch.at > until:
                continue
            if found is None or (touch.at, order.number) < found[:2]:
                found = Next(touch.at, order.number, order.id, touch)
        halt = self._halts.get(symbol)
        if halt is not None and cursor <= halt <= (until if found is None else found.at):
            return Next(halt, 0, "", None)
        return found

    def _meet(self, order: Order, tape: Tape, cursor: datetime) -> Touch | None:
        floor, since = self._floor, cursor
        if order.type == "trailing_stop" and not order.elected:
            since = tape.path.start  # its mark is that of the last bar: it goes all the way again
        while True:
            touch = meet(order, tape, since, floor.switches)
            if touch is None:
                return None
            if touch.at < cursor:  # reached while a halt was on that is over now
                since = cursor
                continue
            end = floor.halted_until(order.symbol, touch.at)
            if end is None:
                return touch
            since = cursor = end

    def _happen(self, symbol: str, event: Next) -> None:
        floor, touch = self._floor, event.touch
        if touch is None:
            self._halt(symbol)
            return
        order = floor.orders[event.order_id]
        if touch.elected:
            order = self._trail(order, touch.at)
        if touch.kind == "kill":
            end_order(floor, order, "canceled")
        elif touch.kind == "elect":
            elect(floor, order)
        else:
            self._execute(order, touch)

    def _execute(self, order: Order, touch: Touch) -> None:
        floor = self._floor
        asked = wanted(order, touch.price)
        qty = min(asked, self._available(order))
        if order.time_in_force == "fok" and qty < asked:
            end_order(floor, order, "canceled")
            return
        qty = self._partial(order, qty)
        if not qty:
            self._spent.add(order.id)
            if touch.elected and not order.elected:
                elect(floor, order)
        else:
            order = fill(floor, order, qty, touch.price, elected=touch.elected)
            if order.symbol in self._volume:
                self._volume[order.symbol] -= qty
        if order.time_in_force in AT_ONCE and not order.is_ended:
            end_order(floor, order, "canceled")

    def _available(self, order: Order) -> Decimal:
        scripted = self._floor.next_fill.pop(order.id, None)
        if scripted is not None:
            return scripted
        share = self._floor.switches.volume_share
        if share is None:
            return Decimal("Infinity")
        volume = Decimal(repr(self._bars[order.symbol].volume))
        whole = (volume * share).quantize(ONE, ROUND_FLOOR)
        return self._volume.setdefault(order.symbol, whole)

    def _partial(self, order: Order, qty: Decimal) -> Decimal:
        floor, probability = self._floor, self._floor.switches.partial_probability
        if qty < 2 or qty % 1 or order.time_in_force in ("fok", "opg") or probability <= 0:
            return qty
        if floor.draw("partial", order.id, order.filled_qty) >= probability:
            return qty
        part = floor.draw("size", order.id, order.filled_qty)
        return ONE + (Decimal(part) * (qty - 1)).quantize(ONE, ROUND_FLOOR)

    def _can_reach(self, order: Order, bar: Bar) -> bool:
        """Tell whether a bar may matter to an order; most bars do not reach most orders."""
        known = self._reaches.get(order.id)
        if known is None or known[0] is not order:
            known = (order, *reach_of(order, self._floor.switches))
            self._reaches[order.id] = known
        if bar.low > known[1] and bar.high < known[2]:
            return False
        if not can_meet(order) or order.id in self._spent or self._is_early(order):
            return False
        if order.type == "trailing_stop" and not order.elected:
            self._trailing.append(order.id)
        return True

    def _is_early(self, order: Order) -> bool:
        """Tell whether an exit is held by a target that is not at work yet itself."""
        if order.status != "held" or order.parent_id is None:
            return False
        return self._floor.orders[order.parent_id].status in ("pending_new", "accepted")

    def _trail(self, order: Order, until: datetime) -> Order:
        """Move a trailing stop with the market: when a bar ends, or to where it is reached.

        At no other instant, so that looking more often tells nothing more.
        """
        if order.type != "trailing_stop" or order.is_ended or order.elected:
            return order
        tape = self._tape(order.symbol)
        after = max(order.live_from, tape.path.start)
        if not tape.regular or after > until:
            return order
        hwm, stop = mark_at(order, tape.path, after, until)
        if hwm == order.hwm:
            return order
        return self._floor.change(
            order, order.status, "trail", published=False, hwm=hwm, stop_price=stop
        )

    def _tape(self, symbol: str) -> Tape:
        tape = self._tapes.get(symbol)
        if tape is None:
            bar = self._bars[symbol]
            regular = self._is_regular(bar)
            early = timedelta(seconds=self._floor.switches.close_early_seconds)
            path = Path(bar, high_first=self._high_first(bar), early=early)
            opening = regular and self._floor.opened.get(symbol) != bar.session
            tape = self._tapes[symbol] = Tape(path, regular, opening)
            self._watch_band(symbol, path)
        return tape

    def _is_regular(self, bar: Bar) -> bool:
        day = self._floor.schedule.day(bar.session)
        return day.open <= bar.start and bar.end <= day.close

    def _high_first(self, bar: Bar) -> bool:
        floor, way = self._floor, self._floor.switches.path
        if way == "seeded":
            return floor.draw("path", bar.symbol, bar.end.isoformat()) < 0.5
        if way == "adverse":
            # Against what is held; against what is about to be bought or sold if nothing is.
            for order in floor.living(bar.symbol):
                held = floor.books(order.account_id).qty(bar.symbol)
                if held:
                    return held < 0
                if order.opens:
                    return order.side == "buy"
        return way == "high first"

    def _watch_band(self, symbol: str, path: Path) -> None:
        band, price = self._floor.switches.luld_band, self._floor.price(symbol)
        if band is None or price is None:
            return
        ways = [
            path.reach(price * (1 + band), path.start, rising=True),
            path.reach(price * (1 - band), path.start, rising=False),
        ]
        found = [reached.at for reached in ways if reached is not None]
        if found and min(found) >= self._floor.now:
            self._halts[symbol] = min(found)

    def _halt(self, symbol: str) -> None:
        floor = self._floor
        del self._halts[symbol]
        seconds = floor.switches.luld_seconds
        floor.wait(seconds, "resume", symbol)
        floor.halted[symbol] = (floor.now, floor.now + timedelta(seconds=seconds))
        floor.emit(TradingHalt(symbol, True, "limit up limit down", floor.now))
