# SPDX-License-Identifier: GPL-3.0-or-later
"""Real processes and `kill -9`: each wake runs in a process of its own, and most are killed.

The exchange lives in the parent, behind a socket; the wakes are forked from a clean server process
that has imported everything, so that a kill costs a tenth of a second. The kill comes at a random
moment of the wake, or at a numbered point: before and after each write of the journal and each
call of the venue. A process that is killed is started again.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from iverson.execution.alpaca.rest import Rest
from iverson.execution.alpaca.states import instant
from iverson.execution.alpaca.store import AlpacaStore
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.simulator.ledger import Ledger
from iverson.simulator.server import Simulator
from iverson.simulator.venue import ServerSwitches, Venue
from iverson.stages.runs import begin
from iverson.stages.wake import wake
from tests.stages.judge import faults
from tests.stages.play import RUN, Played, covers, play, told
from tests.stages.rig import Breaking
from tests.stages.scenes import Scene, scenes

KILLS_A_WAKE = 4
LONGEST = 60.0  # seconds that a wake may take


class Remote:
    """The exchange as a client in another process sees it: its clock, and a way to wait."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self.rest = Rest(key, secret, paper=True, url=url)
        self._url = url

    def now(self) -> datetime:
        """Ask for the time."""
        at = instant(self.rest.call("GET", "/clock").body["timestamp"])
        assert at is not None
        return at

    def pause(self, seconds: float) -> None:
        """Let simulated time pass."""
        until = (self.now() + timedelta(seconds=seconds)).isoformat()
        requests.post(f"{self._url}/_sim/run", json={"until": until}, timeout=20)


class Point:
    """Counts the points that a process passes, and kills it at one; 0: at none."""

    def __init__(self, passed: Any, at: int) -> None:
        self._passed, self._at = passed, at

    def __call__(self) -> None:
        """Pass a point."""
        self._passed.value += 1
        if self._passed.value == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


class PointedJournal(Journal):
    """A journal with a point before and after each write."""

    point: Any = staticmethod(lambda: None)

    def append(self, run: str, value: Any) -> int:
        """Append one value."""
        self.point()
        number = super().append(run, value)
        self.point()
        return number


class PointedRest:
    """An account with a point before and after each call."""

    def __init__(self, rest: Rest, point: Point) -> None:
        self._rest, self._point = rest, point

    def call(self, *given: Any) -> Any:
        """Make a call."""
        self._point()
        reply = self._rest.call(*given)
        self._point()
        return reply


def wake_once(  # noqa: PLR0917 (the arguments of a process)
    account: tuple[str, str, str], path: str, name: str, number: int, passed: Any, at: int
) -> None:
    """Make one wake of a scene; the body of a child process."""
    scene, remote = scenes()[name], Remote(*account)
    point = Point(passed, at)

    def store(written: Any, note: Any) -> AlpacaStore:
        return AlpacaStore(
            rest=PointedRest(remote.rest, point), threaded=False, limited=False, written=written,
            note=note, clock=remote.now, pause=remote.pause,
        )  # fmt: skip

    with PointedJournal(Path(path)) as journal:
        journal.point = point
        wake(
            scene.setup(), scene.prepared(number), session=scene.sessions[number],
            store=store, journal=journal, run=RUN,
        )  # fmt: skip


class Inside:
    """The exchange as an act of a scene needs it, inside the server's own thread."""

    def __init__(self, venue: Venue) -> None:
        self.exchange = venue.exchange
        self.account = venue.accounts[0]

    @property
    def now(self) -> datetime:
        """The simulated clock."""
        return self.exchange.now

    def advance_to(self, at: datetime) -> None:
        """Move the clock."""
        self.exchange.advance_to(at)


def killed(scene: Scene, *, seed: int = 0, point: int | None = None) -> tuple[Played, int, int]:
    """Play a scene in processes that are killed.

    At random moments, or, given a `point`, at that one of the whole scene only (0: at none).
    Returns what is left, how many were killed, and how many points there were.
    """
    chance = random.Random(f"kill {scene.name} {seed}")
    context = multiprocessing.get_context("forkserver")
    passed = context.Value("q", 0, lock=False)
    context.set_forkserver_preload(["tests.stages.warm"])
    timeline = scene.timeline()
    kills, longest, woken = 0, 0.2, []
    with (
        tempfile.TemporaryDirectory(prefix="iverson-killed-") as folder,
        Simulator(
            scene.series, at=timeline[0][0] - timedelta(minutes=2), switches=scene.switches,
            server=ServerSwitches(trading_limit=None, data_limit=None),
        ) as sim,
    ):  # fmt: skip
        witness = sim.call(lambda venue: Ledger(venue.exchange))
        sim.call(lambda venue: venue.script.load(scene.faults))
        path = Path(folder) / "iverson.db"
        with Journal(path) as first:
            begin(
                first, RUN, scene.setup(), scene.series, stage=Stage.REHEARSE, system="scene",
                at=sim.now,
            )  # fmt: skip
        for at, what in timeline:
            if at > sim.now:
                sim.advance_to(at)
            if not isinstance(what, int):
                act = what
                sim.call(lambda venue, act=act: act(Inside(venue)))  # type: ignore[misc]  # bound now
                continue
            left = KILLS_A_WAKE if point is None else 0
            while True:
                child = context.Process(
                    target=wake_once,
                    args=(
                        (sim.urls.trading, sim.key, sim.secret),
                        str(path),
                        scene.name,
                        what,
                        passed,
                        point or 0,
                    ),
                )
                began = time.monotonic()
                child.start()
                child.join(chance.uniform(0, longest) if left else LONGEST)
                if child.exitcode is None:
                    child.kill()
                    child.join()
                    assert left, "a wake did not end"
                    kills, left = kills + 1, left - 1
                    continue
                if child.exitcode == -signal.SIGKILL and point:
                    kills += 1
                    continue
                assert child.exitcode == 0, f"a wake ended with {child.exitcode}"
                longest = max(longest, time.monotonic() - began)
                break
            woken.append((sim.now, sim.call(lambda _: covers(witness))))
        seen = sim.call(lambda venue: told(venue.exchange, venue.accounts[0], witness))
        with Journal(path, read_only=True) as last:
            noted = last.values(run=RUN)
    played = Played(scene, Breaking(), *seen, journal=noted, woken=woken)
    return played, kills, passed.value


def wrong_after_kills(scene: Scene, *, seed: int) -> tuple[list[str], int]:
    """Return what the judge finds after a scene of kills, and how many there were."""
    played, kills, _ = killed(scene, seed=seed)
    return faults(played, play(scene)), kills


def points_of(scene: Scene) -> int:
    """Count the points of a scene that nobody kills."""
    return killed(scene, point=0)[2]


def wrong_after_kill_at(scene: Scene, point: int, unbroken: Played) -> list[str]:
    """Return what the judge finds after one kill at a point of a scene."""
    played, kills, _ = killed(scene, point=point)
    found = faults(played, unbroken)
    return found if kills == 1 else [*found, f"{kills} kills at point {point}, expected 1"]
