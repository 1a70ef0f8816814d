# SPDX-License-Identifier: GPL-3.0-or-later
"""The trading stream: /stream, updates of one account's orders as binary frames of JSON.

The server says nothing until the client has authenticated, sends only what happens while somebody
listens, and never repeats it: there is no replay and no sequence number, as with the real one.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from iverson.simulator import render
from iverson.simulator.events import Event, TradeUpdate
from iverson.simulator.faults import STREAM_ACTIONS
from iverson.simulator.garble import Garble, Message
from iverson.simulator.venue import Venue

UPDATES = "trade_updates"
TRY_AGAIN_LATER = 1013


class TradingStream:
    """Every connection to the trading stream of one venue."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._connections: set[_Connection] = set()
        venue.exchange.listeners.append(self._hear)
        venue.flushers.append(self.flush)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection until it ends."""
        await websocket.accept()
        most = self._venue.switches.stream_connections
        if most is not None and len(self._connections) >= most:
            await websocket.close(TRY_AGAIN_LATER)  # no limit and no message is documented
            return
        connection = _Connection(websocket, self._venue)
        self._connections.add(connection)
        try:
            await connection.converse()
        finally:
            self._connections.discard(connection)
            connection.abandon()

    async def flush(self) -> None:
        """Wait until every connection has been handed what is meant for it."""
        for connection in list(self._connections):
            await connection.flush()

    def _hear(self, event: Event) -> None:
        if not isinstance(event, TradeUpdate) or not event.published:
            return
        order = event.order
        faults = self._venue.script.message(
            "event", event.event, symbol=order.symbol, leg=order.role
        )
        self._venue.acts.later([one for one in faults if one.do not in STREAM_ACTIONS], event)
        spoiling = [one for one in faults if one.do in STREAM_ACTIONS]
        listening = [one for one in self._connections if one.hears(event.account_id)]
        if listening:
            content = render.trade_update(event)
            for connection in listening:
                connection.say_update(connection.garble.pass_on(content, spoiling))


class _Connection:
    """One client: who it is, whether it listens, and what is still to be sent."""

    def __init__(self, websocket: WebSocket, venue: Venue) -> None:
        self.garble = Garble()
        self.listens = False
        self._websocket = websocket
        self._venue = venue
        self._account_id: str | None = None
        self._outbox: asyncio.Queue[tuple[dict[str, Any], bool, bool]] = asyncio.Queue()
        self._sent = 0
        self._gone = False

    def hears(self, account_id: str) -> bool:
        """Whether an account's updates are meant for it."""
        return self.listens and self._account_id == account_id and not self._gone

    def say_update(self, messages: list[Message]) -> None:
        """Put updates where they will be sent from, in order."""
        for message in messages:
            self._outbox.put_nowait((message.content, message.text, True))
        if self.garble.closing:
            self._gone = True
            self._venue.hang_up(self._websocket.scope)

    async def converse(self) -> None:
        """Answer the client and send what there is, until either side ends it."""
        writing = asyncio.ensure_future(self._write())
        try:
            while True:
                frame = await self._websocket.receive()
                if frame["type"] == "websocket.disconnect":
                    return
                self._answer(frame.get("text") or frame.get("bytes") or "")
        except WebSocketDisconnect:
            return
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def flush(self) -> None:
        """Wait until what was said is sent, or nobody will ever send it."""
        if not self._gone:
            await self._outbox.join()

    def abandon(self) -> None:
        """Forget what was not sent, and expect no answer for what was."""
        self._gone = True
        while not self._outbox.empty():
            self._outbox.get_nowait()
            self._outbox.task_done()
        self._venue.progress.write_off(self._sent)

    async def _write(self) -> None:
        while True:
            content, as_text, counts = await self._outbox.get()
            try:
                text = json.dumps(content, separators=(",", ":"))
                if as_text:
                    await self._websocket.send_text(text)
                else:
                    await self._websocket.send_bytes(text.encode())
                if counts:
                    self._sent += 1
                    self._venue.progress.send()
            finally:
                self._outbox.task_done()

    def _answer(self, text: str | bytes) -> None:
        try:
            asked = json.loads(text)
        except ValueError:
            asked = None
        action = asked.get("action") if isinstance(asked, dict) else None
        data = asked.get("data") if isinstance(asked, dict) else None
        data = data if isinstance(data, dict) else {}
        if action in ("authenticate", "auth"):
            self._authenticate(asked, data)
        elif action == "listen" and self._account_id is not None:
            streams = data.get("streams")
            streams = streams if isinstance(streams, list) else []
            self.listens = UPDATES in streams
            self._say("listening", {"streams": [UPDATES] if self.listens else []})
            self._venue.progress.subscriptions += self.listens
        elif action == "listen":
            self._say("authorization", {"status": "unauthorized", "action": "listen"})
        else:
            self._say("error", {"error": "the action is unknown; authenticate or listen"})

    def _authenticate(self, asked: dict[str, Any], data: dict[str, Any]) -> None:
        # The older spelling has key and secret beside the action instead of inside data.
        key = str(data.get("key_id") or asked.get("key") or "")
        secret = str(data.get("secret_key") or asked.get("secret") or "")
        self._account_id = self._venue.keys.account_of(key, secret)
        status = "unauthorized" if self._account_id is None else "authorized"
        self._say("authorization", {"status": status, "action": "authenticate"})

    def _say(self, stream: str, data: dict[str, Any]) -> None:
        if not self.garble.mute:
            self._outbox.put_nowait(({"stream": stream, "data": data}, False, False))
