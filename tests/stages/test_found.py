# SPDX-License-Identifier: GPL-3.0-or-later
"""What a long campaign has found once and the sample of every day would not show again."""

from __future__ import annotations

import pytest

from tests.stages.cases import Case
from tests.stages.play import play
from tests.stages.scenes import scenes

SCENES = scenes()


@pytest.mark.parametrize("name", ["split", "reverse split"])
def test_entry_from_before_a_split_is_not_booked_again_when_its_order_is_looked_at(
    name: str,
) -> None:
    scene = SCENES[name]
    unbroken = play(scene)
    posts = [n for n, call in enumerate(unbroken.breaking.calls, 1) if call == "POST orders"]

    assert Case(0, spoils={posts[-1]: "empty answer"}).run(scene, unbroken) == []


def test_cancel_of_a_halt_that_was_not_heard_is_asked_for_again() -> None:
    scene = SCENES["daily loss halts"]
    unbroken = play(scene)
    cancel = unbroken.breaking.calls.index("DELETE orders") + 1

    assert Case(0, spoils={cancel: "503 before"}).run(scene, unbroken) == []
