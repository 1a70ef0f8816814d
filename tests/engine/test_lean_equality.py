# SPDX-License-Identifier: GPL-3.0-or-later
"""The lean engine does what stock Backtrader does, to the last bit, and says by which way."""

from __future__ import annotations

import gc
import types
from typing import Any

import backtrader as bt
import pytest

from iverson.engine.account_line import AccountLine
from iverson.engine.broker import LeanBroker
from iverson.engine.cerebro import LeanCerebro
from iverson.engine.feed import ArrayData
from iverson.errors import ConfigError
from iverson.execution.costs import Costs
from iverson.execution.equity_broker import EquityBroker
from iverson.research import backtest
from iverson.testing import bars, run_signals, signal
from tests.engine import examples
from tests.engine.fuzz import (
    Halt,
    both,
    both_on_equity_broker,
    columns,
    differences,
    plan,
    run,
    walk,
)

SEEDS = range(16)  # `python -m tests.engine.campaign` runs thousands


@pytest.mark.parametrize("seed", SEEDS)
def test_random_runs_are_equal(seed):
    stock, lean = both(seed)

    assert differences(stock, lean) == []


@pytest.mark.parametrize("seed", [3, 5, 9])
def test_a_stock_broker_and_a_stock_feed_run_under_the_lean_loop(seed):
    given = plan(seed)
    stock = run(given, cerebro=bt.Cerebro)

    lean = run(given, cerebro=LeanCerebro, broker=bt.brokers.BackBroker)

    assert differences(stock, lean) == []


@pytest.mark.parametrize("seed", [3, 5, 9])
def test_lean_switched_off_is_stock(seed):
    given = plan(seed)
    given.cerebro["lean"] = False
    lean = run(given, cerebro=LeanCerebro, arrays=True)
    del given.cerebro["lean"]

    assert differences(run(given, cerebro=bt.Cerebro), lean) == []
    assert "stock loop" in lean["engine"].explain()


# -- Backtrader's examples -------------------------------------------------------------------------


@pytest.mark.parametrize("example", examples.ALL, ids=lambda example: example.__name__)
def test_examples_end_as_under_stock(example):
    expected = examples.result(example, bt.Cerebro(stdstats=False))

    assert examples.result(example, LeanCerebro(stdstats=False)) == expected


# -- ways ------------------------------------------------------------------------------------------


class Cross(bt.Strategy):
    params = dict(period=10)

    def __init__(self):
        self.sma = bt.ind.SMA(period=self.p.period)
        self.log = []

    def next(self):
        self.log.append((len(self), self.data.close[0], self.sma[0], self.broker.getvalue()))
        if self.data.close > self.sma and not self.position:
            self.buy(size=10)
        elif self.data.close < self.sma and self.position:
            self.close()


def cerebro_of(cls: Any, *frames: Any, **options: Any) -> Any:
    cerebro = cls(stdstats=False, **options)
    for number, frame in enumerate(frames or (walk(120, 1),)):
        cerebro.adddata(ArrayData(dataname=columns(frame)), name=f"S{number}")
    return cerebro


def test_several_strategies_take_turns_in_the_lean_loop():
    logs = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cerebro_of(cls)
        cerebro.addstrategy(Cross)
        cerebro.addstrategy(Cross, period=20)
        logs.append([strategy.log for strategy in cerebro.run()])

    assert logs[0] == logs[1]
    assert "lean loop: 1 feeds on 1 calendars, 2 strategies in turn" in cerebro.explain()
    assert "passes vectorised" in cerebro.explain()


def test_signals_take_the_stock_loop_and_say_why():
    ends = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cerebro_of(cls)
        cerebro.add_signal(bt.SIGNAL_LONGSHORT, bt.ind.CrossOver, bt.ind.SMA, period=10)
        ends.append(cerebro_value(cerebro))

    assert ends[0] == ends[1]


def cerebro_value(cerebro: Any) -> Any:
    try:
        return cerebro.run()[0].broker.getvalue()
    except Exception as error:  # noqa: BLE001 (whatever it raises is compared)
        return repr(error)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(runonce=False), "runonce=False"),
        (dict(preload=False), "preload=False"),
        (dict(exactbars=1), "exactbars=1"),
        (dict(oldsync=True), "oldsync=True"),
        (dict(lookahead=2), "lookahead"),
        (dict(writer=True), "a writer is attached"),
        (dict(), "lean loop: 1 feeds on 1 calendars"),
    ],
)
def test_explain_names_the_way_and_the_reason(options, words, capsys):
    logs = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cerebro_of(cls, **options)
        cerebro.addstrategy(Cross)
        logs.append(cerebro.run()[0].log)

    assert logs[0] == logs[1]
    assert words in cerebro.explain()


def test_explain_before_a_run():
    assert LeanCerebro().explain() == "nothing has run yet"


def test_repeated_timestamps_take_the_stock_loop():
    frame = walk(100, 3)
    given = columns(frame)
    given["datetime"][50] = given["datetime"][49]
    logs = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cls(stdstats=False)
        cerebro.adddata(ArrayData(dataname=given))
        cerebro.addstrategy(Cross)
        logs.append(cerebro.run()[0].log)

    assert logs[0] == logs[1]
    assert "repeat or go back" in cerebro.explain()


def test_an_overridden_step_takes_the_stock_loop():
    class Nosy(Cross):
        def _notify(self, *args, **kwargs):
            super()._notify(*args, **kwargs)

    cerebro = cerebro_of(LeanCerebro)
    cerebro.addstrategy(Nosy)
    cerebro.run()

    assert "Nosy overrides a step" in cerebro.explain()


# -- an account that nobody asks about -------------------------------------------------------------


class Quiet(bt.Strategy):
    """Holds two positions without a look at the account; on one bar it does one thing."""

    params = dict(does=None, sells=50)

    def next(self):
        if len(self) == 5:
            self.buy(self.data0, size=10)
            self.sell(self.data1, size=7)
        if len(self) == 30 and self.p.does is not None:
            self.p.does(self.broker, self.datas)
        if len(self) == self.p.sells:
            self.close(self.data0)


def interest(broker: Any, _: Any) -> None:
    broker.setcommission(commission=0.001, interest=0.2, interest_long=True)


def futures(broker: Any, _: Any) -> None:
    margin = bt.CommissionInfo(commission=1.0, margin=50.0, mult=3.0)
    broker.addcommissioninfo(margin, name="S1")


DOINGS = {
    "nothing": None,
    "interest": interest,
    "futures": futures,
    "adds cash": lambda broker, _: broker.add_cash(500.0),
    "sets cash": lambda broker, _: broker.set_cash(9_000.0),
    "asks for one feed": lambda broker, datas: broker.getvalue(datas[:1]),
    "asks for two feeds": lambda broker, datas: broker.getvalue(datas),
    "no short cash": lambda broker, _: broker.set_shortcash(False),
    "a filler": lambda broker, _: broker.set_filler(bt.fillers.FixedSize(size=3)),
}


@pytest.mark.parametrize("sells", [30, 32, 50])
@pytest.mark.parametrize("does", DOINGS.values(), ids=DOINGS.keys())
def test_an_account_that_nobody_asks_about_is_valued_as_under_stock(does, sells):
    ended = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cerebro_of(cls, walk(60, 1), walk(70, 2).drop(walk(70, 2).index[29:33]))
        cerebro.addstrategy(Quiet, does=does, sells=sells)
        broker = cerebro.run()[0].broker
        held = [(p.size, p.price, p.adjbase, p.datetime) for p in broker.positions.values()]
        sums = (broker.getvalue(), broker.get_value(mkt=True), broker.get_value(lever=True))
        fund = (broker.fundvalue, broker.fundshares, broker.get_leverage())
        ended.append((held, broker.getcash(), sums, fund, broker._unrealized))

    assert ended[0] == ended[1]
    assert "lean loop" in cerebro.explain()


def test_nothing_is_summed_before_it_is_asked_for(monkeypatch):
    sums = []
    monkeypatch.setattr(LeanBroker, "_sum_stocks", lambda *_: sums.append(1))
    cerebro = cerebro_of(LeanCerebro, walk(60, 1), walk(60, 2))
    cerebro.addstrategy(Quiet)
    cerebro.run()

    assert len(sums) <= 2  # the bars before anything was late, and the end


class Asking(bt.Strategy):
    """Asks for the account's value on every bar, and on two of them does something to it."""

    params = dict(does=None)

    def __init__(self):
        self.values: list[Any] = []

    def next(self):
        if len(self) in {20, 40}:
            self.buy(size=3)
        if len(self) in {30, 50}:
            self.close()
        if len(self) in {10, 36, 38, 55}:
            self.p.does(self.broker, self.datas, len(self))
        held = self.getposition(self.data1).size, self.position.size, self.position.price
        self.values.append((self.broker.getvalue(), self.broker.getcash(), held))


def sets_cash_back(broker: Any, _: Any, bar: int) -> None:
    broker.cash = 9_000.0 if bar == 36 else 10_000.0


def sets_value(broker: Any, _: Any, bar: int) -> None:
    broker.set_cash(broker.getcash() + bar)
    broker.cash -= bar


MOVES = {
    "updates": lambda broker, datas, bar: broker.positions[datas[0]].update(bar, 50.0),
    "sets": lambda broker, datas, bar: broker.positions[datas[0]].set(bar, 50.0),
    "fixes": lambda broker, datas, bar: broker.positions[datas[1]].fix(bar, 50.0),
    "cash to and fro": sets_cash_back,
    "cash but not value": sets_value,
}


@pytest.mark.parametrize("does", MOVES.values(), ids=MOVES.keys())
def test_an_account_moved_by_hand_is_valued_as_under_stock(does):
    values = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cerebro_of(cls, walk(60, 1), walk(60, 2))
        cerebro.addstrategy(Asking, does=does)
        values.append(cerebro.run()[0].values)

    assert values[0] == values[1]
    assert len(set(values[0])) > 10
    assert "lean loop" in cerebro.explain()


class HasPlaces(bt.Strategy):
    """Has its own idea of what a position is."""

    def getposition(self, data=None, broker=None):
        return super().getposition(data, broker).size

    def next(self):
        self.seen = self.getposition(), self.getposition(self.data, self.broker)
        if len(self) == 5:
            self.buy(size=10)


def test_a_strategy_that_looks_positions_up_in_its_own_way_is_left_to_it():
    cerebro = cerebro_of(LeanCerebro, walk(60, 1))
    cerebro.addstrategy(HasPlaces)

    assert cerebro.run()[0].seen == (10, 10)
    assert "lean loop" in cerebro.explain()


def test_executions_are_shared_by_all_notifications_of_an_order():
    class Keeps(bt.Strategy):
        def __init__(self):
            self.kept: list[Any] = []

        def notify_order(self, order):
            self.kept.append(order)

        def next(self):
            if len(self) == 5:
                self.buy(size=10)

    kept = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cerebro_of(cls, walk(60, 1))
        cerebro.addstrategy(Keeps)
        orders = cerebro.run()[0].kept
        done = [order.executed for order in orders]
        kept.append([(len(o), [b.price for b in o.exbits], o.p1, o.p2, o.size) for o in done])

    assert kept[0] == kept[1]
    assert [one[0] for one in kept[0]] == [1, 1, 1]  # submitted, accepted, completed


# -- what is left behind ---------------------------------------------------------------------------


def classes(strategy: Any) -> list[str]:
    parts = [strategy, *strategy.datas, strategy.sma]
    return [type(one).__module__ for one in parts] + [
        type(line).__mro__[0].__name__ for one in parts for line in one.lines
    ]


def test_classes_and_positions_are_stocks_after_a_run():
    ran = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cerebro_of(cls)
        cerebro.addstrategy(Cross)
        ran.append(cerebro.run()[0])
    stock, lean = ran

    assert classes(lean) == classes(stock)
    assert type(lean) is Cross
    assert type(lean.data) is ArrayData
    assert (len(lean), len(lean.data), len(lean.sma)) == (120, 120, 120)
    assert lean.data.close.get(size=3) == stock.data.close.get(size=3)
    assert lean.sma.lines[0].plot().tobytes() == stock.sma.lines[0].plot().tobytes()
    assert lean.datetime.datetime(-1) == stock.datetime.datetime(-1)
    assert set(vars(lean.data)) == set(vars(stock.data))


def test_classes_are_given_back_when_a_strategy_raises():
    kept = []

    class Failing(Cross):
        def next(self):
            kept.append(self)
            if len(self) == 30:
                raise Halt

    cerebro = cerebro_of(LeanCerebro)
    cerebro.addstrategy(Failing)
    with pytest.raises(Halt):
        cerebro.run()

    assert type(kept[0]) is Failing
    assert type(kept[0].data) is ArrayData
    assert len(kept[0]) == len(kept[0].data) == 30


def test_a_line_moved_by_hand_is_refused_with_the_way_out():
    class Mover(Cross):
        def next(self):
            self.sma.lines.rewind()

    cerebro = cerebro_of(LeanCerebro)
    cerebro.addstrategy(Mover)
    with pytest.raises(ConfigError, match="lean=False"):
        cerebro.run()


def test_the_same_cerebro_runs_twice_alike():
    cerebro = cerebro_of(LeanCerebro)
    cerebro.addstrategy(Cross)
    first = cerebro.run()[0].log

    assert cerebro.run()[0].log == first
    assert len(first) == 111


@pytest.mark.parametrize("optreturn", [True, False])
def test_optstrategy_gives_stocks_results(optreturn):
    found = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cerebro_of(cls, maxcpus=1, optreturn=optreturn)
        cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
        cerebro.optstrategy(Cross, period=[5, 10, 15])
        runs = cerebro.run()
        found.append([(r[0].p.period, repr(r[0].analyzers.trades.get_analysis())) for r in runs])

    assert found[0] == found[1]
    assert len(found[0]) == 3


@pytest.mark.filterwarnings(  # stock's Cerebro holds counters, and sends itself to the processes
    "ignore:Pickle, copy, and deepcopy support will be removed from itertools:DeprecationWarning"
)
def test_optstrategy_over_processes_gives_stocks_results():
    found = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cls(stdstats=False, maxcpus=2)
        cerebro.adddata(bt.feeds.PandasData(dataname=walk(60, 1)))
        cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
        cerebro.optstrategy(examples.Crossing, fast=[3, 5])
        runs = cerebro.run()
        found.append([repr(r[0].analyzers.trades.get_analysis()) for r in runs])

    assert found[0] == found[1]


# -- Iverson's own broker and strategies -----------------------------------------------------------


@pytest.fixture
def engine(monkeypatch):
    """A function that lets `simulate` use another Cerebro."""

    def use(cls: Any) -> None:
        namespace = types.SimpleNamespace(**vars(bt))
        namespace.Cerebro = cls
        monkeypatch.setattr(backtest, "bt", namespace)
        if hasattr(backtest, "LeanCerebro"):
            monkeypatch.setattr(backtest, "LeanCerebro", cls)

    return use


def notes(outcome: Any) -> Any:
    return [repr(value) for value in outcome.record.values], outcome.equity.tolist()


@pytest.mark.parametrize("seed", range(6))
def test_random_runs_on_the_equity_broker_are_equal(seed):
    stock, lean = both_on_equity_broker(seed)

    assert differences(stock, lean) == []


@pytest.mark.parametrize("second", [104.0, 96.0, 90.0])
def test_a_signal_goes_the_same_way_through_both(engine, second):
    series = dict(
        TEST=bars(f"100 100 99/101/97/{second} {second} 103 105 100 99 98"),
        LATE=bars("50 51 49/52/48/50 | 51 52 53 54", symbol="LATE", splits={5: 2.0}),
    )
    signals = {2: [signal(limit=100.0), signal(symbol="LATE", limit=51.0, stop=45.0, target=60.0)]}
    found = []
    for cls in (bt.Cerebro, LeanCerebro):
        engine(cls)
        found.append(notes(run_signals(series, signals)))

    assert found[0] == found[1]
    assert len(found[0][0]) > 10


def test_the_equity_broker_serves_plain_strategies_the_same(engine):
    found = []
    for cls in (bt.Cerebro, LeanCerebro):
        frames = (walk(150, 1), walk(150, 2)[20:])
        cerebro = cerebro_of(cls, *(frame.assign(factor=1.0, dividend=0.0) for frame in frames))
        cerebro.setbroker(EquityBroker(cash=50_000.0, costs=Costs()))
        cerebro.addstrategy(examples.Brackets)
        strategy = cerebro.run()[0]
        found.append((strategy.log, strategy.broker.getcash(), strategy.broker.getvalue()))

    assert found[0] == found[1]
    assert "lean loop" in cerebro.explain()
    assert "EquityBroker" in cerebro.explain()


def test_the_default_broker_is_lean():
    assert type(LeanCerebro().broker) is LeanBroker


def test_the_account_line_notes_every_bar():
    found = []
    for cls in (bt.Cerebro, LeanCerebro):
        cerebro = cerebro_of(cls)
        cerebro.addstrategy(Cross)
        cerebro.addanalyzer(AccountLine, _name="account")
        strategy = cerebro.run()[0]
        found.append(strategy.analyzers.account.get_analysis())
        assert found[-1]["value"][9:].tolist() == [value for _, _, _, value in strategy.log]

    assert [(k, v.tobytes()) for k, v in found[0].items()] == [
        (k, v.tobytes()) for k, v in found[1].items()
    ]
    assert len(found[0]["number"]) == 120


def test_the_garbage_collector_is_as_before_after_a_run():
    before = gc.get_threshold()
    cerebro = cerebro_of(LeanCerebro)
    cerebro.addstrategy(Cross)
    cerebro.run()

    assert gc.get_threshold() == before
    assert gc.isenabled()


def test_explain_counts_feeds_and_names_the_broker():
    cerebro = cerebro_of(LeanCerebro)
    cerebro.adddata(bt.feeds.PandasData(dataname=walk(120, 2)))
    cerebro.addstrategy(Cross)
    cerebro.run()

    assert "feeds: 1 of 2 handed over as columns" in cerebro.explain()
    assert "broker: LeanBroker, lean" in cerebro.explain()
