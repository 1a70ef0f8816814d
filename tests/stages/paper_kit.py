# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to the exchange on loopback that counts as the stage a test gives it.

`connect` makes none: there loopback is a rehearsal. Waiting moves the exchange's clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from iverson.execution.alpaca.pace import Pace
from iverson.execution.alpaca.rest import Rest
from iverson.execution.alpaca.venue import Venue
from iverson.model import Stage
from iverson.simulator.server import Simulator
from iverson.stages.connection import Connection


def connection_to(
    venue: Simulator, stage: Stage, *, on_pause: Callable[[], None] = lambda: None
) -> Connection:
    """Return one, to be closed; `on_pause` is called before each wait."""
    rest = Rest(venue.key, venue.secret, paper=stage is not Stage.LIVE, url=venue.urls.trading)

    def pause(seconds: float) -> None:
        on_pause()
        venue.advance_to(venue.now + timedelta(seconds=seconds))

    pace = Pace(time.monotonic, time.sleep, limited=False)
    account = Venue(rest, pace, lambda: venue.now, pause)
    return Connection(
        stage, venue.urls.trading, venue.urls.data, "free", venue.key, venue.secret,
        lambda: venue.now, account, rest,
    )  # fmt: skip


def connects(monkeypatch: pytest.MonkeyPatch, venue: Simulator, stage: Stage) -> None:
    """Have the verbs of a system connect to an exchange as if it were of a stage."""
    monkeypatch.setattr("iverson.stages.opened.connect", lambda *_: connection_to(venue, stage))
