# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategies that decide from the past alone pass, whatever they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import backtrader as bt
import numpy as np
import pytest

import iverson as iv
from iverson.market import sample
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.model import Signal
from iverson.research.backtest import Setup
from iverson.research.lookahead import check_lookahead
from iverson.research.lookahead_result import Check
from iverson.risk import rules
from iverson.signals.entry import Entry, Long, Short
from iverson.strategy import Strategy
from iverson.testing import START
from strategies.rsi_reversion import RsiReversion

FIRST, LAST = "2004-06-01", "2005-06-30"
SYMBOLS = ("AAPL", "GOOG", "IBM")  # Google listed in August 2004, Apple split in February 2005
STEPS = {"sample": 6, "decisions": 10}


class Shortish(Strategy):
    """Trades after the shortest warm-up that the strategies here can do with."""

    warm_up = 62


class Cross(Shortish):
    """Two averages cross, either way."""

    def entry(self, data: Any) -> tuple[Long, Short]:
        fast, slow = bt.ind.SMA(data, period=4), bt.ind.SMA(data, period=9)
        cross = bt.ind.CrossOver(fast, slow)
        up, down = bt.If(cross > 0, 3, 0), bt.If(cross < 0, 4, 0)
        return (
            Long(up, data.close, 0.97 * data.close, 1.06 * data.close),
            Short(down, data.close, 1.03 * data.close),
        )


class Donchian(Shortish):
    """A close above the highest high of the bars before."""

    def entry(self, data: Any) -> Entry:
        channel = bt.ind.Highest(data.high(-1), period=10)
        return Long(bt.If(data.close > channel, 4, 0), data.close, iv.atr_stop(data, cap=0.04))


class Macd(Strategy):
    """MACD above its signal line; its averages forget slowly, so it asks for more bars."""

    warm_up = 150

    def entry(self, data: Any) -> Entry:
        macd = bt.ind.MACD(data)
        return Long(bt.If(macd.macd > macd.signal, 3, 0), data.close, 0.97 * data.close)


class Slow(Shortish):
    """A stochastic below 20, a volatile day, and Bollinger's lower band."""

    def entry(self, data: Any) -> Entry:
        stochastic = bt.ind.Stochastic(data, safediv=True)
        band = bt.ind.BollingerBands(data, period=15, devfactor=1.0)
        ranges = bt.ind.TrueRange(data) > bt.ind.SMA(bt.ind.TrueRange(data), period=10)
        low = bt.Or(bt.And(stochastic.percK < 30, ranges), data.close < band.bot)
        return Long(bt.If(low, 4, 0), data.close, 0.97 * data.close)


class WeekBehind(bt.Indicator):
    """The close of the last week that is over: known from the next week's first bar on."""

    lines: Any = ("close",)

    def __init__(self) -> None:
        self.addminperiod(10)

    def next(self) -> None:
        week = bt.num2date(self.data.datetime[0]).isocalendar()[:2]
        ago = 1
        while bt.num2date(self.data.datetime[-ago]).isocalendar()[:2] == week:
            ago += 1
        self.lines.close[0] = self.data.close[-ago]


class Weekly(Shortish):
    """Buys above the close of last week."""

    def entry(self, data: Any) -> Entry:
        week = WeekBehind(data)
        return Long(bt.If(data.close > 1.01 * week.close, 3, 0), data.close, 0.97 * data.close)


class Strongest(Shortish):
    """Buys the symbol with the best month among those that have a bar and enough of them."""

    def __init__(self) -> None:
        super().__init__()
        self.month = {data: bt.ind.ROC(data, period=20) for data in self.datas}

    def signals(self) -> Iterator[Signal]:
        now = self.desk.now
        assert now is not None
        ready = [data for data in self.datas if self.is_ready(data)]
        if not ready:
            return
        best = max(ready, key=lambda data: self.month[data][0])
        if self.getposition(best).size == 0 and self.month[best][0] > 0:
            close = best.close[0] / best.factor[0]
            yield Signal(now.at, now.session, best._name, "long", 4, close, 0.96 * close)


def examine(strategy: type[Strategy], series: dict[str, Bars], **params: Any) -> Check:
    setup = Setup(strategy, tuple(rules.standard(short=True)), params=params)
    first, last = (np.datetime64(day).item() for day in (FIRST, LAST))
    return check_lookahead(setup, series, first=first, last=last, **STEPS)


def years() -> dict[str, Bars]:
    """Two and a half years of the sample, so that there is history before the first session."""
    found = sample.load(SYMBOLS)
    return {
        symbol: one[
            slice(*np.searchsorted(one.session, np.array(["2003-01-01", "2005-07-01"], "M8[D]")))
        ]
        for symbol, one in found.items()
    }


@pytest.mark.parametrize("strategy", [RsiReversion, Cross, Donchian, Macd, Slow, Weekly, Strongest])
def test_clean_strategy_passes_on_several_symbols_one_of_them_listed_late(
    strategy: type[Strategy],
) -> None:
    check = examine(strategy, years())

    assert check.passed, str(check)
    assert check.symbols == SYMBOLS
    assert check.decision_bars > 10
    assert all(step.runs == step.planned for step in check.steps)


def minute_bars(sessions: int, step: int) -> Bars:
    """Bars of `step` minutes over whole sessions; a random walk."""
    at, own = [], []
    for number in range(sessions):
        session = new_york().offset(START, number)
        opened, closed = new_york().open_at(session), new_york().close_at(session)
        edges = np.arange(step, (closed - opened) // timedelta(minutes=1) + 1, step)
        at.append(np.datetime64(opened.replace(tzinfo=None), "ns") + edges.astype("m8[m]"))
        own.append(np.full(len(edges), session, dtype="M8[D]"))
    n = sum(map(len, at))
    rng = np.random.default_rng(8)
    close = np.round(100 * np.exp(np.cumsum(0.002 * rng.standard_normal(n))), 2)
    opens = np.r_[100.0, close[:-1]]
    return Bars(
        "TEST", f"{step}m", np.concatenate(at), np.concatenate(own),
        opens, np.maximum(opens, close), np.minimum(opens, close), close,
        np.full(n, 1e5), np.ones(n), np.zeros(n),
    )  # fmt: skip


def test_minute_bars_pass_too() -> None:
    series = minute_bars(14, 30)
    check = check_lookahead(
        Setup(Cross, tuple(rules.standard(short=True))),
        {"TEST": series},
        first=series.session[0].item(),
        last=series.session[-1].item(),
        **STEPS,
    )

    assert check.passed, str(check)
    assert check.decision_bars > 3


@pytest.mark.parametrize("indicator", [bt.ind.PivotPoint, bt.ind.HeikinAshi, bt.ind.Ichimoku])
def test_backtraders_own_indicators_are_judged_as_they_are(indicator: Any) -> None:
    class Own(Shortish):
        def entry(self, data: Any) -> Entry:
            line = indicator(data).lines[0]
            return Long(bt.If(data.close > line, 3, 0), data.close, 0.97 * data.close)

    series = {"IBM": years()["IBM"]}
    check = examine(Own, series)

    # Ichimoku's lagging span is the close of 26 bars ahead, for the eye; nothing else looks there.
    ahead = (
        {f"close({bt.ind.Ichimoku.params.chikou:+d})"} if indicator is bt.ind.Ichimoku else set()
    )
    assert {d.line for step in check.steps for d in step.differences} == ahead
    assert check.passed == (not ahead)
