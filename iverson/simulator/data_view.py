# SPDX-License-Identifier: GPL-3.0-or-later
"""The view: which bars one request may see, on its feed and plan, at the simulated instant.

Everything the market shows goes through here, so that the horizon is drawn in one place: of bars
that end after it nothing is seen. The horizon is the simulated now; for the consolidated feed of
a plan without it, and for the delayed feed, it lies 15 minutes back. Bars without volume are
empty minutes and do not exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from iverson.simulator.adjustment import Step, adjusted
from iverson.simulator.data_query import Refusal
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.market import Bar, Market
from iverson.simulator.settings import Switches
from iverson.simulator.thinning import thinned
from iverson.simulator.timeframes import Group, Timeframe, grouped

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
EMPTY_FEEDS = ("otc", "boats", "overnight")
RECENT = "subscription does not permit querying recent SIP data"


class Shown(Protocol):
    """What is needed of an exchange: its clock, its market and its switches."""

    @property
    def now(self) -> datetime:
        """The simulated clock."""
        ...

    @property
    def market(self) -> Market:
        """The history that is replayed."""
        ...

    @property
    def switches(self) -> Switches:
        """How the exchange behaves."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """The market as one feed shows it up to a horizon."""

    market: Market
    switches: DataSwitches
    feed: str
    now: datetime
    horizon: datetime
    seed: int

    def bars(self, symbol: str, *, after: datetime, until: datetime) -> Iterator[Bar]:
        """Return the symbol's bars that end in (after, until], as far as they can be seen."""
        if self.feed not in EMPTY_FEEDS:
            for bar in self.market.bars_of(symbol, after, min(until, self.horizon)):
                shown = self.shown(bar)
                if shown is not None:
                    yield shown

    def shown(self, bar: Bar) -> Bar | None:
        """Return a bar as the feed shows it, None if it does not."""
        if bar.volume <= 0:
            return None
        if self.feed != "iex" or self.switches.iex_share is None:
            return bar
        missing = self.switches.iex_missing if self.market.minutes is not None else 0.0
        return thinned(bar, share=self.switches.iex_share, missing=missing, seed=self.seed)

    def last(self, symbol: str) -> Bar | None:
        """Return the symbol's last bar that can be seen."""
        at = self.horizon
        while self.feed not in EMPTY_FEEDS and (bar := self.market.last(symbol, at)) is not None:
            shown = self.shown(bar)
            if shown is not None:
                return shown
            at = bar.end - timedelta(microseconds=1)
        return None

    def groups(
        self,
        symbol: str,
        wanted: Timeframe,
        *,
        start: datetime,
        end: datetime,
        steps: list[Step],
    ) -> Iterator[Group]:
        """Return the summed-up bars whose left edge lies in [start, end], adjusted, in time."""
        seen = self.bars(symbol, after=start, until=end + wanted.longest)
        bars = adjusted(seen, steps)
        for group in grouped(bars, wanted, minutes=self.market.minutes):
            if group.at > end:
                return
            if group.at < start:
                continue
            if self.switches.running == "excluded" and self._runs(group, wanted):
                return
            yield group

    def _runs(self, group: Group, wanted: Timeframe) -> bool:
        as_replayed = wanted.unit == "minute" and wanted.count == self.market.minutes
        return not as_replayed and wanted.complete_at(group.at) > self.horizon


def view(
    exchange: Shown, switches: DataSwitches, feed: str, *, end: datetime | None = None
) -> View:
    """Open the view of a feed; 403 if `end` reaches into what the plan does not include."""
    horizon = exchange.now
    if feed == "delayed_sip":
        horizon -= switches.sip_delay
    elif feed == "sip" and not switches.recent_sip:
        horizon -= switches.sip_delay
        if end is not None and end > horizon:
            raise Refusal(403, RECENT, code=42210000)
    return View(
        market=exchange.market,
        switches=switches,
        feed=feed,
        now=exchange.now,
        horizon=horizon,
        seed=exchange.switches.seed,
    )
