# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run had at risk at each close, rebuilt from its journal: to the stops, and to a gap.

A stop is a promise only while the market is open; a gap over night goes through it. So the planned
loss (to the stops) stands beside the stress loss (at the 99.5th percentile of overnight gaps).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from iverson.book import Position
from iverson.execution.bracket import key_of
from iverson.market.bars import Bars
from iverson.model import Verdict
from iverson.monitoring.record import EquityRow
from iverson.reports.entries import entries
from iverson.reports.journaled import Journaled
from iverson.reports.open_trades import OpenTrade, open_trades

STRESS = 0.995
MINIMUM_GAPS = 200  # with fewer the 99.5th percentile is beyond the largest but one

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Held:
    """The positions at one close, each with its mark and its stop, and the entries still working.

    `marked` is False when a mark is the entry price, because there is no bar. Dollars; fractions
    are of `equity`. `stress` is NaN where a position has no bars.
    """

    session: date
    equity: float
    exposure: float
    positions: tuple[Position, ...]
    working: float
    marked: bool
    stress: float
    gaps: int

    @property
    def open_risk(self) -> float:
        """Dollars lost if every stop filled at its price, working entries included."""
        return sum(position.risk for position in self.positions) + self.working

    def of_equity(self, dollars: float) -> float:
        """Return dollars as a fraction of equity; NaN when there is none left."""
        return dollars / self.equity if self.equity > 0 else math.nan

    @property
    def enough(self) -> bool:
        """Whether every position has the gaps that a 99.5th percentile asks for."""
        return not self.positions or self.gaps >= MINIMUM_GAPS


def held_at_closes(
    told: Journaled, first: date, last: date, *, bars: Mapping[str, Bars] | None = None
) -> list[Held]:
    """Rebuild what was held at each noted close from `first` to `last`.

    Stops are those that worked at the venue; of a position without one all is at risk. What was
    decided after a close belongs to it: its entries work from then on. Marks are the bars' closes.
    """
    noted = {row.session: row for row in told.of(EquityRow) if first <= row.session <= last}
    return [_held(row, told.until(session), bars or {}) for session, row in sorted(noted.items())]


def stress_loss(position: Position, bars: Bars | None, *, until: date) -> tuple[float, int]:
    """Give the dollars lost to the 99.5th percentile of adverse overnight gaps, and their number.

    Gaps are of the sessions up to `until`, (open + dividend) / close before − 1, splits taken out;
    adverse is down for a long position and up for a short one. 0 when no gap was adverse, NaN
    without bars.

    Notes
    -----
    The sample quantile interpolates between order statistics, definition 7 of Hyndman and Fan
    (1996), The American Statistician 50(4), 361-365, doi:10.1080/00031305.1996.10473566. The past
    of one symbol says little of its worst night: this is a plausible bad night, not a bound.
    """
    gaps = np.empty(0) if bars is None else overnight_gaps(bars, until=until)
    if not gaps.size:
        return math.nan, 0
    worst = float(np.quantile(-position.direction * gaps, STRESS))
    return position.notional * max(0.0, worst), gaps.size


def overnight_gaps(bars: Bars, *, until: date) -> Floats:
    """Return the fractions by which each session up to one opened off the close before."""
    end = int(np.searchsorted(bars.session, np.datetime64(until, "D"), side="right"))
    session = bars.session[:end]
    starts = np.flatnonzero(session[1:] != session[:-1]) + 1
    opened = (bars.open[starts] + bars.dividend[starts]) * bars.factor[starts]
    before = bars.close[starts - 1] * bars.factor[starts - 1]
    gaps: Floats = opened / before - 1.0
    return gaps


def _held(row: EquityRow, told: Journaled, bars: Mapping[str, Bars]) -> Held:
    marked = []
    for trade in open_trades(told.values):
        mark, known = _mark(trade, bars.get(trade.symbol), row.session)
        position = Position(
            trade.symbol, round(trade.size), trade.entry, mark, trade.stop, trade.since
        )
        marked.append((position, known))
    positions = tuple(position for position, _ in marked)
    stressed = [stress_loss(one, bars.get(one.symbol), until=row.session) for one in positions]
    return Held(
        session=row.session,
        equity=row.equity,
        exposure=abs(row.positions_value) / row.equity if row.equity > 0 else math.nan,
        positions=positions,
        working=_working(told),
        marked=all(known for _, known in marked),
        stress=math.fsum(lost for lost, _ in stressed),
        gaps=min((count for _, count in stressed), default=0),
    )


def _working(told: Journaled) -> float:
    """Return the dollars at risk in entries that may still fill."""
    planned = {
        f"{key_of(one.signal)}-entry": one.signal.risk_per_share
        for one in told.of(Verdict)
        if one.approved
    }
    return math.fsum(
        max(0.0, entry.size - entry.filled) * planned.get(entry.order_id, 0.0)
        for entry in entries(told.values)
        if not entry.ended
    )


def _mark(trade: OpenTrade, bars: Bars | None, session: date) -> tuple[float, bool]:
    """Return the last close since the entry and whether there is one; else the entry price."""
    if bars is None:
        return trade.entry, False
    end = int(np.searchsorted(bars.session, np.datetime64(session, "D"), side="right"))
    if not end or bars.session[end - 1] < np.datetime64(trade.since, "D"):
        return trade.entry, False
    return float(bars.close[end - 1]), True
