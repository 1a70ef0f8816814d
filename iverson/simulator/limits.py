# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate limits: so many requests in any minute of simulated time, one count for each account."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a minute after a request; `reset` is when the oldest request is forgotten."""

    granted: bool
    limit: int
    remaining: int
    reset: datetime

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that Alpaca sends; the reset is in seconds of the epoch."""
        return [
            (b"x-ratelimit-limit", str(self.limit).encode()),
            (b"x-ratelimit-remaining", str(self.remaining).encode()),
            (b"x-ratelimit-reset", str(int(self.reset.timestamp())).encode()),
        ]


class Limit:
    """At most `limit` requests in any rolling minute; refused requests do not count."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._spent: dict[str, deque[datetime]] = {}

    def take(self, who: str, *, at: datetime) -> Allowance:
        """Count a request of `who` at a simulated instant."""
        spent = self._spent.setdefault(who, deque())
        while spent and spent[0] <= at - MINUTE:
            spent.popleft()
        granted = len(spent) < self.limit
        if granted:
            spent.append(at)
        return Allowance(
            granted, self.limit, self.limit - len(spent), (spent[0] if spent else at) + MINUTE
        )
