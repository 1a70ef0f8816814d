# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream of daily bars ends anywhere and is started again: it comes to what wakes come to.

Cases of each scene; `python -m tests.stages.campaign --days 1` plays all of them.
"""

from __future__ import annotations

import pytest

from tests.stages.cases import crashes, sample
from tests.stages.judge import faults
from tests.stages.play import play
from tests.stages.play_days import play_days
from tests.stages.scenes import scenes

SCENES = scenes()
CASES_EACH = 6


@pytest.mark.parametrize("name", SCENES)
def test_stream_of_days_broken_anywhere_comes_to_the_same(name: str) -> None:
    scene = SCENES[name]
    unbroken = play_days(scene)
    assert faults(unbroken, unbroken) == []
    assert {rule for rule, _ in unbroken.alarms} == scene.alarms
    assert unbroken.fills == play(scene).fills

    found = {
        f"{case.number}: {case.told(unbroken)}": wrong
        for case in sample(crashes(unbroken, pairs=30), CASES_EACH)
        if (wrong := case.run(scene, unbroken, play_days))
    }

    assert found == {}
