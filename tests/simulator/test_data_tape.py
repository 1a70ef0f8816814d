# SPDX-License-Identifier: GPL-3.0-or-later
"""What a data stream owes, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.data_view import view
from iverson.simulator.events import TradingHalt
from iverson.simulator.market import Market
from iverson.simulator.rest_data import bars
from iverson.simulator.stream_tape import Due, Tape, next_due, status
from tests.simulator.data_server import Stage
from tests.simulator.history import daily_bars, minute_bars

DAY = datetime(2024, 11, 29, tzinfo=UTC)  # a half day; New York is five hours behind
OPEN = DAY + timedelta(hours=14, minutes=30)
CLOSE = DAY + timedelta(hours=18)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
HALF_SPREAD = 0.0001


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(
        {
            "AAA": minute_bars("AAA", "2024-11-29", "09:01", "14:00"),
            "BBB": minute_bars("BBB", "2024-11-29", "09:31", "13:00", start=50.0),
        }
    )


def told(
    market: Market,
    after: datetime,
    until: datetime,
    *channels: str,
    tape: Tape | None = None,
    symbol: str | None = None,
    **switches: object,
) -> list[Due]:
    seen = view(Stage(until, market), DataSwitches(**switches), "iex")

    def wants(channel: str, name: str) -> bool:
        return channel in channels and symbol in (None, name)

    return (tape or Tape()).due(seen, wants, after, half_spread=HALF_SPREAD)


def test_a_minute_is_sent_a_second_after_its_end_with_its_left_edge(market: Market) -> None:
    (first, second) = told(market, OPEN + SECOND, OPEN + MINUTE + SECOND, "bars")

    assert first.at == second.at == OPEN + MINUTE + SECOND
    assert [first.message["S"], second.message["S"]] == ["AAA", "BBB"]
    assert first.message["t"] == OPEN
    assert first.message["T"] == "b"


def test_nothing_is_sent_before_its_delay_is_over_and_nothing_twice(market: Market) -> None:
    assert told(market, OPEN + SECOND, OPEN + MINUTE, "bars") == []

    ends = [OPEN + number * timedelta(seconds=7) for number in range(100)]
    piecewise = [
        due for after, until in pairwise(ends) for due in told(market, after, until, "bars")
    ]

    assert piecewise == told(market, ends[0], ends[-1], "bars")


def test_extended_hours_are_on_the_bars_channel(market: Market) -> None:
    found = told(market, DAY, DAY + timedelta(days=1), "bars", symbol="AAA")

    assert len(found) == 5 * 60
    assert found[0].message["t"] == DAY + timedelta(hours=14)
    assert found[-1].message["t"] == DAY + timedelta(hours=19) - MINUTE


def test_only_what_is_wanted_is_made(market: Market) -> None:
    found = told(market, OPEN, CLOSE, "bars", symbol="BBB")

    assert {due.message["S"] for due in found} == {"BBB"}
    assert told(market, OPEN, CLOSE) == []


def test_the_delay_is_a_switch(market: Market) -> None:
    (due, *_) = told(market, OPEN, OPEN + MINUTE, "bars", bar_delay=timedelta(0))

    assert due.at == OPEN + MINUTE


def test_the_running_day_is_sent_with_every_regular_minute(market: Market) -> None:
    tape = Tape()
    found = told(market, DAY, OPEN + 90 * MINUTE, "dailyBars", tape=tape, symbol="AAA")
    later = told(
        market, OPEN + 90 * MINUTE, DAY + timedelta(days=1), "dailyBars", tape=tape, symbol="AAA"
    )
    whole = [due.message for due in [*found, *later]]

    assert len(whole) == 3 * 60 + 30  # from 09:31 to 13:00
    assert {message["t"] for message in whole} == {DAY + timedelta(hours=5)}
    assert [message["v"] for message in whole] == [
        1000 * (30 + number) for number in range(1, len(whole) + 1)
    ]
    assert whole[0]["o"] == whole[-1]["o"] == pytest.approx(100.0 + 0.3 - 0.05)
    assert whole[-1]["c"] == pytest.approx(100.0 + 0.01 * 239)


def test_the_last_running_day_equals_the_day_of_the_history(market: Market) -> None:
    last = told(market, DAY, CLOSE + SECOND, "dailyBars", symbol="AAA")[-1].message
    stage = Stage(CLOSE + SECOND, market)
    query = {"symbols": "AAA", "timeframe": "1Day", "feed": "iex", "start": "2024-11-29"}
    (row,) = bars(stage, DataSwitches(), query).by_symbol()["AAA"]

    for name in ("o", "h", "l", "c", "v", "n", "vw"):
        assert last[name] == pytest.approx(row[name]), name


def test_a_running_day_joined_late_is_the_same(market: Market) -> None:
    after = OPEN + 60 * MINUTE
    late = told(market, after, CLOSE, "dailyBars")
    early = told(market, DAY, CLOSE, "dailyBars")

    assert late == early[-len(late) :]


def test_history_of_days_gives_days_when_they_are_over() -> None:
    market = Market({"AAA": daily_bars("AAA", "2024-11-27", [10.0, 11.0])})
    (due,) = told(market, OPEN, CLOSE + SECOND, "bars", "dailyBars")

    assert (due.at, due.channel) == (CLOSE + SECOND, "dailyBars")
    assert due.message["c"] == 11.0


def test_late_trades_are_in_the_updated_bar_half_a_minute_later(market: Market) -> None:
    switches = {"late_share": 0.3}
    span = (OPEN, CLOSE)
    first = told(market, *span, "bars", symbol="AAA", **switches)
    updated = told(market, *span, "updatedBars", symbol="AAA", **switches)
    known = {due.message["t"]: due.message for due in first}

    assert 0.2 < len(updated) / len(first) < 0.4
    assert updated == told(market, *span, "updatedBars", symbol="AAA", **switches)
    for due in updated:
        message = due.message
        assert due.at == message["t"] + MINUTE + timedelta(seconds=30)
        assert message["T"] == "u"
        assert message["v"] == 1000
        assert known[message["t"]]["v"] <= 1000
    short = sum(message["v"] < 1000 for message in known.values())
    assert short >= 0.9 * len(updated)
    assert {message["c"] for message in known.values()} == {
        due.message["c"] for due in told(market, *span, "bars", symbol="AAA")
    }


def test_trades_and_quotes_come_with_their_bar(market: Market) -> None:
    found = told(market, OPEN, OPEN + MINUTE + SECOND, "trades", "quotes", symbol="BBB")

    assert [due.message["T"] for due in found] == ["t"] * 4 + ["q"] * 4
    assert {due.at for due in found} == {OPEN + MINUTE + SECOND}
    assert all(OPEN <= due.message["t"] < OPEN + MINUTE for due in found)
    assert sum(due.message["s"] for due in found[:4]) == 1000


def test_the_next_message_is_due_after_the_end_of_the_next_bar(market: Market) -> None:
    plain = view(Stage(OPEN, market), DataSwitches(), "iex")
    late = view(Stage(OPEN, market), DataSwitches(late_share=0.1), "iex")

    assert next_due(plain, OPEN) == OPEN + SECOND  # the last minute before the open
    assert next_due(plain, OPEN + SECOND) == OPEN + MINUTE + SECOND
    assert next_due(late, OPEN + SECOND) == OPEN + timedelta(seconds=30)
    assert next_due(plain, DAY + timedelta(days=2)) is None


@pytest.mark.parametrize(
    ("halted", "code", "words"), [(True, "H", "Trading Halt"), (False, "T", "Trading Resumption")]
)
def test_a_halt_and_its_end_are_statuses(halted: bool, code: str, words: str) -> None:
    due = status(TradingHalt("AAA", halted, "scripted halt", OPEN))

    assert (due.at, due.channel, due.symbols) == (OPEN, "statuses", ("AAA",))
    assert (due.message["sc"], due.message["sm"]) == (code, words)
