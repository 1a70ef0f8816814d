# SPDX-License-Identifier: GPL-3.0-or-later
"""The account of a run, reached from beside it: by whoever asks how it stands, or stops it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from iverson.config import Settings
from iverson.errors import Refused
from iverson.execution.alpaca.venue import Venue
from iverson.model import Stage
from iverson.monitoring.standing import AtBroker, Order
from iverson.stages.connection import connect

Reach = Callable[[], AbstractContextManager[Venue]]


def at_broker(venue: Venue, at: datetime) -> AtBroker:
    """Read what the broker shows: equity, positions, orders at work."""
    holdings = venue.holdings()
    return AtBroker(
        at=at,
        equity=venue.account().equity,
        sizes={one.symbol: one.size for one in holdings},
        marks={one.symbol: one.mark for one in holdings},
        orders=tuple(
            Order(
                one.symbol, one.side, one.kind.replace("_", " "), one.size - one.filled,
                one.limit if one.limit is not None else one.stop,
            )
            for one in venue.working()
        ),
    )  # fmt: skip


def reaching(chosen: Settings, stage: Stage, clock: Callable[[], datetime]) -> Reach:
    """Return what opens the venue of a run's stage.

    It raises `Refused` when the keys open an account of another stage.
    """

    @contextmanager
    def reach() -> Iterator[Venue]:
        asked = Stage.LIVE if stage is Stage.LIVE else Stage.PAPER
        connection = connect(chosen, asked, clock)
        try:
            if connection.stage is not stage:
                raise Refused(
                    f"the run is of {stage.value} and the settings lead to "
                    f"{connection.stage.value}; set the keys and the address of the run's account"
                )
            yield connection.venue
        finally:
            connection.close()

    return reach
