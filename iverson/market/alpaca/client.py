# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking Alpaca's data API: time-outs, a rate, attempts, and one sentence for what went wrong.

Requests go through alpaca-py, which sets no time-out, retries on 429 and 504 with fixed waits and
ignores what the server advises; so the session gets time-outs and the retries are ours. All of
this is for GET requests, which may be asked again without harm.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests  # comes with alpaca-py
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from requests.adapters import HTTPAdapter

from iverson.errors import BrokerUnavailable, ConfigError, IversonError
from iverson.market.alpaca.patience import Backoff, TokenBucket, advice
from iverson.market.calendar import utc_now
from iverson.market.vendor import NotServed

LIVE = "https://data.alpaca.markets"
TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two pieces of an answer
_AGAIN = frozenset({429, 500, 502, 503, 504})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class AlpacaData:
    """The data API of one account; keys are held by alpaca-py and never shown.

    Parameters
    ----------
    url : where it is; plain http only on this machine, because the keys go with every request
    timeout : seconds to connect, seconds without any data
    at, sleep : the clock, for dates in advice to wait, and how to wait seconds
    """

    def __init__(
        self,
        key: str,
        secret: str,
        *,
        bucket: TokenBucket,
        backoff: Backoff,
        url: str = LIVE,
        timeout: tuple[float, float] = TIMEOUT,
        at: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        for name, value in (("key", key), ("secret", secret)):
            # requests would show the whole value in its error about a header with a line break.
            if not value or not (value.isascii() and value.isprintable()) or " " in value:
                raise ConfigError(
                    f"the Alpaca {name} is empty or has spaces or other signs that no {name} has; "
                    "copy it again"
                )
        self._url = checked_url(url)
        self._bucket, self._backoff, self._at, self._sleep = bucket, backoff, at, sleep
        self._timeout = timeout
        self._stocks = StockHistoricalDataClient(key, secret, raw_data=True, url_override=self._url)
        self._actions = CorporateActionsClient(key, secret, raw_data=True, url_override=self._url)
        for client in (self._stocks, self._actions):
            client._retry = 0  # noqa: SLF001 (these clients do not pass the setting on)
            for scheme in ("https://", "http://"):
                client._session.mount(scheme, _TimedAdapter(timeout))  # noqa: SLF001 (as above)

    def __repr__(self) -> str:
        return f"AlpacaData({self._url!r}, key=****)"

    def bars(self, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Return the pages of `GET /v2/stocks/bars`: rows by symbol, none for a null page."""
        yield from self._pages(self._stocks, "/stocks/bars", "bars", parameters, 10_000)

    def corporate_actions(self, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Return the pages of `GET /v1/corporate-actions`: rows by kind."""
        yield from self._pages(
            self._actions, "/corporate-actions", "corporate_actions", parameters, 1000
        )

    def _pages(
        self, client: RESTClient, path: str, name: str, parameters: Mapping[str, Any], limit: int
    ) -> Iterator[dict[str, Any]]:
        token: str | None = None
        seen: set[str] = set()
        while True:
            asked = {**parameters, "limit": limit}
            if token is not None:
                asked["page_token"] = token
            answer = self._ask(client, path, name, asked)
            yield answer[name] or {}
            token = answer.get("next_page_token")
            if not token:
                return
            if token in seen:
                raise BrokerUnavailable(
                    f"Alpaca gave the same page of {path} twice; try again later"
                )
            seen.add(token)

    def _ask(
        self, client: RESTClient, path: str, name: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        failure = ""
        for attempt in range(1, self._backoff.attempts + 1):
            advised = None
            self._bucket.take()
            try:
                answer = client.get(path, dict(parameters))
            except APIError as error:
                status = error.status_code
                if status not in _AGAIN:
                    raise _refusal(status, str(error)) from error
                failure = f"answered {status}" + (" (too many requests)" if status == 429 else "")
                if status in (429, 503) and error.response is not None:
                    advised = advice(error.response.headers, self._at())
            except requests.Timeout:
                failure = f"did not answer within {self._timeout[1]:g} seconds"
            except ValueError:  # requests' own error for text that is no JSON is one, too
                failure = "gave an answer that is no JSON, or only a part of one"
            except requests.exceptions.ChunkedEncodingError:
                failure = "broke off in the middle of an answer"
            except requests.RequestException:
                failure = "could not be reached"
            else:
                if isinstance(answer, dict) and isinstance(answer.get(name, ""), dict | None):
                    return answer
                failure = f"gave an answer without {name}"
            if attempt < self._backoff.attempts:
                self._sleep(self._backoff.wait(attempt, advised))
        raise BrokerUnavailable(
            f"Alpaca's data API at {self._url} {failure}, {self._backoff.attempts} times in a row; "
            "try again later (what is stored stays, and is not asked for again)"
        )


class _TimedAdapter(HTTPAdapter):
    """Sets the time-outs that alpaca-py leaves open."""

    def __init__(self, timeout: tuple[float, float]) -> None:
        self._timeout = timeout
        super().__init__()

    def send(self, request: Any, *args: Any, **options: Any) -> Any:
        """Send a request, giving up when the server stalls."""
        options["timeout"] = options.get("timeout") or self._timeout
        return super().send(request, *args, **options)


def checked_url(url: str) -> str:
    """Return the address without a trailing slash; `ConfigError` if keys must not go there."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url.rstrip("/")
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return url.rstrip("/")
    raise ConfigError(
        f"the Alpaca data address is {url!r}; expected https://..., or http:// on this machine, "
        "because the keys go with every request"
    )


def _refusal(status: int | None, body: str) -> IversonError:
    try:
        message = str(json.loads(body).get("message", "")).strip()
    except (ValueError, AttributeError):
        message = ""
    if status == 403 and "subscription" in message:
        return NotServed(
            f"Alpaca refuses this feed or its last 15 minutes ({message}); use --plan free, which "
            "asks only for older bars, or --feed iex",
            divisible=False,
        )
    if status in (401, 403):
        return ConfigError(
            f"Alpaca does not accept these keys ({status}); check IVERSON_ALPACA_KEY and "
            "IVERSON_ALPACA_SECRET (or APCA_API_KEY_ID and APCA_API_SECRET_KEY)"
        )
    hint = "; Alpaca writes share classes with a dot, as BRK.B" if "symbol" in message else ""
    return NotServed(
        f"Alpaca refuses the request ({status}: {message or 'no reason given'}){hint}",
        divisible=status in (400, 404, 422),
    )
