# SPDX-License-Identifier: GPL-3.0-or-later
"""Live bars over the socket when it goes wrong: mute, corrected, too many symbols for the plan."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import backtrader as bt
import pytest

from iverson.errors import ConfigError
from iverson.execution.alpaca import live, stream
from iverson.execution.alpaca.store import AlpacaStore
from iverson.simulator.data_settings import DataSwitches
from iverson.testing import exchange
from tests.execution.alpaca.test_plain_script import SECONDS, wait
from tests.simulator.rehearsing import SESSION, at, minutes

PRICES = "100 101 102 103 104 105 106 107"
MUTE_SECONDS = 1.0


@dataclass
class Seen:
    """What a plain strategy was given: closes by the minute's end, and the feed's statuses."""

    bars: list[tuple[Any, float]] = field(default_factory=list)
    volumes: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    late: int = 0


def watch(venue: Any, market: Callable[[Seen], None]) -> Seen:
    """Run a plain strategy that only looks, while `market` moves the exchange."""
    sim, seen = venue.sim, Seen()

    class Watcher(bt.Strategy):
        def notify_data(self, data: Any, status: int, *_: Any, **__: Any) -> None:
            seen.told.append(data._getstatusname(status))

        def next(self) -> None:
            seen.volumes.append(self.data.volume[0])
            seen.bars.append((self.data.datetime.datetime(0), self.data.close[0]))

    store = AlpacaStore(
        sim.key, sim.secret, url=sim.urls.trading, limited=False, clock=lambda: sim.now
    )
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.setbroker(store.getbroker())
    cerebro.adddata(
        store.getdata(
            dataname="TEST", qcheck=0.02, fromdate=at("09:30", SESSION).replace(tzinfo=None)
        )
    )
    cerebro.addstrategy(Watcher)
    errors: list[BaseException] = []

    def move() -> None:
        try:
            sim.wait_for_subscriptions(2, seconds=SECONDS)
            market(seen)
        except BaseException as error:  # noqa: BLE001 (raised below, in the test's own thread)
            errors.append(error)
        finally:
            cerebro.runstop()

    moving = threading.Thread(target=move)
    moving.start()
    cerebro.run()
    moving.join(SECONDS)
    seen.late = cerebro.datas[0].late
    if errors:
        raise errors[0]
    return seen


def test_socket_that_is_mute_is_left_and_its_bars_are_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connected and silent: nothing says so, and nothing would come any more."""
    monkeypatch.setattr(live, "MUTE_SECONDS", MUTE_SECONDS)
    bars = minutes(PRICES)

    with exchange(bars, at=at("09:30", SESSION), scenario="mute-data") as venue:

        def market(seen: Seen) -> None:
            for _ in bars.at:
                venue.sim.step()
            wait(lambda: len(seen.bars) == len(bars))

        seen = watch(venue, market)

    edges = bars.at.astype("datetime64[us]").tolist()
    assert seen.bars == list(zip(edges, bars.close.tolist(), strict=True))  # each once, in order
    after = seen.told.index("LIVE") + 1
    assert seen.told[after : after + 2] == ["CONNBROKEN", "DELAYED"]


def test_bar_that_is_corrected_later_is_not_seen_twice_nor_changed() -> None:
    """First versions lack late trades; the corrections come after 30 seconds, on another channel.

    What the first version gave is what was decided on, in the strategy and in what is kept of it.
    """
    bars = minutes(PRICES)
    data = DataSwitches(bar_delay=timedelta(0), late_share=1.0)
    volumes: list[float] = []

    with exchange(bars, at=at("09:30", SESSION), data=data) as venue:

        def market(seen: Seen) -> None:
            for number in range(1, len(bars) + 1):
                venue.sim.step()
                wait(lambda number=number: len(seen.bars) >= number)
                volumes.append(seen.volumes[-1])
                venue.sim.advance_to(venue.sim.now + timedelta(seconds=45))

        seen = watch(venue, market)

    assert [close for _, close in seen.bars] == bars.close.tolist()
    assert (seen.volumes, seen.late) == (volumes, 0)
    assert all(first < whole for first, whole in zip(volumes, bars.volume, strict=True))


def test_only_the_channel_of_new_bars_is_asked_for() -> None:
    socket = stream.minutes(
        "key", "secret", ["ONE", "TWO"], feed="iex", url="ws://127.0.0.1:9/v2/iex",
        hear=lambda _: None, connected=lambda: None, mute_seconds=None,
    )  # fmt: skip

    asked = {name: sorted(of) for name, of in socket.stream._handlers.items() if of}
    assert asked == {"bars": ["ONE", "TWO"]}


def test_more_symbols_than_the_free_plan_streams_are_refused_before_connecting() -> None:
    """Nobody listens at this address: a connection would fail otherwise, and later."""
    store = AlpacaStore("key", "secret", url="http://127.0.0.1:9")
    for number in range(stream.FREE_SYMBOLS):
        store.getdata(dataname=f"S{number}")

    with pytest.raises(ConfigError, match="streams 30 symbols at most, and 31 are asked for"):
        store.getdata(dataname="ONE")


def test_paid_plan_streams_as_many_symbols_as_are_asked_for() -> None:
    store = AlpacaStore("key", "secret", url="http://127.0.0.1:9", plan="paid")
    for number in range(2 * stream.FREE_SYMBOLS):
        store.getdata(dataname=f"S{number}")

    stream.check_symbols(2 * stream.FREE_SYMBOLS, feed="sip")
