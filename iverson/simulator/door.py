# SPDX-License-Identifier: GPL-3.0-or-later
"""The door: what every request and every frame passes, on its way in and on its way out.

Outermost of the application. It marks every answer with `X-Iverson-Sim`, lets the script spoil
what it wants to spoil, asks for keys, counts against the limits, and only then lets the request
in. Frames of the data streams pass it on their way out; the trading stream garbles its own.
`/_sim` is the control of the simulator itself and is neither spoilt nor counted.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from iverson.simulator.answers import (
    LIMITED,
    Answer,
    App,
    Frame,
    Receive,
    Scope,
    Send,
    page,
)
from iverson.simulator.faults import REQUEST_ACTIONS, Fault
from iverson.simulator.garble import Garble, Message
from iverson.simulator.requests import Refused
from iverson.simulator.venue import Venue

MARK = (b"x-iverson-sim", b"1")
CONTROL = "/_sim"
TRADING_STREAM = "/stream"
DATA_PATHS = ("/v2/stocks", "/v1beta1/", "/v1/corporate-actions", "/v1beta3/")
MESSAGES = {
    "b": "bar",
    "u": "updated bar",
    "d": "daily bar",
    "t": "trade",
    "q": "quote",
    "s": "status",
    "n": "news",
}
ORDERS = "/v2/orders/"
SUBSCRIBED = "subscription"
FATES = frozenset({"reject", "partial"})  # of the order that a request makes


class Door:
    """The application as the server sees it."""

    def __init__(self, app: App, venue: Venue) -> None:
        self._app = app
        self._venue = venue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one connection, as ASGI does."""
        serve = {"http": self._request, "websocket": self._connection}[scope["type"]]
        try:
            await serve(scope, receive, _marked(send))
        except Exception as error:
            self._venue.failures.append(error)
            raise

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(CONTROL):
            await self._app(scope, receive, send)
            return
        body, receive = await _read(receive)
        found = []
        if self._venue.script.waits_for("request"):
            symbol, leg = self._subject(scope, body)
            found = self._venue.script.request(
                scope["method"], scope["path"], symbol=symbol, leg=leg
            )
        fates = [fault for fault in found if fault.do in FATES]
        spoiling = [fault for fault in found if fault.do in REQUEST_ACTIONS - FATES]
        for fault in found:
            if fault.do not in REQUEST_ACTIONS:
                self._venue.acts.act(fault, account_id=self._account(scope))
        if spoiling or fates:
            await self._spoil(spoiling[:1], fates, scope, receive, send)
        else:
            await self._admit(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask for keys, count, and let the request in."""
        headers = _headers(scope)
        is_data = scope["path"].startswith(DATA_PATHS)
        if not headers.get("apca-api-key-id") or not headers.get("apca-api-secret-key"):
            await Answer.of(401, page(401)).leave(send)
            return
        account = self._account(scope)
        if account is None:
            refusal = (403, "forbidden.") if is_data else (401, "unauthorized.")
            await Answer.refusal(*refusal).leave(send)
            return
        scope["account_id"] = account
        limit = self._venue.data_limit if is_data else self._venue.trading_limit
        if limit is None:
            await self._app(scope, receive, send)
            return
        allowance = limit.take(account, at=self._venue.exchange.now)
        if not allowance.granted:
            code, message = LIMITED
            await Answer.refusal(429, message, code, *allowance.headers).leave(send)
            return
        await self._app(scope, receive, _with(send, allowance.headers))

    async def _spoil(
        self, spoiling: list[Fault], fates: list[Fault], scope: Scope, receive: Receive, send: Send
    ) -> None:
        answer = Answer()
        fault = spoiling[0] if spoiling else None
        if fault is None or fault.executed or fault.do in ("truncate", "late"):
            if fault is not None and fault.do == "late":
                self._venue.listen()
            await self._admit(scope, receive, answer.take)
            for fate in fates:
                self._venue.acts.seal(fate, answer.body)
            if fault is not None and fault.do == "late":
                await self._venue.wait_for(fault)
        if fault is None or fault.do == "late":
            await answer.leave(send)
        elif fault.do == "status":
            await Answer.instead(fault).leave(send)
        elif fault.do == "empty":
            await Answer.of(200, "").leave(send)
        elif fault.do == "truncate":
            await answer.leave_half(send)
            await self._venue.end(scope, politely=True)
        elif fault.do == "stall":
            await self._venue.stall(fault.wall_seconds, until=_hung_up(receive))
            await self._venue.end(scope)
        else:
            await self._venue.end(scope)

    async def _connection(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith((TRADING_STREAM, CONTROL)):
            await self._app(scope, receive, send)
            return
        garble = Garble()
        sent = 0

        async def pass_out(frame: Frame) -> None:
            nonlocal sent
            if frame["type"] == "websocket.send":
                for out, messages in self._garbled(garble, frame):
                    sent += messages
                    self._venue.progress.send(messages)
                    await send(out)
                if garble.closing:
                    self._venue.hang_up(scope)
                return
            await send(frame)

        try:
            await self._app(scope, receive, pass_out)
        finally:
            self._venue.progress.write_off(sent)

    def _garbled(self, garble: Garble, frame: Frame) -> list[tuple[Frame, int]]:
        """Return the frames that leave in place of one, each with its number of messages."""
        packed = frame.get("bytes") is not None
        items = _unpack(frame["bytes"]) if packed else json.loads(frame["text"])
        self._venue.progress.subscriptions += any(one.get("T") == SUBSCRIBED for one in items)
        if not self._venue.script.waits_for("data") and not (garble.mute or garble.closing):
            return [(frame, _counted(items))]
        left: list[Message] = []
        for item in items:
            name = MESSAGES.get(item.get("T"))
            faults = [] if name is None else self._faults(name, item)
            left += garble.pass_on(item, faults)
        right = [one.content for one in left if not one.text]
        wrong = [one.content for one in left if one.text]
        frames = [(_packed(right) if packed else _written(right), _counted(right))] if right else []
        # The handlers of alpaca-py never see what comes as text, so nobody will count it.
        return [*frames, (_written(wrong), 0)] if wrong else frames

    def _faults(self, name: str, item: dict[str, Any]) -> list[Fault]:
        symbol = str(item.get("S", ""))
        return self._venue.script.message("data", name, symbol=symbol)

    def _subject(self, scope: Scope, body: bytes) -> tuple[str, str]:
        """Return the symbol and the leg that a request is about, "" for what it does not say."""
        order_id = scope["path"].removeprefix(ORDERS)
        account_id = self._account(scope)
        if order_id == scope["path"] or account_id is None:
            return _symbol(scope, body), ""
        try:
            order = self._venue.exchange.order(account_id, id=order_id)
        except Refused:
            return "", ""
        return order.symbol, order.role

    def _account(self, scope: Scope) -> str | None:
        return self._venue.keys.account_in(_headers(scope))


def _counted(messages: list[dict[str, Any]]) -> int:
    """Count the messages that reach a handler; those of the control do not."""
    return sum(one.get("T") in MESSAGES for one in messages)


def _unpack(content: bytes) -> Any:
    import msgpack

    return msgpack.unpackb(content, timestamp=0)


def _packed(messages: list[dict[str, Any]]) -> Frame:
    import msgpack

    return {"type": "websocket.send", "bytes": msgpack.packb(messages)}


def _written(messages: list[dict[str, Any]]) -> Frame:
    return {"type": "websocket.send", "text": json.dumps(messages, default=str)}


def _marked(send: Send) -> Send:
    async def pass_out(message: Frame) -> None:
        if message["type"] in ("http.response.start", "websocket.accept"):
            message["headers"] = [*message.get("headers", []), MARK]
        await send(message)

    return pass_out


def _with(send: Send, headers: list[tuple[bytes, bytes]]) -> Send:
    async def pass_out(message: Frame) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *headers]
        await send(message)

    return pass_out


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """Read a request's body, and give it again to whoever reads next."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
    given = False

    async def again() -> Frame:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again


async def _hung_up(receive: Receive) -> None:
    while True:
        if (await receive())["type"] == "http.disconnect":
            return


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _symbol(scope: Scope, body: bytes) -> str:
    """Return the one symbol that a request is about, "" when it is about none or several."""
    if body:
        try:
            asked = json.loads(body)
        except ValueError:
            return ""
        return str(asked.get("symbol", "")) if isinstance(asked, dict) else ""
    query = parse_qs(str(scope["query_string"], "latin-1"))
    if "symbols" in query:
        return query["symbols"][0]
    path: str = scope["path"]
    first, _, last = path.rpartition("/")
    return last if first.endswith(("/positions", "/assets")) else ""
