# SPDX-License-Identifier: GPL-3.0-or-later
"""Result tables for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from iverson.monitoring.tables import dollars
from iverson.research.lint import lint
from iverson.research.results import HEADLINE, by_rule, titled

if TYPE_CHECKING:
    from iverson.monitoring.measured import Metric
    from iverson.monitoring.summary import Summary
    from iverson.research.luck import Luck
    from iverson.research.walk_result import WalkForward


LOOK: Any = dict(title_justify="left", box=SIMPLE, collapse_padding=True, pad_edge=False)


def walk_forward_tables(result: WalkForward) -> None:
    """Print the folds, the chosen parameters and the headline numbers of a walk-forward."""
    console = Console(highlight=False, markup=False)
    console.print(fold_table(result))
    console.print(chosen_table(result))
    strategy, symbols = titled(result), ", ".join(result.bars)
    console.print(metric_table(result.metrics, title=f"Out-of-sample, {strategy} on {symbols}"))
    console.print(luck_table(result.luck))
    ambiguous = int(result.trades["ambiguous"].sum())
    kinds = ", ".join(dict.fromkeys(finding.kind for finding in lint(result)))
    for line in (
        f"equity {dollars(result.start)} -> {dollars(result.equity.iloc[-1])}",
        f"{len(result.trades)} trades, {ambiguous} of them ambiguous (worst reading shown)",
        f"{len(result.denied)} signals denied{by_rule(result.denied['rule'])}",
        (
            f"{result.trials_a_fold} parameter sets a fold; "
            f"efficiency {number(result.efficiency)}, "
            f"rank stability {number(result.rank_stability)}"
        ),
        *([f"warnings, explained in the report: {kinds}"] if kinds else []),
        *(f"note: {note}" for note in result.notes),
    ):
        console.print(line)


def luck_table(found: Luck) -> Table:
    """Return one line per instrument: its answer, and whether that is more than luck."""
    title = f"Is it luck? {found.searched} parameter sets in this search, {found.ideas} ever tried"
    table = Table(title=title, **LOOK)
    for heading in ("instrument", "answer", "says"):
        table.add_column(heading)
    for name, row in found.table.iterrows():
        table.add_row(str(name), row["value"], row["says"])
    return table


def fold_table(result: WalkForward) -> Table:
    """Return one line per fold: spans, in- and out-of-sample returns, trades, efficiency."""
    table = Table(title="Folds (returns a year)", **LOOK)
    for heading in ("fold", "in-sample", "out-of-sample"):
        table.add_column(heading)
    for heading in ("in", "out", "trades", "efficiency"):
        table.add_column(heading, justify="right")
    for one in result.results:
        spans = (one.fold.in_sample, one.fold.out_of_sample)
        table.add_row(
            str(one.fold.number),
            *(f"{span.first:%Y-%m}..{span.last:%Y-%m}" for span in spans),
            f"{one.chosen.cagr:.1%}" if one.chosen else "-",
            f"{one.out_of_sample_return:.1%}",
            str(one.trades),
            number(one.efficiency),
        )
    return table


def chosen_table(result: WalkForward) -> Table:
    """Return one line per fold: the parameters chosen in sample."""
    table = Table(title="Chosen in sample", **LOOK)
    table.add_column("fold")
    for name in result.parameters:
        table.add_column(Text(name), justify="right")
    table.add_column("")
    for one in result.results:
        chosen = one.chosen.params if one.chosen else {}
        words = "" if one.chosen else "stood aside: too few trades in sample"
        values = (Text(str(chosen.get(name, "-"))) for name in result.parameters)
        table.add_row(str(one.fold.number), *values, words)
    return table


def metric_table(metrics: Summary, *, title: str) -> Table:
    """Return the headline metrics with their intervals."""
    table = Table(title=Text(title), **LOOK)
    table.add_column("metric")
    for heading in ("value", "95 % interval", "n"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for name in HEADLINE:
        metric = metrics[name]
        low, high = shown(metric, metric.low), shown(metric, metric.high)
        span = "" if math.isnan(metric.low) else f"{low} to {high}"
        table.add_row(
            name.replace("_", " "),
            shown(metric, metric.value),
            span,
            str(metric.observations),
            metric.note,
        )
    return table


def shown(metric: Metric, value: float) -> str:
    """Return a value in its metric's unit: fractions as percent, dollars with two decimals."""
    if math.isnan(value):
        return "-"
    if metric.unit == "fraction":
        return f"{value:.1%}"
    return dollars(value) if metric.unit == "dollars" else f"{value:.2f}"


def number(value: float) -> str:
    """Return two decimals, or a dash for what is not defined."""
    return "-" if math.isnan(value) else f"{value:.2f}"
