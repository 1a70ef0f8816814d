# SPDX-License-Identifier: GPL-3.0-or-later
"""One session of minute bars: the opening range, the breakout from it, and the volume."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MultipleLocator

from iverson.engine.feed import numbers_of
from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.calendar import NEW_YORK, new_york
from iverson.market.intervals import minutes
from iverson.research.charts_style import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    RED,
    SKY,
    make_figure,
    marking,
    styled,
)
from iverson.signals.opening_range import Columns, Rule, over

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAST = 60  # minutes before the close from which nothing breaks out


@marking
def day_chart(bars: Bars, session: date | str, *, opening: int = 30, until: int = LAST) -> Figure:
    """Draw a session's minutes, raw, with the range of its first `opening` minutes.

    `opening` and `until` are those of `OpeningRange`; the sessions before count for nothing here.

    Raises
    ------
    ConfigError: daily bars, bars that cannot make the range, or a session that has none.
    """
    length = minutes(bars.interval)
    if length is None:
        raise ConfigError(f"{bars.symbol} has daily bars; a session is drawn of minute bars")
    day = pd.Timestamp(session).date()
    shown = bars.between(day, day)
    if not len(shown) or bars.session[0] == np.datetime64(day):
        raise ConfigError(f"{bars.symbol} has no bars on {day}, or none of a session before it")
    before = int(np.searchsorted(bars.session, np.datetime64(day)))
    known = bars[max(0, before - 1) : before + len(shown)]  # a close before, for the range to count
    numbers = numbers_of(known.at)
    prices = (known.open, known.high, known.low, known.close, known.volume)
    rule = Rule.of(opening, length, until=until, sessions=1)
    found = {
        name: line[-len(shown) :] for name, line in over(Columns(numbers, *prices), rule).items()
    }
    x = _minute_of_day(shown)
    opened = _minute_of(new_york().open_at(day))
    with styled():
        figure = make_figure(5.4)
        price, volume = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        price.axvspan(opened, opened + opening, color="#EFF2F5", label="opening range")
        price.vlines(x, shown.low, shown.high, color="#C3CAD3", linewidth=1.6, label="low to high")
        price.plot(x, shown.close, color=INK, linewidth=1.0, label="close")
        for name, colour in (("high", GREEN), ("low", RED)):
            price.plot(x, found[name], color=colour, linewidth=1.2, label=f"{name} of the range")
        for row in np.flatnonzero(found["breakout"]):
            price.scatter(
                x[row], shown.close[row], s=90, color=ORANGE, zorder=4, edgecolors="white",
                marker="^" if found["breakout"][row] > 0 else "v", label="first close outside",
            )  # fmt: skip
        price.set_ylabel("price (raw), dollars a share")
        price.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:,.2f}"))
        price.set_title(f"{shown.symbol}, {day}, {bars.interval} bars")
        volume.bar(
            x,
            shown.volume,
            width=0.9 * length,
            color=[SKY if m > opened + opening else BLUE for m in x],
        )
        volume.set_ylabel("shares")
        volume.xaxis.set_major_locator(MultipleLocator(60))
        volume.xaxis.set_major_formatter(FuncFormatter(_clock))
        volume.set_xlabel("New York, the right edge of each bar")
        price.legend(loc="best", ncols=2, fontsize=8)
    return figure


def _minute_of_day(bars: Bars) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    local = pd.DatetimeIndex(bars.at).tz_localize("UTC").tz_convert(NEW_YORK)
    return np.asarray(local.hour * 60 + local.minute, dtype=np.float64)


def _minute_of(at: object) -> int:
    local = pd.Timestamp(at).tz_convert(NEW_YORK)  # type: ignore[arg-type]  # an instant
    return int(local.hour * 60 + local.minute)


def _clock(minute: float, _: object = None) -> str:
    return f"{int(minute) // 60:02d}:{int(minute) % 60:02d}"
