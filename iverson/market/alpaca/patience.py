# SPDX-License-Identifier: GPL-3.0-or-later
"""Patience: how often to ask, how long to wait after a failure, and when to give up.

Pure of any network: the clock and the sleep are arguments, the jitter has a seed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Plan = Literal["free", "paid"]

PER_MINUTE: dict[Plan, float] = {"free": 180.0, "paid": 3000.0}
"""Requests a minute. Alpaca allows 200 on the free plan and 10,000 on the paid one."""
BURST = 10.0
"""Requests at once after a pause; no minute has more than the rate and this together."""


@dataclass
class TokenBucket:
    """A bucket that fills at a steady rate; every request takes a token, or waits for one.

    `now` gives seconds of a clock that never goes back, `sleep` waits seconds.
    """

    per_minute: float
    burst: float = BURST
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _tokens: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._tokens, self._at = self.burst, self.now()

    def take(self) -> None:
        """Take a token, when there is one."""
        at = self.now()
        self._tokens = min(self.burst, self._tokens + (at - self._at) * self.per_minute / 60.0)
        self._at = at
        if self._tokens < 1.0:
            wait = (1.0 - self._tokens) * 60.0 / self.per_minute
            self.sleep(wait)
            self._tokens, self._at = 1.0, at + wait
        self._tokens -= 1.0


@dataclass
class Backoff:
    """How long to wait before the next attempt, in seconds, and how many attempts there are.

    Without advice the wait doubles from `first` to at most `longest`, each time with a random
    share between half and all of it (Brooker, "Exponential Backoff And Jitter", 2015: equal
    jitter). A server's advice is followed, up to `patience`, and jittered by up to a second.
    """

    attempts: int = 6
    first: float = 1.0
    longest: float = 30.0
    patience: float = 90.0
    seed: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def wait(self, attempt: int, advice: float | None = None) -> float:
        """Return the wait after attempt 1, 2, ... failed."""
        if advice is not None:
            return min(max(advice, 0.0), self.patience) + self._random.random()
        whole = min(self.longest, self.first * 2.0 ** (attempt - 1))
        return whole * (0.5 + 0.5 * self._random.random())


def advice(headers: Mapping[str, str], at: datetime) -> float | None:
    """Return the seconds that an answer asks to wait; None if it does not say.

    `Retry-After` (seconds or an HTTP date) comes before `X-RateLimit-Reset` (seconds since 1970).
    `headers` finds names in any case, `at` is now.
    """
    later = headers.get("Retry-After")
    if later is not None:
        if later.strip().isdecimal():
            return float(later)
        try:
            when = parsedate_to_datetime(later)
        except ValueError:
            return None
        return (when.replace(tzinfo=when.tzinfo or UTC) - at).total_seconds()
    reset = headers.get("X-RateLimit-Reset", "").strip()
    return float(reset) - at.timestamp() if reset.isdecimal() else None
