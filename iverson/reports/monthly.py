# SPDX-License-Identifier: GPL-3.0-or-later
"""The monthly review: where the money came from, and whether the system still is what was tested.

All of it comes from the journal; regimes need `bars`, drift an `expectation`. Nothing after the
month's last session is read, so an old month's review is the same today.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from numpy.typing import ArrayLike

from iverson.market.bars import Bars
from iverson.monitoring.intervals import checked_resamples, sharpe_interval
from iverson.monitoring.journal import Journal
from iverson.monitoring.measured import metric
from iverson.monitoring.metrics import sharpe
from iverson.reports.capital_step import standing, step_section
from iverson.reports.expectation import Expectation
from iverson.reports.five import five_section, measured, metric_facts, phone_lines
from iverson.reports.journaled import Journaled, read
from iverson.reports.monthly_drift import drift_section
from iverson.reports.monthly_profit import months_section, profit_section, source_sections
from iverson.reports.monthly_regimes import regime_section
from iverson.reports.opening import headline, subtitle
from iverson.reports.page import Page, Section
from iverson.reports.periods import Period, month_named


def monthly(
    journal: Journal,
    *,
    run: str | None = None,
    month: str | date | None = None,
    bars: Mapping[str, Bars] | None = None,
    expectation: Expectation | ArrayLike | None = None,
    seed: int | None = None,
    resamples: int = 1000,
) -> Page:
    """Make the review of one month of a run.

    Parameters
    ----------
    run: its name; default the journal's last.
    month: "2026-11", a date within it, or None for the last month with a session noted.
    bars: what the run saw, by symbol, with the history before it, for the regimes; None: none.
    expectation: what the run was expected to do: `read_expectation` of a walk-forward's journal, or
        its daily returns out of sample; None: no drift can be told.
    seed, resamples: of every interval; the seed defaults to the run's own, else 0.

    Raises
    ------
    ConfigError: no month, or fewer than 100 resamples.
    DataError: no such run, a month in which it did not exist, or returns that are none.
    """
    whole = read(journal, run=run)
    period = month_named(month, whole.sessions)
    told = whole.until(period.last)
    chosen = (whole.run.seed or 0) if seed is None else seed
    chance = {"seed": chosen, "resamples": checked_resamples(resamples)}
    return Page(
        kind="monthly",
        title=f"{told.run.strategy}, {period.first:%B %Y}",
        subtitle=subtitle(told, period),
        headline=headline(told, period),
        sections=(
            profit_section(told, period),
            *source_sections(told, period),
            months_section(told, period),
            _metrics(told, period, **chance),
            drift_section(told, Expectation.of(expectation), **chance),
            regime_section(told, period, bars, **chance),
            step_section(standing(told)),
        ),
        run=told.name,
        first=period.first,
        last=period.last,
        made_up=told.made_up,
    )


def _metrics(told: Journaled, period: Period, *, seed: int, resamples: int) -> Section:
    """Show the metrics to date, and the Sharpe ratio of the month alone."""
    found = five_section(measured(told, seed=seed, resamples=resamples))
    returns = period.of(told.returns).to_numpy(dtype=float)
    own = metric("sharpe", sharpe(returns), sharpe_interval(returns), returns.size)
    (line,) = phone_lines([own])
    words = f"This month alone: {line}"
    return replace(
        found,
        lines=(words,),
        phone=(*(found.phone or ()), words),
        facts={**found.facts, "sharpe_of_month": metric_facts(own)},
    )
