# SPDX-License-Identifier: GPL-3.0-or-later
"""When reports are due, and what they are made of beside the journal."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from iverson.errors import DataError
from iverson.monitoring.alerts import REPORTS, Alert
from iverson.monitoring.journal import Journal
from iverson.monitoring.message import plain
from iverson.monitoring.record import EquityRow
from iverson.stages.evening import Evening, due, evening_text
from tests.stages.trading_kit import system

DAILY, WEEKLY, MONTHLY = REPORTS
LAST = date(2005, 3, 31)  # a Thursday, and the last session of its month


@pytest.mark.parametrize(
    ("session", "kinds"),
    [
        (date(2024, 1, 10), (DAILY,)),
        (date(2024, 1, 12), (DAILY, WEEKLY)),  # Friday; Monday was a holiday
        (date(2024, 1, 31), (DAILY, MONTHLY)),  # a Wednesday
        (date(2024, 3, 28), (DAILY, WEEKLY, MONTHLY)),  # Thursday; Good Friday ends the month
        (date(2024, 12, 31), (DAILY, MONTHLY)),  # the week goes on in another year
    ],
)
def test_reports_are_due_with_the_last_session_of_their_span(
    session: date, kinds: tuple[str, ...]
) -> None:
    assert due(session) == kinds


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of a backtest, whose last session ends a month."""
    folder = tmp_path_factory.mktemp("evening")
    system(folder).backtest("2005-01", "2005-03", journal=folder / "run.db")
    return folder / "run.db"


def alerts(journal: Path, *, expected: Path | None = None, off: str = "") -> dict[str, Alert]:
    with Journal(journal, read_only=True) as book:
        seq, run, row = list(book.each_of_runs("equity"))[-1]
    assert isinstance(row, EquityRow)
    assert row.session == LAST
    evening = Evening(journal, store=journal.parent / "store", expected=expected)
    return {one.kind: one for one in evening.alerts(seq, run, row, off=frozenset({off}))}


def test_monthly_review_is_laid_beside_the_walk_forward_of_the_settings(journal: Path) -> None:
    alone, beside = alerts(journal), alerts(journal, expected=journal)

    assert set(alone) == {DAILY, MONTHLY}
    assert "No expectation was given" in plain(alone[MONTHLY].text)
    assert "No expectation was given" not in plain(beside[MONTHLY].text)
    assert len({one.key for one in alone.values()}) == 2


def test_kind_that_is_off_is_not_made(journal: Path) -> None:
    assert set(alerts(journal, off=MONTHLY)) == {DAILY}


def test_report_that_cannot_be_made_says_so_in_its_place(journal: Path, tmp_path: Path) -> None:
    found = alerts(journal, expected=tmp_path / "nowhere.db")

    assert "The monthly report of 2005-03-31 could not be made" in plain(found[MONTHLY].text)
    assert "Net " in plain(found[DAILY].text)


def test_charts_are_of_the_account_that_was_told(journal: Path) -> None:
    evening = Evening(journal, store=journal.parent / "store")
    with Journal(journal, read_only=True) as book:
        seq, _, _ = list(book.each_of_runs("equity"))[-1]

    photos = evening.photos(DAILY, seq)
    assert [one.png[:4] for one in photos] == [b"\x89PNG"]
    with pytest.raises(DataError, match="no account of a session"):
        evening.photos(DAILY, 1)


def test_asked_for_it_is_the_last_days_or_a_sentence(journal: Path) -> None:
    text = evening_text(journal)
    with Journal(journal, read_only=True) as book:
        (run,) = book.run_names("run")

    assert "2005-03-31" in plain(text(run))
    assert "no run 'another'" in plain(text("another"))
