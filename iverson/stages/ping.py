# SPDX-License-Identifier: GPL-3.0-or-later
"""A ping: an address that is asked for as long as all is well, on a thread of its own.

Any dead-man service that takes a GET will do, and so does `iverson watch --listen`, which also
reads `run` and `due` from the query. An address that does not answer is logged, nothing more.
"""

from __future__ import annotations

import logging
import queue
import threading
from contextlib import suppress
from datetime import datetime
from urllib.error import URLError
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from urllib.request import Request, urlopen

from iverson.errors import ConfigError

TIMEOUT_SECONDS = 5.0

log = logging.getLogger(__name__)


class Ping:
    """Asks for one address; at most one ping waits, a newer one replaces it.

    Raises
    ------
    ConfigError: the address is none of http or https.
    """

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ConfigError(
                "the ping address is no http or https address; mend IVERSON_PING_URL, as "
                "https://host/path"
            )
        self._url, self._timeout = url, timeout_seconds
        self._waiting: queue.Queue[str | None] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._run, name="ping", daemon=True)
        self._thread.start()

    def send(self, run: str, due: datetime | None) -> None:
        """Ping as soon as may be; returns at once."""
        parts = urlsplit(self._url)
        query = [*parse_qsl(parts.query), ("run", run), ("due", due.isoformat() if due else "")]
        self._put(urlunsplit(parts._replace(query=urlencode(query))))

    def close(self) -> None:
        """Let a ping that waits go out, for at most the time-out of one."""
        deadline = self._timeout + 1.0
        with suppress(queue.Full):
            self._waiting.put(None, timeout=deadline)
        self._thread.join(timeout=deadline)

    def _put(self, address: str | None) -> None:
        with suppress(queue.Empty):
            self._waiting.get_nowait()
        with suppress(queue.Full):
            self._waiting.put_nowait(address)

    def _run(self) -> None:
        while (address := self._waiting.get()) is not None:
            try:
                request = Request(address, headers={"User-Agent": "iverson"})  # noqa: S310 (checked above)
                with urlopen(request, timeout=self._timeout):  # noqa: S310 (checked above)
                    pass
            except (URLError, OSError, ValueError) as error:
                # The address is a secret, and errors quote it.
                log.warning("the ping address does not answer (%s)", type(error).__name__)
