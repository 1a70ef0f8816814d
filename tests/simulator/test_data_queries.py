# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries of every kind: none breaks the server, and pages always join to the whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iverson.simulator.market import Market
from iverson.simulator.news import Article
from tests.simulator.data_server import DataServer
from tests.simulator.history import minute_bars

NOW = datetime(2024, 11, 25, 15, 30, tzinfo=UTC)
PATHS = [
    "/v2/clock",
    "/v2/calendar",
    "/v3/clock",
    "/v3/calendar/NYSE",
    "/v2/assets",
    "/v2/assets/AAA",
    "/v2/stocks/bars",
    "/v2/stocks/AAA/bars",
    "/v2/stocks/quotes",
    "/v2/stocks/trades",
    "/v2/stocks/bars/latest",
    "/v2/stocks/AAA/trades/latest",
    "/v2/stocks/snapshots",
    "/v2/stocks/AAA/snapshot",
    "/v1beta1/news",
    "/v1/corporate-actions",
]
DATES = st.dates().map(str)
STAMPS = st.datetimes().map(lambda one: one.isoformat() + "Z")
GOOD = {
    "symbols": st.sampled_from(["AAA", "BBB,AAA", "NOBODY", "BRK.B"]),
    "timeframe": st.sampled_from(["1Min", "59Min", "23H", "1Day", "1W", "12Month"]),
    "start": st.one_of(DATES, STAMPS),
    "end": st.one_of(DATES, STAMPS),
    "time": STAMPS,
    "limit": st.integers(0, 10_001).map(str),
    "feed": st.sampled_from(["iex", "sip", "otc", "delayed_sip"]),
    "sort": st.sampled_from(["asc", "desc"]),
    "adjustment": st.sampled_from(["raw", "all", "split,dividend"]),
    "markets": st.sampled_from(["NYSE", "XNAS,IEX"]),
    "date_type": st.sampled_from(["TRADING", "SETTLEMENT"]),
    "page_token": st.sampled_from(["QUFBfDIwMjQtMTEtMjVUMTQ6MzA6MDBa", "AAAA"]),
    "ids": st.just("x"),
    "types": st.just("cash_dividend"),
}
QUERIES = st.fixed_dictionaries(
    {}, optional={name: st.one_of(good, good, st.text(max_size=30)) for name, good in GOOD.items()}
)


@pytest.fixture(scope="module")
def server() -> Iterator[DataServer]:
    news = [
        Article(number, f"Headline {number}", at, at, ("AAA",))
        for number in range(7)
        for at in [NOW - timedelta(minutes=number // 3)]
    ]
    history = {name: minute_bars(name, "2024-11-25") for name in ("AAA", "BBB")}
    with DataServer(Market(history, news=news), NOW) as running:
        yield running


@given(st.sampled_from(PATHS), QUERIES)
@settings(max_examples=120)
def test_no_query_breaks_the_server(server: DataServer, path: str, query: dict[str, str]) -> None:
    answer = server.get(path, **query)  # what is answered with 200 is checked

    assert answer.status_code in (200, 400, 403, 404)
    if answer.status_code != 200:
        assert answer.json()["message"]


@given(
    st.sampled_from(["bars", "trades", "quotes"]),
    st.sampled_from(["asc", "desc"]),
    st.integers(1, 70),
    st.integers(0, 8),
)
@settings(max_examples=25)
def test_pages_join_to_the_whole(
    server: DataServer, what: str, sort: str, limit: int, minutes: int
) -> None:
    query = {
        "symbols": "AAA,BBB",
        "timeframe": "2Min",
        "start": (NOW - timedelta(minutes=minutes + 1)).isoformat(),
        "feed": "iex",
        "sort": sort,
    }
    whole = server.get(f"/v2/stocks/{what}", **query).json()[what]
    joined: dict[str, list[object]] = {}
    token, pages = "", 0
    while token is not None:
        page = server.get(f"/v2/stocks/{what}", **query, limit=limit, page_token=token).json()
        for symbol, rows in page[what].items():
            joined.setdefault(symbol, []).extend(rows)
        token, pages = page["next_page_token"], pages + 1
    count = sum(map(len, whole.values()))

    assert joined == whole
    assert pages == max(1, -(-count // limit))


def test_articles_of_one_instant_are_not_lost_between_pages(server: DataServer) -> None:
    found: list[int] = []
    token = ""
    while token is not None:
        page = server.get("/v1beta1/news", limit=2, page_token=token).json()
        found += [one["id"] for one in page["news"]]
        token = page["next_page_token"]

    assert sorted(found) == list(range(7))
