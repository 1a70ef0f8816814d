# SPDX-License-Identifier: GPL-3.0-or-later
"""Every place at which a scene can be broken, as cases that can be repeated by their number."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.stages.judge import faults
from tests.stages.play import Played, play
from tests.stages.rig import FATES, Breaking
from tests.stages.scenes import Scene


@dataclass(frozen=True)
class Case:
    """One way to break a scene; see `Breaking`.

    `again`: an ended process is started again at once.
    """

    number: int
    crashes: tuple[int, ...] = ()
    again: bool = True
    spoils: dict[int, str] = field(default_factory=dict)
    first: str = ""

    def run(
        self, scene: Scene, unbroken: Played, player: Callable[..., Played] = play
    ) -> list[str]:
        """Play the scene broken, and return what the judge finds."""
        breaking = Breaking(frozenset(self.crashes), self.first, self.spoils)
        try:
            played = player(scene, breaking, again=self.again)
        except Exception as error:  # noqa: BLE001 (whatever ends a wake is a finding, not the end)
            return [f"the wake ended in {error!r}"]
        return faults(played, unbroken, same=self.again)

    def told(self, unbroken: Played) -> str:
        """Say in words where it breaks."""
        points, calls = unbroken.breaking.points, unbroken.breaking.calls
        ended = [points[one - 1] if one <= len(points) else "later" for one in self.crashes]
        spoiled = [f"{calls[one - 1]}: {fate}" for one, fate in self.spoils.items()]
        return ", then ".join([*ended, *spoiled]) + ("" if self.again else " (next wake when due)")


def cases(unbroken: Played, *, pairs: int, seed: int = 0) -> list[Case]:
    """Return every single crash point, twice, every call with every fate, and some double crashes.

    A double crash ends the process at a point, and the one that is started again soon after.
    """
    points, calls = len(unbroken.breaking.points), len(unbroken.breaking.calls)
    chance = random.Random(f"{unbroken.scene.name} {seed}")
    listed: list[tuple[tuple[int, ...], bool, dict[int, str]]] = []
    listed += [((point,), again, {}) for point in range(1, points + 1) for again in (True, False)]
    listed += [((), True, {call: fate}) for call in range(1, calls + 1) for fate in FATES]
    for _ in range(pairs):
        first = chance.randint(1, points)
        listed.append(((first, first + chance.randint(1, 60)), True, {}))
    return [Case(number, *one) for number, one in enumerate(listed)]


def crashes(unbroken: Played, *, pairs: int, seed: int = 0) -> list[Case]:
    """Return those of the cases in which nothing but a process ends."""
    return [case for case in cases(unbroken, pairs=pairs, seed=seed) if not case.spoils]


def sample(found: Sequence[Case], size: int, *, seed: int = 0) -> list[Case]:
    """Return some of the cases, the same for the same seed."""
    chance = random.Random(f"sample {seed} {len(found)}")
    return sorted(chance.sample(found, min(size, len(found))), key=lambda case: case.number)
