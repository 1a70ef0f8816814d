# SPDX-License-Identifier: GPL-3.0-or-later
"""The same decisions under other fills, costs and timing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import backtrader as bt
import pytest

import iverson as iv
from iverson.model import Signal
from iverson.research.sensitivity import BEST_REMOVED, late, sensitivity, variants
from iverson.research.walk_result import WalkForward


class Fall(iv.Strategy):
    """Buy what fell, at the close."""

    params = dict(days=3, max_sessions=3)

    def entry(self, data: Any) -> iv.Long:
        fell = data.close < data.close(-self.p.days) * 0.99
        return iv.Long(
            confidence=bt.If(fell, 3, 0), limit=data.close, stop=data.close * 0.96,
            target=data.close * 1.04, reason=data.close,
        )  # fmt: skip


class ByHand(Fall):
    """The same without lines."""

    def signals(self) -> Iterator[Signal]:
        yield from ()


SYSTEM = iv.System(Fall, symbols=["AAPL", "IBM", "MSFT"])


@pytest.fixture(scope="module")
def walked() -> WalkForward:
    return SYSTEM.walk_forward(
        "2004", "2008", in_sample="1y", out_of_sample="1y", grid=dict(days=[3, 5])
    )


@pytest.fixture(scope="module")
def rows(walked: WalkForward) -> dict[str, dict[str, float]]:
    return sensitivity(walked).to_dict("index")


def test_headline_is_the_headline(walked: WalkForward, rows: dict[str, dict[str, float]]) -> None:
    row = rows["headline"]
    assert row["trades"] == len(walked.trades)
    assert row["total_return"] == walked.metrics["total_return"].value
    assert row["sharpe"] == walked.metrics["sharpe"].value
    assert row["max_drawdown"] == walked.metrics["max_drawdown"].value
    assert row["pnl"] == pytest.approx(walked.trades["pnl"].sum())


def test_costs_only_cost(rows: dict[str, dict[str, float]]) -> None:
    assert rows["without costs"]["pnl"] > rows["headline"]["pnl"] > rows["costs doubled"]["pnl"]


def test_touch_fills_no_less_and_two_ticks_no_more_than_the_headline(
    rows: dict[str, dict[str, float]],
) -> None:
    touch, two = rows["limits fill when touched"], rows["limits fill 2 ticks beyond"]
    assert touch["trades"] >= rows["headline"]["trades"] >= two["trades"]


def test_row_without_the_best_trades_leaves_out_the_best(
    walked: WalkForward, rows: dict[str, dict[str, float]]
) -> None:
    pnl = walked.trades["pnl"].sort_values()
    removed = math.ceil(BEST_REMOVED * len(pnl))
    row = rows["without the best 10% of the trades"]
    assert row["trades"] == len(pnl) - removed
    assert row["pnl"] == pytest.approx(pnl.iloc[:-removed].sum())
    assert row["pnl"] < rows["headline"]["pnl"]


def test_delay_decides_on_the_bar_before_at_its_prices() -> None:
    """Each signal of the late strategy is one of the strategy's own, a session later."""
    now, then = (
        iv.System(kind, symbols=["IBM"], rules=[]).backtest("2005", "2006")
        for kind in (Fall, late(Fall))
    )
    assert len(then.trades) > 10
    closes = dict(zip(now.bars["IBM"].session.tolist(), now.bars["IBM"].close, strict=True))
    sessions = sorted(closes)
    for verdict in then.record.verdicts:
        signal = verdict.signal
        before = sessions[sessions.index(signal.session) - 1]
        assert signal.limit == pytest.approx(closes[before])
        assert signal.reason == pytest.approx(closes[before])
    assert {v.signal.session for v in then.record.verdicts} != {
        v.signal.session for v in now.record.verdicts
    }


def test_headline_that_already_fills_on_a_touch_is_compared_with_one_and_two_ticks() -> None:
    names = [one.name for one in variants(iv.System(Fall, ["IBM"], through_ticks=0)._setup({}))]
    assert "limits fill a tick beyond" in names
    assert "limits fill when touched" not in names


def test_decisions_that_are_no_lines_have_no_delayed_row() -> None:
    names = [one.name for one in variants(iv.System(ByHand, ["IBM"])._setup({}))]
    assert "decided one bar later" not in names
