# SPDX-License-Identifier: GPL-3.0-or-later
"""In one pass and bar by bar: each strategy's three months in both of Backtrader's ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import backtrader as bt
import numpy as np
import pytest

from iverson.execution.costs import Costs
from iverson.market import sample
from iverson.market.bars import Bars
from iverson.market.synthesis import synthesize
from iverson.research.backtest import Prepared, Setup, simulate
from iverson.risk import rules
from strategies.opening_range import OpeningRangeBreakout
from tests.minute_bars import summed
from tests.parity.test_days import news, rsi

Case = tuple[Setup, Mapping[str, Bars], date, date]
BEFORE, FIRST, LAST = np.datetime64("2012-03-01"), date(2012, 4, 2), date(2012, 6, 29)


def opening_range() -> Case:
    """Bars of five minutes, SYNTHETIC, made from the bundled sample."""
    setup = Setup(
        OpeningRangeBreakout, tuple(rules.standard(short=True)), costs=Costs.none(),
        params=dict(volume=0.8),
    )  # fmt: skip
    daily = sample.load(["AAPL", "IBM"])
    bars = {
        symbol: summed(synthesize(one[one.session >= BEFORE].between(date.min, LAST), seed=11), 5)
        for symbol, one in daily.items()
    }
    return setup, bars, FIRST, LAST


@pytest.mark.parametrize("made", [rsi, news, opening_range])
def test_one_pass_and_bar_by_bar_decide_fill_and_end_the_same(
    made: Callable[[], Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup, bars, first, last = made()
    run, outcomes = bt.Cerebro.run, []
    for once in (True, False):

        def chosen(self: Any, once: bool = once) -> Any:
            strategies = run(self, runonce=once, preload=once)
            assert self._dorunonce == once
            return strategies

        monkeypatch.setattr(bt.Cerebro, "run", chosen)
        outcomes.append(simulate(setup, Prepared.of(bars), first=first, last=last))

    batch, stepped = outcomes
    assert batch.record.values == stepped.record.values
    np.testing.assert_array_equal(batch.equity, stepped.equity)
    assert len(batch.record.fills) > 10
