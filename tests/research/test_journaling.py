# SPDX-License-Identifier: GPL-3.0-or-later
"""What a journal file gives back is what happened, once, under a name that is always the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import iverson as iv
from iverson.market import sample
from iverson.monitoring.record import EquityRow, FoldRow, Record, RunRow
from iverson.monitoring.replay import rebuild_equity, replay
from iverson.monitoring.reports import read_report
from iverson.monitoring.tables import trades_frame
from iverson.research.journaling import journal_run, journal_walk_forward
from iverson.research.results import Run
from iverson.research.walk_result import WalkForward

BARS = {symbol: bars[1200:1480] for symbol, bars in sample.load(["AAPL", "IBM"]).items()}


class Dip(iv.Strategy):
    """Buy a close below its average; `label` is whatever a user may hand over."""

    params = dict(period=5, max_sessions=2, label=None)

    def entry(self, data):
        dip = data.close < bt.ind.SMA(data, period=self.p.period)
        return iv.Long(confidence=bt.If(dip, 3, 0), limit=data.close, stop=data.close * 0.97)


SYSTEM = iv.System(Dip, ["AAPL", "IBM"], bars=BARS)


@pytest.fixture(scope="module")
def run() -> Run:
    return SYSTEM.backtest()


@pytest.fixture(scope="module")
def walk() -> WalkForward:
    return SYSTEM.walk_forward(
        in_sample="6mo", out_of_sample="3mo", grid=dict(period=[3, 5]), minimum_trades=1, seed=7
    )


def test_file_gives_back_what_happened(run: Run, tmp_path: Path) -> None:
    name = journal_run(run, tmp_path / "a.db")

    with iv.Journal(tmp_path / "a.db", read_only=True) as journal:
        settings, *values = journal.values(run=name)
        assert journal.verify() is None
    assert isinstance(settings, RunRow)
    assert values == run.record.values
    assert trades_frame(Record(values=values).trades).equals(run.trades)


def test_file_alone_rebuilds_cash_and_positions(run: Run, tmp_path: Path) -> None:
    name = journal_run(run, tmp_path / "a.db")

    with iv.Journal(tmp_path / "a.db", read_only=True) as journal:
        values = journal.values(run=name)
    settings = next(value for value in values if isinstance(value, RunRow))
    rest = [value for value in values if value is not settings]
    last = [value for value in rest if isinstance(value, EquityRow)][-1]
    book = replay(rest, cash=settings.cash)
    assert rebuild_equity(rest, cash=settings.cash) == []
    assert book.cash == pytest.approx(last.cash, abs=1e-6)
    assert book.positions == {}


def test_two_runs_in_one_file_are_kept_apart(run: Run, tmp_path: Path) -> None:
    other = SYSTEM.with_params(period=3).backtest()
    names = [journal_run(one, tmp_path / "a.db") for one in (run, other)]

    assert len(set(names)) == 2
    with iv.Journal(tmp_path / "a.db", read_only=True) as journal:
        for name, one in zip(names, (run, other), strict=True):
            assert journal.values(run=name)[1:] == one.record.values
        assert read_report(journal).name == names[-1]


def test_same_run_journaled_twice_is_there_once(run: Run, tmp_path: Path) -> None:
    """Else its report would count every trade twice."""
    names = {journal_run(one, tmp_path / "a.db") for one in (run, SYSTEM.backtest())}
    before = (tmp_path / "a.db").read_bytes()
    names.add(journal_run(run, tmp_path / "a.db"))

    assert len(names) == 1
    assert (tmp_path / "a.db").read_bytes() == before


def test_name_depends_on_what_decides_the_run(run: Run, tmp_path: Path) -> None:
    first = journal_run(run, tmp_path / "a.db")
    others = [
        SYSTEM.with_params(period=3),
        SYSTEM.with_rules(iv.rules.LongOnly()),
        SYSTEM.with_costs(iv.Costs.none()),
    ]

    names = [journal_run(one.backtest(), tmp_path / "a.db") for one in others]

    assert len({first, *names}) == 4


@pytest.mark.parametrize("label", [Dip, len, [1, 2], object(), 2.5])
def test_parameters_of_any_kind_can_be_journaled(label: Any, tmp_path: Path) -> None:
    for name in ("a.db", "b.db"):
        journal_run(SYSTEM.backtest("2005-04", "2005-05", label=label), tmp_path / name)

    assert (tmp_path / "a.db").read_bytes() == (tmp_path / "b.db").read_bytes()


def test_append_that_fails_leaves_no_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(iv.Journal, "append_many", full)
    with pytest.raises(OSError, match="no space"):
        journal_run(run, tmp_path / "a.db")

    assert list(tmp_path.iterdir()) == []


def test_walk_forward_journals_its_folds(walk: WalkForward, tmp_path: Path) -> None:
    name = journal_walk_forward(walk, tmp_path / "a.db")

    with iv.Journal(tmp_path / "a.db", read_only=True) as journal:
        values = journal.values(run=name)
    folds = [value for value in values if isinstance(value, FoldRow)]
    assert [fold.number for fold in folds] == list(walk.folds.index)
    assert [fold.parameters["period"] for fold in folds] == walk.folds["period"].tolist()
    assert [fold.trials for fold in folds] == [2] * len(folds)


def test_report_of_a_journal_measures_what_the_result_measured(
    run: Run, walk: WalkForward, tmp_path: Path
) -> None:
    """Numbers and intervals alike: the journal knows the seed."""
    names = [journal_run(run, tmp_path / "a.db"), journal_walk_forward(walk, tmp_path / "a.db")]

    with iv.Journal(tmp_path / "a.db", read_only=True) as journal:
        reports = [read_report(journal, run=name) for name in names]
    assert [str(m) for m in reports[0].metrics] == [str(m) for m in run.metrics]
    assert [str(m) for m in reports[1].metrics] == [str(m) for m in walk.metrics]
