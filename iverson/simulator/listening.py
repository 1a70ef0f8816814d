# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening: uvicorn in a thread that is not the main one, with its connections within reach.

ASGI has no way to break a connection; the script has to. So each connection is noted by the
client's address for as long as it is open.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

Transports = dict[tuple[str, int], asyncio.Transport]


class Listening(uvicorn.Server):
    """A server that tells when it has started, and signals nobody."""

    def __init__(
        self,
        app: Any,
        transports: Transports,
        *,
        started: Callable[[], None],
        ended: Callable[[], Awaitable[Any]],
    ) -> None:
        class Noted(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as h11's own
                super().connection_made(transport)
                if self.client is not None:
                    transports[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                if self.client is not None:
                    transports.pop(self.client, None)

        class NotedStream(WebSocketsSansIOProtocol):
            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                if self.client is not None:
                    transports.pop(self.client, None)

        self._when_started, self._until_ended = started, ended
        self._open = transports
        super().__init__(
            uvicorn.Config(
                app,
                http=Noted,
                ws=NotedStream,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                ws_ping_interval=None,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=2,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets=sockets)
        self._when_started()

    async def main_loop(self) -> None:
        """Serve until the end, instead of looking for it ten times a second; then hang up."""
        await self._until_ended()
        for transport in list(self._open.values()):
            transport.close()
        await asyncio.sleep(0)
