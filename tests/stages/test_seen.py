# SPDX-License-Identifier: GPL-3.0-or-later
"""The bars that a run saw: written once, read back exactly, in front of any later correction."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date
from pathlib import Path

import numpy as np
import pytest

from iverson.errors import DataError
from iverson.market.bars import Bars
from iverson.stages.seen import Seen, changed, path_of, seen_rows, with_seen
from tests.stages.trading_kit import SYMBOLS, history

RUN, OTHER = "paper-A", "paper-B"
DAYS = [date(2005, 3, 1), date(2005, 3, 2), date(2005, 3, 4)]  # a wake was missed between


def until(day: date) -> dict[str, Bars]:
    return {symbol: bars.between(date.min, day) for symbol, bars in history().items()}


def noted(journal: Path) -> dict[str, list[dict[str, object]]]:
    for day in DAYS:
        Seen(journal, RUN).note(until(day))  # a process of its own each time
        Seen(journal, RUN).note(until(day))  # and once more
    return seen_rows(journal, RUN)


def test_each_bar_is_written_once_from_the_first_wake_on(tmp_path: Path) -> None:
    rows = noted(tmp_path / "j.db")

    sessions = ["2005-03-01", "2005-03-02", "2005-03-03", "2005-03-04"]
    assert {
        symbol: [row["session"] for row in own] for symbol, own in rows.items()
    } == dict.fromkeys(sorted(SYMBOLS), sessions)


def test_history_with_the_seen_bars_is_the_bars(tmp_path: Path) -> None:
    rows = noted(tmp_path / "j.db")

    for symbol, bars in until(DAYS[-1]).items():
        assert with_seen(history()[symbol], rows[symbol]).digest == bars.digest
        assert changed(history()[symbol], rows[symbol]) == set()


def test_correction_is_told_and_does_not_change_what_was_seen(tmp_path: Path) -> None:
    rows = noted(tmp_path / "j.db")["IBM"]
    bars = history()["IBM"]
    place = int(np.searchsorted(bars.session, np.datetime64(DAYS[1])))
    close = bars.close.copy()
    close[place] += 0.25
    corrected = replace(bars, close=close, high=np.maximum(bars.high, close))

    at = bars.at[place].astype("datetime64[us]").item().replace(tzinfo=UTC)
    assert changed(corrected, rows) == {at}
    assert with_seen(corrected, rows).close[place] == bars.close[place]


def test_symbol_that_comes_later_is_seen_from_then_on(tmp_path: Path) -> None:
    first, second = (until(day) for day in DAYS[:2])
    Seen(tmp_path / "j.db", RUN).note({"IBM": first["IBM"]})
    Seen(tmp_path / "j.db", RUN).note(second)

    rows = seen_rows(tmp_path / "j.db", RUN)
    assert [row["session"] for row in rows["AAPL"]] == [str(DAYS[1])]
    assert [row["session"] for row in rows["IBM"]] == [str(day) for day in DAYS[:2]]


def test_runs_of_one_journal_are_kept_apart(tmp_path: Path) -> None:
    noted(tmp_path / "j.db")

    with pytest.raises(DataError, match=f"has no bars of '{OTHER}'"):
        seen_rows(tmp_path / "j.db", OTHER)


def test_half_a_line_of_a_killed_process_is_no_row_and_spoils_none(tmp_path: Path) -> None:
    whole = noted(tmp_path / "j.db")
    path = path_of(tmp_path / "j.db")
    with path.open("a") as file:
        file.write('{"run": "paper-A", "symbol": "IB')

    assert seen_rows(tmp_path / "j.db", RUN) == whole
    Seen(tmp_path / "j.db", RUN).note(until(date(2005, 3, 7)))
    assert [row["session"] for row in seen_rows(tmp_path / "j.db", RUN)["IBM"]][-1] == "2005-03-07"
    assert len(seen_rows(tmp_path / "j.db", RUN)["AAPL"]) == len(whole["AAPL"]) + 1
