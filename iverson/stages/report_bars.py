# SPDX-License-Identifier: GPL-3.0-or-later
"""The bars of a journaled run, for reports: those it saw where they were kept, else the store's.

A journal holds no bars. Beside that of a system that traded lie the bars it saw (`seen`); before
them, and for a backtest, the store is asked, and the bundled sample after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from iverson.errors import DataError, IversonError
from iverson.market import store as stores
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.source import load_bars
from iverson.market.store import Store
from iverson.model import Verdict
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow, RunRow
from iverson.monitoring.reports import run_named
from iverson.stages.seen import seen_rows, with_seen

LONGEST_GAP = timedelta(days=7)  # between the stored bars and the first that was seen


def bars_of_run(
    journal: Journal, *, run: str | None = None, store: Path | str | None = None
) -> dict[str, Bars]:
    """Return what a run saw, by symbol, with the history before it; empty when there is nothing.

    Stored bars that do not reach the run are not its bars and are left out: those that end before
    its first session, or more than a week before the first bar that it saw. Bars are daily when
    every signal was given at a close; else the interval is the one whose bars end at the signals.

    Raises
    ------
    DataError: the journal has no such run.
    """
    name = run_named(journal, run)
    row = next(one for one in journal.values("run", run=name) if isinstance(one, RunRow))
    noted = [
        one.session for one in journal.values("equity", run=name) if isinstance(one, EquityRow)
    ]
    verdicts = [one for one in journal.values("verdict", run=name) if isinstance(one, Verdict)]
    shelf = Store(store or stores.DEFAULT)
    stored = _stored(row.symbols, verdicts, shelf)
    seen = _seen(journal, name)
    interval = next((one.interval for one in stored.values()), _interval(verdicts))
    found = {}
    for symbol in dict.fromkeys((*row.symbols, *seen)):
        bars = stored.get(symbol)
        if symbol in seen:
            bars = with_seen(_before(bars, seen[symbol]) or _empty(symbol, interval), seen[symbol])
        if bars is not None and len(bars) and noted and bars.session[-1] >= np.datetime64(noted[0]):
            found[symbol] = bars
    return found


def _stored(symbols: tuple[str, ...], verdicts: list[Verdict], shelf: Store) -> dict[str, Bars]:
    """Load the interval in which the signals were given, and of each symbol what there is."""
    for interval in _intervals(verdicts, shelf):
        try:
            bars = load_bars(symbols, interval=interval, store=shelf, all_of_them=False)
        except IversonError:  # none, damaged, or in a format that this machine cannot read
            continue
        if all(_ends_there(verdict, bars) for verdict in verdicts[:100]):
            return bars
    return {}


def _intervals(verdicts: list[Verdict], shelf: Store) -> list[str]:
    if _interval(verdicts) == DAILY:
        return [DAILY]
    return [interval for interval in shelf.intervals() if interval != DAILY]


def _interval(verdicts: list[Verdict]) -> str:
    """Return "1d" when every signal was given at a close, else "1m", the usual one within a day."""
    closes = new_york().close_at
    daily = all(one.signal.at == closes(one.signal.session) for one in verdicts)
    return DAILY if daily else "1m"


def _ends_there(verdict: Verdict, bars: Mapping[str, Bars]) -> bool:
    """Whether a bar ends at the signal's instant; of what has no bars then, yes."""
    one = bars.get(verdict.signal.symbol)
    at = _stamp(verdict.signal.at)
    if one is None or not len(one) or not one.at[0] <= at <= one.at[-1]:
        return True
    return bool(one.at[np.searchsorted(one.at, at)] == at)


def _seen(journal: Journal, name: str) -> dict[str, list[dict[str, Any]]]:
    if journal.path is None:
        return {}
    try:
        return seen_rows(journal.path, name)
    except DataError:  # a backtest keeps none
        return {}


def _before(bars: Bars | None, rows: list[dict[str, Any]]) -> Bars | None:
    """Return the stored bars when they lead up to the first that was seen, else None."""
    if bars is None:
        return None
    end = int(np.searchsorted(bars.at, _stamp(datetime.fromisoformat(rows[0]["at"]))))
    if not end:
        return None
    last: date = bars.session[end - 1].item()
    return bars if date.fromisoformat(rows[0]["session"]) - last <= LONGEST_GAP else None


def _empty(symbol: str, interval: str) -> Bars:
    none: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close", "volume"), np.empty(0))
    return Bars(
        symbol=symbol,
        interval=interval,
        at=np.empty(0, dtype="datetime64[ns]"),
        session=np.empty(0, dtype="datetime64[D]"),
        factor=np.empty(0),
        dividend=np.empty(0),
        **none,
    )


def _stamp(at: datetime) -> np.datetime64:
    return np.datetime64(at.replace(tzinfo=None), "ns")
