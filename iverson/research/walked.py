# SPDX-License-Identifier: GPL-3.0-or-later
"""One walk-forward, from its plan to its result: searched, judged, counted as trials, noted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path

from iverson.market.bars import Bars
from iverson.market.source import Passport
from iverson.research.backtest import Prepared, Setup
from iverson.research.folds import purge_meaning
from iverson.research.results import gone_notes, universe_notes, warm_up_notes
from iverson.research.search import why_engine
from iverson.research.trials import evaluate, remember, where
from iverson.research.walk_forward import Plan, distinct, walk_forward
from iverson.research.walk_result import WalkForward


def walked(
    setup: Setup,
    bars: Mapping[str, Bars],
    plan: Plan,
    *,
    asked: tuple[date, date],
    gap: int,
    passport: Passport,
    noted: tuple[str, ...],
    store: Path | str | None,
    at: datetime,
    jobs: int | str = 1,
    resume: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WalkForward:
    """Walk a system forward over `bars` and remember every set it tried.

    `asked` is the range, `gap` the purge that the holding period would ask for, `noted` what there
    is to say of the bars, `at` the instant for the trial ledger.
    """
    first, last = asked
    results, judged, begin = walk_forward(
        setup, bars, plan, first=first, last=last, jobs=jobs, resume=resume, progress=progress
    )
    shared = where(setup, data=passport.digest, first=begin, last=last, at=at)
    tried = evaluate(setup, Prepared.of(bars), plan.sets or list(distinct(results)), shared)
    known, problems = remember(tried, store)
    why = why_engine(setup, bars)
    traded = {symbol for one in judged["worst"].by_fold for symbol in one.traded}
    warm_up = max(one.warm_up for one in judged["worst"].by_fold)
    return WalkForward(
        setup=setup,
        plan=plan,
        results=tuple(results),
        judged=judged,
        bars=bars,
        passport=passport,
        known=known,
        notes=(
            *noted,
            *universe_notes(setup, bars),
            *warm_up_notes(bars, tuple(traded), warm_up, first, begin),
            *gone_notes(judged["worst"].record.trades),
            *([f"searched bar by bar, not by the kernel: {why}"] if why else []),
            *([purge_meaning(plan.purge)] if plan.purge < gap else []),
            *problems,
        ),
    )
