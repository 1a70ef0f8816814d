# SPDX-License-Identifier: GPL-3.0-or-later
"""The latest bar, trade and quote, snapshots, made-up ticks, and what IEX sees of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import DataFeed
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.requests import (
    StockBarsRequest,
    StockLatestBarRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
    StockSnapshotRequest,
    StockTradesRequest,
)
from alpaca.data.timeframe import TimeFrame
from hypothesis import given
from hypothesis import strategies as st

from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.market import Bar, Market
from iverson.simulator.quotes import quote_of, trades_of
from iverson.simulator.thinning import LEAST, MOST, thinned
from tests.simulator.data_server import DataServer
from tests.simulator.history import daily_bars, joined, minute_bars

NOW = datetime(2024, 11, 26, 16, 0, 30, tzinfo=UTC)  # 11:00:30 in New York
LAST_START = datetime(2024, 11, 26, 15, 59, tzinfo=UTC)
MINUTES = 90  # from 09:30 to 11:00
BARS = joined(
    minute_bars("AAA", "2024-11-25", start=100.0), minute_bars("AAA", "2024-11-26", start=110.0)
)
LAST = 110.0 + 0.01 * (MINUTES - 1)
HALF_SPREAD = 0.0001  # one basis point, the exchange's default


@pytest.fixture(scope="module")
def market() -> Market:
    return Market({"AAA": BARS, "BBB": minute_bars("BBB", "2024-11-27")})


@pytest.fixture(scope="module")
def server(market: Market) -> Iterator[DataServer]:
    with DataServer(market, NOW) as running:
        yield running


@pytest.fixture
def client(server: DataServer) -> StockHistoricalDataClient:
    server.stage.now = NOW
    return server.client(StockHistoricalDataClient)


def test_the_latest_bar_has_ended(client: StockHistoricalDataClient) -> None:
    found = client.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols=["AAA", "BBB"]))

    assert set(found) == {"AAA"}  # the other trades tomorrow only
    assert found["AAA"].timestamp == LAST_START
    assert found["AAA"].close == pytest.approx(LAST)


def test_the_latest_quote_lies_around_the_latest_trade(client: StockHistoricalDataClient) -> None:
    trade = client.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="AAA"))["AAA"]
    quote = client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAA"))["AAA"]

    assert trade.price == pytest.approx(LAST)
    assert LAST_START < trade.timestamp < NOW
    assert quote.timestamp == trade.timestamp
    assert quote.bid_price < trade.price < quote.ask_price
    assert quote.ask_price - quote.bid_price <= 2 * (HALF_SPREAD * trade.price + 0.01)


def test_the_latest_of_the_plan_is_iex_and_consolidated_is_refused(
    client: StockHistoricalDataClient,
) -> None:
    with pytest.raises(APIError) as refused:
        client.get_stock_latest_trade(
            StockLatestTradeRequest(symbol_or_symbols="AAA", feed=DataFeed.SIP)
        )

    assert refused.value.status_code == 403


def test_the_delayed_feed_is_fifteen_minutes_old(client: StockHistoricalDataClient) -> None:
    found = client.get_stock_latest_bar(
        StockLatestBarRequest(symbol_or_symbols="AAA", feed=DataFeed.DELAYED_SIP)
    )

    # 15:45:30 is in the middle of a minute, so the last one known began at 15:44.
    assert found["AAA"].timestamp == LAST_START - timedelta(minutes=15)


def test_the_paid_plan_gets_consolidated_data_by_default(market: Market) -> None:
    thin = DataSwitches(recent_sip=True, iex_share=0.02)
    with DataServer(market, NOW, switches=thin) as server:
        volume = server.get("/v2/stocks/AAA/bars/latest").json()["bar"]["v"]

    assert volume == 1000


def test_a_snapshot_has_today_and_the_day_before(client: StockHistoricalDataClient) -> None:
    found = client.get_stock_snapshot(StockSnapshotRequest(symbol_or_symbols=["AAA", "BBB"]))
    shot = found["AAA"]

    assert set(found) == {"AAA"}
    assert shot.latest_trade.price == pytest.approx(LAST)
    assert shot.minute_bar.timestamp == LAST_START
    assert shot.daily_bar.volume == MINUTES * 1000
    assert shot.daily_bar.close == pytest.approx(LAST)
    assert shot.previous_daily_bar.timestamp == datetime(2024, 11, 25, 5, tzinfo=UTC)
    assert shot.previous_daily_bar.close == pytest.approx(100.0 + 0.01 * 389)


def test_snapshots_of_nobody_are_an_empty_object(server: DataServer) -> None:
    assert server.get("/v2/stocks/snapshots", symbols="NOBODY").json() == {}


@pytest.mark.parametrize("what", ["bars/latest", "trades/latest", "quotes/latest", "snapshot"])
def test_one_symbol_is_asked_by_its_path(server: DataServer, what: str) -> None:
    server.stage.now = NOW
    found = server.get(f"/v2/stocks/AAA/{what}")
    missing = server.get(f"/v2/stocks/NOBODY/{what}")
    wrong = server.get(f"/v2/stocks/aaa/{what}")

    assert found.json()["symbol"] == "AAA"
    assert (missing.status_code, wrong.status_code) == (404, 400)


def test_daily_history_gives_its_last_day(server: DataServer) -> None:
    market = Market({"AAA": daily_bars("AAA", "2024-11-25", [10.0, 11.0, 12.0])})
    with DataServer(market, datetime(2024, 11, 26, 22, tzinfo=UTC)) as daily:
        shot = daily.get("/v2/stocks/snapshots", symbols="AAA").json()["AAA"]

    assert "minuteBar" not in shot
    assert (shot["dailyBar"]["c"], shot["prevDailyBar"]["c"]) == (11.0, 10.0)


def test_trades_stay_within_their_bar_and_add_up_to_it(client: StockHistoricalDataClient) -> None:
    found = client.get_stock_trades(
        StockTradesRequest(
            symbol_or_symbols="AAA",
            start=LAST_START,
            end=NOW + timedelta(hours=1),
            feed=DataFeed.IEX,
        )
    )["AAA"]
    prices = [trade.price for trade in found]

    assert len(found) == 4  # the running minute has none
    assert sum(trade.size for trade in found) == 1000
    assert (prices[0], prices[-1]) == pytest.approx((LAST - 0.05, LAST))
    assert (min(prices), max(prices)) == pytest.approx((LAST - 0.1, LAST + 0.05))
    assert len({trade.id for trade in found}) == 4


def test_quotes_come_in_pages_without_a_gap(
    server: DataServer, client: StockHistoricalDataClient
) -> None:
    query = {"symbols": "AAA", "feed": "iex", "start": "2024-11-26T15:00:00Z", "limit": 7}
    by_hand: list[str] = []
    token = ""
    while token is not None:
        page = server.get("/v2/stocks/quotes", **query, page_token=token).json()
        by_hand += [row["t"] for row in page["quotes"]["AAA"]]
        token = page["next_page_token"]
    whole = client.get_stock_quotes(
        StockQuotesRequest(
            symbol_or_symbols="AAA",
            start=datetime(2024, 11, 26, 15, tzinfo=UTC),
            feed=DataFeed.IEX,
        )
    )["AAA"]

    assert len(by_hand) == len(set(by_hand)) == 4 * 60 == len(whole)


PRICES = st.integers(min_value=20, max_value=100_000).map(lambda cents: cents / 100)


@given(st.tuples(PRICES, PRICES, PRICES, PRICES), st.floats(min_value=0, max_value=0.01))
def test_ticks_respect_their_bar_and_bids_never_cross(
    prices: tuple[float, ...], half_spread: float
) -> None:
    low, opened, close, high = sorted(prices)
    bar = Bar("AAA", LAST_START, NOW, NOW.date(), opened, high, low, close, 500.0)
    ticks = trades_of(bar)

    assert {low, high} <= {tick.price for tick in ticks}
    assert [tick.at for tick in ticks] == sorted({tick.at for tick in ticks})
    assert all(bar.start <= tick.at < bar.end for tick in ticks)
    for tick in ticks:
        quote = quote_of(tick, half_spread=half_spread)
        assert 0 <= quote.bid <= tick.price <= quote.ask


def test_iex_sees_its_share_and_misses_minutes_the_same_every_time() -> None:
    share, missing = 0.025, 0.2
    market = Market({"AAA": minute_bars("AAA", "2024-11-25", volume=20_000.0)})
    whole = list(market.bars_of("AAA", NOW - timedelta(days=9), NOW))
    first = [thinned(bar, share=share, missing=missing, seed=7) for bar in whole]
    seen = [(bar, thin) for bar, thin in zip(whole, first, strict=True) if thin is not None]
    mean = sum(thin.volume for _, thin in seen) / len(seen) / 20_000

    assert first == [thinned(bar, share=share, missing=missing, seed=7) for bar in whole]
    assert first != [thinned(bar, share=share, missing=missing, seed=8) for bar in whole]
    assert 1 - len(seen) / len(whole) == pytest.approx(missing, abs=0.06)  # three deviations
    assert mean == pytest.approx(share, rel=0.1)
    for bar, thin in seen:
        assert LEAST * share * 20_000 - 1 <= thin.volume <= MOST * share * 20_000 + 1
        assert (thin.open, thin.close) == (bar.open, bar.close)
        assert bar.low <= thin.low <= min(bar.open, bar.close)
        assert max(bar.open, bar.close) <= thin.high <= bar.high


def test_the_feeds_differ_when_thinning_is_on(market: Market) -> None:
    switches = DataSwitches(recent_sip=True, iex_share=0.025, iex_missing=0.3)
    with DataServer(market, NOW, switches=switches) as server:
        client = server.client(StockHistoricalDataClient)
        sip, iex = (
            client.get_stock_bars(
                StockBarsRequest(
                    symbol_or_symbols="AAA",
                    timeframe=TimeFrame.Minute,
                    start=NOW - timedelta(hours=2),
                    feed=feed,
                )
            )["AAA"]
            for feed in (DataFeed.SIP, DataFeed.IEX)
        )

    assert len(sip) == MINUTES
    assert 40 < len(iex) < 80
    assert {bar.timestamp for bar in iex} < {bar.timestamp for bar in sip}
    assert sum(bar.volume for bar in iex) < 0.05 * sum(bar.volume for bar in sip)
