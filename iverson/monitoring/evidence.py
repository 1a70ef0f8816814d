# SPDX-License-Identifier: GPL-3.0-or-later
"""What the paper checklist is judged from: rows of a journal with their numbers, and what else.

All of it is given; nothing here opens a file or asks a venue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType

from iverson.model import Stage
from iverson.monitoring.events import Drill
from iverson.monitoring.kinds import Value
from iverson.monitoring.record import Note, RunRow

Row = tuple[int, Value]

TRADED_AS = "traded as "
CANCEL, ENTRY, STOP = "cancel", "entry", "stop"
HALT, KILL, RULE = "halt and resume", "kill switch", "rule: "
FLATTEN = "flatten"


@dataclass(frozen=True, slots=True)
class AtVenue:
    """What the account shows that the journal does not, each in words; empty when they agree.

    `unknown` orders have no row in the journal; `problems` are positions and orders that differ;
    `bare` are shares of ours without a stop at the venue. `orders` counts what was looked at.
    """

    at: datetime
    orders: int
    unknown: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """A paper run beside its backtest: decisions, and those that differ, as "cause: words".

    `decided` differ in the signal or the gate's answer, `filled` in what became of the order.
    `dollars` is the run's account minus the backtest's, `unexplained` the part of it that neither
    a decision nor a cash flow accounts for; `start` is what the run began with.
    """

    decisions: int
    decided: tuple[str, ...]
    filled: tuple[str, ...]
    dollars: float
    unexplained: float
    start: float


@dataclass(frozen=True, slots=True)
class Alerts:
    """The outbox of alerts in counts; `tested` is when a test message was delivered, if one was."""

    configured: bool
    sent: int = 0
    queued: int = 0
    failed: int = 0
    tested: datetime | None = None


@dataclass(frozen=True)
class Evidence:
    """All that the checklist knows.

    Parameters
    ----------
    system: its name. `identity`: what it is now (see `identity`), as it notes it when it trades.
    rules: names of the rules that have to be seen to deny, in the order in which they are asked.
    runs: the rows of each run of the system, by name, with their numbers; drills are apart.
    damaged: the first row that is not as it was written, None for a journal that is whole; `rows`
        is how many it has.
    venue: the account beside the journal; None when nobody looked.
    parity: the run beside its backtest, or why there is no comparison, in words.
    capital: the steps by which sizes grow, in words; "" when there are none.
    max_loss: dollars agreed beforehand. account: the number of the account to go live with.
    """

    system: str
    identity: str
    rules: tuple[str, ...] = ()
    runs: Mapping[str, Sequence[Row]] = field(default_factory=lambda: MappingProxyType({}))
    drills: Sequence[Row] = ()
    damaged: int | None = None
    rows: int = 0
    venue: AtVenue | None = None
    parity: Compared | str = "nobody has compared it"
    alerts: Alerts = Alerts(configured=False)
    capital: str = ""
    max_loss: float | None = None
    account: str | None = None

    @cached_property
    def paper(self) -> Sequence[Row]:
        """The rows of the paper run; a rehearsal is none."""
        for rows in self.runs.values():
            if any(isinstance(one, RunRow) and one.stage is Stage.PAPER for _, one in rows):
                return rows
        return ()

    @cached_property
    def rehearsed(self) -> bool:
        """Whether the journal has a rehearsal of the system."""
        return any(
            isinstance(one, RunRow) and one.stage is Stage.REHEARSE
            for rows in self.runs.values()
            for _, one in rows
        )

    @cached_property
    def counted(self) -> Sequence[Row]:
        """The rows of the paper run since the system became what it is now."""
        return since(self.paper, self.identity)

    @cached_property
    def changed(self) -> bool:
        """Whether what traded on paper last was another system than this."""
        return bool(self.paper) and not self.counted

    def drilled(self, item: str) -> list[Row]:
        """Return the drills of an item that went as they must, since the system is what it is."""
        return [
            (number, one)
            for number, one in since(self.drills, self.identity)
            if isinstance(one, Drill) and one.item == item and one.passed
        ]


def identity(*, account: str, source: str, configuration: str) -> str:
    """Return the words by which a run notes what trades in it: digests of all that decides it."""
    return (
        f"{TRADED_AS}source {source[:16]}, configuration {configuration[:16]}, on account {account}"
    )


def last_identity(values: Sequence[Value]) -> str:
    """Return what traded last by the notes of a run; "" when it noted nothing."""
    said = [one.text for one in values if isinstance(one, Note) and one.text.startswith(TRADED_AS)]
    return said[-1] if said else ""


def since(rows: Sequence[Row], now: str) -> Sequence[Row]:
    """Return the rows since what traded became what it is now; none when the last was another."""
    places = [
        place
        for place, (_, one) in enumerate(rows)
        if isinstance(one, Note) and one.text.startswith(TRADED_AS)
    ]
    if not places:
        return ()
    note = rows[places[-1]][1]
    return rows[places[-1] :] if isinstance(note, Note) and note.text == now else ()
