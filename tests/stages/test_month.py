# SPDX-License-Identifier: GPL-3.0-or-later
"""21 sessions on the telephone: everything that deserves a human, each once, and nothing else."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from iverson.model import Fill, Trade
from iverson.monitoring.alerts import STEP
from iverson.monitoring.events import Alarm
from iverson.monitoring.message import plain
from iverson.monitoring.outbox import Outbox, path_of
from iverson.monitoring.record import EquityRow
from tests.monitoring.bot_api import TOKEN
from tests.stages.month import FIRST, LAST, Month, rehearsed, transcript

SESSIONS = 21
TEXT, CAPTION = 4096, 1024


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Month:
    return rehearsed(tmp_path_factory.mktemp("month"))


def texts(month: Month, pattern: str) -> list[str]:
    return [one.text for one in month.told if re.search(pattern, one.text)]


def test_every_entry_and_every_exit_is_told_once(month: Month) -> None:
    entries = {one.order_id for one in month.rehearsal.of(Fill) if one.leg == "entry"}
    trades = month.rehearsal.of(Trade)

    assert len(texts(month, r" bought: ")) == len(entries) > 10
    assert len(texts(month, r" left by ")) == len(trades) > 10
    told = Counter(re.findall(r"(\w+) left by ([a-z ]+):", " ".join(texts(month, " left by "))))
    assert told == Counter((one.symbol, one.exit_reason) for one in trades)


def test_gains_and_losses_are_those_of_the_fills(month: Month) -> None:
    """By another route: cash in and out of each symbol, trade by trade."""
    made: list[float] = []
    cash: dict[str, float] = {}
    held: dict[str, float] = {}
    for fill in month.rehearsal.of(Fill):
        sign = 1 if fill.side == "buy" else -1
        cash[fill.symbol] = cash.get(fill.symbol, 0.0) - sign * fill.size * fill.price
        cash[fill.symbol] -= fill.commission
        held[fill.symbol] = held.get(fill.symbol, 0.0) + sign * fill.size
        if not held[fill.symbol]:
            made.append(cash.pop(fill.symbol))
    told = [
        float(found[1] + found[2].replace(",", ""))
        for text in texts(month, " left by ")
        if (found := re.search(r": ([+-]?)\$([\d,.]+)", text))
    ]

    assert sorted(told) == pytest.approx(sorted(made), abs=0.005)


def test_a_report_every_evening_one_a_week_and_one_at_the_end_of_the_month(month: Month) -> None:
    evenings = texts(month, r"^RsiReversion, \d{4}-\d\d-\d\d\n")
    marks = month.rehearsal.of(EquityRow)

    assert len(evenings) == month.rehearsal.sessions == SESSIONS == len(marks)
    assert [one.split("\n", 1)[0][-10:] for one in evenings] == [str(m.session) for m in marks]
    for text, mark in zip(evenings, marks, strict=True):
        assert f"equity ${mark.equity:,.2f}" in text
    weeks = [text.split("\n", 1)[0] for text in texts(month, r"^RsiReversion, week \S+\n")]
    assert weeks == [f"RsiReversion, week 2008-W{number}" for number in range(40, 45)]
    assert len(texts(month, r"^RsiReversion, October 2008\n")) == 1


def test_milestones_are_steps_that_equity_really_reached(month: Month) -> None:
    marks = month.rehearsal.of(EquityRow)
    steps = {int((one.equity / 10_000.0 - 1.0) / STEP) for one in marks} - {0}

    assert len(texts(month, r"^📉 Equity|^📈 Equity")) == len(steps) >= 1


def test_nothing_else_is_told(month: Month) -> None:
    known = r" bought: | left by |^RsiReversion, |Equity [+-]\d+%|: [\w ]+$"
    others = [one.text for one in month.told if not re.search(known, one.text)]

    assert others == []
    assert month.rehearsal.of(Alarm) == []


def test_all_of_it_is_what_telegram_takes(month: Month) -> None:
    assert month.refused == []
    for one in month.told:
        assert len(plain(one.html)) <= (CAPTION if one.picture else TEXT)
        assert one.links == ()


def test_outbox_agrees_and_holds_no_secret(month: Month) -> None:
    file = path_of(month.rehearsal.journal)
    with Outbox(file, read_only=True) as outbox:
        counts, rows = outbox.counts(), outbox.rows()

    assert set(counts) == {"sent"}
    assert len({one.key for one in rows}) == len(rows)
    for kept in month.rehearsal.journal.parent.glob("month.db*"):
        assert TOKEN.encode() not in kept.read_bytes()


def test_transcript_shows_it_with_pictures(month: Month, tmp_path: Path) -> None:
    page = transcript(month, tmp_path).read_text()

    assert f"{SESSIONS} sessions, {FIRST} to {LAST}" in page
    shown = re.findall(r"!\[.*\]\((.+\.png)\)", page)
    assert len(shown) == len(set(shown)) >= 4
    for name in shown:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert page.count("> **RsiReversion, 2008-10-") == SESSIONS
