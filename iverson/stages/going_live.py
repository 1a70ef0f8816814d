# SPDX-License-Identifier: GPL-3.0-or-later
"""`System.drill` and `System.checklist`: on the paper account that the settings' keys open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iverson.config import Settings, settings
from iverson.model import Stage
from iverson.stages.checked_off import CheckedOff, alerts_of, check_off
from iverson.stages.connection import Connection, connect
from iverson.stages.drill import Drilled
from iverson.stages.drill import drill as run_drills
from iverson.stages.traded import Traded


def drill(
    system: Traded,
    journal: Path | str | None,
    *,
    symbol: str | None,
    wait_seconds: int,
    flatten: bool,
) -> Drilled:
    """Run every drill; see `System.drill`."""
    chosen = settings()
    with _paper(chosen, system) as connection:
        return run_drills(
            system, connection, journal or chosen.journal, symbol=symbol,
            wait_seconds=wait_seconds, flatten=flatten,
        )  # fmt: skip


def checklist(
    system: Traded, journal: Path | str | None, *, account: str | None, max_loss: float | None
) -> CheckedOff:
    """Judge every item; see `System.checklist`."""
    chosen = settings()
    file = journal or chosen.journal
    with _paper(chosen, system) as connection:
        return check_off(
            system, file, connection=connection, account=account, max_loss=max_loss,
            alerts=alerts_of(chosen, file),
        )  # fmt: skip


@contextmanager
def _paper(chosen: Settings, system: Traded) -> Iterator[Connection]:
    connection = connect(chosen, Stage.PAPER, system.clock)
    try:
        yield connection
    finally:
        connection.close()
