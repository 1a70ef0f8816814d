# SPDX-License-Identifier: GPL-3.0-or-later
"""nautilus_trader: the averages, event by event.

Its orders meet the market that is known when they arrive, so decisions at a close would fill at
that close. For the next open a quote of every open follows the bars that decisions are made on,
orders take two nanoseconds to arrive, and one more quote makes the exchange look at them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import LoggingConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

from tests.bench import work
from tests.bench.work import Market, Row, Series, Work

VENUE = Venue("XNAS")
DIGITS = 3


class Cross(Strategy):
    """The averages of all symbols."""

    def __init__(self, types: list[Any]) -> None:
        super().__init__()
        self.types = types
        self.size = Quantity.from_int(work.SHARES)
        self.averages = {
            one: (SimpleMovingAverage(work.FAST), SimpleMovingAverage(work.SLOW)) for one in types
        }
        self.bars = dict.fromkeys(types, 0)
        self.begun = 0
        self.held: set[Any] = set()

    def on_start(self) -> None:
        for one in self.types:
            for average in self.averages[one]:
                self.register_indicator_for_bars(one, average)
            self.subscribe_bars(one)

    def on_bar(self, bar: Any) -> None:
        one = bar.bar_type
        self.bars[one] += 1
        if self.bars[one] <= work.FIRST:
            return
        fast, slow = self.averages[one]
        if one not in self.held and fast.value > slow.value + work.APART:
            self.send(one, OrderSide.BUY)
        elif one in self.held and fast.value < slow.value - work.APART:
            self.send(one, OrderSide.SELL)

    def send(self, one: Any, side: Any) -> None:
        self.submit_order(self.order_factory.market(one.instrument_id, side, self.size))

    def on_order_filled(self, event: Any) -> None:
        one = BarType.from_str(f"{event.instrument_id}-1-MINUTE-LAST-EXTERNAL")
        if event.order_side == OrderSide.BUY:
            self.held.add(one)
            self.begun += 1
        else:
            self.held.discard(one)


def cross(what: Work, market: Market) -> list[Row]:
    """Run the averages of all symbols in one account."""
    silent = LoggingConfig(bypass_logging=True)
    engine = BacktestEngine(BacktestEngineConfig(trader_id=TraderId("B-001"), logging=silent))
    engine.add_venue(
        VENUE, OmsType.NETTING, AccountType.CASH, [Money(work.CROSS_CASH, USD)], base_currency=USD,
        latency_model=LatencyModel(base_latency_nanos=2), bar_execution=False,
    )  # fmt: skip
    types: list[Any] = []
    data: list[Any] = []
    for name, series in market.items():
        instrument = equity(name)
        engine.add_instrument(instrument)
        one = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")
        types.append(one)
        data += [bars(one, series), quotes(instrument.id, series)]
    data.append(quotes(types[0].instrument_id, next(iter(market.values())), late=3))
    for number, part in enumerate(data, start=1):
        engine.add_data(part, sort=number == len(data))
    strategy = Cross(types)
    engine.add_strategy(strategy)
    engine.run()
    cash = float(engine.trader.generate_account_report(VENUE).iloc[-1]["total"])
    for one, series in zip(types, market.values(), strict=True):
        cash += work.SHARES * float(series.close[-1]) if one in strategy.held else 0.0
    begun = strategy.begun
    engine.dispose()
    return [("all", begun, cash)]


def equity(name: str) -> Any:
    """Return the instrument."""
    return Equity(
        instrument_id=InstrumentId(Symbol(name), VENUE), raw_symbol=Symbol(name), currency=USD,
        price_precision=DIGITS, price_increment=Price(Decimal("0.001"), DIGITS),
        lot_size=Quantity.from_int(1), ts_event=0, ts_init=0,
    )  # fmt: skip


def bars(one: Any, series: Series) -> list[Any]:
    """Return the bars, stamped when they close."""
    columns = [getattr(series, name).tolist() for name in ("open", "high", "low", "close")]
    stamps = (series.stamp * 1_000_000_000).tolist()
    volume = Quantity.from_int(1_000_000)
    return [
        Bar(one, *(Price(price, DIGITS) for price in prices), volume, at, at)
        for *prices, at in zip(*columns, stamps, strict=True)
    ]


def quotes(identity: Any, series: Series, late: int = 1) -> list[Any]:
    """Return a quote of every open, some nanoseconds after the bar before."""
    size = Quantity.from_int(1_000_000)
    stamps = np.r_[series.stamp[0] - 60, series.stamp[:-1]] * 1_000_000_000 + late
    found = []
    for opened, at in zip(series.open.tolist(), stamps.tolist(), strict=True):
        price = Price(opened, DIGITS)
        found.append(QuoteTick(identity, price, price, size, size, at, at))
    return found


PACKAGES = ("nautilus_trader",)
WORKS = {"cross": cross}
