# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: T201 (it prints what it found)
"""The crash campaign: every case of every scene, then real kills; ends with the counts.

python -m tests.stages.campaign                      all of it
python -m tests.stages.campaign --only split         scenes whose name contains a word
python -m tests.stages.campaign --only split --case 17
python -m tests.stages.campaign --points 1           `kill -9` at every point of every scene (hours)
python -m tests.stages.campaign --days 1             every crash of every scene by streams (an hour)
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.stages.cases import cases, crashes, sample
from tests.stages.judge import faults
from tests.stages.killing import points_of, wrong_after_kill_at, wrong_after_kills
from tests.stages.play import play
from tests.stages.play_days import play_days
from tests.stages.rig import Breaking
from tests.stages.scenes import Scene, scenes
from tests.stages.streaming import PARTIAL, STORIES, play_stream

PAIRS = 60  # double crashes a scene


def main() -> int:
    """Run what was asked for; 1 when the judge found anything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help="scenes whose name contains this")
    parser.add_argument("--case", type=int, help="one case by its number")
    parser.add_argument("--sample", type=int, help="so many cases of each scene")
    parser.add_argument("--kills", type=int, default=200, help="processes to kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, help="only kills, at every so-manyth point")
    parser.add_argument("--days", type=int, help="only streams of daily bars, every so-manyth case")
    asked = parser.parse_args()
    chosen = {name: one for name, one in scenes().items() if asked.only in name}
    if asked.points:
        return kill_at_points(chosen, asked.points)
    if asked.days:
        return days(chosen, asked.days, seed=asked.seed)
    began, runs, points, wrong = time.monotonic(), 0, 0, 0
    for name, scene in chosen.items():
        unbroken = play(scene)
        found = cases(unbroken, pairs=PAIRS, seed=asked.seed)
        points += len(unbroken.breaking.points)
        complaints = faults(unbroken, unbroken)
        for complaint in complaints:
            print(f"{name}, unbroken: {complaint}")
        wrong += bool(complaints)
        if asked.case is not None:
            found = [case for case in found if case.number == asked.case]
        elif asked.sample:
            found = sample(found, asked.sample, seed=asked.seed)
        for case in found:
            runs += 1
            complaints = case.run(scene, unbroken)
            wrong += bool(complaints)
            for complaint in complaints:
                print(f"{name}, case {case.number}, {case.told(unbroken)}: {complaint}")
        print(f"{name}: {len(unbroken.breaking.points)} points, {len(found)} runs", flush=True)
    if asked.case is None:
        more = streams(asked.only, asked.sample)
        runs, points, wrong = runs + more[0], points + more[1], wrong + more[2]
    kills = 0
    if asked.case is None and asked.kills:
        kills, differing = kill(chosen, asked.kills, seed=asked.seed)
        wrong += differing
    print(
        f"{len(chosen)} scenes, {points} crash points, {runs} broken runs, {kills} kills, "
        f"{wrong} with differences, {time.monotonic() - began:.0f} s"
    )
    return 1 if wrong else 0


def streams(only: str, most: int | None) -> tuple[int, int, int]:
    """End every stream at every point; return runs, points and how many differ."""
    runs = points = wrong = 0
    for story, words in STORIES.items():
        for faulty in ((), PARTIAL):
            name = f"stream, {story}{', partial' if faulty else ''}"
            if only not in name:
                continue
            unbroken = play_stream(words, faults=faulty)
            there = len(unbroken.breaking.points)
            step = 1 if not most else max(1, there // most)
            for number in range(1, there + 1, step):
                played = play_stream(words, Breaking(frozenset({number})), faults=faulty)
                complaints = faults(played, unbroken, same=False)
                wrong += bool(complaints)
                runs += 1
                for complaint in complaints:
                    print(f"{name}, ended at point {number}: {complaint}")
            points += there
            print(f"{name}: {there} points", flush=True)
    return runs, points, wrong


def days(chosen: dict[str, Scene], step: int, *, seed: int) -> int:
    """End streams of daily bars at every `step`th case; 1 when the judge found anything."""
    began, runs, points, wrong = time.monotonic(), 0, 0, 0
    for name, scene in chosen.items():
        unbroken = play_days(scene)
        found = crashes(unbroken, pairs=PAIRS, seed=seed)[::step]
        for case in found:
            complaints = case.run(scene, unbroken, play_days)
            wrong += bool(complaints)
            for complaint in complaints:
                print(f"{name}, case {case.number}, {case.told(unbroken)}: {complaint}")
        runs, points = runs + len(found), points + len(unbroken.breaking.points)
        print(f"{name}: {len(unbroken.breaking.points)} points, {len(found)} runs", flush=True)
    print(f"{points} points, {runs} broken streams of daily bars, {wrong} with differences, "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return 1 if wrong else 0


def kill(chosen: dict[str, Scene], most: int, *, seed: int) -> tuple[int, int]:
    """Kill so many processes over the scenes; return how many, and how many scenes differ."""
    kills = differing = 0
    able = {name: one for name, one in chosen.items() if one.race is None}
    while able and kills < most:
        for name, scene in able.items():
            if kills >= most:
                break
            complaints, there = wrong_after_kills(scene, seed=seed)
            kills += there
            differing += bool(complaints)
            for complaint in complaints:
                print(f"{name}, killed {there} times, --seed {seed}: {complaint}")
        print(f"{kills} kills", flush=True)
        seed += 1
    return kills, differing


def kill_at_points(chosen: dict[str, Scene], step: int) -> int:
    """Kill a real process at every `step`th point of each scene; 1 when the judge found anything.

    A point lies before and after each write of the journal and each call of the venue.
    """
    began, kills, wrong = time.monotonic(), 0, 0
    for name, scene in chosen.items():
        if scene.race is not None:
            continue
        unbroken, there, mine = play(scene), points_of(scene), 0
        for point in range(1, there + 1, step):
            complaints = wrong_after_kill_at(scene, point, unbroken)
            kills, mine = kills + 1, mine + bool(complaints)
            for complaint in complaints:
                print(f"{name}, killed at point {point}: {complaint}")
        wrong += mine
        print(
            f"{name}: {there} points, {len(range(1, there + 1, step))} kills, {mine} differ",
            flush=True,
        )
    print(f"{kills} kills at points, {wrong} with differences, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
