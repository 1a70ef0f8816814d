# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching: a vendor's bars and actions into the store, what is missing only, and what changed.

Each piece of the plan is stored as soon as it is there, so that a fetch that is stopped, by a
person, a power cut or the vendor, loses at most the piece under way, and the next one goes on.

The last sessions that are stored are asked for again: vendors correct bars for days. What they
corrected is taken over, kept as a revision and told. But where most of these sessions have other
closes than before, it is not a correction but another share, or prices adjusted in another way,
and the symbol is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np
import pandas as pd

from iverson.errors import BadBars, BrokerUnavailable, ConfigError
from iverson.market import actions as table
from iverson.market import store_passport
from iverson.market.bars import DAILY
from iverson.market.calendar import Calendar, new_york
from iverson.market.fetch_actions import list_actions
from iverson.market.fetch_plan import ROWS, Piece, plan
from iverson.market.fetch_state import Fetched, Report, State, halves
from iverson.market.intervals import canonical
from iverson.market.store import Store
from iverson.market.store_rows import columns_of, merged, stamps_of, taken
from iverson.market.vendor import Answer, NotServed, Tell, Vendor

RECHECK = 5
"""Stored sessions that are asked for again."""
_SILENT = 2  # pieces without an answer after which the vendor is left alone
_MOVED = 0.005  # of a close: more than a correction of cents
Progress = Callable[[int, int, int], None]
"""Called with the pieces done, the pieces there are, and the bars received so far."""


def fetch(
    store: Store,
    vendor: Vendor,
    symbols: Sequence[str],
    *,
    interval: str = DAILY,
    first: date | None = None,
    last: date | None = None,
    since: date,
    now: datetime,
    recheck: int = RECHECK,
    revise: bool = False,
    progress: Progress = lambda done, whole, bars: None,
    rows: int = ROWS,
) -> Report:
    """Bring the store up to date; what failed is in the report, what was stored stays.

    Parameters
    ----------
    first, last : sessions wanted; None is where the stored bars begin (`since` for a new symbol)
        and the newest there is
    now : the instant it is
    recheck : stored sessions to ask for again
    revise : take over even what does not look like a correction
    rows : bars to hold in memory at once, about

    `ConfigError` for an interval that the vendor has not, or when there is nothing to ask for.
    """
    length = canonical(interval)
    hours = vendor.hours(length)
    calendar = new_york()
    until = vendor.until(now)
    end = _newest(until, length, calendar)
    end = end if last is None else min(end, last)
    if recheck < 1:
        raise ConfigError(f"recheck is {recheck}; expected at least 1 session to ask for again")
    if end < (first or since):
        raise ConfigError(
            f"nothing to fetch: the newest bars there are end on {end}, asked is from "
            f"{first or since}"
        )
    there = set(store.symbols(length))
    wanted = list(dict.fromkeys(symbols))
    covered = {
        symbol: store_passport.span(store.passport(symbol, length))
        for symbol in wanted
        if symbol in there
    }
    begins = {
        symbol: first or (covered[symbol][0] if symbol in covered else since) for symbol in wanted
    }
    state = State({symbol: Fetched(symbol) for symbol in wanted}, covered)
    _refuse_mixtures(store, vendor, state, length)
    pieces = plan(
        wanted, covered, first=begins, last=end, interval=length, recheck=recheck,
        calendar=calendar, rows=rows,
    )  # fmt: skip
    stopped = list_actions(store, vendor, state, begins, end)
    taker = _Taker(store, vendor, state, begins, length, hours, until, now, revise)
    received = silent = 0
    unanswered = bool(stopped)

    def tell(count: int) -> None:
        nonlocal received
        received += count
        progress(number, len(pieces), received)

    for number, piece in enumerate(pieces):
        if stopped:
            break
        try:
            for part, answer in taker.served(piece, tell):
                taker.take(part, answer)
            silent = 0
        except BrokerUnavailable as error:
            silent, unanswered = silent + 1, True
            state.refuse(piece.symbols, str(error))
            stopped = str(error) if silent >= _SILENT else ""
        except ConfigError as error:
            stopped = str(error)
        progress(number + 1, len(pieces), received)
    for symbol in state.open(wanted):
        if stopped:
            state.refuse([symbol], "not asked for, or not to the end; run the same again")
        elif symbol not in store.symbols(length):
            state.refuse(
                [symbol],
                f"no {length} bars between {begins[symbol]} and {end}; check the spelling, or ask "
                "for other sessions",
            )
    for symbol in state.open(wanted):
        newest = date.fromisoformat(store.passport(symbol, length)["last"])
        behind = len(calendar.between(newest, end)) - 1
        if behind > 0:
            late = f"the last bar is of {newest}, {behind} sessions before {end}"
            state.add(symbol, notes=(late,))
    return Report(state.found, length, min(begins.values()), end, stopped, unanswered)


@dataclass(frozen=True)
class _Taker:
    """Takes answers into the store."""

    store: Store
    vendor: Vendor
    state: State
    begins: Mapping[str, date]
    interval: str
    hours: str
    until: datetime
    now: datetime
    revise: bool

    def take(self, piece: Piece, answer: Answer) -> None:
        """Store what came, and note what was asked for."""
        for symbol in self.state.open(piece.symbols):
            self.state.add(symbol, outside=answer.outside.get(symbol, 0))
            if symbol in answer.unreadable:
                self.state.refuse([symbol], answer.unreadable[symbol])
                continue
            try:
                self._store(symbol, piece, answer.frames.get(symbol))
            except BadBars as error:
                self.state.refuse([symbol], str(error))

    def served(self, piece: Piece, tell: Tell) -> list[tuple[Piece, Answer]]:
        """Ask for a piece; when it is refused for one of its symbols, for the halves of it."""
        symbols = tuple(self.state.open(piece.symbols))
        if not symbols:
            return []
        asked = replace(piece, symbols=symbols)
        try:
            answer = self.vendor.bars(
                symbols, self.interval, piece.first, piece.last, until=self.until, tell=tell
            )
        except NotServed as error:
            if len(symbols) == 1 or not error.divisible:
                self.state.refuse(symbols, str(error))
                return []
        else:
            return [(asked, answer)]
        parts = [self.served(replace(asked, symbols=half), tell) for half in halves(symbols)]
        return [*parts[0], *parts[1]]

    def _store(self, symbol: str, piece: Piece, frame: pd.DataFrame | None) -> None:
        known = self.state.covered.get(symbol)
        if known is not None:
            self._compare(symbol, piece, frame)
        if frame is None:
            # Before the first bar there may be none: a share that was listed later. After the
            # last one there may be some tomorrow, so that those sessions are asked for again.
            if known is not None and piece.first < known[0]:
                self.state.covered[symbol] = (piece.first, known[1])
                self.store.mark(symbol, self.interval, self.state.covered[symbol])
            return
        newest: date = frame["session"].max().date()
        begin = min(piece.first, self.begins[symbol] if known is None else known[0])
        span = (begin, newest if known is None else max(newest, known[1]))
        written = self.store.write(
            frame,
            symbol=symbol,
            interval=self.interval,
            actions=table.of_symbol(self.state.listed[symbol].actions, symbol),
            source=self.vendor.source,
            feed=self.vendor.feed,
            adjustment="raw",
            asof=self.vendor.asof,
            hours=self.hours,
            covered=span,
            faults=None,
            revise=True,
            seen=self.now,
        )
        self.state.covered[symbol] = span
        self.state.add(
            symbol,
            added=written.added,
            revised=len(written.revised) + len(written.actions),
            unchanged=written.unchanged,
            changes=(*written.changes, *written.actions),
        )

    def _compare(self, symbol: str, piece: Piece, frame: pd.DataFrame | None) -> None:
        """Note stored bars that are listed no more; refuse what cannot be a correction."""
        old = self.store.columns(symbol, self.interval)
        session = old["session"]
        inside = (session >= np.datetime64(piece.first)) & (session <= np.datetime64(piece.last))
        if "at" in old:  # what is too new to be asked for is not gone
            inside &= old["at"] <= np.datetime64(self.until.replace(tzinfo=None), "ns")
        old = taken(old, np.flatnonzero(inside))
        key = "session" if self.interval == DAILY else "at"
        gone = np.ones(len(old[key]), dtype=bool)
        if frame is not None:
            new = columns_of(frame, symbol, key)
            gone = ~np.isin(old[key], new[key])
            changed = merged(old, new, key)
            moved = np.abs(changed.after["close"] / changed.before["close"] - 1.0) > _MOVED
            common = int((~gone).sum())
            if common >= 3 and moved.sum() > common / 2 and not self.revise:
                raise BadBars(
                    f"{symbol}: {int(moved.sum())} of {common} stored bars asked for again have "
                    "other closes than before, the first on "
                    f"{stamps_of(taken(changed.after, np.flatnonzero(moved)))[0]}; this is another "
                    "share or another adjustment: fetch into another --store, or --revise if the "
                    "vendor corrected them all"
                )
        if gone.any():
            stamps = stamps_of(taken(old, np.flatnonzero(gone)))
            self.state.add(symbol, withdrawn=tuple(stamps))


def _refuse_mixtures(store: Store, vendor: Vendor, state: State, interval: str) -> None:
    """Refuse, before anything is asked for, what could not be stored beside what is there."""
    new = {"feed": vendor.feed, "adjustment": "raw", "asof": vendor.asof}
    for symbol in state.covered:
        try:
            store_passport.refuse_mixture(store.passport(symbol, interval), new)
        except BadBars as error:
            state.refuse([symbol], str(error))


def _newest(until: datetime, interval: str, calendar: Calendar) -> date:
    """Return the last session that has bars by now: for daily bars, one that has closed."""
    session = calendar.session_of(until)
    if interval == DAILY and calendar.close_at(session) > until:
        return calendar.offset(session, -1)
    return session
