# SPDX-License-Identifier: GPL-3.0-or-later
"""The test kit's exchange: a user's strategy met by the real clients, inside a test."""

from __future__ import annotations

import doctest
import subprocess
import sys
from datetime import date
from typing import Any

import pytest
from alpaca.data.requests import StockBarsRequest
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.requests import MarketOrderRequest

import iverson.testing
from iverson.errors import ConfigError
from iverson.simulator import installed
from iverson.testing import Rehearsal, bars, exchange

ORDER = MarketOrderRequest(symbol="TEST", qty=10, side="buy", time_in_force="day")


def test_a_gap_in_words_is_met_by_a_real_client() -> None:
    with exchange("100 101 99 | gap 90") as venue:
        venue.step()
        order = venue.trading.submit_order(ORDER)
        venue.step()
        (position,) = venue.ledger["positions"]
        assert (position["qty"], position["avg_entry_price"]) == ("10", "100")

        venue.step(2)
        filled = venue.trading.get_order_by_id(order.id)
        assert filled.filled_avg_price == "100"
        assert venue.ledger["account"]["equity"] == f"{100_000 + 10 * (90 - 100)}"


def test_daily_orders_fill_at_the_next_open() -> None:
    with exchange("100 | gap 120 125") as venue:
        venue.step()
        venue.trading.submit_order(ORDER)
        venue.step(2)

        assert [one["price"] for one in venue.ledger["fills"]] == ["120"]


def test_a_step_says_how_many_bars_there_were() -> None:
    with exchange("100 101 102") as venue:
        assert [venue.step(), venue.step(10), venue.step()] == [1, 2, 0]


def test_a_step_waits_until_every_handler_is_done() -> None:
    done: list[str] = []

    async def slow(update: Any) -> None:
        import asyncio

        await asyncio.sleep(0.05)
        done.append(update.event)

    async def on_bar(bar: Any) -> None:
        done.append(f"bar {bar.close:g}")

    with exchange("100 101 102") as venue:
        venue.on_trade_updates(slow)
        venue.on_bars(on_bar, daily=True)
        venue.step()
        venue.trading.submit_order(ORDER)
        venue.step()

        assert sorted(done) == sorted(["bar 100", "accepted", "new", "fill", "bar 101"])


def test_a_handler_that_fails_counts_too() -> None:
    async def broken(_: Any) -> None:
        raise RuntimeError("a strategy's bug")

    with exchange("100 101 102") as venue:
        venue.on_trade_updates(broken)
        venue.step()
        venue.trading.submit_order(ORDER)

        assert venue.step() == 1


def test_history_is_there_but_not_the_future() -> None:
    wanted = StockBarsRequest(
        symbol_or_symbols="TEST", timeframe=TimeFrame.Day, start=date(2024, 1, 1), feed="iex"
    )
    with exchange("100 101 102 103") as venue:
        venue.step(2)
        found = venue.data.get_stock_bars(wanted)

    assert [bar.close for bar in found.data["TEST"]] == [100, 101]


def test_clients_are_made_once_and_do_not_retry() -> None:
    with exchange("100") as venue:
        for name in ("trading", "data", "news", "corporate_actions"):
            client = getattr(venue, name)
            assert client is getattr(venue, name)
            assert client._retry == 0


@pytest.mark.parametrize(
    "history",
    ["100 101", bars("100 101"), {"TEST": bars("100 101")}],
    ids=["words", "bars", "by symbol"],
)
def test_history_comes_in_words_as_bars_or_by_symbol(history: Any) -> None:
    with exchange(history) as venue:
        assert venue.step(5) == 2


def test_options_are_the_simulators() -> None:
    with exchange("100 101", cash=5_000, scenario="rejected-order") as venue:
        assert isinstance(venue, Rehearsal)
        venue.step()
        venue.trading.submit_order(ORDER)
        venue.step()

        assert venue.ledger["account"]["cash"] == "5000"
        assert venue.ledger["orders"][0]["status"] == "rejected"
        assert venue.log.count('"kind":"TradeUpdate"') >= 2


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "NEEDED", ("msgpack", "no_such_library"))

    with (
        pytest.raises(ConfigError, match=r"needs no_such_library; run `pip install iverson\[sim"),
        exchange("100"),
    ):
        pass


def test_the_kit_is_quick_to_import() -> None:
    code = (
        "import iverson.testing, sys; "
        "print(*[one for one in ('alpaca', 'starlette', 'uvicorn') if one in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == ""


def test_what_the_kit_offers_is_listed() -> None:
    assert set(iverson.testing.__all__) >= {"bars", "book", "exchange", "run_signals"}
    assert all(hasattr(iverson.testing, name) for name in iverson.testing.__all__)
    assert doctest.testmod(iverson.testing).failed == 0
