# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain Backtrader strategy on store, broker and feeds: no desk, no journal, nothing of ours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import backtrader as bt
import pytest

from iverson.errors import ConfigError
from iverson.execution.alpaca.store import AlpacaStore
from iverson.testing import exchange
from tests.simulator.rehearsing import SESSION, at, minutes

PRICES = "100 101 102 103 104 105 106 107"
BEFORE = 3  # minutes that were over when the script began
BUYS_AT, SHARES = 5, 10
SECONDS = 30.0


class Plain(bt.Strategy):
    """Buys once, live; keeps what it was told."""

    params: Any = (("heard", None),)

    def __init__(self) -> None:
        self.live = False
        self.bars: list[tuple[datetime, float]] = []
        self.told: list[str] = []
        self.notified: list[tuple[str, float]] = []

    def notify_data(self, data: Any, status: int, *_: Any, **__: Any) -> None:
        self.told.append(data._getstatusname(status))
        self.live = status == data.LIVE

    def notify_order(self, order: Any) -> None:
        self.notified.append((order.getstatusname(), order.executed.size))

    def next(self) -> None:
        self.bars.append((self.data.datetime.datetime(0), self.data.close[0]))
        if len(self) == BUYS_AT and self.live:
            self.buy(size=SHARES, exectype=bt.Order.Market)
        self.p.heard(self)


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not until():
        assert time.monotonic() < end, "the script did not go on"
        time.sleep(0.01)


def test_plain_strategy_sees_history_then_live_bars_and_its_order_is_filled() -> None:
    bars = minutes(PRICES)
    seen: list[Any] = []
    with exchange(bars, at=at("09:30", SESSION)) as venue:
        sim = venue.sim
        for _ in range(BEFORE):
            sim.step()
        store = AlpacaStore(
            sim.key, sim.secret, url=sim.urls.trading, limited=False, clock=lambda: sim.now,
            poll_seconds=1.0,  # of the exchange, so once a bar
        )  # fmt: skip
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.setbroker(store.getbroker())
        cerebro.adddata(
            store.getdata(
                dataname="TEST", qcheck=0.02,
                fromdate=at("09:30", SESSION).replace(tzinfo=None),
            )
        )  # fmt: skip
        cerebro.addstrategy(Plain, heard=seen.append)

        def market() -> None:
            sim.wait_for_subscriptions(2, seconds=SECONDS)
            wait(lambda: bool(seen))
            try:
                for number in range(BEFORE + 1, len(bars) + 1):
                    sim.step()
                    wait(lambda number=number: len(seen[-1].bars) >= number)
                    wait(lambda: store.worker.idle)
                wait(lambda: ("Completed", SHARES) in seen[-1].notified)
            finally:
                cerebro.runstop()

        moving = threading.Thread(target=market)
        moving.start()
        (strategy,) = cerebro.run()
        moving.join(SECONDS)
        held = {one.symbol: float(one.qty) for one in venue.trading.get_all_positions()}

    assert [close for _, close in strategy.bars] == bars.close.tolist()
    edges = [one.replace(tzinfo=UTC) for one in bars.at.astype("datetime64[us]").tolist()]
    assert [when.replace(tzinfo=UTC) for when, _ in strategy.bars] == edges
    assert strategy.told == ["DELAYED", "LIVE"]
    assert strategy.position.size == SHARES
    assert held == {"TEST": SHARES}


def test_longer_bars_are_made_by_resampling_and_end_by_the_clock_of_the_venue() -> None:
    bars = minutes(PRICES + " 108")
    seen: list[Any] = []
    with exchange(bars, at=at("09:30", SESSION)) as venue:
        sim = venue.sim
        for _ in range(BEFORE):
            sim.step()
        store = AlpacaStore(
            sim.key, sim.secret, url=sim.urls.trading, limited=False, clock=lambda: sim.now
        )
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.setbroker(store.getbroker())
        cerebro.resampledata(
            store.getdata(
                dataname="TEST", qcheck=0.02,
                fromdate=at("09:30", SESSION).replace(tzinfo=None),
            ),
            timeframe=bt.TimeFrame.Minutes, compression=2,
        )  # fmt: skip
        cerebro.addstrategy(Plain, heard=seen.append)

        def market() -> None:
            try:
                sim.wait_for_subscriptions(2, seconds=SECONDS)
                for number in range(BEFORE + 1, len(bars) + 1):
                    sim.step()
                    if number % 2 == 0:
                        wait(lambda number=number: bool(seen) and len(seen[-1].bars) * 2 >= number)
            finally:
                cerebro.runstop()

        moving = threading.Thread(target=market)
        moving.start()
        (strategy,) = cerebro.run()
        moving.join(SECONDS)

    pairs = len(bars) // 2
    edges = bars.at.astype("datetime64[us]").tolist()
    assert [when for when, _ in strategy.bars] == edges[1 : 2 * pairs : 2]
    assert [close for _, close in strategy.bars] == bars.close[1 : 2 * pairs : 2].tolist()


def test_second_feed_of_a_symbol_is_refused() -> None:
    store = AlpacaStore("key", "secret", url="http://127.0.0.1:9")
    store.getdata(dataname="TEST")

    with pytest.raises(ConfigError, match="resample or clone"):
        store.getdata(dataname="TEST")


def test_feeds_need_keys_even_where_the_connection_is_given() -> None:
    with pytest.raises(ConfigError, match="key is empty"):
        AlpacaStore(rest=object()).getdata(dataname="TEST")
