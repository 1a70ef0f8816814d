# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the profit came from: the parts add up to the cent, and are those of the raw fills."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

import iverson as iv
from iverson.model import CashFlow, Fill, Trade
from iverson.monitoring.journal import Journal
from iverson.reports.journaled import Journaled, read
from iverson.reports.periods import month_of
from iverson.reports.profit import months_frame, profit
from iverson.testing import noise
from tests.reports.hand_made import account, close, deposit, sessions, told_of, trade


class Often(iv.Strategy):
    """Buy every close, leave a session later."""

    warm_up = 63
    params = dict(max_sessions=1)

    def entry(self, data):
        return iv.Long(confidence=3, limit=data.close, stop=data.close * 0.97)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Journaled:
    made = noise("A B C", seed=2, sessions=260)
    path: Path = tmp_path_factory.mktemp("profit") / "a.db"
    iv.System(Often, list(made), bars=made).backtest(journal=path)
    with Journal(path, read_only=True) as journal:
        return read(journal)


def months(told: Journaled) -> list[date]:
    return sorted({session.replace(day=1) for session in told.sessions})


def test_parts_of_every_month_are_those_of_the_raw_fills(told: Journaled) -> None:
    """Walk through the fills in plain Python: whoever is flat again has closed a trade."""
    held: dict[str, float] = defaultdict(float)
    trip: dict[str, list[Fill]] = defaultdict(list)
    gross, commission, spread, net = (defaultdict(float) for _ in range(4))
    for fill in told.of(Fill):
        sign = 1 if fill.side == "buy" else -1
        held[fill.symbol] += sign * fill.size
        trip[fill.symbol].append(fill)
        if held[fill.symbol]:
            continue
        month = fill.session.replace(day=1)
        for one in trip.pop(fill.symbol):
            buys = 1 if one.side == "buy" else -1
            quoted = one.price - buys * one.spread
            gross[month] -= buys * one.size * quoted
            commission[month] += one.commission
            spread[month] += one.size * one.spread
            net[month] -= buys * one.size * one.price + one.commission

    assert len(net) > 5
    for month in months(told):
        found = profit(told, month_of(month))
        assert found.gross == pytest.approx(gross[month], abs=1e-6)
        assert found.commission == pytest.approx(commission[month], abs=1e-9)
        assert found.spread == pytest.approx(spread[month], abs=1e-9)
        assert found.net == pytest.approx(net[month], abs=1e-6)


def test_months_add_up_to_the_change_of_equity(told: Journaled) -> None:
    change = told.equity.iloc[-1] - told.run.cash
    table = months_frame(told)

    assert sum(profit(told, month_of(one)).total for one in months(told)) == pytest.approx(change)
    assert table["pnl"].sum() == pytest.approx(change)
    assert table["trades"].sum() == len(told.of(Trade))
    assert (1 + table["return"]).prod() == pytest.approx(told.equity.iloc[-1] / told.run.cash)


def test_months_are_those_of_pandas_resampling(told: Journaled) -> None:
    closes = told.equity.resample("ME").last()
    before = closes.shift(1, fill_value=told.run.cash)
    table = months_frame(told)

    assert table["return"].to_numpy() == pytest.approx((closes / before - 1).to_numpy())
    assert table.index.tolist() == [f"{end:%Y-%m}" for end in closes.index]
    for end, start in before.items():
        own = told.equity[f"{end:%Y-%m}"]
        level = pd.concat([pd.Series([start]), own])
        assert table.loc[f"{end:%Y-%m}", "drawdown"] == pytest.approx(
            (level / level.cummax()).min() - 1
        )


def test_trade_over_the_end_of_a_month_counts_in_the_later_one() -> None:
    last, first = sessions(date(2024, 1, 31), 2)
    values = [
        account(last, 10_030.0, held=1_000, positions=1),  # open, 30 ahead
        trade(first, 20.0, commission=1.0, spread=2.0, dividends=5.0, entry_session=last),
        account(first, 10_020.0),
    ]
    january, february = (profit(told_of(values), month_of(day)) for day in (last, first))

    assert (january.net, january.rest, january.total) == (0.0, pytest.approx(30.0), 30.0)
    assert (february.net, february.rest) == (20.0, pytest.approx(-30.0))
    assert february.gross == pytest.approx(20.0 + 1.0 + 2.0 - 5.0)
    assert january.total + february.total == pytest.approx(20.0)


def test_deposit_is_no_profit_and_interest_is() -> None:
    one, two = sessions(date(2024, 1, 8), 2)
    interest = CashFlow(close(two), two, "", "interest", 3.0)
    values = [account(one, 10_000), deposit(two, 500.0), interest, account(two, 10_503)]
    found = profit(told_of(values), month_of(one))

    assert found.total == pytest.approx(3.0)
    assert (found.net, found.other) == (0.0, 3.0)
