# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpaca's news through the real alpaca-py, against a hand-written server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from iverson.errors import BrokerUnavailable, ConfigError, DataError, IversonError
from iverson.market.alpaca_news import PAUSE_SECONDS, TRIES, AlpacaNews, Bucket
from iverson.market.news_fetch import fetch_history, fetch_news
from iverson.market.news_store import NewsStore

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 5, tzinfo=UTC)
NOW = datetime(2024, 1, 8, 15, 0, 7, tzinfo=UTC)
KEY, SECRET = "key of a test", "secret of a test"


def article(number: int, headline: str, *, at: str = "2024-01-03T17:00:01Z", **more: Any) -> Any:
    """One item as the API documentation shows it."""
    return {
        "id": number, "headline": headline, "author": "A. Writer", "created_at": at,
        "updated_at": at, "summary": "", "content": "", "url": None, "images": [],
        "symbols": ["ACME"], "source": "benzinga", **more,
    }  # fmt: skip


class Exchange:
    """Answers told in words: each request takes the next one; all requests are kept."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.asked: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.stalls = threading.Event()
        self.url = ""

    def page(self, *items: Any, token: str | None = None) -> None:
        self.answer(200, json.dumps({"news": items, "next_page_token": token}).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.answers.append((status, body))


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    told = Exchange()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlparse(self.path)
            told.asked.append(
                {"path": asked.path} | {k: v[0] for k, v in parse_qs(asked.query).items()}
            )
            told.headers.append(dict(self.headers))
            status, body = told.answers.pop(0)
            if status == 0:  # never answers
                told.stalls.wait(10)
                return
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield told
    told.stalls.set()
    server.shutdown()
    server.server_close()
    thread.join()


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, []  # type: float, list[float]

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def service(exchange: Exchange, time: Time | None = None, **more: Any) -> AlpacaNews:
    time = time or Time()
    bucket = Bucket(clock=time.clock, sleep=time.sleep)
    return AlpacaNews(KEY, SECRET, url=exchange.url, bucket=bucket, **more)


def headlines(service: AlpacaNews, *symbols: str) -> list[str]:
    pages = service.pages(symbols or ("ACME",), START, END)
    return [one.headline for page in pages for one in page]


def test_all_pages_are_asked_for_and_read(exchange: Exchange) -> None:
    exchange.page(article(1, "Acme &amp; Co beats"), token="next")  # noqa: S106 (a page's)
    exchange.page(article(2, "Acme falls", symbols=[], summary="<b>Much.</b>"))

    pages = list(service(exchange).pages(["ACME", "IBM"], START, END))

    assert [[one.headline for one in page] for page in pages] == [
        ["Acme & Co beats"],
        ["Acme falls"],
    ]
    assert (pages[1][0].id, pages[1][0].symbols, pages[1][0].summary) == ("alpaca-2", (), "Much.")
    first, second = exchange.asked
    assert first == {
        "path": "/v1beta1/news", "symbols": "ACME,IBM", "start": "2024-01-01T00:00:00Z",
        "end": "2024-01-05T00:00:00Z", "sort": "asc", "limit": "50", "include_content": "false",
    }  # fmt: skip
    assert second == {**first, "page_token": "next"}
    assert exchange.headers[0]["APCA-API-KEY-ID"] == KEY
    assert exchange.headers[0]["APCA-API-SECRET-KEY"] == SECRET


def test_many_symbols_are_asked_for_in_parts(exchange: Exchange) -> None:
    exchange.page()
    exchange.page()

    assert headlines(service(exchange), *(f"S{n}" for n in range(60))) == []
    assert [len(one["symbols"].split(",")) for one in exchange.asked] == [50, 10]


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, b'{"message":"unauthorized."}', ConfigError, "refused the key .401.; check IVERSON_"),
        (401, b"<html>no JSON</html>", ConfigError, "refused the key .401."),
        (403, b'{"message":"forbidden."}', ConfigError, "does not allow news with this key .403."),
        (500, b"oops", BrokerUnavailable, "answered 500; run the command again later"),
        (200, b'{"news":[{"id":1,"headl', DataError, "cut off or is no JSON"),
        (200, b"", DataError, "no page of headlines"),
        (200, b'{"news":null}', DataError, "no page of headlines"),
        (200, b'{"news":[{"id":1}],"next_page_token":null}', DataError, "KeyError: 'headline'"),
    ],
)
def test_refusal_is_one_clear_sentence(
    exchange: Exchange, status: int, body: bytes, kind: type[IversonError], words: str
) -> None:
    exchange.answer(status, body)

    with pytest.raises(kind, match=words) as raised:
        headlines(service(exchange))
    assert SECRET not in str(raised.value)
    assert len(exchange.asked) == 1


def test_too_many_requests_are_waited_for(exchange: Exchange) -> None:
    exchange.answer(429, b'{"message":"too many requests."}')
    exchange.page(article(1, "Acme beats"))
    time = Time()

    assert headlines(service(exchange, time)) == ["Acme beats"]
    assert time.slept == [PAUSE_SECONDS]


def test_too_many_requests_again_and_again_are_given_up(exchange: Exchange) -> None:
    for _ in range(TRIES):
        exchange.answer(429, b'{"message":"too many requests."}')
    time = Time()

    with pytest.raises(BrokerUnavailable, match=r"still refuses for too many requests \(429\)"):
        headlines(service(exchange, time))
    assert time.slept == [PAUSE_SECONDS] * (TRIES - 1)


def test_server_that_never_answers_is_given_up(exchange: Exchange) -> None:
    exchange.answer(0, b"")

    with pytest.raises(BrokerUnavailable, match=r"did not answer \(ReadTimeout\)"):
        headlines(service(exchange, timeout_seconds=0.2))


def test_no_server_is_one_sentence() -> None:
    with pytest.raises(BrokerUnavailable, match=r"did not answer \(ConnectionError\)"):
        headlines(AlpacaNews(KEY, SECRET, url="http://127.0.0.1:9"))


def test_same_page_twice_ends_the_fetch(exchange: Exchange) -> None:
    for _ in range(2):
        exchange.page(article(1, "Acme beats"), token="again")  # noqa: S106 (a page's)

    with pytest.raises(DataError, match="same page of headlines twice"):
        headlines(service(exchange))


def test_without_a_key_nothing_is_asked() -> None:
    with pytest.raises(ConfigError, match="set IVERSON_ALPACA_KEY and IVERSON_ALPACA_SECRET"):
        AlpacaNews("", "")


def test_bucket_stays_below_the_limit() -> None:
    time = Time()
    bucket = Bucket(180, clock=time.clock, sleep=time.sleep)
    for _ in range(400):
        bucket.take()

    assert time.now == pytest.approx((400 - Bucket.BURST) / 3.0)


# Into the store


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> NewsStore:
    return NewsStore(tmp_path_factory.mktemp("news"))


def test_history_is_known_by_the_vendors_stamps(exchange: Exchange, store: NewsStore) -> None:
    exchange.page(
        article(1, "Acme beats"), article(2, "Acme cuts", updated_at="2024-01-04T09:00:00Z")
    )
    list(fetch_history(service(exchange), store, ["ACME"], START, END))

    assert [(one.seen_at.day, one.observed) for one in store.states()] == [(3, False), (4, False)]


def test_going_on_is_known_from_the_clock_and_asks_from_the_last_end(
    exchange: Exchange, store: NewsStore
) -> None:
    exchange.page(article(1, "Acme beats"))
    list(fetch_history(service(exchange), store, ["ACME"], START, END))
    exchange.page(article(1, "Acme beats"), article(2, "Acme cuts", at="2024-01-08T14:59:00Z"))
    (added,) = fetch_news(service(exchange), store, ["ACME"], lambda: NOW)

    assert (added.items, added.repeats) == (1, 1)
    assert (store.states()[1].seen_at, store.states()[1].observed) == (NOW, True)
    assert exchange.asked[1]["start"] == f"{END - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    exchange.page()
    list(fetch_news(service(exchange), store, ["ACME"], lambda: NOW + timedelta(days=1)))
    assert exchange.asked[2]["start"] == f"{NOW - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


def test_symbol_without_history_is_refused(exchange: Exchange, store: NewsStore) -> None:
    with pytest.raises(ConfigError, match="headlines of ACME were never fetched; begin with their"):
        list(fetch_news(service(exchange), store, ["ACME"], lambda: NOW))


def test_pages_before_a_failure_are_kept_and_the_mark_stays(
    exchange: Exchange, store: NewsStore
) -> None:
    exchange.page(article(1, "Acme beats"), token="next")  # noqa: S106 (a page's)
    exchange.answer(500, b"oops")
    with pytest.raises(BrokerUnavailable):
        list(fetch_history(service(exchange), store, ["ACME"], START, END))

    assert [one.headline for one in NewsStore(store.folder).states()] == ["Acme beats"]
    with pytest.raises(ConfigError, match="never fetched"):
        list(fetch_news(service(exchange), store, ["ACME"], lambda: NOW))


def test_history_after_a_gap_does_not_move_the_mark(exchange: Exchange, store: NewsStore) -> None:
    for _ in range(2):
        exchange.page()
    list(fetch_history(service(exchange), store, ["ACME"], START, END))
    later = END + timedelta(days=30)
    list(fetch_history(service(exchange), store, ["ACME"], later, later + timedelta(days=1)))
    exchange.page()
    list(fetch_news(service(exchange), store, ["ACME"], lambda: NOW))

    assert exchange.asked[2]["start"] == f"{END - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


def test_marks_that_cannot_be_read_are_named(exchange: Exchange, store: NewsStore) -> None:
    (store.folder / "fetched.json").write_text("[1]", encoding="utf-8")

    with pytest.raises(DataError, match=r"fetched\.json cannot be read"):
        list(fetch_news(service(exchange), store, ["ACME"], lambda: NOW))
