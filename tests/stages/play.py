# SPDX-License-Identifier: GPL-3.0-or-later
"""Play a scene on a street, broken at one place or not, and say what the exchange saw."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from iverson.execution.alpaca.store import AlpacaStore
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.simulator.exchange import Exchange
from iverson.simulator.ledger import Ledger
from iverson.stages.runs import begin
from iverson.stages.wake import wake
from tests.stages.rig import Breaking, SimulatedCrash, Street, journal_at, store_of
from tests.stages.scenes import Scene

RUN = "rehearse-scene"


@dataclass
class Played:
    """What is left of a run: the exchange's own words, the journal, and the alarms.

    `woken` has the instants at which a wake was complete, with the shares held and covered by live
    stops, by symbol.
    """

    scene: Scene
    breaking: Breaking
    orders: list[dict[str, Any]]
    fills: list[tuple[Any, ...]]
    cash: Decimal
    held: dict[str, Decimal]
    lowest: Decimal
    journal: list[Any] = field(default_factory=list)
    alarms: list[tuple[str, str]] = field(default_factory=list)
    woken: list[tuple[datetime, dict[str, tuple[float, float]]]] = field(default_factory=list)


def play(
    scene: Scene,
    breaking: Breaking | None = None,
    *,
    again: bool = True,
    store: type[AlpacaStore] = AlpacaStore,
) -> Played:
    """Play a scene to its end.

    `again`: a process that ended is started again at once (as a supervisor does); else the next
    wake comes when it is due.
    """
    breaking = breaking or Breaking()
    setup, alarms, woken = scene.setup(), [], []
    start = scene.timeline()[0][0] - timedelta(minutes=2)
    street = Street(scene.series, at=start, faults=scene.faults, switches=scene.switches)
    if scene.race is not None:
        street.on_call = scene.race(street)
    with tempfile.TemporaryDirectory(prefix="iverson-scene-") as folder:
        path = Path(folder) / "iverson.db"
        with Journal(path, durable=False) as first:
            begin(
                first, RUN, setup, scene.series, stage=Stage.REHEARSE, system="scene",
                at=street.now,
            )  # fmt: skip
        for at, what in scene.timeline():
            if at > street.now:
                street.advance_to(at)
            if not isinstance(what, int):
                what(street)
                continue
            while True:
                journal = journal_at(path, breaking)
                try:
                    wake(
                        setup,
                        scene.prepared(what),
                        session=scene.sessions[what],
                        store=store_of(street, breaking, alarms, store),
                        journal=journal,
                        run=RUN,
                    )
                except SimulatedCrash:
                    if again:
                        continue
                    break
                finally:
                    journal.close()
                woken.append((street.now, covers(street.witness)))
                break
        with Journal(path, read_only=True) as last:
            noted = last.values(run=RUN)
    street.close()
    seen = told(street.exchange, street.account, street.witness)
    return Played(scene, breaking, *seen, journal=noted, alarms=alarms, woken=woken)


class Watching:
    """Notes when shares are bare for longer than it takes: to see the fill, to cancel, to protect.

    `bare` has the instants with the shares held and covered then, by symbol.
    """

    LOOKS = 3

    def __init__(self, street: Street) -> None:
        self._street = street
        self._looks = 0
        self.bare: list[tuple[datetime, dict[str, tuple[float, float]]]] = []

    def look(self) -> None:
        """Look once."""
        now = covers(self._street.witness)
        self._looks = self._looks + 1 if any(held > cover for held, cover in now.values()) else 0
        if self._looks > self.LOOKS:
            self.bare.append((self._street.now, now))

    def begin(self) -> None:
        """Begin anew, with a new process."""
        self._looks = 0


def told(
    exchange: Exchange, account: str, witness: Ledger
) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]], Decimal, dict[str, Decimal], Decimal]:
    """Return what an exchange says of an account: orders, fills, cash, shares, the least held."""
    orders, fills = witness.orders(), witness.fills()
    return (
        orders.to_dict("records") if len(orders) else [],
        [
            (one["symbol"], one["side"], one["qty"], one["price"], one["client_order_id"])
            for one in (fills.to_dict("records") if len(fills) else [])
        ],
        exchange.account(account).cash,
        {one.symbol: one.qty for one in exchange.positions(account)},
        min((one.held for one in witness.covers), default=Decimal(0)),
    )


def covers(witness: Ledger) -> dict[str, tuple[float, float]]:
    """Return the shares held and covered by live stops now, by symbol."""
    return {one.symbol: (float(one.held), float(one.covered)) for one in witness.covers}
