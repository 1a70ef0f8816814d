# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP call to Alpaca through alpaca-py, which always ends: an answer or the lack of one.

alpaca-py sets no timeouts and repeats a POST after 429 and 504 by itself (3 times, 3 seconds
apart); both are dangerous for orders. Here every call has a timeout and is made once: who repeats,
and when, is decided in `protocol`, by the order's name.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Literal

import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from requests.adapters import HTTPAdapter

from iverson.execution.alpaca.outcomes import Reply

Method = Literal["GET", "POST", "PATCH", "DELETE"]
CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0


class Rest:
    """The trading API of one account.

    Parameters
    ----------
    key, secret: the account's keys; never shown.
    paper: whether the address is the paper one; `url` overrides it (the simulator's).
    connect_seconds, read_seconds: after which a call counts as unanswered.

    `made` counts the calls that have ended.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        *,
        paper: bool,
        url: str | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self.made = 0
        self.client = TradingClient(key, secret, paper=paper, raw_data=True, url_override=url)
        self.client._retry = 0  # noqa: SLF001 (its constructor cannot switch repeating off)
        session = self.client._session  # noqa: SLF001 (the only way to give it timeouts)
        adapter = _Timed((connect_seconds, read_seconds))
        session.mount("https://", adapter)
        session.mount("http://", adapter)

    def call(self, method: Method, path: str, data: dict[str, Any] | None = None) -> Reply:
        """Make one call, below /v2; never raises for what a network or a venue may do."""
        verb = getattr(self.client, method.lower())
        try:
            return Reply(200, verb(path, data))
        except APIError as error:
            return _refused(error)
        except (requests.RequestException, ValueError) as error:
            # ValueError: an answer that is cut short, or no JSON at all
            return Reply(0, error=f"{type(error).__name__} on {method} {path}")
        finally:
            self.made += 1

    def close(self) -> None:
        """Close the connections."""
        self.client._session.close()  # noqa: SLF001 (alpaca-py never closes it)


class _Timed(HTTPAdapter):
    """An adapter whose requests time out."""

    def __init__(self, timeout: tuple[float, float]) -> None:
        super().__init__()
        self._timeout = timeout

    def send(self, request: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # all by keyword
        kwargs["timeout"] = self._timeout
        return super().send(request, **kwargs)


def _refused(error: APIError) -> Reply:
    status = int(error.status_code or 0)
    try:
        body = json.loads(str(error))
    except ValueError:
        body = None
    headers = getattr(error.response, "headers", {})
    return Reply(status, body, f"HTTP {status}", _reset(headers.get("X-RateLimit-Reset")))


def _reset(text: str | None) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(text or ""), UTC)
    except (ValueError, OverflowError, OSError):
        return None
