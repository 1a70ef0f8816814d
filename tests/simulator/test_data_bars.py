# SPDX-License-Identifier: GPL-3.0-or-later
"""Historical bars, asked by alpaca-py: pages, horizons, feeds, timeframes and shapes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import DataFeed
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.models import BarSet
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.market import Market
from tests.simulator.data_server import DataServer
from tests.simulator.history import daily_bars, joined, minute_bars

NEW_YORK = ZoneInfo("America/New_York")
# Twelve sessions around the end of daylight saving; 960 minutes each, from 04:00 to 20:00.
SESSIONS = [
    day.isoformat() for day in new_york().between(date(2024, 10, 28), date(2024, 11, 12)).tolist()
]
SYMBOLS = ["AAA", "BBB", "CCC"]
MISSING = ("2024-11-04", 10 * 60, 10 * 60 + 7)  # seven minutes from 10:00 are empty
START = datetime(2024, 10, 28, 4, tzinfo=UTC)  # midnight in New York
END = datetime(2024, 11, 13, 1, tzinfo=UTC)
LAST_CLOSE = datetime(2024, 11, 12, 21, tzinfo=UTC)
VOLUME = 1000.0


def minutes_of(symbol: str, start: float) -> Bars:
    whole = joined(
        *(
            minute_bars(symbol, session, "04:01", "20:00", start=start + number, step=0.001)
            for number, session in enumerate(SESSIONS)
        )
    )
    clock = pd.DatetimeIndex(whole.at).tz_localize("UTC").tz_convert(NEW_YORK)
    left = clock - pd.Timedelta("1min")
    minute = left.hour * 60 + left.minute
    session, first, last = MISSING
    gone = (left.strftime("%Y-%m-%d") == session) & (minute >= first) & (minute < last)
    rows = np.flatnonzero(~gone)
    columns = {
        name: getattr(whole, name)[rows]
        for name in ("at", "session", "open", "high", "low", "close", "volume")
    }
    steady = {"factor": np.ones(len(rows)), "dividend": np.zeros(len(rows))}
    return Bars(symbol=symbol, interval="1m", **columns, **steady)


@pytest.fixture(scope="module")
def market() -> Market:
    return Market({name: minutes_of(name, 50.0 * (n + 1)) for n, name in enumerate(SYMBOLS)})


@pytest.fixture(scope="module")
def server(market: Market) -> Iterator[DataServer]:
    with DataServer(market, END) as running:
        yield running


@pytest.fixture
def client(server: DataServer) -> StockHistoricalDataClient:
    server.stage.now = END
    return server.client(StockHistoricalDataClient)


def asked(
    frame: TimeFrame, symbols: list[str] | None = None, **changes: object
) -> StockBarsRequest:
    given: dict[str, object] = {"feed": DataFeed.IEX, "start": START, "end": END} | changes
    return StockBarsRequest(symbol_or_symbols=symbols or ["AAA"], timeframe=frame, **given)


def frame_of(market: Market, symbol: str = "AAA") -> pd.DataFrame:
    """The minutes by their left edge in New York, made without the code under test."""
    bars = minutes_of(symbol, 50.0 * (SYMBOLS.index(symbol) + 1)).frame()
    bars.index = (bars.index - pd.Timedelta("1min")).tz_convert(NEW_YORK)
    return bars


def stamps(found: BarSet, symbol: str = "AAA") -> list[datetime]:
    return [bar.timestamp for bar in found[symbol]]


def test_three_symbols_come_whole_over_pages_of_ten_thousand_rows(
    market: Market, client: StockHistoricalDataClient
) -> None:
    pages: list[int] = []
    client._session.hooks["response"].append(
        lambda answer, *_, **__: pages.append(sum(map(len, answer.json()["bars"].values())))
    )
    found = client.get_stock_bars(asked(TimeFrame.Minute, SYMBOLS))

    each = len(SESSIONS) * 960 - 7
    assert pages == [10_000, 10_000, 10_000, 3 * each - 30_000]
    for symbol in SYMBOLS:
        expected = frame_of(market, symbol)
        assert stamps(found, symbol) == expected.index.to_pydatetime().tolist()
        assert [bar.close for bar in found[symbol]] == pytest.approx(expected["close"].tolist())


def test_a_page_is_sorted_by_symbol_and_its_limit_counts_all_of_them(server: DataServer) -> None:
    query = {
        "symbols": "CCC,AAA,BBB",
        "timeframe": "1Day",
        "start": "2024-11-07",
        "feed": "iex",
        "limit": 5,
    }
    first = server.get("/v2/stocks/bars", **query).json()
    second = server.get("/v2/stocks/bars", **query, page_token=first["next_page_token"]).json()
    third = server.get("/v2/stocks/bars", **query, page_token=second["next_page_token"]).json()

    assert {name: len(rows) for name, rows in first["bars"].items()} == {"AAA": 4, "BBB": 1}
    assert {name: len(rows) for name, rows in second["bars"].items()} == {"BBB": 3, "CCC": 2}
    assert {name: len(rows) for name, rows in third["bars"].items()} == {"CCC": 2}
    assert third["next_page_token"] is None


def test_descending_pages_run_backwards_within_each_symbol(server: DataServer) -> None:
    query = {
        "symbols": "AAA,BBB",
        "timeframe": "1Day",
        "start": "2024-11-07",
        "feed": "iex",
        "limit": 3,
        "sort": "desc",
    }
    seen: list[tuple[str, str]] = []
    token = ""
    while token is not None:
        page = server.get("/v2/stocks/bars", **query, page_token=token).json()
        seen += [(name, row["t"]) for name, rows in page["bars"].items() for row in rows]
        token = page["next_page_token"]

    assert [name for name, _ in seen] == ["AAA"] * 4 + ["BBB"] * 4
    own = [stamp for name, stamp in seen if name == "AAA"]
    assert own == sorted(own, reverse=True)
    assert len(set(own)) == 4


def test_nothing_later_than_the_clock_is_shown_even_when_asked_for(
    server: DataServer, client: StockHistoricalDataClient
) -> None:
    server.stage.now = now = datetime(2024, 10, 28, 15, 0, 30, tzinfo=UTC)
    found = client.get_stock_bars(asked(TimeFrame.Minute))

    assert stamps(found)[-1] == datetime(2024, 10, 28, 14, 59, tzinfo=UTC)
    assert stamps(found)[-1] + timedelta(minutes=1) <= now


def test_the_running_day_is_partial_and_holds_nothing_from_ahead(
    market: Market, server: DataServer, client: StockHistoricalDataClient
) -> None:
    server.stage.now = datetime(2024, 10, 28, 15, 0, 30, tzinfo=UTC)  # 11:00:30 in New York
    (bar,) = client.get_stock_bars(asked(TimeFrame.Day))["AAA"]
    own = frame_of(market)
    known = own[own.index < pd.Timestamp("2024-10-28 11:00", tz=NEW_YORK)]
    regular = known.between_time("09:30", "16:00", inclusive="left")

    assert bar.timestamp == datetime(2024, 10, 28, 4, tzinfo=UTC)
    assert bar.open == pytest.approx(regular["open"].iloc[0])
    assert bar.close == pytest.approx(regular["close"].iloc[-1])
    assert bar.high == pytest.approx(regular["high"].max())
    assert bar.volume == known["volume"].sum()


def test_before_the_open_a_day_has_no_bar(
    server: DataServer, client: StockHistoricalDataClient
) -> None:
    server.stage.now = datetime(2024, 10, 28, 13, 29, tzinfo=UTC)

    assert client.get_stock_bars(asked(TimeFrame.Day)).data == {}
    assert len(client.get_stock_bars(asked(TimeFrame.Hour))["AAA"]) == 6


def test_the_running_group_can_be_left_out(market: Market) -> None:
    now = datetime(2024, 10, 29, 15, 2, tzinfo=UTC)
    with DataServer(market, now, switches=DataSwitches(running="excluded")) as server:
        client = server.client(StockHistoricalDataClient)
        days = client.get_stock_bars(asked(TimeFrame.Day))
        fives = client.get_stock_bars(asked(TimeFrame(5, TimeFrameUnit.Minute)))
        minutes = client.get_stock_bars(asked(TimeFrame.Minute))

        assert stamps(days) == [datetime(2024, 10, 28, 4, tzinfo=UTC)]
        assert stamps(fives)[-1] == datetime(2024, 10, 29, 14, 55, tzinfo=UTC)
        assert stamps(minutes)[-1] == datetime(2024, 10, 29, 15, 1, tzinfo=UTC)

        server.stage.now = datetime(2024, 10, 29, 20, tzinfo=UTC)  # the close

        assert len(stamps(client.get_stock_bars(asked(TimeFrame.Day)))) == 2


MINUTES = [
    ("5Min", "5min"),
    ("7T", "7min"),
    ("15Min", "15min"),
    ("1Hour", "1h"),
    ("4H", "4h"),
]


@pytest.mark.parametrize(("wire", "rule"), MINUTES)
def test_minutes_sum_up_as_pandas_does_it(
    market: Market, server: DataServer, wire: str, rule: str
) -> None:
    server.stage.now = END
    rows = server.get(
        "/v2/stocks/bars",
        symbols="AAA",
        timeframe=wire,
        feed="iex",
        start="2024-10-28",
        limit=10_000,
    ).json()["bars"]["AAA"]
    own = frame_of(market)
    expected = pd.concat(
        day.resample(rule, origin="start_day")
        .agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
        .dropna()
        for _, day in own.groupby(own.index.date)
    )

    assert [pd.Timestamp(row["t"]) for row in rows] == expected.index.tolist()
    for column, name in zip("ohlcv", expected.columns, strict=True):
        assert [row[column] for row in rows] == pytest.approx(expected[name].tolist())


LONGER = [("1Day", "B"), ("1W", "W-SUN"), ("1Month", "ME"), ("12M", "YE")]


@pytest.mark.parametrize(("wire", "rule"), LONGER)
def test_days_weeks_and_months_sum_up_regular_prices_and_all_volume(
    market: Market, server: DataServer, wire: str, rule: str
) -> None:
    server.stage.now = END
    rows = server.get(
        "/v2/stocks/bars", symbols="AAA", timeframe=wire, feed="iex", start="2024-01-01"
    ).json()["bars"]["AAA"]
    own = frame_of(market).tz_localize(None)
    prices = own.between_time("09:30", "16:00", inclusive="left").resample(rule)
    columns = {"open": "first", "high": "max", "low": "min", "close": "last"}
    expected = prices.agg(columns).dropna()
    volume = own["volume"].resample(rule).sum()

    for column, name in zip("ohlc", columns, strict=True):
        assert [row[column] for row in rows] == pytest.approx(expected[name].tolist())
    assert [row["v"] for row in rows] == volume[volume > 0].tolist()


@pytest.mark.parametrize(
    ("wire", "first", "second"),
    [
        # Midnight in New York; daylight saving ends between the two.
        ("1Day", "2024-10-28T04:00:00Z", "2024-10-29T04:00:00Z"),
        ("1Week", "2024-10-28T04:00:00Z", "2024-11-04T05:00:00Z"),
        ("1Month", "2024-10-01T04:00:00Z", "2024-11-01T04:00:00Z"),
        ("2Month", "2024-09-01T04:00:00Z", "2024-11-01T04:00:00Z"),
    ],
)
def test_long_bars_are_stamped_with_midnight_in_new_york(
    server: DataServer, wire: str, first: str, second: str
) -> None:
    server.stage.now = END
    rows = server.get("/v2/stocks/AAA/bars", timeframe=wire, feed="iex", start="2024-01-01").json()[
        "bars"
    ]

    assert [row["t"] for row in rows[:2]] == [first, second]


def test_an_empty_minute_has_no_row(client: StockHistoricalDataClient) -> None:
    ten = datetime(2024, 11, 4, 10, tzinfo=NEW_YORK)
    found = client.get_stock_bars(
        asked(TimeFrame.Minute, start=ten - timedelta(minutes=1), end=ten + timedelta(minutes=8))
    )

    assert stamps(found) == [
        ten - timedelta(minutes=1),
        ten + timedelta(minutes=7),
        ten + timedelta(minutes=8),
    ]


def test_bars_of_nobody_are_an_empty_object(server: DataServer) -> None:
    body = server.get("/v2/stocks/bars", symbols="NOBODY", timeframe="1Day", feed="iex").json()

    assert body == {"bars": {}, "next_page_token": None}


def test_a_bar_has_its_count_and_average_price_within_its_range(
    client: StockHistoricalDataClient,
) -> None:
    for frame in (TimeFrame.Minute, TimeFrame.Day):
        for bar in client.get_stock_bars(asked(frame, end=START + timedelta(days=1)))["AAA"]:
            assert bar.low <= bar.vwap <= bar.high
            assert bar.trade_count >= 1


# The plan


def test_recent_consolidated_data_are_refused_without_the_plan(
    client: StockHistoricalDataClient,
) -> None:
    late = END - timedelta(minutes=14)
    with pytest.raises(APIError) as refused:
        client.get_stock_bars(asked(TimeFrame.Minute, feed=DataFeed.SIP, end=late))

    assert refused.value.status_code == 403
    assert refused.value.code == 42210000
    assert refused.value.message == "subscription does not permit querying recent SIP data"


def test_without_an_end_consolidated_data_stop_fifteen_minutes_ago(
    server: DataServer, client: StockHistoricalDataClient
) -> None:
    server.stage.now = now = datetime(2024, 11, 12, 18, 0, tzinfo=UTC)
    today = {"start": now - timedelta(hours=1), "end": None}
    sip = client.get_stock_bars(asked(TimeFrame.Minute, feed=DataFeed.SIP, **today))
    iex = client.get_stock_bars(asked(TimeFrame.Minute, **today))

    assert stamps(sip)[-1] + timedelta(minutes=1) == now - timedelta(minutes=15)
    assert stamps(iex)[-1] + timedelta(minutes=1) == now


def test_the_paid_plan_sees_recent_consolidated_data(market: Market) -> None:
    now = datetime(2024, 11, 12, 18, 0, tzinfo=UTC)
    with DataServer(market, now, switches=DataSwitches(recent_sip=True)) as server:
        found = server.client(StockHistoricalDataClient).get_stock_bars(
            asked(TimeFrame.Minute, feed=DataFeed.SIP, start=now - timedelta(hours=1), end=now)
        )

    assert stamps(found)[-1] + timedelta(minutes=1) == now


def test_without_a_start_the_current_day_is_shown(server: DataServer) -> None:
    server.stage.now = datetime(2024, 11, 12, 18, 0, tzinfo=UTC)
    rows = server.get("/v2/stocks/AAA/bars", timeframe="1Hour").json()["bars"]

    assert rows[0]["t"] == "2024-11-12T09:00:00Z"


# Refusals


@pytest.mark.parametrize(
    "query",
    [
        {"timeframe": "60Min"},
        {"timeframe": "24Hour"},
        {"timeframe": "2Day"},
        {"timeframe": "5Month"},
        {"timeframe": "0Min"},
        {"timeframe": "min"},
        {"timeframe": ""},
        {"limit": "0"},
        {"limit": "10001"},
        {"limit": "many"},
        {"adjustment": "some"},
        {"adjustment": "raw,split"},
        {"feed": "bloomberg"},
        {"sort": "up"},
        {"start": "2024-13-01"},
        {"start": "2024-11-01T09:30:00"},
        {"start": "2024-11-02", "end": "2024-11-01"},
        {"asof": "today"},
        {"currency": "EUR"},
        {"page_token": "!"},
        {"page_token": "AAAA"},
        {"symbols": ""},
        {"symbols": "aapl"},
        {"symbols": "A A"},
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused_with_a_message(
    server: DataServer, query: dict[str, str]
) -> None:
    asked_for = {"symbols": "AAA", "timeframe": "1Min", "feed": "iex"} | query
    answer = server.get("/v2/stocks/bars", **asked_for)

    assert answer.status_code == 400
    assert set(answer.json()) == {"message"}


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2024-11-01", "2024-11-01T04:00:00Z"),
        ("2024-11-01T00:00:00-04:00", "2024-11-01T04:00:00Z"),
        ("2024-11-01T04:00:00 00:00", "2024-11-01T04:00:00Z"),
        ("2024-11-01T03:59:59.999999999Z", "2024-11-01T04:00:00Z"),
    ],
)
def test_instants_are_read_in_every_spelling(server: DataServer, text: str, same: str) -> None:
    query = {"timeframe": "1Day", "feed": "iex", "end": "2024-11-04T23:00:00Z"}

    assert (
        server.get("/v2/stocks/AAA/bars", start=text, **query).json()
        == server.get("/v2/stocks/AAA/bars", start=same, **query).json()
    )


def test_daily_history_cannot_be_cut_into_minutes() -> None:
    market = Market({"AAA": daily_bars("AAA", "2024-01-02", [10.0] * 3)})
    with DataServer(market, datetime(2024, 1, 5, tzinfo=UTC)) as server:
        answer = server.get("/v2/stocks/AAA/bars", timeframe="1Min", feed="iex")
        days = server.get(
            "/v2/stocks/AAA/bars", timeframe="1Day", feed="iex", start="2024-01-02"
        ).json()["bars"]

    assert answer.status_code == 400
    assert "bars of 1d" in answer.json()["message"]
    assert [row["t"] for row in days] == [f"2024-01-0{day}T05:00:00Z" for day in (2, 3, 4)]
