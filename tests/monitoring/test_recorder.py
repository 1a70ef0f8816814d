# SPDX-License-Identifier: GPL-3.0-or-later
"""What the recorder writes down of a run, on our broker and on any other."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest

from iverson.execution.costs import Costs
from iverson.market.calendar import new_york
from iverson.model import CashFlow, Fill, OrderEvent
from iverson.monitoring.record import EquityRow, Record
from iverson.monitoring.recorder import Recorder
from iverson.monitoring.trades import TradeBuilder
from iverson.research.backtest import Feed
from iverson.testing import bars, run_orders, run_signals, signal

CASH = 100_000.0
TICK = Costs(0.02, 0, 0, 0, 0, 0, 0)


def buy_then_close(size: int = 10) -> dict[int, Any]:
    return {1: lambda s: s.buy(size=size), 2: lambda s: s.close()}


def test_an_orders_life_is_noted_in_order() -> None:
    record = run_orders(bars("100 100/100/98/99@40 100/100/98/99"), {
        1: lambda s: s.buy(size=10, exectype=bt.Order.Limit, price=99)
    })  # fmt: skip

    events = [(e.session.day, e.status, e.kind, e.leg, e.size) for e in record.of(OrderEvent)]
    assert events == [
        (2, "accepted", "limit", "plain", 10),
        (3, "partially filled", "limit", "plain", 10),
        (4, "filled", "limit", "plain", 10),
    ]
    assert [(fill.session.day, fill.size) for fill in record.fills] == [(3, 4), (4, 6)]


def test_a_fill_says_what_the_spread_cost() -> None:
    record = run_orders(bars("100 100 100"), buy_then_close(), costs=TICK)

    assert [(f.price, f.spread) for f in record.fills] == [
        (pytest.approx(100.01), pytest.approx(0.01)),
        (pytest.approx(99.99), pytest.approx(0.01)),
    ]


def test_equity_is_noted_once_a_bar() -> None:
    record = run_orders(bars("100 100 110"), {1: lambda s: s.buy(size=10)}, cash=CASH)

    rows = [
        (r.session.day, r.cash, r.equity, r.positions_value, r.positions) for r in record.equity
    ]
    assert rows == [
        (2, CASH, CASH, 0, 0),
        (3, CASH - 1_000, CASH, 1_000, 1),
        (4, CASH - 1_000, CASH + 100, 1_100, 1),
    ]


def test_a_dividend_stands_before_the_fills_of_its_bar() -> None:
    """It is paid on what was held at the open; the close() of that bar comes after."""
    record = run_orders(bars("100 100 100", dividends={2: 0.5}), buy_then_close())

    kinds = [type(v) for v in record.values if isinstance(v, CashFlow | Fill)]
    assert kinds == [Fill, CashFlow, Fill]
    assert record.trades[0].dividends == 5


def test_a_split_to_nothing_notes_the_trade_it_ends() -> None:
    record = run_orders(bars("10 10 gap 100 100", splits={2: 0.1}), {1: lambda s: s.buy(size=5)})

    (trade,) = record.trades
    assert (trade.exit_reason, trade.exit_session.day, trade.pnl) == ("split", 4, 0)


def test_plain_orders_are_numbered_by_run_and_brackets_named_by_key() -> None:
    first = run_orders(bars("100 100 100"), buy_then_close())
    again = run_orders(bars("100 100 100"), buy_then_close())
    named = run_signals(bars("100 100/100/98/99 99"), {1: signal(limit=99, stop=95)})

    assert [f.order_id for f in first.fills] == [f.order_id for f in again.fills]
    assert [f.order_id for f in first.fills] == ["plain-1", "plain-2"]
    assert named.record.fills[0].order_id == "TEST-20240102T2100-long-entry"


def test_a_search_keeps_equity_and_trades_only() -> None:
    record = record_on(None, Record(full=False))

    assert {type(value).__name__ for value in record.values} == {"EquityRow", "Trade"}


def test_stock_backtraders_broker_is_recorded_as_well() -> None:
    """It knows no spread and no ambiguity; the rest is the same."""
    record = record_on(bt.brokers.BackBroker(cash=CASH), Record())

    assert [(f.side, f.size, f.price, f.spread, f.ambiguous) for f in record.fills] == [
        ("buy", 10, 100, 0, False),
        ("sell", 10, 100, 0, False),
    ]
    assert [trade.pnl for trade in record.trades] == [0]


def test_warm_up_is_not_noted() -> None:
    record = record_on(None, Record(), since=bt.date2num(bars("1 1").session[1].item()))

    assert [row.session.day for row in record.of(EquityRow)] == [3, 4]


def record_on(broker: Any, record: Record, **params: Any) -> Record:
    from iverson.execution.equity_broker import EquityBroker

    plan = buy_then_close()

    class Planned(bt.Strategy):
        def next(self) -> None:
            if len(self) in plan:
                plan[len(self)](self)

    given = bars("100 100 100")
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.setbroker(broker or EquityBroker(cash=CASH, costs=Costs.none()))
    cerebro.adddata(Feed(given).data(slice(0, len(given))), name=given.symbol)
    builder = TradeBuilder(new_york().ordinal)
    cerebro.addanalyzer(Recorder, record=record, builder=builder, **params)
    cerebro.addstrategy(Planned)
    cerebro.run()
    return record
