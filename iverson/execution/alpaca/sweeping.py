# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders of a finished trade must not live on: each is looked at until the venue says it ended.

What the venue shows may lag behind what it did, so a look that finds an order alive is repeated, a
little later each time. What is not finished when a run ends is found by the next start.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from iverson.execution.alpaca.comparing import Comparing
from iverson.execution.alpaca.pace import Priority
from iverson.execution.alpaca.states import OrderState
from iverson.execution.alpaca.tracking import Tracked
from iverson.execution.alpaca.venue import Venue
from iverson.execution.alpaca.worker import Worker

if TYPE_CHECKING:
    from iverson.execution.alpaca.broker import AlpacaBroker

SOON, LATEST = timedelta(seconds=1), timedelta(minutes=1)  # until the second look, between any two


class Sweeping:
    """The orders of finished groups that the venue has not ended yet."""

    def __init__(
        self, venue: Venue, worker: Worker, comparing: Comparing, clock: Callable[[], datetime]
    ) -> None:
        self._venue, self._worker, self._comparing = venue, worker, comparing
        self._clock = clock
        self._waiting: list[tuple[datetime, Callable[[], None]]] = []

    @property
    def waits(self) -> bool:
        """Whether an order has to be looked at again."""
        return bool(self._waiting)

    def step(self) -> None:
        """Look again at what is due."""
        now = self._clock()
        due = [ask for at, ask in self._waiting if at <= now]
        self._waiting = [(at, ask) for at, ask in self._waiting if at > now]
        for ask in due:
            ask()

    def sweep(self, broker: AlpacaBroker, tracked: Tracked, wait: timedelta = SOON) -> None:
        """Cancel an order if it lives, and look again after `wait` unless it has ended."""
        order_id = tracked.id

        def look() -> list[OrderState]:
            state = self._venue.order(order_id)
            if state is not None and state.alive:
                self._venue.cancel(order_id)
                state = self._venue.order(order_id)
            return [] if state is None else [state]

        def looked(found: list[OrderState] | None) -> None:
            state = found[0] if found else None
            if found is None or (state and state.alive and state.meaning != "unknown"):
                self._waiting.append(
                    (
                        self._clock() + wait,
                        lambda: self.sweep(broker, tracked, min(2 * wait, LATEST)),
                    )
                )
            elif state and state.filled > tracked.filled:
                broker.halt(
                    "out of sync",
                    f"{state.symbol}: an exit filled after its position was closed",
                )

        self._worker.do(Priority.CANCEL, lambda: self._comparing.unless_away(look), looked)
