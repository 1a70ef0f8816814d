# SPDX-License-Identifier: GPL-3.0-or-later
"""Bars as they come: right edges, gaps, late bars, longer bars, sockets that start and stop.

Covers of the adapter's contract: one data connection for all symbols; gaps after a reconnection;
time stamps and the session's edges; minutes without a bar; bars that come late; what Cerebro is
told about waiting data; sockets in threads; keys that a socket refuses.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import backtrader as bt
import pytest
from alpaca.data.enums import DataFeed

from iverson.execution.alpaca import stream as sockets
from iverson.execution.alpaca.feed import AlpacaData
from iverson.execution.alpaca.hub import Candle, Hub
from iverson.testing import bars, exchange

OPEN = datetime(2024, 1, 3, 14, 30, tzinfo=UTC)  # 09:30 New York
MINUTE = timedelta(minutes=1)


def minute(number: int, price: float = 100.0, symbol: str = "TEST", volume: float = 10.0) -> Candle:
    """The minute that starts so many minutes after the open."""
    return Candle(symbol, OPEN + number * MINUTE, price, price + 1, price - 1, price, volume)


def hub(*symbols: str, length: int = 1, clock: Any = None) -> Hub:
    return Hub(symbols or ("TEST",), length=length, monotonic=clock or (lambda: 0.0))


def taken(of: Hub, symbol: str = "TEST") -> list[Candle]:
    found = []
    while (bar := of.take(symbol)) is not None:
        found.append(bar)
    return found


def test_bar_is_known_by_its_right_edge_and_the_close_belongs_to_the_session() -> None:
    last = minute(389)

    of = hub()
    of.hear(last)

    assert [bar.at for bar in taken(of)] == [datetime(2024, 1, 3, 21, tzinfo=UTC)]


@pytest.mark.parametrize("number", [-1, 390], ids=["before the open", "after the close"])
def test_bars_outside_the_regular_session_are_passed_over(number: int) -> None:
    of = hub()
    of.hear(minute(number))

    assert taken(of) == []


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2024-03-08", "14:30", "21:00"), ("2024-03-11", "13:30", "20:00"),  # clocks go forward
        ("2024-11-01", "13:30", "20:00"), ("2024-11-04", "14:30", "21:00"),  # and back
        ("2024-11-29", "14:30", "18:00"),  # half a day
    ],
)  # fmt: skip
def test_session_is_that_of_new_york_in_summer_in_winter_and_on_half_days(
    day: str, opens: str, closes: str
) -> None:
    opened, closed = (datetime.fromisoformat(f"{day}T{clock}+00:00") for clock in (opens, closes))
    of = hub(length=5)
    at = opened - 10 * MINUTE
    while at < closed + 10 * MINUTE:
        of.hear(Candle("TEST", at, 100.0, 101.0, 99.0, 100.0, 10.0))
        at += MINUTE

    found = [bar.at for bar in taken(of)]

    assert (found[0], found[-1]) == (opened + 5 * MINUTE, closed)
    assert len(found) == (closed - opened) / (5 * MINUTE)


def test_five_minutes_are_those_of_the_session_and_not_of_the_labels() -> None:
    of = hub(length=5)
    for number in range(10):
        of.hear(minute(number, 100.0 + number))

    found = taken(of)

    assert [(bar.at - OPEN) / MINUTE for bar in found] == [5, 10]
    assert [(bar.open, bar.high, bar.low, bar.close) for bar in found] == [
        (100, 105, 99, 104), (105, 110, 104, 109),
    ]  # fmt: skip
    assert [bar.volume for bar in found] == [50, 50]


def test_minute_without_a_bar_makes_none_and_does_not_hold_up_the_others() -> None:
    seconds = [0.0]
    of = hub("TEST", "QUIET", clock=lambda: seconds[0])
    of.hear(minute(0))
    assert taken(of) == []  # the other may still come

    seconds[0] = 2.0

    assert [bar.at for bar in taken(of)] == [OPEN + MINUTE]
    assert taken(of, "QUIET") == []


def test_bar_that_comes_late_is_counted_and_left_out() -> None:
    of = hub()
    of.hear(minute(0))
    of.hear(minute(1))
    assert len(taken(of)) == 2

    of.hear(minute(0, 90.0))
    of.hear(minute(1))

    assert (taken(of), of.late) == ([], 2)


class Once:
    """A hub whose bars wait until the socket has been connected so often."""

    def __init__(self, batches: list[list[Candle]], over: Any) -> None:
        self.batches, self.over, self.connected = batches, over, 1

    @property
    def waiting(self) -> bool:
        return any(self.batches)

    def take(self, _: str) -> Candle | None:
        if not self.batches:
            self.over()
            return None
        if not self.batches[0]:
            self.batches.pop(0)
            self.connected += 1
            return None
        return self.batches[0].pop(0)

    def wait(self, _: float) -> None:
        """Nothing comes by waiting."""


def test_gap_after_a_reconnection_is_filled_before_bars_are_live_again() -> None:
    told: list[str] = []
    seen: list[float] = []

    class Watcher(bt.Strategy):
        def next(self) -> None:
            seen.append((self.data.datetime.datetime(0).replace(tzinfo=UTC) - OPEN) / MINUTE)

        def notify_data(self, data: Any, status: int, *_: Any, **__: Any) -> None:
            told.append(data._getstatusname(status))

    cerebro = bt.Cerebro(stdstats=False)
    source = Once([[minute(0), minute(1)], [minute(5)], [minute(6)]], cerebro.runstop)
    missed = {1: [], 2: [minute(2), minute(3), minute(1)], 3: [minute(5)]}
    feed = AlpacaData(
        dataname="TEST", timeframe=bt.TimeFrame.Minutes, hub=source, qcheck=0.0,
        connections=lambda: source.connected,
        missed=lambda _symbol, _after: missed.get(source.connected, []),
    )  # fmt: skip
    cerebro.adddata(feed)
    cerebro.addstrategy(Watcher)
    cerebro.run()

    assert seen == [1, 2, 3, 4, 6, 7]  # strictly increasing, each once
    assert told[:5] == ["DELAYED", "LIVE", "CONNBROKEN", "DELAYED", "LIVE"]
    assert feed.late == 2


def test_waiting_data_is_said_to_wait_only_when_there_is_some() -> None:
    of = hub()
    feed = AlpacaData(dataname="TEST", hub=of)
    feed._past, feed._kept = [], None  # type: ignore[assignment]  # as after its history
    assert feed.haslivedata() is False

    of.hear(minute(0))

    assert feed.haslivedata() is True


def test_minute_that_waits_for_a_quiet_symbol_is_not_waited_for_in_a_busy_loop() -> None:
    """Cerebro polls without a pause while any feed says that it has data."""
    of = hub("TEST", "QUIET")
    feed = AlpacaData(dataname="TEST", hub=of)
    feed._past, feed._kept = [], None  # type: ignore[assignment]  # as after its history
    of.hear(minute(0))

    assert (feed.haslivedata(), of.empty) == (False, False)

    began = time.monotonic()
    of.wait(0.2)
    assert time.monotonic() - began >= 0.2


def alive() -> set[str]:
    return {one.name for one in threading.enumerate()}


def test_sockets_start_and_stop_in_bounded_time_and_leave_no_thread() -> None:
    with exchange(bars("100 100 100")) as venue:
        sim = venue.sim
        listening = [
            sockets.trades(
                sim.key, sim.secret, paper=True, url=sim.urls.trading_stream,
                hear=lambda _: None, connected=lambda: None,
            ),
            sockets.minutes(
                sim.key, sim.secret, ["TEST"], feed=DataFeed.IEX, url=sim.urls.data_stream,
                hear=lambda _: None, connected=lambda: None, mute_seconds=None,
            ),
        ]  # fmt: skip
        for socket in listening:
            socket.start()
        sim.wait_for_subscriptions(2, seconds=10)
        assert {"alpaca-trades", "alpaca-bars"} <= alive()
        assert [socket.connections for socket in listening] == [1, 1]

        sim.disconnect()
        began = time.monotonic()
        ended = [socket.stop(seconds=20) for socket in listening]

    assert ended == [True, True]
    assert time.monotonic() - began < 20
    assert not {"alpaca-trades", "alpaca-bars"} & alive()


def test_socket_whose_keys_are_refused_says_so_after_three_tries() -> None:
    with exchange(bars("100 100 100")) as venue:
        sim = venue.sim
        socket = sockets.trades(
            sim.key, "wrong", paper=True, url=sim.urls.trading_stream,
            hear=lambda _: None, connected=lambda: None,
        )  # fmt: skip
        socket.start()
        until = time.monotonic() + 30
        while not socket.refused and time.monotonic() < until:
            time.sleep(0.05)
        assert socket.refused
        assert socket.connections == 0
        assert socket.stop(seconds=30)
