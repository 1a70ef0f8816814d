# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiving end of pings: a small HTTP server that takes signs of life from their query."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from iverson.errors import ConfigError
from iverson.stages.watch import Sign

LONGEST = 200  # characters of a run's name


class Pinged:
    """Listens on `host:port` and keeps the signs that came until they are taken.

    Whoever can reach the address can give signs: keep it on loopback or a private network. A
    `path` that only the robot knows keeps strangers out, as any ping service does.

    Raises
    ------
    ConfigError: no such address, or one that is in use.
    """

    def __init__(
        self, host: str, port: int, *, clock: Callable[[], datetime], path: str = "/"
    ) -> None:
        self._signs: queue.Queue[Sign] = queue.Queue(maxsize=1000)
        signs = self._signs

        class Handler(BaseHTTPRequestHandler):
            timeout = 5.0  # seconds that a slow client may take

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                sign = sign_of(parts.query, clock()) if parts.path == path else None
                if sign is not None:
                    with suppress(queue.Full):
                        signs.put_nowait(sign)
                self.send_response(204 if sign else 404)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name there)
                """Stay silent: a line a minute is nobody's news."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"cannot listen on {host}:{port} ({error}); choose another address"
            ) from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        )
        self._thread.start()

    def taken(self) -> list[Sign]:
        """Return the signs that came since the last time."""
        found: list[Sign] = []
        with suppress(queue.Empty):
            while True:
                found.append(self._signs.get_nowait())
        return found

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join(timeout=5.0)
        self._server.server_close()


def sign_of(query: str, at: datetime) -> Sign | None:
    """Read a ping's query; None when it is no sign of a run."""
    fields = parse_qs(query)
    run = fields.get("run", [""])[0]
    if not run or len(run) > LONGEST or not run.isprintable():
        return None
    due = None
    if "due" in fields:
        try:
            due = datetime.fromisoformat(fields["due"][0])
        except ValueError:
            return None
        if due.tzinfo is None:
            return None
    return Sign(run, at, due)
