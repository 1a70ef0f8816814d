# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of luck: what useless trials, random entries and other orders would have shown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from iverson.monitoring.metrics import SESSIONS_PER_YEAR
from iverson.research.charts_style import (
    BLUE,
    DOLLARS,
    GREY,
    INK,
    ORANGE,
    PERCENTS,
    RED,
    make_figure,
    marking,
    styled,
)
from iverson.research.ledger import matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from iverson.monitoring.intervals import Floats
    from iverson.research.luck import Luck
    from iverson.research.walk_result import WalkForward

BINS = 30


@marking
def luck_chart(result: WalkForward) -> Figure:
    """Draw four questions: every trial, the halves, random entries, other orders of the trades."""
    found = result.luck
    with styled():
        figure = make_figure(6.4)
        (trials, halves), (entries, orders) = figure.subplots(2, 2)
        _trials(trials, matrix(result.tried), found)
        _halves(halves, found)
        _entries(entries, found)
        _orders(orders, found)
    return figure


def _trials(axes: Axes, returns: Floats, found: Luck) -> None:
    axes.set_title("Every parameter set ever tried")
    if found.best is None or not returns.size:
        _nothing(axes)
        return
    deviation = returns.std(axis=0, ddof=1)
    moved = deviation > 0
    sharpes = returns.mean(axis=0)[moved] / deviation[moved] * math.sqrt(SESSIONS_PER_YEAR)
    _histogram(axes, sharpes)
    _mark(axes, found.best.sharpe, "the best", RED)
    _mark(axes, found.best.expected_maximum, "luckiest of useless ones", ORANGE, below=True)
    axes.set_xlabel("Sharpe ratio over all sessions")
    axes.set_ylabel("parameter sets")


def _halves(axes: Axes, found: Luck) -> None:
    axes.set_title("Best in one half, in the other half")
    if found.overfitting is None:
        _nothing(axes)
        return
    one, other = found.overfitting.in_sample, found.overfitting.out_of_sample
    every = max(1, one.size // 2000)
    axes.scatter(one[::every], other[::every], s=4, color=BLUE, alpha=0.25, linewidths=0)
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.set_xlabel("Sharpe ratio in the half it was chosen in")
    axes.set_ylabel("in the other half")


def _entries(axes: Axes, found: Luck) -> None:
    axes.set_title("Random entries, the same exits")
    if found.random is None:
        _nothing(axes)
        return
    axes.xaxis.set_major_formatter(DOLLARS)
    axes.set_xlabel("profit or loss of all trades")
    _draws(axes, found.random.null, found.random.actual, "these entries")


def _orders(axes: Axes, found: Luck) -> None:
    axes.set_title("The same trades in other orders")
    if found.order is None:
        _nothing(axes)
        return
    axes.xaxis.set_major_formatter(PERCENTS)
    axes.set_xlabel("maximum drawdown, closed trades")
    _draws(axes, found.order.drawdowns, found.order.actual, "as it happened")


def _draws(axes: Axes, drawn: Floats, actual: float, words: str) -> None:
    _histogram(axes, drawn)
    _mark(axes, actual, words, RED)
    axes.set_ylabel("draws")


def _mark(axes: Axes, at: float, words: str, colour: str, *, below: bool = False) -> None:
    if not np.isfinite(at):
        return
    axes.axvline(at, color=colour, linewidth=1.5)
    left, right = axes.get_xlim()
    late = at > left + 0.6 * (right - left)
    axes.annotate(
        f"{words} " if late else f" {words}",
        (at, 0.84 if below else 0.96),
        xycoords=("data", "axes fraction"),
        ha="right" if late else "left",
        va="top",
        fontsize=9,
        color=INK,
    )


def _histogram(axes: Axes, values: Floats) -> None:
    axes.hist(values, bins=BINS, color=BLUE, alpha=0.75)
    axes.set_ylim(0.0, 1.2 * axes.get_ylim()[1])  # room for the words


def _nothing(axes: Axes) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, "not enough to draw", ha="center", va="center", color=GREY)
