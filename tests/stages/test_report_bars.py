# SPDX-License-Identifier: GPL-3.0-or-later
"""The bars of a journaled run: those it saw, with the history before them; never others'."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

import iverson as iv
from iverson.errors import DataError
from iverson.market.bars import Bars
from iverson.market.store import Store
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow
from iverson.stages.report_bars import bars_of_run
from iverson.stages.seen import Seen
from tests.stages.trading_kit import SYMBOLS, history, system

FIRST, LAST = date(2005, 3, 1), date(2005, 3, 4)


def test_backtest_on_the_sample_finds_its_bars(tmp_path: Path) -> None:
    made = system(tmp_path)
    made.backtest(FIRST, LAST, journal=tmp_path / "a.db")
    with Journal(tmp_path / "a.db", read_only=True) as journal:
        found = bars_of_run(journal, store=tmp_path / "empty")

    assert sorted(found) == sorted(SYMBOLS)
    for symbol, own in history().items():
        inside = found[symbol].between(own.session[0].item(), own.session[-1].item())
        assert (inside.close == own.close).all()


def test_seen_bars_stand_where_the_store_has_others_now(tmp_path: Path) -> None:
    journal_path = tmp_path / "iverson.db"
    run = noted(journal_path)
    shifted = {}
    for symbol, own in history().items():
        moved = own.close.copy()
        late = own.session >= np.datetime64(FIRST)
        moved[late] = own.low[late]
        shifted[symbol] = replace(own, close=moved)
    seen = Seen(journal_path, run)
    for day in (FIRST, date(2005, 3, 2), date(2005, 3, 3), LAST):
        seen.note({symbol: one.between(date.min, day) for symbol, one in shifted.items()})
    with Journal(journal_path, read_only=True) as journal:
        found = bars_of_run(journal, run=run, store=tmp_path / "empty")

    for symbol, own in shifted.items():
        during, before = (
            found[symbol].between(*span) for span in ((FIRST, LAST), (date(2005, 1, 3), FIRST))
        )
        assert during.close.tolist() == own.between(FIRST, LAST).close.tolist()
        assert before.close[0] == history()[symbol].between(date(2005, 1, 3), FIRST).close[0]
        assert found[symbol].session[-1] == np.datetime64(LAST)


def test_sample_of_long_ago_is_not_the_history_of_a_run_of_today(tmp_path: Path) -> None:
    journal_path = tmp_path / "iverson.db"
    today = sorted([date(2026, 11, 23), date(2026, 11, 24)])
    run = noted(journal_path, sessions=today)
    seen = Seen(journal_path, run)
    seen.note({"AAPL": of_today(today)})
    with Journal(journal_path, read_only=True) as journal:
        found = bars_of_run(journal, run=run, store=tmp_path / "empty")

    assert list(found) == ["AAPL"]  # the others have bars of 2000 to 2013 alone
    assert found["AAPL"].session.tolist() == today[-1:]


def test_minute_signals_ask_for_minute_bars(tmp_path: Path) -> None:
    with Journal(tmp_path / "a.db", durable=False) as journal:
        journal.append_many("r", minute_run())
        assert bars_of_run(journal, store=Store(tmp_path / "empty").path) == {}


def test_journal_without_the_run_is_refused(tmp_path: Path) -> None:
    run = noted(tmp_path / "iverson.db")
    with Journal(tmp_path / "iverson.db", read_only=True) as journal:
        assert bars_of_run(journal, run=run)
        with pytest.raises(DataError, match="no run 'other'"):
            bars_of_run(journal, run="other")


def noted(path: Path, sessions: list[date] | None = None) -> str:
    """Journal a paper run that noted its account and did nothing else."""
    settings = row()
    with Journal(path, durable=False) as journal:
        journal.append_many("paper-A", [settings, *map(mark, sessions or [FIRST, LAST])])
    return "paper-A"


def row() -> iv.monitoring.record.RunRow:
    from tests.reports.hand_made import SETTINGS

    return replace(SETTINGS, symbols=tuple(SYMBOLS))


def mark(session: date) -> EquityRow:
    from tests.reports.hand_made import account

    return account(session, 10_000.0)


def minute_run() -> list[object]:
    from datetime import timedelta

    from tests.reports.hand_made import close, denied

    at = close(FIRST) - timedelta(hours=2)
    return [row(), denied(FIRST, at=at, symbol="AAPL"), mark(FIRST)]


def of_today(sessions: list[date]) -> Bars:
    from iverson.testing import bars

    return bars("100 101", symbol="AAPL", start=sessions[0])
