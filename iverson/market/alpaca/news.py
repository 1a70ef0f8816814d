# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpaca as a service of headlines.

It sorts by the time of the last edit and hands out edited texts only, so an item of the past is
known from its edit on. What comes in while we watch is known from our own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from iverson.errors import DataError
from iverson.market.alpaca.client import AlpacaData
from iverson.market.news import Headline, headline

SYMBOLS_AT_ONCE = 50


class AlpacaNews:
    """The news service of an account."""

    def __init__(self, data: AlpacaData) -> None:
        self._data = data

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
        ConfigError: the keys are refused.
        BrokerUnavailable: no answer, or none that can be read, after all attempts.
        DataError: the request is refused, or an item cannot be read.
        """
        for begin in range(0, len(symbols), SYMBOLS_AT_ONCE):
            asked = {
                "symbols": ",".join(symbols[begin : begin + SYMBOLS_AT_ONCE]),
                "start": _stamp(start),
                "end": _stamp(end),
                "sort": "asc",
                "include_content": "false",
            }
            for page in self._data.news(asked):
                at = seen_at() if seen_at is not None else None
                yield [_headline(item, at) for item in page]


def _stamp(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


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
