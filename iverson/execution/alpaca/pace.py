# SPDX-License-Identifier: GPL-3.0-or-later
"""How often Alpaca is asked: below its limit of 200 requests a minute, urgent ones always served.

Each priority may fill the minute only so far, so that a cancel finds room when reads have used up
theirs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum

WINDOW_SECONDS = 60.0


class Priority(IntEnum):
    """What goes first; lower is more urgent."""

    CANCEL = 0
    EXIT = 1
    ENTRY = 2
    READ = 3


SHARE = {Priority.CANCEL: 190, Priority.EXIT: 180, Priority.ENTRY: 160, Priority.READ: 140}


class Pace:
    """Counts the requests of the last minute and waits until one more is allowed.

    `monotonic` gives seconds that never go back, `pause` waits for some. `limited` False counts
    nothing: for an exchange of one's own.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        pause: Callable[[float], None],
        *,
        limited: bool = True,
    ) -> None:
        self._monotonic = monotonic
        self._pause = pause
        self._limited = limited
        self._made: deque[float] = deque()

    def wait(self, priority: Priority) -> None:
        """Wait until a request of this priority may be made, and count it."""
        if not self._limited:
            return
        while (seconds := self._until_free(priority)) > 0:
            self._pause(seconds)
        self._made.append(self._monotonic())

    def _until_free(self, priority: Priority) -> float:
        now = self._monotonic()
        while self._made and now - self._made[0] >= WINDOW_SECONDS:
            self._made.popleft()
        most = SHARE[priority]
        if len(self._made) < most:
            return 0.0
        return WINDOW_SECONDS - (now - self._made[len(self._made) - most])
