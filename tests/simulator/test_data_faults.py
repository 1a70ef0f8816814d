# SPDX-License-Identifier: GPL-3.0-or-later
"""Data on the whole exchange: nothing is wrong by itself, and everything can be on demand."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from alpaca.data.enums import DataFeed
from alpaca.data.live import StockDataStream
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame

from iverson.simulator.faults import Fault
from iverson.simulator.scenarios import Scenario
from iverson.testing import Rehearsal, exchange
from tests.simulator.data_server import wait_until
from tests.simulator.history import joined
from tests.simulator.rehearsing import NEXT, SESSION, SYMBOL, at, minutes

CLOSES = [100.0, 101.0, 102.0, 103.0, 104.0, 105.0]
WORDS = " ".join(f"{close:g}" for close in CLOSES)


class Kept:
    """Raw bars in the order in which a handler saw them."""

    def __init__(self) -> None:
        self.bars: list[dict[str, Any]] = []

    async def keep(self, bar: dict[str, Any]) -> None:
        self.bars.append(bar)

    @property
    def closes(self) -> list[float]:
        return [bar["c"] for bar in self.bars]


def scripted(*faults: Fault) -> Scenario:
    return Scenario("test", "What this test wants to go wrong.", faults)


def raw_bars(*faults: Fault, steps: int = len(CLOSES)) -> Kept:
    """Step through the history with a raw stream that is listened to from the beginning."""
    kept = Kept()
    with exchange(minutes(WORDS), scenario=scripted(*faults)) as venue:
        venue.on_bars(kept.keep, raw_data=True)
        venue.step(steps)
    return kept


def test_by_itself_nothing_is_wrong_and_the_stream_equals_the_history() -> None:
    kept = Kept()
    with exchange(minutes(WORDS)) as venue:
        venue.on_bars(kept.keep, raw_data=True)
        venue.step(len(CLOSES))
        history = venue.data.get_stock_bars(
            StockBarsRequest(
                symbol_or_symbols=SYMBOL,
                timeframe=TimeFrame.Minute,
                start=at("00:00"),
                feed=DataFeed.IEX,
            )
        )[SYMBOL]

    assert kept.closes == CLOSES
    names = dict(zip("ohlcv", ("open", "high", "low", "close", "volume"), strict=True))
    for streamed, past in zip(kept.bars, history, strict=True):
        assert streamed["t"].to_datetime() == past.timestamp
        assert {name: streamed[name] for name in names} == {
            name: getattr(past, field) for name, field in names.items()
        }
        assert (streamed["n"], streamed["vw"]) == (past.trade_count, past.vwap)


def test_minutes_can_be_lost() -> None:
    kept = raw_bars(Fault("data bar", "drop", nth="2-4"))

    assert kept.closes == [CLOSES[0], *CLOSES[4:]]


def test_a_text_frame_is_lost_on_alpaca_py(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL):
        kept = raw_bars(Fault("data bar", "text", nth="3"))

    assert kept.closes == [*CLOSES[:2], *CLOSES[3:]]


@pytest.mark.parametrize(
    ("fault", "field", "value"),
    [
        (Fault("data bar", "set", nth="2", field="t", value="2024-01-03T14:31:00Z"), "t", str),
        (Fault("data bar", "remove", nth="2", field="vw"), "vw", type(None)),
    ],
)
def test_a_raw_stream_shows_a_field_that_is_not_as_it_should_be(
    fault: Fault, field: str, value: type
) -> None:
    kept = raw_bars(fault)
    kinds = [type(bar.get(field)) for bar in kept.bars]

    assert kept.closes == CLOSES
    assert kinds[1] is value
    assert value not in (kinds[0], kinds[2])


def test_a_mute_connection_is_replaced_by_a_client_that_minds() -> None:
    kept = Kept()
    with exchange(minutes(WORDS), scenario=scripted(Fault("data bar", "mute", nth="2"))) as venue:
        stream = bars_of(venue, kept, data_timeout=0.3)
        venue.step(3)
        assert kept.closes == CLOSES[:1]
        venue.sim.wait_for_subscriptions(2, seconds=10)
        venue.step()
        assert stream._running

    assert kept.closes == [CLOSES[0], CLOSES[3]]


def test_a_connection_that_is_cut_comes_back_without_what_it_missed() -> None:
    kept = Kept()
    with exchange(minutes(WORDS), scenario=scripted(Fault("data bar", "close", nth="2"))) as venue:
        bars_of(venue, kept)
        venue.step(2)
        venue.sim.wait_for_subscriptions(2, seconds=10)
        venue.step(2)

    assert kept.closes == [CLOSES[0], *CLOSES[2:4]]


def test_daily_bars_of_the_stream_are_the_running_day() -> None:
    kept = Kept()
    with exchange(minutes(WORDS)) as venue:
        venue.on_bars(kept.keep, daily=True, raw_data=True)
        venue.step(3)

    assert kept.closes == CLOSES[:3]
    assert {bar["t"].to_datetime() for bar in kept.bars} == {at("00:00")}
    assert {bar["o"] for bar in kept.bars} == {kept.bars[0]["o"]}


def test_two_sessions_show_nothing_of_the_second_before_its_time() -> None:
    with exchange(joined(minutes(WORDS), minutes(WORDS, session=NEXT))) as venue:
        venue.step(len(CLOSES))
        asked = StockBarsRequest(
            symbol_or_symbols=SYMBOL,
            timeframe=TimeFrame.Day,
            start=at("00:00"),
            end=at("23:00", NEXT) + timedelta(days=9),
            feed=DataFeed.IEX,
        )
        first = venue.data.get_stock_bars(asked)[SYMBOL]
        venue.step()
        second = venue.data.get_stock_bars(asked)[SYMBOL]

    assert [bar.timestamp for bar in first] == [at("00:00", SESSION)]
    assert [bar.timestamp for bar in second] == [at("00:00", SESSION), at("00:00", NEXT)]
    assert second[1].close == CLOSES[0]


def bars_of(venue: Rehearsal, kept: Kept, **given: Any) -> StockDataStream:
    """A raw stream that returns at once when its connection is lost."""
    stream = StockDataStream(
        venue.sim.key,
        venue.sim.secret,
        raw_data=True,
        url_override=venue.sim.urls.data_stream,
        **given,
    )
    stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.02
    stream.subscribe_bars(venue.counted(kept.keep), SYMBOL)
    venue.run(stream)
    wait_until(lambda: stream._running)
    return stream
