# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for any orders over any bars: the account adds up, and nothing impossible is filled.

Bars, corporate actions, gaps in the calendar and orders are drawn from a seed, in ticks, so that
every price that the market shows lies on the grid.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import backtrader as bt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iverson.execution.costs import Costs
from iverson.execution.equity_broker import EquityBroker
from iverson.execution.orders import STOPS
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.model import CashFlow, Fill, OrderEvent
from iverson.monitoring.record import EquityRow, Record
from iverson.monitoring.recorder import Recorder
from iverson.monitoring.trades import TradeBuilder
from iverson.research.backtest import Feed
from iverson.testing import START

CASH = 50_000.0
SESSIONS = 30
SHARE = 0.1
TICK = 0.01
CENT = 0.005
LEGS = ("stop", "target", "time limit")
VOLUMES = (0.0, 40.0, 333.0, 5_000.0, 1_000_000.0, math.nan)
RATIOS = (2.0, 3.0, 1.5, 0.5, 0.2)
COSTS = (Costs.none(), Costs(), Costs(20.0, 0.005, 1.0))


def random_bars(symbol: str, rng: np.random.Generator) -> Bars:
    """Bars of tick prices above $1 on some of the sessions, with splits and dividends."""
    first = new_york().ordinal(START)
    there = np.flatnonzero(rng.random(SESSIONS) < rng.choice([1.0, 0.8]))
    if len(there) < 3:
        there = np.arange(SESSIONS)
    sessions = new_york().sessions[first + there]
    close, factor = int(rng.integers(2_000, 10_000)), 1.0
    rows, factors = [], []
    for number in range(len(there)):
        if number and rng.random() < 0.06:
            ratio = float(rng.choice(RATIOS))
            close, factor = max(300, round(close / ratio)), factor * ratio
        spread = max(2, close // 20)
        jump = int(rng.integers(-spread, spread + 1)) if rng.random() < 0.5 else 0
        opened = max(200, close + jump)
        close = max(200, opened + int(rng.integers(-spread, spread + 1)))
        high = max(opened, close) + int(rng.integers(0, spread))
        low = max(150, min(opened, close) - int(rng.integers(0, spread)))
        rows.append([opened / 100, high / 100, low / 100, close / 100])
        factors.append(factor)
    table = np.array(rows)
    n = len(there)
    return Bars(
        symbol,
        DAILY,
        new_york().closes(sessions),
        sessions,
        *(table[:, column].copy() for column in range(4)),
        rng.choice(VOLUMES, n, p=[0.05, 0.1, 0.15, 0.2, 0.45, 0.05]),
        np.array(factors),
        np.where(rng.random(n) < 0.08, rng.integers(1, 100, n) / 100, 0.0),
    )


class RandomTrader(bt.Strategy):
    """Sends any order there is, and checks the books at every bar's end."""

    params: Any = dict(rng=None, bars=None)

    def __init__(self) -> None:
        self.bare: set[int] = set()  # groups whose legs were cancelled by hand
        self.stamps = {
            symbol: dict(zip(one.session.tolist(), one.close.tolist(), strict=True))
            for symbol, one in self.p.bars.items()
        }
        self.last: dict[str, float] = {}

    def next(self) -> None:
        session = self.datetime.date(0)
        for symbol, closes in self.stamps.items():
            self.last[symbol] = closes.get(session, self.last.get(symbol, math.nan))
        self.check_books()
        for data in self.datas:
            if len(data) and self.p.rng.random() < 0.6:
                self.act(data)

    prenext = nextstart = next  # noqa: A003 (Backtrader's name)

    def check_books(self) -> None:
        held = {d._name: p.size for d, p in self.broker.positions.items() if p.size}
        worth = sum(size * self.last[symbol] for symbol, size in held.items())
        assert self.broker.getvalue() == pytest.approx(self.broker.getcash() + worth, abs=CENT)
        protected: dict[str, int] = defaultdict(int)
        for group in self.broker.groups.values():
            assert group.held == 0 or group.legs
            protected[group.data._name] += group.held
            if not group.held or group.entry.ref in self.bare:
                continue
            stops = [o for o in group.legs if o.exectype in STOPS and o.alive()]
            assert [abs(o.executed.remsize) for o in stops] == [abs(group.held)]
        for symbol, size in protected.items():
            position = held.get(symbol, 0)
            assert size * position >= 0
            assert abs(size) <= abs(position)

    def act(self, data: Any) -> None:
        rng, mark = self.p.rng, self.broker.mark(data)
        size = int(rng.integers(1, 400))
        up, down = (float(mark * (1 + sign * rng.uniform(0.001, 0.06))) for sign in (1, -1))
        valid = None if rng.random() < 0.5 else self.datetime.date(0) + timedelta(days=2)
        kind = rng.choice(["bracket", "plain", "close", "percent", "cancel", "time limit"])
        if kind == "bracket":
            long = rng.random() < 0.5
            place = self.buy_bracket if long else self.sell_bracket
            how = int(rng.choice([bt.Order.Market, bt.Order.Limit, bt.Order.Stop]))
            price = {bt.Order.Limit: mark, bt.Order.Stop: up if long else down}.get(how)
            if price is not None:
                price *= float(rng.uniform(0.99, 1.01))
            stop, target = (down, up * 1.05) if long else (up, down * 0.95)
            place(data=data, size=size, exectype=how, price=price, valid=valid,
                  stopprice=stop, limitprice=target)  # fmt: skip
        elif kind == "plain":
            long = rng.random() < 0.5
            how = int(rng.integers(0, 7))
            price = None if how < bt.Order.Limit else float(rng.choice([up, down]))
            more: dict[str, Any] = {}
            if how in (bt.Order.StopLimit, bt.Order.StopTrailLimit):
                more["plimit"] = price * 1.005 if long else price * 0.995
            if how in (bt.Order.StopTrail, bt.Order.StopTrailLimit):
                more["trailamount"] = mark * 0.02
            send = self.buy if long else self.sell
            send(data=data, size=size, exectype=how, price=price, valid=valid, **more)
        elif kind == "close":
            self.close(data)
        elif kind == "percent":
            self.order_target_percent(data, target=float(rng.uniform(-0.4, 0.4)))
        else:
            self.touch_group(data, cancel=kind == "cancel")

    def touch_group(self, data: Any, *, cancel: bool) -> None:
        groups = [group for group in self.broker.groups.values() if group.data is data]
        if not groups:
            return
        group = groups[int(self.p.rng.integers(len(groups)))]
        if cancel:
            order = group.orders[int(self.p.rng.integers(len(group.orders)))]
            if order is not group.entry and order.alive():
                self.bare.add(group.entry.ref)
            self.cancel(order)
        elif group.held and group.entry.ref not in self.bare:
            leave = self.sell if group.held > 0 else self.buy
            leave(data=data, size=abs(group.held), exectype=bt.Order.Close, parent=group.entry,
                  leg="time limit")  # fmt: skip


@dataclass(frozen=True)
class Run:
    bars: dict[str, Bars]
    costs: Costs
    record: Record


def run_random(
    seed: int, *, symbols: int, ticks: int, reading: str, costs: Costs, **how: Any
) -> Run:
    rng = np.random.default_rng(seed)
    series = {name: random_bars(name, rng) for name in ("AAA", "BBB", "CCC")[:symbols]}
    record = Record()
    cerebro = bt.Cerebro(stdstats=False, **how)
    broker = EquityBroker(
        cash=CASH, costs=costs, through_ticks=ticks, volume_share=SHARE, reading=reading
    )
    cerebro.setbroker(broker)
    for symbol, one in series.items():
        cerebro.adddata(Feed(one).data(slice(0, len(one))), name=symbol)
    cerebro.addanalyzer(Recorder, record=record, builder=TradeBuilder(new_york().ordinal))
    cerebro.addstrategy(RandomTrader, rng=rng, bars=series)
    cerebro.run()
    return Run(series, costs, record)


drawn = dict(
    seed=st.integers(0, 2**32),
    symbols=st.integers(1, 3),
    ticks=st.integers(0, 2),
    reading=st.sampled_from(["worst", "base", "best"]),
    costs=st.sampled_from(COSTS),
)


@settings(max_examples=200)
@given(**drawn)
def test_whatever_is_ordered_the_account_adds_up(**options: Any) -> None:
    """Cash follows from fills and flows; fills are possible, affordable in volume, on the grid."""
    run = run_random(**options)

    check_cash(run)
    check_prices(run)
    check_volume(run)
    check_legs(run)
    check_trades(run)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_the_record_does_not_depend_on_how_the_engine_runs(seed: int) -> None:
    """Batch or bar by bar, preloaded or not, twice the same: the same record."""
    options = dict(symbols=3, ticks=1, reading="worst", costs=Costs())
    once = repr(run_random(seed, **options).record.values)

    for how in (dict(runonce=False), dict(preload=False, runonce=False), dict()):
        assert repr(run_random(seed, **options, **how).record.values) == once


def check_cash(run: Run) -> None:
    cash, held = CASH, defaultdict(float)
    at = None
    for value in run.record.values:
        if isinstance(value, Fill):
            signed = value.size if value.side == "buy" else -value.size
            fee = run.costs.commission(value.side, value.size, value.price)
            assert value.commission == pytest.approx(fee)
            cash -= signed * value.price + fee
            held[value.symbol] += signed
        elif isinstance(value, CashFlow):
            cash += value.amount
            if value.kind == "split":
                whole = math.floor(abs(held[value.symbol]) * value.ratio + 1e-9)
                held[value.symbol] = math.copysign(whole, held[value.symbol])
        elif isinstance(value, EquityRow):
            assert value.cash == pytest.approx(cash, abs=CENT)
            assert value.positions == sum(1 for size in held.values() if size)
            assert at is None or value.at > at
            at = value.at


def bar_of(run: Run, fill: Fill) -> dict[str, float]:
    one = run.bars[fill.symbol]
    found = np.flatnonzero(one.session == np.datetime64(fill.session))
    assert len(found) == 1  # never on a session that the symbol did not print
    names = ("open", "high", "low", "close", "volume")
    return {name: float(getattr(one, name)[found[0]]) for name in names}


def check_prices(run: Run) -> None:
    limits: dict[str, OrderEvent] = {}
    for value in run.record.values:
        if isinstance(value, OrderEvent):
            limits[value.order_id] = value
        if not isinstance(value, Fill):
            continue
        bar, ticks = bar_of(run, value), value.price * 100
        give = run.costs.half_spread(value.price * 1.1) + TICK + 1e-9
        assert bar["low"] - give <= value.price <= bar["high"] + give
        assert abs(ticks - round(ticks)) < 1e-6
        order = limits[value.order_id]
        if order.kind == "limit":
            beyond = value.price - order.price
            assert (beyond if value.side == "buy" else -beyond) <= 1e-9


def check_volume(run: Run) -> None:
    filled: dict[Any, float] = defaultdict(float)
    budget: dict[Any, float] = {}
    for fill in run.record.fills:
        filled[fill.symbol, fill.session] += fill.size
        volume = bar_of(run, fill)["volume"]
        budget[fill.symbol, fill.session] = math.inf if math.isnan(volume) else SHARE * volume
    for key, size in filled.items():
        assert size <= budget[key] + 1e-6


def check_legs(run: Run) -> None:
    """A leg reduces what is held, never beyond nothing."""
    held: dict[str, float] = defaultdict(float)
    for value in run.record.values:
        if isinstance(value, CashFlow) and value.kind == "split":
            whole = math.floor(abs(held[value.symbol]) * value.ratio + 1e-9)
            held[value.symbol] = math.copysign(whole, held[value.symbol])
        if isinstance(value, Fill):
            signed = value.size if value.side == "buy" else -value.size
            if value.leg in LEGS:
                assert held[value.symbol] * signed < 0
                assert abs(signed) <= abs(held[value.symbol])
            held[value.symbol] += signed


def check_trades(run: Run) -> None:
    """Closed trades and what is still open explain the whole change of equity."""
    rows = run.record.equity
    if not rows or rows[-1].positions:
        return
    pnl = sum(trade.pnl for trade in run.record.trades)
    assert rows[-1].equity - CASH == pytest.approx(pnl, abs=CENT)
