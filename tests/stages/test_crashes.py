# SPDX-License-Identifier: GPL-3.0-or-later
"""A process may end at any instruction, and any answer may be lost: some of the campaign's cases.

Every case is in `python -m tests.stages.campaign`.
"""

from __future__ import annotations

import pytest

from tests.stages.cases import cases, sample
from tests.stages.judge import faults
from tests.stages.play import play
from tests.stages.scenes import scenes

SCENES = scenes()
CASES_EACH = 12


@pytest.mark.parametrize("name", SCENES)
def test_broken_anywhere_it_comes_to_the_same(name: str) -> None:
    scene = SCENES[name]
    unbroken = play(scene)
    assert faults(unbroken, unbroken) == []
    assert {rule for rule, _ in unbroken.alarms} == scene.alarms

    found = {
        f"{case.number}: {case.told(unbroken)}": wrong
        for case in sample(cases(unbroken, pairs=30), CASES_EACH)
        if (wrong := case.run(scene, unbroken))
    }

    assert found == {}
