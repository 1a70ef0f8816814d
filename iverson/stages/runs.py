# SPDX-License-Identifier: GPL-3.0-or-later
"""A trading system's one run in a journal: its name, its first row, and what trades in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from iverson.market.bars import Bars
from iverson.market.source import passport
from iverson.model import Stage
from iverson.monitoring.evidence import identity, last_identity
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Note
from iverson.research.backtest import Setup
from iverson.research.journaling import run_row
from iverson.stages.token import Binding


def run_name(stage: Stage, system: str) -> str:
    """Return the name under which all that a system does in a stage is journaled."""
    return f"{stage.value}-{system}"


def drill_name(stage: Stage, system: str) -> str:
    """Return the name under which a system's drills are journaled.

    They have no first row: so no report, review or comparison takes them for a run of the system.
    """
    return f"drill-{stage.value}-{system}"


def note_identity(journal: Journal, run: str, bound: Binding, *, at: datetime) -> None:
    """Note what trades in a run, when it is another than before: its account, source and settings.

    Evidence from before a change says nothing about what trades after it.
    """
    now = identity_of(bound)
    if last_identity(journal.values("note", run=run)) != now:
        journal.append(run, Note(at, now))


def identity_of(bound: Binding) -> str:
    """Return the words by which a run notes what trades in it."""
    return identity(account=bound.account, source=bound.source, configuration=bound.configuration)


def begin(
    journal: Journal,
    run: str,
    setup: Setup,
    bars: Mapping[str, Bars],
    *,
    stage: Stage,
    system: str,
    at: datetime,
) -> None:
    """Write the first row of a run, with its settings; a run that began before goes on."""
    if not journal.runs(run=run).empty:
        return
    row = run_row(setup, passport(bars), stage, setup.cash, seed=None)
    journal.append(run, replace(row, system=system, at=at))
