# SPDX-License-Identifier: GPL-3.0-or-later
"""News over REST, asked by alpaca-py's NewsClient."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from alpaca.common.enums import Sort
from alpaca.data.historical.news import NewsClient
from alpaca.data.models.news import News
from alpaca.data.requests import NewsRequest

from iverson.simulator.market import Market
from iverson.simulator.news import Article
from tests.simulator.data_server import DataServer
from tests.simulator.history import daily_bars

START = datetime(2024, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
COUNT = 120


def article(number: int, **changes: object) -> Article:
    given = {
        "id": number,
        "headline": f"Headline {number}",
        "created_at": START + number * HOUR,
        "updated_at": START + number * HOUR,
        "symbols": ("AAA",) if number % 2 else ("AAA", "BBB"),
        "summary": "In short",
        "content": "" if number % 3 == 0 else "<p>At length</p>",
        "author": "A. Writer",
    }
    return Article(**(given | changes))


CORRECTED = article(5, headline="Headline 5, corrected", updated_at=START + 50 * HOUR + HOUR / 2)
NEWS = [*(article(number) for number in range(1, COUNT + 1)), CORRECTED]


@pytest.fixture(scope="module")
def server() -> Iterator[DataServer]:
    market = Market({"AAA": daily_bars("AAA", "2024-11-25", [10.0] * 5)}, news=NEWS)
    with DataServer(market, START) as running:
        yield running


def asked(server: DataServer, hours: int, **changes: object) -> list[News]:
    server.stage.now = START + hours * HOUR
    return server.client(NewsClient).get_news(NewsRequest(**changes)).data["news"]


def test_all_pages_come_newest_first_by_default(server: DataServer) -> None:
    found = asked(server, COUNT)
    updated = [one.updated_at for one in found]

    assert len(found) == COUNT  # three pages of at most 50; the corrected one counts once
    assert updated == sorted(updated, reverse=True)


def test_ascending_pages_join_to_the_same(server: DataServer) -> None:
    down = asked(server, COUNT, sort=Sort.DESC)
    up = asked(server, COUNT, sort=Sort.ASC)

    assert [one.id for one in up] == [one.id for one in reversed(down)]


def test_an_article_is_not_there_before_it_is_out(server: DataServer) -> None:
    found = asked(server, 10, end=START + 100 * HOUR)

    assert [one.id for one in found] == list(range(10, 0, -1))


def test_a_correction_replaces_the_article_when_it_is_out(server: DataServer) -> None:
    before = {one.id: one.headline for one in asked(server, 50)}
    after = asked(server, 51)

    assert before[5] == "Headline 5"
    assert {one.id: one.headline for one in after}[5] == CORRECTED.headline
    assert [one.id for one in after][:2] == [51, 5]
    assert len({one.id for one in after}) == len(after)


def test_news_can_be_asked_by_symbol_and_span(server: DataServer) -> None:
    found = asked(server, COUNT, symbols="BBB", start=START + 10 * HOUR, end=START + 20 * HOUR)

    assert [one.id for one in found] == [20, 18, 16, 14, 12, 10]


def test_content_is_there_when_asked_for(server: DataServer) -> None:
    without = asked(server, 4)
    with_it = asked(server, 4, include_content=True, exclude_contentless=True)

    assert {one.content for one in without} == {""}
    assert [one.id for one in with_it] == [4, 2, 1]
    assert {one.content for one in with_it} == {"<p>At length</p>"}


def test_ten_articles_are_a_page_unless_told(server: DataServer) -> None:
    server.stage.now = START + COUNT * HOUR
    page = server.get("/v1beta1/news").json()

    assert len(page["news"]) == 10
    assert page["next_page_token"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "51"},
        {"limit": "0"},
        {"sort": "loudest"},
        {"include_content": "perhaps"},
        {"page_token": "MTIz"},
        {"page_token": "%"},
        {"start": "today"},
        {"symbols": "lower"},
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused(server: DataServer, query: dict[str, str]) -> None:
    assert server.get("/v1beta1/news", **query).status_code == 400
