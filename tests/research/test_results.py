# SPDX-License-Identifier: GPL-3.0-or-later
"""A run as tables: trades, denials, equity, metrics, and what it prints."""

from __future__ import annotations

import pandas as pd
import pytest

import iverson as iv
from iverson.monitoring.tables import dollars
from iverson.research.results import Run
from iverson.testing import bars

WORDS = "100 101 99 102 " * 40


class Always(iv.Strategy):
    """Buy every close, leave a session later."""

    warm_up = 63
    params = dict(max_sessions=1)

    def entry(self, data):
        return iv.Long(confidence=3, limit=data.close, stop=data.close * 0.96)


SYSTEM = iv.System(Always, ["TEST"], bars={"TEST": bars(WORDS)})


@pytest.fixture(scope="module")
def run() -> Run:
    return SYSTEM.backtest()


def test_pnl_of_trades_is_the_change_of_equity(run: Run) -> None:
    change = run.equity.iloc[-1] - run.start

    assert len(run.trades) > 10
    assert run.trades["pnl"].sum() == pytest.approx(change, abs=1e-6)


def test_tables_are_by_session_and_typed(run: Run) -> None:
    assert isinstance(run.equity.index, pd.DatetimeIndex)
    assert run.equity.index.is_unique
    assert run.trades["entry_session"].dtype.kind == "M"
    assert (run.trades["exit_session"] >= run.trades["entry_session"]).all()
    assert run.denied["session"].dtype.kind == "M"


def test_every_verdict_is_denied_or_had_its_chance(run: Run) -> None:
    verdicts = run.record.verdicts

    assert len(run.denied) == sum(not verdict.approved for verdict in verdicts)
    assert run.denied["reason"].str.len().gt(0).all()


def test_run_without_a_trade_has_empty_tables_and_a_picture() -> None:
    class Never(Always):
        def entry(self, data):
            return ()

    idle = iv.System(Never, ["TEST"], bars={"TEST": bars(WORDS)}).backtest()

    assert (len(idle.trades), len(idle.denied)) == (0, 0)
    assert (idle.equity == idle.start).all()
    assert "0 trades" in str(idle)
    assert "0 signals denied\n" in str(idle)
    idle.plot()


def test_run_of_two_sessions_can_be_measured() -> None:
    last = SYSTEM.bars["TEST"].session[-2:]

    short = SYSTEM.backtest(str(last[0]), str(last[1]))

    assert len(short.equity) == 2
    assert "insufficient data" in str(short)


def test_picture_of_the_symbol_asked_for(run: Run) -> None:
    assert run.plot("TEST").axes[0].get_title(loc="left").startswith("TEST: ")


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (12.3, "$12.30"),
        (-12.3, "-$12.30"),
        (-1234567.891, "-$1,234,567.89"),
        (0.0, "$0.00"),
        (-0.0, "$0.00"),
        (-0.004, "$0.00"),
        (-0.006, "-$0.01"),
        (-10.0, "-$10.00"),
    ],
)
def test_dollars_are_written_as_people_do(amount: float, text: str) -> None:
    assert dollars(amount) == text
