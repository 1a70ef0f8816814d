# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpaca's two sockets, each in a thread of its own; what they say is only put into a queue.

alpaca-py reconnects by itself, but tells nobody: that a connection was made or lost is learned
here, because what happened in between is not repeated by the venue. It looks for a stop every five
seconds only; here a stop ends the listening at once. Messages are taken raw, so that a word nobody
knows is not thrown away.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from alpaca.data.enums import DataFeed
from alpaca.data.live.stock import StockDataStream
from alpaca.trading.stream import TradingStream

from iverson.errors import ConfigError
from iverson.execution.alpaca import states
from iverson.execution.alpaca.hub import Candle
from iverson.execution.alpaca.states import Update

logger = logging.getLogger(__name__)
STOP_SECONDS = 8.0  # for a socket to close
FREE_SYMBOLS = 30  # that a free plan's socket gives bars of
REFUSALS = 3  # failed connections in a row before a person is told
SOCKET = {"ping_interval": 10, "ping_timeout": 20, "max_queue": 1024}


class Thread:
    """One socket of alpaca-py in a thread: started once, stopped in bounded time."""

    def __init__(
        self,
        stream: Any,
        name: str,
        *,
        connected: Callable[[], None],
        lost: Callable[[], None] | None = None,
        refused: Callable[[str], None] | None = None,
    ) -> None:
        self.stream = stream
        self.name = name
        self._lost = lost
        self._refused = refused
        self.connections = 0
        self.failures = 0
        self._connected = connected
        self._begin = stream._start_ws  # noqa: SLF001 (nothing public tells of a connection)
        stream._start_ws = self._watched  # noqa: SLF001 (as above)
        self._consume = stream._consume  # noqa: SLF001 (nothing public ends it at once)
        stream._consume = self._consumed  # noqa: SLF001 (as above)
        self._thread = threading.Thread(target=stream.run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """Stop listening; False when the thread has not ended in time."""
        until = time.monotonic() + seconds
        while self._thread.is_alive() and time.monotonic() < until:
            if getattr(self.stream, "_loop", None) is not None:
                self.stream.stop()
                break
            time.sleep(0.01)  # there is no loop yet that could be told
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    @property
    def refused(self) -> bool:
        """Whether it has failed to connect several times in a row."""
        return self.failures >= REFUSALS

    async def _watched(self) -> None:
        if self._lost is not None:
            self._lost()  # alpaca-py connects only when there is no connection
        try:
            await self._begin()
        except BaseException:
            self.failures += 1
            if self.failures == REFUSALS and self._refused is not None:
                self._refused(self.name)
            raise
        self.failures = 0
        self.connections += 1
        self._connected()

    async def _consumed(self) -> Any:
        """Listen to a connection until it breaks or a stop is asked for, and then close it."""
        listening = asyncio.create_task(self._consume())
        stopped = asyncio.create_task(self.stream._stop_stream_event.wait())  # noqa: SLF001 (as above)
        await asyncio.wait((listening, stopped), return_when=asyncio.FIRST_COMPLETED)
        for one in (listening, stopped):
            one.cancel()
        try:
            return await listening
        except asyncio.CancelledError:
            await self.stream.close()
            return False  # not because it was mute


class Pair:
    """An account's sockets, of orders and perhaps of bars: opened together, closed together."""

    def __init__(self) -> None:
        self._sockets: tuple[Thread, ...] = ()

    @property
    def opened(self) -> bool:
        """Whether they were opened and not yet closed."""
        return bool(self._sockets)

    def open(self, trades: Thread, *minutes: Thread) -> None:
        """Start them."""
        self._sockets = (trades, *minutes)
        for socket in self._sockets:
            socket.start()

    def count(self) -> int:
        """Return how often the socket of bars was connected."""
        return sum(socket.connections for socket in self._sockets[1:])

    def close(self) -> None:
        """Stop them, side by side."""
        stopping = [threading.Thread(target=socket.stop) for socket in self._sockets]
        self._sockets = ()
        for one in stopping:
            one.start()
        for one in stopping:
            one.join()


def check_symbols(count: int, *, feed: str) -> None:
    """Refuse more symbols than the feed's plan gives bars of; the socket would refuse all."""
    if feed == "iex" and count > FREE_SYMBOLS:
        raise ConfigError(
            f"a free plan streams {FREE_SYMBOLS} symbols at most, and {count} are asked for; "
            "leave some out, or set the plan to paid (IVERSON_ALPACA_PLAN)"
        )


def trades(
    key: str,
    secret: str,
    *,
    paper: bool,
    url: str | None,
    hear: Callable[[Update], None],
    connected: Callable[[], None],
    lost: Callable[[], None] | None = None,
    refused: Callable[[str], None] | None = None,
) -> Thread:
    """Return the socket of trade updates; `hear` gets each that can be read.

    `connected` is called whenever a connection was made, `lost` whenever one has to be, `refused`
    with the socket's name once that has failed several times in a row; by its thread, all three.
    """
    stream = TradingStream(
        key, secret, paper=paper, raw_data=True, websocket_params=dict(SOCKET),
        url_override=url,  # type: ignore[arg-type]  # None is its default, declared as str
    )  # fmt: skip

    async def handle(message: Any) -> None:
        try:
            hear(states.update(message["data"]))
        except Exception:
            # The venue is asked at the next poll; an error here would end nothing but the message.
            logger.exception("a trade update could not be read")

    stream.subscribe_trade_updates(handle)
    return Thread(stream, "alpaca-trades", connected=connected, lost=lost, refused=refused)


def minutes(
    key: str,
    secret: str,
    symbols: Iterable[str],
    *,
    feed: str,
    url: str | None,
    hear: Callable[[Candle], None],
    connected: Callable[[], None],
    refused: Callable[[str], None] | None = None,
    mute_seconds: float | None,
) -> Thread:
    """Return the one socket of minute bars for all symbols; `feed` is iex or sip.

    `mute_seconds`: a connection that says nothing for so long is made anew; None waits for ever.
    Bars that are corrected later come by another channel, which is not asked for: what was decided
    on is not decided again, and a review tells what has changed.
    """
    symbols = tuple(symbols)
    check_symbols(len(symbols), feed=feed)
    stream = StockDataStream(
        key, secret, raw_data=True, feed=DataFeed(feed), url_override=url,
        websocket_params=dict(SOCKET), data_timeout=mute_seconds,
    )  # fmt: skip

    async def handle(message: Any) -> None:
        try:
            hear(candle(message))
        except Exception:
            logger.exception("a bar could not be read")

    stream.subscribe_bars(handle, *symbols)
    return Thread(stream, "alpaca-bars", connected=connected, refused=refused)


def candle(raw: Any) -> Candle:
    """Read a minute bar of the socket or of the data API; its stamp is its left edge."""
    stamp = raw["t"]
    at = stamp.to_datetime() if hasattr(stamp, "to_datetime") else states.instant(stamp)
    assert isinstance(at, datetime)
    return Candle(
        symbol=str(raw.get("S", "")),
        start=at.astimezone(UTC),
        open=float(raw["o"]),
        high=float(raw["h"]),
        low=float(raw["l"]),
        close=float(raw["c"]),
        volume=float(raw["v"]),
    )
