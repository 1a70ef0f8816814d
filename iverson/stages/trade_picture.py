# SPDX-License-Identifier: GPL-3.0-or-later
"""A closed trade as a picture: the bars that its run saw, with entry, exit, stop and target."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from iverson.market.bars import DAILY, Bars
from iverson.model import Trade
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import RunRow
from iverson.stages.seen import NUMBERS, seen_rows

BEFORE, BEFORE_MINUTES = timedelta(days=45), timedelta(0)  # of the entry that is shown too
WITHIN = "minutes"  # the interval of bars that are several a session; which, nobody asks


def picture_of(journal: Path, row: int) -> bytes | None:
    """Return a PNG of the trade in a row of a journal; None when matplotlib is not installed.

    Raises
    ------
    DataError: the row is no trade, or nobody kept the bars of its run.
    ConfigError: no bar of its time was kept.
    """
    if find_spec("matplotlib") is None:
        return None
    with Journal(journal, read_only=True) as book:
        found = next(book.each_of_runs("trade", after=row - 1), None)
        if found is None or found[0] != row:
            return None
        _, run, trade = found
        began = book.values("run", run=run)
    assert isinstance(trade, Trade)
    first = began[0] if began else None
    feed = str(first.parameters.get("feed", "")) if isinstance(first, RunRow) else ""
    return draw(trade, bars_of(seen_rows(journal, run).get(trade.symbol, []), trade.symbol, feed))


def draw(trade: Trade, bars: Bars) -> bytes:
    """Return a PNG of a trade in its bars, some weeks before it included."""
    import pandas as pd

    from iverson.monitoring.tables import dollars, trades_frame
    from iverson.research.charts_price import price_chart

    before = BEFORE if bars.interval == DAILY else BEFORE_MINUTES
    first, last = trade.entry_session - before, trade.exit_session
    shown: Any = SimpleNamespace(
        bars={trade.symbol: bars}, trades=trades_frame([trade]), feed=bars.feed,
        equity=pd.Series(1.0, index=pd.DatetimeIndex([first, last])),
    )  # fmt: skip
    figure: Any = price_chart(shown, trade.symbol, first=first, last=last)
    made = f"{'+' if trade.pnl > 0 else ''}{dollars(trade.pnl)}"
    figure.axes[0].set_title(f"{trade.symbol} left by {trade.exit_reason}: {made}")
    png: bytes = figure._repr_png_()  # as a notebook asks for it
    return png


def bars_of(rows: list[dict[str, Any]], symbol: str, feed: str) -> Bars:
    """Return the bars of rows that a run saw."""
    stamps = [
        datetime.fromisoformat(row["at"]).astimezone(UTC).replace(tzinfo=None) for row in rows
    ]
    sessions = [row["session"] for row in rows]
    columns: dict[str, Any] = {
        name: np.array([row[name] for row in rows], dtype=float) for name in NUMBERS
    }
    return Bars(
        symbol,
        DAILY if len(set(sessions)) == len(sessions) else WITHIN,
        at=np.array(stamps, dtype="datetime64[ns]"),
        session=np.array(sessions, dtype="datetime64[D]"),
        feed=feed,
        **columns,
    )
