# SPDX-License-Identifier: GPL-3.0-or-later
"""Minute bars for a plain Backtrader script: what was before, then one socket for all its symbols.

`AlpacaStore.getdata` hands them out. The sockets open when Cerebro starts the first feed and close
when it stops them; bars of the time in between come from the data API.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import backtrader as bt

from iverson.execution.alpaca import stream as sockets
from iverson.execution.alpaca.feed import AlpacaData
from iverson.execution.alpaca.hub import Candle, Hub
from iverson.execution.alpaca.states import Update
from iverson.market.alpaca import client
from iverson.market.alpaca.patience import PER_MINUTE, Backoff, Plan, TokenBucket
from iverson.market.alpaca.vendor import AlpacaVendor, Feed
from iverson.market.calendar import new_york, utc_now

MINUTE = "1m"
MUTE_SECONDS = 120.0


class Live:
    """The feeds of one store; what is heard of its orders goes to `hear`.

    Parameters
    ----------
    connected, lost, refused: what is heard of the sockets themselves, see `sockets.trades`.
    plan: "paid" listens to the whole tape (sip), "free" to one exchange (iex).
    url: where trading and data are, if not at Alpaca: the simulator's address.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        *,
        paper: bool,
        plan: Plan,
        url: str | None,
        clock: Callable[[], datetime],
        hear: Callable[[Update], None],
        connected: Callable[[], None],
        lost: Callable[[], None],
        refused: Callable[[str], None],
    ) -> None:
        self._key, self._secret, self._paper = key, secret, paper
        self._url, self.clock, self._hear = url, clock, hear
        self._connected, self._lost, self._refused = connected, lost, refused
        self._feed: Feed = "sip" if plan == "paid" else "iex"
        self._plan: Plan = plan
        self._data = client.AlpacaData(
            key, secret, url=url or client.LIVE, bucket=TokenBucket(PER_MINUTE[plan]),
            backoff=Backoff(),
        )  # fmt: skip
        self._hub = Hub((), monotonic=time.monotonic)
        self._sockets = sockets.Pair()

    def data(self, symbol: str, **params: Any) -> MinuteData:
        """Return the feed of a symbol; `ConfigError` for one given out before or too many."""
        sockets.check_symbols(len(self._hub.symbols) + 1, feed=self._feed)
        self._hub.add(symbol)
        return MinuteData(
            dataname=symbol, hub=self._hub, missed=self.bars_after,
            connections=self._sockets.count, live=self, **params,
        )  # fmt: skip

    def bars_after(self, symbol: str, after: datetime) -> list[Candle]:
        """Return the complete minutes of the regular sessions since an instant, raw prices."""
        now = self.clock()
        vendor = AlpacaVendor(self._data, feed=self._feed, plan=self._plan, asof=str(now.date()))
        return candles_after(vendor, symbol, MINUTE, after, now)

    def open(self) -> None:
        """Listen, unless it does so already."""
        if self._sockets.opened:
            return
        socket = None if self._url is None else self._url.rstrip("/").replace("http", "ws", 1)
        options: Any = dict(refused=self._refused)
        self._sockets.open(
            sockets.trades(
                self._key, self._secret, paper=self._paper, hear=self._hear,
                url=socket and f"{socket}/stream", connected=self._connected, lost=self._lost,
                **options,
            ),
            sockets.minutes(
                self._key, self._secret, self._hub.symbols, feed=self._feed, hear=self._hub.hear,
                url=socket and f"{socket}/v2/{self._feed}", mute_seconds=MUTE_SECONDS,
                connected=lambda: None, **options,
            ),
        )  # fmt: skip

    def close(self) -> None:
        """Stop listening."""
        self._sockets.close()


class MinuteData(AlpacaData):
    """Minute bars of one symbol.

    `fromdate` (UTC, as always in Backtrader) is where its history begins; without it there is
    none. Prices are raw, as they were traded: a split is a gap. For longer bars hand it to
    `cerebro.resampledata`.
    """

    params: Any = (("live", None), ("timeframe", bt.TimeFrame.Minutes))

    def start(self) -> None:
        """Fetch the history, then listen."""
        super().start()
        since = self.p.fromdate
        if since is not None:
            at = since if since.tzinfo is not None else since.replace(tzinfo=UTC)
            self._past.extend((bar.at, bar, 1.0, 0.0) for bar in self.p.missed(self.p.dataname, at))
        self.p.live.open()

    def _timeoffset(self) -> timedelta:
        """Return how far the venue's clock is ahead; Backtrader ends resampled bars by it."""
        live: Live = self.p.live
        return live.clock() - utc_now()

    def stop(self) -> None:
        """Stop listening."""
        self.p.live.close()
        super().stop()


def candles_after(
    vendor: AlpacaVendor, symbol: str, interval: str, after: datetime, now: datetime
) -> list[Candle]:
    """Return a symbol's raw bars that ended after an instant, up to the one that ended just now.

    The socket repeats nothing: a margin of a minute, as the store keeps, would be a minute lost.
    None for a symbol whose answer cannot be read: a running strategy goes on with what it hears.
    """
    calendar = new_york()
    answer = vendor.bars(
        [symbol], interval, calendar.session_of(after), calendar.session_of(now),
        until=now, tell=lambda _: None,
    )  # fmt: skip
    frame = answer.frames.get(symbol)
    rows: Any = () if frame is None else frame.itertuples()
    return [
        Candle(symbol, row.at, row.open, row.high, row.low, row.close, row.volume, end=row.at)
        for row in rows
        if row.at > after
    ]
