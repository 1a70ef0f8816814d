# SPDX-License-Identifier: GPL-3.0-or-later
"""A closed trade as a picture: from the journal and the bars beside it, or not at all."""

from __future__ import annotations

import struct
from datetime import date
from pathlib import Path

import pytest

from iverson.errors import DataError
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.monitoring.channel import picture_fault
from iverson.monitoring.record import EquityRow
from iverson.stages import trade_picture
from iverson.stages.seen import Seen
from iverson.stages.trade_picture import picture_of
from tests.monitoring.rows import RUN, began, closed
from tests.stages.heralding import write
from tests.stages.trading_kit import history

ENTRY, EXIT = date(2005, 3, 10), date(2005, 3, 15)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal whose second row is a trade, and the bars that its run saw."""
    file = tmp_path / "iverson.db"
    at = new_york().close_at(ENTRY)
    mark = EquityRow(at, ENTRY, 10_000.0, 10_000.0, 0.0, 0)
    write(file, began(), closed(entry_session=ENTRY, exit_session=EXIT), mark)
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


def test_without_bars_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "iverson.db"
    write(file, began(), closed())

    with pytest.raises(DataError, match="no bars of AAPL"):
        picture_of(file, 2, store=tmp_path / "store")


def test_bars_before_the_run_come_from_the_store(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture of the first day's trade shows the weeks before it."""
    drawn: list[Bars] = []
    monkeypatch.setattr(trade_picture, "draw", lambda _, bars: drawn.append(bars) or b"")
    picture_of(path, 2)

    (bars,) = drawn
    assert bars.session[0].item() < ENTRY - trade_picture.BEFORE
    assert bars.session[-1].item() == EXIT
