# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run had at risk at each close, rebuilt from its journal: to the stops, and to a gap.

A stop is a promise only while the market is open; a gap over night goes through it. So the planned
loss (to the stops) stands beside the stress loss (at the 99.5th percentile of overnight gaps).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from iverson.book import Position
from iverson.execution.bracket import key_of, on_grid
from iverson.market.bars import Bars
from iverson.model import CashFlow, Fill, OrderEvent, Verdict
from iverson.monitoring.record import EquityRow
from iverson.reports.journaled import Journaled, day_of

STRESS = 0.995
MINIMUM_GAPS = 200  # with fewer the 99.5th percentile is beyond the largest but one
ENDED = frozenset({"filled", "canceled", "expired", "rejected"})

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

    @property
    def enough(self) -> bool:
        """Whether every position has the gaps that a 99.5th percentile asks for."""
        return not self.positions or self.gaps >= MINIMUM_GAPS


def held_at_closes(
    told: Journaled, first: date, last: date, *, bars: Mapping[str, Bars] | None = None
) -> list[Held]:
    """Rebuild what was held at each noted close from `first` to `last`.

    Sizes come from the fills and splits, stops from the verdicts that the entries rest on; a
    position without a verdict has no stop, and all of it is at risk. Marks are the bars' closes.
    """
    found: dict[date, Held] = {}
    account, noted = _Account(), None
    for value in told.values:
        # What is decided after the close is noted after the account, and belongs to that close.
        if noted and (day_of(value) or noted.session) > noted.session:
            found[noted.session], noted = _held(noted, account, bars or {}), None
        account.apply(value)
        if isinstance(value, EquityRow) and first <= value.session <= last:
            noted = value
    if noted:
        found[noted.session] = _held(noted, account, bars or {})
    return [found[session] for session in sorted(found)]


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


class _Account:
    """Positions and working entries, from the journal's rows in their order."""

    def __init__(self) -> None:
        self.positions: dict[str, Position] = {}
        self._working: dict[str, tuple[Verdict, float]] = {}  # by entry order: shares to come
        self._approved: dict[str, Verdict] = {}

    def apply(self, value: object) -> None:
        if isinstance(value, Verdict) and value.approved:
            self._approved[f"{key_of(value.signal)}-entry"] = value
        elif isinstance(value, OrderEvent) and value.leg == "entry":
            self._order(value)
        elif isinstance(value, Fill):
            self._fill(value)
        elif isinstance(value, CashFlow) and value.kind == "split" and value.ratio != 1.0:
            self._split(value.symbol, value.ratio)

    @property
    def working(self) -> float:
        """Dollars at risk in entries that may still fill."""
        return sum(left * verdict.signal.risk_per_share for verdict, left in self._working.values())

    def _order(self, event: OrderEvent) -> None:
        verdict = self._approved.get(event.order_id)
        if event.status in ENDED or verdict is None:
            self._working.pop(event.order_id, None)
        else:
            self._working.setdefault(event.order_id, (verdict, float(verdict.size)))

    def _fill(self, fill: Fill) -> None:
        if fill.order_id in self._working:
            verdict, left = self._working[fill.order_id]
            self._working[fill.order_id] = verdict, max(0.0, left - fill.size)
        signed = fill.size if fill.side == "buy" else -fill.size
        old = self.positions.get(fill.symbol)
        size = signed + (old.size if old else 0)
        if not size:
            self.positions.pop(fill.symbol, None)
        elif old is None or old.size * size < 0:
            approved = self._approved.get(fill.order_id)
            stop = on_grid(approved.signal).stop if approved else math.nan
            self.positions[fill.symbol] = Position(
                fill.symbol, int(size), fill.price, fill.price, stop, fill.session
            )
        elif old.size * signed > 0:
            price = (old.size * old.price + signed * fill.price) / size
            self.positions[fill.symbol] = replace(old, size=int(size), price=price, mark=price)
        else:
            self.positions[fill.symbol] = replace(old, size=int(size))

    def _split(self, symbol: str, ratio: float) -> None:
        old = self.positions.get(symbol)
        if old is None:
            return
        whole = math.floor(abs(old.size) * ratio + 1e-9)
        if not whole:
            del self.positions[symbol]
            return
        price = old.price / ratio
        self.positions[symbol] = replace(
            old, size=old.direction * whole, price=price, mark=price, stop=old.stop / ratio
        )


def _held(row: EquityRow, account: _Account, bars: Mapping[str, Bars]) -> Held:
    marked = [(one, *_mark(one, bars, row.session)) for one in account.positions.values()]
    positions = tuple(replace(one, mark=mark) for one, mark, _ in marked)
    stressed = [stress_loss(one, bars.get(one.symbol), until=row.session) for one in positions]
    return Held(
        session=row.session,
        equity=row.equity,
        exposure=abs(row.positions_value) / row.equity if row.equity > 0 else math.nan,
        positions=positions,
        working=account.working,
        marked=all(known for _, _, known in marked),
        stress=math.fsum(lost for lost, _ in stressed),
        gaps=min((count for _, count in stressed), default=0),
    )


def _mark(position: Position, bars: Mapping[str, Bars], session: date) -> tuple[float, bool]:
    """Return the last close since the entry and whether there is one; else the entry price."""
    one = bars.get(position.symbol)
    if one is None:
        return position.mark, False
    end = int(np.searchsorted(one.session, np.datetime64(session, "D"), side="right"))
    if not end or one.session[end - 1] < np.datetime64(position.entry_session, "D"):
        return position.mark, False
    return float(one.close[end - 1]), True
