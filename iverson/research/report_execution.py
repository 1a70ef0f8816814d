# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's chapters on execution: denials, exits, costs, ambiguous bars, missed entries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from iverson.monitoring.intervals import wilson
from iverson.research import charts
from iverson.research.charts_style import data_uri
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
from iverson.research.shadow_book import by_rule, total_interval


def denials(facts: Facts) -> Section:
    """Count denials by rule, with what each saved or cost."""
    table = by_rule(facts.denied, seed=facts.result.plan.seed)
    counts: dict[Any, int] = facts.result.denied["rule"].value_counts().to_dict()
    rows = []
    for rule, row in table.iterrows():
        rows.append((
            str(rule),
            f"{counts[rule]:,}",
            f"{row['filled']:,.0f}",
            number(row["mean_r"]),
            number(row["total_r"], 1),
            span(row["low"], row["high"]),
            _judged(row["low"], row["high"]),
        ))  # fmt: skip
    head = ("rule", "denied", "would have filled", "mean R", "total R", "95 % interval of total R",
            "the rule")  # fmt: skip
    faulty = len(facts.result.denied) - len(facts.denied)
    after = [f"{plural(faulty, 'signal')} could not be followed: faulty."] if faulty else []
    return Section(
        "denials",
        "Denials by rule",
        (
            (
                f"{plural(len(facts.result.denied), 'signal')} denied. Each faultless one was "
                "followed on paper to its exit, one share, with the same fills and costs. R is "
                "profit over planned risk: a negative total is what the rule saved, a positive one "
                "what it cost. Signals overlap, so totals are more than an account could have "
                "traded, and the intervals are too narrow."
            ),
        ),
        (
            Picture(data_uri(charts.denials_chart(facts.result.denied)), "Signals denied by rule"),
            *((Table(head, tuple(rows)),) if rows else ()),
        ),
        tuple(after),
    )


def strategies(facts: Facts) -> Section:
    """Tell what each of several strategies asked for and made."""
    table = facts.result.by_strategy
    rows = tuple(
        (
            str(name),
            f"{row['signals']:,.0f}",
            f"{row['denied']:,.0f}",
            f"{row['trades']:,.0f}",
            percent(row["win_rate"], 1),
            number(row["profit_factor"]),
            money(row["average_trade"]),
            number(row["average_r"]),
            number(row["average_sessions"], 1),
            money(row["costs"]),
            money(row["pnl"]),
        )
        for name, row in table.iterrows()
    )
    head = ("strategy", "signals", "denied", "trades", "win rate", "profit factor",
            "average trade", "mean R", "sessions", "costs", "profit")  # fmt: skip
    words = (
        "They share one account, its slots and its symbols: of all signals of a bar the highest "
        "confidence comes first, then the order of the symbols, then that of the strategies. What "
        "one of them takes the others do not get, so none of these is what it would make alone."
    )
    return Section("strategies", "Strategies", (words,), (Table(head, rows),))


def exits(facts: Facts) -> Section:
    """Count exits by leg, with what they made, and show some."""
    result = facts.result
    parts = [Picture(data_uri(charts.exits_chart(result.trades)), "Trades and profit by exit")]
    if len(result.trades):
        shown = "Price of the most traded symbol with entries, exits, stops and targets"
        parts.append(Picture(data_uri(charts.price_chart(result)), shown))
    words = (
        (
            "How many trades left by each leg, and what they made. Below, the busiest months of "
            "the most traded symbol."
        ),
    )
    return Section("exits", "Exits by reason", words, tuple(parts))


def costs(facts: Facts) -> Section:
    """Sum up commission, fees and spread."""
    fills, trades = facts.result.record.fills, facts.result.trades
    fees = sum(fill.commission for fill in fills)
    spread = sum(fill.spread * fill.size for fill in fills)
    before = trades["pnl"] + trades["commission"] + trades["spread"]
    gross = float(before[before > 0].sum())
    count = max(1, len(trades))
    rows = [
        (name, money(paid), percent(paid / gross if gross > 0 else math.nan), money(paid / count))
        for name, paid in (
            ("commission and fees", fees),
            ("spread", spread),
            ("all costs", fees + spread),
        )
    ]
    head = ("cost", "dollars", "of gross profit", "per trade")
    net = float(trades["pnl"].sum())
    return Section(
        "costs",
        "Costs",
        (
            (
                f"Gross profit, the winning trades before costs: {money(gross)}. All trades before "
                f"costs: {money(float(before.sum()))}; after: {money(net)}."
            ),
        ),
        (Table(head, tuple(rows)),),
    )


def readings(facts: Facts) -> Section:
    """Set the readings of ambiguous bars side by side."""
    result = facts.result
    rows = []
    for reading, metrics in result.metrics_by_reading.items():
        closed = result.judged[reading].record.trades
        rows.append((
            f"{reading} (headline)" if reading == "worst" else reading,
            percent(metrics["total_return"].value),
            number(metrics["sharpe"].value),
            percent(metrics["max_drawdown"].value),
            f"{len(closed):,}",
            f"{sum(trade.ambiguous for trade in closed):,}",
        ))  # fmt: skip
    head = ("reading", "total return", "Sharpe ratio", "maximum drawdown", "trades", "ambiguous")
    return Section(
        "readings",
        "Ambiguous trades",
        (
            (
                "A bar does not say in which order its prices came. A trade whose outcome depends "
                "on that order is ambiguous; the headline takes the worst order."
            ),
        ),
        (Table(head, tuple(rows)),),
    )


def fill_rate(facts: Facts) -> Section:
    """Count approved entries that filled, and price those that did not."""
    approved, missed = len(facts.approved), len(facts.missed)
    filled = approved - missed
    rate = filled / approved if approved else math.nan
    low, high = wilson(filled, approved)
    made = facts.missed.loc[facts.missed["filled"], "r_multiple"].to_numpy(dtype=np.float64)
    generator = np.random.default_rng(facts.result.plan.seed)
    reach = span(*total_interval(made, generator))
    ours = facts.result.trades["r_multiple"].to_numpy(dtype=np.float64)
    rows = (
        ("approved entries", f"{approved:,}", "", ""),
        ("filled", f"{filled:,}", number(_mean(ours)), number(float(np.nansum(ours)), 1)),
        ("missed, had they been bought at the next open", f"{missed:,}", number(_mean(made)),
         number(float(made.sum()), 1)),
    )  # fmt: skip
    words = f"{percent(rate, 1)} of the approved entries filled"
    words += f" (95 % interval {percent(low, 1)} to {percent(high, 1)})." if approved else "."
    after = f"95 % interval of the missed entries' total R: {reach}." if reach else ""
    return Section(
        "fill-rate",
        "Fill rate",
        (
            (
                f"{words} An entry is a limit; what runs away from it is missed. R is profit over "
                "planned risk, after costs."
            ),
        ),
        (Table(("entries", "count", "mean R", "total R"), rows),),
        (after,) if after else (),
    )


def _judged(low: float, high: float) -> str:
    if math.isnan(low) or low <= 0 <= high:
        return "undecided"
    return "cost" if low > 0 else "saved"


def _mean(values: Any) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan
