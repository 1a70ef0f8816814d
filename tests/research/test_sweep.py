# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel gives what the engine gives, bit for bit, and says what it leaves to the engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import date
from itertools import product
from typing import Any

import backtrader as bt
import numpy as np
import pytest

import iverson as iv
from iverson.book import Book
from iverson.errors import ConfigError
from iverson.execution.costs import Costs
from iverson.market import sample
from iverson.model import Signal
from iverson.research import sweep as sweeping
from iverson.research import sweep_limits, sweep_lines
from iverson.research.backtest import Prepared, Setup, simulate
from iverson.research.search import Score, Task
from iverson.research.sweep import SweepMismatch, explain, sweep
from iverson.research.sweep_lines import plans_of
from iverson.risk import rules
from iverson.risk.rules import RiskRule
from iverson.risk.sizing import RiskSizing
from iverson.signals.entry import Short
from iverson.testing import bars
from strategies.rsi_reversion import RsiReversion, grid
from tests.research.sweep_campaign import compare, random_case

pytest.importorskip("numba")

SYMBOLS = ["AAPL", "FB", "IBM"]
SPAN = (date(2012, 9, 4), date(2013, 6, 28))
SETUP = Setup(RsiReversion, rules.standard())


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    return Prepared.of(sample.load(SYMBOLS))


def task(*sets: dict[str, Any], setup: Setup = SETUP) -> Task:
    return Task((0, 0), setup, sets or ({},), *SPAN, "sharpe", 1)


def evaluate(one: Task, prepared: Prepared) -> list[Score]:
    """Score a batch by the engine, whatever `search.evaluate` uses."""
    return [sweeping.engine_score(one, params, prepared) for params in one.sets]


def assert_same(ours: list[Score], theirs: list[Score]) -> None:
    """Equal to the last bit; NaN, which a set without a trade has, is equal to NaN."""
    assert [repr(one) for one in ours] == [repr(one) for one in theirs]


@pytest.mark.parametrize("seed", range(16))
def test_random_setup_is_the_same_as_by_the_engine(seed: int) -> None:
    """Long and short, partial fills, splits, dividends, halts, holes in the bars."""
    answer, _ = compare(*random_case(seed))

    assert answer in ("same", "engine")


def test_campaign_seeds_are_mostly_for_the_kernel() -> None:
    answers = [sweeping.kernel_runs(case, bars)[0] for case, bars in map(random_case, range(8))]

    assert sum(answer is not None for answer in answers) >= 5


def test_scores_are_those_of_the_search(prepared: Prepared) -> None:
    """A grid of a real strategy; a symbol that lists a little before the span."""
    sets = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())][::6]

    assert_same(sweep(task(*sets), prepared), evaluate(task(*sets), prepared))


def test_strategy_fed_with_another_span_gives_its_own_lines(prepared: Prepared) -> None:
    """The second span is fed to strategies made for the first."""
    sweep(task(), prepared)
    later = replace(task(), first=date(2013, 3, 1), last=date(2013, 12, 31))
    last = replace(task(), first=date(2013, 1, 2), last=date(2013, 10, 31))

    assert_same(sweep(later, prepared), evaluate(later, prepared))
    assert_same(sweep(last, prepared), evaluate(last, prepared))


class Bands(iv.Strategy):
    """Buys below the lower band: its width is a parameter that no period depends on."""

    params = dict(width=2.0)

    def entry(self, data: Any) -> Any:
        bands = bt.ind.BollingerBands(data, period=10, devfactor=self.p.width)
        low = data.close < bands.bot
        return iv.Long(confidence=bt.If(low, 3, 0), limit=data.close, stop=data.close * 0.97)


@pytest.mark.parametrize("widths", [(2.0, 0.5), (0.5, 2.0)])
def test_parameter_that_leaves_the_periods_alone_makes_other_lines(
    prepared: Prepared, widths: tuple[float, float]
) -> None:
    both = task(*(dict(width=width) for width in widths), setup=replace(SETUP, strategy=Bands))
    one, other = sweep(both, prepared)

    assert one.trades != other.trades
    assert_same([one, other], evaluate(both, prepared))


def test_search_of_more_sets_than_plans_are_kept_gives_the_same(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (
        task(*(dict(oversold=20 + 5 * n + m) for n in range(3)), setup=SETUP) for m in (0, 1)
    )
    expected = [sweep(part, prepared) for part in (one, other, one)]
    monkeypatch.setattr(sweep_lines, "MOST_PLANS", 2)
    plans = plans_of(RsiReversion)

    for part, scores in zip((one, other, one), expected, strict=True):
        assert_same(sweep(part, prepared), scores)
        assert len(plans._alone) <= len(part.sets) + 2


class Other(RsiReversion):
    """Reads another symbol's line."""

    def entry(self, data: Any) -> Any:
        market = self.datas[0]
        rising = market.close > bt.ind.SMA(market, period=5)
        return iv.Long(confidence=bt.If(rising, 3, 0), limit=data.close, stop=data.close * 0.97)


def test_line_of_another_symbol_is_read_where_it_stands(prepared: Prepared) -> None:
    other = task(setup=replace(SETUP, strategy=Other))

    assert sweeping.kernel_runs(other, prepared)[0] is not None
    assert_same(sweep(other, prepared), evaluate(other, prepared))


@pytest.mark.parametrize("look", ["datas", "name", "memory", "count"])
def test_strategy_that_looks_beyond_its_symbol_is_made_over_all(
    prepared: Prepared, look: str
) -> None:
    """Each parameter set is watched by itself: the first that is seen may look at nothing."""
    plain, curious = dict(look="nothing"), dict(look=look)
    both = task(plain, curious, setup=replace(SETUP, strategy=Curious))
    plans = plans_of(Curious)

    assert_same(sweep(both, prepared), evaluate(both, prepared))
    assert plans.plan(plain, tuple(SYMBOLS)).alone
    assert not plans.plan(curious, tuple(SYMBOLS)).alone


class Curious(iv.Strategy):
    """Trades by what it looks at beside its lines."""

    params: Any = dict(look="nothing")

    def __init__(self) -> None:
        self.made = 0
        super().__init__()

    def entry(self, data: Any) -> Any:
        market, deep = data, 0.97
        if self.p.look == "datas":
            market = self.datas[0]
        elif self.p.look == "name" and data._name == "IBM":
            return ()
        elif self.p.look == "memory":
            self.made += 1
            deep -= self.made / 100
        elif self.p.look == "count":
            deep -= len(self.getdatanames()) / 100
        rising = market.close > bt.ind.SMA(market, period=5)
        return iv.Long(confidence=bt.If(rising, 3, 0), limit=data.close, stop=data.close * deep)


@pytest.mark.parametrize("rule", [rules.DrawdownHalt(limit=0.005, flatten=True),
                                  rules.DailyLossHalt(limit=0.002, flatten=True)])  # fmt: skip
def test_halt_that_flattens_is_the_engines(prepared: Prepared, rule: RiskRule) -> None:
    params = dict(max_sessions=None)
    setup = replace(SETUP, strategy=EveryDay, params=params)
    leaving, keeping = (
        task(setup=replace(setup, rules=(one, rules.OneSystemPerSymbol())))
        for one in (rule, type(rule)(limit=rule.p.limit))
    )

    assert explain(leaving.setup) is None
    assert_same(sweep(leaving, prepared), evaluate(leaving, prepared))
    assert sweep(leaving, prepared)[0].trades > sweep(keeping, prepared)[0].trades


class Counting(bt.Indicator):
    lines: Any = ("count",)

    def __init__(self) -> None:
        self.addminperiod(2)
        self.seen = 0

    def next(self) -> None:
        self.seen += 1
        self.lines.count[0] = self.seen % 7


class Remembering(RsiReversion):
    """Has an indicator that remembers what it has seen."""

    def entry(self, data: Any) -> Any:
        wanted = bt.If(Counting(data) < 2, 4, 0)
        return iv.Long(confidence=wanted, limit=data.close, stop=data.close * 0.97)


def test_indicator_with_a_memory_is_made_anew_for_each_span(prepared: Prepared) -> None:
    first = task(setup=replace(SETUP, strategy=Remembering))
    second = replace(first, first=date(2013, 1, 2))
    for one in (first, second, first):
        assert_same(sweep(one, prepared), evaluate(one, prepared))


class EveryDay(iv.Strategy):
    """Enters whenever it is out."""

    warm_up = 0

    def entry(self, data: Any) -> Any:
        return iv.Long(confidence=5, limit=data.close * 1.02, stop=data.close * 0.9)


def test_trade_that_a_split_ends_comes_before_the_fills_of_its_bar() -> None:
    """A reverse split leaves no share of B while A, which is matched first, leaves at the close."""
    rising = bars(" ".join(str(100 + n) for n in range(12)), symbol="A")
    split = bars("100 " * 6 + "gap 25000 " + "25000 " * 5, symbol="B", splits={6: 0.004})
    setup = Setup(
        EveryDay, (rules.OneSystemPerSymbol(),), costs=Costs.none(), params=dict(max_sessions=1)
    )
    first, last = rising.session[0].item(), rising.session[-1].item()
    case = Task((0, 0), setup, ({},), first, last, "sharpe", 1)
    prepared = Prepared.of({"A": rising, "B": split})

    answer, trades = compare(case, prepared)

    assert (answer, trades) == ("same", 9)


# -- what the kernel leaves to the engine ----------------------------------------------------------


class OwnRule(RiskRule):
    def deny(self, signal: Signal, book: Book) -> str | None:
        return None


class OwnSizing(RiskSizing):
    pass


class OwnCosts(Costs):
    pass


class OwnSignals(iv.Strategy):
    def signals(self) -> Iterator[Signal]:
        yield from ()


class OwnNext(RsiReversion):
    def next(self) -> None:
        super().next()


class OwnStop(RsiReversion):
    def notify_trade(self, trade: Any) -> None:
        """Be told."""


STANDARD = rules.standard()


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        (SETUP, None),
        (replace(SETUP, rules=rules.standard(short=True)), None),
        (replace(SETUP, rules=(*STANDARD, OwnRule())), "OwnRule is a rule of your own"),
        (replace(SETUP, rules=()), "without OneSystemPerSymbol"),
        (replace(SETUP, rules=(*STANDARD, rules.DrawdownHalt())), "is there twice"),
        (replace(SETUP, sizing=OwnSizing()), "OwnSizing is a sizing of your own"),
        (replace(SETUP, costs=OwnCosts()), "OwnCosts are costs of your own"),
        (replace(SETUP, capital=iv.CapitalSteps()), "by capital steps a size depends on"),
        (replace(SETUP, as_alpaca=True), "orders are taken on Alpaca's terms"),
        (replace(SETUP, strategy=OwnSignals), "OwnSignals has no entry"),
        (replace(SETUP, strategy=OwnNext), r"OwnNext has a next\(\) of its own"),
        (replace(SETUP, strategy=OwnStop), r"OwnStop has a notify_trade\(\) of its own"),
        (replace(SETUP, params=dict(entry_sessions=1.5)), "entry_sessions is 1.5"),
    ],
)
def test_kernel_says_what_it_cannot_express(setup: Setup, words: str | None) -> None:
    why = explain(setup)

    assert (why is None) == (words is None)
    assert words is None or re.search(words, str(why))


def test_without_numba_the_engine_searches(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_limits, "find_spec", lambda name: None)

    assert explain(SETUP) == "numba is not installed"
    assert_same(sweep(task(), prepared), evaluate(task(), prepared))


class Faulty(RsiReversion):
    def entry(self, data: Any) -> Any:
        return iv.Long(confidence=3, limit=data.close, stop=data.close * 1.01)


def test_faulty_signal_is_the_engines_sentence(prepared: Prepared) -> None:
    faulty = task(setup=replace(SETUP, strategy=Faulty))
    with pytest.raises(ConfigError) as by_engine:
        evaluate(faulty, prepared)
    with pytest.raises(ConfigError) as by_kernel:
        sweep(faulty, prepared)

    assert str(by_kernel.value) == str(by_engine.value)


class Always(RsiReversion):
    """Buys every bar, with the standard stop."""

    def entry(self, data: Any) -> Any:
        stop = iv.atr_stop(data)
        target = data.close + 1.5 * (data.close - stop)
        return iv.Long(confidence=4, limit=data.close, stop=stop, target=target)


def test_symbol_that_does_not_move_is_denied_and_the_rest_goes_on(prepared: Prepared) -> None:
    """Its ATR fades from dollars through fractions of a tick; another never had one."""
    sessions = 900
    fading = bars("100 " * 200 + "90 " * (sessions - 200), symbol="FADES")
    still = bars("50/50/50/50 " * sessions, symbol="STILL")
    given = Prepared.of({"FADES": fading, "STILL": still})
    one = replace(
        task(setup=replace(SETUP, strategy=Always)),
        first=fading.session[100].item(),
        last=fading.session[-1].item(),
    )
    record = simulate(one.setup, given, first=one.first, last=one.last).record
    too_fine = [verdict for verdict in record.verdicts if verdict.rule == "price grid"]

    assert {verdict.signal.symbol for verdict in too_fine} == {"FADES", "STILL"}
    assert not any(verdict.alert for verdict in record.verdicts)
    assert any(verdict.approved for verdict in record.verdicts)
    assert sweeping.kernel_runs(one, given)[0] is not None
    assert_same(sweep(one, given), evaluate(one, given))


def test_kernel_knows_every_setting() -> None:
    """A new setting has to be taught to the kernel, or refused by `explain`."""
    parts = {
        Setup: "strategy rules sizing costs cash params through_ticks volume_share reading"
        " universe capital as_alpaca",
        RiskSizing: "risk notional volume volume_sessions",
    }
    for part, names in parts.items():
        assert [one.name for one in fields(part)] == names.split()
    known = {"max_sessions", "entry_sessions", "desk"}
    of_minutes = {"entry_minutes"}  # read on bars within the session only, which are the engine's
    assert set(iv.Strategy.params._getkeys()) == known | of_minutes


# -- differences -----------------------------------------------------------------------------------


def test_difference_stops_the_search_and_names_the_first(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = sweeping._run

    def wrong(*args: Any) -> Any:
        start, equity, pnl, bars = right(*args)
        equity[7] = np.nextafter(equity[7], np.inf)
        return start, equity, pnl, bars

    monkeypatch.setattr(sweeping, "_run", wrong)

    with pytest.raises(SweepMismatch, match=r"equity of session 7 is .* by the kernel"):
        sweep(task(), prepared)
    assert sweep(task(), prepared, verify=False)


class ShortSide(RsiReversion):
    """Sells what has risen too fast."""

    def entry(self, data: Any) -> Any:
        rsi = bt.ind.RSI(data, period=5, safediv=True)
        stop = iv.atr_stop(data, atrs=2.0, cap=0.05, side="short")
        return Short(confidence=bt.If(rsi > 70, 4, 0), limit=data.close, stop=stop, reason=rsi)


@pytest.mark.parametrize("reading", ["worst", "base", "best"])
def test_short_side_under_each_reading(prepared: Prepared, reading: Any) -> None:
    setup = replace(SETUP, strategy=ShortSide, rules=rules.standard(short=True), reading=reading)
    scores = sweep(task(setup=setup), prepared)

    assert_same(scores, evaluate(task(setup=setup), prepared))
    assert scores[0].trades > 5
