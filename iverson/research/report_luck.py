# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's chapters on luck, and on how much hangs on the way orders are filled."""

from __future__ import annotations

from iverson.research.charts_luck import luck_chart
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
)


def is_it_luck(facts: Facts) -> Section:
    """Put the result before every instrument, and say how many find more than luck."""
    found = facts.result.luck
    table = found.table
    rows = tuple(
        (str(name), row["asks"], row["value"], row["says"]) for name, row in table.iterrows()
    )
    words = [
        (
            f"{plural(found.searched, 'parameter set')} in this search, {found.ideas} ever that "
            "the trial ledger knows of for this strategy. "
            f"{found.passed} of {len(table)} instruments find more than luck."
        )
    ]
    if found.counted is not None:
        words.append(f"By correlation: {found.counted}.")
    if not found.sound:
        words.append("Rows of the trial ledger are missing: the true number of trials is higher.")
    after = [
        (
            "The trials are every parameter set over all sessions of the walk-forward in one piece,"
            " as somebody searches who does not walk forward; earlier trials over the same bars and"
            " sessions count too. Looking at this page and changing the strategy is another trial."
        )
    ]
    if found.order is not None:
        after.append(f"Order of the trades: {found.order}.")
    if found.costs is not None:
        after.append(f"Costs: {found.costs}.")
    if found.best is not None:
        after.append(f"Best of the search: {found.best}.")
    head = ("instrument", "asks", "answer", "says")
    picture = Picture(
        data_uri(luck_chart(facts.result)),
        "All trials, best half against other half, random entries, other orders of the trades",
    )
    parts = (picture, Table(head, rows, left=4, wrap=True))
    return Section("luck", "Is it luck?", tuple(words), parts, tuple(after))


def fills(facts: Facts) -> Section:
    """Judge the same decisions under kinder and harsher fills."""
    rows = tuple(
        (
            str(name),
            percent(row["total_return"]),
            number(row["sharpe"]),
            percent(row["max_drawdown"]),
            f"{row['trades']:,.0f}",
            money(row["pnl"]),
        )
        for name, row in facts.sensitivity.iterrows()
    )
    head = ("filled otherwise", "total return", "Sharpe ratio", "maximum drawdown", "trades", "P&L")
    words = (
        "The parameters that each fold had chosen, judged again under other fills, costs and "
        "timing. A result that lives on touches, on low costs, on being a bar early or on a few "
        "trades is none."
    )
    return Section("fills", "Filled otherwise", (words,), (Table(head, rows),))
