# SPDX-License-Identifier: GPL-3.0-or-later
"""The drills with orders, and the order in which all of them are run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from iverson.errors import OrderRejected
from iverson.execution.alpaca.states import OrderState
from iverson.execution.alpaca.wire import Body, order_body, price_text, protection_body
from iverson.market.calendar import new_york
from iverson.monitoring.events import Drill
from iverson.monitoring.evidence import CANCEL, ENTRY, FLATTEN, HALT, KILL, STOP
from iverson.monitoring.journal import Journal
from iverson.stages.connection import Connection
from iverson.stages.drill_gate import drilled_halt, drilled_rules
from iverson.stages.drill_orders import DrillOrders
from iverson.stages.kill import kill, would_cancel
from iverson.stages.refreshed import vendor_of
from iverson.stages.traded import Traded

FAR = 0.5  # of the price: a limit that is never met
COLLAR = 0.02  # above the price: a limit that is
NEAR = 0.0005  # of the price: how far below it a stop waits to be triggered
WIDE = 0.05  # the same for a stop that only protects
ENTRY_LOOKS = 60  # a second each
RAISE_EVERY = 60  # looks before a stop that the market left behind follows it
WAKES = timedelta(minutes=15)  # before the close, when the account is the system's own


class Drills:
    """The drills of one system, each noted when it is `done`; `skipped` could not be now."""

    def __init__(
        self, system: Traded, connection: Connection, book: Journal, run: str, orders: DrillOrders
    ) -> None:
        self.system, self.connection, self.orders = system, connection, orders
        self.book, self.run = book, run
        self.done: list[Drill] = []
        self.skipped: list[str] = []

    def all(self, symbol: str | None, wait_seconds: int, *, flatten: bool) -> None:
        """Run them; what cannot be now is told."""
        at, system = self.connection.clock(), self.system
        for item, passed, words in drilled_rules(system, at, self.skipped.append):
            self._note(item, words, passed=passed)
        passed, words = drilled_halt(system, self.book, self.run, at)
        self._note(HALT, words, passed=passed)
        free = self._free(symbol)
        if free is None:
            return
        price = self._price(free)
        if price is None:
            self.skipped.append(f"{CANCEL}, {KILL}, {STOP}: {free} has no trade to price it by")
            return
        self._far(free, price)
        untimely = _untimely(self.connection.clock(), wait_seconds)
        if untimely:
            self.skipped.append(f"{ENTRY}, {STOP}: {untimely}")
            return
        self._stop(free, price, wait_seconds)
        if flatten:
            self._flatten(free, price)

    # -- with orders ---------------------------------------------------------------------------

    def _free(self, symbol: str | None) -> str | None:
        """Return what may be traded without touching what is there; None with the reason told."""
        venue = self.connection.venue
        taken = {one.symbol for one in venue.holdings()}
        taken |= {one.symbol for one in venue.open_orders()}
        asked = (symbol,) if symbol else self.system.symbols
        found = next((one for one in asked if one not in taken), None)
        if found is None:
            self.skipped.append(
                f"{CANCEL}, {KILL}, {STOP}: the account has {', '.join(sorted(taken))} already; "
                "name a symbol that it has nothing of, as --symbol SPY"
            )
        return found

    def _price(self, symbol: str) -> float | None:
        connection = self.connection
        vendor = vendor_of(connection, feed=connection.stream_feed, now=connection.clock())
        return vendor.last_price(symbol)

    def _far(self, symbol: str, price: float) -> None:
        """Place an order far from the market, have the kill switch see it, take it back."""
        limit = price * FAR
        try:
            order = self.orders.place(symbol, "entry", _buying(symbol, limit))
        except OrderRejected as error:
            self._note(CANCEL, f"the venue refused it: {error}", passed=False, symbol=symbol)
            return
        gone, stays = would_cancel(self.connection.venue)
        seen = any(one.id == order.id for one in gone)
        words = f"it would take back {len(gone)} orders, this one {'too' if seen else 'not'}, and "
        self._note(KILL, f"{words}leave {len(stays)}; nothing was taken", passed=seen)
        ended = self.orders.cancel(order)
        self.orders.catch_up()
        how = "no word came" if ended is None else f"the venue says {ended.status}"
        words = f"order {order.id}, a limit of {price_text(limit, up=False)}: {how}"
        passed = ended is not None and ended.meaning == "canceled" and ended.filled == 0
        self._note(CANCEL, words, passed=passed, symbol=symbol)

    def _stop(self, symbol: str, price: float, wait_seconds: int) -> None:
        """Buy one share under a stop that is near, and wait for it to be triggered."""
        order = self._entered(symbol, price)
        if order is None:
            return
        words = f"order {order.id} bought 1 share at {order.average:.4f}"
        self._note(ENTRY, words, passed=True, symbol=symbol)
        stop = next((one for one in reversed(order.legs) if one.leg == "stop"), None)
        raised = 0
        for waited in range(wait_seconds):
            if stop is not None:
                stop = self.orders.state(stop)
                if stop.meaning == "filled":
                    at, level = stop.average, stop.stop or 0.0
                    words = f"order {stop.id}, a stop at {level:.4f}, sold 1 share at {at:.4f}"
                    again = f" after it was raised {raised} times" if raised else ""
                    self._note(STOP, f"{words}{again}", passed=True, symbol=symbol)
                    return
            if stop is None or not stop.alive or waited % RAISE_EVERY == RAISE_EVERY - 1:
                stop = self._raised(symbol, stop)
                raised += 1
            self.orders.pause(1.0)
        words = f"not triggered within {wait_seconds} seconds; run it again in a livelier hour"
        self._note(STOP, words, passed=False, symbol=symbol)

    def _flatten(self, symbol: str, price: float) -> None:
        """Have the kill switch leave one share; never one that was there before."""
        venue = self.connection.venue
        self.orders.take_back(sells=True)
        if venue.holdings() or venue.open_orders():
            self.skipped.append(
                f"{FLATTEN}: the account has positions or orders, which the kill switch would "
                "close too; ask for it when the account has none"
            )
            return
        order = self._entered(symbol, price)
        if order is None:
            return
        killed = kill(venue, flatten=True, pause=venue.pause)  # to its end, whoever stops the rest
        self.orders.catch_up()
        self.orders.left_by_others(order)
        passed = killed.done and not killed.positions and not killed.working
        self._note(FLATTEN, str(killed), passed=passed, symbol=symbol)

    def _entered(self, symbol: str, price: float) -> OrderState | None:
        limit, said = price * (1 + COLLAR), ""
        for below in (NEAR, WIDE):  # the market may be below its last trade already
            stop = min(price * (1 - below), price - 0.01)
            try:
                order = self.orders.place(symbol, "entry", _buying(symbol, limit, stop=stop))
            except OrderRejected as error:
                said = f"the venue refused it: {error}"
                continue
            found = self.orders.until(order, lambda one: one.filled >= 1, ENTRY_LOOKS)
            if found is not None:
                self.orders.catch_up()  # the system's books know of it from here on
                return found
            said = f"a limit of {price_text(limit, up=False)} was not filled"
            break
        self._note(ENTRY, said, passed=False, symbol=symbol)
        return None

    def _raised(self, symbol: str, stop: OrderState | None) -> OrderState | None:
        """Put the stop just below the market once more."""
        if stop is not None and stop.alive:
            ended = self.orders.cancel(stop)
            if ended is None or ended.filled:
                return ended or stop
        mark = next(
            (one.mark for one in self.connection.venue.holdings() if one.symbol == symbol), None
        )
        if mark is None:
            return stop
        level = min(mark * (1 - NEAR), mark - 0.01)

        def body(name: str) -> Body:
            return protection_body(
                symbol=symbol, size=1, side="sell", stop=level, target=None, name=name
            )

        try:
            return self.orders.place(symbol, "stop", body)
        except OrderRejected:
            return None  # the market has fallen below it meanwhile: tried again at the next look

    def _note(self, item: str, evidence: str, *, passed: bool, symbol: str = "") -> None:
        done = Drill(self.connection.clock(), item, passed, evidence, symbol)
        self.book.append(self.run, done)
        self.done.append(done)


def _buying(symbol: str, limit: float, *, stop: float | None = None) -> Callable[[str], Body]:
    def body(name: str) -> Body:
        made = order_body(symbol=symbol, side="buy", size=1, kind="limit", name=name, limit=limit)
        if stop is None:
            return made
        return made | {
            "order_class": "oto", "stop_loss": {"stop_price": price_text(stop, up=False)},
        }  # fmt: skip

    return body


def is_open(at: datetime) -> bool:
    """Whether it is within regular hours."""
    calendar = new_york()
    session = calendar.session_of(at)
    return calendar.open_at(session) <= at < calendar.close_at(session)


def _untimely(at: datetime, wait_seconds: int) -> str:
    """Say why no share may be bought now, "" when it may."""
    calendar = new_york()
    if not is_open(at):
        return (
            f"the market is closed; run it again after {calendar.next_open(at):%Y-%m-%d %H:%M} UTC"
        )
    close = calendar.close_at(calendar.session_of(at))
    last = close - WAKES - timedelta(seconds=wait_seconds)
    if at <= last:
        return ""
    return (
        f"the market closes at {close:%H:%M} UTC and the stop may take {wait_seconds} seconds; run "
        f"it again in a session before {last:%H:%M} UTC, or with a shorter --wait"
    )
