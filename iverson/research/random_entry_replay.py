# SPDX-License-Identifier: GPL-3.0-or-later
"""One trade again, from any session: what its dollars would have earned there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from iverson.errors import MissingBars
from iverson.market.bars import Bars
from iverson.model import Trade
from iverson.monitoring.intervals import Floats


@dataclass(frozen=True, eq=False, slots=True)
class Prices:
    """One symbol's sessions, oldest first, every array (sessions,).

    Prices are raw × factor, continuous through splits; `paid` is the dividends of all sessions up
    to and including this one in the same unit.
    """

    session: NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    paid: Floats


def session_prices(bars: Bars, first: date, last: date) -> Prices:
    """Merge the bars from first to last, both included, into sessions.

    Raises
    ------
    MissingBars
        When there are none.
    """
    start = int(np.searchsorted(bars.session, np.datetime64(first, "D")))
    end = int(np.searchsorted(bars.session, np.datetime64(last, "D"), side="right"))
    if start >= end:
        raise MissingBars(f"{bars.symbol} has no bar from {first} to {last}; import more bars")
    days = bars.session[start:end]
    begins = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
    ends = np.r_[begins[1:], days.size] - 1
    factor = bars.factor[start:end]

    def column(values: Floats) -> Floats:
        adjusted: Floats = values[start:end] * factor
        return adjusted

    return Prices(
        session=days[begins],
        open=column(bars.open)[begins],
        high=np.maximum.reduceat(column(bars.high), begins),
        low=np.minimum.reduceat(column(bars.low), begins),
        close=column(bars.close)[ends],
        paid=np.cumsum(column(bars.dividend))[ends],
    )


def replay(
    trade: Trade, prices: Prices, entries: NDArray[np.intp], held: int, *, bracket: bool
) -> Floats:
    """Give the dollars before costs of the trade begun at each of the entry positions.

    In at the session's open with the trade's dollars (size × entry), out at the close `held`
    sessions later; with `bracket` earlier at the stop or the target, which stand at the trade's own
    ratios to its entry (NaN: none). A stop comes before a target in the same bar. Dividends of
    sessions after the entry's are received, or paid when short.
    """
    direction = 1.0 if trade.side == "long" else -1.0
    entry = prices.open[entries]
    out = prices.close[entries + held]
    until = entries + held
    if bracket:
        stop, target = entry * trade.stop / trade.entry, entry * trade.target / trade.entry
        inside = np.ones(entries.size, dtype=bool)
        for step in range(held + 1):
            now = entries + step
            opened, high, low = prices.open[now], prices.high[now], prices.low[now]
            worst, best = (low, high) if direction > 0 else (high, low)
            # Comparisons with NaN are False: no stop, no target.
            stopped = inside & (direction * worst <= direction * stop)
            beyond = direction * opened <= direction * stop
            out = np.where(stopped, np.where(beyond, opened, stop), out)
            # An open beyond the target is the target's fill, whatever the bar did afterwards.
            ahead = inside & (direction * opened >= direction * target)
            reached = ahead | (inside & ~stopped & (direction * best >= direction * target))
            out = np.where(reached, np.where(ahead, opened, target), out)
            left = stopped | reached
            until = np.where(left, now, until)
            inside &= ~left
    dividends = prices.paid[until] - prices.paid[entries]
    gained: Floats = direction * (out - entry + dividends) / entry * (trade.size * trade.entry)
    return gained
