# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of results: pure functions from a result to a matplotlib figure.

`price_chart` lives in `charts_price`, the pictures of a search in `charts_search`; all are to be
had from here. Save one with `figure.savefig("name.png")`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from iverson.book import Halt
from iverson.monitoring.record import Release
from iverson.research.charts_price import price_chart
from iverson.research.charts_search import efficiency_scatter, heat_map_words, heat_maps
from iverson.research.charts_style import (
    BLUE,
    DIVERGING,
    DOLLARS,
    GREY,
    INK,
    ORANGE,
    PERCENTS,
    RED,
    date_axis,
    days,
    dollars,
    empty_figure,
    make_figure,
    marking,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from iverson.monitoring.record import Record

__all__ = [
    "denials_chart",
    "efficiency_scatter",
    "equity_chart",
    "exits_chart",
    "heat_map_words",
    "heat_maps",
    "monthly_chart",
    "monthly_returns",
    "price_chart",
]


class Curve(Protocol):
    """What can be drawn as an account: a backtest, a walk-forward, a run read from its journal.

    `equity` is dollars by session, `start` the dollars before the first, `record` holds the halts.
    """

    @property
    def equity(self) -> pd.Series:
        """Dollars at the close by session."""
        ...

    @property
    def start(self) -> float:
        """Dollars before the first session."""
        ...

    @property
    def record(self) -> Record:
        """What happened."""
        ...


@marking
def equity_chart(
    result: Curve, benchmark: pd.Series | None = None, *, log_scale: bool = False
) -> Figure:
    """Draw the equity, its drawdown, and below both the equity beside buy-and-hold.

    Every other fold is shaded, of a walk-forward; halts are shaded in the drawdown. The comparison
    is on a log scale, where equal steps are equal returns; `log_scale` is for the upper panel.
    """
    equity = result.equity
    heights = [2.0, 0.9] + ([1.6] if benchmark is not None else [])
    with styled():
        figure = make_figure(1.6 * sum(heights) + 0.8)
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        for axes in panels:
            for first, last in _fold_spans(result)[1::2]:
                axes.axvspan(days([first])[0], days([last])[0], color="#EFF2F5", zorder=0)
        upper, lower = panels[0], panels[1]
        upper.plot(days(equity.index), equity, color=BLUE, label="this system, after costs")
        upper.axhline(result.start, color=GREY, linewidth=0.8, linestyle=":")
        _dollar_axis(upper, "equity, dollars", log_scale=log_scale)
        shaded = "; shaded: every other fold" if _fold_spans(result)[1::2] else ""
        upper.set_title(f"This system, after costs{shaded}", fontsize=10)
        _draw_falls(lower, result)
        if benchmark is not None:
            both = panels[2]
            both.plot(
                days(benchmark.index), benchmark, color=ORANGE, linewidth=1.2,
                label="buy and hold, same symbols",
            )  # fmt: skip
            both.plot(days(equity.index), equity, color=BLUE, label="this system")
            _dollar_axis(both, "dollars (log scale)", log_scale=True)
            both.set_title("Beside buy and hold of the same symbols", fontsize=10)
            both.legend(loc="upper left")
        upper.margins(x=0.01)
        date_axis(panels[-1])
    return figure


def halt_spans(result: Curve) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Return the first and last session of each halt, in order; one still in force ends last."""
    spans = []
    standing: dict[str, pd.Timestamp] = {}
    for value in result.record.values:
        if isinstance(value, Halt):
            standing.setdefault(value.rule, pd.Timestamp(value.since.date()))
        elif isinstance(value, Release) and value.rule in standing:
            spans.append((standing.pop(value.rule), pd.Timestamp(value.session)))
    spans += [(since, result.equity.index[-1]) for since in standing.values()]
    return sorted(spans)


@marking
def denials_chart(denied: pd.DataFrame) -> Figure:
    """Draw how many signals each rule denied."""
    counts = denied["rule"].value_counts()
    counts = counts.sort_index().sort_values(kind="stable")
    with styled():
        if counts.empty:
            return empty_figure("no signal was denied")
        figure = make_figure(0.9 + 0.38 * len(counts))
        axes = figure.add_subplot()
        bars = axes.barh([str(rule) for rule in counts.index], counts, color=BLUE, height=0.62)
        axes.bar_label(bars, [f"{count:,}" for count in counts], padding=4, fontsize=9)
        _quiet(axes)
        axes.set_xlabel("signals denied")
        axes.margins(x=0.08)
    return figure


@marking
def exits_chart(trades: pd.DataFrame) -> Figure:
    """Draw, for each exit reason, how many trades left by it and what they made."""
    with styled():
        if trades.empty:
            return empty_figure("there were no trades")
        groups = trades.groupby("exit_reason")["pnl"]
        table = pd.DataFrame({"count": groups.size(), "pnl": groups.sum()}).sort_values(
            "count", kind="stable"
        )
        names = [str(reason) for reason in table.index]
        figure = make_figure(1.1 + 0.42 * len(table))
        left, right = figure.subplots(1, 2, sharey=True)
        bars = left.barh(names, table["count"], color=BLUE, height=0.62)
        left.bar_label(bars, padding=4, fontsize=9)
        left.set_xlabel("trades")
        left.margins(x=0.12)
        colours = [BLUE if pnl >= 0 else RED for pnl in table["pnl"]]
        bars = right.barh(names, table["pnl"], color=colours, height=0.62)
        right.bar_label(bars, [dollars(round(pnl)) for pnl in table["pnl"]], padding=4, fontsize=9)
        right.axvline(0, color=INK, linewidth=0.8)
        right.set_xlabel("profit and loss after costs, dollars")
        right.xaxis.set_major_formatter(DOLLARS)
        right.xaxis.set_major_locator(MaxNLocator(5))
        right.margins(x=0.2)
        for axes in (left, right):
            _quiet(axes)
    return figure


def monthly_returns(result: Curve) -> pd.DataFrame:
    """Return fractions by year (rows) and month (1 to 12), NaN where nothing was traded.

    The column "year" compounds the row.
    """
    equity = result.equity
    sessions = pd.DatetimeIndex(equity.index)
    closes = equity.groupby([sessions.year, sessions.month]).last()
    before = closes.shift(1, fill_value=result.start)
    table = (closes / before - 1.0).unstack().reindex(columns=range(1, 13))
    table["year"] = (1.0 + table.fillna(0.0)).prod(axis=1) - 1.0
    return table.rename_axis(index="year", columns="month")


@marking
def monthly_chart(result: Curve) -> Figure:
    """Draw the return of every month and year; blue gained, red lost."""
    table = monthly_returns(result)
    values = table.to_numpy(dtype=float)
    months = values[:, :12]
    known = np.abs(months[np.isfinite(months)])
    reach = float(np.quantile(known, 0.98)) if known.size and known.max() > 0 else 0.01
    names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    with styled():
        figure = make_figure(1.1 + 0.33 * len(table))
        axes = figure.add_subplot()
        axes.grid(visible=False)
        shown = np.column_stack([months, np.full((len(table), 1), np.nan)])
        axes.imshow(shown, cmap=DIVERGING, vmin=-reach, vmax=reach, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                dark = column < 12 and abs(value) > 0.75 * reach
                words = f"{value:.1%}".replace("-", "−") if value else "·"
                axes.text(
                    column, row, words, ha="center", va="center", fontsize=8,
                    color="white" if dark else INK, weight="bold" if column == 12 else "normal",
                )  # fmt: skip
        axes.set_title("Return by month, after costs", fontsize=10)
        axes.set_xticks(range(13), [*names, "year"])
        axes.set_yticks(range(len(table)), [str(year) for year in table.index])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return figure


def _draw_falls(axes: Axes, result: Curve) -> None:
    equity = result.equity
    falls = equity.to_numpy() / np.maximum(equity.cummax().to_numpy(), result.start) - 1.0
    axes.fill_between(days(equity.index), falls, 0.0, color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(days(equity.index), falls, color=BLUE, linewidth=1.0)
    halted = halt_spans(result)
    for number, (first, last) in enumerate(halted):
        axes.axvspan(
            days([first])[0], days([last])[0] + 1.0, color=RED, alpha=0.3, linewidth=0,
            label="entries halted" if number == 0 else None,
        )  # fmt: skip
    axes.set_ylabel("drawdown")
    axes.yaxis.set_major_formatter(PERCENTS)
    if halted:
        axes.legend(loc="lower left")


def _dollar_axis(axes: Axes, label: str, *, log_scale: bool) -> None:
    axes.set_ylabel(label)
    if log_scale:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(DOLLARS)


def _fold_spans(result: Any) -> Sequence[tuple[Any, Any]]:
    folds = getattr(result, "results", ())
    return [(one.fold.out_of_sample.first, one.fold.out_of_sample.last) for one in folds]


def _quiet(axes: Axes) -> None:
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
