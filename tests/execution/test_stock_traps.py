# SPDX-License-Identifier: GPL-3.0-or-later
"""Traps of Backtrader's own broker, each shown twice: `BackBroker` falls in, `EquityBroker` not."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import backtrader as bt
import pytest

from iverson.execution.equity_broker import EquityBroker
from iverson.market.bars import Bars
from iverson.model import Fill
from iverson.monitoring.record import Record
from iverson.testing import Plan, bars, run_orders

CASH = 100_000.0
LIMIT, STOP, TARGET = 99.0, 95.0, 105.0


def run(broker: str, given: Bars | dict[str, Bars], plan: Plan, **options: Any) -> Record:
    stock = bt.brokers.BackBroker(cash=CASH) if broker == "stock" else None
    return run_orders(given, plan, cash=CASH, broker=stock, **options)


def fills(record: Record) -> list[tuple[int, str, float, float]]:
    """Day of January, side, size, price."""
    return [(f.session.day, f.side, f.size, f.price) for f in record.fills]


def bracket(**more: Any) -> Any:
    return lambda s: s.buy_bracket(size=10, price=LIMIT, stopprice=STOP, limitprice=TARGET, **more)


def test_a_bracket_with_validity_loses_its_stop_in_stock() -> None:
    """`buy_bracket(valid=...)` hands the entry's validity to the legs."""
    given = bars("100 100/100/98/99 99 99 98/98/90/92")  # 2, 3, 4, 5, 8 January 2024
    plan = {1: bracket(valid=timedelta(days=1, hours=1))}

    assert fills(run("stock", given, plan)) == [(3, "buy", 10, LIMIT)]
    assert fills(run("ours", given, plan)) == [(3, "buy", 10, LIMIT), (8, "sell", 10, STOP)]


def test_a_stale_bar_fills_in_stock() -> None:
    """Another symbol's bar makes stock match an order against the bar that it was made on."""
    calm = bars("50 50 50 50", symbol="CALM")
    late = bars("100/100/98/99 99", symbol="LATE")
    gap = late[:1], bars("99/99/97/98", symbol="LATE", start=date(2024, 1, 5))
    joined = join(*gap)
    limit, made_on, printed_on = 99.0, 2, 5
    plan = {1: lambda s: s.buy(s.datas[1], size=1, exectype=bt.Order.Limit, price=limit)}
    both = {"CALM": calm, "LATE": joined}

    assert fills(run("stock", both, plan)) == [(made_on, "buy", 1, limit)]
    assert fills(run("ours", both, plan)) == [(printed_on, "buy", 1, limit)]


def join(first: Bars, second: Bars) -> Bars:
    import numpy as np

    names = ("at", "session", "open", "high", "low", "close", "volume", "factor", "dividend")
    columns = [np.concatenate([getattr(first, n), getattr(second, n)]) for n in names]
    return Bars(first.symbol, first.interval, *columns)


def test_an_oversized_entry_has_the_exit_behind_it_refused_in_stock() -> None:
    """An entry that the account cannot pay makes stock refuse the close() that follows it."""
    given = bars("100 100 100 100")
    too_many = 5_000

    def enter_then_leave(s: Any) -> None:
        s.buy(size=too_many)
        s.close()

    plan = {1: lambda s: s.buy(size=10), 2: enter_then_leave}

    assert fills(run("stock", given, plan)) == [(3, "buy", 10, 100)]
    assert fills(run("ours", given, plan)) == [(3, "buy", 10, 100), (4, "sell", 10, 100)]


def test_the_entry_bar_cannot_hurt_in_stock() -> None:
    """Entry 99, stop 95, the bar's low 90: stock holds on and books the target later."""
    given = bars("100 100/100/90/98 98/106/98/106")
    plan = {1: bracket()}

    assert fills(run("stock", given, plan)) == [(3, "buy", 10, LIMIT), (4, "sell", 10, TARGET)]
    assert fills(run("ours", given, plan)) == [(3, "buy", 10, LIMIT), (3, "sell", 10, STOP)]


def test_a_touch_fills_in_full_in_stock() -> None:
    """At the bar's very low, before anybody who stood in the queue."""
    given = bars("100 100/100/99/100 100/100/98.99/100")
    plan = {1: lambda s: s.buy(size=10, exectype=bt.Order.Limit, price=LIMIT)}

    assert fills(run("stock", given, plan)) == [(3, "buy", 10, LIMIT)]
    assert fills(run("ours", given, plan)) == [(4, "buy", 10, LIMIT)]


def test_volume_is_used_twice_in_stock() -> None:
    """Two orders each take more shares than the whole bar traded."""
    given = bars("100 100@1000 100@1000", symbol="THIN")
    size, share = 400, 0.5

    def two(s: Any) -> None:
        s.buy(size=size)
        s.buy(size=size)

    filler = bt.fillers.BarPointPerc(minmov=0.01, perc=100 * share)
    stock = bt.brokers.BackBroker(cash=CASH, filler=filler)
    in_stock = run_orders(given, {1: two}, broker=stock)
    ours = run("ours", given, {1: two}, volume_share=share)

    assert sum(fill.size for fill in in_stock.fills if fill.session.day == 3) == 2 * size
    assert sum(fill.size for fill in ours.fills if fill.session.day == 3) == 1000 * share


def test_an_exit_that_lost_its_position_opens_the_other_side_in_stock() -> None:
    """A gapped target and a close() of the evening before both sell: stock ends short."""
    given = bars("100 100/100/98/99 gap 107 108")
    plan = {1: bracket(), 2: lambda s: s.close()}

    assert held(run("stock", given, plan).fills) == -10
    assert held(run("ours", given, plan).fills) == 0


def held(done: list[Fill]) -> float:
    return sum(fill.size if fill.side == "buy" else -fill.size for fill in done)


def test_a_bracket_order_of_nan_is_refused() -> None:
    """An indicator that is not ready yet must not make a bracket without a stop."""
    record = run_orders(
        bars("100 100/100/98/99"),
        {1: lambda s: s.buy_bracket(size=1, price=99, stopprice=float("nan"), limitprice=105)},
    )

    assert record.fills == []


def test_a_symbol_that_has_not_begun_cannot_be_ordered() -> None:
    """Before its first bar Backtrader's `close[0]` is the last one of the file."""
    late = bars("90 91", symbol="LATE", start=date(2024, 1, 4))
    both = {"SOON": bars("50 50 50 50", symbol="SOON"), "LATE": late}

    record = run("ours", both, {1: lambda s: s.buy(s.datas[1], size=1)})

    assert record.fills == []


@pytest.mark.parametrize("name", ["reading", "volume_share", "through_ticks"])
def test_an_option_that_cannot_be_meant_is_refused(name: str) -> None:
    from iverson.errors import ConfigError

    wrong = {"reading": "hopeful", "volume_share": 10, "through_ticks": -1}

    with pytest.raises(ConfigError, match=name):
        EquityBroker(**{name: wrong[name]}).init()
