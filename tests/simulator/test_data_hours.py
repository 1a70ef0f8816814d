# SPDX-License-Identifier: GPL-3.0-or-later
"""Clock, calendar and assets, asked by alpaca-py's TradingClient."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetClass, AssetStatus
from alpaca.trading.requests import GetAssetsRequest, GetCalendarRequest
from hypothesis import given
from hypothesis import strategies as st

from iverson.simulator import hours
from iverson.simulator.assets import Asset, stable_id
from iverson.simulator.market import Market
from tests.simulator.data_server import DataServer
from tests.simulator.history import daily_bars

NEW_YORK = ZoneInfo("America/New_York")
HARD = Asset(
    "HTB", stable_id("HTB"), exchange="NYSE", easy_to_borrow=False, attributes=("has_options",)
)
GONE = Asset("OLD", stable_id("OLD"), exchange="OTC", status="inactive", tradable=False)


@pytest.fixture(scope="module")
def server() -> Iterator[DataServer]:
    market = Market({"AAA": daily_bars("AAA", "2024-01-02", [10.0] * 5)}, assets=[HARD, GONE])
    with DataServer(market, datetime(2024, 1, 2, tzinfo=UTC)) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: DataServer) -> TradingClient:
    return server.client(TradingClient)


def ny(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


# (now, is open, next open, next close), from the exchange's published hours.
CLOCKS = [
    ("2024-03-08T15:59:59", True, "2024-03-11T09:30", "2024-03-08T16:00"),
    ("2024-03-08T16:00", False, "2024-03-11T09:30", "2024-03-11T16:00"),  # DST on the 10th
    ("2024-11-01T17:00", False, "2024-11-04T09:30", "2024-11-04T16:00"),  # DST ends on the 3rd
    ("2024-11-28T12:00", False, "2024-11-29T09:30", "2024-11-29T13:00"),  # Thanksgiving
    ("2024-11-29T09:30", True, "2024-12-02T09:30", "2024-11-29T13:00"),
    ("2024-11-29T13:00", False, "2024-12-02T09:30", "2024-12-02T16:00"),
    ("2024-07-03T12:59", True, "2024-07-05T09:30", "2024-07-03T13:00"),
    ("2024-07-03T14:00", False, "2024-07-05T09:30", "2024-07-05T16:00"),
    ("2025-01-09T11:00", False, "2025-01-10T09:30", "2025-01-10T16:00"),  # a day of mourning
]


@pytest.mark.parametrize("case", CLOCKS, ids=[case[0] for case in CLOCKS])
def test_the_clock_knows_holidays_half_days_and_daylight_saving(
    server: DataServer, client: TradingClient, case: tuple[str, bool, str, str]
) -> None:
    now, is_open, opens, closes = case
    server.stage.now = ny(now)
    clock = client.get_clock()

    assert clock.timestamp == ny(now)
    assert clock.is_open is is_open
    assert clock.next_open == ny(opens)
    assert clock.next_close == ny(closes)
    assert clock.timestamp.utcoffset() == ny(now).utcoffset()


@given(st.integers(min_value=0, max_value=40 * 365 * 86_400))
def test_open_and_close_take_turns(seconds: int) -> None:
    at = datetime(1989, 12, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    answer = {name: value for name, value in hours.clock(at).items() if name != "is_open"}
    read = {name: datetime.fromisoformat(value) for name, value in answer.items()}
    following = read["next_close"] < read["next_open"]

    assert read["next_open"] > at
    assert read["next_close"] > at
    assert hours.clock(at)["is_open"] is following
    assert hours.is_open(read["next_open"])
    assert not hours.is_open(read["next_close"])
    assert hours.is_open(read["next_close"] - timedelta(microseconds=1))


def test_calendar_rows_are_naive_times_of_new_york_with_both_ends(client: TradingClient) -> None:
    rows = client.get_calendar(GetCalendarRequest(start=date(2024, 11, 27), end=date(2024, 12, 2)))

    assert [f"{row.date} {row.close}" for row in rows] == [
        "2024-11-27 2024-11-27 16:00:00",
        "2024-11-29 2024-11-29 13:00:00",
        "2024-12-02 2024-12-02 16:00:00",
    ]
    assert {row.open.hour * 60 + row.open.minute for row in rows} == {9 * 60 + 30}


def test_the_whole_calendar_runs_from_1970_to_2029(client: TradingClient) -> None:
    rows = client.get_calendar()

    assert rows[0].date == date(1970, 1, 2)
    assert rows[-1].date == date(2029, 12, 31)
    assert not any(row.date.weekday() > 4 for row in rows)


@pytest.mark.parametrize(
    ("session", "settled"),
    [
        ("2024-05-28", "2024-05-29"),  # the first day of T+1
        ("2024-05-24", "2024-05-29"),  # T+2 over Memorial Day
        ("2017-09-01", "2017-09-07"),  # T+3 over Labor Day
        ("2017-09-05", "2017-09-07"),
    ],
)
def test_settlement_follows_the_rule_of_its_time(
    server: DataServer, session: str, settled: str
) -> None:
    (row,) = server.get("/v2/calendar", start=session, end=session).json()

    assert row["settlement_date"] == settled
    assert (row["session_open"], row["session_close"]) == ("0400", "2000")


def test_the_calendar_can_be_asked_by_settlement(server: DataServer) -> None:
    rows = server.get(
        "/v2/calendar", start="2024-05-29", end="2024-05-29", date_type="SETTLEMENT"
    ).json()

    assert [row["date"] for row in rows] == ["2024-05-24", "2024-05-28"]


@pytest.mark.parametrize(
    ("now", "phase", "until"),
    [
        ("2024-11-29T03:59", "closed", "2024-11-29T04:00"),
        ("2024-11-29T04:00", "pre", "2024-11-29T09:30"),
        ("2024-11-29T09:30", "core", "2024-11-29T13:00"),
        ("2024-11-29T13:00", "post", "2024-11-29T20:00"),
        ("2024-11-29T20:00", "closed", "2024-12-02T04:00"),
        ("2024-11-30T12:00", "closed", "2024-12-02T04:00"),
    ],
)
def test_the_newer_clock_tells_the_phase(
    server: DataServer, now: str, phase: str, until: str
) -> None:
    server.stage.now = ny(now)
    (clock,) = server.get("/v3/clock", markets="XNYS").json()["clocks"]

    assert clock["phase"] == phase
    assert datetime.fromisoformat(clock["phase_until"]) == ny(until)
    assert clock["is_market_day"] is (now[:10] == "2024-11-29")
    assert clock["market"]["acronym"] == "NYSE"


def test_the_newer_clock_can_be_asked_about_another_time(server: DataServer) -> None:
    clocks = server.get("/v3/clock", markets="NYSE,IEX", time="2024-07-03T17:00:00Z").json()

    assert [clock["phase"] for clock in clocks["clocks"]] == ["post", "post"]


def test_the_newer_calendar_gives_edges_in_new_york_or_utc(server: DataServer) -> None:
    query = {"start": "2024-11-29", "end": "2024-11-29"}
    (local,) = server.get("/v3/calendar/NYSE", **query).json()["calendar"]
    (utc,) = server.get("/v3/calendar/NYSE", **query, timezone="UTC").json()["calendar"]

    assert local["core_end"] == "2024-11-29T13:00:00-05:00"
    assert utc["core_end"] == "2024-11-29T18:00:00Z"
    assert local["post_end"] == "2024-11-29T20:00:00-05:00"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v2/calendar", {"start": "2024-13-01"}),
        ("/v2/calendar", {"end": "yesterday"}),
        ("/v2/calendar", {"date_type": "LUNAR"}),
        ("/v3/clock", {"markets": "NYSE,MOON"}),
        ("/v3/clock", {"time": "noon"}),
        ("/v3/calendar/LSE", {}),
        ("/v3/calendar/NYSE", {"timezone": "Mars"}),
    ],
)
def test_what_cannot_be_read_is_refused(
    server: DataServer, path: str, query: dict[str, str]
) -> None:
    answer = server.get(path, **query)

    assert answer.status_code == 400
    assert answer.json()["code"] == 40010000
    assert answer.json()["message"].startswith("invalid ")


def test_an_asset_is_found_by_symbol_and_by_identifier(client: TradingClient) -> None:
    asset = client.get_asset("HTB")
    again = client.get_asset(HARD.id)

    assert asset == again
    assert str(asset.id) == HARD.id
    assert (asset.easy_to_borrow, asset.tradable, asset.shortable) == (False, True, True)
    assert asset.asset_class == AssetClass.US_EQUITY


def test_assets_come_by_exchange_and_symbol_and_can_be_filtered(client: TradingClient) -> None:
    everything = client.get_all_assets()
    inactive = client.get_all_assets(GetAssetsRequest(status=AssetStatus.INACTIVE))
    crypto = client.get_all_assets(GetAssetsRequest(asset_class=AssetClass.CRYPTO))
    optionable = client.get_all_assets(GetAssetsRequest(attributes="has_options"))

    assert [one.symbol for one in everything] == ["AAA", "HTB", "OLD"]
    assert [one.symbol for one in inactive] == ["OLD"]
    assert crypto == []
    assert [one.symbol for one in optionable] == ["HTB"]


def test_an_unknown_asset_is_not_found(client: TradingClient) -> None:
    with pytest.raises(APIError) as refused:
        client.get_asset("NOBODY")

    assert refused.value.status_code == 404
    assert refused.value.code == 40410000
