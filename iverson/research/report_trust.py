# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's chapters on whether to believe it: the lint, the regimes, the confidence."""

from __future__ import annotations

from typing import Any

import pandas as pd

from iverson.monitoring.metrics import MINIMUM_TRADES
from iverson.research.calibration import calibration
from iverson.research.charts_regimes import calibration_chart, regimes_chart
from iverson.research.charts_style import data_uri
from iverson.research.lint import lint
from iverson.research.regimes import HISTORY_SESSIONS, TREND_SESSIONS, VOLATILITY_SESSIONS, regimes
from iverson.research.regimes_table import by_regime
from iverson.research.report_facts import Facts
from iverson.research.report_parts import (
    Picture,
    Section,
    Table,
    money,
    number,
    percent,
    plural,
    span,
)

INSUFFICIENT = "insufficient data"


def warnings(facts: Facts) -> Section:
    """List the lint's findings with the numbers that triggered them."""
    found = lint(facts.result)
    rows = tuple(
        (one.kind, one.sentence, _in(one.number, one.unit), _in(one.threshold, one.unit))
        for one in found
    )
    said = (
        f"{plural(len(found), 'finding')}. Each rule looks at one way in which results fool people;"
        " none is a proof, and silence is none either."
    )
    table = Table(("finding", "in words", "number", "threshold"), rows, left=2, wrap=True)
    return Section("warnings", "Warnings", (said,), (table,) if rows else ())


def market_regimes(facts: Facts) -> Section:
    """Split the result by what was known of the market the evening before."""
    result = facts.result
    table = by_regime(result, regimes(result.bars), seed=result.plan.seed)
    names = [f"{kind}: {state}" for kind, state in table.index.to_list()]
    held, made = [], []
    for name, (_, row) in zip(names, table.iterrows(), strict=True):
        held.append((
            name,
            f"{row['sessions']:,.0f}",
            *_limited(row, "return_a_year", "fraction"),
            *_limited(row, "volatility", "fraction"),
            *_limited(row, "sharpe", "ratio"),
        ))  # fmt: skip
        made.append((
            name,
            f"{row['trades']:,.0f}",
            *_limited(row, "win_rate", "fraction"),
            *_limited(row, "pnl", "dollars"),
        ))  # fmt: skip
    sessions = ("regime", "sessions", "return a year", "95 %", "volatility", "95 %", "Sharpe",
                "95 %")  # fmt: skip
    entered = ("entered in", "trades", "win rate", "95 %", "P&L", "95 %")
    words = (
        "The market is all symbols in equal parts. The label of a session was known the evening "
        f"before it: volatility is the deviation of the last {VOLATILITY_SESSIONS} returns, placed "
        "in the lowest, middle or highest third of all such values so far (at least "
        f"{HISTORY_SESSIONS}); the trend is rising when the last close stood above the mean of the "
        f"last {TREND_SESSIONS}. Sessions by their own label, trades by that of their entry. "
        "“n/a”: fewer than 60 sessions or 30 trades."
    )
    picture = Picture(data_uri(regimes_chart(table)), "Return and Sharpe ratio by regime")
    tables = Table(sessions, tuple(held)), Table(entered, tuple(made))
    return Section("regimes", "Regimes of the market", (words,), (picture, *tables))


def confidence(facts: Facts) -> Section:
    """Set results by confidence beside what flat sizing would have made."""
    result = facts.result
    found = calibration(result.trades, seed=result.plan.seed)
    rows = tuple(
        (
            str(step),
            f"{row['trades']:,.0f}",
            *_limited(row, "hit_rate", "fraction"),
            *_limited(row, "mean_r", "ratio"),
            *_limited(row, "mean_pnl", "dollars"),
            money(row["mean_risk"]),
            "" if row["enough"] else INSUFFICIENT,
        )
        for step, row in found.steps.iterrows()
    )
    head = ("confidence", "trades", "hit rate", "95 %", "mean R", "95 %", "mean P&L", "95 %",
            "mean risk", "note")  # fmt: skip
    shown = "Hit rate and expectancy by confidence, with intervals; dashed: all trades"
    parts = (Picture(data_uri(calibration_chart(found)), shown), Table(head, rows)) if rows else ()
    flat = (
        "R is profit over planned risk. Flat sizing is an approximation: the sum of R times the "
        "mean planned risk, whatever the slots, the caps and whole shares. Trades count as "
        "independent; overlapping ones make intervals and p-values too small. Orange: fewer than "
        f"{MINIMUM_TRADES} trades."
    )
    left_out = f"{plural(found.left_out, 'trade')} without a confidence or a planned risk left out."
    after = (flat, left_out) if found.left_out else (flat,)
    return Section("confidence", "What confidence is worth", tuple(found.sentences()), parts, after)


def _in(value: float, unit: str) -> str:
    if unit == "count":
        return f"{value:,.0f}"
    return percent(value, 0) if unit == "fraction" else number(value)


def _limited(row: pd.Series[Any], name: str, unit: str) -> tuple[str, str]:
    """Write a value and, in a cell of its own, its limits."""
    write = {"fraction": percent, "dollars": money, "ratio": number}[unit]
    low, high = float(row[f"{name}_low"]), float(row[f"{name}_high"])
    return write(float(row[name])), span(low, high, unit)
