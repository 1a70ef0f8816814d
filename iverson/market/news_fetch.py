# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching headlines into the store, page by page, going on from where the last fetch ended.

    news/fetched.json    through when each symbol's headlines were fetched

Every page is on the disk before the next is asked for; the mark moves when all pages are there, so
a fetch that was ended is simply run again. History is known by the vendor's stamps; what comes in
by going on is known from the clock, because then somebody could have acted on it and not before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from iverson.errors import ConfigError, DataError
from iverson.market.files import replace_file
from iverson.market.news import Headline
from iverson.market.news_store import Added, NewsStore

OVERLAP = timedelta(hours=1)  # of a going on: items can turn up a little after their own stamp


class Service(Protocol):
    """Where headlines come from."""

    def pages(
        self,
        symbols: Sequence[str],
        start: datetime,
        end: datetime,
        *,
        seen_at: Callable[[], datetime] | None = None,
    ) -> Iterator[list[Headline]]:
        """Yield pages of headlines; `seen_at` None: known by the vendor's stamps."""
        ...


def fetch_history(
    service: Service, store: NewsStore, symbols: Sequence[str], start: datetime, end: datetime
) -> Iterator[Added]:
    """Fetch the headlines of a span, and yield what each page added; known by their own stamps."""
    if not start < end:
        raise ConfigError(f"the span is empty: it starts at {start} and ends at {end}")
    for page in service.pages(symbols, start, end):
        yield store.add(page)
    marks = _marks(store)
    for symbol in symbols:
        if symbol not in marks or marks[symbol] >= start:  # else a gap would lie before the mark
            marks[symbol] = max(end, marks.get(symbol, end))
    _keep(store, marks)


def fetch_news(
    service: Service, store: NewsStore, symbols: Sequence[str], clock: Callable[[], datetime]
) -> Iterator[Added]:
    """Fetch what is new since the last fetch; known from the instant at which it comes in.

    Raises
    ------
    ConfigError: a symbol was never fetched, so there is nothing to go on from.
    """
    marks = _marks(store)
    never = [symbol for symbol in symbols if symbol not in marks]
    if never:
        raise ConfigError(
            f"headlines of {', '.join(never)} were never fetched; begin with their history: "
            "`iverson news fetch --from 2024-01-01`"
        )
    end = clock()
    start = min(marks[symbol] for symbol in symbols) - OVERLAP
    for page in service.pages(symbols, start, end, seen_at=clock):
        yield store.add(page)
    _keep(store, {**marks, **dict.fromkeys(symbols, end)})


def _path(store: NewsStore) -> Path:
    return store.folder / "fetched.json"


def _marks(store: NewsStore) -> dict[str, datetime]:
    path = _path(store)
    if not path.is_file():
        return {}
    try:
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {symbol: datetime.fromisoformat(at) for symbol, at in told.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} cannot be read ({error}); remove it and fetch with --from again"
        ) from error


def _keep(store: NewsStore, marks: dict[str, datetime]) -> None:
    text = json.dumps({symbol: at.isoformat() for symbol, at in sorted(marks.items())}, indent=1)

    def write(part: Path) -> None:
        part.write_text(text + "\n", encoding="utf-8")

    replace_file(_path(store), write)
