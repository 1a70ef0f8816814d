# SPDX-License-Identifier: GPL-3.0-or-later
"""PyBroker: averages as its indicators, orders at the next open, all symbols in one account."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pybroker
from pybroker import PriceType, Strategy, StrategyConfig

from tests.bench import work
from tests.bench.work import Market, Row, Work


def frame(market: Market) -> Any:
    """Return the bars of all symbols below each other, as it wants them."""
    parts = []
    for name, series in market.items():
        part = pd.DataFrame({one: getattr(series, one) for one in series._fields[1:]})
        part.insert(0, "date", pd.to_datetime(series.stamp, unit="s"))
        part.insert(0, "symbol", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def average(name: str, period: int) -> Any:
    """Return an indicator: the rolling mean of closes."""
    return pybroker.indicator(
        name, lambda bars: pd.Series(bars.close).rolling(period).mean().to_numpy()
    )


def decide(ctx: Any) -> None:
    """Buy or sell at the next open what the averages say."""
    if ctx.bars <= work.FIRST:
        return
    fast, slow = ctx.indicator("fast")[-1], ctx.indicator("slow")[-1]
    held = ctx.long_pos() is not None
    if not held and fast > slow + work.APART:
        ctx.buy_shares = work.SHARES
        ctx.buy_fill_price = PriceType.OPEN
    elif held and fast < slow - work.APART:
        ctx.sell_shares = work.SHARES
        ctx.sell_fill_price = PriceType.OPEN


def cross(what: Work, market: Market) -> list[Row]:
    """Run the averages of all symbols."""
    pybroker.disable_logging()
    pybroker.disable_progress_bar()
    bars = frame(market)
    config = StrategyConfig(
        initial_cash=work.CROSS_CASH, round_fill_price=False, round_test_result=False
    )
    strategy = Strategy(bars, bars["date"].iloc[0], bars["date"].iloc[-1], config)
    indicators = [average("fast", work.FAST), average("slow", work.SLOW)]
    strategy.add_execution(decide, list(market), indicators=indicators)
    result = strategy.backtest()
    trades = int((result.orders["type"] == "buy").sum())
    return [("all", trades, float(result.portfolio["equity"].iloc[-1]))]


COMPILES = True
PACKAGES = ("lib-pybroker",)
WORKS = {"cross": cross}
