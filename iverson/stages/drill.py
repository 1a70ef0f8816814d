# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills: the evidence that trading rarely gives, made on purpose, on paper and never live.

    rule: ...         each rule denies what was made up for it, through the system's own gate
    halt and resume   a halt refuses entries until it is released, read back from the journal
    cancel            an order far from the market is placed and taken back
    kill switch       sees that order among those it would take back
    entry, stop       one share is bought at a limit, and its stop triggers
    flatten           when asked for: the kill switch leaves a share, if the account has no other

The account is left as it was found, whatever fails and whoever stops it; what a killed process left
is taken back by the next drill. Each drill is a row of the journal, in a run of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from iverson.errors import ConfigError, IversonError, Refused
from iverson.model import Stage
from iverson.monitoring.events import Drill
from iverson.monitoring.journal import Journal
from iverson.stages import admission
from iverson.stages.connection import Connection
from iverson.stages.drill_orders import DrillOrders
from iverson.stages.drill_venue import Drills, is_open
from iverson.stages.lock import account_lock
from iverson.stages.runs import drill_name, note_identity, run_name
from iverson.stages.stopping import Stopping
from iverson.stages.token import binding
from iverson.stages.traded import Traded

WAIT_SECONDS = 600


@dataclass(frozen=True)
class Drilled:
    """What was drilled, what could not be now, and what is left at the venue ("" for nothing)."""

    run: str
    journal: Path
    stage: Stage
    drills: tuple[Drill, ...]
    skipped: tuple[str, ...] = ()
    left: str = ""
    stopped_by: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything was drilled and went as it must."""
        return all(one.passed for one in self.drills) and not self.skipped and not self.left

    def __str__(self) -> str:
        """Say it in a line each."""
        lines = [f"{self.run}: {sum(one.passed for one in self.drills)} drills passed"]
        lines += [
            f"{'pass' if one.passed else 'FAIL':<8} {one.item}: {one.evidence}"
            for one in self.drills
        ]
        lines += [f"not now  {words}" for words in self.skipped]
        lines += [f"left     {self.left}"] if self.left else []
        if self.stage is not Stage.PAPER:
            lines.append("note: a rehearsal; nothing done on the simulator counts as paper")
        return "\n".join([*lines, f"written to {self.journal}"])

    __repr__ = __str__


class Stopped(IversonError):
    """A drill was ended by a signal."""


def drill(
    system: Traded,
    connection: Connection,
    journal: Path | str,
    *,
    symbol: str | None = None,
    wait_seconds: int = WAIT_SECONDS,
    flatten: bool = False,
) -> Drilled:
    """Run every drill; see the module.

    Parameters
    ----------
    symbol: what one share is bought of; default the system's first that the account has nothing of.
    wait_seconds: how long a stop is waited for.
    flatten: have the kill switch close everything too, on an account that holds nothing.

    Raises
    ------
    Refused: on a live account, or one that does not trade; nothing was sent.
    """
    if connection.stage is Stage.LIVE:
        raise Refused("drills are for paper, and these keys open a live account; nothing was sent")
    if wait_seconds < 1:
        raise ConfigError(f"wait_seconds is {wait_seconds}; expected a second or more")
    account = connection.venue.account()
    admission.admit_account(account)
    if not connection.on_loopback:  # there it is the venue's own clock, and may run fast
        admission.admit_clock(connection.clock(), connection.venue.now())
    run = drill_name(connection.stage, system.name)
    stopping = Stopping()

    def pause(seconds: float) -> None:
        if stopping.by:
            raise Stopped(f"the rest: stopped by {stopping.by}")
        connection.venue.pause(seconds)

    with Journal(journal) as book, account_lock(book.path), stopping.listening():
        traded = run_name(connection.stage, system.name)
        orders = DrillOrders(
            connection.venue, book, run=run, account=account.number, pause=pause,
            traded=None if book.runs(run=traded).empty else traded,
        )  # fmt: skip
        left = orders.take_back(sells=is_open(connection.clock()))
        bound = binding(system.setup, system.symbols, system.interval, account=account.number)
        note_identity(book, run, bound, at=connection.clock())
        made = Drills(system, connection, book, run, orders)
        if not left:
            try:
                made.all(symbol, wait_seconds, flatten=flatten)
            except Stopped as error:
                made.skipped.append(str(error))
            finally:
                left = orders.take_back(sells=is_open(connection.clock()))
        return Drilled(
            run,
            Path(journal),
            connection.stage,
            tuple(made.done),
            tuple(made.skipped),
            left,
            stopping.by,
        )
