# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a fetch: what is missing at either end of each symbol, in pieces of bearable size.

A symbol's covered sessions have no gap, and keep having none: later sessions are asked for in
order, earlier ones backwards, so that a fetch that is stopped anywhere goes on where it stopped.
Pieces overlap what is stored by some sessions, which are thereby asked for again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from iverson.market.calendar import Calendar
from iverson.market.intervals import minutes
from iverson.market.store_passport import Span

Days = NDArray[np.datetime64]
ROWS = 200_000
"""Bars in a piece, about; it is held in memory and stored as a whole."""
_SYMBOLS = 100
_MINUTES = 960  # of a day that Alpaca serves, from 04:00 to 20:00


@dataclass(frozen=True)
class Piece:
    """Some symbols and the sessions, first and last, to ask for in one go."""

    symbols: tuple[str, ...]
    first: date
    last: date


def plan(
    symbols: Sequence[str],
    covered: Mapping[str, Span],
    *,
    first: Mapping[str, date],
    last: date,
    interval: str,
    recheck: int,
    calendar: Calendar,
    rows: int = ROWS,
) -> list[Piece]:
    """Return the pieces in the order to ask for them.

    Parameters
    ----------
    covered : first and last session that are stored; a symbol without any is absent
    first : the first session wanted of each symbol; `last` is the same for all
    recheck : stored sessions to ask for again at the end that grows, at least 1
    rows : the size of a piece
    """
    groups: dict[tuple[date, date, bool], list[str]] = {}
    for symbol in symbols:
        start = first[symbol]
        if symbol not in covered:
            if start <= last:
                groups.setdefault((start, last, False), []).append(symbol)
            continue
        known_first, known_last = covered[symbol]
        if last >= known_last:
            again = max(known_first, _moved(calendar, known_last, 1 - recheck))
            groups.setdefault((again, last, False), []).append(symbol)
        if start < known_first:
            again = min(known_last, _moved(calendar, known_first, recheck - 1))
            groups.setdefault((start, again, True), []).append(symbol)
    length = minutes(interval)
    a_session = 1 if length is None else -(-_MINUTES // length)
    pieces: list[Piece] = []
    for (start, end, backwards), members in groups.items():
        sessions = calendar.between(start, end)
        pieces += _pieces(members, sessions, backwards=backwards, a_session=a_session, rows=rows)
    return pieces


def _pieces(
    symbols: Sequence[str], sessions: Days, *, backwards: bool, a_session: int, rows: int
) -> list[Piece]:
    if len(sessions) == 0:
        return []
    at_once = max(1, min(len(sessions), rows // a_session))
    together = max(1, min(_SYMBOLS, rows // (at_once * a_session)))
    starts = range(0, len(sessions), at_once)
    spans = [
        (sessions[start].item(), sessions[min(start + at_once, len(sessions)) - 1].item())
        for start in starts
    ]
    if backwards:
        spans.reverse()
    return [
        Piece(tuple(symbols[start : start + together]), *span)
        for start in range(0, len(symbols), together)
        for span in spans
    ]


def _moved(calendar: Calendar, session: date, n: int) -> date:
    """Return the session n sessions later or earlier, or the calendar's last or first."""
    index = calendar.ordinal(session) + n
    day: date = calendar.sessions[min(max(0, index), len(calendar.sessions) - 1)].item()
    return day
