# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a search: what each fold's scores looked like, and whether they kept their word."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from iverson.research.charts_style import (
    BLUE,
    DIVERGING,
    GREY,
    INK,
    PERCENTS,
    RED,
    RISING,
    empty_figure,
    make_figure,
    marking,
    styled,
)
from iverson.research.search_space import ordered

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from iverson.research.walk_forward import FoldResult
    from iverson.research.walk_result import WalkForward

TOO_FEW = "#C3CAD3"
COLUMNS = 4
MOST_VALUES = 40  # more values of a parameter than these are drawn in steps
STEPS = 12


class View(NamedTuple):
    """The parameters drawn, their values in order, and those over which the best is taken."""

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    hidden: tuple[str, ...]


@marking
def efficiency_scatter(result: WalkForward) -> Figure:
    """Draw each fold's chosen set: annualised return in sample (x) against out of sample (y).

    On the dashed line a fold kept what the search promised. Folds that stood aside are left out.
    """
    points = [
        (one.fold.number, one.chosen.cagr, one.out_of_sample_return)
        for one in result.results
        if one.chosen is not None
    ]
    with styled():
        if not points:
            return empty_figure("no fold chose a parameter set")
        number, x, y = (np.array(column, dtype=float) for column in zip(*points, strict=True))
        figure = make_figure(5.2, width=5.4)
        axes = figure.add_subplot()
        low, high = min(0.0, x.min(), y.min()), max(0.0, x.max(), y.max())
        pad = 0.08 * (high - low) or 0.01
        ends = [low - pad, high + pad]
        axes.plot(ends, ends, color=GREY, linestyle="--", linewidth=1.0, label="as promised")
        axes.axhline(0, color=INK, linewidth=0.7)
        axes.axvline(0, color=INK, linewidth=0.7)
        colours = np.select([y > 0, y < 0], [BLUE, RED], GREY)
        axes.scatter(
            x, y, s=70, color=colours, edgecolors="white", zorder=3, label="one fold (number)"
        )
        for n, a, b in zip(number, x, y, strict=True):
            axes.annotate(f"{n:.0f}", (a, b), xytext=(6, 4), textcoords="offset points", size=9)
        axes.set(xlim=ends, ylim=ends, aspect="equal")
        axes.set_xlabel("in-sample return a year")
        axes.set_ylabel("out-of-sample return a year")
        axes.xaxis.set_major_formatter(PERCENTS)
        axes.yaxis.set_major_formatter(PERCENTS)
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def view(result: WalkForward) -> View:
    """Choose what to draw: the two parameters with the most values; the rest is hidden."""
    values = {name: _values(result, name) for name in result.parameters}
    varied = [name for name, found in values.items() if len(found) > 1]
    ranked = sorted(varied, key=lambda name: -len(values[name]))[:2]
    names = tuple(name for name in varied if name in ranked)
    hidden = tuple(name for name in varied if name not in names)
    return View(names, tuple(values[name] for name in names), hidden)


def heat_map_words(result: WalkForward) -> str:
    """Say what the heat maps show."""
    drawn = view(result)
    if not drawn.names:
        return "Nothing was searched: there is one parameter set."
    words = f"In-sample {result.plan.objective} by {' and '.join(drawn.names)}, one map per fold"
    stepped = [
        name
        for name, values in zip(drawn.names, drawn.values, strict=True)
        if len(values) < len(_distinct(result, name))
    ]
    if stepped:
        words += f"; {' and '.join(stepped)} in {STEPS} steps, a cell being the best in its step"
    if drawn.hidden:
        words += f"; each cell is the best over {', '.join(drawn.hidden)}"
    few = f"fewer than {result.plan.minimum_trades} trades"
    mark = "A ring marks" if len(drawn.names) == 1 else "A box marks"
    return f"{words}. {mark} the chosen set; grey: too few trades to count ({few})."


@marking
def heat_maps(result: WalkForward) -> Figure:
    """Draw every fold's in-sample scores over the two most searched parameters.

    Over further parameters the best score is taken. With one parameter each fold is a line.
    """
    drawn = view(result)
    with styled():
        if not drawn.names:
            return empty_figure("nothing was searched: there is one parameter set")
        folds = result.results
        columns = min(COLUMNS, len(folds))
        rows = math.ceil(len(folds) / columns)
        height = 0.8 + rows * (0.6 + 0.38 * max(3, len(drawn.values[0])))
        figure = make_figure(min(height, 40.0))
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        colours = _colours(result)
        for place, axes in enumerate(grid.flat):
            if place >= len(folds):
                axes.set_axis_off()
                continue
            if len(drawn.names) == 1:
                _draw_line(axes, folds[place], drawn)
            else:
                _draw_map(axes, folds[place], drawn, colours)
            years = folds[place].fold.in_sample
            axes.set_title(
                f"fold {folds[place].fold.number}: {years.first:%Y-%m} to {years.last:%Y-%m}",
                fontsize=9,
            )
        if len(drawn.names) == 2:
            figure.colorbar(
                colours, ax=grid, label=f"in-sample {result.plan.objective}",
                shrink=min(1.0, 3.2 / height),
            )  # fmt: skip
            figure.supylabel(drawn.names[0], fontsize=10)
            figure.supxlabel(drawn.names[1], fontsize=10)
        else:
            figure.supylabel(f"in-sample {result.plan.objective}", fontsize=10)
            figure.supxlabel(drawn.names[0], fontsize=10)
    return figure


def cells(fold: FoldResult, drawn: View) -> Any:
    """Return the best score in each cell, -inf where all sets made too few trades, NaN if none."""
    shape = tuple(len(found) for found in drawn.values)
    table = np.full(shape, np.nan)
    for one in fold.scores:
        at = _cell(one.params, drawn)
        table[at] = np.fmax(table[at], one.score)
    return table


def _draw_map(axes: Axes, fold: FoldResult, drawn: View, colours: Any) -> None:
    table = cells(fold, drawn)
    axes.set_facecolor("white")
    axes.grid(visible=False)
    few = np.where(np.isneginf(table), 1.0, np.nan)
    flat: Any = {"aspect": "auto", "origin": "lower", "interpolation": "nearest"}
    axes.imshow(few, cmap=_flat_colour(), vmin=0, vmax=1, **flat)
    known = np.where(np.isneginf(table), np.nan, table)
    axes.imshow(known, cmap=colours.get_cmap(), norm=colours.norm, **flat)
    for (row, column), value in np.ndenumerate(table):
        if np.isnan(value) or table.size > 80:
            continue
        red, green, blue, _ = colours.to_rgba(value if np.isfinite(value) else 0.0)
        dark = np.isfinite(value) and 0.3 * red + 0.59 * green + 0.11 * blue < 0.55
        axes.text(
            column, row, "few" if np.isneginf(value) else f"{value:.2f}".replace("-", "−"),
            ha="center", va="center", fontsize=8, color="white" if dark else INK,
        )  # fmt: skip
    for which, found in zip((axes.yaxis, axes.xaxis), drawn.values, strict=True):
        which.set_ticks(range(len(found)), [_text(value) for value in found])
        which.set_tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if fold.chosen is not None:
        row, column = _cell(fold.chosen.params, drawn)
        axes.add_patch(_box(column, row))


def _box(column: int, row: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle(
        (column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=INK, linewidth=2.2,
        zorder=5, label="chosen",
    )  # fmt: skip


def _draw_line(axes: Axes, fold: FoldResult, drawn: View) -> None:
    table = cells(fold, drawn)
    x = np.arange(len(table))
    axes.plot(x, np.where(np.isfinite(table), table, np.nan), color=BLUE, marker="o", markersize=4)
    few = np.isneginf(table)
    if few.any():
        axes.scatter(x[few], np.full(few.sum(), 0.0), marker="x", color=TOO_FEW, label="too few")
    axes.axhline(0, color=INK, linewidth=0.6)
    if fold.chosen is not None:
        at = _cell(fold.chosen.params, drawn)
        axes.scatter(
            [at[0]], [table[at]], s=120, facecolors="none", edgecolors=INK, linewidths=2,
            zorder=5, label="chosen",
        )  # fmt: skip
    axes.set_xticks(x, [_text(value) for value in drawn.values[0]])


def _colours(result: WalkForward) -> ScalarMappable:
    """Give losses red and gains blue when both occur, else the rising colours."""
    found = np.array([score.score for fold in result.results for score in fold.scores], float)
    known = found[np.isfinite(found)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if low < 0.0 < high:
        reach = max(-low, high)
        return ScalarMappable(Normalize(-reach, reach), DIVERGING)
    return ScalarMappable(Normalize(low, high if high > low else low + 1.0), RISING)


def _flat_colour() -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap([TOO_FEW])


def _cell(params: Any, drawn: View) -> tuple[int, ...]:
    return tuple(
        found.index(value) if value in found else int(np.abs(np.array(found) - value).argmin())
        for value, found in zip((params[name] for name in drawn.names), drawn.values, strict=True)
    )


def _values(result: WalkForward, name: str) -> tuple[Any, ...]:
    found = _distinct(result, name)
    if len(found) > MOST_VALUES and ordered(found):  # the middles of as many values each
        return tuple(np.quantile(found, (np.arange(STEPS) + 0.5) / STEPS).tolist())
    try:
        return tuple(sorted(found))
    except TypeError:  # words and numbers mixed have no order
        return tuple(found)


def _distinct(result: WalkForward, name: str) -> list[Any]:
    return list(dict.fromkeys(one[name] for one in result.sets if name in one))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(pd.Timestamp(value).date()) if isinstance(value, pd.Timestamp) else str(value)
