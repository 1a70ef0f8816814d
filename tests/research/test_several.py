# SPDX-License-Identifier: GPL-3.0-or-later
"""Several strategies, one account: who comes first, who is told apart, what stays the same."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import iverson as iv
from iverson.errors import ConfigError
from iverson.market import sample
from iverson.model import Signal, Trade
from iverson.research.backtest import Setup
from iverson.research.report import render
from iverson.research.report_facts import Facts
from iverson.research.several import combined
from iverson.research.sweep import explain
from iverson.testing import bars
from strategies.rsi_reversion import RsiReversion

NAMES = ["AAPL", "IBM", "MSFT"]
SPAN = ("2005", "2005-09")
FREE: dict[str, Any] = dict(rules=[iv.rules.OneSystemPerSymbol()], cash=10_000_000.0)


class Dip(iv.Strategy):
    """Buys below an average."""

    params: Any = dict(period=5, max_sessions=2)

    def entry(self, data: Any) -> Any:
        low = data.close < bt.ind.SMA(data, period=self.p.period)
        return iv.Long(
            confidence=bt.If(low, 3, 0), limit=data.close, stop=data.close * 0.97, reason="dip"
        )


class Rise(iv.Strategy):
    """Buys above an average, by a generator of its own; keeps something in its `__init__`."""

    params: Any = dict(period=10, max_sessions=4, entry_sessions=2)

    def __init__(self) -> None:
        super().__init__()
        self.averages = {data: bt.ind.SMA(data, period=self.p.period) for data in self.datas}

    def signals(self) -> Iterator[Signal]:
        assert self.desk.now is not None
        for data, average in self.averages.items():
            if not self.is_ready(data) or not data.close[0] > average[0]:
                continue
            close = data.close[0] / data.factor[0]
            yield Signal(
                at=self.desk.now.at,
                session=self.desk.now.session,
                symbol=data._name,
                side="long",
                confidence=4,
                limit=close,
                stop=close * 0.98,
                max_sessions=self.p.max_sessions,
                reason="rise",
                strategy=type(self).__name__,
            )


def system(*uses: Any, symbols: Any = (), **options: Any) -> iv.System:
    return iv.System(uses, symbols or NAMES, bars=sample.load(NAMES), **options)


# -- alone and beside ------------------------------------------------------------------------------


def test_a_list_of_one_is_the_strategy_itself() -> None:
    one, other = system(Dip), iv.System(Dip, NAMES, bars=sample.load(NAMES))

    assert one.strategy is Dip
    assert one.backtest(*SPAN).record.values == other.backtest(*SPAN).record.values


def test_parameters_given_with_a_strategy_keep_their_short_names_when_it_is_alone() -> None:
    one = system(iv.Use(Dip, dict(period=7)))

    assert one.strategy is Dip
    assert one.params == {"period": 7}


def test_strategies_that_never_meet_make_the_sum_of_what_each_makes_alone() -> None:
    """Symbols of their own, cash enough for all, averages that settle: nothing to compete for."""
    ours, theirs = iv.Use(Dip, symbols=["AAPL"]), iv.Use(Rise, symbols=["IBM", "MSFT"])
    sizing = iv.RiskSizing(notional=0.001)  # no size depends on what the other made
    how = {**FREE, "sizing": sizing}
    both = system(ours, theirs, **how).backtest(*SPAN)
    alone = [
        iv.System(Dip, ["AAPL"], bars=sample.load(NAMES), **how).backtest(*SPAN),
        iv.System(Rise, ["IBM", "MSFT"], bars=sample.load(NAMES), **how).backtest(*SPAN),
    ]

    def facts(trades: list[Trade]) -> list[Any]:
        return [(t.strategy, t.symbol, t.entry_session, round(t.entry, 6), t.exit_session,
                 round(t.exit, 6), t.exit_reason) for t in trades]  # fmt: skip

    for name, single in zip(("Dip", "Rise"), alone, strict=True):
        own = [trade for trade in both.record.trades if trade.strategy == name]
        assert len(own) > 10
        assert facts(own) == facts(single.record.trades)
        assert len(own) == both.by_strategy.loc[name, "trades"]
    gained = [one.equity.iloc[-1] - one.start for one in (both, *alone)]
    assert gained[0] == pytest.approx(gained[1] + gained[2], rel=0.05)  # a share more or less


def test_same_sizes_make_the_very_same_sum() -> None:
    """Sizes bounded by the volume alone do not depend on the account at all."""
    sizing = iv.RiskSizing(risk=(0.05,) * 5, notional=1.0, volume=1e-6)
    how = {**FREE, "sizing": sizing, "cash": 1e9}
    ours, theirs = iv.Use(Dip, symbols=["AAPL"]), iv.Use(Rise, symbols=["IBM"])
    both = system(ours, theirs, symbols=["AAPL", "IBM"], **how).backtest(*SPAN)
    alone = [
        iv.System(kind, [name], bars=sample.load(NAMES), **how).backtest(*SPAN)
        for kind, name in ((Dip, "AAPL"), (Rise, "IBM"))
    ]

    for kind, single in zip(("Dip", "Rise"), alone, strict=True):
        own = [trade for trade in both.record.trades if trade.strategy == kind]
        assert own
        assert own == single.record.trades
    sums = sum(one.trades["pnl"].sum() for one in alone)
    assert both.trades["pnl"].sum() == pytest.approx(sums, abs=1e-6)


# -- when they compete -----------------------------------------------------------------------------


FIRST = 2  # number of the first bar that trades: one is taken for the lines


class Told(iv.Strategy):
    """Says what it is told: (symbol, confidence) of the bars with these numbers."""

    warm_up = 0
    params: Any = dict(plan=None, max_sessions=None)

    def signals(self) -> Iterator[Signal]:
        assert self.desk.now is not None
        for symbol, confidence in (self.p.plan or {}).get(len(self), ()):
            yield Signal(
                at=self.desk.now.at, session=self.desk.now.session, symbol=symbol, side="long",
                confidence=confidence, limit=100.0, stop=96.0, strategy=type(self).__name__,
            )  # fmt: skip


class ToldToo(Told):
    """Another one."""


FLAT = {name: bars("100 101 99 100 101 99 100", symbol=name) for name in ("AAA", "BBB")}


def compete(one: Any, other: Any, *rules: iv.RiskRule) -> list[tuple[str, str, str]]:
    """Return strategy, symbol and rule of each verdict on the first bar, in order."""
    strategies = (iv.Use(Told, dict(plan={FIRST: one})), iv.Use(ToldToo, dict(plan={FIRST: other})))
    run = iv.System(strategies, ["AAA", "BBB"], rules=rules, bars=FLAT).backtest()
    return [
        (v.signal.strategy, v.signal.symbol, "" if v.approved else v.rule)
        for v in run.record.verdicts
    ]


def test_highest_confidence_comes_first_whoever_has_it() -> None:
    found = compete([("AAA", 2), ("BBB", 4)], [("AAA", 3), ("BBB", 5)])

    assert [(name, symbol) for name, symbol, _ in found] == [
        ("ToldToo", "BBB"), ("Told", "BBB"), ("ToldToo", "AAA"), ("Told", "AAA"),
    ]  # fmt: skip


def test_between_equals_the_order_of_the_symbols_then_that_of_the_strategies() -> None:
    found = compete([("BBB", 3), ("AAA", 3)], [("BBB", 3), ("AAA", 3)])

    assert [(name, symbol) for name, symbol, _ in found] == [
        ("Told", "AAA"), ("ToldToo", "AAA"), ("Told", "BBB"), ("ToldToo", "BBB"),
    ]  # fmt: skip


def test_one_of_them_owns_a_symbol_at_a_time() -> None:
    rule = iv.rules.OneSystemPerSymbol()

    assert compete([("AAA", 3)], [("AAA", 4)], rule) == [
        ("ToldToo", "AAA", ""), ("Told", "AAA", "one system per symbol"),
    ]  # fmt: skip


def test_slots_are_those_of_the_account() -> None:
    found = compete([("AAA", 4)], [("BBB", 5)], iv.rules.MaxPositions(limit=1))

    assert found == [("ToldToo", "BBB", ""), ("Told", "AAA", "max positions")]


def test_buying_power_is_shared() -> None:
    sizing = iv.RiskSizing(risk=(0.05,) * 5, notional=1.0, volume=1.0)
    strategies = (
        iv.Use(Told, dict(plan={FIRST: [("AAA", 5)]})),
        iv.Use(ToldToo, dict(plan={FIRST: [("BBB", 4)]})),
    )
    run = iv.System(
        strategies, ["AAA", "BBB"], rules=[], sizing=sizing, costs=iv.Costs.none(), bars=FLAT
    ).backtest()

    assert [one.strategy for one in run.record.trades] == ["Told"]
    assert run.denied.loc[0, "rule"] == "size: buying power"
    assert run.denied.loc[0, "strategy"] == "ToldToo"


def test_each_keeps_its_own_time_to_enter_and_to_leave() -> None:
    runaway = {"AAA": bars("100 105 104 103 102 99 98 98 98 98", symbol="AAA")}
    plan = {FIRST: [("AAA", 5)]}
    strategies = [
        iv.Use(Told, dict(plan=plan, entry_sessions=1), name="Hasty"),
        iv.Use(Told, dict(plan=plan, entry_sessions=4), name="Patient"),
    ]
    run = iv.System(strategies, rules=[], symbols=["AAA"], bars=runaway).backtest()

    assert {one.strategy for one in run.record.trades} == {"Patient"}
    sold = replace_run(dict(max_sessions=1), dict(max_sessions=3))
    assert {one.strategy: one.sessions for one in sold} == {"Told": 1, "ToldToo": 3}


def replace_run(one: dict[str, Any], other: dict[str, Any]) -> list[Trade]:
    class Short(Told):
        def signals(self) -> Iterator[Signal]:
            for signal in super().signals():
                yield replace(signal, max_sessions=self.p.max_sessions)

    class Long(Short):
        pass

    strategies = [
        iv.Use(Short, dict(plan={FIRST: [("AAA", 5)]}, **one), name="Told"),
        iv.Use(Long, dict(plan={FIRST: [("BBB", 5)]}, **other), name="ToldToo"),
    ]
    return iv.System(strategies, ["AAA", "BBB"], rules=[], bars=FLAT).backtest().record.trades


# -- one system through everything -----------------------------------------------------------------


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> iv.System:
    return system(RsiReversion, Dip, store=tmp_path_factory.mktemp("store"))


def test_parameters_are_named_by_their_strategy(two: iv.System) -> None:
    changed = two.with_params(**{"Dip.period": 9})
    used = system(RsiReversion, iv.Use(Dip, dict(period=9)))

    assert changed.parameters["Dip.period"] == 9
    assert used.parameters == changed.parameters
    assert used.backtest(*SPAN).record.values == changed.backtest(*SPAN).record.values
    assert used.backtest(*SPAN).record.trades != two.backtest(*SPAN).record.trades
    with pytest.raises(iv.IversonError, match="period"):
        two.with_params(period=9)


def test_results_are_told_by_strategy(two: iv.System) -> None:
    run = two.backtest(*SPAN)
    table = run.by_strategy

    assert list(table.index) == ["RsiReversion", "Dip"]
    assert table["trades"].sum() == len(run.trades)
    assert table["denied"].sum() == len(run.denied)
    assert table["pnl"].sum() == pytest.approx(run.trades["pnl"].sum())
    assert set(run.denied["strategy"]) == set(table.index)
    assert "  Dip: " in str(run)


@pytest.fixture(scope="module")
def walked(two: iv.System) -> Any:
    grid = {"RsiReversion.period": [7, 14], "Dip.period": [5, 10]}
    return two.walk_forward("2005", "2006-06", in_sample="1y", out_of_sample="6mo", grid=grid)


def test_walk_forward_searches_the_parameters_of_each(walked: Any) -> None:
    assert walked.parameters == ("RsiReversion.period", "Dip.period")
    assert walked.trials == 4
    assert {"RsiReversion.period", "Dip.period"} <= set(walked.folds.columns)
    assert any("several strategies share one account" in note for note in walked.notes)
    assert len(walked.tried) == 4
    assert walked.plan.purge == RsiReversion.params.max_sessions + 1


def test_in_sample_score_is_a_backtest_of_the_same_span(two: iv.System, walked: Any) -> None:
    one = walked.results[0]
    span = one.fold.in_sample
    run = two.with_params(**one.chosen.params).backtest(span.first, span.last)

    assert one.chosen.trades == len(run.trades)
    assert one.chosen.total_return == pytest.approx(run.equity.iloc[-1] / run.start - 1.0)


def test_report_has_a_chapter_on_the_strategies(walked: Any) -> None:
    words = render(Facts(walked))

    assert "RsiReversion + Dip" in words
    assert 'id="strategies"' in words
    for name in walked.by_strategy.index:
        assert words.count(name) > 2
    assert "decided one bar later" in words


def test_processes_search_the_same(two: iv.System, walked: Any) -> None:
    how: Any = dict(in_sample="1y", out_of_sample="6mo", grid=dict(walked.plan.space), jobs=2)
    other = two.walk_forward("2005", "2006-06", **how)

    assert [one.scores for one in other.results] == [one.scores for one in walked.results]


def test_check_looks_at_every_strategy(two: iv.System) -> None:
    class Peeks(Dip):
        def entry(self, data: Any) -> Any:
            found = super().entry(data)
            return replace(found, confidence=bt.If(data.close(1) > data.close, 3, 0))

    how: Any = dict(start="2005-03", end="2005-05", sample=3, decisions=4)
    assert two.check(**how).passed
    assert not system(RsiReversion, Peeks).check(**how).passed


def test_journal_holds_the_strategies_apart(two: iv.System, tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    run = two.backtest(*SPAN, journal=path)

    with iv.Journal(path, read_only=True) as journal:
        (row,) = journal.values("run")
        trades = journal.trades()
    assert row.strategy == "RsiReversion + Dip"
    assert row.parameters["Dip.period"] == 5
    assert trades["strategy"].tolist() == run.trades["strategy"].tolist()


def test_kernel_leaves_them_to_the_engine(two: iv.System) -> None:
    assert "several strategies" in str(explain(two._setup({})))


# -- copies, names, refusals -----------------------------------------------------------------------


def test_same_strategies_are_the_same_class_and_travel_as_what_they_are_made_of() -> None:
    uses = [iv.Use(RsiReversion, dict(period=7)), iv.Use(Dip, symbols=["AAPL"])]
    setup = Setup(combined(uses), rules=(), params={"Dip.period": 3})

    assert combined(uses) is combined(uses)
    assert combined(uses) is not combined(uses[::-1])
    assert copy.deepcopy(setup) == setup
    assert b"several" in pickle.dumps(setup)


def test_one_class_can_be_used_twice_under_two_names() -> None:
    uses = [iv.Use(Dip, dict(period=5), name="Fast"), iv.Use(Dip, dict(period=20), name="Slow")]
    run = system(*uses).backtest(*SPAN)

    assert list(run.by_strategy.index) == ["Fast", "Slow"]
    assert (run.by_strategy["signals"] > 0).all()


class Replaces(Dip):
    """Replaces what is shared."""

    def next(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(
    ("uses", "words"),
    [
        ((), "or several"),
        ((Dip, "Rise"), "derives from iv.Strategy"),
        ((Dip, Dip), "two strategies are called Dip"),
        ((Dip, Replaces), r"replaces next\(\)"),
        ((Dip, (Rise,)), "derives from iv.Strategy"),
        ((Dip, iv.Use(Rise, symbols=["FB"])), "Rise has FB, not among the symbols"),
        ((Dip, iv.Use(Rise, dict(periods=3))), "periods"),
    ],
)
def test_what_cannot_share_an_account_is_refused(uses: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        system(*uses)

    assert "\n" not in str(refused.value)


def test_a_name_is_a_word() -> None:
    with pytest.raises(ConfigError, match="is no word"):
        iv.Use(Dip, name="a dip")


def test_faulty_signals_are_blamed_on_who_gave_them() -> None:
    class Wrong(Dip):
        def entry(self, data: Any) -> Any:
            return replace(super().entry(data), stop=data.close * 1.1)

    with pytest.raises(ConfigError, match=r"mend entry\(\) of Wrong"):
        system(RsiReversion, Wrong).backtest(*SPAN)
