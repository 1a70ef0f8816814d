# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may do to a run from outside: halt it, resume it, have everything left.

Never an entry. A halt is on the disk before anything else happens, so that whoever trades the run,
now or at the next start, sends no entry after it; then working entries are taken back at the venue.
All of it may be repeated, and works while another process trades the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from iverson.book import OPERATOR, Halt
from iverson.errors import ConfigError, IversonError
from iverson.execution.alpaca.venue import Venue
from iverson.market.calendar import new_york
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Release, RunRow
from iverson.monitoring.standing import halt_lines, when
from iverson.risk.max_loss import FOR_GOOD
from iverson.stages.kill import Killed, kill

Pause = Callable[[float], None]
TRADED = (Stage.LIVE, Stage.PAPER)


@dataclass(frozen=True, slots=True)
class Halted:
    """What a halt did: the halt that stands, whether it is new, and what the venue shows.

    `killed` is None when the venue was not asked or did not answer; `fault` says why.
    """

    run: str
    halt: Halt
    new: bool
    killed: Killed | None
    fault: str = ""

    def __str__(self) -> str:
        """Say it in a few words."""
        since = "" if self.new else f" since {when(self.halt.since)} already"
        return f"{self.run} is halted{since}: no entry until somebody resumes. {self._venue}"

    @property
    def _venue(self) -> str:
        if self.killed is not None:
            return str(self.killed)
        return f"The broker was not asked to take entries back: {self.fault}; do it again."


@dataclass(frozen=True, slots=True)
class Resumed:
    """Which halts ended, and which stay because nobody may lift them."""

    run: str
    ended: tuple[Halt, ...]
    stay: tuple[Halt, ...]

    def __str__(self) -> str:
        """Say it line by line."""
        ended = ", ".join(one.rule for one in self.ended)
        lines = [f"{self.run}: released {ended}." if ended else f"{self.run}: nothing to release."]
        lines += [f"stays, {one.rule}: {one.reason}; {_until(one)}" for one in self.stay]
        if not self.stay:
            lines.append("Entries are allowed again.")
        return "\n".join(lines)


def halt(
    journal: Journal,
    run: str,
    *,
    by: str,
    at: datetime,
    reason: str = "",
    venue: Venue | None = None,
    pause: Pause | None = None,
) -> Halted:
    """Refuse entries until somebody resumes, then take back those that work at the venue.

    Stops and targets stay. Without a venue, or when it does not answer, whoever trades the run
    takes its entries back as soon as it hears of the halt.

    Raises
    ------
    ConfigError: the journal has no such run.
    """
    standing, new = write_halt(journal, run, by=by, at=at, reason=reason)
    if venue is None or pause is None:
        return Halted(run, standing, new, None, "there is no connection to it")
    try:
        return Halted(run, standing, new, kill(venue, pause=pause))
    except IversonError as error:
        return Halted(run, standing, new, None, str(error))


def resume(journal: Journal, run: str, *, by: str, at: datetime) -> Resumed:
    """Release every halt that waits for somebody; the 30-day high counts from this session on.

    The maximum loss is for good and a halt of some hours keeps its end: both stay.

    Raises
    ------
    ConfigError: the journal has no such run.
    """
    _known(journal, run)
    session = new_york().session_of(at)
    with journal.transaction():
        standing = halts_of(journal, run, at=at)
        ended = tuple(one for one in standing if one.lasts)
        journal.append_many(
            run, [Release(at, session, one.rule, f"released by {by}") for one in ended]
        )
    return Resumed(run, ended, tuple(one for one in standing if not one.lasts))


def write_halt(
    journal: Journal, run: str, *, by: str, at: datetime, reason: str = "", flatten: bool = False
) -> tuple[Halt, bool]:
    """Write the halt of an operator down, unless one stands that asks as much; whether it is new.

    One that has everything left stays so.
    """
    _known(journal, run)
    words = f"by {by}: {reason}" if reason else f"by {by}"
    with journal.transaction():
        before = next((one for one in halts_of(journal, run, at=at) if one.rule == OPERATOR), None)
        if before is not None and (before.flatten or not flatten):
            return before, False
        made = Halt(OPERATOR, words, since=at, latched=True, flatten=flatten)
        journal.append(run, made)
    return made, True


def halts_of(journal: Journal, run: str, *, at: datetime) -> tuple[Halt, ...]:
    """Return the halts of a run that are in force at an instant."""
    found: dict[str, Halt] = {}
    for value in journal.values("halt", "release", run=run):
        if isinstance(value, Halt):
            found[value.rule] = value
        elif isinstance(value, Release):
            found.pop(value.rule, None)
    return tuple(one for one in found.values() if one.in_force(at))


def last_run(journal: Journal) -> tuple[str, Stage]:
    """Return the run that was begun last, live or paper before rehearsed, and its stage.

    Raises
    ------
    ConfigError: nothing was ever traded into this journal.
    """
    rows = [
        (run, row)
        for _, run, row in journal.each_of_runs("run")
        if isinstance(row, RunRow) and row.stage in (*TRADED, Stage.REHEARSE)
    ]
    if not rows:
        raise ConfigError(
            "the journal has no run of paper or live trading; name the system, or another --journal"
        )
    run, row = next((one for one in reversed(rows) if one[1].stage in TRADED), rows[-1])
    return run, row.stage


def _known(journal: Journal, run: str) -> None:
    if not journal.values("run", run=run):
        known = ", ".join(sorted(journal.run_names("run"))) or "none"
        raise ConfigError(f"the journal has no run {run!r}; it has {known}")


def _until(halt: Halt) -> str:
    if halt.until == FOR_GOOD:
        return "for good"
    return halt_lines([halt])[0].rpartition("; ")[2]
