# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of where a result comes from: by regime of the market, and by step of confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from iverson.monitoring.measured import MINIMUM_SESSIONS
from iverson.research.charts_style import (
    BLUE,
    DOLLARS,
    GREY,
    INK,
    ORANGE,
    PERCENTS,
    RED,
    empty_figure,
    make_figure,
    marking,
    styled,
)
from iverson.research.report_parts import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from iverson.research.calibration import Calibration


@marking
def regimes_chart(table: pd.DataFrame) -> Figure:
    """Draw the return a year and the Sharpe ratio of each regime with their 95 % intervals.

    `table` is `by_regime`'s. A state with fewer than 60 sessions has no bar, and says so.
    """
    with styled():
        if table.empty:
            return empty_figure("there were no sessions")
        names, places = _names(table)
        figure = make_figure(1.2 + 0.44 * (max(places) + 1))
        left, right = figure.subplots(1, 2, sharey=True)
        _bars(left, table, places, "return_a_year")
        left.xaxis.set_major_formatter(PERCENTS)
        left.set_xlabel("return a year, with its 95 % interval")
        _bars(right, table, places, "sharpe")
        right.set_xlabel("Sharpe ratio, with its 95 % interval")
        left.set_yticks(places, names)
        left.invert_yaxis()
    return figure


@marking
def calibration_chart(result: Calibration) -> Figure:
    """Draw hit rate, expectancy in R and in dollars by confidence, with their 95 % intervals.

    The dashed lines are the averages over all trades: what every step would show if confidence
    meant nothing. Steps with fewer than 30 trades are orange.
    """
    with styled():
        steps = result.steps
        if steps.empty:
            return empty_figure("there were no trades with a confidence")
        figure = make_figure(3.4)
        weights = steps["trades"] / steps["trades"].sum()
        for axes, name, words in zip(
            figure.subplots(1, 3),
            ("hit_rate", "mean_r", "mean_pnl"),
            ("hit rate", "mean R", "mean dollars a trade"),
            strict=True,
        ):
            axes.axhline(
                float((steps[name] * weights).sum()), color=GREY, linestyle="--", linewidth=1.0
            )
            _points(axes, steps, name)
            axes.set_title(words, fontsize=10)
            axes.set_xlabel("confidence")
            ticks = [f"{step}\n{plural(int(n), 'trade')}" for step, n in steps["trades"].items()]
            axes.set_xticks(list(steps.index), ticks)
            axes.margins(x=0.15)
        first, second, third = figure.axes
        first.yaxis.set_major_formatter(PERCENTS)
        third.yaxis.set_major_formatter(DOLLARS)
        for axes in (second, third):
            axes.axhline(0, color=INK, linewidth=0.8)
    return figure


def _names(table: pd.DataFrame) -> tuple[list[str], list[float]]:
    """Return the label of each row and its place, with a gap between the kinds of regime."""
    names: list[str] = []
    places: list[float] = []
    kinds = [str(kind) for kind in table.index.get_level_values("kind")]
    states = table.index.get_level_values("state")
    for number, (kind, state) in enumerate(zip(kinds, states, strict=True)):
        step = 1.0 if number == 0 or kinds[number - 1] == kind else 1.5
        places.append(places[-1] + step if places else 0.0)
        names.append(f"{kind}: {state}, {plural(int(table['sessions'].iloc[number]), 'session')}")
    return names, places


def _bars(axes: Axes, table: pd.DataFrame, places: list[float], name: str) -> None:
    values = table[name].to_numpy(dtype=np.float64)
    colours = [BLUE if value >= 0 else RED for value in values]
    axes.barh(places, np.nan_to_num(values), color=colours, height=0.62, alpha=0.85)
    _errors(axes, table, name, places, across=True)
    for place, value in zip(places, values, strict=True):
        if np.isnan(value):
            words = f"insufficient data (fewer than {MINIMUM_SESSIONS} sessions)"
            axes.annotate(
                words, (0, place), xytext=(4, 0), textcoords="offset points", va="center",
                color=GREY, fontsize=8,
            )  # fmt: skip
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _points(axes: Axes, steps: pd.DataFrame, name: str) -> None:
    colours = [BLUE if enough else ORANGE for enough in steps["enough"]]
    axes.scatter(steps.index, steps[name], s=46, color=colours, zorder=3, label=name)
    _errors(axes, steps, name, list(steps.index), across=False)


def _errors(axes: Axes, table: pd.DataFrame, name: str, places: list[Any], *, across: bool) -> None:
    """Draw the limits from `_low` to `_high`, where there are any."""
    low, high = (table[f"{name}_{end}"].to_numpy(dtype=np.float64) for end in ("low", "high"))
    known = ~np.isnan(low)
    at = np.array(places, dtype=np.float64)[known]
    draw = axes.hlines if across else axes.vlines
    draw(at, low[known], high[known], color=INK, linewidth=1.4, label=f"{name} limits")
