# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pictures of a report share: narrow enough for a telephone, and of one look.

A picture of 5.6 inches is shown on a telephone at a little less than half its size, so that text
of 10 points can still be read; the look is `research.charts_style`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec

from iverson.reports.page import clean
from iverson.research.charts_style import GREY, make_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Given = ParamSpec("Given")
WIDTH = 5.6
LONGEST = 24  # letters of a name beside a bar


def for_phone(draw: Callable[Given, Figure]) -> Callable[Given, Figure]:
    """Have a picture drawn in the style of all pictures, and nothing else changed."""

    @wraps(draw)
    def drawn(*given: Given.args, **options: Given.kwargs) -> Figure:
        with styled():
            return draw(*given, **options)

    return drawn


def figure_of(height: float) -> Figure:
    """Return an empty figure as wide as a telephone can show."""
    return make_figure(height, width=WIDTH)


def nothing(words: str) -> Figure:
    """Return a flat figure that says why there is nothing to draw."""
    figure = figure_of(1.2)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", color=GREY)
    return figure


def short(name: str) -> str:
    """Return a name as one line that fits beside a bar."""
    shown = clean(name)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1].rstrip()}…"


def quiet(axes: Axes) -> None:
    """Take the lines away that say nothing beside names."""
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
