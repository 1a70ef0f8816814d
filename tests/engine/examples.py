# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategies in the manner of Backtrader's own examples, written anew, one feature each."""

from __future__ import annotations

import datetime as dt
from typing import Any

import backtrader as bt

from iverson.engine.feed import ArrayData
from tests.engine.fuzz import columns, walk


class Logged(bt.Strategy):
    """Writes down what it is told."""

    def __init__(self):
        self.log: list[Any] = []

    def notify_order(self, order):
        done = order.executed
        self.log.append((len(self), order.status, order.isbuy(), done.price, done.size, done.comm))

    def notify_trade(self, trade):
        self.log.append((len(self), trade.isclosed, trade.pnl, trade.pnlcomm, trade.barlen))


class Crossing(Logged):
    """Quickstart: in above the average, out below it."""

    params = dict(fast=5, slow=15)

    def __init__(self):
        super().__init__()
        fast, slow = bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow)
        self.cross = bt.ind.CrossOver(fast, slow)

    def next(self):
        if not self.position:
            if self.cross > 0:
                self.buy()
        elif self.cross < 0:
            self.close()


class Brackets(Logged):
    """Bracket orders: entry, stop and target; the entry valid for some days."""

    def __init__(self):
        super().__init__()
        self.averages = [bt.ind.EMA(data, period=10) for data in self.datas]

    def next(self):
        for data, average in zip(self.datas, self.averages, strict=True):
            if not self.getposition(data).size and data.close[0] > average[0]:
                price = data.close[0] * 0.995
                bracket = dict(stopprice=price * 0.97, limitprice=price * 1.03)
                self.buy_bracket(data, size=20, price=price, valid=dt.timedelta(days=3), **bracket)


class OneCancelsOther(Logged):
    """Two entries, of which only one may fill; out after ten bars."""

    def next(self):
        if self.position:
            if len(self) - self.entered >= 10:
                self.close()
        elif len(self) % 7 == 0:
            close = self.data.close[0]
            first = self.buy(size=5, exectype=bt.Order.Limit, price=close * 0.98)
            self.buy(size=5, exectype=bt.Order.Stop, price=close * 1.02, oco=first)

    def notify_order(self, order):
        super().notify_order(order)
        if order.status == order.Completed and order.isbuy():
            self.entered = len(self)


class Trailing(Logged):
    """A trailing stop."""

    def next(self):
        if not self.position:
            self.buy(size=10)
            self.stop_order = None
        elif self.stop_order is None:
            self.stop_order = self.sell(size=10, exectype=bt.Order.StopTrail, trailpercent=0.02)


class Targets(Logged):
    """Target percentages by day of the month, as in the order_target example."""

    def next(self):
        day = self.data.datetime.date().day
        share = (day if self.data.datetime.date().month % 2 else 31 - day) / 100.0
        self.order_target_percent(target=share)


class Several(Logged):
    """Several feeds; `prenext` goes on to `next`."""

    def __init__(self):
        super().__init__()
        self.averages = {data: bt.ind.SMA(data, period=20) for data in self.datas}

    def prenext(self):
        self.next()

    def next(self):
        for data in self.datas:
            if len(data) > 20 and data.close[0] > self.averages[data][0]:
                self.order_target_size(data, target=10)
            elif len(data) > 20:
                self.order_target_size(data, target=0)


class OpenCheat(Logged):
    """Orders at the open, as in the cheat-on-open example."""

    def __init__(self):
        super().__init__()
        self.signal = bt.ind.CrossOver(bt.ind.SMA(period=5), bt.ind.SMA(period=15))

    def next_open(self):
        if self.signal[0] > 0 and not self.position:
            self.buy(size=int(self.broker.getcash() / self.data.open[0] / 2))
        elif self.signal[0] < 0 and self.position:
            self.close()


class Shorts(Logged):
    """Both directions, closes at the session's end."""

    def __init__(self):
        super().__init__()
        self.rsi = bt.ind.RSI(period=5, safediv=True)

    def next(self):
        if self.rsi < 40 and self.position.size <= 0:
            self.buy(size=10 + abs(self.position.size), exectype=bt.Order.Close)
        elif self.rsi > 60 and self.position.size >= 0:
            self.sell(size=10 + abs(self.position.size))


class Sized(Crossing):
    """A sizer of one's own."""

    def start(self):
        self.setsizer(bt.sizers.PercentSizer(percents=30))


ALL = (
    *(Crossing, Brackets, OneCancelsOther, Trailing, Targets, Several, OpenCheat, Shorts, Sized),
)


def result(example: Any, cerebro: Any) -> Any:
    """Run an example on three feeds, one late and one with holes; return what it did."""
    frames = [walk(250, 1), walk(250, 2)[40:], walk(250, 3)[::2]]
    lean = type(cerebro) is not bt.Cerebro
    for number, frame in enumerate(frames[: 3 if example in (Several, Brackets) else 1]):
        feed = ArrayData if lean else bt.feeds.PandasData
        cerebro.adddata(feed(dataname=columns(frame) if lean else frame), name=f"S{number}")
    cerebro.broker.setcash(20_000.0)
    cerebro.broker.setcommission(commission=0.001)
    cerebro.addstrategy(example)
    cerebro.addobserver(bt.observers.DrawDown)
    cerebro.addanalyzer(bt.analyzers.TimeReturn, _name="returns")
    if example is OpenCheat:
        cerebro.broker.set_coo(True)
    strategy = cerebro.run(cheat_on_open=example is OpenCheat)[0]
    assert len(strategy.log) > 10
    drawdown = [line.array.tobytes() for line in strategy.observers.drawdown.lines]
    returns = [(at, value.hex()) for at, value in strategy.analyzers.returns.get_analysis().items()]
    return strategy.log, strategy.broker.getvalue(), drawdown, returns
