# SPDX-License-Identifier: GPL-3.0-or-later
"""backtesting.py: one symbol to an account, so symbols run one after another and are added up.

The walk-forward's five stocks share one account, which it cannot express.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import pandas as pd

warnings.filterwarnings("ignore")  # it warns of open trades and of frames without a date index

from backtesting import Backtest, Strategy  # noqa: E402 (warnings first)

from tests.bench import work  # noqa: E402 (warnings first)
from tests.bench.work import CASH, Market, Marks, Row, Series, Work  # noqa: E402 (warnings first)


def frame(series: Series) -> Any:
    """Return bars as it wants them."""
    columns = {name.title(): getattr(series, name) for name in Series._fields[1:]}
    return pd.DataFrame(columns, index=pd.to_datetime(series.stamp, unit="s"))


def mean(values: Any, period: int) -> Any:
    """Return the rolling mean."""
    return pd.Series(values).rolling(period).mean().to_numpy()


def rsi(close: Any, period: int) -> Any:
    """Return Cutler's relative strength."""
    move = pd.Series(close).diff()
    gain, loss = mean(move.clip(lower=0.0), period), mean(-move.clip(upper=0.0), period)
    return 100.0 * gain / (gain + loss)


def atr(high: Any, low: Any, close: Any, period: int) -> Any:
    """Return the plain average of true ranges."""
    before = pd.Series(close).shift()
    reach = pd.Series(high).clip(lower=before) - pd.Series(low).clip(upper=before)
    return mean(reach, period)


class Cross(Strategy):
    """The averages."""

    def init(self) -> None:
        self.fast = self.I(mean, self.data.Close, work.FAST)
        self.slow = self.I(mean, self.data.Close, work.SLOW)

    def next(self) -> None:
        if len(self.data) <= work.FIRST:
            return
        if not self.position:
            if self.fast[-1] > self.slow[-1] + work.APART:
                self.buy(size=work.SHARES)
        elif self.fast[-1] < self.slow[-1] - work.APART:
            self.position.close()


class Dip(Strategy):
    """The sweep: a limit for one bar with stop and target, left at the fifth close."""

    period, oversold, stop_atrs = 14, 30.0, 2.0

    def init(self) -> None:
        self.rsi = self.I(rsi, self.data.Close, self.period)
        columns = (self.data.High, self.data.Low, self.data.Close)
        self.atr = self.I(atr, *columns, work.ATR_PERIOD)

    def next(self) -> None:
        bar = len(self.data)
        if bar <= work.WARM_UP:
            return
        for order in self.orders:
            if not order.is_contingent:
                order.cancel()
        for trade in self.trades:
            if bar - 1 - trade.entry_bar < work.MAX_SESSIONS:
                return
            trade.close()  # with trade_on_close: at this very close
        if self.rsi[-1] < self.oversold:
            self.enter(self.data.Close[-1] * work.DISCOUNT, self.atr[-1])

    def enter(self, limit: float, reach: float) -> None:
        price = math.floor(limit * 100.0 + 1e-6) / 100.0
        stop = math.ceil((limit - self.stop_atrs * reach) * 100.0 - 1e-6) / 100.0
        target = math.ceil((limit + work.TARGET_ATRS * reach) * 100.0 - 1e-6) / 100.0
        self.buy(size=work.shares(self.equity, price, stop), limit=price, sl=stop, tp=target)


def cross(what: Work, market: Market) -> list[Row]:
    """Run every symbol by itself and add up."""
    trades, cash = 0, work.CROSS_CASH
    for series in market.values():
        found = Backtest(frame(series), Cross, cash=work.CROSS_CASH).run()
        trades += begun(found)
        cash += found["Equity Final [$]"] - work.CROSS_CASH
    return [("all", trades, cash)]


def sweep(what: Work, market: Market) -> list[Row]:
    """Run every set over the whole history."""
    bars = frame(next(iter(market.values())))
    rows = []
    for place, one in enumerate(what.sets):
        found = Backtest(bars, Dip, cash=CASH, trade_on_close=True).run(**one)
        marks = Marks(begun(found), [found["Equity Final [$]"]])
        rows.append(work.set_row(place, marks))
    return rows


def begun(found: Any) -> int:
    """Count trades, the open ones too."""
    strategy = found["_strategy"]
    return len(strategy.closed_trades) + len(strategy.trades)


PACKAGES = ("backtesting",)
WORKS = {"cross": cross, "sweep": sweep}
