# SPDX-License-Identifier: GPL-3.0-or-later
"""The works as plain Backtrader strategies, for every engine that speaks Backtrader's API.

`bt` is the engine's module. The classes are the same for stock Backtrader and for Iverson's lean
engine; only Cerebro and the feed differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from tests.bench import work
from tests.bench.work import CASH, Market, Marks, ParameterSet, Row, Series, Span, Work

MakeData = Callable[[Series, slice, bool], Any]


def works(bt: Any, make_data: MakeData, cerebro: Any = None, *, walk: bool = True) -> Any:
    """Return the works that an engine can do, by kind."""
    runner = Runner(bt, make_data, cerebro or bt.Cerebro)
    found = {"cross": runner.cross, "sweep": runner.sweep}
    return {**found, "walk": runner.walk} if walk else found


class Runner:
    """Runs the strategies on one engine."""

    def __init__(self, bt: Any, make_data: MakeData, cerebro: Any) -> None:
        self._cross = cross_strategy(bt)
        self._dip = dip_strategy(bt)
        self._data = make_data
        self._cerebro = cerebro

    def cross(self, what: Work, market: Market) -> list[Row]:
        """Run the averages of all symbols in one account."""
        cerebro = self._cerebro(stdstats=False)
        for name, series in market.items():
            cerebro.adddata(self._data(series, slice(None), False), name=name)
        cerebro.broker.setcash(work.CROSS_CASH)
        cerebro.addstrategy(self._cross)
        made = cerebro.run()[0]
        return [("all", made.begun, cerebro.broker.getvalue())]

    def sweep(self, what: Work, market: Market) -> list[Row]:
        """Run every set over the whole history."""
        sessions = _sessions(market)
        span = Span(work.WARM_UP, sessions - 1)
        return [
            work.set_row(place, self._run(market, one, span, CASH))
            for place, one in enumerate(what.sets)
        ]

    def walk(self, what: Work, market: Market) -> list[Row]:
        """Walk forward."""
        return work.walk(
            _sessions(market),
            len(what.sets),
            lambda span: [self._run(market, one, span, CASH) for one in what.sets],
            lambda span, place, cash: self._run(market, what.sets[place], span, cash),
        )

    def _run(self, market: Market, params: ParameterSet, span: Span, cash: float) -> Marks:
        cerebro = self._cerebro(stdstats=False)
        for name, series in market.items():
            before = _sessions(market) - len(series.close)
            first = max(0, span.first - before - work.WARM_UP)
            rows = slice(first, span.last + 1 - before)
            if rows.stop - first > work.WARM_UP:
                cerebro.adddata(self._data(series, rows, True), name=name)
        cerebro.broker.setcash(cash)
        cerebro.addstrategy(self._dip, first=work.WARM_UP, **params)
        made = cerebro.run()[0]
        return Marks(made.begun, made.marks[-(span.last - span.first + 1) :])


def _sessions(market: Market) -> int:
    return max(len(series.close) for series in market.values())


def moments(stamp: Any, *, daily: bool) -> list[datetime]:
    """Return naive datetimes; a daily bar is stamped when its session ends."""
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001 (Backtrader's are naive)
    found = [epoch + timedelta(seconds=one) for one in stamp.tolist()]
    return [datetime.combine(one.date(), SESSION_END) for one in found] if daily else found


SESSION_END = time(16, 0)


def frame_feed(bt: Any, name: str = "dataname") -> MakeData:
    """Return a maker of `PandasData`, the feed that users of Backtrader give frames to.

    `name` is what the engine calls the frame.
    """
    import pandas as pd

    frames: dict[int, tuple[Series, Any]] = {}

    def make(series: Series, rows: slice, daily: bool) -> Any:
        if id(series) not in frames:
            columns = {name: getattr(series, name) for name in Series._fields[1:]}
            index = pd.DatetimeIndex(moments(series.stamp, daily=daily))
            frames[id(series)] = series, pd.DataFrame(columns, index=index)
        frame = frames[id(series)][1].iloc[rows]
        given = {name: frame}
        if not daily:
            return bt.feeds.PandasData(**given, timeframe=bt.TimeFrame.Minutes)
        return bt.feeds.PandasData(**given, timeframe=bt.TimeFrame.Days, sessionend=SESSION_END)

    return make


def cross_strategy(bt: Any) -> Any:
    """Return the strategy of the averages."""

    class Cross(bt.Strategy):
        def __init__(self) -> None:
            self.averages = [
                (data, bt.ind.SMA(data, period=work.FAST), bt.ind.SMA(data, period=work.SLOW))
                for data in self.datas
            ]
            self.bought: list[int] = []

        def next(self) -> None:
            if len(self) <= work.FIRST:
                return
            for data, fast, slow in self.averages:
                size = self.getposition(data).size
                if not size and fast[0] > slow[0] + work.APART:
                    self.buy(data=data, size=work.SHARES)
                    self.bought.append(len(self))
                elif size and fast[0] < slow[0] - work.APART:
                    self.sell(data=data, size=work.SHARES)

        def stop(self) -> None:
            last = len(self)  # what was bought here found no bar to be filled in
            self.begun = sum(bar < last for bar in self.bought)

    return Cross


def dip_strategy(bt: Any) -> Any:
    """Return the strategy of the sweep, with Backtrader's own brackets."""

    class Dip(bt.Strategy):
        params = dict(period=14, oversold=30.0, stop_atrs=2.0, first=0)

        def __init__(self) -> None:
            self.lines_of = []
            for data in self.datas:
                rsi = bt.ind.RSI_SMA(data, period=self.p.period, safediv=True)
                atr = bt.ind.SMA(bt.ind.TrueRange(data), period=work.ATR_PERIOD)
                self.lines_of.append((data, rsi, atr))
            self.orders: dict[str, Sequence[Any]] = {}
            self.entered: dict[str, int] = {}
            self.begun = 0
            self.marks: list[float] = []

        def notify_order(self, order: Any) -> None:
            if order.isbuy() and order.status == order.Completed:
                self.begun += 1
                self.entered[order.data._name] = len(order.data)

        def next(self) -> None:
            equity = self.broker.getvalue()
            self.marks.append(equity)
            for data, rsi, atr in self.lines_of:
                bar = len(data)
                if bar <= self.p.first:
                    continue
                size = self.getposition(data).size
                if size:
                    self.leave_in_time(data, bar, size)
                    continue
                for order in self.orders.pop(data._name, ()):
                    if order.alive():  # an entry ends its legs; a time exit leaves the target
                        self.cancel(order)
                if rsi[0] < self.p.oversold:
                    self.enter(data, data.close[0] * work.DISCOUNT, atr[0], equity)

        prenext = next  # noqa: A003 (Backtrader's name)

        def leave_in_time(self, data: Any, bar: int, size: int) -> None:
            if bar - self.entered[data._name] == work.MAX_SESSIONS - 1:
                stop = self.orders[data._name][1]
                self.sell(data=data, size=size, exectype=bt.Order.Close, oco=stop)

        def enter(self, data: Any, limit: float, atr: float, equity: float) -> None:
            price = math.floor(limit * 100.0 + 1e-6) / 100.0
            stop = math.ceil((limit - self.p.stop_atrs * atr) * 100.0 - 1e-6) / 100.0
            self.orders[data._name] = self.buy_bracket(
                data=data,
                size=work.shares(equity, price, stop),
                exectype=bt.Order.Limit,
                price=price,
                stopprice=stop,
                limitprice=math.ceil((limit + work.TARGET_ATRS * atr) * 100.0 - 1e-6) / 100.0,
            )

    return Dip
