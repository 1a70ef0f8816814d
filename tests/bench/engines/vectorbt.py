# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0917 (numba takes no keyword-only arguments)
"""vectorbt: averages through `from_signals`, the bracket through a compiled order function.

`from_signals` knows no limit entry and no time exit, so the sweep uses `from_order_func` with
`flexible=True` (an entry and an exit in one bar), which is vectorbt's own way for such orders. All
sets of a span are columns of one portfolio, the five stocks of a set share its cash.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from numba import njit
from vectorbt.portfolio import nb
from vectorbt.portfolio.enums import NoOrder

from tests.bench import work
from tests.bench.work import CASH, Market, Marks, Row, Span, Work


def cross(what: Work, market: Market) -> list[Row]:
    """Run the averages of all symbols as columns."""
    index = pd.to_datetime(next(iter(market.values())).stamp, unit="s")
    close, opened = (
        pd.DataFrame({name: getattr(one, column) for name, one in market.items()}, index=index)
        for column in ("close", "open")
    )
    fast = vbt.MA.run(close, work.FAST).ma.to_numpy()
    slow = vbt.MA.run(close, work.SLOW).ma.to_numpy()
    above, below = fast > slow + work.APART, fast < slow - work.APART
    above[: work.FIRST] = below[: work.FIRST] = False
    nothing = np.zeros((1, close.shape[1]), dtype=bool)
    portfolio = vbt.Portfolio.from_signals(
        close,
        entries=np.vstack([nothing, above[:-1]]),
        exits=np.vstack([nothing, below[:-1]]),
        price=opened,
        size=work.SHARES,
        init_cash=work.CROSS_CASH,
        group_by=True,
        cash_sharing=True,
        freq="1min",
    )
    return [("all", int(portfolio.trades.count()), float(portfolio.final_value()))]


@njit(cache=True)
def decide(i, s, group, close, rsi, atr, first, period_of, oversold, stop_atrs, equity, plan):
    """Write limit, stop, target and size of an entry decided at bar i; False when there is none."""
    if i < first[s] or not rsi[i, s, period_of[group]] < oversold[group]:
        return False
    limit = close[i, s] * work.DISCOUNT
    stop = math.ceil((limit - stop_atrs[group] * atr[i, s]) * 100.0 - 1e-6) / 100.0
    target = math.ceil((limit + work.TARGET_ATRS * atr[i, s]) * 100.0 - 1e-6) / 100.0
    limit = math.floor(limit * 100.0 + 1e-6) / 100.0
    most = min(equity * work.NOTIONAL / limit, equity * work.RISK / (limit - stop))
    plan[0], plan[1], plan[2] = limit, stop, target
    plan[3] = math.floor(most * (1.0 + 1e-12))
    return True


@njit(cache=True)
def left_at(i, bar, plan, entered, price):
    """Return the price at which a position leaves in bar i, NaN when it stays."""
    opened, high, low, close = bar
    fresh = entered == i
    stop, target = plan[1], plan[2]
    if opened <= stop:
        return opened
    if opened >= target and not fresh:
        return opened
    if low <= stop:
        return stop
    if high >= target and (not fresh or price == opened or close >= target):
        return target
    if i - entered == work.MAX_SESSIONS:
        return close
    return np.nan


@njit(cache=True)
def order_func(
    c,
    opens,
    highs,
    lows,
    closes,
    rsi,
    atr,
    first,
    period_of,
    oversold,
    stop_atrs,
    plan,
    entered,
    paid,
    stage,
    equity,
):
    """Return the next order of one group in one bar: exits and entries symbol after symbol."""
    i, group = c.i, c.group
    if c.call_idx == 0:
        value = c.last_cash[group]
        for col in range(c.from_col, c.to_col):
            stage[col] = 0
            if i > 0 and c.last_position[col] > 0:
                value += c.last_position[col] * closes[i - 1, col - c.from_col]
        equity[group] = value
    for col in range(c.from_col, c.to_col):
        s = col - c.from_col
        if stage[col] == 0:
            stage[col] = 1
            if c.last_position[col] == 0 and i > 0 and decide(
                i - 1, s, group, closes, rsi, atr, first, period_of, oversold, stop_atrs,
                equity[group], plan[col],
            ) and lows[i, s] <= plan[col, 0] and plan[col, 3] > 0:  # fmt: skip
                paid[col] = min(opens[i, s], plan[col, 0])
                entered[col] = i
                return col, nb.order_nb(size=plan[col, 3], price=paid[col])
        if stage[col] == 1:
            stage[col] = 2
            if c.last_position[col] > 0:
                bar = (opens[i, s], highs[i, s], lows[i, s], closes[i, s])
                price = left_at(i, bar, plan[col], entered[col], paid[col])
                if not np.isnan(price):
                    return col, nb.order_nb(size=-c.last_position[col], price=price)
    return -1, NoOrder


class Table:
    """All bars as (sessions, symbols), with the indicators of every period."""

    def __init__(self, market: Market, sets: Any) -> None:
        sessions = max(len(one.close) for one in market.values())
        self.open, self.high, self.low, self.close = (
            np.column_stack(
                [np.r_[np.full(sessions - len(one.close), np.nan), getattr(one, name)]
                 for one in market.values()]
            )
            for name in ("open", "high", "low", "close")
        )  # fmt: skip
        self.first = np.array([sessions - len(one.close) for one in market.values()]) + work.WARM_UP
        self.sets = sets
        periods = sorted({one["period"] for one in sets})
        frame = pd.DataFrame(self.close)
        self.rsi = np.stack(
            [vbt.RSI.run(frame, window=one, ewm=False).rsi.to_numpy() for one in periods], axis=2
        )
        self.atr = vbt.ATR.run(
            pd.DataFrame(self.high),
            pd.DataFrame(self.low),
            frame,
            window=work.ATR_PERIOD,
            ewm=False,
        ).atr.to_numpy()
        self.period_of = np.array([periods.index(one["period"]) for one in sets])
        self.oversold = np.array([one["oversold"] for one in sets])
        self.stop_atrs = np.array([one["stop_atrs"] for one in sets])

    def run(self, span: Span, places: Any, cash: float) -> list[Marks]:
        """Run some sets over a span in one portfolio."""
        rows = slice(span.first, span.last + 1)
        count = self.close.shape[1]
        columns = len(places) * count
        close = np.tile(self.close[rows], (1, len(places)))
        known = np.where(np.isnan(close), 0.0, close)  # a symbol not listed yet is never bought
        portfolio = vbt.Portfolio.from_order_func(
            pd.DataFrame(known),
            order_func,
            self.open[rows], self.high[rows], self.low[rows], self.close[rows],
            self.rsi[rows], self.atr[rows], self.first - span.first,
            self.period_of[places], self.oversold[places], self.stop_atrs[places],
            np.zeros((columns, 4)), np.zeros(columns, dtype=np.int64), np.zeros(columns),
            np.zeros(columns, dtype=np.int64), np.zeros(len(places)),
            flexible=True,
            init_cash=cash,
            group_by=np.repeat(np.arange(len(places)), count),
            cash_sharing=True,
            fill_pos_record=False,
            freq="1D",
        )  # fmt: skip
        values = portfolio.value()
        values = values.to_numpy().reshape(len(known), len(places))
        trades = np.atleast_1d(np.asarray(portfolio.trades.count()))
        return [Marks(int(n), values[:, place]) for place, n in enumerate(trades)]


def sweep(what: Work, market: Market) -> list[Row]:
    """Run every set over the whole history, all in one portfolio."""
    table = Table(market, what.sets)
    found = table.run(
        Span(work.WARM_UP, len(table.close) - 1), np.arange(len(what.sets)), CASH
    )  # fmt: skip
    return [work.set_row(place, marks) for place, marks in enumerate(found)]


def walk(what: Work, market: Market) -> list[Row]:
    """Walk forward, the sets of a fold in one portfolio."""
    table = Table(market, what.sets)
    return work.walk(
        len(table.close),
        len(what.sets),
        lambda span: table.run(span, np.arange(len(what.sets)), CASH),
        lambda span, place, cash: table.run(span, np.array([place]), cash)[0],
    )


COMPILES = True
PACKAGES = ("vectorbt",)
WORKS = {"cross": cross, "sweep": sweep, "walk": walk}
