# SPDX-License-Identifier: GPL-3.0-or-later
"""Adjusted history and corporate actions, as known at the simulated now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from alpaca.common.exceptions import APIError
from alpaca.data.enums import Adjustment, CorporateActionsType, DataFeed
from alpaca.data.historical import StockHistoricalDataClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.requests import CorporateActionsRequest, StockBarsRequest
from alpaca.data.timeframe import TimeFrame

from iverson.market import actions as table
from iverson.market.adjust import adjust
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.market import Market
from tests.simulator.data_server import DataServer
from tests.simulator.history import daily_bars

# A ten-for-one split on the fourth session, with a dividend; another dividend on the sixth;
# a one-for-five reverse split on the eighth.
DAYS = [date(2024, 6, day) for day in (3, 4, 5, 6, 7, 10, 11, 12, 13, 14)]
CLOSES = [1000.0, 1010.0, 1020.0, 103.0, 104.0, 105.0, 106.0, 535.0, 540.0, 545.0]
SPLIT, REVERSE = (DAYS[3], 10.0), (DAYS[7], 0.2)
DIVIDENDS = {DAYS[3]: 1.5, DAYS[5]: 0.5}
BARS = daily_bars(
    "AAA", "2024-06-03", CLOSES, splits=dict([SPLIT, REVERSE]), dividends=DIVIDENDS, volume=900.0
)
AFTER_ALL = datetime(2024, 6, 14, 21, tzinfo=UTC)
ACTIONS = [
    ("AAA", SPLIT[0], table.SPLIT, SPLIT[1]),
    ("AAA", REVERSE[0], table.SPLIT, REVERSE[1]),
    *(("AAA", day, table.DIVIDEND, paid) for day, paid in DIVIDENDS.items()),
]


@pytest.fixture(scope="module")
def market() -> Market:
    return Market({"AAA": BARS, "BBB": daily_bars("BBB", "2024-06-03", [20.0] * 10)})


@pytest.fixture(scope="module")
def server(market: Market) -> Iterator[DataServer]:
    with DataServer(market, AFTER_ALL) as running:
        yield running


def bars(server: DataServer, adjustment: Adjustment | None, *, now: datetime) -> list[tuple]:
    server.stage.now = now
    found = server.client(StockHistoricalDataClient).get_stock_bars(
        StockBarsRequest(
            symbol_or_symbols="AAA",
            timeframe=TimeFrame.Day,
            start=datetime(2024, 6, 1, tzinfo=UTC),
            adjustment=adjustment,
            feed=DataFeed.IEX,
        )
    )
    return [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in found["AAA"]]


def expected(*, dividends: bool, splits: bool = True, through: date = DAYS[-1]) -> list[tuple]:
    """The project's own adjustment of history files: another implementation of the rule."""
    frame = BARS.frame().reset_index().assign(symbol="AAA")
    frame = frame[frame["session"].dt.date <= through]
    rows = [row for row in ACTIONS if row[1] <= through]
    if not splits:
        rows = [row for row in rows if row[2] != table.SPLIT]
    known = table.table(rows)
    done = adjust(frame, known, dividends=dividends, basis="last")
    return list(done[["open", "high", "low", "close", "volume"]].itertuples(index=False, name=None))


def assert_equal(found: list[tuple], wanted: list[tuple]) -> None:
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours[:4] == pytest.approx(theirs[:4], abs=1e-4)
        assert ours[4] == round(theirs[4])


def test_raw_is_the_default_and_leaves_everything_as_it_was(server: DataServer) -> None:
    assert bars(server, None, now=AFTER_ALL) == bars(server, Adjustment.RAW, now=AFTER_ALL)
    assert [row[3] for row in bars(server, Adjustment.RAW, now=AFTER_ALL)] == CLOSES


def test_splits_move_prices_and_volumes(server: DataServer) -> None:
    found = bars(server, Adjustment.SPLIT, now=AFTER_ALL)

    assert_equal(found, expected(dividends=False))
    assert found[0][4] == 900 * 10 * 0.2


def test_everything_moves_prices_by_dividends_too(server: DataServer) -> None:
    assert_equal(bars(server, Adjustment.ALL, now=AFTER_ALL), expected(dividends=True))


def test_dividends_alone_leave_splits_in_the_prices(server: DataServer) -> None:
    found = bars(server, Adjustment.DIVIDEND, now=AFTER_ALL)
    first = 1 - 1.5 / (1020.0 / 10)  # in the new shares, for both fall on one day
    second = 1 - 0.5 / 104.0

    assert found[0][3] == pytest.approx(1000.0 * first * second, abs=1e-4)
    assert found[4][3] == pytest.approx(104.0 * second, abs=1e-4)
    assert [row[4] for row in found] == [900] * 10


def test_before_an_action_nobody_knows_of_it(server: DataServer) -> None:
    eve = datetime(2024, 6, 12, 3, 59, tzinfo=UTC)  # 23:59 in New York, the day before
    day = datetime(2024, 6, 12, 4, 0, tzinfo=UTC)

    assert_equal(bars(server, Adjustment.ALL, now=eve), expected(dividends=True, through=DAYS[6]))
    later = bars(server, Adjustment.ALL, now=day)
    assert later[0][3] == pytest.approx(5 * bars(server, Adjustment.ALL, now=eve)[0][3], abs=1e-3)


def test_a_switch_uses_all_actions_as_documented(market: Market) -> None:
    early = datetime(2024, 6, 5, 21, tzinfo=UTC)
    with DataServer(market, early, switches=DataSwitches(actions="all")) as server:
        found = bars(server, Adjustment.SPLIT, now=early)

    assert [row[3] for row in found] == pytest.approx([500.0, 505.0, 510.0])


# Corporate actions


def listed(server: DataServer, *, now: datetime, **changes: object) -> dict[str, list]:
    server.stage.now = now
    given: dict[str, object] = {"start": DAYS[0], "end": DAYS[-1]} | changes
    client = server.client(CorporateActionsClient)
    return client.get_corporate_actions(CorporateActionsRequest(**given)).data


def test_actions_are_listed_with_their_dates_and_rates(server: DataServer) -> None:
    found = listed(server, now=AFTER_ALL)
    (forward,), (reverse,) = found["forward_splits"], found["reverse_splits"]

    assert set(found) == {"forward_splits", "reverse_splits", "cash_dividends"}
    assert (forward.new_rate, forward.old_rate, forward.ex_date) == (10, 1, SPLIT[0])
    assert (reverse.new_rate, reverse.old_rate, reverse.ex_date) == (1, 5, REVERSE[0])
    assert {one.ex_date: one.rate for one in found["cash_dividends"]} == DIVIDENDS


def test_actions_to_come_are_not_listed(server: DataServer) -> None:
    found = listed(server, now=datetime(2024, 6, 7, 15, tzinfo=UTC))

    assert set(found) == {"forward_splits", "cash_dividends"}
    assert [one.ex_date for one in found["cash_dividends"]] == [DAYS[3]]


def test_a_switch_announces_actions_ahead(market: Market) -> None:
    eve = datetime(2024, 6, 5, 15, tzinfo=UTC)
    with DataServer(market, eve, switches=DataSwitches(announced_days=5)) as server:
        found = listed(server, now=eve)

    assert [one.ex_date for one in found["cash_dividends"]] == [DAYS[3], DAYS[5]]
    assert "reverse_splits" not in found


def test_actions_can_be_asked_by_type_symbol_and_identifier(server: DataServer) -> None:
    splits = listed(server, now=AFTER_ALL, types=[CorporateActionsType.FORWARD_SPLIT])
    nobody = listed(server, now=AFTER_ALL, symbols=["BBB"])
    one = str(splits["forward_splits"][0].id)
    by_id = server.get("/v1/corporate-actions", ids=one).json()["corporate_actions"]

    assert set(splits) == {"forward_splits"}
    assert nobody == {}
    assert [row["id"] for row in by_id["forward_splits"]] == [one]


def test_pages_of_actions_join_to_the_whole(server: DataServer) -> None:
    server.stage.now = AFTER_ALL
    whole: list[str] = []
    token, pages = "", 0
    while token is not None:
        page = server.get(
            "/v1/corporate-actions",
            start="2024-06-01",
            end="2024-06-30",
            limit=1,
            sort="desc",
            page_token=token,
        ).json()
        whole += [row["ex_date"] for rows in page["corporate_actions"].values() for row in rows]
        token, pages = page["next_page_token"], pages + 1

    assert pages == 4
    assert whole == sorted(whole, reverse=True)
    assert sorted(set(whole)) == sorted({str(row[1]) for row in ACTIONS})


@pytest.mark.parametrize(
    "query",
    [
        {"types": "gift"},
        {"start": "2024-06-30", "end": "2024-06-01"},
        {"ids": "x", "symbols": "AAA"},
        {"limit": "1001"},
        {"page_token": "unknown"},
        {"sort": "best"},
    ],
    ids=str,
)
def test_what_cannot_be_read_is_refused(server: DataServer, query: dict[str, str]) -> None:
    assert server.get("/v1/corporate-actions", **query).status_code == 400


def test_a_name_that_alpaca_py_knows_and_history_does_not_is_empty(server: DataServer) -> None:
    assert listed(server, now=AFTER_ALL, types=[CorporateActionsType.SPIN_OFF]) == {}


def test_an_error_reaches_the_client_with_its_status(server: DataServer) -> None:
    server.stage.now = AFTER_ALL
    with pytest.raises(APIError) as refused:
        listed(server, now=AFTER_ALL, end=DAYS[0] - timedelta(days=1))

    assert refused.value.status_code == 400
