# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpaca ends orders that are good till canceled after some 90 days; a position may last longer."""

from __future__ import annotations

from datetime import timedelta

from iverson.simulator.settings import Switches
from iverson.testing import bars, signal
from tests.stages.play import play
from tests.stages.scenes import LIMIT, SIZE, STOP, TARGET, Scene

SESSIONS = 70
LASTS = timedelta(days=89)  # of an order, at least


def test_stop_is_made_anew_before_the_venue_ends_it_by_age() -> None:
    scene = Scene(
        "ninety days",
        {"TEST": bars("100 " * SESSIONS)},
        {0: (signal(symbol="TEST", limit=LIMIT, stop=STOP, target=TARGET, max_sessions=None),)},
        switches=Switches.exact(close_early_seconds=600.0),
    )

    played = play(scene)

    entry = next(one for one in played.orders if one["side"] == "buy")
    last, covers = played.woken[-1]
    assert last - entry["submitted_at"] > LASTS
    assert covers == {"TEST": (SIZE, SIZE)}
    assert all(held == covered for _, found in played.woken for held, covered in found.values())
    first, second = (one for one in played.orders if one["type"] == "stop")
    assert first["status"] == "canceled"
    assert first["canceled_at"] < entry["submitted_at"] + LASTS  # not left to the venue
    assert second["submitted_at"] - first["canceled_at"] < timedelta(minutes=1)
    assert played.alarms == []
