# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of a daily report, narrow enough to be read on a telephone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from iverson.model import Trade
from iverson.reports.journaled import Journaled
from iverson.reports.page import clean
from iverson.reports.words import in_r, signed_money
from iverson.research.charts import halt_spans
from iverson.research.charts_style import (
    BLUE,
    DOLLARS,
    GREY,
    INK,
    PERCENTS,
    RED,
    date_axis,
    days,
    empty_figure,
    make_figure,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 5.6  # inches
MOST = 30  # bars that can still be read


def account_chart(told: Journaled) -> Figure:
    """Draw the equity to date, deposits left out, and its drawdown below; halts are shaded."""
    grown = told.grown
    places = days(grown.equity.index)
    with styled():
        figure = make_figure(3.9, width=WIDTH)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1.0])
        upper.plot(places, grown.equity, color=BLUE)
        upper.plot(places[-1:], grown.equity.iloc[-1:], "o", color=BLUE, markersize=4)
        upper.axhline(grown.start, color=GREY, linewidth=0.8, linestyle=":")
        deposited = bool(told.deposits.any())
        upper.set_title("Equity, deposits left out" if deposited else "Equity")
        upper.yaxis.set_major_formatter(DOLLARS)
        upper.yaxis.set_major_locator(MaxNLocator(5))
        lower.fill_between(places, told.drawdowns, 0.0, color=BLUE, alpha=0.25, linewidth=0)
        lower.plot(places, told.drawdowns, color=BLUE, linewidth=1.0)
        for number, (first, last) in enumerate(halt_spans(grown)):
            lower.axvspan(
                days([first])[0], days([last])[0] + 1.0, color=RED, alpha=0.3, linewidth=0,
                label="entries halted" if number == 0 else None,
            )  # fmt: skip
        if lower.get_legend_handles_labels()[0]:
            lower.legend(loc="lower left")
        lower.set_title("Drawdown")
        lower.yaxis.set_major_formatter(PERCENTS)
        lower.yaxis.set_major_locator(MaxNLocator(3))
        lower.margins(x=0.02)
        date_axis(lower)
    return figure


def trades_chart(trades: Sequence[Trade]) -> Figure:
    """Draw what each trade made, dollars after costs, with its multiple of the planned risk."""
    with styled():
        if not trades:
            return empty_figure("no trade was closed")
        shown = trades[:MOST][::-1]
        figure = make_figure(0.9 + 0.32 * len(shown), width=WIDTH)
        axes = figure.add_subplot()
        colours = [BLUE if trade.pnl >= 0 else RED for trade in shown]
        names = [clean(f"{one.symbol}, {one.exit_reason}")[:24] for one in shown]
        places = range(len(shown))
        bars = axes.barh(places, [one.pnl for one in shown], color=colours, height=0.62)
        words = [f"{signed_money(one.pnl)}, {in_r(one.r_multiple)}" for one in shown]
        axes.bar_label(bars, words, padding=5, fontsize=9)
        axes.set_yticks(places, names)
        axes.axvline(0.0, color=INK, linewidth=0.8)
        more = f" (the first {MOST} of {len(trades)})" if len(trades) > MOST else ""
        axes.set_title(f"Trades closed{more}, after costs")
        axes.xaxis.set_major_formatter(DOLLARS)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.margins(x=0.4)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    return figure
