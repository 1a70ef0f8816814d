# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a month: the run within what was expected, the months, the regimes of the market."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from iverson.reports.charts_phone import figure_of, for_phone, nothing, quiet
from iverson.reports.expectation import Band
from iverson.reports.periods import Period
from iverson.research.charts_style import (
    BLUE,
    DOLLARS,
    GREY,
    INK,
    ORANGE,
    PERCENTS,
    RED,
    date_axis,
    days,
    dollars,
    percents,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@for_phone
def fan_chart(found: Band, sessions: pd.Index) -> Figure:
    """Draw the run's return so far in the fan of what was expected: middle 50 and 95 %, median."""
    figure = figure_of(3.8)
    axes = figure.add_subplot()
    dates = days(sessions)
    places = np.concatenate(([dates[0] - 1.0], dates))
    low, lower, median, upper, high = found.fan.T
    axes.fill_between(places, low, high, color=GREY, alpha=0.18, linewidth=0, label="95 % of runs")
    axes.fill_between(places, lower, upper, color=GREY, alpha=0.3, linewidth=0, label="50 %")
    axes.plot(places, median, color=GREY, linestyle="--", linewidth=1.2, label="median")
    colour = BLUE if found.inside else ORANGE
    axes.plot(places, found.live, color=colour, linewidth=2, label="this run")
    axes.plot(places[-1], found.live[-1], "o", color=colour, markersize=6)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_title("This run within what was expected")
    axes.yaxis.set_major_formatter(PERCENTS)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.legend(loc="upper left", ncols=2)
    axes.margins(x=0.02)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.22 * (top - bottom))  # room for the legend
    date_axis(axes)
    return figure


@for_phone
def months_chart(table: pd.DataFrame, period: Period) -> Figure:
    """Draw the return of each month of `months_frame`; the reviewed one is dark."""
    figure = figure_of(3.0)
    axes = figure.add_subplot()
    returns = table["return"].to_numpy(dtype=float)
    names = [str(name) for name in table.index]
    bars = axes.bar(
        range(len(returns)), returns,
        color=[BLUE if made >= 0 else RED for made in returns], width=0.7,
    )  # fmt: skip
    for bar, name in zip(bars, names, strict=True):
        bar.set_alpha(1.0 if name == period.name else 0.45)
    if period.name in names:
        place = names.index(period.name)
        axes.annotate(
            percents(round(returns[place], 3)), (place, returns[place]), ha="center",
            xytext=(0, 4 if returns[place] >= 0 else -12), textcoords="offset points", fontsize=9,
        )  # fmt: skip
    axes.axhline(0, color=INK, linewidth=0.8)
    every = max(1, int(np.ceil(len(names) / 6)))
    shown = list(range(len(names)))[::-every][::-1]
    axes.set_xticks(shown, [f"{pd.Period(names[place]):%b %y}" for place in shown])
    axes.set_title("Return by month")
    axes.yaxis.set_major_formatter(PERCENTS)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(visible=False, axis="x")
    axes.margins(y=0.18)
    return figure


@for_phone
def regimes_chart(states: Sequence[tuple[str, int, float]]) -> Figure:
    """Draw what the run made in each regime: its name, its sessions, dollars."""
    if not states:
        return nothing("there were no sessions")
    figure = figure_of(1.0 + 0.46 * len(states))
    axes = figure.add_subplot()
    made = [pnl for _, _, pnl in states]
    names = [f"{name}\n{count:,} sessions" for name, count, _ in states]
    bars = axes.barh(names, made, color=[BLUE if pnl >= 0 else RED for pnl in made], height=0.55)
    axes.bar_label(bars, [dollars(round(pnl)) for pnl in made], padding=4, fontsize=9)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.invert_yaxis()
    axes.set_title("Profit by regime, to date")
    axes.xaxis.set_major_formatter(DOLLARS)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.margins(x=0.25)
    quiet(axes)
    return figure
