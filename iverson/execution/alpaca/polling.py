# SPDX-License-Identifier: GPL-3.0-or-later
"""When the venue is asked how orders stand, whether or not its stream says anything.

The stream of orders is silent for hours when nothing happens, and just as silent when it is broken.
So what is open is compared with the venue once a minute, and six times as often while the stream is
down or has said nothing for as long. A venue that does not answer either leaves us blind: then
nothing new is entered, while exits are tried on and stops stand at the broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

from iverson.execution.alpaca.states import OrderState
from iverson.execution.alpaca.tracking import NEAR, Tracked

FASTER = 6  # times as often, while the stream says nothing
BLIND = timedelta(minutes=2)  # without stream and answers: no entries any more

Due = Literal["everything", "orders"]


class Polling:
    """Knows what is due to be asked, and since when nothing is known.

    Words of the stream come from its thread, all else from Backtrader's.

    Parameters
    ----------
    clock: the venue's time.
    seconds: between two comparisons of everything, orders by themselves and the clock.
    """

    def __init__(self, clock: Callable[[], datetime], seconds: float) -> None:
        self._clock = clock
        self.seconds = seconds
        self._down = False
        self._connections = self._looked_after = 0
        self._heard: datetime | None = None
        self._compared: datetime | None = None
        self._asked: datetime | None = None
        self._answered: datetime | None = None
        self._waits = False

    # -- the stream ----------------------------------------------------------------------------

    def connected(self) -> None:
        """Take word that the stream is there: what was before it has to be asked for."""
        self._down = False
        self._heard = self._clock()
        self._connections += 1

    def lost(self) -> None:
        """Take word that the stream is not there, or not yet."""
        self._down = True

    def heard(self) -> None:
        """Take word that the stream has said something."""
        self._heard = self._clock()

    # -- asking --------------------------------------------------------------------------------

    def due(self, *, working: bool) -> Due | None:
        """Return what has to be asked now; `working`: whether there is any order to ask about."""
        now, connections = self._clock(), self._connections
        if self._compared is None or self._asked is None or self._answered is None:
            self._compared = self._asked = self._answered = now
        if self._waits:
            return None
        if connections != self._looked_after or now - self._compared >= self._every():
            self._looked_after = connections
            self._compared = self._asked = now
            return "everything"
        if working and self._quiet(now) and now - self._asked >= self._every() / FASTER:
            self._asked = now
            return "orders"
        return None

    def asking(self) -> None:
        """Note that the venue is being asked: nothing more is due until it has answered or not."""
        self._waits = True

    def told(self, *, answered: bool) -> None:
        """Note that what was asked was answered, or was not."""
        self._waits = False
        if answered:
            self._answered = self._clock()

    @property
    def blind(self) -> str:
        """Why nothing is known of the account, in words; empty while something is."""
        if not self._down or self._answered is None:
            return ""
        known = max(self._answered, self._heard or self._answered)
        dark = self._clock() - known
        if dark <= BLIND:
            return ""
        return f"Alpaca has neither answered nor been heard for {dark.total_seconds():,.0f} seconds"

    def _every(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    def _quiet(self, now: datetime) -> bool:
        return self._down or (self._heard is not None and now - self._heard >= self._every())


def differs(tracked: Iterable[Tracked], shown: Mapping[str, OrderState]) -> bool:
    """Whether the venue's open orders, by id, are not those of a group.

    A stop that sleeps beside its target is not among them, so that one living exit is enough.
    """
    alive = [one for one in tracked if not one.ended]
    if any(not one.id for one in alive):
        return True
    found = {one.leg == "entry": False for one in alive}
    for one in alive:
        state = shown.get(one.id)
        if state is None:
            continue
        if abs(state.filled - one.filled) > NEAR:
            return True
        found[one.leg == "entry"] = True
    return not all(found.values())
