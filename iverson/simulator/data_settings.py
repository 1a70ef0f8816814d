# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches of what the market shows: plan, timing, and where the real thing is uncertain.

The defaults are a free plan as documented in 2026, with history replayed exactly: what the stream
sends is what the history holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from iverson.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DataSwitches:
    """How market data are shown; every default is the real service's unless said otherwise.

    Plan
        `recent_sip`: the plan may see consolidated data of the last `sip_delay` (15 minutes);
        without it a request that reaches into them is refused, and the stream /v2/sip is too.
        `symbol_limit`: symbols a stream may subscribe to, None for no limit;
        `bars_count`: whether the bars channels count towards it (older pages say they do not).
        `connections`: how many connections each data stream takes at once;
        `linger`: wall seconds for which a connection that dropped still counts.
    Timing
        `bar_delay`: from the end of a minute to its bar on the stream;
        `updated_bar_delay`: from the end of a minute to its corrected bar;
        `late_share`: share of the bars whose first sending lacks late trades (drawn with the
        exchange's seed; off by default, so that stream and history agree).
        `auth_timeout`: wall seconds a client has to authenticate;
        `queue_limit`: frames that may wait for a slow client before it is cut off;
        `patience`: wall seconds for which the clock waits for a client to take what it is sent.
    History
        `running`: whether the running day, hour or minute group is "partial", as far as its bars
        have ended, or "excluded"; either way nothing later than now is in it.
        `actions`: adjusted history uses the actions in force "by now", or "all", as documented.
        `announced_days`: how many days before its ex-date an action is listed among the corporate
        actions; 0 shows none ahead of time.
    IEX
        `iex_share`: mean share of the volume that the feed iex shows, None to show it all;
        `iex_missing`: share of minutes of which it shows nothing. Documented as about 0.025 of the
        consolidated volume; off by default.
    """

    recent_sip: bool = False
    sip_delay: timedelta = timedelta(minutes=15)
    symbol_limit: int | None = 30
    bars_count: bool = True
    connections: int = 1
    linger: float = 0.0
    bar_delay: timedelta = timedelta(seconds=1)
    updated_bar_delay: timedelta = timedelta(seconds=30)
    late_share: float = 0.0
    auth_timeout: float = 10.0
    queue_limit: int = 1024
    patience: float = 1.0
    running: Literal["partial", "excluded"] = "partial"
    actions: Literal["by now", "all"] = "by now"
    iex_share: float | None = None
    iex_missing: float = 0.0
    announced_days: int = 0

    def __post_init__(self) -> None:
        shares = {
            "late_share": self.late_share,
            "iex_missing": self.iex_missing,
            "iex_share": self.iex_share or 0.0,
        }
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ConfigError(f"{name} is {share:g}; expected a share from 0 to 1")
        if self.running not in ("partial", "excluded"):
            raise ConfigError(f"running is {self.running!r}; expected 'partial' or 'excluded'")
        if self.actions not in ("by now", "all"):
            raise ConfigError(f"actions is {self.actions!r}; expected 'by now' or 'all'")
        if self.connections < 1 or self.queue_limit < 1:
            raise ConfigError("connections and queue_limit are at least 1; raise them")
        if self.announced_days < 0:
            raise ConfigError(f"announced_days is {self.announced_days}; expected 0 or more")
