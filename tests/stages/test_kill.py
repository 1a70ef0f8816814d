# SPDX-License-Identifier: GPL-3.0-or-later
"""The kill switch against the exchange on loopback, which alpaca-py takes for Alpaca."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.enums import OrderClass, OrderSide, TimeInForce
from alpaca.trading.requests import (
    LimitOrderRequest,
    MarketOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)

from iverson.execution.alpaca.pace import Pace
from iverson.execution.alpaca.rest import Rest
from iverson.execution.alpaca.venue import Venue
from iverson.market.calendar import new_york
from iverson.stages.kill import Killed, kill
from iverson.testing.exchange import Rehearsal, exchange
from tests.stages.trading_kit import history

DAY = date(2005, 3, 1)
SIZE = 10
FAR = 0.5  # of the price: a limit that is never met


@pytest.fixture
def venue() -> Iterator[Rehearsal]:
    """Within the session: ten shares of IBM under a bracket, an entry of MSFT that waits."""
    bars = history()
    opened = new_york().open_at(DAY) + timedelta(minutes=30)
    with exchange(bars, at=opened) as made:
        price = float(bars["IBM"].between(DAY, DAY).open[0])
        made.trading.submit_order(bracket("IBM", limit=round(price * 1.2, 2), at=price))
        low = float(bars["MSFT"].between(DAY, DAY).open[0])
        made.trading.submit_order(bracket("MSFT", limit=round(low * FAR, 2), at=low * FAR))
        made.sim.advance_to(made.sim.now + timedelta(minutes=5))
        assert [one["symbol"] for one in made.ledger["positions"]] == ["IBM"]
        yield made


def bracket(symbol: str, *, limit: float, at: float) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol=symbol, qty=SIZE, side=OrderSide.BUY, time_in_force=TimeInForce.GTC,
        limit_price=limit, order_class=OrderClass.BRACKET,
        take_profit=TakeProfitRequest(limit_price=round(at * 1.5, 2)),
        stop_loss=StopLossRequest(stop_price=round(at * 0.8, 2)),
    )  # fmt: skip


def killed(venue: Rehearsal, **options: Any) -> Killed:
    rest = Rest(venue.sim.key, venue.sim.secret, paper=True, url=venue.sim.urls.trading)
    account = Venue(rest, Pace(time.monotonic, time.sleep), lambda: venue.sim.now, time.sleep)
    try:
        return kill(
            account,
            pause=lambda seconds: venue.sim.advance_to(venue.sim.now + timedelta(seconds=seconds)),
            **options,
        )
    finally:
        rest.close()


def alive(venue: Rehearsal) -> set[tuple[str, str]]:
    """(symbol, kind) of what can still fill."""
    found = set()
    for order in venue.ledger["orders"]:
        for one in (order, *(order["legs"] or ())):
            if one["status"] in ("new", "accepted", "held", "partially_filled"):
                found.add((one["symbol"], one["type"]))
    return found


def test_entries_are_taken_back_and_protection_stays(venue: Rehearsal) -> None:
    result = killed(venue)

    assert result.done
    assert {one.symbol for one in result.cancelled} == {"MSFT"}
    assert alive(venue) == {("IBM", "limit"), ("IBM", "stop")}
    assert [one.symbol for one in result.positions] == ["IBM"]


def test_flatten_leaves_nothing(venue: Rehearsal) -> None:
    result = killed(venue, flatten=True)

    assert result.done
    assert venue.ledger["positions"] == []
    assert alive(venue) == set()
    assert "positions: none" in str(result)


def test_flatten_after_hours_says_what_waits_for_the_open(venue: Rehearsal) -> None:
    """The closing order waits at the exchange; run again after the open nothing is left."""
    venue.sim.advance_to(new_york().close_at(DAY) + timedelta(hours=5))

    late = killed(venue, flatten=True)

    assert not late.done
    assert "closing orders wait for the open" in str(late)
    assert [one.symbol for one in late.positions] == ["IBM"]
    assert {symbol for symbol, _ in alive(venue)} == {"IBM"}

    following = new_york().offset(DAY, 1)
    venue.sim.advance_to(new_york().open_at(following) + timedelta(minutes=10))
    assert killed(venue, flatten=True).done
    assert venue.ledger["positions"] == []


def test_suspended_account_takes_no_more_orders(venue: Rehearsal) -> None:
    assert "refuses new orders" in str(killed(venue, suspend=True))

    order = MarketOrderRequest(
        symbol="AAPL", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.DAY
    )
    with pytest.raises(APIError):
        venue.trading.submit_order(order)
    assert ("IBM", "stop") in alive(venue)


def test_kill_twice_is_harmless(venue: Rehearsal) -> None:
    killed(venue)
    orders = len(venue.ledger["orders"])

    again = killed(venue)

    assert (again.done, again.cancelled) == (True, ())
    assert len(venue.ledger["orders"]) == orders
