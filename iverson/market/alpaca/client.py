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
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests  # comes with alpaca-py
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.historical.news import NewsClient
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
        stocks, actions, news = (
            kind(key, secret, raw_data=True, url_override=self._url)
            for kind in (StockHistoricalDataClient, CorporateActionsClient, NewsClient)
        )
        for client in (stocks, actions, news):
            client._retry = 0  # noqa: SLF001 (these clients do not pass the setting on)
            for scheme in ("https://", "http://"):
                client._session.mount(scheme, _TimedAdapter(timeout))  # noqa: SLF001 (as above)
        self._bars = _Listing(stocks, "/stocks/bars", "bars", 10_000)
        self._actions = _Listing(actions, "/corporate-actions", "corporate_actions", 1000)
        self._news = _Listing(news, "/news", "news", 50, holds=list)
        self._latest = _Listing(stocks, "/stocks/trades/latest", "trades", 1)

    def __repr__(self) -> str:
        return f"AlpacaData({self._url!r}, key=****)"

    def bars(self, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Return the pages of `GET /v2/stocks/bars`: rows by symbol, none for a null page."""
        yield from self._pages(self._bars, parameters)

    def corporate_actions(self, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Return the pages of `GET /v1/corporate-actions`: rows by kind."""
        yield from self._pages(self._actions, parameters)

    def news(self, parameters: Mapping[str, Any]) -> Iterator[list[Any]]:
        """Return the pages of `GET /v1beta1/news`: items in the order asked for."""
        yield from self._pages(self._news, parameters)

    def latest_trades(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer of `GET /v2/stocks/trades/latest`: a trade by symbol."""
        return dict(self._ask(self._latest, parameters)["trades"] or {})

    def _pages(self, listing: _Listing, parameters: Mapping[str, Any]) -> Iterator[Any]:
        token: str | None = None
        seen: set[str] = set()
        while True:
            asked = {**parameters, "limit": listing.limit}
            if token is not None:
                asked["page_token"] = token
            answer = self._ask(listing, asked)
            yield answer[listing.name] or listing.holds()
            token = answer.get("next_page_token")
            if not token:
                return
            if token in seen:
                raise BrokerUnavailable(
                    f"Alpaca gave the same page of {listing.path} twice; try again later"
                )
            seen.add(token)

    def _ask(self, listing: _Listing, parameters: Mapping[str, Any]) -> dict[str, Any]:
        failure = ""
        for attempt in range(1, self._backoff.attempts + 1):
            advised = None
            self._bucket.take()
            try:
                answer = listing.client.get(listing.path, dict(parameters))
            except APIError as error:
                status = error.status_code
                if status not in _AGAIN:
                    raise _refusal(status, str(error), listing.name) from error
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
                if isinstance(answer, dict) and listing.is_in(answer):
                    return answer
                failure = f"gave an answer without {listing.name}"
            if attempt < self._backoff.attempts:
                self._sleep(self._backoff.wait(attempt, advised))
        raise BrokerUnavailable(
            f"Alpaca's data API at {self._url} {failure}, {self._backoff.attempts} times in a row; "
            "try again later (what is stored stays, and is not asked for again)"
        )


@dataclass(frozen=True)
class _Listing:
    """Something that is listed page by page: where, under which name, how much a page."""

    client: RESTClient
    path: str
    name: str
    limit: int
    holds: type = dict

    def is_in(self, answer: Mapping[str, Any]) -> bool:
        """Whether an answer has such a page; null is one without anything in it."""
        return isinstance(answer.get(self.name, ""), self.holds | None)


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


def _refusal(status: int | None, body: str, name: str) -> IversonError:
    try:
        message = str(json.loads(body).get("message", "")).strip()
    except (ValueError, AttributeError):
        message = ""
    lacking = status == 403 and "subscription" in message
    if lacking and name == "bars":
        return NotServed(
            f"Alpaca refuses this feed or its last 15 minutes ({message}); use --plan free, which "
            "asks only for older bars, or --feed iex",
            divisible=False,
        )
    if status in (401, 403) and not lacking:
        return ConfigError(
            f"Alpaca does not accept these keys ({status}); check IVERSON_ALPACA_KEY and "
            "IVERSON_ALPACA_SECRET (or APCA_API_KEY_ID and APCA_API_SECRET_KEY)"
        )
    hint = "; Alpaca writes share classes with a dot, as BRK.B" if "symbol" in message else ""
    return NotServed(
        f"Alpaca refuses the request ({status}: {message or 'no reason given'}){hint}",
        divisible=status in (400, 404, 422),
    )
