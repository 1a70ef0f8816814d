# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of the market data alone: a clock that is set, a market, and the data's own routes.

What trading does is left out, so that these tests know which part is wrong. Every JSON answer to a
client of `client()` is held against the schemas of `schemas_data`.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import requests
import uvicorn
from starlette.applications import Starlette

from iverson.simulator.data_routes import routes
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.events import Event
from iverson.simulator.market import Market
from iverson.simulator.settings import Switches
from iverson.simulator.stream_data import Streams
from tests.simulator.schemas_data import check

KEY, OTHER_KEY, SECRET = "PKTEST", "PKOTHER", "secret"
C = TypeVar("C")


@dataclass
class Stage:
    """What the data need of an exchange."""

    now: datetime
    market: Market
    switches: Switches = field(default_factory=Switches)
    listeners: list[Callable[[Event], None]] = field(default_factory=list)


class OneKey:
    """Two keys, of two accounts."""

    def account_of(self, key: str, secret: str) -> str | None:
        accounts = {KEY: "an account", OTHER_KEY: "another"}
        return accounts.get(key) if secret == SECRET else None


class DataServer:
    """Routes and streams of a stage, on loopback, in a thread."""

    def __init__(
        self, market: Market, at: datetime, *, switches: DataSwitches | None = None
    ) -> None:
        self.stage = Stage(at, market)
        self.switches = switches or DataSwitches()
        self.streams = Streams(self.stage, self.switches, OneKey())
        app = Starlette(routes=[*routes(self.stage, self.switches), *self.streams.routes()])
        config = uvicorn.Config(
            app, log_config=None, log_level="critical", ws="websockets-sansio", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.place = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._by_hand = requests.Session()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server.started)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.call(self.streams.disconnect())
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()
        self._by_hand.close()
        assert not self._thread.is_alive()

    def move_to(self, at: datetime) -> None:
        """Move the clock and send what is due."""

        async def move() -> None:
            assert at >= self.stage.now
            self.stage.now = at
            await self.streams.flush()

        self.call(move())

    def hear(self, event: Event) -> None:
        """Let an event happen on the exchange."""

        async def happen() -> None:
            for listener in self.stage.listeners:
                listener(event)

        self.call(happen())

    def call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something in the server's loop."""
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def client(self, kind: type[C]) -> C:
        """A client of alpaca-py whose answers are checked."""
        made = kind(KEY, SECRET, url_override=f"http://{self.place}")  # type: ignore[call-arg]  # alpaca-py
        session: requests.Session = made._session  # type: ignore[attr-defined]  # alpaca-py
        session.hooks["response"].append(_checked)
        return made

    def get(self, path: str, **query: str | int) -> requests.Response:
        """Ask by hand; an answer of 200 is checked."""
        return _checked(self._by_hand.get(f"http://{self.place}{path}", params=query, timeout=10))

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[self._socket])

        asyncio.run(serve())


def wait_until(claim: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait until a claim holds, and fail if it never does."""
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


def _checked(answer: requests.Response, *_: Any, **__: Any) -> requests.Response:
    if answer.status_code == 200:
        path = answer.url.split("?")[0].split("/", 3)[3]
        check("/" + path, _sampled(answer.json()))
    return answer


def _sampled(body: Any) -> Any:
    """Every part of a body, but of long lists the beginning and the end only."""
    if isinstance(body, dict):
        return {name: _sampled(value) for name, value in body.items()}
    if isinstance(body, list) and len(body) > 100:
        return [*body[:50], *body[-50:]]
    return body
