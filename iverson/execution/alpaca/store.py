# SPDX-License-Identifier: GPL-3.0-or-later
"""One Alpaca account for Backtrader: the store that broker and feeds share.

    store = AlpacaStore(key=..., secret=..., paper=True)
    cerebro.setbroker(store.getbroker())
    cerebro.adddata(store.getdata(dataname="AAPL"))

An ordinary object, not a singleton: two stores are two accounts. It writes down what is about to
be sent (`note`), hands it to a worker, and answers what the venue shows. Without a journal, as in
a plain script, it keeps what it has sent in memory only.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

from iverson.errors import ConfigError
from iverson.execution.alpaca.broker import AlpacaBroker
from iverson.execution.alpaca.comparing import Comparing
from iverson.execution.alpaca.live import Live, MinuteData
from iverson.execution.alpaca.opening import Opening, TakingOver
from iverson.execution.alpaca.pace import Pace, Priority
from iverson.execution.alpaca.polling import Polling
from iverson.execution.alpaca.protocol import Placed
from iverson.execution.alpaca.rest import Rest
from iverson.execution.alpaca.states import Standing, Update
from iverson.execution.alpaca.sweeping import Sweeping
from iverson.execution.alpaca.tracking import Tracked
from iverson.execution.alpaca.venue import Venue
from iverson.execution.alpaca.wire import client_order_id
from iverson.execution.alpaca.worker import Inline, Threaded, Worker
from iverson.execution.costs import Costs
from iverson.execution.groups import Group
from iverson.execution.reconcile import Written
from iverson.market.alpaca.patience import Plan
from iverson.market.calendar import utc_now
from iverson.model import Intent

SETTLE_SECONDS = 30.0


class AlpacaStore:
    """The account, the worker that talks to it, and what was written down.

    Parameters
    ----------
    key, secret, paper, url: see `Rest`; `rest` instead of them for a connection of one's own.
    plan: of market data, "free" or "paid"; see `Live`.
    threaded: whether a thread talks to the venue (a stream) or each call is made at once (a wake).
    written: what earlier runs wrote down, from the journal.
    note: writes one value down, durably, before it returns.
    alarm: told what a person has to see, as (rule, reason); `told` what is only worth keeping.
    clock: the venue's time. monotonic, pause: seconds, and waiting for some.
    poll_seconds: how often open orders, and the clock, are compared with the venue's; six times as
        often while nothing is heard, see `Polling`.
    costs: fees that the venue will charge, for our own books; none on paper.
    limited: whether to keep below Alpaca's limit of requests.
    """

    def __init__(
        self,
        key: str = "",
        secret: str = "",
        *,
        paper: bool = True,
        plan: Plan = "free",
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
        self._live = partial(Live, key, secret, paper=paper, plan=plan, url=url, clock=clock)
        self._feeds: Live | None = None
        self.clock = clock
        self.pause = pause
        self.venue = Venue(self.rest, Pace(monotonic, pause, limited=limited), clock, pause)
        self.worker: Worker = Threaded() if threaded else Inline()
        self.written = written or Written()
        self.note = note or _nowhere
        self.note_entry = self.note  # of what opens a position; may raise `Refused` instead
        self.alarm = alarm or _nowhere_at_all
        self.told = told or _nowhere
        self.costs = costs or Costs.none()
        self.polling = Polling(clock, poll_seconds)
        self.account: Standing | None = None
        self._updates: deque[Update] = deque()
        self.late: Callable[[Any], None] = _nowhere  # executions and flows that were missed
        self.problems: tuple[str, ...] = ()
        self._names = set(self.written.names)
        self._attempts: dict[tuple[str, str], int] = {}
        for one in self.written.intents:
            place = (one.key, one.leg)
            self._attempts[place] = max(self._attempts.get(place, 0), one.attempt)
        self._refusing: deque[str] = deque()
        # A stream outlives an outage; a wake ends, and comes again.
        self._comparing = Comparing(
            self.venue, self.worker, self.polling, self.clock, self.alarm, patient=threaded
        )
        self._sweeping = Sweeping(self.venue, self.worker, self._comparing, self.clock)

    def getbroker(self, **params: Any) -> AlpacaBroker:
        """Return a broker for a Cerebro."""
        return AlpacaBroker(store=self, **params)

    def getdata(self, *, dataname: str, **params: Any) -> MinuteData:
        """Return the live feed of a symbol for a Cerebro: minute bars, see `MinuteData`."""
        if self._feeds is None:
            self._feeds = self._live(
                hear=self.hear, connected=self.connected, lost=self.lost,
                refused=self.refused,
            )  # fmt: skip
        return self._feeds.data(dataname, **params)

    # -- taking over ---------------------------------------------------------------------------

    def opening(self, halt: Callable[[str, str], None]) -> Opening:
        """Settle what an ended process left in doubt and return what is open; may halt."""
        found = TakingOver(
            self.venue, self.written, self.note, self.late, halt, self.clock, self.pause
        ).opening()
        self.account = found.account
        self.problems = found.problems
        return found

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

    def intend(self, intent: Intent, *, opens: bool = False) -> bool:
        """Write an intent down; False when this decision was written down before.

        `Refused` when it `opens` a position and a halt was written down meanwhile.
        """
        if intent.name in self._names:
            return False
        (self.note_entry if opens else self.note)(intent)
        self._names.add(intent.name)
        self._attempts[intent.key, intent.leg] = intent.attempt
        return True

    def next_attempt(self, entry: Any, leg: str) -> int:
        """Return the number of the next attempt at a leg of a decision: never used before."""
        return self._attempts.get((entry.info["key"], leg), 0) + 1

    def place(
        self, intent: Intent, then: Callable[[Placed], None], *, leaves: bool = False
    ) -> None:
        """Have an intent placed; `leaves`: it only leaves a position, whatever it is called."""
        if intent.leg == "entry" and not leaves:
            self.worker.do(Priority.ENTRY, lambda: self.venue.place(intent), then)
        else:
            self.worker.do(Priority.EXIT, lambda: self._leave(intent), then)

    def _leave(self, intent: Intent) -> Placed:
        """Place an exit, unless the shares are not there: it would open the other side."""
        body = json.loads(intent.body)
        if not intent.replaces:
            signed = float(body["qty"]) if body["side"] == "sell" else -float(body["qty"])
            holdings = self._comparing.unless_away(self.venue.holdings)
            if holdings is None:
                return Placed("abandoned", "the venue does not answer", 0)
            held = next((h.size for h in holdings if h.symbol == intent.symbol), 0.0)
            if signed * held < 0 or abs(held) < abs(signed):
                return Placed("gone", f"the broker holds {held:g}, not {signed:g}", 0)
        return self.venue.place(intent)

    def cancel(self, broker: AlpacaBroker, tracked: Tracked) -> None:
        """Have an order cancelled; asked again when the venue has not heard it."""

        def answered(how: str) -> None:
            if how == "unknown":
                tracked.cancel_asked = False
            self.refresh(broker, tracked.group)

        self.worker.do(Priority.CANCEL, lambda: self.venue.cancel(tracked.id), answered)

    def sweep(self, broker: AlpacaBroker, tracked: Tracked) -> None:
        """Make sure that an order of a finished group does not live on at the venue."""
        self._sweeping.sweep(broker, tracked)

    @property
    def sweeps(self) -> bool:
        """Whether the venue still has to end an order of a finished group."""
        return self._sweeping.waits

    # -- how things stand ----------------------------------------------------------------------

    def updates(self) -> Iterable[Update]:
        """Give the messages of the stream that have come since the last time."""
        while self._updates:
            yield self._updates.popleft()

    def hear(self, update: Update) -> None:
        """Take a message of the stream; called by its thread."""
        self._updates.append(update)
        self.polling.heard()

    def connected(self) -> None:
        """Take word that the stream of orders is there: what was before it is asked for."""
        self.polling.connected()

    def lost(self) -> None:
        """Take word that the stream of orders is not there; called by its thread."""
        self.polling.lost()

    def refused(self, name: str) -> None:
        """Take word that a socket is refused again and again; called by its thread."""
        self._refusing.append(name)

    def refresh(self, broker: AlpacaBroker, group: Group) -> None:
        """Have a group's orders and executions read from the venue."""
        self._comparing.refresh(broker, group)

    def poll(self, broker: AlpacaBroker) -> None:
        """Compare what is open with the venue, when that is due."""
        while self._refusing:
            self.alarm(
                "socket",
                f"Alpaca refuses the socket {self._refusing.popleft()}; it is tried on, and orders "
                "are polled meanwhile",
            )
        self._comparing.step(broker)
        self._sweeping.step()

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
