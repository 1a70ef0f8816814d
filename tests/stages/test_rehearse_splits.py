# SPDX-License-Identifier: GPL-3.0-or-later
"""A split overnight in a rehearsal: the stop is made anew before the open can meet the old one."""

from __future__ import annotations

from pathlib import Path

import pytest

from iverson.model import CashFlow, Trade
from iverson.monitoring.journal import Journal
from iverson.stages.rehearse import rehearse_daily
from tests.stages.scenes import SWITCHES, scenes


@pytest.mark.parametrize(
    ("name", "sold", "price"), [("split", "400", 47.5), ("reverse split", "20", 1040.0)]
)
def test_position_lives_through_a_split(name: str, sold: str, price: float, tmp_path: Path) -> None:
    scene = scenes()[name]

    rehearsal = rehearse_daily(
        scene.setup(), scene.series, system="split", first=scene.sessions[1],
        last=scene.sessions[-1], journal=tmp_path / "iverson.db", switches=SWITCHES,
    )  # fmt: skip

    left = rehearsal.ledger["fills"][-1]
    assert (left["side"], left["qty"], float(left["price"])) == ("sell", sold, price)
    assert rehearsal.alarms == []
    with Journal(rehearsal.journal, read_only=True) as journal:
        (flow,) = journal.values("cash_flow", run=rehearsal.run)
        (trade,) = journal.values("trade", run=rehearsal.run)
    assert isinstance(flow, CashFlow)
    assert isinstance(trade, Trade)
    assert (flow.kind, trade.size) == ("split", float(sold))
