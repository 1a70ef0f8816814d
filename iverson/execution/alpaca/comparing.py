# SPDX-License-Identifier: GPL-3.0-or-later
"""Our books beside the venue's: orders, executions and the clock, asked for by the worker.

A venue that does not answer, or no longer takes the keys, ends a wake, which comes again; a stream
waits and asks at the next poll. What was found is only taken in Backtrader's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from iverson.errors import BrokerUnavailable, ConfigError
from iverson.execution.alpaca.opening import FILLS_BEFORE, chain
from iverson.execution.alpaca.pace import Priority
from iverson.execution.alpaca.polling import Due, Polling, differs
from iverson.execution.alpaca.states import FillRow, OrderState
from iverson.execution.alpaca.venue import Venue
from iverson.execution.alpaca.worker import Worker
from iverson.execution.groups import Group

if TYPE_CHECKING:
    from iverson.execution.alpaca.broker import AlpacaBroker

Found = TypeVar("Found")
SKEW_TOLD, SKEW_SECONDS = 2.0, 30.0  # of the two clocks: told once, entries refused


class Comparing:
    """Asks the venue how things stand, when it is due or wanted.

    `patient`: an outage of the venue is waited for, and so are keys that are taken again; entries
    are halted meanwhile. `alarm` gets (rule, reason).
    """

    def __init__(
        self,
        venue: Venue,
        worker: Worker,
        polling: Polling,
        clock: Callable[[], datetime],
        alarm: Callable[[str, str], None],
        *,
        patient: bool,
    ) -> None:
        self._venue, self._worker, self._polling = venue, worker, polling
        self._clock, self._alarm, self._patient = clock, alarm, patient
        self._refreshing: set[int] = set()
        self._keys = ""  # what the venue has against them
        self._told_keys = False
        self._told_skew = False

    def step(self, broker: AlpacaBroker) -> None:
        """Compare what is open with the venue, when that is due."""
        if self._keys and not self._told_keys:
            self._told_keys = True
            broker.halt("keys", self._keys)
        due = self._polling.due(working=bool(broker.groups))
        if due is None:
            return
        self._polling.asking()
        ask: Callable[[], Any] = self._skew if due == "everything" else self._venue.open_orders
        self._worker.do(
            Priority.READ, lambda: self.unless_away(ask), partial(self._polled, broker, due)
        )
        if due == "everything":
            for group in list(broker.groups.values()):
                self.refresh(broker, group)

    def _polled(self, broker: AlpacaBroker, due: Due, found: Any) -> None:
        self._polling.told(answered=found is not None)
        if found is None:
            return
        self._keys, self._told_keys = "", False
        if due == "everything":
            self._skewed(broker, found)
            return
        shown = {one.id: one for top in found for one in (top, *top.legs)}
        for group in list(broker.groups.values()):
            if differs(broker.tracking.of(group), shown):
                self.refresh(broker, group)

    def refresh(self, broker: AlpacaBroker, group: Group) -> None:
        """Have a group's orders and executions read from the venue, unless that is under way."""
        ref = group.entry.ref
        if ref in self._refreshing:
            return
        self._refreshing.add(ref)
        known = [(one.id, one.name) for one in broker.tracking.of(group)]
        since = broker.decided(group) - FILLS_BEFORE

        def look() -> tuple[list[OrderState], list[FillRow]]:
            return self._look(known), self._venue.fills(since)

        def looked(found: tuple[Sequence[OrderState], Sequence[FillRow]] | None) -> None:
            self._refreshing.discard(ref)
            if found is None:
                return  # asked for again at the next poll
            states, rows = found
            for state in states:
                broker.introduce(group, state)
            broker.take_rows(rows)
            for state in states:
                tracked = broker.tracking.find(state.id, state.name)
                if tracked is not None:
                    broker.take_state(tracked, state)

        self._worker.do(Priority.READ, lambda: self.unless_away(look), looked)

    def _look(self, known: Iterable[tuple[str, str]]) -> list[OrderState]:
        found: dict[str, OrderState] = {}
        for order_id, name in known:
            if order_id in found:
                continue
            state = self._venue.order(order_id) if order_id else self._venue.order_named(name)
            if state is None:
                continue
            for one in (state, *state.legs):
                found.update((link.id, link) for link in chain(self._venue, one))
        return list(found.values())

    def unless_away(self, job: Callable[[], Found]) -> Found | None:
        """Return what a job finds; None when the venue does not answer us, if patient."""
        try:
            return job()
        except (BrokerUnavailable, ConfigError) as error:
            if not self._patient:
                raise
            if isinstance(error, ConfigError):
                self._keys = str(error)
            return None

    def _skew(self) -> float:
        """Return the seconds that our clock is ahead of the venue's, beyond what asking took."""
        asked = self._clock()
        theirs = self._venue.now()
        if theirs < asked:
            return (asked - theirs).total_seconds()
        return min(0.0, (self._clock() - theirs).total_seconds())

    def _skewed(self, broker: AlpacaBroker, skew: float) -> None:
        if abs(skew) <= SKEW_TOLD:
            self._told_skew = False
            return
        way = "ahead of" if skew > 0 else "behind"
        words = f"this machine's clock is {abs(skew):,.0f} seconds {way} Alpaca's; set it (NTP)"
        if abs(skew) > SKEW_SECONDS:
            broker.halt("clock", words)
        elif not self._told_skew:
            self._alarm("clock", words)
        self._told_skew = True
