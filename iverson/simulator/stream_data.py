# SPDX-License-Identifier: GPL-3.0-or-later
"""The data websockets: /v2/iex, /v2/sip and /v1beta1/news, in msgpack as alpaca-py speaks it.

`Streams` is served by one asyncio loop. Whoever moves the exchange's clock calls `flush` after it:
everything due up to now is queued for the clients who want it, and handed to their sockets before
`flush` returns. `next_at` names the next instant at which something is due, which lies
`DataSwitches.bar_delay` after the end of a bar: a clock that stops at the ends of bars delivers a
bar one step late, so it should move on by the delay.

A message to a client that does not read waits in its queue; a client that lets the queue fill is
told that it is slow, and is cut off. What a client misses while it is away is never sent again.
Clients that do not ask for msgpack in their Content-Type are spoken to in JSON.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.data_view import Shown, view
from iverson.simulator.events import Event, TradingHalt
from iverson.simulator.hours import zulu
from iverson.simulator.rest_data import half_spread
from iverson.simulator.stream_session import NEWS_CHANNELS, STOCK_CHANNELS, Message, Session
from iverson.simulator.stream_tape import Due, Tape, news, next_due, status

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

FEEDS = {"/v2/iex": "iex", "/v2/sip": "sip", "/v1beta1/news": "news"}
KEY, SECRET = "apca-api-key-id", "apca-api-secret-key"
PATIENCE = 1.0  # wall seconds for which `flush` waits for a client that does not read


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
        """Queue what is due up to the exchange's now, and wait until the sockets have taken it."""
        self.publish()
        waiting = [one.taken() for clients in self._clients.values() for one in clients]
        if waiting:
            await asyncio.gather(*waiting)

    def publish(self) -> int:
        """Queue what is due up to the exchange's now; return how many messages that was."""
        after, self._flushed = self._flushed, self._exchange.now
        halts, self._halts = self._halts, []
        told = 0
        for feed, clients in self._clients.items():
            listening = [client for client in clients if client.session.authenticated]
            if not listening:
                continue
            due = self._due(feed, listening, after, halts)
            told += sum(client.tell(due) for client in listening)
        return told

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
            return any(client.session.wants(channel, (symbol,)) for client in listening)

        seen = view(self._exchange, self._switches, feed)
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

        session = Session(
            channels=NEWS_CHANNELS if feed == "news" else STOCK_CHANNELS,
            switches=self._switches,
            listed=len(self._exchange.market.symbols),
            admit=admit,
        )
        client = Client(websocket, session, self._switches)
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


class Client:
    """One connection: its session, its queue of frames, and the two tasks that read and write."""

    def __init__(self, websocket: WebSocket, session: Session, switches: DataSwitches) -> None:
        self.session = session
        self._websocket = websocket
        self._binary = "msgpack" in websocket.headers.get("content-type", "")
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._limit = switches.queue_limit
        self._auth_timeout = switches.auth_timeout
        self._tasks: list[asyncio.Task[None]] = []

    async def converse(self) -> None:
        """Serve the client until one side ends it."""
        await self._websocket.accept()
        self._say(self.session.greet())
        headers = self._websocket.headers
        if KEY in headers and SECRET in headers:
            keys = {"action": "auth", "key": headers[KEY], "secret": headers[SECRET]}
            self._say(self.session.receive(keys))
        timer = asyncio.get_running_loop().call_later(self._auth_timeout, self._time_out)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        try:
            done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            await self.cut()
        for task in done:
            _raise_what_broke(task)

    def tell(self, due: Iterable[Due]) -> int:
        """Queue the messages that the client wants, one frame for each instant."""
        told = 0
        for _, together in groupby(due, key=lambda one: one.at):
            messages = [
                one.message for one in together if self.session.wants(one.channel, one.symbols)
            ]
            if self.session.ended or not messages:
                continue
            if self._queue.qsize() >= self._limit:
                self._slow()
                break
            self._queue.put_nowait(self._frame(messages))
            told += len(messages)
        return told

    async def taken(self) -> None:
        """Wait until the socket has taken every frame, but not for ever."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), timeout=PATIENCE)

    async def cut(self) -> None:
        """End the connection at once, whatever is still queued."""
        self.session.ended = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._forget()

    async def _read(self) -> None:
        from starlette.websockets import WebSocketDisconnect

        with suppress(WebSocketDisconnect):
            while not self.session.ended:
                event = await self._websocket.receive()
                if event["type"] == "websocket.disconnect":
                    return
                self._say(self.session.receive(_decoded(event)))
            # The error that ended it is still to be written; the writer closes after it.
            await asyncio.Event().wait()

    async def _write(self) -> None:
        while (frame := await self._queue.get()) is not None:
            if self._binary:
                await self._websocket.send_bytes(frame)
            else:
                await self._websocket.send_text(frame.decode())
            self._queue.task_done()
        await self._websocket.close()

    def _say(self, message: Message) -> None:
        self._queue.put_nowait(self._frame([message]))
        if self.session.ended:
            self._queue.put_nowait(None)

    def _time_out(self) -> None:
        message = self.session.time_out()
        if message is not None:
            self._say(message)

    def _slow(self) -> None:
        self._forget()
        self._say(self.session.error(407))
        # It does not read, so it may never see this; then it is cut off all the same.
        asyncio.get_running_loop().call_later(PATIENCE, self._tasks[1].cancel)

    def _forget(self) -> None:
        with suppress(asyncio.QueueEmpty):
            while True:
                self._queue.get_nowait()
                self._queue.task_done()

    def _frame(self, messages: list[Message]) -> bytes:
        if not self._binary:
            return json.dumps(messages, default=zulu).encode()
        packed: bytes = _msgpack().packb(messages, datetime=True)
        return packed


def _raise_what_broke(task: asyncio.Task[None]) -> None:
    """Raise what ended a task, unless it was told to end or its client has gone."""
    from starlette.websockets import WebSocketDisconnect

    if task.cancelled():
        return
    error = task.exception()
    if error is not None and not isinstance(error, WebSocketDisconnect | OSError):
        raise error


def _decoded(event: Any) -> object:
    """Return what a client sent, None if it cannot be read."""
    library = _msgpack()
    try:
        if event.get("bytes") is not None:
            return library.unpackb(event["bytes"])
        return json.loads(event["text"])
    except (ValueError, RecursionError, library.UnpackException):
        return None


def _msgpack() -> Any:
    # Untyped, and installed with the extra [simulator] only.
    return import_module("msgpack")
