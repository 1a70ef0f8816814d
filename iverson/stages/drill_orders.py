# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders of a drill: written down before they are sent, named apart, and all taken back.

They go the way of every order (intent, POST, answer) under a prefix of their own, so no decision
has such a name and reconciliation leaves them alone. What they fill is no trade of the system: its
run gets the cash that moved, and so its books still add up to the cent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from iverson.errors import BrokerUnavailable, OrderRejected, OutOfSync
from iverson.execution.alpaca.opening import FILLS_BEFORE, chain
from iverson.execution.alpaca.protocol import Placing
from iverson.execution.alpaca.states import OrderState
from iverson.execution.alpaca.venue import Venue, canonical
from iverson.execution.alpaca.wire import DRILL_PREFIX, Body, client_order_id, order_body
from iverson.market.calendar import new_york
from iverson.model import Answer, CashFlow, Execution, Intent, Leg, OrderEvent
from iverson.monitoring.journal import Journal

ENTRY_SECONDS = 60.0  # for an entry to be sent
WORD_LOOKS = 60  # a second each, for the venue's word on a cancel or a sale
SHARE_LOOKS = 10  # the same for a position to show what was bought
NEAR = 1e-6  # shares


class DrillOrders:
    """The orders of one system's drills on one account.

    Parameters
    ----------
    run: of the drills. `traded` is the system's own run, None when it has not begun.
    account: the account's number. `pause` waits, or raises what ends a drill.
    """

    def __init__(
        self,
        venue: Venue,
        journal: Journal,
        *,
        run: str,
        traded: str | None,
        account: str,
        pause: Callable[[float], None],
    ) -> None:
        self.venue, self.pause = venue, pause
        self._journal, self._run, self._traded = journal, run, traded
        self._account = account
        values = journal.values("intent", "answer", "execution", "order", run=run)
        self._intents = [one for one in values if isinstance(one, Intent)]
        ended = {one.order_id for one in values if isinstance(one, OrderEvent)}
        self._answered = {one.name: one.order for one in values if isinstance(one, Answer)}
        self._made = Counter((one.symbol, one.leg) for one in self._intents)
        self._open = [one for one in self._intents if one.name not in ended]
        self._booked = {one.id for one in values if isinstance(one, Execution)}
        self._held: dict[str, int] = defaultdict(int)
        for one in values:
            if isinstance(one, Execution):
                self._held[one.symbol] += _signed(one)

    @property
    def held(self) -> dict[str, int]:
        """Shares that drills bought and have not left."""
        return {symbol: size for symbol, size in self._held.items() if size}

    @property
    def open(self) -> tuple[Intent, ...]:
        """The orders whose end is not noted."""
        return tuple(self._open)

    def place(self, symbol: str, leg: Leg, body: Callable[[str], Body]) -> OrderState:
        """Send one order.

        Raises
        ------
        OrderRejected: the venue does not take it, in its words.
        BrokerUnavailable: nobody knows whether it is there; `take_back` finds out.
        """
        now = self.venue.clock()
        self._made[symbol, leg] += 1
        attempt = self._made[symbol, leg]
        name = client_order_id(
            account=self._account, strategy=self._run, symbol=symbol, at=now, leg=leg,
            attempt=attempt, prefix=DRILL_PREFIX,
        )  # fmt: skip
        intent = Intent(
            at=now,
            session=new_york().session_of(now),
            name=name,
            key=f"drill-{symbol}-{now:%Y%m%dT%H%M%S}",
            symbol=symbol,
            leg=leg,
            attempt=attempt,
            body=canonical(body(name)),
            valid_until=now + timedelta(seconds=ENTRY_SECONDS) if leg == "entry" else None,
        )
        self._journal.append(self._run, intent)
        self._intents.append(intent)
        self._open.append(intent)
        placed = self.venue.place(intent)
        self._answer(intent, placed.ending, placed.reason, placed.order, placed.posts)
        if placed.order is not None:
            return placed.order
        if placed.ending in ("rejected", "margin"):
            self._end(intent, "rejected", None)
            raise OrderRejected(placed.reason)
        raise BrokerUnavailable(
            f"a drill's order for {symbol} may or may not be there ({placed.reason}); run "
            "`iverson drill` again, which takes it back first"
        )

    def state(self, order: OrderState) -> OrderState:
        """Return an order as the venue has it now, its legs inside; of one replaced its heir."""
        return self._followed(self.venue.order(order.id) or order)

    def until(
        self, order: OrderState, holds: Callable[[OrderState], bool], looks: int = WORD_LOOKS
    ) -> OrderState | None:
        """Look once a second until something holds of an order; None when it never did."""
        for number in range(looks):
            found = self.state(order)
            if holds(found):
                return found
            if number < looks - 1:
                self.pause(1.0)
        return None

    def cancel(self, order: OrderState) -> OrderState | None:
        """Cancel an order and wait for the venue's word; None when it never came."""
        self.venue.cancel(order.id)
        return self.until(order, lambda one: not one.alive)

    def catch_up(self) -> None:
        """Book what the orders have filled, and note which have ended, as the venue shows it."""
        if not self._open:
            return
        fills = self.venue.fills(min(one.at for one in self._open) - FILLS_BEFORE)
        for intent in list(self._open):
            order = self._found(intent)
            if order is None:
                continue
            legs: list[tuple[OrderState, Leg]] = [(order, intent.leg)]
            legs += [(one, one.leg) for one in order.legs]
            for state, leg in legs:
                rows = [row for row in fills if row.order_id == state.id]
                for row in rows:
                    self._book(intent, leg, row)
                if sum(row.size for row in rows) < state.filled - NEAR:
                    break  # the activities lag behind
            else:
                if not any(state.alive for state, _ in legs):
                    self._end(intent, order.status, order)

    def left_by_others(self, order: OrderState) -> None:
        """Book what somebody else has sold of an entry: the kill switch's orders have no name."""
        (intent,) = (one for one in self._intents if one.name == order.name)
        rows = self.venue.fills(intent.at - FILLS_BEFORE)
        for row in rows:
            named = f"{row.order_id}:{row.cumulative:g}" in self._booked
            sold = row.symbol == intent.symbol and row.side == "sell" and row.at >= intent.at
            if sold and not named and self._held[row.symbol] >= row.size:
                self._book(intent, "flatten", row)

    def take_back(self, *, sells: bool) -> str:
        """Cancel what still works and sell what is held; return what is left to do, "" for nothing.

        `sells`: whether the market is open. When it is not, shares keep their stop until it is.
        """
        self.catch_up()
        if self.held and not sells:
            shares = ", ".join(f"{size} {symbol}" for symbol, size in self.held.items())
            return (
                f"the market is closed, so a drill's shares are still there ({shares}); run "
                "`iverson drill` when it is open, which leaves them first"
            )
        for _ in range(WORD_LOOKS):
            working = list(self._working())
            for order in working:
                self.venue.cancel(order.id)
            self.catch_up()
            if not working:
                break
            self.venue.pause(1.0)
        for symbol, size in self.held.items():
            try:
                self._sell(symbol, size)
            except OrderRejected as error:
                return f"{size} {symbol} could not be sold ({error}); look at the account"
        for _ in range(WORD_LOOKS):
            self.catch_up()
            if not self._open and not self.held:
                return ""
            self.venue.pause(1.0)
        left = ", ".join(f"{one.leg} order for {one.symbol}" for one in self._open)
        return (
            f"not all could be taken back yet ({left or self.held}); run `iverson drill` again, "
            "or look at the account"
        )

    # -- its parts -----------------------------------------------------------------------------

    def _working(self) -> Any:
        for intent in self._open:
            order = self._found(intent)
            if order is not None:
                yield from (one for one in (order, *order.legs) if one.alive)

    def _sell(self, symbol: str, size: int) -> None:
        """Sell what is held, unless it is not there: that would open the other side."""
        for _ in range(SHARE_LOOKS):
            there = next((one.size for one in self.venue.holdings() if one.symbol == symbol), 0.0)
            if there >= size:
                break
            self.venue.pause(1.0)  # its stop may have sold it just now
            self.catch_up()
            if symbol not in self.held:
                return
        else:
            raise OutOfSync(
                f"a drill bought {size} {symbol} and the account shows {there:g}: somebody else "
                "has traded it; look at the account"
            )
        self.place(
            symbol,
            "flatten",
            lambda name: order_body(
                symbol=symbol, side="sell", size=size, kind="market", name=name, day=True
            ),
        )

    def _found(self, intent: Intent) -> OrderState | None:
        """Return an order as it is now, and settle one that never arrived."""
        known = self._answered.get(intent.name)
        if known:
            there = self.venue.order(known)
            return None if there is None else self._followed(there)
        placing = Placing(self.venue.caller, self.venue.clock, self.venue.pause)
        order = placing.look(intent.name)
        if isinstance(order, OrderState):
            self._answer(intent, "accepted", "found by its name", order, 0)
            return self.state(order)
        if order is None:
            if intent.name not in self._answered:
                self._answer(intent, "abandoned", "not at the venue", None, 0)
            self._end(intent, "rejected", None)
        return None

    def _followed(self, order: OrderState) -> OrderState:
        """Return an order with its legs, each after what it became: a triggered stop may be new."""
        last = chain(self.venue, order)[-1]
        legs = tuple(one for leg in last.legs for one in chain(self.venue, leg))
        return replace(last, legs=legs)

    def _book(self, intent: Intent, leg: Leg, row: Any) -> None:
        name = f"{row.order_id}:{row.cumulative:g}"
        if name in self._booked:
            return
        session = new_york().session_of(row.at)
        execution = Execution(
            row.at, session, name, row.order_id, intent.key, row.symbol, row.side, leg, row.size,
            row.price,
        )  # fmt: skip
        with self._journal.transaction():
            self._journal.append(self._run, execution)
            if self._traded is not None:
                cash = -_signed(execution) * row.price
                flow = CashFlow(row.at, session, "", "drill", cash)
                self._journal.append(self._traded, flow)
        self._booked.add(name)
        self._held[row.symbol] += _signed(execution)

    def _answer(
        self, intent: Intent, ending: str, reason: str, order: OrderState | None, posts: int
    ) -> None:
        now = self.venue.clock()
        session = new_york().session_of(now)
        order_id = order.id if order else ""
        self._journal.append(
            self._run,
            Answer(now, session, intent.name, intent.symbol, ending, reason, order_id, posts),
        )
        self._answered[intent.name] = order_id

    def _end(self, intent: Intent, status: str, order: OrderState | None) -> None:
        now = self.venue.clock()
        bought = '"side":"buy"' in intent.body
        self._journal.append(
            self._run,
            OrderEvent(
                at=now, session=new_york().session_of(now), order_id=intent.name,
                symbol=intent.symbol, side="buy" if bought else "sell", leg=intent.leg,
                kind=order.kind if order else "", status=status,
                size=order.size if order else 0.0,
                price=float((order and (order.limit or order.stop)) or 0.0),
            ),
        )  # fmt: skip
        self._open.remove(intent)


def _signed(execution: Execution) -> int:
    size = round(execution.size)
    return size if execution.side == "buy" else -size
