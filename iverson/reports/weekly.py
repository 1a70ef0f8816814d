# SPDX-License-Identifier: GPL-3.0-or-later
"""The weekly digest: what the week brought, what was at risk, whether the system keeps its word.

All of it comes from the journal; what needs prices that the journal does not have (the gap over
night, the fate of denied signals) needs `bars`. Nothing after the week's last session is read, so
an old week's digest is the same today; only the trial ledger is read as it is now.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from iverson.market.bars import Bars
from iverson.monitoring.intervals import checked_resamples
from iverson.monitoring.journal import Journal
from iverson.reports.five import five_section, measured
from iverson.reports.journaled import read
from iverson.reports.opening import headline, subtitle
from iverson.reports.page import Page
from iverson.reports.periods import week_named
from iverson.reports.suggestions import suggest
from iverson.reports.weekly_account import account_section, risk_section, strategy_section
from iverson.reports.weekly_signals import confidence_section, rules_section, suggestion_section


def weekly(
    journal: Journal,
    *,
    run: str | None = None,
    week: str | date | None = None,
    bars: Mapping[str, Bars] | None = None,
    ledger: Path | str | None = None,
    seed: int | None = None,
    resamples: int = 1000,
) -> Page:
    """Make the digest of one week of a run.

    Parameters
    ----------
    run: its name; default the journal's last.
    week: "2026-W48" (ISO 8601), a date within it, or None for the last week with a session noted.
    bars: what the run saw, by symbol, with the history before it; None or without a symbol: what
        needs them says "no bars".
    ledger: the trial ledger (`trials.db` beside the bars), for suggestions.
    seed, resamples: of every interval; the seed defaults to the run's own, else 0.

    Raises
    ------
    ConfigError: no week, or fewer than 100 resamples.
    DataError: no such run, or a week in which it did not exist.
    """
    whole = read(journal, run=run)
    period = week_named(week, whole.sessions)
    told = whole.until(period.last)
    chosen = (whole.run.seed or 0) if seed is None else seed
    times = checked_resamples(resamples)
    return Page(
        kind="weekly",
        title=f"{told.run.strategy}, week {period.name}",
        subtitle=subtitle(told, period),
        headline=headline(told, period),
        sections=(
            account_section(told, period),
            strategy_section(told, period),
            risk_section(told, period, bars),
            five_section(measured(told, seed=chosen, resamples=times)),
            rules_section(told, period, bars, seed=chosen, resamples=times),
            confidence_section(told, seed=chosen, resamples=times),
            suggestion_section(suggest(told, ledger, seed=chosen, resamples=times)),
        ),
        run=told.name,
        first=period.first,
        last=period.last,
        made_up=told.made_up,
    )
