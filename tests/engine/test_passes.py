# SPDX-License-Identifier: GPL-3.0-or-later
"""Every line of many indicators, on ordinary and awkward prices: stock's bits, or its error."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.engine import exact_sums
from iverson.engine.cerebro import LeanCerebro
from iverson.engine.exact_sums import rolling_sums
from iverson.engine.feed import ArrayData
from tests.engine.fuzz import columns, walk

MADE = (
    "I.SMA(d, period=17)", "I.EMA(d, period=13)", "I.SMMA(d, period=9)", "I.WMA(d, period=10)",
    "I.RSI(d, period=14, safediv=True)", "I.RSI_SMA(d, period=10, safediv=True)", "I.ATR(d)",
    "I.BollingerBands(d)", "I.Highest(d.high, period=20)", "I.MinN(d.low, period=7)",
    "I.MaxN(d.high, period=1)", "I.Lowest(d.low, period=2)", "I.MACDHisto(d)", "I.Mean(d)",
    "I.StochasticFull(d, safediv=True)", "I.ADX(d)", "I.CCI(d)", "I.ROC100(d)", "I.StdDev(d)",
    "I.CrossOver(I.SMA(d, period=5), I.EMA(d, period=21))", "I.Momentum(d)", "I.TRIX(d)",
    "I.DEMA(d, period=11)", "I.TEMA(d, period=11)", "I.KAMA(d)", "I.WilliamsR(d)",
    "I.AroonUpDown(d)", "I.PercentRank(d)", "I.SumN(d.volume, period=7)", "I.DPO(d)",
    "I.SMA(I.RSI(d, period=7, safediv=True), period=5)", "I.Highest(d.high(-1), period=55)",
    "I.EMA(I.ATR(d), period=9)", "I.HullMovingAverage(d, period=16)", "I.ParabolicSAR(d)",
    "I.Ichimoku(d)", "I.UltimateOscillator(d)", "I.TSI(d)", "I.Vortex(d)",
    "I.ZLEMA(d, period=10)", "I.AwesomeOscillator(d)", "I.Envelope(I.SMA(d, period=9))",
    "I.Accum(d.volume)", "I.SMA(d.close - d.open, period=8)", "I.Accum(d, seed=2.5)",
    "And(d.close > d.open, d.close < 104.0, d.volume)", "Or(d.close > 101, d.high < 99)",
    "If(d.close > d.open, d.high, d.low)", "If(d.close >= d.open, 1, d.low)",
    "Max(d.close(-1), d.open, 3)", "Min(d.close, 1e9)", "(d.high - d.low) / d.close * 100",
    "abs(d.close - d.close(-5))", "-(d.close - d.open)", "d.close**2", "d.close**-1",
    "2**d.close", "1.0 / d.close", "100 - d.close", "Cmp(d.close, d.open)",
    "All(d.close, d.volume)", "Any(d.close > 1000, d.open > 100)",
    "DivByZero(d.close, d.open - d.close)",
    "DivZeroByZero(d.close - d.open, d.open - d.close)", "d.close == d.open",
    "d.close != d.open", "d.close <= 2**60", "d.close + True", "d.close // 2",
    "d.close > d.open(-3)",
)  # fmt: skip


class Sink(bt.Strategy):
    """Draws what it is asked to, each thing written as an expression of the feed `d`."""

    params = dict(made=MADE)

    def __init__(self):
        names = dict(vars(bt), I=bt.ind, d=self.data)
        self.made = [eval(words, names) for words in self.p.made]  # noqa: S307 (our own words)


def lines(cerebro: Any, data: Any, made: tuple[str, ...] = MADE) -> Any:
    """Return every line below the strategy as bytes, or what was raised."""
    cerebro.adddata(data)
    cerebro.addstrategy(Sink, made=made)
    try:
        strategy = cerebro.run(stdstats=False)[0]
    except Exception as error:  # noqa: BLE001 (whatever it raises is compared)
        return repr(error)
    found: list[Any] = []

    def note(thing: Any) -> None:
        for line in thing.lines:
            values = np.array(line.array, float)
            values[np.isnan(values)] = math.nan  # the sign of a NaN says nothing
            found.append((type(thing).__name__, values.tobytes()))
        if not isinstance(thing, bt.linebuffer.LineBuffer):
            for child in thing._lineiterators[0]:
                note(child)

    for indicator in strategy._lineiterators[0]:
        note(indicator)
    return found


def changed(change: Any) -> pd.DataFrame:
    frame = walk(400, 7)
    change(frame)
    return frame


def flat(frame: pd.DataFrame) -> None:
    frame.loc[frame.index[100:200], ["open", "high", "low", "close"]] = 100.0


def idle(frame: pd.DataFrame) -> None:
    frame.loc[frame.index[50:120], "volume"] = 0.0


def holes(frame: pd.DataFrame) -> None:
    frame.loc[frame.index[[3, 150, 151]], "close"] = math.nan


def endless(frame: pd.DataFrame) -> None:
    frame.loc[frame.index[150], "close"] = math.inf


def huge(frame: pd.DataFrame) -> None:
    frame["volume"] = np.where(np.arange(len(frame)) % 3, 1e-9, 3e20)


def signed(frame: pd.DataFrame) -> None:
    frame["low"] = -0.0
    frame.loc[frame.index[::2], "low"] = 0.0


def zero(frame: pd.DataFrame) -> None:
    frame.loc[frame.index[200], "close"] = 0.0


def thirds(frame: pd.DataFrame) -> None:
    frame[["open", "high", "low", "close"]] /= 3.0


CHANGES = [len, flat, idle, holes, endless, huge, signed, zero, thirds]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_line_has_stocks_bits_or_raises_stocks_error(change):
    frame = changed(change)

    def stock(*made: str) -> Any:
        return lines(bt.Cerebro(), bt.feeds.PandasData(dataname=frame), made)

    def lean(*made: str) -> Any:
        return lines(LeanCerebro(), ArrayData(dataname=columns(frame)), made)

    whole = stock(*MADE)
    if not isinstance(whole, str):
        assert lean(*MADE) == whole
        return
    alone = {words: stock(words) for words in MADE}
    sound = [words for words in MADE if not isinstance(alone[words], str)]

    assert lean(*sound) == stock(*sound)
    assert {w: lean(w) for w in MADE if w not in sound} == {
        w: alone[w] for w in MADE if w not in sound
    }


def test_most_passes_of_ordinary_indicators_are_vectorised():
    cerebro = LeanCerebro()
    lines(cerebro, ArrayData(dataname=columns(walk(400, 7))), ("I.RSI(d)", "I.ATR(d)", "I.MACD(d)"))

    assert "stock:" not in cerebro.explain()


def test_data_shorter_than_a_period_raises_what_stock_raises():
    frame = walk(20, 1)
    expected = lines(bt.Cerebro(), bt.feeds.PandasData(dataname=frame))

    assert lines(LeanCerebro(), ArrayData(dataname=columns(frame))) == expected
    assert "IndexError" in expected


floats = st.floats(min_value=-1e6, max_value=1e6, allow_subnormal=False)


@given(st.lists(floats | st.sampled_from([0.0, -0.0, 0.1, 1e-3]), max_size=40), st.integers(1, 12))
def test_rolling_sums_are_fsum_of_each_window(values, period):
    expected = [math.fsum(values[at : at + period]) for at in range(len(values) - period + 1)]

    actual = rolling_sums(np.array(values, float), period)

    assert [value.hex() for value in actual.tolist()] == [value.hex() for value in expected]


@pytest.mark.parametrize("scale", [1.0, 1 / 3, 1e-9, 1e12])
def test_long_walks_are_summed_exactly_and_without_a_loop(scale, monkeypatch):
    values = walk(10_000, 4, vol=0.01)["close"].to_numpy() * scale
    expected = [math.fsum(values[at : at + 30]) for at in range(len(values) - 29)]
    monkeypatch.setattr(exact_sums, "_by_window", None)

    assert rolling_sums(values, 30).tolist() == expected
