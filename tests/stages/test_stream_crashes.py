# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream that ends anywhere and starts again looks after what it sent: some of the cases."""

from __future__ import annotations

import pytest

from iverson.model import Fill
from tests.stages.judge import faults, of
from tests.stages.rig import Breaking
from tests.stages.streaming import PARTIAL, STORIES, play_stream

EVERY = 9


@pytest.mark.parametrize("partial", [False, True], ids=["full", "partial"])
@pytest.mark.parametrize("story", STORIES)
def test_stream_broken_anywhere_loses_nothing_it_sent(story: str, *, partial: bool) -> None:
    faulty = PARTIAL if partial else ()
    unbroken = play_stream(STORIES[story], faults=faulty)
    assert faults(unbroken, unbroken) == []
    assert of(unbroken, Fill)

    found = {}
    for number in range(1, len(unbroken.breaking.points) + 1, EVERY):
        played = play_stream(STORIES[story], Breaking(frozenset({number})), faults=faulty)
        wrong = faults(played, unbroken, same=False)
        if wrong or played.alarms:
            found[f"{number}: {unbroken.breaking.points[number - 1]}"] = [*wrong, *played.alarms]

    assert found == {}
