# SPDX-License-Identifier: GPL-3.0-or-later
"""The chapters of a walk-forward's report, each a function from the result to a section."""

from __future__ import annotations

import math
from typing import Any

from iverson.monitoring.summary import Summary
from iverson.research import charts
from iverson.research.charts_style import data_uri
from iverson.research.report_execution import (
    costs,
    denials,
    exits,
    fill_rate,
    readings,
    strategies,
)
from iverson.research.report_facts import Facts
from iverson.research.report_luck import fills, is_it_luck
from iverson.research.report_parts import (
    Picture,
    Section,
    Table,
    basis,
    in_unit,
    label,
    money,
    number,
    percent,
    plural,
    span,
    target,
    without_paths,
)
from iverson.research.report_trust import confidence, market_regimes, warnings
from iverson.research.report_words import invested, membership, settings_table


def sections(facts: Facts) -> list[Section]:
    """Return all chapters after the headline, in order."""
    several = (strategies,) if len(facts.result.by_strategy) > 1 else ()
    makers = (
        warnings, _equity, *several, is_it_luck, _folds, _scatter, _stability, _maps, fills,
        readings, market_regimes, confidence, denials, exits, costs, fill_rate, _comparison,
        _passport, _made,
    )  # fmt: skip
    return [make(facts) for make in makers]


def metrics_table(metrics: Summary) -> Table:
    """List every metric with its interval, observations, target and note."""
    rows = tuple(
        (
            label(metric.name),
            in_unit(metric.value, metric.unit),
            span(metric.low, metric.high, metric.unit),
            basis(metric),
            target(metric),
            metric.note,
        )
        for metric in metrics
    )
    head = ("metric", "value", "95 % interval", "observations", "target", "note")
    return Table(head, rows)


def _equity(facts: Facts) -> Section:
    result = facts.result
    words = f"Equity from {money(result.start)} to {money(float(result.equity.iloc[-1]))}"
    return Section(
        "equity",
        "Equity and drawdown",
        (
            (
                "One account that went through all out-of-sample spans, one after the other, with "
                "the parameters that each fold had chosen before."
            ),
        ),
        (
            Picture(data_uri(charts.equity_chart(result, facts.held)), words),
            Picture(data_uri(charts.monthly_chart(result)), "Returns by month and year"),
        ),
    )


def _folds(facts: Facts) -> Section:
    result = facts.result
    table = result.folds
    rows = []
    for fold, row in table.iterrows():
        chosen = row["in_sample_trades"] > 0 or math.isfinite(row["in_sample_return"])
        rows.append((
            str(fold),
            f"{row['in_sample_first']:%Y-%m-%d} to {row['in_sample_last']:%Y-%m-%d}",
            f"{row['out_of_sample_first']:%Y-%m-%d} to {row['out_of_sample_last']:%Y-%m-%d}",
            *((_value(row[name]) if chosen else "stood aside") for name in result.parameters),
            number(row[result.plan.objective]),
            percent(row["in_sample_return"]),
            f"{row['in_sample_trades']}",
            percent(row["out_of_sample_return"]),
            f"{row['out_of_sample_trades']}",
            number(row["efficiency"]),
        ))  # fmt: skip
    head = (
        "fold", "in-sample", "out-of-sample", *result.parameters,
        f"in-sample {result.plan.objective}",
        "in-sample return", "trades", "out-of-sample return", "trades", "efficiency",
    )  # fmt: skip
    words = "Returns are annualised. Efficiency is out-of-sample over in-sample return (Pardo)."
    return Section("folds", "Folds", (words,), (Table(head, tuple(rows), left=3),))


def _scatter(facts: Facts) -> Section:
    efficiency = number(facts.result.efficiency)
    return Section(
        "efficiency",
        "In sample against out of sample",
        (f"Efficiency over all folds: {efficiency}. A point below the line promised too much.",),
        (
            Picture(
                data_uri(charts.efficiency_scatter(facts.result)),
                "Annualised returns of the chosen sets, in sample against out of sample",
                narrow=True,
            ),
        ),
    )


def _stability(facts: Facts) -> Section:
    result = facts.result
    rows = tuple(
        (
            str(name),
            _value(row["most_chosen"]),
            percent(row["share"], 0),
            percent(row["changes"], 0),
        )
        for name, row in result.stability.iterrows()
    )
    head = ("parameter", "most chosen", "in share of folds", "changed between folds")
    return Section(
        "stability",
        "Stability of the parameters",
        (
            (
                f"Rank stability {number(result.rank_stability)}: the mean correlation of the "
                "sets' ranks from one fold to the next; near 1, what was good stayed good; near 0, "
                "the search ranked noise. Rolling in-sample windows overlap, which lifts it."
            ),
            (
                f"Trials: {plural(result.trials_a_fold, 'parameter set')} in each of "
                f"{plural(len(result.results), 'fold')}, {result.trials:,} different ones. "
                "They were compared in sample only; "
                "looking at these out-of-sample years again with other ideas is a further trial."
            ),
        ),
        (Table(head, rows),) if rows else (),
    )


def _maps(facts: Facts) -> Section:
    words = charts.heat_map_words(facts.result)
    picture = Picture(data_uri(charts.heat_maps(facts.result)), words)
    return Section("maps", "Parameter maps", (words,), (picture,))


def _comparison(facts: Facts) -> Section:
    names = ("total_return", "cagr", "volatility", "sharpe", "max_drawdown", "calmar",
             "worst_session")  # fmt: skip
    ours, theirs = facts.result.metrics, facts.held_metrics
    rows = tuple(
        (
            label(name),
            in_unit(ours[name].value, ours[name].unit),
            span(ours[name].low, ours[name].high, ours[name].unit),
            in_unit(theirs[name].value, theirs[name].unit),
            span(theirs[name].low, theirs[name].high, theirs[name].unit),
        )
        for name in names
    )
    own = facts.result.equity.pct_change()
    shares = own.corr(facts.held.pct_change()) if own.std() > 0 else float("nan")
    return Section(
        "buy-and-hold",
        "Buy and hold",
        (
            (
                "The same cash in equal parts in the same symbols, each bought at its first open "
                "in the span (fractional shares, half the spread and fees paid, dividends kept as "
                "cash), never rebalanced, never sold."
            ),
            (
                f"The system had {percent(invested(facts.result), 1)} of its equity invested at "
                "the close, on average; the correlation of daily returns is "
                f"{number(float(shares))}."
            ),
        ),
        (Table(("metric", "system", "95 % interval", "buy and hold", "95 % interval"), rows),),
    )


def _passport(facts: Facts) -> Section:
    rows = tuple((name, without_paths(text)) for name, text in facts.result.passport.rows())
    table = Table(("bars", ""), rows, left=2, wrap=True)
    return Section("passport", "Data passport", (membership(facts.result),), (table,))


def _made(facts: Facts) -> Section:
    words = "These settings and the bars of the passport give these numbers, to the last digit."
    return Section(
        "settings", "How the numbers were made", (words,), (settings_table(facts.result),)
    )


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
