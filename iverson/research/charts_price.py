# SPDX-License-Identifier: GPL-3.0-or-later
"""The price of one symbol with what was done in it: entries, stops, targets, exits by reason."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection

from iverson.errors import ConfigError
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import NEW_YORK
from iverson.research.charts_style import (
    BLUE,
    DOLLARS,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    date_axis,
    days,
    make_figure,
    marking,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from iverson.research.results import Run
    from iverson.research.walk_result import WalkForward

SHOWN = pd.Timedelta(days=270)  # length of a picture whose span nobody chose
SHOWN_MINUTES = pd.Timedelta(days=4)  # the same of bars within sessions
RANGES = 260  # bars up to which the range of each bar is drawn
EXITS: dict[str, tuple[str, str]] = {
    "stop": ("X", RED),
    "target": ("*", GREEN),
    "time limit": ("s", ORANGE),
    "fold end": ("D", PURPLE),
    "bars end": ("P", PURPLE),
}


@marking
def price_chart(
    result: Run | WalkForward,
    symbol: str | None = None,
    *,
    first: date | str | None = None,
    last: date | str | None = None,
) -> Figure:
    """Draw one symbol's price with its entries, exits, stops and targets.

    Prices are split-adjusted to the last bar drawn, as a chart reader expects; without a split in
    between that is the raw price. `symbol` defaults to the most traded one. Without `first` and
    `last` the nine months, of minute bars the days, with the most trades are drawn (the latest of
    equals): a stop 3 % away cannot be seen over eight years. Times of day are New York's.

    Raises
    ------
    ConfigError: the symbol is not part of the result, or has no bar in the span.
    """
    symbol = most_traded(result) if symbol is None else symbol
    if symbol not in result.bars:
        raise ConfigError(f"no bars of {symbol!r} here; there are {', '.join(result.bars)}")
    trades = result.trades[result.trades["symbol"] == symbol]
    bars, shown = _span(result, result.bars[symbol], trades, first, last)
    with styled():
        figure = make_figure(5.2)
        axes = figure.add_subplot()
        basis = float(bars.factor[-1])
        _draw_price(axes, bars, bars.factor / basis)
        _draw_trades(axes, bars, shown, basis)
        split = " (split-adjusted to the last bar)" if np.ptp(bars.factor) else " (raw)"
        axes.set_ylabel(f"price{split}, dollars a share")
        axes.yaxis.set_major_formatter(DOLLARS)
        axes.margins(x=0.01)
        date_axis(axes)
        part = f"{len(shown)} of {len(trades)} trades"
        axes.set_title(f"{symbol}: {part}, {bars.session[0]} to {bars.session[-1]}")
        figure.legend(loc="outside lower center", ncols=4, fontsize=9)
    return figure


def most_traded(result: Run | WalkForward) -> str:
    """Return the symbol with the most trades, the first of equals; without trades the first."""
    counts = result.trades["symbol"].value_counts()
    return max(result.bars, key=lambda symbol: int(counts.get(symbol, 0)))


def _span(
    result: Run | WalkForward,
    bars: Bars,
    trades: pd.DataFrame,
    first: date | str | None,
    last: date | str | None,
) -> tuple[Bars, pd.DataFrame]:
    start, end = result.equity.index[0], result.equity.index[-1]
    if first is None and last is None:
        within = bars.interval != DAILY
        start, end = _busiest(trades, start, end, SHOWN_MINUTES if within else SHOWN)
    start = pd.Timestamp(first) if first is not None else start
    end = pd.Timestamp(last) if last is not None else end
    sessions = pd.DatetimeIndex(bars.session.astype("datetime64[ns]"))
    rows = slice(int(sessions.searchsorted(start)), int(sessions.searchsorted(end, side="right")))
    if rows.stop <= rows.start:
        raise ConfigError(f"{bars.symbol} has no bar from {start:%Y-%m-%d} to {end:%Y-%m-%d}")
    inside = (trades["entry_session"] >= start) & (trades["exit_session"] <= end)
    return bars[rows], trades[inside]


def _busiest(
    trades: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp, shown: pd.Timedelta
) -> tuple[pd.Timestamp, pd.Timestamp]:
    margin = (shown / 22.5).floor("D")  # twelve days of nine months
    entries = trades["entry_session"].sort_values()
    if entries.empty:
        return max(start, end - shown), end
    inside = [int(((entries >= first) & (entries <= first + shown)).sum()) for first in entries]
    first = max(zip(inside, entries, strict=True))[1]
    last = trades.loc[trades["entry_session"] <= first + shown, "exit_session"].max()
    return max(start, first - margin), min(end, last + margin)


def _draw_price(axes: Axes, bars: Bars, scale: Any) -> None:
    x = _times(bars, bars.session, bars.at)
    close = bars.close * scale
    if len(bars) > RANGES:
        if bars.interval != DAILY:  # no line through the night
            first = np.flatnonzero(bars.session[1:] != bars.session[:-1]) + 1
            x, close = np.insert(x, first, x[first]), np.insert(close, first, np.nan)
        axes.plot(x, close, color=INK, linewidth=1.0, alpha=0.75, label="close")
        return
    ranges = np.stack(
        [np.column_stack([x, bars.low * scale]), np.column_stack([x, bars.high * scale])], axis=1
    )
    width = 2.2 if len(bars) < 130 else 1.3
    axes.add_collection(
        LineCollection(list(ranges), colors="#C3CAD3", linewidths=width, label="low to high")
    )
    axes.plot(x, close, color=INK, linewidth=1.0, alpha=0.8, label="close")


def _draw_trades(axes: Axes, bars: Bars, trades: pd.DataFrame, basis: float) -> None:
    if trades.empty:
        return
    # after a split all of a trade's prices are told in the shares of its exit
    exit_scale = _scale(bars, trades["exit_session"], basis)
    enter, leave = (
        _times(bars, trades[f"{end}_session"], trades[f"{end}_at"]) for end in ("entry", "exit")
    )
    beside = 0.8 if bars.interval == DAILY else 0.01  # days
    entry = trades["entry"].to_numpy(float) * exit_scale
    left = trades["exit"].to_numpy(float) * exit_scale
    reach = np.maximum(leave, enter) + beside
    for column, colour in (("stop", RED), ("target", GREEN)):
        level = trades[column].to_numpy(float) * exit_scale
        known = np.isfinite(level)
        axes.hlines(
            level[known], enter[known] - beside, reach[known], colors=colour, linewidth=1.8,
            alpha=0.8, label=f"{column} level",
        )  # fmt: skip
    axes.add_collection(
        LineCollection(
            [[(a, b), (c, d)] for a, b, c, d in zip(enter, entry, leave, left, strict=True)],
            colors=GREY, linewidths=1.0, linestyles=":",
        )
    )  # fmt: skip
    for side, marker in (("long", "^"), ("short", "v")):
        rows = (trades["side"] == side).to_numpy()
        if rows.any():
            axes.scatter(
                enter[rows], entry[rows], marker=marker, s=60, color=BLUE, zorder=4,
                edgecolors="white", linewidths=0.6, label=f"entry, {side}",
            )  # fmt: skip
    _draw_exits(axes, trades, leave, left)


def _draw_exits(axes: Axes, trades: pd.DataFrame, leave: Any, left: Any) -> None:
    reasons = trades["exit_reason"].to_numpy()
    for reason in dict.fromkeys([*EXITS, *sorted(set(reasons))]):
        rows = reasons == reason
        if not rows.any():
            continue
        marker, colour = EXITS.get(reason, ("o", SKY))
        axes.scatter(
            leave[rows], left[rows], marker=marker, s=95 if marker == "*" else 55, color=colour,
            zorder=5, edgecolors="white", linewidths=0.6, label=f"exit: {reason} ({rows.sum()})",
        )  # fmt: skip


def _times(bars: Bars, sessions: Any, instants: Any) -> Any:
    """Return where bars or trades stand: their sessions, or the clock in New York within them."""
    if bars.interval == DAILY:
        return days(sessions)
    clock = pd.DatetimeIndex(pd.to_datetime(instants, utc=True)).tz_convert(NEW_YORK)
    return np.asarray(clock.tz_localize(None), dtype="datetime64[s]").astype(np.float64) / 86_400


def _scale(bars: Bars, sessions: pd.Series, basis: float) -> Any:
    stamps = sessions.to_numpy().astype("datetime64[D]")
    rows = np.clip(np.searchsorted(bars.session, stamps, side="right") - 1, 0, len(bars) - 1)
    return bars.factor[rows] / basis
