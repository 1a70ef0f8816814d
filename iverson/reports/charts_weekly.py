# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a week: the equity with the week marked, strategies, what the rules saved or cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from iverson.monitoring.metrics import MINIMUM_TRADES
from iverson.reports.charts_phone import figure_of, for_phone, nothing, quiet, short
from iverson.reports.journaled import Journaled
from iverson.reports.periods import Period
from iverson.reports.strategies import Group
from iverson.research.charts_style import (
    BLUE,
    DOLLARS,
    GREY,
    INK,
    RED,
    SKY,
    date_axis,
    days,
    dollars,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 252  # sessions before the week's end that the equity shows


@for_phone
def week_chart(told: Journaled, period: Period) -> Figure:
    """Draw the equity of up to a year with the week marked, and the week's P&L by session."""
    equity, pnl = told.equity.iloc[-SHOWN:], period.of(told.pnl)
    if pnl.empty:
        return nothing("no session of this week was noted")
    figure = figure_of(4.6)
    upper, lower = figure.subplots(2, 1, height_ratios=[1.5, 1.0])
    places = days(equity.index)
    upper.plot(places, equity, color=BLUE)
    within = days(pnl.index)
    least = (places[-1] - places[0]) / 80  # or a week in a year would be a hair
    upper.axvspan(min(within[0] - 0.5, within[-1] - least), within[-1] + 0.5, color=SKY, alpha=0.4)
    upper.plot(places[-1], equity.iloc[-1], "o", color=BLUE, markersize=5)
    upper.set_title(f"Equity; shaded: {period.name}")
    upper.yaxis.set_major_formatter(DOLLARS)
    upper.yaxis.set_major_locator(MaxNLocator(5))
    upper.margins(x=0.02)
    date_axis(upper)
    colours = [BLUE if made >= 0 else RED for made in pnl]
    bars = lower.bar(range(len(pnl)), pnl, color=colours, width=0.62)
    lower.bar_label(bars, [dollars(round(made)) for made in pnl], padding=3, fontsize=9)
    lower.axhline(0, color=INK, linewidth=0.8)
    lower.set_xticks(range(len(pnl)), [f"{day:%a %d}" for day in pnl.index])
    lower.set_title("P&L by session")
    lower.yaxis.set_major_formatter(DOLLARS)
    lower.yaxis.set_major_locator(MaxNLocator(4))
    lower.grid(visible=False, axis="x")
    lower.margins(y=0.25)
    return figure


@for_phone
def strategies_chart(week: Sequence[Group], to_date: Sequence[Group]) -> Figure:
    """Draw what each strategy made this week and to date, with its trades."""
    if not to_date:
        return nothing("no trade has been closed yet")
    figure = figure_of(1.1 + 0.5 * len(to_date))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, groups, words in ((left, week, "this week"), (right, to_date, "to date")):
        _dollars_by_name(axes, groups)
        axes.set_title(f"P&L {words}")
    return figure


@for_phone
def rules_chart(rules: pd.DataFrame) -> Figure:
    """Draw the total R of the signals that each rule denied, with its 95 % interval.

    `rules` is `Denied.rules()`. Left of zero the rule saved, right of it it cost; grey ones are
    undecided, or rest on fewer than 30 signals.
    """
    if rules.empty:
        return nothing("no denied signal could be followed")
    figure = figure_of(1.3 + 0.46 * len(rules))
    axes = figure.add_subplot()
    places = np.arange(len(rules))
    low, high = rules["low"].to_numpy(float), rules["high"].to_numpy(float)
    enough = rules["filled"].to_numpy() >= MINIMUM_TRADES
    colours = np.select([enough & (high < 0), enough & (low > 0)], [BLUE, RED], GREY).tolist()
    known = np.isfinite(low)
    axes.hlines(
        places[known], low[known], high[known], color=list(np.array(colours)[known]), linewidth=3
    )
    axes.scatter(rules["total_r"], places, s=60, color=colours, zorder=3)
    axes.axvline(0, color=INK, linewidth=0.8)
    names = [f"{short(str(rule))}\n{int(n):,} denied" for rule, n in rules["denied"].items()]
    axes.set_yticks(places, names)
    axes.set_ylim(len(rules) - 0.5, -0.5)
    axes.set_title("What the rules saved or cost, to date")
    axes.set_xlabel(
        "total R of what was denied:  ← saved    cost →\nline: 95 %; grey: undecided or too few"
    )
    quiet(axes)
    return figure


def _dollars_by_name(axes: Axes, groups: Sequence[Group]) -> None:
    made = [one.pnl for one in groups]
    bars = axes.barh(
        [short(one.name) for one in groups],
        made,
        color=[BLUE if pnl >= 0 else RED for pnl in made],
        height=0.5,
    )
    axes.bar_label(bars, [dollars(round(pnl)) for pnl in made], padding=4, fontsize=9)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.xaxis.set_major_formatter(DOLLARS)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.set_ylim(len(groups) - 0.4, -0.6)
    if any(made):
        axes.margins(x=0.4)
    else:
        axes.set_xlim(-1.0, 1.0)
        axes.set_xticks([0.0])
    quiet(axes)
