# SPDX-License-Identifier: GPL-3.0-or-later
"""The agreed maximum loss: at the limit everything is left, for good, in a backtest too."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from iverson.market import sample
from iverson.research.backtest import Prepared, Setup, simulate
from iverson.risk import rules
from iverson.risk.max_loss import MaxLoss, counted_from
from strategies.rsi_reversion import RsiReversion

CASH, LIMIT = 10_000.0, 150.0
FIRST, LAST = date(2005, 1, 3), date(2006, 12, 29)
MAX_LOSS: Any = MaxLoss  # its params are Backtrader's, which mypy does not see
SETUP = Setup(
    RsiReversion,
    (MAX_LOSS(limit_usd=LIMIT), *rules.standard()),
    cash=CASH,
    params=dict(oversold=45),
)
BARS = {
    symbol: bars.between(date(2004, 1, 2), LAST)
    for symbol, bars in sample.load(["AAPL", "IBM", "MSFT"]).items()
}


def test_backtest_leaves_everything_at_the_limit_and_never_begins_again() -> None:
    outcome = simulate(SETUP, Prepared.of(BARS), first=FIRST, last=LAST)
    marks = outcome.record.equity

    reached = next(row for row in marks if row.equity <= CASH - LIMIT)
    halts = [one for one in outcome.record.halts if one.rule == "max loss"]
    assert halts[0].since == reached.at
    assert halts[0].flatten
    assert len(halts) == 1
    entries = [fill for fill in outcome.record.fills if fill.leg == "entry"]
    assert len(entries) > 0
    assert all(fill.at <= reached.at for fill in entries)
    after = [row for row in marks if row.at > reached.at]
    assert len(after) > 100
    assert {row.positions for row in after[1:]} == {0}


def test_without_the_limit_it_would_have_traded_on() -> None:
    """So that the test above is about the rule."""
    free = replace(SETUP, rules=SETUP.rules[1:])
    outcome = simulate(free, Prepared.of(BARS), first=FIRST, last=LAST)

    reached = next(row for row in outcome.record.equity if row.equity <= CASH - LIMIT)
    assert any(fill.at > reached.at for fill in outcome.record.fills if fill.leg == "entry")


@pytest.mark.parametrize("start", [None, 7_000.0])
def test_loss_counts_from_the_run_or_from_what_was_given(start: float | None) -> None:
    rule = counted_from(CASH, MAX_LOSS(limit_usd=LIMIT, start=start))

    assert rule.p.start == (CASH if start is None else start)
    assert rule.p.limit_usd == LIMIT


def test_other_rules_are_left_as_they_are() -> None:
    rule = rules.LongOnly()

    assert counted_from(CASH, rule) is rule
