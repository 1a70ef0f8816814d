# SPDX-License-Identifier: GPL-3.0-or-later
"""Having every position left at once, in a way that the books can explain.

The halt comes first; a stream that hears of it ends, and with the account's lock in hand what is
open is taken over, its orders are cancelled, and each position gets an order of ours at the market,
written down before it is sent. What is not ours, or could not be left so, is left as the kill
switch does, and by the halt's instant the next start knows who did it.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from iverson.book import Halt
from iverson.errors import IversonError
from iverson.execution.account import Account
from iverson.execution.alpaca.opening import Opening, TakingOver
from iverson.execution.alpaca.venue import Venue, canonical
from iverson.execution.alpaca.wire import client_order_id, order_body
from iverson.execution.costs import Costs
from iverson.execution.decisions import OpenGroup
from iverson.market.calendar import new_york
from iverson.model import Answer, Intent
from iverson.monitoring.journal import Journal
from iverson.stages.kill import Killed, kill
from iverson.stages.late import Late
from iverson.stages.lock import InUse, account_lock
from iverson.stages.memory import JournaledRecord, Memory, remember
from iverson.stages.operator import Pause, write_halt

LOCK_TRIES, LOCK_SECONDS = 30, 0.5  # for the process that trades to hear of the halt and end
LOOKS, LOOK_SECONDS = 40, 0.5  # for orders at the market to fill


@dataclass(frozen=True, slots=True)
class Flattened:
    """What a flatten did: what was sent, what the account still shows, and what went wrong.

    `waits` are the symbols whose orders wait for the next open.
    """

    run: str
    halt: Halt
    sent: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    killed: Killed | None = None
    fault: str = ""

    @property
    def done(self) -> bool:
        """Whether the account is flat, as far as the broker was asked."""
        return not (self.waits or self.left or self.fault)

    def __str__(self) -> str:
        """Say it in a few sentences."""
        words = [f"{self.run} is halted and everything is to be left."]
        if self.fault:
            words.append(f"The broker did not do it: {self.fault}; do it again.")
        elif self.done:
            words.append("The account holds nothing.")
        if self.waits:
            words.append(f"Orders at the market wait for the open: {', '.join(self.waits)}.")
        if self.left:
            words.append(f"Still held: {', '.join(self.left)}; do it again and look.")
        return " ".join(words)


def flatten(
    journal: Journal,
    run: str,
    *,
    by: str,
    at: datetime,
    venue: Venue | None,
    pause: Pause,
    reason: str = "",
) -> Flattened:
    """Halt a run until somebody resumes, and have everything the account holds left at once.

    Raises
    ------
    ConfigError: the journal has no such run.
    """
    standing, _ = write_halt(journal, run, by=by, at=at, reason=reason, flatten=True)
    if venue is None:
        return Flattened(run, standing, fault="there is no connection to it")
    sent: tuple[str, ...] = ()
    handled, why = False, ""
    try:
        with ExitStack() as held:
            if _locked(held, journal, pause):
                sent = _Leaving(journal, run, venue, pause).leave()
                handled = True
    except IversonError as error:
        why = str(error)  # the kill switch needs neither the journal nor the books
    try:
        killed = None
        waits_for_open = handled and not is_open(venue.clock())
        if not waits_for_open and (venue.holdings() or venue.open_orders()):
            killed = kill(venue, flatten=True, pause=pause)
        waits = _waiting(venue)
        left = tuple(one.symbol for one in venue.holdings() if one.symbol not in waits)
    except IversonError as error:
        return Flattened(run, standing, sent, fault=why or str(error))
    return Flattened(run, standing, sent, waits, left, killed)


def is_open(at: datetime) -> bool:
    """Whether the exchange trades at an instant."""
    calendar = new_york()
    session = calendar.session_of(at)
    return bool(calendar.open_at(session) <= at < calendar.close_at(session))


@dataclass(frozen=True, slots=True)
class _Leaving:
    """One account that is being left, with its lock in hand."""

    journal: Journal
    run: str
    venue: Venue
    pause: Pause

    def leave(self) -> tuple[str, ...]:
        """Leave what is open; returns the symbols for which an order was sent."""
        self._cancel(self._taken_over()[1])
        memory, found = self._taken_over()  # with what filled while it was cancelled
        sent = [one.symbol for one in found.groups if one.held and self._send(one, memory, found)]
        if not is_open(self.venue.clock()):
            self._close_foreign(found)
            return tuple(sent)
        self._close_foreign(found)
        self._wait()
        self._taken_over()
        return tuple(sent)

    def _taken_over(self) -> tuple[Memory, Opening]:
        """Settle and book what is known so far, as every start does."""
        now = self.venue.clock()
        memory = remember(self.journal, self.run, after=new_york().session_of(now))
        record = JournaledRecord(self.journal, self.run)
        history: Any = None  # nothing is decided here
        late = Late(memory, record, Account(memory.state, history=history), Costs.none())
        late.catch_up()
        standing = {one.rule for one in memory.state.halts}

        def halt(rule: str, reason: str) -> None:
            if rule not in standing:
                standing.add(rule)
                record.add(Halt(rule, reason, since=self.venue.clock(), latched=True))

        found = TakingOver(
            self.venue, memory.written, self._note, late, halt, self.venue.clock, self.pause
        ).opening()
        return memory, found

    def _note(self, value: Any) -> None:
        self.journal.append(self.run, value)

    def _cancel(self, found: Opening) -> None:
        """Take back every order of ours but those that leave at the market, and wait for it."""
        living = [
            order.id
            for one in found.groups
            for order in (one.entry, one.stop, one.target, one.exit)
            if order is not None and order.alive and not (order is one.exit and _at_market(order))
        ]
        for order_id in living:
            self.venue.cancel(order_id)
        for order_id in living:
            for _ in range(LOOKS):
                state = self.venue.order(order_id)
                if state is None or not state.alive:
                    break
                self.pause(LOOK_SECONDS)

    def _send(self, group: OpenGroup, memory: Memory, found: Opening) -> bool:
        if group.exit is not None and group.exit.alive:
            return False  # it leaves at the market already
        attempts: dict[str, int] = defaultdict(int)
        for intent in memory.written.intents:
            if intent.leg == "flatten":
                attempts[intent.key] = max(attempts[intent.key], intent.attempt)
        first = next(one for one in memory.written.intents if one.key == group.key)
        attempt = attempts[group.key] + 1
        name = client_order_id(
            account=found.account.number,
            strategy="" if group.verdict is None else group.verdict.signal.strategy,
            symbol=group.key, at=first.at, leg="flatten", attempt=attempt,
        )  # fmt: skip
        body = order_body(
            symbol=group.symbol, side="sell" if group.held > 0 else "buy", size=abs(group.held),
            kind="market", day=True, name=name,
        )  # fmt: skip
        intent = Intent(
            first.at, first.session, name, group.key, group.symbol, "flatten", attempt,
            canonical({**body, "client_order_id": name}),
        )  # fmt: skip
        self._note(intent)
        placed = self.venue.place(intent)
        now = self.venue.clock()
        self._note(
            Answer(
                now, new_york().session_of(now), name, group.symbol, placed.ending, placed.reason,
                placed.order.id if placed.order else "", placed.posts,
            )
        )  # fmt: skip
        return placed.order is not None

    def _close_foreign(self, found: Opening) -> None:
        for one in found.foreign:
            self.venue.caller.call("DELETE", f"/positions/{one.symbol}")

    def _wait(self) -> None:
        for _ in range(LOOKS):
            if not self.venue.holdings():
                return
            self.pause(LOOK_SECONDS)


def _locked(held: ExitStack, journal: Journal, pause: Pause) -> bool:
    """Hold the account's lock; False when another process does not give it up."""
    for number in range(LOCK_TRIES):
        try:
            held.enter_context(account_lock(journal.path))
        except InUse:
            if number < LOCK_TRIES - 1:
                pause(LOCK_SECONDS)
        else:
            return True
    return False


def _waiting(venue: Venue) -> tuple[str, ...]:
    """Symbols with an order at the market that has not filled."""
    return tuple(sorted({one.symbol for one in venue.open_orders() if _at_market(one)}))


def _at_market(order: Any) -> bool:
    return bool(order.kind == "market")
