# SPDX-License-Identifier: GPL-3.0-or-later
"""Backtrader's live feed for one symbol: history, the gap up to now, then bars as they close.

It says what it gives: DELAYED for what is past, LIVE once it has caught up, CONNBROKEN when the
socket fell silent, and the missed bars (DELAYED again) before it is LIVE once more. Times are right
edges, strictly increasing; a bar that comes late or twice is left out and counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import backtrader as bt

from iverson.execution.alpaca.hub import Candle, Hub
from iverson.market.bars import Bars
from iverson.market.calendar import new_york


class AlpacaData(bt.feed.DataBase):
    """One symbol.

    Parameters
    ----------
    hub: hands out the live bars; None ends the feed after its history.
    history: bars up to the start, as a backtest has them; they are never tradable.
    missed: gives the minute bars after an instant from the venue, for gaps.
    factor_of: gives the cumulative split ratio of a session; 1 for ever if None.
    connections: counts how often the socket was connected; a change means a gap.
    """

    lines: Any = ("factor", "dividend")
    params: Any = (
        ("hub", None),
        ("history", None),
        ("missed", None),
        ("factor_of", None),
        ("connections", None),
        ("qcheck", 0.5),
    )

    def islive(self) -> bool:
        """Tell Cerebro not to preload."""
        return True

    def start(self) -> None:
        """Begin with the history."""
        super().start()
        self._past: deque[tuple[datetime, Candle, float, float]] = deque()
        if self.p.history is not None:
            self._past.extend(_rows(self.p.history))
        self._kept: Candle | None = None  # a live bar that has to wait for those before it
        self._last: datetime | None = None
        self._status_live = False
        self._connections = 0
        self.late = 0
        self.put_notification(self.DELAYED)

    def haslivedata(self) -> bool:
        """Whether a bar waits."""
        hub: Hub | None = self.p.hub
        return bool(self._past or self._kept) or (hub is not None and hub.waiting)

    @property
    def behind(self) -> bool:
        """Whether history is left."""
        return bool(self._past)

    def _load(self) -> bool | None:
        if self._past:
            at, bar, factor, dividend = self._past.popleft()
            return self._deliver(at, bar, factor, dividend)
        hub: Hub | None = self.p.hub
        if hub is None:
            return False
        self._catch_up()
        if self._past:
            return self._load()
        bar_or_none, self._kept = self._kept or hub.take(self.p.dataname), None
        if bar_or_none is None and self._qcheck > 0 and not history_left(self):
            hub.wait(self._qcheck)  # who comes later in the round has no time left to wait
            bar_or_none = hub.take(self.p.dataname)
        if bar_or_none is None:
            return None
        if self._catch_up():  # connected anew a moment ago: what was missed comes first
            self._kept = bar_or_none
            return self._load()
        if not self._status_live:
            self._status_live = True
            self.put_notification(self.LIVE)
        return self._deliver(bar_or_none.at, bar_or_none, self._factor(bar_or_none.at), 0.0)

    def _catch_up(self) -> bool:
        """Fetch what was missed while the socket was not there; whether it was made anew."""
        count = self.p.connections() if self.p.connections is not None else 1
        if count == self._connections:
            return False
        if self._connections and self._status_live:
            self.put_notification(self.CONNBROKEN)
            self.put_notification(self.DELAYED)
        self._connections = count
        self._status_live = False
        if self.p.missed is not None and self._last is not None:
            for bar in self.p.missed(self.p.dataname, self._last):
                self._past.append((bar.at, bar, self._factor(bar.at), 0.0))
        return True

    def _deliver(self, at: datetime, bar: Candle, factor: float, dividend: float) -> bool | None:
        if self._last is not None and at <= self._last:
            self.late += 1
            return None
        self._last = at
        lines = self.lines
        lines.datetime[0] = self.date2num(at.astimezone(UTC).replace(tzinfo=None))
        lines.open[0] = bar.open * factor
        lines.high[0] = bar.high * factor
        lines.low[0] = bar.low * factor
        lines.close[0] = bar.close * factor
        lines.volume[0] = bar.volume / factor
        lines.openinterest[0] = 0.0
        lines.factor[0] = factor
        lines.dividend[0] = dividend
        return True

    def _factor(self, at: datetime) -> float:
        if self.p.factor_of is None:
            return 1.0
        return float(self.p.factor_of(new_york().session_of(at)))


def history_left(feed: Any) -> bool:
    """Whether any feed of the run has history left: then nobody waits for what is to come."""
    return any(getattr(one, "behind", False) for one in feed.getenvironment().datas)


def _rows(bars: Bars) -> Iterable[tuple[datetime, Candle, float, float]]:
    stamps = bars.at.astype("datetime64[us]").tolist()
    for number, naive in enumerate(stamps):
        at = naive.replace(tzinfo=UTC)
        yield (
            at,
            Candle(
                bars.symbol, at, float(bars.open[number]), float(bars.high[number]),
                float(bars.low[number]), float(bars.close[number]), float(bars.volume[number]),
                end=at,
            ),
            float(bars.factor[number]),
            float(bars.dividend[number]),
        )  # fmt: skip
