# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers: held back until it is known what becomes of them, and those that refuse."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from iverson.simulator.faults import Fault

Scope = MutableMapping[str, Any]
Frame = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Frame]]
Send = Callable[[Frame], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]

LIMITED = (42910000, "rate limit exceeded")


@dataclass
class Answer:
    """One HTTP answer."""

    status: int = 200
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""

    @classmethod
    def of(cls, status: int, body: str, *extra: Header) -> Answer:
        """Make an answer; a body that begins with "<" is HTML, any other JSON."""
        kind = b"text/html" if body.startswith("<") else b"application/json; charset=UTF-8"
        length = str(len(body.encode())).encode()
        headers = [(b"content-type", kind), (b"content-length", length), *extra]
        return cls(status, headers, body.encode())

    @classmethod
    def refusal(cls, status: int, message: str, code: int | None = None, *extra: Header) -> Answer:
        """Make the answer that refuses: a message and, where Alpaca gives one, a code."""
        body = {"message": message} if code is None else {"code": code, "message": message}
        return cls.of(status, json.dumps(body), *extra)

    @classmethod
    def instead(cls, fault: Fault) -> Answer:
        """Make the answer that a script wants; of the body it says what it likes, or nothing."""
        if fault.body:
            return cls.of(fault.status, fault.body)
        if fault.message or fault.code:
            return cls.refusal(fault.status, fault.message, fault.code or None)
        if fault.status == HTTPStatus.TOO_MANY_REQUESTS:
            code, message = LIMITED
            return cls.refusal(fault.status, message, code)
        return cls.of(fault.status, page(fault.status))

    async def take(self, message: Frame) -> None:
        """Take the place of a connection."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")

    async def leave(self, send: Send) -> None:
        """Be sent."""
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})

    async def leave_half(self, send: Send) -> None:
        """Be sent up to the middle of the body, which the headers say is longer."""
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        half = self.body[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})


def page(status: int) -> str:
    """Return what the proxy in front of the API says by itself: a page of HTML."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Error"
    words = f"{status} {phrase}"
    return f"<html><head><title>{words}</title></head><body><h1>{words}</h1></body></html>\n"
