# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching, with the real alpaca-py client, from a server that speaks Alpaca's dialect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from iverson.errors import ConfigError
from iverson.market.alpaca.client import AlpacaData
from iverson.market.alpaca.patience import Backoff, TokenBucket
from iverson.market.alpaca.vendor import AlpacaVendor
from iverson.market.calendar import new_york
from iverson.market.fetch import fetch
from iverson.market.fetch_state import Report
from iverson.market.files import NpzFile, ParquetFile
from iverson.market.store import Store
from tests.market.alpaca_server import (
    KEY,
    SECRET,
    Failure,
    FakeAlpaca,
    bar,
    daily_bars,
    minute_bars,
    serving,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)  # a Saturday
FIRST, LAST = date(2026, 10, 1), date(2026, 11, 27)
SESSIONS: list[date] = new_york().between(FIRST, LAST).tolist()
EARLY_CLOSE = date(2026, 11, 27)  # 13:00, the day after Thanksgiving
ATTEMPTS = 3
WRONG = "wrongsecret"
Fetch = Callable[..., Report]


@pytest.fixture
def market() -> Iterator[FakeAlpaca]:
    with serving(FakeAlpaca()) as server:
        for symbol, start in (("AAA", 100.0), ("BBB", 50.0), ("CCC", 20.0)):
            server.bars[symbol, "1Day"] = daily_bars(SESSIONS, start)
        yield server


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def run(market: FakeAlpaca, store: Store, waits: list[float]) -> Fetch:
    def make(*symbols: str, now: datetime = NOW, **options: Any) -> Report:
        market.now = now
        keys = (options.pop("key", KEY), options.pop("secret", SECRET))
        data = AlpacaData(
            *keys,
            url=market.url,
            timeout=(1.0, 0.2),
            bucket=TokenBucket(1e9),
            backoff=Backoff(attempts=ATTEMPTS),
            at=lambda: now,
            sleep=waits.append,
        )
        vendor = AlpacaVendor(
            data,
            feed=options.pop("feed", "sip"),
            plan=options.pop("plan", "free"),
            asof=options.pop("asof", str(now.date())),
        )
        shelf = options.pop("store", store)
        return fetch(shelf, vendor, symbols, since=FIRST, now=now, **options)

    return make


def closes(store: Store, symbol: str, interval: str = "1d") -> list[float]:
    return store.columns(symbol, interval)["close"].tolist()


def expected(market: FakeAlpaca, symbol: str) -> list[float]:
    return [row["c"] for row in market.bars[symbol, "1Day"]]


# What is stored


def test_daily_bars_of_every_symbol_are_stored_raw_with_their_origin(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    report = run("AAA", "BBB")

    assert [one.added for one in report.symbols.values()] == [len(SESSIONS)] * 2
    assert report.stopped == ""
    assert closes(store, "BBB") == expected(market, "BBB")
    assert store.columns("AAA")["session"].tolist() == SESSIONS
    record = store.passport("AAA")
    wanted = {
        "source": "Alpaca market data",
        "feed": "sip",
        "adjustment": "raw",
        "asof": "2026-11-28",
        "covered": [str(FIRST), str(LAST)],
    }
    assert {name: record[name] for name in wanted} == wanted
    query = market.asked()[0]
    assert (query["adjustment"], query["feed"], query["asof"]) == ("raw", "sip", "2026-11-28")
    assert query["timeframe"] == "1Day"


def test_pages_are_put_together_whatever_they_hold(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    market.page, market.empty_page_first = 7, True

    run("AAA", "BBB", "CCC")

    pages = -(-3 * len(SESSIONS) // market.page)
    assert len(market.asked()) == pages + 1
    assert [closes(store, symbol) for symbol in store.symbols()] == [
        expected(market, symbol) for symbol in ("AAA", "BBB", "CCC")
    ]


def test_minutes_are_moved_to_the_right_edge_and_kept_within_the_session(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    wednesday = date(2026, 11, 25)
    market.bars["AAA", "1Min"] = [
        *minute_bars(wednesday, "04:00", "19:59"),
        *minute_bars(EARLY_CLOSE, "04:00", "16:59"),
    ]

    report = run("AAA", interval="1m", first=wednesday)

    at = store.columns("AAA", "1m")["at"]
    assert len(at) == 390 + 210
    assert (str(at[0])[:16], str(at[389])[:16]) == ("2026-11-25T14:31", "2026-11-25T21:00")
    assert (str(at[390])[:16], str(at[-1])[:16]) == ("2026-11-27T14:31", "2026-11-27T18:00")
    before_open = 330  # 04:00 to 09:30, which the first day is not asked for
    assert report.symbols["AAA"].outside == (16 * 60 - 390 - before_open) + before_open
    assert store.passport("AAA", "1m")["hours"] == "regular"


@pytest.mark.parametrize("interval", ["1h", "45m", "7m", "2h"])
def test_intervals_that_straddle_the_opening_are_refused(run: Fetch, interval: str) -> None:
    with pytest.raises(ConfigError, match="minutes that divide 30"):
        run("AAA", interval=interval)


def test_splits_and_dividends_become_actions_and_the_rest_notes(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    later = "2026-12-20"  # processed when it is paid, weeks after the ex-date
    market.actions = {
        "forward_splits": [{"id": "1", "symbol": "AAA", "new_rate": 3, "old_rate": 2,
                            "ex_date": "2026-10-12", "process_date": "2026-10-12"}],
        "reverse_splits": [{"id": "2", "symbol": "BBB", "new_rate": 1, "old_rate": 8,
                            "ex_date": "2026-10-13", "process_date": "2026-10-13"}],
        "stock_dividends": [{"id": "3", "symbol": "BBB", "rate": 0.05,
                             "ex_date": "2026-10-20", "process_date": "2026-10-22"}],
        "cash_dividends": [
            {"id": "4", "symbol": "AAA", "rate": 0.26, "special": False, "foreign": False,
             "ex_date": "2026-11-20", "process_date": later},
            {"id": "5", "symbol": "CCC", "rate": 1.0, "special": False, "foreign": True,
             "currency": "CAD", "ex_date": "2026-11-20", "process_date": later},
            {"id": "6", "symbol": "AAA", "rate": 0.27, "special": False, "foreign": False,
             "ex_date": "2027-02-20", "process_date": "2027-03-01"},
        ],
        "spin_offs": [{"id": "7", "source_symbol": "CCC", "source_rate": 4, "new_symbol": "DDD",
                       "new_rate": 1, "ex_date": "2026-11-02", "process_date": "2026-11-02"}],
        "cash_mergers": [{"id": "8", "acquiree_symbol": "BBB", "rate": 5.5,
                          "effective_date": "2026-11-03", "process_date": "2026-11-03"}],
    }  # fmt: skip
    market.page = 3

    report = run("AAA", "BBB", "CCC")

    def listed(symbol: str) -> list[tuple[str, str, float]]:
        return [
            (f"{row.session:%m-%d}", row.kind, row.value)
            for row in store.actions(symbol).itertuples()
        ]

    assert listed("AAA") == [("10-12", "split", 1.5), ("11-20", "dividend", 0.26)]
    assert listed("BBB") == [("10-13", "split", 0.125), ("10-20", "split", 1.05)]
    assert listed("CCC") == []
    notes = {symbol: " | ".join(one.notes) for symbol, one in report.symbols.items()}
    assert notes["AAA"] == ""
    assert "cash merger on 2026-11-03 (rate 5.5" in notes["BBB"]
    assert "spin off on 2026-11-02" in notes["CCC"]
    assert "CAD" in notes["CCC"]
    assert store.read("AAA").factor[-1] == 1.5


def test_actions_of_an_earlier_name_belong_to_the_share(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    market.actions = {
        "name_changes": [{"id": "1", "old_symbol": "OLD", "new_symbol": "AAA",
                          "process_date": "2026-11-02"}],
        "cash_dividends": [
            {"id": "2", "symbol": "OLD", "rate": 0.5, "ex_date": "2026-10-15",
             "process_date": "2026-10-30"},
            {"id": "3", "symbol": "OLD", "rate": 0.9, "ex_date": "2026-11-20",
             "process_date": "2026-11-25"},  # of whoever took over the old name
        ],
    }  # fmt: skip

    report = run("AAA")
    kept_as_spelt = Store(store.path.parent / "spelt")
    run("AAA", asof="-", store=kept_as_spelt)

    assert store.actions("AAA")["value"].tolist() == [0.5]
    assert kept_as_spelt.actions("AAA").empty
    assert "name change on 2026-11-02" in report.symbols["AAA"].notes[0]


# Only what is missing


def test_a_second_fetch_asks_for_the_new_sessions_and_the_last_known_again(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    friday = datetime(2026, 11, 14, 12, tzinfo=UTC)
    run("AAA", now=friday)
    market.requests.clear()

    report = run("AAA")

    known = new_york().between(FIRST, date(2026, 11, 13)).tolist()
    assert [query["start"][:10] for query in market.asked()] == [str(known[-5])]
    assert report.symbols["AAA"].added == len(SESSIONS) - len(known)
    assert report.symbols["AAA"].unchanged == 5
    assert closes(store, "AAA") == expected(market, "AAA")


def test_earlier_sessions_are_asked_for_backwards_and_no_gap_can_remain(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    run("AAA", first=date(2026, 11, 16))
    market.requests.clear()
    market.failures.extend([Failure(500) for _ in range(ATTEMPTS)])

    broken = run("AAA", first=FIRST, rows=10)
    asked = [query["start"][:10] for query in market.asked()]
    after_failure = store.passport("AAA")["covered"]
    run("AAA", first=FIRST, rows=10)

    assert broken.symbols["AAA"].refused != ""
    assert after_failure == ["2026-11-16", str(LAST)]
    assert asked[-1] > str(FIRST)
    assert closes(store, "AAA") == expected(market, "AAA")
    assert store.passport("AAA")["covered"] == [str(FIRST), str(LAST)]


def test_a_symbol_listed_later_is_not_asked_for_its_past_again(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    market.bars["AAA", "1Day"] = daily_bars(SESSIONS[20:])
    run("AAA", first=SESSIONS[10])
    run("AAA", first=FIRST)
    market.requests.clear()

    run("AAA", first=FIRST)

    assert store.passport("AAA")["first"] == str(SESSIONS[20])
    assert store.passport("AAA")["covered"][0] == str(FIRST)
    assert len(market.asked()) == 1


def test_a_day_that_is_not_over_is_not_stored_as_a_daily_bar(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    closing = datetime(2026, 11, 25, 21, 0, tzinfo=UTC)

    run("AAA", now=closing + timedelta(minutes=15))
    before = store.passport("AAA")["last"]
    run("AAA", now=closing + timedelta(minutes=17))

    assert (before, store.passport("AAA")["last"]) == ("2026-11-24", "2026-11-25")


@pytest.mark.parametrize(
    ("feed", "plan", "newest"),
    [
        ("sip", "free", "2026-11-25T15:44"),
        ("delayed_sip", "paid", "2026-11-25T15:44"),
        ("sip", "paid", "2026-11-25T15:59"),
        ("iex", "free", "2026-11-25T15:59"),
    ],
)
def test_minutes_are_asked_for_as_late_as_the_plan_allows(  # noqa: PLR0917 (pytest names them)
    run: Fetch, store: Store, market: FakeAlpaca, feed: str, plan: str, newest: str
) -> None:
    day = date(2026, 11, 25)
    market.bars["AAA", "1Min"] = minute_bars(day, "09:30", "15:59")
    market.recent_sip = plan == "paid"

    run("AAA", interval="1m", first=day, now=datetime(2026, 11, 25, 16, 0, tzinfo=UTC),
        feed=feed, plan=plan)  # fmt: skip

    assert str(store.columns("AAA", "1m")["at"][-1])[:16] == newest
    assert store.passport("AAA", "1m")["feed"] == ("iex" if feed == "iex" else "sip")


def test_a_running_session_goes_on_where_it_was(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    day = date(2026, 11, 25)
    market.bars["AAA", "1Min"] = minute_bars(day, "09:30", "15:59")
    run("AAA", interval="1m", first=day, now=datetime(2026, 11, 25, 17, 0, tzinfo=UTC))

    report = run("AAA", interval="1m", now=datetime(2026, 11, 25, 23, 0, tzinfo=UTC))

    assert len(store.columns("AAA", "1m")["at"]) == 390
    assert report.symbols["AAA"].withdrawn == ()


# What the vendor changed


def test_a_corrected_bar_is_taken_over_kept_and_told(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    run("AAA", now=datetime(2026, 11, 26, 12, tzinfo=UTC))
    before = store.passport("AAA")["digest"]
    row = next(row for row in market.bars["AAA", "1Day"] if row["t"].startswith("2026-11-24"))
    was = row["c"]
    row["c"] = was + 0.01
    row["v"] = 1001

    report = run("AAA")

    found = report.symbols["AAA"]
    assert found.revised == 1
    assert found.changes == (
        f"2026-11-24: close was {was:g} and is now {was + 0.01:g}, volume was 1000 and is now 1001",
    )
    kept = store.revisions("AAA")
    assert kept[["stamp", "seen", "close_was", "close"]].to_numpy().tolist() == [
        ["2026-11-24", "2026-11-28T12:00:00+00:00", was, was + 0.01]
    ]
    assert closes(store, "AAA") == expected(market, "AAA")
    assert store.passport("AAA")["revisions"] == 1
    assert store.passport("AAA")["digest"] != before
    assert run("AAA").symbols["AAA"].revised == 0


def test_a_bar_that_the_vendor_took_back_is_kept_and_told(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    run("AAA")
    del market.bars["AAA", "1Day"][-2]

    report = run("AAA")

    assert report.symbols["AAA"].withdrawn == ("2026-11-25",)
    assert report.symbols["AAA"].notes == ()
    assert len(closes(store, "AAA")) == len(SESSIONS)


def test_another_share_under_the_same_symbol_is_refused_until_it_is_meant(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    run("AAA", now=datetime(2026, 11, 26, 12, tzinfo=UTC))
    before = closes(store, "AAA")
    market.bars["AAA", "1Day"] = daily_bars(SESSIONS, 7.0)

    refused = run("AAA").symbols["AAA"].refused
    unharmed = closes(store, "AAA")
    run("AAA", revise=True, recheck=len(SESSIONS))

    assert "5 of 5 stored bars asked for again have other closes" in refused
    assert unharmed == before
    assert closes(store, "AAA") == expected(market, "AAA")


def test_a_changed_dividend_is_revised_and_one_no_longer_listed_is_told(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    dividend = {"id": "4", "symbol": "AAA", "rate": 0.26, "ex_date": "2026-11-20",
                "process_date": "2026-12-01"}  # fmt: skip
    market.actions = {"cash_dividends": [dividend]}
    run("AAA")

    dividend["rate"] = 0.28
    revised = run("AAA").symbols["AAA"]
    market.actions = {}
    gone = run("AAA").symbols["AAA"]

    assert revised.changes == ("the dividend on 2026-11-20 was 0.26 and is now 0.28",)
    assert store.actions("AAA")["value"].tolist() == [0.28]
    assert "dividend of 0.28 on 2026-11-20 is not listed by the vendor" in gone.notes[0]
    lines = (store.path / "actions" / "AAA.revisions.csv").read_text().splitlines()
    assert lines[1].endswith("dividend,0.26,0.28")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"feed": "iex"}, "feed 'sip', these have 'iex'"), ({"asof": "-"}, "follows renamings")],
)
def test_what_does_not_belong_together_is_refused_before_it_is_asked_for(
    run: Fetch, market: FakeAlpaca, options: dict[str, str], words: str
) -> None:
    run("AAA")
    market.requests.clear()

    report = run("AAA", "BBB", **options)

    assert words in report.symbols["AAA"].refused
    assert report.symbols["BBB"].added == len(SESSIONS)
    assert all("AAA" not in query["symbols"] for query in market.asked())


def test_a_symbol_without_bars_of_late_is_told(run: Fetch, market: FakeAlpaca) -> None:
    del market.bars["AAA", "1Day"][-3:]

    report = run("AAA", "BBB")

    ended = f"the last bar is of {SESSIONS[-4]}, 3 sessions before {LAST}"
    assert report.symbols["AAA"].notes == (ended,)
    assert report.symbols["BBB"].notes == ()


# What goes wrong


def test_an_unknown_symbol_is_refused_and_the_others_are_stored(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    report = run("AAA", "BRK-B", "NOPE", "BBB")

    assert "invalid symbol: BRK-B" in report.symbols["BRK-B"].refused
    assert "share classes with a dot" in report.symbols["BRK-B"].refused
    assert "no 1d bars between 2026-10-01" in report.symbols["NOPE"].refused
    assert store.symbols() == ["AAA", "BBB"]
    assert closes(store, "BBB") == expected(market, "BBB")


def test_no_bars_at_all_may_be_written_as_null(run: Fetch, market: FakeAlpaca) -> None:
    market.empty = None

    report = run("NOPE")

    assert "no 1d bars" in report.symbols["NOPE"].refused


TOO_MANY = b'{"code": 42910000, "message": "rate limit exceeded"}'
PASSING = {
    "too many requests": Failure(429, TOO_MANY),
    "server error": Failure(500, b"<html>oops</html>"),
    "gateway time-out": Failure(504, b""),
    "half the JSON": Failure(how="half"),
    "less than promised": Failure(how="short"),
    "a stall": Failure(how="stall"),
    "an empty answer": Failure(200, b""),
    "a list": Failure(200, b"[]"),
    "no bars in it": Failure(200, b"{}"),
    "a redirect": Failure(302, b"moved", {"Location": "/elsewhere"}),
}


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("path", ["/v2/stocks/bars", "/v1/corporate-actions"])
def test_a_failure_that_passes_changes_nothing(  # noqa: PLR0917 (pytest names them)
    run: Fetch, store: Store, market: FakeAlpaca, waits: list[float], name: str, path: str
) -> None:
    one = PASSING[name]
    market.failures.append(Failure(one.status, one.body, one.headers, one.how, path))

    report = run("AAA")

    assert report.symbols["AAA"].refused == ""
    assert closes(store, "AAA") == expected(market, "AAA")
    assert len(waits) == 1
    assert not market.failures


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("too many requests", "answered 429 (too many requests), 3 times in a row"),
        ("server error", "answered 500"),
        ("half the JSON", "no JSON, or only a part"),
        ("less than promised", "broke off in the middle"),
        ("a stall", "did not answer within 0.2 seconds"),
    ],
)
def test_a_failure_that_lasts_stops_with_one_sentence_and_loses_nothing(
    run: Fetch, store: Store, market: FakeAlpaca, name: str, words: str
) -> None:
    one = PASSING[name]
    lasting = [
        Failure(one.status, one.body, one.headers, one.how, symbols=symbol)
        for symbol in ("BBB", "CCC")
        for _ in range(ATTEMPTS)
    ]
    market.failures.extend(lasting)

    report = run("AAA", "BBB", "CCC", "DDD", rows=len(SESSIONS))
    stored = store.symbols()
    again = run("AAA", "BBB", "CCC", rows=len(SESSIONS))

    assert words in report.stopped
    assert report.unanswered
    assert stored == ["AAA"]
    assert "run the same again" in report.symbols["DDD"].refused
    assert [one.refused for one in again.symbols.values()] == [""] * 3
    assert [closes(store, symbol) for symbol in ("AAA", "BBB", "CCC")] == [
        expected(market, symbol) for symbol in ("AAA", "BBB", "CCC")
    ]


def test_no_server_at_all_is_one_sentence(run: Fetch, market: FakeAlpaca) -> None:
    market.url = "http://127.0.0.1:9"

    assert "could not be reached" in run("AAA").stopped


def test_wrong_keys_stop_at_once_and_are_not_shown(
    run: Fetch, market: FakeAlpaca, waits: list[float]
) -> None:
    report = run("AAA", secret=WRONG)

    assert "does not accept these keys (403)" in report.stopped
    assert WRONG not in report.stopped
    assert (len(market.requests), waits) == (1, [])


def test_keys_that_are_not_authorized_stop_at_once(
    run: Fetch, store: Store, market: FakeAlpaca, waits: list[float]
) -> None:
    market.failures.append(Failure(401, b'{"message": "unauthorized."}'))

    report = run("AAA")

    asked = [path for path, _ in market.requests]
    assert "does not accept these keys (401)" in report.stopped
    assert (asked.count("/v2/stocks/bars"), waits) == (1, [])
    assert not store.symbols("1d")


@pytest.mark.parametrize("secret", ["", "two words", "line\nbreak", "käse"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(run: Fetch, secret: str) -> None:
    with pytest.raises(ConfigError, match="copy it again") as caught:
        run("AAA", secret=secret)

    assert not secret or secret not in str(caught.value)


def test_recent_bars_that_the_plan_lacks_are_refused_with_what_to_do(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    day = date(2026, 11, 25)
    market.bars["AAA", "1Min"] = minute_bars(day, "09:30", "15:59")

    report = run("AAA", interval="1m", first=day, plan="paid",
                 now=datetime(2026, 11, 25, 16, 0, tzinfo=UTC))  # fmt: skip

    assert "use --plan free" in report.symbols["AAA"].refused
    assert report.stopped == ""
    assert store.symbols("1m") == []


def test_advice_to_wait_is_followed(run: Fetch, market: FakeAlpaca, waits: list[float]) -> None:
    reset = str(int(NOW.timestamp()) + 17)
    market.failures.extend(
        [
            Failure(429, TOO_MANY, {"X-RateLimit-Reset": reset}),
            Failure(503, b"", {"Retry-After": "4"}),
        ]
    )

    run("AAA")

    assert 17 <= waits[0] <= 18
    assert 4 <= waits[1] <= 5


@pytest.mark.parametrize(
    "change",
    [{"c": "a lot"}, {"o": None}, {"c": -1.0}, {"t": "yesterday"}, {"v": [1]}],
    ids=["words", "null", "negative", "no date", "a list"],
)
def test_a_bar_that_is_none_refuses_its_symbol_only(
    run: Fetch, store: Store, market: FakeAlpaca, change: dict[str, Any]
) -> None:
    stamped = "t" in change
    if stamped:  # the server filters by time, so the odd stamp goes in on the way out
        body = {"bars": {"AAA": [bar("yesterday", 1.0)], "BBB": market.bars["BBB", "1Day"]},
                "next_page_token": None}  # fmt: skip
        market.failures.append(Failure(200, json.dumps(body).encode()))
    else:
        market.bars["AAA", "1Day"][3] |= change

    report = run("AAA", "BBB")

    assert report.symbols["AAA"].refused.startswith("AAA")
    assert store.symbols() == ["BBB"]


def test_a_bar_without_a_field_refuses_its_symbol_only(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    del market.bars["AAA", "1Day"][3]["v"]

    report = run("AAA", "BBB")

    assert "cannot be read (KeyError: 'v')" in report.symbols["AAA"].refused
    assert store.symbols() == ["BBB"]


def test_an_action_that_cannot_be_read_refuses_the_prices_too(
    run: Fetch, store: Store, market: FakeAlpaca
) -> None:
    market.actions = {"forward_splits": [{"id": "1", "symbol": "AAA", "new_rate": 3, "old_rate": 0,
                                          "ex_date": "2026-10-12",
                                          "process_date": "2026-10-12"}]}  # fmt: skip

    report = run("AAA")

    assert "one of its forward_splits that cannot be read" in report.symbols["AAA"].refused
    assert store.symbols() == []


def test_a_page_that_comes_again_ends_the_fetch(run: Fetch, market: FakeAlpaca) -> None:
    body = b'{"bars": {}, "next_page_token": "again"}'
    market.failures.extend([Failure(200, body) for _ in range(4)])

    assert "the same page" in run("AAA").symbols["AAA"].refused


@pytest.mark.parametrize("url", ["http://data.alpaca.markets", "ftp://127.0.0.1", "data", ""])
def test_keys_are_sent_over_https_or_on_this_machine_only(url: str) -> None:
    with pytest.raises(ConfigError, match="expected https://"):
        AlpacaData(KEY, SECRET, url=url, bucket=TokenBucket(1.0), backoff=Backoff())


def test_the_client_never_shows_its_keys() -> None:
    data = AlpacaData(KEY, SECRET, bucket=TokenBucket(1.0), backoff=Backoff())

    assert KEY not in repr(data)
    assert SECRET not in repr(data)


def test_the_frames_of_both_formats_are_equal(
    run: Fetch, tmp_path: Path, market: FakeAlpaca
) -> None:
    stores = [Store(tmp_path / name, column_file=file) for name, file in
              (("one", NpzFile()), ("two", ParquetFile()))]  # fmt: skip
    for shelf in stores:
        run("AAA", store=shelf)

    npz, parquet = (shelf.read("AAA") for shelf in stores)
    assert npz.digest == parquet.digest
    assert isinstance(stores[0].rows("AAA"), pd.DataFrame)
    assert np.array_equal(stores[0].columns("AAA")["close"], stores[1].columns("AAA")["close"])
