# SPDX-License-Identifier: GPL-3.0-or-later
"""One wake for every bar of five minutes, as a cron job makes them, against the backtest.

SYNTHETIC bars made from the bundled sample, frictions off on both sides. Nothing is remembered
between two wakes but the journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Any

import numpy as np
import pytest

from iverson.execution.costs import Costs
from iverson.market import sample
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.synthesis import synthesize
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.research.backtest import Outcome, Prepared, Setup, simulate
from iverson.risk import rules
from iverson.simulator.settings import Switches
from iverson.stages.runs import begin
from iverson.stages.wake import wake
from strategies.opening_range import OpeningRangeBreakout
from tests.minute_bars import summed
from tests.parity.test_days import on_cents
from tests.parity.test_streams import CENT, SEED, Dip, decision, shares
from tests.stages.rig import Breaking, Street, journal_at, store_of

RUN, LENGTH = "rehearse-minutes", 5
BEFORE = np.datetime64("2012-03-01")
FIRST, LAST = date(2012, 4, 3), date(2012, 4, 4)
MORE_OFTEN = dict(volume=0.8)
CASES = {
    "dip": (Dip, FIRST, LAST, dict(down=0.9925, up=1.006)),
    "opening range": (OpeningRangeBreakout, FIRST, LAST, MORE_OFTEN),
    "three months": (OpeningRangeBreakout, date(2012, 4, 2), date(2012, 6, 29), MORE_OFTEN),
}
LONG, SLOW = {"three months"}, [pytest.mark.slow, pytest.mark.timeout(3600)]  # `make campaign`
PARAMS = [pytest.param(name, marks=SLOW if name in LONG else []) for name in CASES]


@dataclass(frozen=True)
class Case:
    """One strategy both ways."""

    backtest: Outcome
    journal: list[Any]
    alarms: list[tuple[str, str]]

    def noted(self, kind: str) -> list[Any]:
        return [one for one in self.journal if type(one).__name__ == kind]


def fives(last: date) -> Mapping[str, Bars]:
    daily = on_cents(sample.load(["AAPL", "IBM"]))
    return {
        symbol: summed(synthesize(one[one.session >= BEFORE].between(date.min, last), seed=SEED), 5)
        for symbol, one in daily.items()
    }


@pytest.fixture(scope="module", params=PARAMS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    strategy, first, last, params = CASES[request.param]
    setup = Setup(
        strategy, tuple(rules.standard(short=True)), costs=Costs.none(), cash=100_000.0,
        params=params, through_ticks=0, volume_share=1.0,
    )  # fmt: skip
    bars = fives(last)
    street = Street(
        bars, at=new_york().open_at(first) - timedelta(minutes=30),
        switches=Switches.exact(dividends=True),
    )  # fmt: skip
    path, alarms = tmp_path_factory.mktemp("wakes") / "iverson.db", []
    with Journal(path, durable=False) as journal:
        begin(
            journal, RUN, setup, bars, stage=Stage.REHEARSE, system="minutes", at=street.now
        )  # fmt: skip
    (one, *_) = bars.values()
    for row in np.flatnonzero(one.session >= np.datetime64(first)):
        street.advance_to(one.at[row].astype("datetime64[us]").item().replace(tzinfo=UTC))
        woken = journal_at(path, Breaking())
        wake(
            setup,
            Prepared.of({symbol: each[each.at <= one.at[row]] for symbol, each in bars.items()}),
            session=one.session[row].item(),
            store=store_of(street, Breaking(), alarms),
            journal=woken,
            run=RUN,
        )
        woken.close()
    with Journal(path, read_only=True) as journal:
        noted = journal.values(run=RUN)
    street.close()
    backtest = simulate(setup, Prepared.of(bars), first=first, last=last, at_end="carry")
    return Case(backtest, noted, alarms)


def test_every_decision_is_the_same(case: Case) -> None:
    made = [decision(one) for one in case.noted("Verdict")]

    assert made == [decision(one) for one in case.backtest.record.verdicts]
    assert any(approved for _, approved, *_ in made)


def test_every_fill_is_the_same(case: Case) -> None:
    made = sorted(shares(one) for one in case.noted("Fill"))

    assert made == sorted(shares(one) for one in case.backtest.record.fills)
    assert len(made) >= 2


def test_account_is_the_same_to_the_cent(case: Case) -> None:
    marks = {one.session: one.equity for one in case.noted("EquityRow")}
    expected = dict(
        zip(case.backtest.sessions.tolist(), case.backtest.equity.tolist(), strict=True)
    )

    assert marks == pytest.approx(expected, abs=CENT)


def test_nothing_is_alarming(case: Case) -> None:
    assert case.alarms == []
