# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a long range of minute bars that is looked at: the last sessions with a decision.

Every look computes every line anew over all bars there are, and one run walks them one at a time.
Years of minutes would take hours, and the thousandth session is no other than the twentieth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.moments import moment
from iverson.research.backtest import interval_of
from iverson.research.lookahead_runs import Watched
from iverson.strategy import WARM_UP_RULES

MOST = 4_000  # bars within sessions, of one symbol: ten sessions of minutes
SESSIONS_BEFORE = WARM_UP_RULES + 2  # that rules may read of


@dataclass(frozen=True)
class Span:
    """Bars and the range in which to look; `sessions` are those of the range asked for."""

    bars: Mapping[str, Bars]
    first: date
    last: date
    sessions: int


def narrowed(
    watched: Watched, bars: Mapping[str, Bars], *, first: date, last: date, warm_up: int
) -> Span:
    """Return the whole range, or of one with too many minute bars the last part that decides."""
    calendar = new_york()
    asked = len(calendar.between(first, last))
    longest = max((len(one.between(first, last)) for one in bars.values()), default=0)
    if interval_of(bars) == DAILY or longest <= MOST:
        return Span(bars, first, last, asked)
    found = [moment(d.number).session for d in watched.walk(bars, strict=True).decisions or ()]
    kept = max(2, MOST * asked // longest)
    end = min(last, calendar.offset(max(found, default=last), 1))
    begin = max(first, calendar.offset(end, 1 - kept))
    return Span(
        {s: _around(one, begin, end, warm_up) for s, one in bars.items()}, begin, end, asked
    )


def _around(bars: Bars, first: date, last: date, warm_up: int) -> Bars:
    """Return the bars of a range with what lines and rules may read before it."""
    calendar = new_york()
    back = calendar.sessions[max(0, calendar.ordinal(first) - SESSIONS_BEFORE)]
    start, read = np.searchsorted(bars.session, [np.datetime64(first, "D"), back])
    end = int(np.searchsorted(bars.session, np.datetime64(last, "D"), side="right"))
    return bars[max(0, min(int(start) - warm_up, int(read))) : end]
