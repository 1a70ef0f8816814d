# SPDX-License-Identifier: GPL-3.0-or-later
"""Headlines from Alpaca's news service, page by page, below its limit of requests.

Alpaca sorts by the time of the last edit and hands out edited texts only, so an item of the past
is known from its edit on. What comes in while we watch is known from our own clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import requests
from alpaca.common.exceptions import APIError
from alpaca.data.historical.news import NewsClient
from requests.adapters import HTTPAdapter

from iverson.errors import BrokerUnavailable, ConfigError, DataError
from iverson.market.news import Headline, headline

PAGE = 50  # items: what the service allows
A_MINUTE = 180  # requests, of the 200 allowed
TIMEOUT_SECONDS = 30.0
TRIES = 4
PAUSE_SECONDS = 15.0  # after a refusal for too many requests
SYMBOLS_AT_ONCE = 50


class Bucket:
    """Lets so many requests through a minute; a quiet time earns at most ten at once."""

    BURST = 10.0

    def __init__(
        self,
        a_minute: float = A_MINUTE,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = a_minute / 60.0
        self._clock, self.sleep = clock, sleep
        self._tokens, self._at = self.BURST, clock()

    def take(self) -> None:
        """Wait until one more request is allowed."""
        now = self._clock()
        self._tokens = min(self.BURST, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1.0:
            self.sleep((1.0 - self._tokens) / self._rate)
            self._tokens, self._at = 1.0, self._clock()
        self._tokens -= 1.0


class AlpacaNews:
    """The news service with a key; `url` is another address of it, for tests on loopback."""

    def __init__(
        self,
        key: str,
        secret: str,
        *,
        url: str | None = None,
        bucket: Bucket | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        if not key or not secret:
            raise ConfigError(
                "Alpaca needs a key: set IVERSON_ALPACA_KEY and IVERSON_ALPACA_SECRET, "
                "in the environment or in .env"
            )
        self._client = NewsClient(key, secret, raw_data=True, url_override=url)
        self._client._retry = 0  # noqa: SLF001 (its pauses know nothing of our bucket)
        session = self._client._session  # noqa: SLF001 (alpaca-py sets no time-out, ever)
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Timed(timeout_seconds))
        self._bucket = bucket or Bucket()

    def pages(
        self,
        symbols: Sequence[str],
        start: datetime,
        end: datetime,
        *,
        seen_at: Callable[[], datetime] | None = None,
    ) -> Iterator[list[Headline]]:
        """Yield pages of headlines that name any of the symbols, edited from `start` to `end`.

        `seen_at` is asked for the instant when a page arrives: for items that come in as they are
        published. None: the vendor's stamps say when an item was known.

        Raises
        ------
        ConfigError: the key is refused, or the plan does not allow it.
        BrokerUnavailable: no answer, or too many requests even after pauses.
        DataError: an answer that is no page of headlines.
        """
        for begin in range(0, len(symbols), SYMBOLS_AT_ONCE):
            asked = {
                "symbols": ",".join(symbols[begin : begin + SYMBOLS_AT_ONCE]),
                "start": start.isoformat().replace("+00:00", "Z"),
                "end": end.isoformat().replace("+00:00", "Z"),
                "sort": "asc",
                "limit": PAGE,
                "include_content": "false",
            }
            token: str | None = None
            while True:
                page = self._page(asked if token is None else {**asked, "page_token": token})
                at = seen_at() if seen_at is not None else None
                yield [_headline(item, at) for item in page["news"]]
                following = page.get("next_page_token")
                if following is not None and following == token:
                    raise DataError("Alpaca sent the same page of headlines twice; try again later")
                token = following
                if not token:
                    break

    def _page(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        for left in range(TRIES - 1, -1, -1):
            self._bucket.take()
            try:
                page = self._client.get("/news", dict(asked))
            except APIError as error:
                if error.status_code == 429 and left:
                    self._bucket.sleep(PAUSE_SECONDS)
                    continue
                raise _refused(error.status_code) from error
            except requests.exceptions.JSONDecodeError as error:
                raise DataError(
                    "Alpaca's answer was cut off or is no JSON; run the command again, it goes on "
                    "from what is stored"
                ) from error
            except requests.RequestException as error:
                raise BrokerUnavailable(
                    f"Alpaca's news service did not answer ({type(error).__name__}); "
                    "check the network and run the command again"
                ) from error
            if isinstance(page, dict) and isinstance(page.get("news"), list):
                return page
            raise DataError("Alpaca's answer is no page of headlines; try again later")
        raise AssertionError("the last try returns or raises")


class _Timed(HTTPAdapter):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
        if options.get("timeout") is None:
            options["timeout"] = self._seconds
        return super().send(request, *args, **options)


def _refused(status: int | None) -> ConfigError | BrokerUnavailable:
    if status == 401:
        return ConfigError(
            "Alpaca refused the key (401); check IVERSON_ALPACA_KEY and IVERSON_ALPACA_SECRET, "
            "keys of paper and live accounts both work here"
        )
    if status == 403:
        return ConfigError(
            "Alpaca does not allow news with this key (403); make a new key, or check the plan"
        )
    if status == 429:
        return BrokerUnavailable(
            "Alpaca still refuses for too many requests (429); wait some minutes, is another "
            "program using the same key?"
        )
    return BrokerUnavailable(
        f"Alpaca's news service answered {status}; run the command again later, "
        "it goes on from what is stored"
    )


def _headline(item: Any, seen_at: datetime | None) -> Headline:
    try:
        return headline(
            str(item["headline"]),
            published_at=datetime.fromisoformat(item["created_at"]),
            updated_at=datetime.fromisoformat(item.get("updated_at") or item["created_at"]),
            seen_at=seen_at,
            observed=seen_at is not None,
            source=str(item.get("source") or ""),
            symbols=[str(symbol) for symbol in item.get("symbols") or ()],
            id=f"alpaca-{item['id']}",
            summary=str(item.get("summary") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"Alpaca sent a headline that cannot be read ({type(error).__name__}: {error}); "
            "try again later"
        ) from error
