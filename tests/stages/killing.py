# SPDX-License-Identifier: GPL-3.0-or-later
"""Real processes and `kill -9`: each wake runs in a process of its own, and most are killed.

The exchange lives in the parent, behind a socket; the wakes are forked from a clean server process
that has imported everything, so that a kill costs a tenth of a second. The kill comes at a random
moment of the wake; a process that is killed is started again.
"""

from __future__ import annotations

import multiprocessing
import random
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


def wake_once(account: tuple[str, str, str], path: str, name: str, number: int) -> None:
    """Make one wake of a scene; the body of a child process."""
    scene, remote = scenes()[name], Remote(*account)

    def store(written: Any, note: Any) -> AlpacaStore:
        return AlpacaStore(
            rest=remote.rest, threaded=False, limited=False, written=written, note=note,
            clock=remote.now, pause=remote.pause,
        )  # fmt: skip

    with Journal(Path(path)) as journal:
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


def killed(scene: Scene, *, seed: int) -> tuple[Played, int]:
    """Play a scene in processes that are killed; return what is left, and how many were killed."""
    chance = random.Random(f"kill {scene.name} {seed}")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.stages.killing"])
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
            left = KILLS_A_WAKE
            while True:
                child = context.Process(
                    target=wake_once,
                    args=((sim.urls.trading, sim.key, sim.secret), str(path), scene.name, what),
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
                assert child.exitcode == 0, f"a wake ended with {child.exitcode}"
                longest = max(longest, time.monotonic() - began)
                break
            woken.append((sim.now, sim.call(lambda _: covers(witness))))
        seen = sim.call(lambda venue: told(venue.exchange, venue.accounts[0], witness))
        with Journal(path, read_only=True) as last:
            noted = last.values(run=RUN)
    return Played(scene, Breaking(), *seen, journal=noted, woken=woken), kills


def wrong_after_kills(scene: Scene, *, seed: int) -> tuple[list[str], int]:
    """Return what the judge finds after a scene of kills, and how many there were."""
    played, kills = killed(scene, seed=seed)
    return faults(played, play(scene)), kills
