# SPDX-License-Identifier: GPL-3.0-or-later
"""The same strategy, the same decisions: a backtest of minutes against a stream of them.

SYNTHETIC minutes made from the bundled sample go over alpaca-py's own websockets from the exchange
on loopback, in lock step, frictions off on both sides: every verdict, fill and step is the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import backtrader as bt
import numpy as np
import pytest

import iverson as iv
from iverson.execution.costs import Costs
from iverson.market import sample
from iverson.market.bars import Bars
from iverson.market.synthesis import synthesize
from iverson.model import Fill, Verdict
from iverson.monitoring.journal import Journal
from iverson.research.backtest import Outcome, Prepared, Setup, simulate
from iverson.risk import rules
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.settings import Switches
from iverson.stages.rehearse import Rehearsal
from iverson.stages.rehearse_stream import rehearse_minutes
from strategies.opening_range import OpeningRangeBreakout

CENT = 0.005
SEED = 11
BEFORE = np.datetime64("2012-03-01")
FIRST_DAY, LAST_DAY = date(2012, 4, 3), date(2012, 4, 5)


class Dip(iv.Strategy):
    """Buys small dips inside small rises, often."""

    params = dict(fast=5, slow=20, max_sessions=0, down=0.995, up=1.006)
    warm_up = 60

    def entry(self, data: Any) -> Any:
        fast, slow = (bt.ind.SMA(data, period=n) for n in (self.p.fast, self.p.slow))
        return iv.Long(
            confidence=bt.If(bt.And(data.close < fast, data.close > slow), 3, 0),
            limit=data.close,
            stop=data.close * self.p.down,
            target=data.close * self.p.up,
            reason=fast - slow,
        )


@dataclass(frozen=True)
class Case:
    """One strategy both ways."""

    capital: iv.CapitalSteps | None
    backtest: Outcome
    rehearsal: Rehearsal

    def noted(self, kind: Any) -> list[Any]:
        with Journal(self.rehearsal.journal, read_only=True) as journal:
            return journal.values(kind, run=self.rehearsal.run)


def minutes(last: date) -> Mapping[str, Bars]:
    daily = sample.load(["AAPL", "IBM"])
    return {
        symbol: synthesize(one[one.session >= BEFORE].between(date.min, last), seed=SEED)
        for symbol, one in daily.items()
    }


# so small that they go up and down within the three days
STEPS = dict(
    params=dict(down=0.9975, up=1.003),
    capital=iv.CapitalSteps(levels=(0.0003, 0.0006, 0.0009), trades=5, drawdown=0.0003),
)
MORE_OFTEN = dict(params=dict(volume=0.8))
LONG, SLOW = {"three months"}, [pytest.mark.slow, pytest.mark.timeout(3600)]  # `make campaign`
CASES = {
    "dip": (Dip, FIRST_DAY, LAST_DAY, {}),
    "opening range": (OpeningRangeBreakout, FIRST_DAY, LAST_DAY, {}),
    "capital steps": (Dip, date(2012, 3, 26), date(2012, 3, 28), STEPS),
    "three months": (OpeningRangeBreakout, date(2012, 4, 2), date(2012, 6, 29), MORE_OFTEN),
}
PARAMS = [pytest.param(name, marks=SLOW if name in LONG else []) for name in CASES]


@pytest.fixture(scope="module", params=PARAMS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    strategy, first, last, more = CASES[request.param]
    setup = Setup(
        strategy,
        tuple(rules.standard(short=True)),
        costs=Costs.none(),
        cash=100_000.0,
        through_ticks=0,
        volume_share=1.0,
        **more,
    )
    bars = minutes(max(last, LAST_DAY))
    return Case(
        capital=setup.capital,
        backtest=simulate(setup, Prepared.of(bars), first=first, last=last, at_end="carry"),
        rehearsal=rehearse_minutes(
            setup,
            bars,
            system="minutes",
            first=first,
            last=last,
            journal=tmp_path_factory.mktemp("stream") / "iverson.db",
            switches=Switches.exact(dividends=True),
            data=DataSwitches(bar_delay=timedelta(0)),
        ),
    )


def decision(verdict: Verdict) -> tuple[Any, ...]:
    return (dataclasses.astuple(verdict.signal), verdict.approved, verdict.size, verdict.rule)


def shares(fill: Fill) -> tuple[Any, ...]:
    return (fill.session, fill.symbol, fill.side, fill.leg, fill.size, fill.price)


def test_every_decision_is_the_same(case: Case) -> None:
    made = [decision(one) for one in case.noted("verdict")]
    expected = [decision(one) for one in case.backtest.record.verdicts]

    assert made == expected
    assert made


def test_every_fill_is_the_same(case: Case) -> None:
    made = sorted(shares(one) for one in case.noted("fill"))

    assert made == sorted(shares(one) for one in case.backtest.record.fills)
    assert len(made) >= 2


def test_account_is_the_same_to_the_cent(case: Case) -> None:
    marks = {one.session: one.equity for one in case.noted("equity")}
    expected = dict(
        zip(case.backtest.sessions.tolist(), case.backtest.equity.tolist(), strict=True)
    )

    assert {session: marks[session] for session in expected} == pytest.approx(expected, abs=CENT)


def test_every_step_is_the_same(case: Case) -> None:
    made = [(one.at, one.level, one.cap) for one in case.noted("step")]

    assert made == [(one.at, one.level, one.cap) for one in case.backtest.record.steps]
    assert [level for _, level, _ in made] == ([] if case.capital is None else [0, 1, 0])


def test_nothing_is_alarming(case: Case) -> None:
    assert case.rehearsal.alarms == []
