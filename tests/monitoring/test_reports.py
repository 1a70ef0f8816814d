# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a run, from its journal alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import iverson as iv
from iverson.cli.output import plain
from iverson.errors import DataError
from iverson.monitoring.reports import Report, read_report
from iverson.testing import bars


class Always(iv.Strategy):
    """Buy every close, leave a session later."""

    warm_up = 63
    params = dict(max_sessions=1)

    def entry(self, data):
        return iv.Long(confidence=3, limit=data.close, stop=data.close * 0.985)


SYSTEM = iv.System(Always, ["TEST"], bars={"TEST": bars("100 101 99 102 " * 40)})


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    SYSTEM.backtest(journal=tmp_path / "a.db")
    return tmp_path / "a.db"


def read(path: Path) -> Report:
    with iv.Journal(path, read_only=True) as opened:
        return read_report(opened)


def test_report_counts_what_the_run_counted(journal: Path) -> None:
    run, report = SYSTEM.backtest(), read(journal)

    assert report.denials == run.denied["rule"].value_counts().to_dict()
    by_reason = run.trades.groupby("exit_reason")["pnl"]
    assert {name: n for name, (n, _) in report.exits.items()} == by_reason.size().to_dict()
    assert sum(pnl for _, pnl in report.exits.values()) == pytest.approx(run.trades["pnl"].sum())
    assert report.costs["commission and fees"] == pytest.approx(run.trades["commission"].sum())
    assert {m.name: m.value for m in report.metrics} == pytest.approx(
        {m.name: m.value for m in run.metrics}, nan_ok=True
    )


def test_text_has_every_chapter_and_dollars_with_the_sign_in_front(journal: Path) -> None:
    text = read(journal).text()

    for chapter in ("exits by reason", "denials by rule", "costs", "halts"):
        assert f"\n{chapter}\n" in text
    assert "-$" in text
    assert "$-" not in text


def test_json_is_strict_and_complete(journal: Path) -> None:
    report = read(journal)

    found = json.loads(json.dumps(plain(report.as_dict()), allow_nan=False))

    assert found["end"] == report.record.equity[-1].equity
    assert found["first"] == str(report.record.equity[0].session)
    assert set(found["metrics"]) == {metric.name for metric in report.metrics}


def test_journal_without_runs_or_without_this_one_says_so(tmp_path: Path, journal: Path) -> None:
    iv.Journal(tmp_path / "empty.db").close()

    with pytest.raises(DataError, match="no run yet"):
        read(tmp_path / "empty.db")
    with (
        iv.Journal(journal, read_only=True) as opened,
        pytest.raises(DataError, match="no run 'nope'; it has "),
    ):
        read_report(opened, run="nope")
