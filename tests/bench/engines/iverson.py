# SPDX-License-Identifier: GPL-3.0-or-later
"""Iverson, as its users run it: `LeanCerebro` for plain strategies, the search, `System`.

The broker charges nothing and fills limits at a touch, as the works ask.
"""

from __future__ import annotations

import tempfile
from typing import Any

import backtrader as bt
import numpy as np

import iverson as iv
from iverson.engine.cerebro import LeanCerebro
from iverson.engine.feed import ArrayData, columns_of, numbers_of
from iverson.market.bars import DAILY, Bars
from iverson.research.backtest import Setup
from iverson.research.search import Score, search
from tests.bench import work
from tests.bench.on_backtrader import works as backtrader_works
from tests.bench.work import Market, Marks, Row, Series, Work


class Dip(iv.Strategy):
    """The sweep's strategy in Iverson's words."""

    params = dict(period=14, oversold=30.0, stop_atrs=2.0, max_sessions=work.MAX_SESSIONS)
    warm_up = work.WARM_UP

    def entry(self, data: Any) -> Any:
        rsi = bt.ind.RSI_SMA(data, period=self.p.period, safediv=True)
        atr = bt.ind.SMA(bt.ind.TrueRange(data), period=work.ATR_PERIOD)
        limit = data.close * work.DISCOUNT
        return iv.Long(
            confidence=bt.If(rsi < self.p.oversold, 5, 0),
            limit=limit,
            stop=limit - self.p.stop_atrs * atr,
            target=limit + work.TARGET_ATRS * atr,
        )


SESSION_END = np.timedelta64(16, "h")  # as the other engines' days
TERMS = dict(
    strategy=Dip,
    rules=(iv.rules.OneSystemPerSymbol(),),
    sizing=iv.RiskSizing(risk=(work.RISK,) * 5, notional=work.NOTIONAL, volume=1.0),
    costs=iv.Costs.none(),
    cash=work.CASH,
    through_ticks=0,
    volume_share=1.0,
)


def feed(series: Series, rows: slice, daily: bool) -> Any:
    """Return a feed of whole columns; a daily bar is stamped when its session ends."""
    columns = {name: getattr(series, name)[rows] for name in Series._fields[1:]}
    instants = series.stamp[rows].astype("datetime64[s]")
    if daily:
        instants = instants.astype("datetime64[D]") + SESSION_END
    return ArrayData(
        dataname=columns_of(datetime=numbers_of(instants), **columns),
        timeframe=bt.TimeFrame.Days if daily else bt.TimeFrame.Minutes,
    )


def bars_of(market: Market) -> dict[str, Bars]:
    """Return daily bars without splits and dividends."""
    found = {}
    for symbol, one in market.items():
        at = one.stamp.astype("datetime64[s]")
        found[symbol] = Bars(
            symbol, DAILY, at.astype("datetime64[ns]"), at.astype("datetime64[D]"),
            one.open, one.high, one.low, one.close, one.volume,
            factor=np.ones(len(at)), dividend=np.zeros(len(at)),
        )  # fmt: skip
    return found


def sweep(what: Work, market: Market) -> list[Row]:
    """Search the whole history."""
    bars = bars_of(market)
    sessions = next(iter(bars.values())).session
    span = sessions[work.WARM_UP].item(), sessions[-1].item()
    found = search(
        Setup(**TERMS), bars, [span], what.sets,
        objective="sharpe", minimum_trades=work.MINIMUM_TRADES,
    )  # fmt: skip
    return [_row(place, one) for place, one in enumerate(found[0])]


def walk(what: Work, market: Market) -> list[Row]:
    """Walk forward."""
    bars = bars_of(market)
    names = what.sets[0]
    with tempfile.TemporaryDirectory() as store:  # a trial ledger of its own each time
        result = iv.System(symbols=list(bars), bars=bars, store=store, **TERMS).walk_forward(
            in_sample=work.IN_SAMPLE,
            out_of_sample=work.OUT_OF_SAMPLE,
            purge=0,
            grid={name: list(dict.fromkeys(one[name] for one in what.sets)) for name in names},
            minimum_trades=work.MINIMUM_TRADES,
        )
    rows = []
    for number, fold in enumerate(result.results):
        rows += [_row(place, one, number) for place, one in enumerate(fold.scores)]
        chosen = None if fold.chosen is None else what.sets.index(dict(fold.chosen.params))
        rows.append((work.chosen_label(number, chosen), fold.trades, fold.end))
    return rows


def _row(place: int, one: Score, fold: int = 0) -> Row:
    marks = Marks(one.trades, [work.CASH * (1.0 + one.total_return)])
    return work.set_row(place, marks, fold)


PACKAGES = ("iverson", "numba", "numpy", "pandas")
WORKS = {
    "cross": backtrader_works(bt, feed, LeanCerebro)["cross"],
    "sweep": sweep,
    "walk": walk,
}
