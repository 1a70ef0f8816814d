# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching headlines, with the real alpaca-py, from a server that speaks Alpaca's dialect."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from iverson.errors import BrokerUnavailable, ConfigError, DataError, IversonError
from iverson.market.alpaca.client import AlpacaData
from iverson.market.alpaca.news import AlpacaNews
from iverson.market.alpaca.patience import Backoff, TokenBucket
from iverson.market.news_fetch import fetch_history, fetch_news
from iverson.market.news_store import NewsStore
from tests.market.alpaca_server import KEY, NEWS, SECRET, Failure, FakeAlpaca, article, serving

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 5, tzinfo=UTC)
NOW = datetime(2024, 1, 8, 15, 0, 7, tzinfo=UTC)
ATTEMPTS = 3
WAITS = ATTEMPTS - 1


@pytest.fixture
def market() -> Iterator[FakeAlpaca]:
    with serving(FakeAlpaca(now=NOW)) as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def service(market: FakeAlpaca, waits: list[float]) -> AlpacaNews:
    return made(market, waits)


def made(market: FakeAlpaca, waits: list[float], secret: str = SECRET) -> AlpacaNews:
    data = AlpacaData(
        KEY,
        secret,
        url=market.url,
        timeout=(1.0, 0.2),
        bucket=TokenBucket(1e9),
        backoff=Backoff(attempts=ATTEMPTS),
        at=lambda: NOW,
        sleep=waits.append,
    )
    return AlpacaNews(data)


def headlines(service: AlpacaNews, *symbols: str) -> list[str]:
    pages = service.pages(symbols or ("ACME",), START, END)
    return [one.headline for page in pages for one in page]


def failing(market: FakeAlpaca, status: int, body: bytes, how: str = "answer") -> None:
    """Every request from now on meets this."""
    made = (Failure(status, None if how != "answer" else body, how=how, path=NEWS)
            for _ in range(ATTEMPTS))  # fmt: skip
    market.failures.extend(made)


def test_all_pages_are_asked_for_and_read(market: FakeAlpaca, service: AlpacaNews) -> None:
    market.page = 1
    later = "2024-01-03T17:00:02Z"
    market.news = [
        article(2, "Acme falls", at=later, symbols=["IBM"], summary="<b>Much.</b>"),
        article(1, "Acme &amp; Co beats"),
    ]

    pages = list(service.pages(["ACME", "IBM"], START, END))

    assert [[one.headline for one in page] for page in pages] == [
        ["Acme & Co beats"],
        ["Acme falls"],
    ]
    last = pages[1][0]
    assert (last.id, last.symbols, last.summary) == ("alpaca-2", ("IBM",), "Much.")
    first, second = market.asked(NEWS)
    assert first == {
        "symbols": "ACME,IBM", "start": "2024-01-01T00:00:00Z", "end": "2024-01-05T00:00:00Z",
        "sort": "asc", "limit": "50", "include_content": "false",
    }  # fmt: skip
    assert second.pop("page_token")
    assert second == first


def test_many_symbols_are_asked_for_in_parts(market: FakeAlpaca, service: AlpacaNews) -> None:
    many = [f"{a}{b}" for a in "ABCDEF" for b in "ABCDEFGHIJ"]

    assert headlines(service, *many) == []
    assert [len(one["symbols"].split(",")) for one in market.asked(NEWS)] == [50, 10]


@pytest.mark.parametrize(
    ("status", "body", "kind", "words", "waited"),
    [
        (401, b'{"message":"unauthorized."}', ConfigError, "not accept these keys .401.", 0),
        (401, b"<html>no JSON</html>", ConfigError, "keys .401.; check IVERSON_ALPACA_KEY", 0),
        (403, b'{"message":"forbidden."}', ConfigError, "not accept these keys .403.", 0),
        (
            403, b'{"message":"subscription does not permit"}', DataError,
            "refuses the request .403: subscription does not permit.", 0,
        ),
        (429, b'{"message":"too many requests."}', BrokerUnavailable, "too many requests", WAITS),
        (500, b"oops", BrokerUnavailable, "answered 500, 3 times in a row; try again", WAITS),
        (200, b'{"news":[{"id":1,"headl', BrokerUnavailable, "no JSON, or only a part", WAITS),
        (200, b"", BrokerUnavailable, "gave an answer", WAITS),
        (200, b'{"news":{}}', BrokerUnavailable, "gave an answer without news", WAITS),
        (200, b'{"news":[{"id":1}],"next_page_token":null}', DataError, "KeyError: 'headline'", 0),
    ],
)  # fmt: skip
def test_refusal_is_one_clear_sentence(  # noqa: PLR0917 (pytest names them)
    market: FakeAlpaca, service: AlpacaNews, waits: list[float],
    status: int, body: bytes, kind: type[IversonError], words: str, waited: int,
) -> None:  # fmt: skip
    failing(market, status, body)

    with pytest.raises(kind, match=words) as raised:
        headlines(service)
    assert SECRET not in str(raised.value)
    assert len(waits) == waited
    assert len(market.asked(NEWS)) == waited + 1


@pytest.mark.parametrize(
    "one",
    [
        Failure(429, b'{"message":"too many requests."}', path=NEWS),
        Failure(503, b"", path=NEWS),
        Failure(how="half", path=NEWS),
        Failure(how="short", path=NEWS),
        Failure(how="stall", path=NEWS),
    ],
    ids=["too many requests", "unavailable", "half", "short", "stall"],
)
def test_failure_that_passes_is_waited_for(
    market: FakeAlpaca, service: AlpacaNews, waits: list[float], one: Failure
) -> None:
    market.news = [article(1, "Acme beats")]
    market.failures.append(one)

    assert headlines(service) == ["Acme beats"]
    assert len(waits) == 1


def test_server_that_never_answers_is_given_up(market: FakeAlpaca, service: AlpacaNews) -> None:
    failing(market, 200, b"", how="stall")

    with pytest.raises(BrokerUnavailable, match=r"did not answer within 0\.2 seconds, 3 times"):
        headlines(service)


def test_no_server_is_one_sentence(waits: list[float]) -> None:
    with pytest.raises(BrokerUnavailable, match="could not be reached"):
        headlines(made(FakeAlpaca(url="http://127.0.0.1:9"), waits))


def test_wrong_secret_is_refused_and_not_shown(market: FakeAlpaca, waits: list[float]) -> None:
    with pytest.raises(ConfigError, match="does not accept these keys") as raised:
        headlines(made(market, waits, secret="wrongsecret"))  # noqa: S106 (a test's)
    assert "wrongsecret" not in str(raised.value)


def test_same_page_twice_ends_the_fetch(market: FakeAlpaca, service: AlpacaNews) -> None:
    failing(market, 200, b'{"news": [], "next_page_token": "again"}')

    with pytest.raises(BrokerUnavailable, match="gave the same page of /news twice"):
        headlines(service)


# Into the store


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> NewsStore:
    return NewsStore(tmp_path_factory.mktemp("news"))


def starts(market: FakeAlpaca) -> list[str]:
    return [one["start"] for one in market.asked(NEWS)]


def an_hour_before(at: datetime) -> str:
    return f"{at - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


def test_history_is_known_by_the_vendors_stamps(
    market: FakeAlpaca, service: AlpacaNews, store: NewsStore
) -> None:
    market.news = [
        article(1, "Acme beats"), article(2, "Acme cuts", updated_at="2024-01-04T09:00:00Z")
    ]  # fmt: skip
    list(fetch_history(service, store, ["ACME"], START, END))

    assert [(one.seen_at.day, one.observed) for one in store.states()] == [(3, False), (4, False)]


def test_going_on_is_known_from_the_clock_and_asks_from_the_last_end(
    market: FakeAlpaca, service: AlpacaNews, store: NewsStore
) -> None:
    market.news = [article(1, "Acme beats", at="2024-01-04T23:30:00Z")]
    list(fetch_history(service, store, ["ACME"], START, END))
    market.news.append(article(2, "Acme cuts", at="2024-01-08T14:59:00Z"))
    (added,) = fetch_news(service, store, ["ACME"], lambda: NOW)

    assert (added.items, added.repeats) == (1, 1)
    assert (store.states()[1].seen_at, store.states()[1].observed) == (NOW, True)
    list(fetch_news(service, store, ["ACME"], lambda: NOW + timedelta(days=1)))
    assert starts(market)[1:] == [an_hour_before(END), an_hour_before(NOW)]


def test_symbol_without_history_is_refused(service: AlpacaNews, store: NewsStore) -> None:
    with pytest.raises(ConfigError, match="headlines of ACME were never fetched; begin with their"):
        list(fetch_news(service, store, ["ACME"], lambda: NOW))


def test_pages_before_a_failure_are_kept_and_the_mark_stays(
    market: FakeAlpaca, service: AlpacaNews, store: NewsStore
) -> None:
    market.news = [article(number, f"Acme {number}") for number in (1, 2)]
    market.page = 1
    pages = fetch_history(service, store, ["ACME"], START, END)
    next(pages)
    failing(market, 500, b"oops")
    with pytest.raises(BrokerUnavailable):
        list(pages)

    assert [one.headline for one in NewsStore(store.folder).states()] == ["Acme 1"]
    with pytest.raises(ConfigError, match="never fetched"):
        list(fetch_news(service, store, ["ACME"], lambda: NOW))


def test_history_after_a_gap_does_not_move_the_mark(
    market: FakeAlpaca, service: AlpacaNews, store: NewsStore
) -> None:
    list(fetch_history(service, store, ["ACME"], START, END))
    later = END + timedelta(days=30)
    list(fetch_history(service, store, ["ACME"], later, later + timedelta(days=1)))
    list(fetch_news(service, store, ["ACME"], lambda: NOW))

    assert starts(market)[2] == an_hour_before(END)


def test_marks_that_cannot_be_read_are_named(service: AlpacaNews, store: NewsStore) -> None:
    (store.folder / "fetched.json").write_text("[1]", encoding="utf-8")

    with pytest.raises(DataError, match=r"fetched\.json cannot be read"):
        list(fetch_news(service, store, ["ACME"], lambda: NOW))
