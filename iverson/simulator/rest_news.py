# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers about news: articles that are out, by the instant they were last updated."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Any

from iverson.simulator import data_query as read
from iverson.simulator.data_query import Query, Refusal
from iverson.simulator.data_view import Shown
from iverson.simulator.hours import zulu
from iverson.simulator.news import Article, known

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAGE = {"default": 10, "most": 50}
Place = tuple[datetime, int]


def news(exchange: Shown, query: Query) -> dict[str, Any]:
    """Answer /v1beta1/news.

    Of every article the newest version that is out at the simulated now. `start` and `end` are
    about `updated_at`; without them everything that is out is there.
    """
    start = read.instant(query, "start") or EPOCH
    end = min(read.instant(query, "end") or exchange.now, exchange.now)
    wanted = set(read.symbols(query, required=False))
    size = read.limit(query, **PAGE)
    descending = read.choice(query, "sort", ("asc", "desc"), default="desc") == "desc"
    content = read.flag(query, "include_content")
    with_content_only = read.flag(query, "exclude_contentless")
    last = _place(query)
    found = [
        article
        for article in known(exchange.market.news, at=exchange.now)
        if start <= article.updated_at <= end
        and (not wanted or wanted.intersection(article.symbols))
        and (article.content or not with_content_only)
    ]
    if descending:
        found.reverse()
    if last is not None:
        found = [one for one in found if (_at(one) < last if descending else _at(one) > last)]
    token = _token(found[size - 1]) if len(found) > size else None
    rows = [news_row(one, content=content) for one in found[:size]]
    return {"news": rows, "next_page_token": token}


def news_row(article: Article, *, content: bool) -> dict[str, Any]:
    """Write an article, with its content or an empty one."""
    return {
        "id": article.id,
        "headline": article.headline,
        "author": article.author,
        "created_at": zulu(article.created_at),
        "updated_at": zulu(article.updated_at),
        "summary": article.summary,
        "content": article.content if content else "",
        "url": article.url,
        "images": [],
        "symbols": list(article.symbols),
        "source": article.source,
    }


def _at(article: Article) -> Place:
    return article.updated_at, article.id


def _token(article: Article) -> str:
    microseconds = (article.updated_at - EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{microseconds * 1000}|{article.id}".encode()).decode()


def _place(query: Query) -> Place | None:
    token = query.get("page_token", "")
    if not token:
        return None
    try:
        nanoseconds, _, number = base64.urlsafe_b64decode(token.encode()).decode().partition("|")
        return EPOCH + timedelta(microseconds=int(nanoseconds) // 1000), int(number)
    except (binascii.Error, ValueError, OverflowError):
        raise Refusal(400, "invalid page_token") from None
