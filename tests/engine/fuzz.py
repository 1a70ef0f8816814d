# SPDX-License-Identifier: GPL-3.0-or-later
"""Random runs, made twice: by stock Backtrader and by the lean engine, everything written down.

A seed decides feeds (ragged, late, with holes, resampled), broker settings, analyzers, timers and
what the strategy does: every type of order, brackets, OCO, validity, cancels, early ends.
"""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd

from iverson.engine.broker import LeanBroker
from iverson.engine.cerebro import LeanCerebro
from iverson.engine.feed import ArrayData, columns_of, day_numbers
from iverson.execution.equity_broker import EquityBroker

Frames = list[pd.DataFrame]

E = bt.Order
KINDS = (
    ("market", 15), ("limit", 15), ("stop", 12), ("stop limit", 8), ("trail", 6),
    ("trail limit", 4), ("close order", 5), ("bracket", 15), ("oco", 6), ("close", 7),
    ("cancel", 7),
)  # fmt: skip


class Halt(Exception):
    """Raised by a random strategy in the middle of a run."""


class RandomStrategy(bt.Strategy):
    params = dict(
        seed=0, timers=False, acts_at_open=False, ends="", extra=False, asks=1.0, meddles=False
    )

    def __init__(self):
        self.rng = random.Random(self.p.seed)
        self.mood = random.Random(self.p.seed + 10**7)
        self.working: list[Any] = []
        self.log: list[Any] = []
        period = self.rng.randint
        self.sma = [bt.ind.SMA(data, period=period(2, 30)) for data in self.datas]
        self.atr = [bt.ind.ATR(data, period=period(2, 20)) for data in self.datas]
        self.high = [bt.ind.Highest(d.high(-1), period=period(2, 25)) for d in self.datas[:2]]
        above = [data.close > sma for data, sma in zip(self.datas, self.sma, strict=True)]
        self.above = above
        rsi = bt.ind.RSI(self.data, period=period(3, 15), safediv=True)
        self.smooth = bt.ind.SMA(rsi, period=4)
        self.watched = [*self.sma, *self.atr, *self.high, *above, self.smooth]
        if self.p.extra:  # clocks of other kinds: the strategy itself, a nested indicator
            macd = bt.ind.MACDHisto(self.data, period_me1=3, period_me2=6, period_signal=3)
            self.watched += [bt.Max(0.0, self.data.close - self.data.open), macd]
            self.watched.append(bt.ind.ParabolicSAR(self.data))
            self.watched.append(bt.ind.StdDev(self.data.close, period=5))
        if self.p.timers:
            self.add_timer(bt.timer.SESSION_START, weekdays=[1, 3], weekcarry=True)
            self.add_timer(bt.timer.SESSION_END, monthdays=[1], cheat=True)

    def keep(self, value):
        """Put a value where later bars find it."""

    def note(self, *values):
        self.log.append((len(self), *values))

    def notify_timer(self, timer, when, *args, **kwargs):
        self.note("timer", str(when), len(self.data), self.data.close[0], len(self.smooth))

    def notify_order(self, order):
        self.note("order", order.status, len(order.data), order.data.datetime[0])

    def notify_trade(self, trade):
        self.note("trade", trade.status, trade.pnl)

    def prenext_open(self):
        self.note("prenext_open", [len(data) for data in self.datas])

    def next_open(self):
        self.note("next_open", len(self.smooth), self.data.open[0])
        if self.p.acts_at_open and self.rng.random() < 0.2:
            self.act()

    def prenext(self):
        self.note("prenext", [len(data) for data in self.datas])
        if self.rng.random() < 0.1 and len(self.data) > 2:
            self.buy(self.data, size=1)

    def nextstart(self):
        self.note("nextstart", [len(data) for data in self.datas])
        self.next()

    def next(self):
        asks = self.mood.random() < self.p.asks
        value = self.broker.getvalue() if asks else -1.0
        self.keep(value)
        last = self.datas[-1]
        ticks = getattr(self.data, "tick_close", None), getattr(last, "tick_last", None)
        self.note(
            "next", self.broker.getcash(), value, ticks,
            [(len(line), line[0]) for line in self.watched], self.data.datetime.datetime(0),
            [(len(data), data.close[0], data.datetime.date(0)) for data in self.datas],
            list(last.close.get(size=2)) if len(last) > 2 else 0, self.data.high > self.data.open,
            self.places() if asks else [],
            self.sma[0] > self.data.close, self.data.close - 1.0,
        )  # fmt: skip
        if len(self) == 60 and self.p.ends == "stop":
            self.env.runstop()
        if len(self) == 60 and self.p.ends == "raise":
            raise Halt("in the middle")
        if not self.p.acts_at_open:
            self.act()
        if self.p.meddles and self.mood.random() < 0.04:
            self.meddle()

    def places(self):
        held = self.broker.positions.values()
        return [(p.size, p.price, p.adjbase, getattr(p, "datetime", 0)) for p in held]

    def meddle(self):
        """Ask and change the broker in the middle of a run, as a strategy may."""
        broker, mood = self.broker, self.mood
        how = mood.randrange(9)
        if how == 0:
            broker.setcommission(commission=mood.choice([0.0, 0.002]), leverage=2.0)
        elif how == 1:
            broker.setcommission(commission=0.001, interest=0.05)
        elif how == 2:
            broker.set_cash(broker.getcash() + 100.0)
        elif how == 3:
            broker.set_slippage_perc(mood.choice([0.0, 0.001]))
        elif how == 4:
            broker.set_shortcash(mood.random() < 0.5)
        elif how == 5:
            self.note(broker.getvalue(self.datas), broker.getvalue(self.datas[-1:]))
        elif how == 6:
            broker.add_cash(50.0)
        elif how == 7 and self.working:
            order = mood.choice(self.working)
            order.created.price *= mood.choice([0.99, 1.01])
            order.valid = mood.choice([order.valid, None, self.data.datetime[0] + 3.0])
        else:
            self.note(broker.get_leverage(), broker.fundvalue, broker.get_value(mkt=True))
            self.note(self.places())

    def act(self):
        for _ in range(self.rng.choice([0, 0, 0, 1, 1, 2])):
            data = self.rng.choice(self.datas)
            if not len(data):
                continue
            kind = self.rng.choices([k for k, _ in KINDS], [w for _, w in KINDS])[0]
            try:
                self.place(kind, data)
            except (OverflowError, ValueError) as error:
                self.note(repr(error))
        del self.working[:-40]

    def place(self, kind: str, data: Any) -> None:  # noqa: PLR0912 (a list of kinds)
        rng, close = self.rng, data.close[0]
        at = self.datas.index(data)
        range_ = max(self.atr[at][0] if len(data) > 30 else close * 0.01, 0.01)
        common = dict(data=data, size=rng.randint(1, 60))
        near = close + rng.uniform(-2, 2) * range_
        buys = rng.random() < 0.55
        send = self.buy if buys else self.sell
        valid = rng.choice([
            None, None, dt.timedelta(days=rng.randint(1, 6)), dt.timedelta(), 0, 2.5,
            data.datetime.datetime(0) + dt.timedelta(days=rng.randint(1, 9)),
            data.datetime.date(0) + dt.timedelta(days=rng.randint(0, 9)),
        ])  # fmt: skip
        made: list[Any] = []
        if kind == "market":
            made = [send(**common, note="kept")]
        elif kind == "limit":
            made = [send(**common, exectype=E.Limit, price=near, valid=valid)]
        elif kind == "stop":
            made = [send(**common, exectype=E.Stop, price=near, valid=valid, tradeid=at % 2)]
        elif kind == "stop limit":
            limit = near + rng.uniform(-1, 1) * range_
            made = [send(**common, exectype=E.StopLimit, price=near, plimit=limit, valid=valid)]
        elif kind == "trail":
            made = [send(**common, exectype=E.StopTrail, trailamount=range_ * rng.uniform(0.5, 3))]
        elif kind == "trail limit":
            trail = dict(price=close, plimit=close + range_ * 0.2, trailpercent=0.02)
            made = [send(**common, exectype=E.StopTrailLimit, **trail)]
        elif kind == "close order":
            made = [send(**common, exectype=E.Close)]
        elif kind == "bracket":
            sign = 1 if buys else -1
            bracket = self.buy_bracket if buys else self.sell_bracket
            price = close - sign * rng.uniform(-0.5, 1) * range_
            entry = rng.choice([E.Limit, E.Market, E.Stop]) if buys else E.Limit
            exits = dict(stopprice=close - sign * 2 * range_, limitprice=close + sign * 2 * range_)
            made = bracket(**common, price=price, exectype=entry, valid=valid, **exits)
        elif kind == "oco":
            first = send(**common, exectype=E.Limit, price=close - range_)
            second = dict(exectype=E.Stop, price=close + range_, oco=first)
            made = [first, send(**common, **second)]
        elif kind == "close":
            self.close(data)
        elif self.working:
            self.cancel(self.working.pop(rng.randrange(len(self.working))))
        self.working += [order for order in made if order is not None]
        if rng.random() < 0.05:
            self.order_target_percent(data, rng.uniform(-0.3, 0.4))
        if rng.random() < 0.01:
            self.broker.add_cash(rng.choice([500, -300]))


class KeepingStrategy(RandomStrategy):
    """Has a line of its own, which makes a run less plain."""

    lines = ("own",)

    def keep(self, value):
        self.lines.own[0] = value
        self.note("own", self.own[0], self.own[-1] if len(self) > 1 else None)


class Scribe(bt.Analyzer):
    """Writes down every notification, field by field, and what it says of cash and fund."""

    params = dict(cash=True)

    def start(self):
        self.orders: list[Any] = []
        self.trades: list[Any] = []
        self.cash: list[Any] = []
        self.number = {id(data): number for number, data in enumerate(self.strategy.datas)}
        self.first_order = self.first_trade = 0

    def notify_order(self, order):
        self.first_order = self.first_order or order.ref
        made, done = order.created, order.executed
        parent = order.parent.ref - self.first_order if order.parent is not None else None
        self.orders.append((
            len(self.strategy), order.ref - self.first_order, self.number[id(order.data)],
            order.status, order.exectype, order.ordtype, order.isbuy(), parent, order.valid,
            order.tradeid, order.dteos, order.transmit, dict(order.info), order.plen,
            made.dt, made.size, made.price, made.pricelimit, made.pclose, made.remsize,
            made.trailamount, made.trailpercent, done.dt, done.size, done.price, done.value,
            done.comm, done.pnl, done.psize, done.pprice, done.remsize, done.margin,
            (done.p1, done.p2, len(done.exbits)), order.size, order.price, order.pricelimit,
            order.triggered, order.alive(), order.p.size, order.plimit,
        ))  # fmt: skip

    def notify_trade(self, trade):
        self.first_trade = self.first_trade or trade.ref
        self.trades.append((
            len(self.strategy), trade.ref - self.first_trade, self.number[id(trade.data)],
            trade.status, trade.size, trade.price, trade.value, trade.commission, trade.pnl,
            trade.pnlcomm, trade.baropen, trade.dtopen, trade.barclose, trade.dtclose,
            trade.barlen, [dict(step.status) for step in trade.history], trade.tradeid,
        ))  # fmt: skip


class CashScribe(Scribe):
    """The same, and cash and fund on every bar: hooks that the lean loop calls only on demand."""

    def notify_cashvalue(self, cash, value):
        self.cash.append((cash, value))

    def notify_fund(self, cash, value, fundvalue, shares):
        self.cash.append((fundvalue, shares))


ANALYZERS = (
    *(bt.analyzers.TradeAnalyzer, bt.analyzers.DrawDown, bt.analyzers.TimeReturn),
    *(bt.analyzers.PositionsValue, bt.analyzers.Transactions, bt.analyzers.SQN),
    *(bt.analyzers.GrossLeverage, bt.analyzers.Returns),
)


@dataclass
class Plan:
    """What a seed decided."""

    seed: int
    frames: Frames
    cerebro: dict[str, Any]
    strategy: dict[str, Any]
    keeps: bool
    weekly: str
    analyzers: bool
    hears_cash: bool
    rival: dict[str, Any] | None
    run: dict[str, Any] = field(default_factory=dict)


def plan(seed: int) -> Plan:
    rng = random.Random(seed)
    more = random.Random(seed + 10**8)
    asks = dict(asks=more.choice([1.0, 0.1, 0.0]), meddles=more.random() < 0.3)
    at_open = rng.random() < 0.15
    bar_by_bar = rng.random() < 0.06
    given = Plan(
        seed=seed,
        frames=frames(rng),
        cerebro=dict(
            stdstats=rng.random() < 0.2,
            cheat_on_open=at_open,
            quicknotify=rng.random() < 0.2,
            tradehistory=rng.random() < 0.2,
        ),
        strategy=dict(
            seed=seed,
            timers=rng.random() < 0.25,
            acts_at_open=at_open,
            ends=rng.choices(["", "stop", "raise"], [90, 6, 4])[0],
            extra=rng.random() < 0.25,
            **asks,
        ),
        rival=dict(seed=seed + 1, acts_at_open=at_open, **asks) if more.random() < 0.2 else None,
        keeps=more.random() < 0.5,
        weekly=rng.choices(["", "resampledata", "resample"], [80, 7, 13])[0],
        analyzers=rng.random() < 0.3,
        hears_cash=rng.random() < 0.5,
        run=rng.choice([dict(runonce=False), dict(exactbars=1)]) if bar_by_bar else {},
    )
    if more.random() < 0.25:
        make_plain(given)
    return given


def make_plain(given: Plan) -> None:
    """Leave out what a run with the shortest loop does not have."""
    common = given.frames[0].index
    for frame in given.frames:
        common = common.intersection(frame.index)
    given.frames = [frame.loc[common] for frame in given.frames]
    given.cerebro.update(stdstats=False, cheat_on_open=False, quicknotify=False)
    given.strategy.update(timers=False, acts_at_open=False, extra=False)
    given.analyzers = given.hears_cash = given.keeps = False
    given.rival, given.weekly, given.run = None, "", {}


def frames(rng: random.Random) -> Frames:
    rows = rng.randint(80, 260)
    found = []
    for _ in range(rng.randint(1, 4)):
        frame = walk(rows, rng.randint(0, 10**6))
        if rng.random() < 0.6:
            kept = np.random.default_rng(rng.randint(0, 10**6)).random(rows) > rng.choice(
                [0, 0.05, 0.3]
            )
            kept[: rng.choice([0, 0, 20])] = False
            kept[rng.choice([rows, rows, rows - 25]) :] = False
            frame = frame[kept]
        if rng.random() < 0.04:
            frame = frame.copy()
            frame.iloc[20::37, frame.columns.get_loc("close")] = np.nan
        found.append(frame)
    return found


def walk(rows: int, seed: int, *, freq: str = "D", vol: float = 0.02) -> pd.DataFrame:
    """Make a random walk of bars, prices in cents."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.standard_normal(rows) * vol + vol * 0.01 * (freq == "D")))
    opened = np.r_[100.0, close[:-1] * (1 + rng.standard_normal(rows - 1) * vol * 0.3)]
    high = np.maximum(opened, close) * (1 + np.abs(rng.standard_normal(rows)) * vol * 0.4)
    low = np.minimum(opened, close) * (1 - np.abs(rng.standard_normal(rows)) * vol * 0.4)
    opened, high, low, close = (np.round(column, 2) for column in (opened, high, low, close))
    index = (
        pd.bdate_range("2000-01-03", periods=rows)
        if freq == "D"
        else pd.date_range("2000-01-03", periods=rows, freq=freq)
    )
    return pd.DataFrame(
        dict(
            open=opened,
            high=np.maximum.reduce([high, opened, close]),
            low=np.minimum.reduce([low, opened, close]),
            close=close,
            volume=rng.integers(1000, 100_000, rows).astype(float),
        ),
        index=index,
    )


def columns(frame: pd.DataFrame) -> dict[str, Any]:
    """Turn a frame into what `ArrayData` takes; `PandasData` gives NaN for no open interest."""
    names = {str(name): frame[name].to_numpy(float) for name in frame.columns}
    return columns_of(datetime=day_numbers(frame.index.to_pydatetime()), **names)


def set_broker(broker: Any, rng: random.Random) -> None:
    broker.setcash(rng.choice([3000.0, 20_000.0, 1e6]))
    scheme = rng.random()
    if scheme < 0.4:
        broker.setcommission(commission=rng.choice([0, 0.001, 0.0005]))
    elif scheme < 0.55:
        futures = dict(margin=rng.choice([50.0, 500.0]), mult=rng.choice([1.0, 5.0]))
        broker.setcommission(commission=2.0, **futures)
    elif scheme < 0.7:
        broker.setcommission(commission=0.001, leverage=4.0)
    elif scheme < 0.85:
        interest = dict(interest=0.05, interest_long=rng.random() < 0.5)
        broker.setcommission(commission=0.001, **interest)
    else:
        broker.setcommission(commission=0.001, name="S1")
        broker.setcommission(commission=1.0, margin=100.0, mult=2.0, name="S0")
    slips = dict(
        slip_open=rng.random() < 0.5,
        slip_limit=rng.random() < 0.5,
        slip_match=rng.random() < 0.5,
        slip_out=rng.random() < 0.3,
    )
    if rng.random() < 0.3:
        broker.set_slippage_perc(rng.choice([0.0005, 0.01]), **slips)
    elif rng.random() < 0.2:
        broker.set_slippage_fixed(0.05)
    for setting, value, chance in (
        (broker.set_coc, True, 0.2),
        (broker.set_checksubmit, False, 0.2),
        (broker.set_shortcash, False, 0.2),
        (broker.set_int2pnl, False, 0.15),
        (broker.set_filler, bt.fillers.FixedSize(size=20), 0.15),
        (broker.set_fundmode, True, 0.1),
    ):
        if rng.random() < chance:
            setting(value)


def run(
    given: Plan,
    *,
    cerebro: Callable[..., Any],
    broker: Callable[[], Any] | None = None,
    arrays: bool = False,
) -> dict[str, Any]:
    """Make one run and return everything it did, or what it raised."""
    engine = cerebro(**given.cerebro, **given.run)
    if broker is not None:
        engine.setbroker(broker())
    for number, frame in enumerate(given.frames):
        feed = ArrayData if arrays else bt.feeds.PandasData
        data = feed(dataname=columns(frame) if arrays else frame)
        engine.adddata(data, name=f"S{number}")
        if number > 0:
            continue
        if given.weekly == "resampledata":
            engine.resampledata(data, timeframe=bt.TimeFrame.Weeks, name="W")
        elif given.weekly == "resample":  # as a filter: such a feed can be preloaded
            weeks = feed(dataname=columns(frame) if arrays else frame)
            weeks.resample(timeframe=bt.TimeFrame.Weeks)
            engine.adddata(weeks, name="W")
    set_broker(engine.broker, random.Random(given.seed + 10**6))
    engine.addstrategy(KeepingStrategy if given.keeps else RandomStrategy, **given.strategy)
    if given.rival is not None:
        engine.addstrategy(RandomStrategy, **given.rival)
    engine.addanalyzer(CashScribe if given.hears_cash else Scribe, _name="scribe")
    for analyzer in ANALYZERS if given.analyzers else ():
        engine.addanalyzer(analyzer)
    try:
        strategy, *rivals = engine.run()
    except Exception as error:  # noqa: BLE001 (what stock raises, the lean engine has to raise)
        return dict(raised=repr(error)[:80], trace=error, engine=engine)
    heard = [(one.log, one.analyzers.scribe.orders, one.analyzers.scribe.trades) for one in rivals]
    return dict(account(strategy), rivals=heard, raised=None, engine=engine)


def account(strategy: Any) -> dict[str, Any]:
    """Return all that a run left behind."""
    scribe, broker = strategy.analyzers.scribe, strategy.broker
    watched = [strategy, *strategy.datas, *strategy.watched]
    observers = [o for o in strategy.observers if not isinstance(o, list)]
    observers += [o for o in strategy.observers if isinstance(o, list) for o in o]
    names = bt.feed.DataBase.lines.getlinealiases()
    lines = [getattr(data.lines, name) for data in strategy.datas for name in names]
    lines += [line for one in (strategy, *strategy.watched, *observers) for line in one.lines]
    return dict(
        orders=scribe.orders,
        trades=scribe.trades,
        cash=scribe.cash,
        log=strategy.log,
        # bar by bar with exactbars, PandasData's numpy scalars reach the analyzers
        analyses=[
            re.sub(r"np\.float64\(([^)]*)\)", r"\1", repr(one.get_analysis()))
            for one in strategy.analyzers
            if one is not scribe
        ],
        lengths=[(len(one), one.buflen()) for one in watched],
        lines=[np.array(list(line.array), float).tobytes() for line in lines],
        ticks=[
            [getattr(data, f"tick_{name}", "none") for name in ("open", "close", "volume", "last")]
            for data in strategy.datas
        ],
        ended=(
            *(broker.cash, broker.getvalue(), broker._valuelever, broker._valuemkt),
            *(broker._unrealized, broker._leverage, broker._fundval, broker._fundshares),
            *(broker._valuemktlever, strategy._minperstatus, len(broker.orders)),
            [(p.size, p.price, p.adjbase) for p in broker.positions.values()],
        ),
    )


def exact(value: Any) -> Any:
    """Turn values into ones that compare bit by bit; any NaN is like any other."""
    if isinstance(value, float):
        return float(value).hex()
    if isinstance(value, list | tuple):
        return tuple(exact(one) for one in value)
    if isinstance(value, dict):
        return tuple((name, exact(one)) for name, one in value.items())
    return value


def differences(stock: dict[str, Any], lean: dict[str, Any]) -> list[str]:
    """Say in which parts two runs differ, with the first difference of each."""
    found = []
    for name in sorted({*stock, *lean} - {"trace", "engine"}):
        one, other = exact(stock.get(name)), exact(lean.get(name))
        if one == other:
            continue
        where = ""
        if isinstance(one, tuple) and isinstance(other, tuple):
            pairs = enumerate(zip(one, other, strict=False))
            at = next((number for number, (a, b) in pairs if a != b), -1)
            where = f" [{at}] of {len(one)}/{len(other)}"
            if at >= 0:
                one, other = one[at], other[at]
        found.append(f"{name}{where}: {str(one)[:600]} != {str(other)[:600]}")
    return found


def both(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a seed's run by stock Backtrader on frames and by the lean engine on arrays."""
    given = plan(seed)
    stock = run(given, cerebro=bt.Cerebro)
    lean = run(given, cerebro=LeanCerebro, broker=LeanBroker, arrays=True)
    return stock, lean


def both_on_equity_broker(seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a seed's run on `EquityBroker`, splits and dividends included, by both engines."""
    given = plan(seed)
    rng = random.Random(seed)
    given.frames = [_with_actions(frame, rng) for frame in given.frames]
    broker = partial(EquityBroker, cash=50_000.0)
    stock = run(given, cerebro=bt.Cerebro, broker=broker, arrays=True)
    return stock, run(given, cerebro=LeanCerebro, broker=broker, arrays=True)


def _with_actions(frame: pd.DataFrame, rng: random.Random) -> pd.DataFrame:
    frame = frame.assign(factor=1.0, dividend=0.0)
    if rng.random() < 0.5:
        frame.iloc[50:, frame.columns.get_loc("factor")] = 2.0
    if rng.random() < 0.5:
        frame.iloc[20::25, frame.columns.get_loc("dividend")] = 0.5
    return frame
