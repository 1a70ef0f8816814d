# SPDX-License-Identifier: GPL-3.0-or-later
"""News: articles and their later versions, each readable from the instant it was out.

An article that is corrected keeps its `id` and `created_at` and gets a later `updated_at`. The
market holds every version; whoever asks at an instant sees, of each article, the newest version
that was out by then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from iverson.errors import DataError


@dataclass(frozen=True, slots=True)
class Article:
    """One version of one article; instants are tz-aware UTC, `updated_at` >= `created_at`."""

    id: int
    headline: str
    created_at: datetime
    updated_at: datetime
    symbols: tuple[str, ...] = ()
    summary: str = ""
    content: str = ""
    author: str = ""
    source: str = "benzinga"
    url: str | None = None

    def __post_init__(self) -> None:
        if self.created_at.tzinfo is None or self.updated_at.tzinfo is None:
            raise DataError(f"article {self.id} has an instant without a time zone; give UTC")
        if self.updated_at < self.created_at:
            raise DataError(
                f"article {self.id} is updated at {self.updated_at}, before it is created at "
                f"{self.created_at}; mend the news"
            )


def in_order(articles: Iterable[Article]) -> tuple[Article, ...]:
    """Return the versions by the instant they were out, then by id."""
    return tuple(sorted(articles, key=lambda one: (one.updated_at, one.id)))


def known(articles: Iterable[Article], *, at: datetime) -> list[Article]:
    """Return the newest version of each article that was out at `at`, in order."""
    newest: dict[int, Article] = {}
    for article in in_order(articles):
        if article.updated_at <= at:
            newest[article.id] = article
    return list(in_order(newest.values()))
