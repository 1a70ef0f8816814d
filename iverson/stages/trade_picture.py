# SPDX-License-Identifier: GPL-3.0-or-later
"""A closed trade as a picture: the bars that its run saw, with entry, exit, stop and target."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from iverson.errors import DataError
from iverson.market.bars import DAILY, Bars
from iverson.model import Trade
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import RunRow
from iverson.stages.report_bars import bars_of_run

BEFORE, BEFORE_MINUTES = timedelta(days=45), timedelta(0)  # of the entry that is shown too


def picture_of(journal: Path, row: int, *, store: Path | None = None) -> bytes | None:
    """Return a PNG of the trade in a row of a journal; None when matplotlib is not installed.

    The bars are those that its run saw, after what the store has from before it.

    Raises
    ------
    DataError: there are no bars of its time, or nothing says what its run is.
    """
    if find_spec("matplotlib") is None:
        return None
    with Journal(journal, read_only=True) as book:
        found = next(book.each_of_runs("trade", after=row - 1), None)
        if found is None or found[0] != row:
            return None
        _, run, trade = found
        assert isinstance(trade, Trade)
        bars = bars_of_run(book, run=run, store=store).get(trade.symbol)
        feed = read_feed(book, run)
    if bars is None:
        raise DataError(f"there are no bars of {trade.symbol} beside {journal} or in the store")
    return draw(trade, replace(bars, feed=feed))


def read_feed(journal: Journal, run: str) -> str:
    """Return what a run's bars are, in the words of their passport: made-up ones bear a mark."""
    first = journal.values("run", run=run)[0]
    return str(first.parameters.get("feed", "")) if isinstance(first, RunRow) else ""


def draw(trade: Trade, bars: Bars) -> bytes:
    """Return a PNG of a trade in its bars, some weeks before it included."""
    import pandas as pd

    from iverson.monitoring.tables import dollars, trades_frame
    from iverson.research.charts_price import price_chart
    from iverson.research.charts_style import styled

    before = BEFORE if bars.interval == DAILY else BEFORE_MINUTES
    first, last = trade.entry_session - before, trade.exit_session
    shown: Any = SimpleNamespace(
        bars={trade.symbol: bars}, trades=trades_frame([trade]), feed=bars.feed,
        equity=pd.Series(1.0, index=pd.DatetimeIndex([first, last])),
    )  # fmt: skip
    figure: Any = price_chart(shown, trade.symbol, first=first, last=last)
    made = f"{'+' if trade.pnl > 0 else ''}{dollars(trade.pnl)}"
    with styled():
        figure.axes[0].set_title(f"{trade.symbol} left by {trade.exit_reason}: {made}")
    png: bytes = figure._repr_png_()  # as a notebook asks for it
    return png
