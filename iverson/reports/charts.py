# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of periodic reports that `research` has no use for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from iverson.model import Trade
from iverson.reports.page import clean
from iverson.reports.words import in_r, signed_money
from iverson.research.charts_style import BLUE, DOLLARS, INK, RED, empty_figure, make_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 40  # bars that can still be read


def trades_chart(trades: Sequence[Trade]) -> Figure:
    """Draw what each trade made, dollars after costs, with its multiple of the planned risk."""
    with styled():
        if not trades:
            return empty_figure("no trade was closed")
        shown = trades[:MOST][::-1]
        figure = make_figure(1.1 + 0.4 * len(shown))
        axes = figure.add_subplot()
        colours = [BLUE if trade.pnl >= 0 else RED for trade in shown]
        names = [clean(f"{one.symbol} {one.side}, {one.exit_reason}") for one in shown]
        places = range(len(shown))
        bars = axes.barh(places, [one.pnl for one in shown], color=colours, height=0.62)
        words = [f"{signed_money(one.pnl)}, {in_r(one.r_multiple)}" for one in shown]
        axes.bar_label(bars, words, padding=5, fontsize=9)
        axes.set_yticks(places, names)
        axes.axvline(0.0, color=INK, linewidth=0.8)
        more = f" (the first {MOST} of {len(trades)})" if len(trades) > MOST else ""
        axes.set_title(f"Trades closed{more}: dollars after costs, and multiples of planned risk")
        axes.xaxis.set_major_formatter(DOLLARS)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.margins(x=0.25)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    return figure
