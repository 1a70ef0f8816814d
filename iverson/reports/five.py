# SPDX-License-Identifier: GPL-3.0-or-later
"""The five metrics that a system is held to, each with its interval, its basis and its target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iverson.model import Trade
from iverson.monitoring.measured import DRAWDOWN_CAP, Metric
from iverson.monitoring.summary import Summary, summary
from iverson.reports.journaled import Journaled
from iverson.reports.page import Section, Table
from iverson.research.report_parts import basis, in_unit, label, percent, span, target

FIVE = ("win_rate", "profit_factor", "sharpe", "max_drawdown", "cagr")


def measured(told: Journaled, *, seed: int = 0, resamples: int = 1000) -> Summary:
    """Measure a run so far: daily returns marked to market, deposits taken out; closed trades.

    Formulas, sources and intervals are `monitoring.summary`'s; `seed` is of their resampling.
    """
    trades = told.of(Trade)
    return summary(
        told.growth * told.run.cash,
        [trade.pnl for trade in trades],
        holding=[float(trade.sessions) for trade in trades],
        starting_equity=told.run.cash,
        seed=seed,
        resamples=resamples,
    )


def five_section(found: Summary) -> Section:
    """Show the five metrics to date against their targets."""
    five = [found[name] for name in FIVE]
    rows = tuple(
        (
            label(one.name),
            in_unit(one.value, one.unit),
            span(one.low, one.high, one.unit),
            basis(one),
            _target(one),
            says(one),
        )
        for one in five
    )
    return Section(
        title="Metrics to date",
        table=Table(("Metric", "Value", "95 % interval", "Over", "Target", "Says"), rows, words=1),
        facts={one.name: metric_facts(one) for one in five},
        note="Since the run began, after costs. Sharpe: daily returns marked to market, 252 a year,"
        " no interest. Insufficient data: fewer than 30 trades or 60 sessions. The interval of the "
        "drawdown is what the same returns in another order would have shown.",
        phone=phone_lines(five),
    )


def phone_lines(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Write a line for each metric, short enough for a telephone."""
    return tuple(
        f"{label(one.name)}: {in_unit(one.value, one.unit)}"
        + (f" ({reach})" if (reach := span(one.low, one.high, one.unit)) else "")
        + f", {basis(one)}"
        + (f": {words}" if (words := says(one)) else "")
        for one in metrics
    )


def metric_facts(one: Metric) -> dict[str, Any]:
    """Return a metric as plain values; the unit beside it."""
    return {
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "observations": one.observations,
        "enough": one.enough,
        "target": one.target,
        "met": one.met if one.enough else None,
        "unit": one.unit,
    }


def says(one: Metric) -> str:
    """Say what a metric is worth: insufficient data comes before any judgement."""
    if not one.enough:
        return "insufficient data"
    return one.note or ("meets the target" if one.met else "")


def _target(one: Metric) -> str:
    if one.name == "max_drawdown":
        return f"within {percent(-one.target, 0)} to {percent(-DRAWDOWN_CAP, 0)}"  # type: ignore[operator]  # it has one
    return target(one)
