# SPDX-License-Identifier: GPL-3.0-or-later
"""The shortest loop, its orders that wait for a price, and its strategy's ways to the broker."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest

from iverson.engine.cerebro import LeanCerebro
from iverson.engine.feed import ArrayData
from tests.engine.fuzz import columns, walk

PLAIN = "1 calendars, a plain run"


class Notes(bt.Strategy):
    """Writes down what it is told and what it sees."""

    def __init__(self):
        self.log: list[Any] = []

    def notify_order(self, order):
        done = order.executed
        self.log.append((len(self), order.status, order.exectype, done.price, done.size, done.dt))

    def notify_trade(self, trade):
        self.log.append((len(self), trade.status, trade.pnl, trade.barlen))

    def see(self):
        held = [self.getposition(data).size for data in self.datas]
        self.log.append((len(self), len(self.data), self.broker.getvalue(), held))


class Brackets(Notes):
    """A bracket whenever it is flat, after an average's period."""

    def __init__(self):
        super().__init__()
        self.average = bt.ind.SMA(period=5)

    def prenext(self):
        self.see()

    def nextstart(self):
        self.log.append("starts")
        self.next()

    def next(self):
        self.see()
        if not self.position and not self.broker.pending:
            price = self.data.close[0]
            exits = dict(stopprice=price * 0.97, limitprice=price * 1.03)
            self.orders = self.buy_bracket(size=7, price=price * 0.995, **exits)


class ChangesPrices(Brackets):
    """Moves its target and its validity by hand, while the order waits."""

    def next(self):
        super().next()
        if len(self) % 5 == 0:
            self.orders[1].created.price *= 1.01
        if len(self) % 7 == 0:
            self.orders[2].valid = self.data.datetime[0] + 2.0


class ChangesNext(Brackets):
    """Becomes another strategy half way."""

    def next(self):
        super().next()
        if len(self) == 60:
            self.next = self.see


class BuysItsWay(Brackets):
    """Doubles what it buys."""

    def buy(self, data=None, size=None, **more):
        return super().buy(data, size and 2 * size, **more)


class BuysForNobody(Notes):
    """Goes to the broker itself; an order of nobody is the first strategy's."""

    def next(self):
        self.see()
        if len(self) == 10:
            self.broker.buy(None, self.data, size=3)
        if len(self) == 20:
            self.sell("S0", 2)
            self.sell(size=0)
            self.buy(size=None, exectype=bt.Order.Stop, price=self.data.close[0] * 1.01, note="x")
        if len(self) == 40:
            self.close()


class Stops(Brackets):
    """Ends the run in the middle."""

    def next(self):
        super().next()
        if len(self) == 50:
            self.env.runstop()


def ran(cls: Any, strategy: Any, *frames: Any) -> tuple[Any, Any]:
    cerebro = cls(stdstats=False)
    for number, frame in enumerate(frames):
        cerebro.adddata(ArrayData(dataname=columns(frame)), name=f"S{number}")
    cerebro.broker.setcommission(commission=0.001)
    cerebro.addstrategy(strategy)
    one = cerebro.run()[0]
    broker = one.broker
    left = (len(one), one._minperstatus, broker.getcash(), broker.getvalue(), len(broker.pending))
    return (one.log, left, len(one._orders), one.datetime.array.tobytes()), cerebro


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "strategy",
    [Brackets, ChangesPrices, ChangesNext, BuysItsWay, BuysForNobody, Stops],
    ids=lambda strategy: strategy.__name__,
)
def test_a_plain_run_does_what_stock_does(strategy, seed):
    frames = (walk(120, seed), walk(120, seed + 50))
    stock, _ = ran(bt.Cerebro, strategy, *frames)

    lean, cerebro = ran(LeanCerebro, strategy, *frames)

    assert repr(lean) == repr(stock)
    assert len(lean[0]) > 40
    assert PLAIN in cerebro.explain()


def beyond(frame: Any, *, nan: bool) -> Any:
    """Return bars some of whose opens lie outside of low to high, or whose lows are unknown."""
    found = frame.copy()
    found.iloc[::3, found.columns.get_loc("open")] *= 0.95
    found.iloc[1::3, found.columns.get_loc("open")] *= 1.05
    if nan:
        found.iloc[::4, found.columns.get_loc("low")] = np.nan
    return found


@pytest.mark.parametrize("nan", [False, True])
def test_an_open_outside_of_its_bar_fills_orders_as_under_stock(nan):
    frame = beyond(walk(150, 4), nan=nan)
    stock, _ = ran(bt.Cerebro, Brackets, frame)

    lean, cerebro = ran(LeanCerebro, Brackets, frame)

    assert repr(lean) == repr(stock)
    assert sum(note[1] == bt.Order.Completed for note in lean[0] if len(note) == 6) > 4
    assert PLAIN in cerebro.explain()


class Line(bt.Analyzer):
    def next(self):
        self.strategy.log.append(len(self))


def with_analyzer(cerebro: Any) -> None:
    cerebro.addanalyzer(Line)


def with_observer(cerebro: Any) -> None:
    cerebro.addobserver(bt.observers.DrawDown)


def with_another(cerebro: Any) -> None:
    cerebro.addstrategy(Notes)


def with_another_calendar(cerebro: Any) -> None:
    cerebro.adddata(ArrayData(dataname=columns(walk(80, 2)[::2])))


def with_timer(cerebro: Any) -> None:
    cerebro.add_timer(bt.timer.SESSION_START, strats=True)


@pytest.mark.parametrize(
    "add", [with_analyzer, with_observer, with_another, with_another_calendar, with_timer]
)
def test_a_run_with_more_to_do_is_not_plain(add):
    logs = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cls(stdstats=False)
        cerebro.adddata(ArrayData(dataname=columns(walk(80, 1))))
        cerebro.addstrategy(Brackets)
        add(cerebro)
        logs.append(repr(cerebro.run()[0].log))

    assert logs[0] == logs[1]
    assert "lean loop" in cerebro.explain()
    assert "plain" not in cerebro.explain()
