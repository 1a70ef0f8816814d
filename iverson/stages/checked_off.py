# SPDX-License-Identifier: GPL-3.0-or-later
"""`System.checklist`: the evidence gathered from journal, account and backtest, and the token.

The token is written when every item has passed, for the account that was named. A rehearsal never
writes one: what trades on the simulator is no paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iverson.errors import ConfigError, DataError, Refused
from iverson.execution.alpaca.opening import TakingOver
from iverson.execution.alpaca.states import OrderState
from iverson.execution.reconcile import Reconciled
from iverson.market.calendar import new_york
from iverson.model import Execution, Intent, Stage
from iverson.monitoring.checklist import Checklist, judge
from iverson.monitoring.evidence import Alerts, AtVenue, Compared, Evidence
from iverson.monitoring.journal import Journal
from iverson.monitoring.outbox import Outbox, path_of
from iverson.monitoring.record import RunRow
from iverson.stages.connection import Connection
from iverson.stages.drill_gate import gate_of
from iverson.stages.memory import remember
from iverson.stages.review import review
from iverson.stages.runs import drill_name, identity_of, run_name
from iverson.stages.token import Binding, binding, write_token
from iverson.stages.traded import Traded

if TYPE_CHECKING:
    from iverson.config import Settings

DECISIONS = ("feed", "signal", "risk")  # causes of a decision that differs


@dataclass(frozen=True)
class CheckedOff:
    """The checklist, and the go-live token when everything passed."""

    checklist: Checklist
    token: Path | None = None

    @property
    def passed(self) -> bool:
        """Whether everything passed and the token is there."""
        return self.token is not None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        token = None if self.token is None else str(self.token)
        return {**self.checklist.as_dict(), "token": token}

    def __str__(self) -> str:
        """Say it in a few lines an item."""
        last = "no go-live token" if self.token is None else f"go-live token: {self.token}"
        return f"{self.checklist}\n{last}"

    __repr__ = __str__


def check_off(
    system: Traded,
    journal: Path | str,
    *,
    connection: Connection,
    account: str | None = None,
    max_loss: float | None = None,
    alerts: Alerts | None = None,
) -> CheckedOff:
    """Judge every item, and write the go-live token when all have passed.

    Parameters
    ----------
    connection: of the paper account that the journal was traded on.
    account: the number of the live account that the token is for.
    max_loss: dollars agreed beforehand; live trading may be given less, not more.

    Raises
    ------
    Refused: the account is the paper account's own, or the connection is a live one.
    DataError: there is no journal.
    """
    if connection.stage is Stage.LIVE:
        raise Refused("the checklist is about paper; set the keys of the paper account")
    number = connection.venue.account().number
    account = account.strip() if account else None
    if account == number:
        raise Refused(
            f"{account} is the paper account itself; give the number of the account to go live "
            "with, from Alpaca's own page"
        )
    found = gathered(
        system, journal, connection=connection, number=number, account=account,
        max_loss=max_loss, alerts=alerts or Alerts(configured=False),
    )  # fmt: skip
    checklist = judge(found)
    if connection.stage is not Stage.PAPER:
        said = "these keys open the simulator: a rehearsal never writes a go-live token"
        return CheckedOff(checklist.with_note(said))
    if not checklist.passed:
        return CheckedOff(checklist)
    assert account is not None  # an item of its own
    bound = _bound(system, account)
    return CheckedOff(
        checklist, write_token(journal, bound, at=connection.clock(), max_loss=max_loss)
    )


def gathered(
    system: Traded,
    journal: Path | str,
    *,
    connection: Connection,
    number: str,
    account: str | None,
    max_loss: float | None,
    alerts: Alerts,
) -> Evidence:
    """Gather the evidence of a system's paper run; `number` is of the paper account."""
    paper, drills = run_name(Stage.PAPER, system.name), drill_name(Stage.PAPER, system.name)
    _, rules = gate_of(system)
    common: dict[str, Any] = dict(
        system=system.name,
        identity=identity_of(_bound(system, number)),
        rules=tuple(rule.name for rule in rules),
        alerts=alerts,
        capital=repr(system.setup.capital) if system.setup.capital else "",
        max_loss=max_loss,
        account=account,
    )
    with Journal(journal, read_only=True) as book:
        damaged = book.verify()
        if damaged is not None:  # what cannot be trusted is not read
            return Evidence(**common, damaged=damaged)
        names = [
            name
            for name in dict.fromkeys(book.runs()["run"])
            if _is_of(book, str(name), system.name, paper)
        ]
        runs = {str(name): list(book.each(run=str(name))) for name in names}
        rows: dict[str, Any] = {
            "runs": runs,
            "drills": list(book.each(run=drills)),
            "rows": book.head.seq,
        }
        if paper not in runs:
            return Evidence(**common, **rows, parity="nothing has traded on paper yet")
        asked = connection.stage is Stage.PAPER
        venue = _looked(connection, book, paper, drills) if asked else None
    return Evidence(**common, **rows, venue=venue, parity=_compared(system, journal, paper))


def alerts_of(chosen: Settings, journal: Path | str) -> Alerts:
    """Return what the outbox beside a journal says, in counts."""
    configured = chosen.telegram_token is not None and chosen.telegram_chat is not None
    counts = _outbox(Path(journal))
    return Alerts(
        configured=configured,
        sent=counts.get("sent", 0),
        queued=sum(counts.get(state, 0) for state in ("queued", "sending")),
        failed=sum(counts.get(state, 0) for state in ("failed", "unsure", "dropped")),
    )


# -- its parts ---------------------------------------------------------------------------------


def _bound(system: Traded, account: str) -> Binding:
    return binding(system.setup, system.symbols, system.interval, account=account)


def _is_of(book: Journal, name: str, system: str, paper: str) -> bool:
    """Whether a run is the system's on paper, or a rehearsal of it."""
    row = book.values("run", run=name)[0]
    assert isinstance(row, RunRow)
    return name == paper or (row.stage is Stage.REHEARSE and row.strategy == system)


def _compared(system: Traded, journal: Path | str, run: str) -> Compared | str:
    try:
        bars = system.load()
        found = review(system.setup, bars, journal=journal, run=run).parity
    except (ConfigError, DataError) as error:
        return str(error)
    with Journal(journal, read_only=True) as book:
        row = book.values("run", run=run)[0]
    assert isinstance(row, RunRow)
    last = list(found.equity.values())[-1:]
    said = [
        (one.cause, f"{one.cause}: {one.symbol} {one.at:%Y-%m-%d}: {one.words}")
        for one in found.differences
    ]
    return Compared(
        decisions=found.decisions,
        decided=tuple(words for cause, words in said if cause in DECISIONS),
        filled=tuple(words for cause, words in said if cause not in DECISIONS),
        dollars=last[0][0] - last[0][1] if last else 0.0,
        unexplained=found.unexplained - found.flows,
        start=row.cash,
    )


def _looked(connection: Connection, book: Journal, paper: str, drills: str) -> AtVenue:
    """Lay the account beside the journal, and change neither."""
    venue, now = connection.venue, connection.clock()
    memory = remember(book, paper, after=new_york().session_of(now))
    looking = TakingOver(
        venue, memory.written, _nothing, _nothing, _nothing_of_two, connection.clock, venue.pause
    )
    found = looking.look()
    began = next(one.at for one in book.values("run", run=paper) if isinstance(one, RunRow))
    filled = {row.order_id: row.symbol for row in venue.fills(began or now)}
    executed = {
        one.order
        for run in (paper, drills)
        for one in book.values("execution", run=run)
        if isinstance(one, Execution)
    } | {one.order for one in found.missed}
    names = {
        one.name
        for run in (paper, drills)
        for one in book.values("intent", run=run)
        if isinstance(one, Intent)
    }
    ours = _ids(found)
    strange = [f"a fill of {filled[one]}, order {one}" for one in filled.keys() - executed]
    working = [
        f"a working order for {one.symbol}, {one.id}"
        for one in venue.open_orders()
        if one.name not in names and one.id not in ours
    ]
    held = [f"{one.size:g} {one.symbol} that the run has not bought" for one in found.foreign]
    bare = [
        f"{abs(one.held)} {one.symbol} without a stop at the venue"
        for one in found.groups
        if one.held and one.stop is None and one.exit is None
    ]
    return AtVenue(
        at=now, orders=len(filled), unknown=tuple(sorted([*strange, *working, *held])),
        problems=found.problems, bare=tuple(bare),
    )  # fmt: skip


def _ids(found: Reconciled) -> set[str]:
    parts: Iterator[OrderState | None] = (
        part for one in found.groups for part in (one.entry, one.stop, one.target, one.exit)
    )
    return {one.id for one in parts if one is not None} | {*found.sweep, *found.stale}


def _outbox(journal: Path) -> Mapping[str, int]:
    """Return how many alerts are in each state; none before anything was to be told."""
    path = path_of(journal)
    if not path.exists():
        return {}
    with Outbox(path, read_only=True) as box:
        return dict(box.counts())


def _nothing(_: Any) -> None:
    """Keep nothing: the journal is only read here."""


def _nothing_of_two(_: str, __: str) -> None:
    """Halt nothing."""
