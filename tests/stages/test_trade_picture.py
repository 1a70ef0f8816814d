# SPDX-License-Identifier: GPL-3.0-or-later
"""A closed trade as a picture: from the journal and the bars beside it, or not at all."""

from __future__ import annotations

import struct
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from iverson.errors import DataError
from iverson.market.bars import DAILY
from iverson.monitoring.channel import picture_fault
from iverson.monitoring.journal import Journal
from iverson.stages import trade_picture
from iverson.stages.seen import Seen
from iverson.stages.trade_picture import WITHIN, bars_of, picture_of
from tests.monitoring.rows import RUN, began, closed
from tests.stages.heralding import write
from tests.stages.trading_kit import history

ENTRY, EXIT = date(2005, 3, 10), date(2005, 3, 15)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal whose second row is a trade, and the bars that its run saw."""
    file = tmp_path / "iverson.db"
    write(file, began(), closed(entry_session=ENTRY, exit_session=EXIT))
    seen = Seen(file, RUN)
    bars = history()["AAPL"]
    for day in range(1, 16):
        seen.note({"AAPL": bars.between(date.min, date(2005, 3, day))})
    return file


def test_trade_is_a_picture_that_telegram_takes(path: Path) -> None:
    png = picture_of(path, 2)

    assert png is not None
    assert picture_fault(png) is None
    width, height = struct.unpack(">II", png[16:24])
    assert width > height > 500


def test_row_that_is_no_trade_has_no_picture(path: Path) -> None:
    assert picture_of(path, 1) is None
    assert picture_of(path, 99) is None


def test_without_matplotlib_there_is_no_picture(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trade_picture, "find_spec", lambda _: None)

    assert picture_of(path, 2) is None


def test_without_seen_bars_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "iverson.db"
    with Journal(file) as journal:
        journal.append(RUN, closed())

    with pytest.raises(DataError, match="has no bars of 'paper-Dip'"):
        picture_of(file, 1)


def test_bars_within_sessions_are_told_from_daily_ones() -> None:
    def row(at: str) -> dict[str, Any]:
        return {"at": f"2026-03-0{at}:00+00:00", "session": f"2026-03-0{at[0]}"} | dict.fromkeys(
            ("open", "high", "low", "close", "volume", "factor", "dividend"), 1.0
        )

    daily = bars_of([row("2T21:00"), row("3T21:00")], "AAPL", "iex")
    minutes = bars_of([row("2T15:31"), row("2T15:32")], "AAPL", "iex")

    assert (daily.interval, minutes.interval) == (DAILY, WITHIN)
