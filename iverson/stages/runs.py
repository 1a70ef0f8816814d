# SPDX-License-Identifier: GPL-3.0-or-later
"""A trading system's one run in a journal: its name, and its first row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from iverson.market.bars import Bars
from iverson.market.source import passport
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.research.backtest import Setup
from iverson.research.journaling import run_row


def run_name(stage: Stage, system: str) -> str:
    """Return the name under which all that a system does in a stage is journaled."""
    return f"{stage.value}-{system}"


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
