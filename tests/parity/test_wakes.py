# SPDX-License-Identifier: GPL-3.0-or-later
"""The same strategy, the same decisions: a backtest against wakes on the exchange on loopback.

Three months of the bundled sample, two wakes a session, frictions off on both sides: every verdict
and every fill is the same, and the account to the cent.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from iverson.execution.costs import Costs
from iverson.market import sample
from iverson.model import Fill, Trade, Verdict
from iverson.monitoring.journal import Journal
from iverson.research.backtest import Outcome, Prepared, Setup, simulate
from iverson.risk import rules
from iverson.simulator.settings import Switches
from iverson.stages.rehearse import Rehearsal, rehearse_daily
from strategies.rsi_reversion import RsiReversion

FIRST, LAST = date(2005, 3, 1), date(2005, 5, 31)
CENT = 0.005
SETUP = Setup(
    RsiReversion,
    tuple(rules.standard()),
    costs=Costs.none(),
    params=dict(oversold=45),  # trades often
    through_ticks=0,
    volume_share=1.0,
)
# A price may be met when it is touched, nothing costs anything, dividends are paid, and the close
# of a daily bar is reached ten minutes before its end, so that leaving shortly before is at it.
FRICTIONLESS = Switches.exact(dividends=True, close_early_seconds=600.0)


@pytest.fixture(scope="module")
def backtest() -> Outcome:
    return simulate(SETUP, Prepared.of(sample.load()), first=FIRST, last=LAST, at_end="carry")


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    return rehearse_daily(
        SETUP,
        sample.load(),
        system="rsi",
        first=FIRST,
        last=LAST,
        journal=tmp_path_factory.mktemp("rehearsal") / "iverson.db",
        switches=FRICTIONLESS,
    )


def values(rehearsal: Rehearsal, kind: Any) -> list[Any]:
    with Journal(rehearsal.journal, read_only=True) as journal:
        return journal.values(kind, run=rehearsal.run)


def decision(verdict: Verdict) -> tuple[Any, ...]:
    return (dataclasses.astuple(verdict.signal), verdict.approved, verdict.size, verdict.rule)


def shares(fill: Fill) -> tuple[Any, ...]:
    return (fill.session, fill.symbol, fill.side, fill.leg, fill.size, fill.price)


def test_every_decision_is_the_same(backtest: Outcome, rehearsal: Rehearsal) -> None:
    made = [decision(one) for one in values(rehearsal, "verdict")]
    expected = [decision(one) for one in backtest.record.verdicts]

    # on its last session a backtest has no bar left that could fill an entry
    assert made[: len(expected)] == expected
    assert {one[0][1] for one in made[len(expected) :]} <= {LAST}
    assert len(expected) > 100


def test_every_fill_is_the_same(backtest: Outcome, rehearsal: Rehearsal) -> None:
    made = sorted(shares(one) for one in values(rehearsal, "fill"))

    assert made == sorted(shares(one) for one in backtest.record.fills)
    assert {one[3] for one in made} >= {"entry", "stop", "time limit"}


def test_account_is_the_same_to_the_cent(backtest: Outcome, rehearsal: Rehearsal) -> None:
    marks = {one.session: one.equity for one in values(rehearsal, "equity")}
    expected = dict(zip(backtest.sessions.tolist(), backtest.equity.tolist(), strict=True))

    assert {session: marks[session] for session in expected} == pytest.approx(expected, abs=CENT)


def test_every_trade_is_the_same(backtest: Outcome, rehearsal: Rehearsal) -> None:
    def told(one: Trade) -> tuple[Any, ...]:
        return (one.symbol, one.entry_session, one.exit_session, one.exit_reason, one.size)

    made, expected = values(rehearsal, "trade"), backtest.record.trades
    assert sorted(map(told, made)) == sorted(map(told, expected))


def test_one_order_a_decision_and_nothing_alarming(rehearsal: Rehearsal) -> None:
    intents = values(rehearsal, "intent")
    answers = values(rehearsal, "answer")

    assert len({one.name for one in intents}) == len(intents) == len(answers)
    assert {one.ending for one in answers} == {"accepted"}
    assert rehearsal.alarms == []


def test_exchange_says_the_same_as_the_journal(rehearsal: Rehearsal) -> None:
    def told(symbol: str, side: str, *numbers: Any) -> tuple[Any, ...]:
        return (symbol, side, *(Decimal(str(number)) for number in numbers))

    seen = [told(r["symbol"], r["side"], r["qty"], r["price"]) for r in rehearsal.ledger["fills"]]
    noted = [told(f.symbol, f.side, f.size, f.price) for f in values(rehearsal, "fill")]

    assert sorted(seen) == sorted(noted)
