# SPDX-License-Identifier: GPL-3.0-or-later
"""The data websockets: /v2/iex, /v2/sip and /v1beta1/news, in msgpack as alpaca-py speaks it.

`Streams` is served by one asyncio loop. Whoever moves the exchange's clock calls `flush` after it:
everything due up to now is queued for the clients who want it, and handed to their sockets before
`flush` returns. `next_at` names the next instant at which something is due, which lies
`DataSwitches.bar_delay` after the end of a bar: a clock that stops at the ends of bars delivers a
bar one step late, so it should move on by the delay.

A message to a client that does not read waits in its queue, and for `DataSwitches.patience` the
clock waits too; a client that lets the queue fill is told that it is slow, and is cut off. What a
client misses while it is away is never sent again. Clients that do not ask for msgpack in their
Content-Type are spoken to in JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.data_view import Shown, view
from iverson.simulator.events import Event, TradingHalt
from iverson.simulator.rest_data import half_spread
from iverson.simulator.stream_client import Client
from iverson.simulator.stream_dialogue import NEWS_CHANNELS, STOCK_CHANNELS, Dialogue
from iverson.simulator.stream_tape import Due, Tape, news, next_due, status

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

FEEDS = {"/v2/iex": "iex", "/v2/sip": "sip", "/v1beta1/news": "news"}


class Keys(Protocol):
    """What is needed of the keys: the account that a key and its secret open, None for none."""

    def account_of(self, key: str, secret: str) -> str | None:
        """Return the account."""
        ...


class Told(Shown, Protocol):
    """An exchange that can be listened to."""

    @property
    def listeners(self) -> list[Callable[[Event], None]]:
        """Who hears every event."""
        ...


class Streams:
    """The data streams of one exchange with their clients; mutable, of one loop."""

    def __init__(self, exchange: Told, switches: DataSwitches, keys: Keys) -> None:
        self._exchange = exchange
        self._switches = switches
        self._keys = keys
        self._clients: dict[str, list[Client]] = {feed: [] for feed in FEEDS.values()}
        self._holding: dict[tuple[str, str], int] = {}
        self._tapes = {feed: Tape() for feed in FEEDS.values()}
        self._halts: list[Due] = []
        self._flushed = exchange.now
        self._turn = asyncio.Lock()
        exchange.listeners.append(self._hear)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the three endpoints."""
        from starlette.routing import WebSocketRoute

        def endpoint(feed: str) -> Callable[[WebSocket], Any]:
            async def serve(websocket: WebSocket) -> None:
                await self._serve(websocket, feed)

            return serve

        return [WebSocketRoute(path, endpoint(feed)) for path, feed in FEEDS.items()]

    def next_at(self) -> datetime | None:
        """Return the next instant at which a message is due to anybody; None if nobody listens."""
        instants: list[datetime | None] = []
        if self._clients["iex"] or self._clients["sip"]:
            seen = view(self._exchange, self._switches, "iex")
            instants.append(next_due(seen, self._flushed))
        if self._clients["news"]:
            instants.append(self._exchange.market.next_news(self._flushed))
        return min((at for at in instants if at is not None), default=None)

    async def flush(self) -> None:
        """Send what is due up to the exchange's now, and wait until the sockets have taken it."""
        async with self._turn:
            after, self._flushed = self._flushed, self._exchange.now
            halts, self._halts = self._halts, []
            for feed, clients in self._clients.items():
                listening = [client for client in clients if client.dialogue.authenticated]
                if listening:
                    await _send(self._due(feed, listening, after, halts), listening)

    async def disconnect(self, feed: str | None = None) -> None:
        """End the connections of one feed ("iex", "sip", "news"), or all: the network's fault."""
        for name, clients in self._clients.items():
            if feed in (None, name):
                await asyncio.gather(*(client.cut() for client in list(clients)))

    def _due(
        self, feed: str, listening: list[Client], after: datetime, halts: list[Due]
    ) -> list[Due]:
        if feed == "news":
            return [news(one) for one in self._exchange.market.news_between(after, self._flushed)]

        def wants(channel: str, symbol: str) -> bool:
            return any(client.dialogue.wants(channel, (symbol,)) for client in listening)

        # The clock may have moved on while another feed's clients were waited for.
        until = self._flushed
        seen = replace(view(self._exchange, self._switches, feed), now=until, horizon=until)
        due = self._tapes[feed].due(seen, wants, after, half_spread=half_spread(self._exchange))
        return sorted([*due, *halts], key=lambda one: one.at)

    def _hear(self, event: Event) -> None:
        if isinstance(event, TradingHalt):
            self._halts.append(status(event))

    async def _serve(self, websocket: WebSocket, feed: str) -> None:
        held: list[tuple[str, str]] = []

        def admit(key: str, secret: str) -> int | None:
            account = self._keys.account_of(key, secret)
            if account is None:
                return 402
            if feed == "sip" and not self._switches.recent_sip:
                return 409
            place = (feed, account)
            if self._holding.get(place, 0) >= self._switches.connections:
                return 406
            self._holding[place] = self._holding.get(place, 0) + 1
            held.append(place)
            return None

        dialogue = Dialogue(
            channels=NEWS_CHANNELS if feed == "news" else STOCK_CHANNELS,
            switches=self._switches,
            listed=len(self._exchange.market.symbols),
            admit=admit,
        )
        client = Client(websocket, dialogue, self._switches)
        self._clients[feed].append(client)
        try:
            await client.converse()
        finally:
            self._clients[feed].remove(client)
            for place in held:
                self._release(place)

    def _release(self, place: tuple[str, str]) -> None:
        def let_go() -> None:
            self._holding[place] -= 1

        if self._switches.linger > 0:
            asyncio.get_running_loop().call_later(self._switches.linger, let_go)
        else:
            let_go()


async def _send(due: Iterable[Due], clients: list[Client]) -> None:
    """Send messages in order, one frame an instant, no faster than healthy clients take them."""
    for _, together in groupby(due, key=lambda one: one.at):
        messages = list(together)
        for client in clients:
            client.tell(messages)
        behind = [client.taken() for client in clients if client.is_behind]
        if behind:
            await asyncio.gather(*behind)
    await asyncio.gather(*(client.taken() for client in clients))
