# SPDX-License-Identifier: GPL-3.0-or-later
"""The same strategy, the same decisions: a backtest against wakes, and streams, on the exchange.

Three months of the bundled sample for each daily strategy, and four with capital steps, two wakes
or one stream a session, frictions off on both sides: every verdict, every fill and every step is
the same, and the account to the cent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import iverson as iv
from iverson.execution.costs import Costs
from iverson.market import sample
from iverson.market.bars import Bars
from iverson.market.news_synthetic import synthesize
from iverson.model import Fill, Trade, Verdict
from iverson.monitoring.journal import Journal
from iverson.research.backtest import Outcome, Prepared, Setup, simulate
from iverson.risk import rules
from iverson.simulator.settings import Switches
from iverson.stages.rehearse import Rehearsal, rehearse_daily
from iverson.stages.rehearse_days import rehearse_days
from strategies.news_reversal import NewsReversal
from strategies.rsi_reversion import RsiReversion

CENT = 0.005
# A price may be met when it is touched, nothing costs anything, dividends are paid, and the close
# of a daily bar is reached ten minutes before its end, so that leaving shortly before is at it. Of
# two ways through a bar the worse is taken, as the worst reading does.
FRICTIONLESS = Switches.exact(path="adverse", dividends=True, close_early_seconds=600.0)


@dataclass(frozen=True)
class Case:
    """One strategy both ways, over three months in which it trades."""

    last: date
    capital: iv.CapitalSteps | None
    backtest: Outcome
    rehearsal: Rehearsal

    def noted(self, kind: Any) -> list[Any]:
        with Journal(self.rehearsal.journal, read_only=True) as journal:
            return journal.values(kind, run=self.rehearsal.run)


def rsi() -> tuple[Setup, Mapping[str, Bars], date, date]:
    setup = setup_of(RsiReversion, oversold=45)
    return setup, sample.load(), date(2005, 3, 1), date(2005, 5, 31)


def news() -> tuple[Setup, Mapping[str, Bars], date, date]:
    """SYNTHETIC headlines, whose numbers are columns beside the prices."""
    symbols = ["AAPL", "GOOG", "IBM", "MSFT"]
    headlines = synthesize(sample.load(symbols), seed=0)
    bars = iv.System(NewsReversal, symbols, columns=[iv.News(states=headlines)]).load()
    setup = setup_of(NewsReversal, fall=0.5, worst=-0.2, patience=5)
    return setup, bars, date(2008, 7, 1), date(2008, 9, 30)


def steps() -> tuple[Setup, Mapping[str, Bars], date, date]:
    """With capital steps so small that they go up and down within the period."""
    capital = iv.CapitalSteps(levels=(0.004, 0.006, 0.008), trades=5, drawdown=0.012)
    setup = replace(setup_of(RsiReversion, oversold=50), capital=capital)
    return setup, on_cents(sample.load()), date(2010, 7, 1), date(2010, 10, 29)


def on_cents(series: Mapping[str, Bars]) -> dict[str, Bars]:
    """Some prices of the sample have fractions of a cent, which only one of two sides rounds."""
    names = ("open", "high", "low", "close")
    return {
        symbol: replace(bars, **{name: np.round(getattr(bars, name), 2) for name in names})
        for symbol, bars in series.items()
    }


def setup_of(strategy: type[iv.Strategy], **params: Any) -> Setup:
    """With parameters by which it trades often."""
    return Setup(
        strategy,
        tuple(rules.standard()),
        costs=Costs.none(),
        params=params,
        through_ticks=0,
        volume_share=1.0,
    )


WAYS: dict[str, Callable[..., Rehearsal]] = {"wakes": rehearse_daily, "stream": rehearse_days}
PERIODS = {"rsi": rsi, "news": news, "steps": steps}
SLOW = {"steps stream"}  # the steps of a stream are in test_streams, too
PARAMS = [
    pytest.param(case, marks=[pytest.mark.slow] if case in SLOW else [])
    for way in WAYS
    for name in PERIODS
    for case in [f"{name} {way}"]
]


@pytest.fixture(scope="module", params=PARAMS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    name, way = request.param.split()
    setup, bars, first, last = PERIODS[name]()
    return Case(
        last=last,
        capital=setup.capital,
        backtest=simulate(setup, Prepared.of(bars), first=first, last=last, at_end="carry"),
        rehearsal=WAYS[way](
            setup,
            bars,
            system="daily",
            first=first,
            last=last,
            journal=tmp_path_factory.mktemp("rehearsal") / "iverson.db",
            switches=FRICTIONLESS,
        ),
    )


def decision(verdict: Verdict) -> tuple[Any, ...]:
    return (dataclasses.astuple(verdict.signal), verdict.approved, verdict.size, verdict.rule)


def shares(fill: Fill) -> tuple[Any, ...]:
    return (fill.session, fill.symbol, fill.side, fill.leg, fill.size, fill.price)


def test_every_decision_is_the_same(case: Case) -> None:
    made = [decision(one) for one in case.noted("verdict")]
    expected = [decision(one) for one in case.backtest.record.verdicts]

    # on its last session a backtest has no bar left that could fill an entry
    assert made[: len(expected)] == expected
    assert {one[0][1] for one in made[len(expected) :]} <= {case.last}
    assert len(expected) > 10


def test_every_fill_is_the_same(case: Case) -> None:
    made = sorted(shares(one) for one in case.noted("fill"))

    assert made == sorted(shares(one) for one in case.backtest.record.fills)
    assert {one[3] for one in made} >= {"entry", "stop", "time limit"}


def test_account_is_the_same_to_the_cent(case: Case) -> None:
    marks = {one.session: one.equity for one in case.noted("equity")}
    expected = dict(
        zip(case.backtest.sessions.tolist(), case.backtest.equity.tolist(), strict=True)
    )

    assert {session: marks[session] for session in expected} == pytest.approx(expected, abs=CENT)


def test_every_trade_is_the_same(case: Case) -> None:
    def told(one: Trade) -> tuple[Any, ...]:
        return (one.symbol, one.entry_session, one.exit_session, one.exit_reason, one.size)

    made, expected = case.noted("trade"), case.backtest.record.trades
    assert sorted(map(told, made)) == sorted(map(told, expected))


def test_every_step_is_the_same(case: Case) -> None:
    made, expected = case.noted("step"), case.backtest.record.steps

    assert [(one.session, one.level, one.cap) for one in made] == [
        (one.session, one.level, one.cap) for one in expected
    ]
    assert [one.at for one in made] == [one.at for one in expected]
    if case.capital is None:
        assert made == []
    else:
        assert [one.level for one in made] == [0, 1, 0]
        bounds = {one.rule for one in case.noted("verdict") if one.approved}
        assert "capital step" in bounds


def test_one_order_a_decision_and_nothing_alarming(case: Case) -> None:
    intents = case.noted("intent")
    answers = case.noted("answer")

    assert len({one.name for one in intents}) == len(intents) == len(answers)
    assert {one.ending for one in answers} == {"accepted"}
    assert case.rehearsal.alarms == []


def test_exchange_says_the_same_as_the_journal(case: Case) -> None:
    def told(symbol: str, side: str, *numbers: Any) -> tuple[Any, ...]:
        return (symbol, side, *(Decimal(str(number)) for number in numbers))

    seen = [
        told(r["symbol"], r["side"], r["qty"], r["price"]) for r in case.rehearsal.ledger["fills"]
    ]
    noted = [told(f.symbol, f.side, f.size, f.price) for f in case.noted("fill")]

    assert sorted(seen) == sorted(noted)
