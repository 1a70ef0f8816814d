# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders of a plain strategy over Alpaca's own sockets when those, or the venue, let it down."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

import backtrader as bt
import pytest

from iverson.execution.alpaca.store import AlpacaStore
from iverson.simulator.faults import Fault
from iverson.simulator.scenarios import Scenario
from iverson.testing import exchange
from tests.execution.alpaca.test_plain_script import SECONDS, wait
from tests.simulator.rehearsing import SESSION, at, minutes

PRICES = "100 101 102 103 104 105 106 107"
BUYS_AT, SHARES = 3, 10
NEVER = 1e9  # seconds between polls


class Buyer(bt.Strategy):
    """Buys once, as soon as it is live; keeps what it sees."""

    def __init__(self) -> None:
        self.bars: list[tuple[str, datetime]] = []
        self.notified: list[str] = []
        self.bars_when: dict[str, int] = {}

    def notify_order(self, order: Any) -> None:
        self.notified.append(order.getstatusname())
        self.bars_when.setdefault(order.getstatusname(), len(self))

    def next(self) -> None:
        self.bars += [(data._name, data.datetime.datetime(0)) for data in self.datas if len(data)]
        if len(self) == BUYS_AT:
            self.buy(size=SHARES)

    prenext = next  # noqa: A003 (Backtrader's name)


def trade(
    venue: Any, market: Callable[[Any, Any], None], *, symbols: tuple[str, ...] = ("TEST",),
    **options: Any,
) -> Any:  # fmt: skip
    """Run the buyer while `market` moves the exchange, given the exchange and the strategy."""
    sim = venue.sim
    store = AlpacaStore(
        sim.key, sim.secret, url=sim.urls.trading, limited=False, clock=lambda: sim.now,
        poll_seconds=NEVER, **options,
    )  # fmt: skip
    cerebro = bt.Cerebro(stdstats=False, quicknotify=True)
    cerebro.setbroker(store.getbroker())
    for symbol in symbols:
        cerebro.adddata(store.getdata(dataname=symbol, qcheck=0.02), name=symbol)
    cerebro.addstrategy(Buyer)
    errors: list[BaseException] = []

    def move() -> None:
        try:
            sim.wait_for_subscriptions(2, seconds=SECONDS)
            wait(lambda: bool(cerebro.runningstrats))
            market(sim, cerebro.runningstrats[0])
        except BaseException as error:  # noqa: BLE001 (raised below, in the test's own thread)
            errors.append(error)
        finally:
            cerebro.runstop()

    moving = threading.Thread(target=move)
    moving.start()
    (strategy,) = cerebro.run()
    moving.join(SECONDS)
    if errors:
        raise errors[0]
    return strategy


def step_all(sim: Any, strategy: Any, count: int, symbols: int = 1) -> None:
    """Move on bar by bar, each once the one before was seen."""
    for number in range(1, count + 1):
        sim.step()
        wait(lambda number=number: len(set(strategy.bars)) >= number * symbols)


def test_fill_that_is_lost_with_its_socket_is_found_when_the_socket_is_back() -> None:
    """Alpaca repeats nothing; no poll is due in this test for years."""
    with exchange(minutes(PRICES), at=at("09:30", SESSION), scenario="dropped-socket") as venue:

        def market(sim: Any, strategy: Any) -> None:
            step_all(sim, strategy, len(PRICES.split()))
            wait(lambda: "Completed" in strategy.notified)

        strategy = trade(venue, market)

    assert strategy.notified == ["Submitted", "Accepted", "Completed"]
    assert strategy.position.size == SHARES


def test_bars_go_on_while_the_venue_limits_requests() -> None:
    limited = Fault(on="POST /v2/orders", nth="1-2", do="status", status=429)
    script = Scenario("limited", "Two orders are answered 429.", (limited,))
    all_seen = threading.Event()  # the order is tried again when all bars have come, not after 3 s
    with exchange(minutes(PRICES), at=at("09:30", SESSION), scenario=script) as venue:

        def market(sim: Any, strategy: Any) -> None:
            step_all(sim, strategy, len(PRICES.split()))
            assert "Accepted" not in strategy.notified
            all_seen.set()
            wait(lambda: "Accepted" in strategy.notified)

        strategy = trade(venue, market, pause=lambda _: all_seen.wait(SECONDS))
        orders = venue.sim.ledger["orders"]

    assert strategy.bars_when["Accepted"] == len(PRICES.split())  # all bars came before it
    assert len(orders) == 1


def test_socket_that_is_refused_again_and_again_is_told_and_the_run_goes_on() -> None:
    alarms: list[tuple[str, str]] = []
    with exchange(minutes(PRICES), at=at("09:30", SESSION)) as venue:

        def market(sim: Any, strategy: Any) -> None:
            strategy.broker.p.store.refused("alpaca-trades")
            step_all(sim, strategy, len(PRICES.split()))

        strategy = trade(venue, market, alarm=lambda *told: alarms.append(told))

    ((rule, words),) = alarms
    assert (rule, "alpaca-trades" in words) == ("socket", True)
    assert len(strategy.bars) == len(PRICES.split())


@pytest.mark.parametrize("symbols", [("ONE", "TWO"), ("ONE", "TWO", "MORE")])
def test_all_symbols_come_by_one_socket(symbols: tuple[str, ...]) -> None:
    """A second one would be refused: the exchange takes one, as a free plan does."""
    given = {symbol: minutes(PRICES, symbol=symbol) for symbol in symbols}
    with exchange(given, at=at("09:30", SESSION)) as venue:
        strategy = trade(
            venue, lambda sim, one: step_all(sim, one, 6, len(symbols)), symbols=symbols
        )
        assert venue.sim.subscriptions == 2  # one of orders, one of bars

    assert {name for name, _ in strategy.bars} == set(symbols)
