# SPDX-License-Identifier: GPL-3.0-or-later
"""One Alpaca account for Backtrader: the store that broker and feed share.

    store = AlpacaStore(key=..., secret=..., paper=True)
    cerebro.setbroker(store.getbroker())
    cerebro.adddata(store.getdata(dataname="AAPL"))

An ordinary object, not a singleton: two stores are two accounts. It writes down what is about to
be sent (`note`), hands it to a worker, and answers what the venue shows. Without a journal, as in
a plain script, it keeps what it has sent in memory only.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from iverson.errors import ConfigError, OutOfSync
from iverson.execution.alpaca.broker import AlpacaBroker
from iverson.execution.alpaca.pace import Pace, Priority
from iverson.execution.alpaca.protocol import Placed
from iverson.execution.alpaca.rest import Rest
from iverson.execution.alpaca.states import FillRow, Holding, OrderState, Standing, Update
from iverson.execution.alpaca.tracking import Tracked
from iverson.execution.alpaca.venue import Venue
from iverson.execution.alpaca.wire import client_order_id, is_ours
from iverson.execution.alpaca.worker import Inline, Threaded, Worker
from iverson.execution.costs import Costs
from iverson.execution.groups import Group
from iverson.execution.reconcile import (
    OpenGroup,
    Reading,
    Reconciled,
    Shown,
    Written,
    reconcile,
)
from iverson.market.calendar import new_york, utc_now
from iverson.market.moments import number_of
from iverson.model import Intent

FILLS_BEFORE = timedelta(days=1)  # before the oldest open decision
SETTLE_SECONDS = 30.0
WORD_TRIES, WORD_SECONDS = 40, 0.25  # how long the venue's word on a cancel is waited for


@dataclass(frozen=True, slots=True)
class Opening:
    """The account as a run finds it."""

    cash: float
    groups: tuple[OpenGroup, ...]
    foreign: tuple[Holding, ...]


class AlpacaStore:
    """The account, the worker that talks to it, and what was written down.

    Parameters
    ----------
    key, secret, paper, url: see `Rest`; `rest` instead of them for a connection of one's own.
    threaded: whether a thread talks to the venue (a stream) or each call is made at once (a wake).
    written: what earlier runs wrote down, from the journal.
    note: writes one value down, durably, before it returns.
    alarm: told what a person has to see, as (rule, reason); `told` what is only worth keeping.
    clock: the venue's time. monotonic, pause: seconds, and waiting for some.
    poll_seconds: how often open orders are compared with the venue's.
    costs: fees that the venue will charge, for our own books; none on paper.
    limited: whether to keep below Alpaca's limit of requests.
    """

    def __init__(
        self,
        key: str = "",
        secret: str = "",
        *,
        paper: bool = True,
        url: str | None = None,
        rest: Any = None,
        threaded: bool = True,
        written: Written | None = None,
        note: Callable[[Any], None] | None = None,
        alarm: Callable[[str, str], None] | None = None,
        told: Callable[[str], None] | None = None,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
        poll_seconds: float = 60.0,
        costs: Costs | None = None,
        limited: bool = True,
    ) -> None:
        if rest is None and not (key and secret):
            raise ConfigError("AlpacaStore needs the account's key and secret")
        self.rest = Rest(key, secret, paper=paper, url=url) if rest is None else rest
        self.clock = clock
        self.pause = pause
        self.venue = Venue(self.rest, Pace(monotonic, pause, limited=limited), clock, pause)
        self.worker: Worker = Threaded() if threaded else Inline()
        self.written = written or Written()
        self.note = note or _nowhere
        self.alarm = alarm or _nowhere_at_all
        self.told = told or _nowhere
        self.costs = costs or Costs.none()
        self.poll_seconds = poll_seconds
        self.account: Standing | None = None
        self._updates: deque[Update] = deque()
        self._names = set(self.written.names)
        self._refreshing: set[int] = set()
        self._polled: datetime | None = None

    def getbroker(self, **params: Any) -> AlpacaBroker:
        """Return a broker for a Cerebro."""
        return AlpacaBroker(store=self, **params)

    # -- taking over ---------------------------------------------------------------------------

    def opening(self) -> Opening:
        """Reconcile and return what is open; problems become halts, missed fills are noted."""
        account = self.account = self.venue.account()
        found = self._reconcile()
        if self._withdraw_overdue(found):
            found = self._reconcile()
        for value in (*found.missed, *found.ended):
            self.note(value)
        for order_id in found.sweep:
            self.venue.cancel(order_id)
        for problem in found.problems:
            self.alarm("out of sync", problem)
        self.problems = found.problems
        if account.blocks:
            self.alarm("account", f"the account does not trade: {', '.join(account.blocks)}")
        return Opening(account.cash, found.groups, found.foreign)

    def _reconcile(self) -> Reconciled:
        calendar = new_york()
        shown = {}
        for intent in self.written.intents:
            order = self.venue.order_named(intent.name)
            order = self._followed(order)
            if order is not None:
                shown[intent.name] = order
        since = (
            min((intent.at for intent in self.written.intents), default=self.clock()) - FILLS_BEFORE
        )
        return reconcile(
            self.written,
            Shown(shown, self.venue.fills(since), self.venue.holdings(), self.venue.open_orders()),
            Reading(calendar.session_of, number_of, is_ours),
        )

    def _withdraw_overdue(self, found: Reconciled) -> bool:
        """Cancel entries whose time is over and wait for the venue's word; whether there were any.

        Before anything is decided: an entry that has ended gives its slot and its money back.
        """
        overdue = [
            group.entry.id
            for group in found.groups
            if group.entry is not None
            and group.entry.alive
            and group.bracket is not None
            and group.bracket.valid_until <= self.clock()
        ]
        for order_id in overdue:
            self.venue.cancel(order_id)
        for order_id in overdue:
            for _ in range(WORD_TRIES):
                state = self.venue.order(order_id)
                if state is None or not state.alive:
                    break
                self.pause(WORD_SECONDS)
        return bool(overdue)

    def _followed(self, order: OrderState | None) -> OrderState | None:
        """Return an order with its legs as they are now, those that were re-priced included."""
        if order is None:
            return None
        nested = self.venue.order(order.id) or order
        return replace(nested, legs=tuple(self._newest(leg) for leg in nested.legs))

    def _newest(self, order: OrderState) -> OrderState:
        seen = {order.id}
        while order.replaced_by and order.replaced_by not in seen:
            seen.add(order.replaced_by)
            after = self.venue.order(order.replaced_by)
            if after is None:
                raise OutOfSync(f"{order.symbol}: order {order.replaced_by} is not to be found")
            order = after
        return order

    # -- orders --------------------------------------------------------------------------------

    def name(self, entry: Any, at: datetime, leg: str, attempt: int) -> str:
        """Return the client id of an order of a decision."""
        if self.account is None:
            self.account = self.venue.account()
        verdict = entry.info.get("verdict")
        strategy = verdict.signal.strategy if verdict is not None else type(entry.owner).__name__
        # Plain orders of one bar are told apart by their key; a verdict's is symbol, bar and side.
        return client_order_id(
            account=self.account.number, strategy=strategy, symbol=entry.info["key"],
            at=at, leg=leg, attempt=attempt,
        )  # fmt: skip

    def intend(self, intent: Intent) -> bool:
        """Write an intent down; False when this decision was written down before."""
        if intent.name in self._names:
            return False
        self.note(intent)
        self._names.add(intent.name)
        return True

    def next_attempt(self, entry: Any, leg: str, attempt: int) -> int:
        """Return the first attempt from this one on that was never written down."""
        key = entry.info["key"]
        used = [one.attempt for one in self.written.intents if (one.key, one.leg) == (key, leg)]
        return max([attempt, *(number + 1 for number in used)])

    def place(self, intent: Intent, then: Callable[[Placed], None]) -> None:
        """Have an intent placed."""
        priority = Priority.ENTRY if intent.leg == "entry" else Priority.EXIT
        self.worker.do(priority, lambda: self.venue.place(intent), then)

    def cancel(self, broker: AlpacaBroker, tracked: Tracked) -> None:
        """Have an order cancelled; asked again when the venue has not heard it."""

        def answered(how: str) -> None:
            if how == "unknown":
                tracked.cancel_asked = False
            self.refresh(broker, tracked.group)

        self.worker.do(Priority.CANCEL, lambda: self.venue.cancel(tracked.id), answered)

    def sweep(self, broker: AlpacaBroker, tracked: Tracked) -> None:
        """Make sure that an order of a finished group does not live on at the venue."""
        order_id = tracked.id

        def look() -> OrderState | None:
            state = self.venue.order(order_id)
            if state is not None and state.alive:
                self.venue.cancel(order_id)
                state = self.venue.order(order_id)
            return state

        def looked(state: OrderState | None) -> None:
            if state is not None and state.alive and state.meaning != "unknown":
                self.worker.do(Priority.CANCEL, look, looked)
            elif state is not None and state.filled > tracked.filled:
                broker.halt(
                    "out of sync", f"{state.symbol}: an exit filled after its position was closed"
                )

        self.worker.do(Priority.CANCEL, look, looked)

    # -- how things stand ----------------------------------------------------------------------

    def updates(self) -> Iterable[Update]:
        """Give the messages of the stream that have come since the last time."""
        while self._updates:
            yield self._updates.popleft()

    def hear(self, update: Update) -> None:
        """Take a message of the stream; called by its thread."""
        self._updates.append(update)

    def refresh(self, broker: AlpacaBroker, group: Group) -> None:
        """Have a group's orders and executions read from the venue."""
        ref = group.entry.ref
        if ref in self._refreshing:
            return
        self._refreshing.add(ref)
        known = [(one.id, one.name) for one in broker.tracking.of(group)]
        since = broker.decided(group) - FILLS_BEFORE

        def look() -> tuple[list[OrderState], list[FillRow]]:
            return self._look(known), self.venue.fills(since)

        def looked(found: tuple[Sequence[OrderState], Sequence[FillRow]]) -> None:
            self._refreshing.discard(ref)
            states, rows = found
            for state in states:
                broker.introduce(group, state)
            broker.take_rows(rows)
            for state in states:
                tracked = broker.tracking.find(state.id, state.name)
                if tracked is not None:
                    broker.take_state(tracked, state)

        self.worker.do(Priority.READ, look, looked)

    def _look(self, known: Iterable[tuple[str, str]]) -> list[OrderState]:
        found: dict[str, OrderState] = {}
        for order_id, name in known:
            if order_id in found:
                continue
            state = self.venue.order(order_id) if order_id else self.venue.order_named(name)
            if state is None:
                continue
            for one in (state, *state.legs):
                found[one.id] = one
                newest = self._newest(one)
                found[newest.id] = newest
        return list(found.values())

    def poll(self, broker: AlpacaBroker) -> None:
        """Compare what is open with the venue, every so often."""
        now = self.clock()
        if self._polled is None:
            self._polled = now
        if now - self._polled >= timedelta(seconds=self.poll_seconds):
            self._polled = now
            for group in list(broker.groups.values()):
                self.refresh(broker, group)

    def settle(self, broker: AlpacaBroker, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until the venue has answered all that was sent, then take no more."""
        began = time.monotonic()
        while not self.worker.idle and time.monotonic() - began < seconds:
            self.worker.drain()
            self.pause(0.01)
        finished = self.worker.stop(max(0.0, seconds - (time.monotonic() - began)))
        self.worker.drain()
        for update in self.updates():
            broker.take_update(update)
        if not finished:
            self.alarm("stop", "the venue has not answered all that was sent; reconcile before use")


def _nowhere(_: Any) -> None:
    """Keep nothing."""


def _nowhere_at_all(_: str, __: str) -> None:
    """Tell nobody."""
