# SPDX-License-Identifier: GPL-3.0-or-later
"""`System.rehearse`: which bars and sessions, daily or by the minute, and where it is journaled."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from iverson.market.bars import DAILY
from iverson.market.feeds import MADE_UP, is_synthetic
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.research.days import Day
from iverson.stages.herald import HeraldMaker
from iverson.stages.rehearse import rehearse_daily
from iverson.stages.rehearse_days import rehearse_days
from iverson.stages.rehearse_stream import rehearse_minutes
from iverson.stages.rehearsed import Rehearsal
from iverson.stages.runs import run_name
from iverson.stages.traded import DAILY_SESSIONS, MINUTE_SESSIONS, Traded, rehearsed_range


def rehearse(
    system: Traded,
    start: Day | None,
    end: Day | None,
    *,
    scenario: Any,
    journal: Path | str | None,
    seed: int,
    stream: bool,
    progress: Callable[[int, int], None] | None,
    herald: HeraldMaker | None = None,
) -> Rehearsal:
    """Rehearse a system; see `System.rehearse`.

    Raises
    ------
    ConfigError, DataError: one sentence each, for dates, bars and scenarios that there are not.
    """
    from iverson.simulator.installed import check_installed
    from iverson.simulator.scenarios import scenario as find

    check_installed()
    script = find(scenario) if isinstance(scenario, str) else scenario
    bars = system.load()
    daily = next(iter(bars.values())).interval == DAILY
    usual = DAILY_SESSIONS if daily else MINUTE_SESSIONS
    first, last = rehearsed_range(bars, start, end, sessions=usual)
    # The exchange replays no bar beyond the last session, and the strategy sees none.
    bars = {
        symbol: known
        for symbol, one in bars.items()
        if len(known := one.between(one.session[0].item(), last))
    }
    kept = tempfile.mkdtemp(prefix="iverson-") if journal is None else None
    file = Path(kept) / "rehearsal.db" if kept else Path(str(journal))
    options: dict[str, Any] = dict(
        system=_fresh(file, system.name), first=first, last=last, journal=file,
        scenario=script, seed=seed, herald=herald,
    )  # fmt: skip
    try:
        if daily:
            trades = rehearse_days if stream else rehearse_daily
            result = trades(system.setup, bars, progress=progress, **options)
        else:
            result = rehearse_minutes(system.setup, bars, **options)
    except BaseException:
        if kept is not None:
            shutil.rmtree(kept, ignore_errors=True)
        raise
    if any(is_synthetic(one.feed) for one in bars.values()):
        result.notes = (MADE_UP,)
    if kept is not None:
        weakref.finalize(result, shutil.rmtree, kept, ignore_errors=True)
    return result


def _fresh(journal: Path, system: str) -> str:
    """Return a name that no run of the journal has: each rehearsal opens an account of its own."""
    if not journal.exists():
        return system
    with Journal(journal, read_only=True) as book:
        number, name = 1, system
        while not book.runs(run=run_name(Stage.REHEARSE, name)).empty:
            number += 1
            name = f"{system}-{number}"
    return name
