# SPDX-License-Identifier: GPL-3.0-or-later
"""The shadow book: signals that never became a trade, followed on paper to their exit.

It answers what each rule saved or cost, and what the missed entries would have made. Prices come
from the same fill rules as the broker's (`execution.fills`), one share at a time and without an
account: no buying power, no slots, and signals of one symbol may overlap. A sum over many denied
signals is therefore more than any account could have traded; the mean is the number to read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, date

import numpy as np

from iverson.errors import ConfigError
from iverson.execution import fills
from iverson.execution.bracket import on_grid
from iverson.execution.costs import Costs
from iverson.execution.fills import Quote
from iverson.execution.ticks import round_down, round_up, tick_size
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.intervals import minutes
from iverson.market.moments import Moment
from iverson.model import OrderSide, Reading, Side, Signal
from iverson.strategy import CLOSING_MINUTES, expiry

NEVER = "never filled"


@dataclass(frozen=True, slots=True)
class ShadowTrade:
    """What one share would have done. `pnl` is dollars after costs per share entered.

    `exit_reason` is a leg's name, or "never filled" with NaN prices, no sessions and 0 pnl.
    `r_multiple` is pnl in units of the planned risk a share; NaN when never filled.
    """

    symbol: str
    side: Side
    session: date
    rule: str
    entry_session: date | None
    entry: float
    exit_session: date | None
    exit: float
    exit_reason: str
    pnl: float
    r_multiple: float
    ambiguous: bool

    @property
    def filled(self) -> bool:
        """Whether the entry would have filled."""
        return self.entry_session is not None


def follow(
    signal: Signal,
    bars: Bars,
    *,
    rule: str = "",
    costs: Costs | None = None,
    entry_sessions: int = 1,
    entry_minutes: float | None = None,
    through_ticks: int = 1,
    reading: Reading = "worst",
    until: date | None = None,
    at_open: bool = False,
) -> ShadowTrade:
    """Follow one faultless signal through its symbol's bars.

    Parameters
    ----------
    costs: half spread and fees a share; a minimum commission, which one share cannot carry, is
        left out.
    entry_sessions, entry_minutes: how long the limit may fill, as in `Strategy`.
    until: last session; what is still held is left at its close ("fold end"). Default: all bars.
    at_open: enter at the first open instead, whatever the limit: the price of not missing it.

    Raises
    ------
    ConfigError: the signal has a fault, or has one once its prices are on the grid; such a one is
        denied before any rule.

    Notes
    -----
    Same-bar rules, gaps and the reading of ambiguous bars are the broker's. A split before the
    entry withdraws it; later ones convert prices. A bar without volume fills nothing.
    """
    signal = on_grid(signal)
    fault = signal.fault()
    if fault is not None:
        raise ConfigError(f"a signal of {signal.symbol} cannot be followed: {fault}")
    per_share = replace(costs or Costs(), minimum_commission=0.0)
    path = _Path(
        signal, bars, costs=per_share, through_ticks=through_ticks, reading=reading, until=until
    )
    now = Moment(signal.at, signal.session, new_york().ordinal(signal.session))
    until_at = expiry(now, entry_sessions, entry_minutes, bar=minutes(bars.interval))
    return path.run(
        rule, np.datetime64(until_at.astimezone(UTC).replace(tzinfo=None)), at_open=at_open
    )


class _Path:
    """One signal on its way through the bars; prices are raw, on the basis of the current bar."""

    def __init__(
        self,
        signal: Signal,
        bars: Bars,
        *,
        costs: Costs,
        through_ticks: int,
        reading: Reading,
        until: date | None,
    ) -> None:
        self.signal, self.bars, self.costs, self.reading = signal, bars, costs, reading
        self.through_ticks = through_ticks
        self.sign = signal.direction
        self.stop = signal.stop
        self.target = math.nan if signal.target is None else signal.target
        self.begin = int(np.searchsorted(bars.at, _stamp(signal), side="right"))
        self.end = len(bars)
        if until is not None:
            last = np.datetime64(until, "D")
            self.end = int(np.searchsorted(bars.session, last, side="right"))
        self.cash, self.shares = 0.0, 1.0
        self.ambiguous = False

    def run(self, rule: str, expiry: np.datetime64, *, at_open: bool) -> ShadowTrade:
        entered = self._enter(expiry, at_open=at_open)
        signal = self.signal
        if entered is None:
            return ShadowTrade(
                signal.symbol, signal.side, signal.session, rule,
                None, math.nan, None, math.nan, NEVER, 0.0, math.nan, False,
            )  # fmt: skip
        row, entry, how = entered
        self._trade(entry, 1.0, opening=True)
        left_row, left, reason = self._leave(row, how)
        self._trade(left, self.shares, opening=False)
        return ShadowTrade(
            symbol=signal.symbol,
            side=signal.side,
            session=signal.session,
            rule=rule,
            entry_session=self.bars.session[row].item(),
            entry=entry,
            exit_session=self.bars.session[left_row].item(),
            exit=left,
            exit_reason=reason,
            pnl=self.cash,
            r_multiple=self.cash / signal.risk_per_share,
            ambiguous=self.ambiguous,
        )

    def _enter(self, expiry: np.datetime64, *, at_open: bool) -> tuple[int, float, str] | None:
        """Find the entry: its row, the price, and "held" (at the open) or "limit"."""
        limit = self.signal.limit
        through = self._through(limit)
        for row in range(self.begin, self.end):
            bar = self._quote(row)
            if self.bars.at[row] > expiry or (row and self._ratio(row) != 1.0):
                return None
            if bar.volume == 0:
                continue
            if at_open:
                return row, self._taken(bar.open, self.sign), "held"
            opened = fills.limit_at_open(self.sign, limit, bar, through)
            if not math.isnan(opened):
                paid = self._taken(opened, self.sign)
                return row, min(paid, limit) if self.sign > 0 else max(paid, limit), "held"
            if not math.isnan(fills.limit_inside(self.sign, limit, bar, through)):
                return row, limit, "limit"
        return None

    def _leave(self, row: int, how: str) -> tuple[int, float, str]:
        """Find the exit: its row, the price after the spread, the leg."""
        entry_row, due = row, False
        while True:
            bar = self._quote(row)
            if row > entry_row:
                self._corporate_actions(row)
                how = "held"
            found = self._exit(bar, how, due)
            if found is None and self._closes_at(row, entry_row) and bar.volume != 0:
                found = self._taken(bar.close, -self.sign), "time limit"
            if found is None and row + 1 >= self.end:
                found = self._taken(bar.close, -self.sign), "fold end"
            if found is not None:
                return row, *found
            due = due or self._due(row, entry_row)
            row += 1

    def _exit(self, bar: Quote, how: str, due: bool) -> tuple[float, str] | None:
        if bar.volume == 0:
            return None
        out = -self.sign
        through = self._through(self.target)
        if how == "held":
            opened = fills.stop_at_open(out, self.stop, bar)
            if not math.isnan(opened):
                return self._taken(opened, out), "stop"
            opened = fills.limit_at_open(out, self.target, bar, through)
            if not math.isnan(opened):
                paid = self._taken(opened, out)
                bound = max(paid, self.target) if out < 0 else min(paid, self.target)
                return bound, "target"
            if due:
                return self._taken(bar.open, out), "time limit"
        path = fills.exit_inside(
            out, self.stop, self.target, bar, through, entry=how, reading=self.reading
        )
        self.ambiguous |= path.ambiguous
        if not math.isnan(path.stop):
            return self._taken(path.stop, out), "stop"
        return None if math.isnan(path.target) else (path.target, "target")

    def _closes_at(self, row: int, entry_row: int) -> bool:
        """Whether a daily bar's close is the time limit."""
        limit = self.signal.max_sessions
        return limit is not None and self._daily and self._age(row, entry_row) >= limit

    def _due(self, row: int, entry_row: int) -> bool:
        """Whether, at the end of this minute bar, the next open is the time limit."""
        limit = self.signal.max_sessions
        if limit is None or self._daily:
            return False
        age = self._age(row, entry_row)
        close = new_york().closes(self.bars.session[row : row + 1])[0]
        early = np.timedelta64(max(CLOSING_MINUTES, minutes(self.bars.interval) or 0), "m")
        return age > limit or (age == limit and close - self.bars.at[row] <= early)

    def _age(self, row: int, entry_row: int) -> int:
        ordinal = new_york().ordinal
        sessions = self.bars.session
        return ordinal(sessions[row].item()) - ordinal(sessions[entry_row].item())

    def _corporate_actions(self, row: int) -> None:
        ratio = self._ratio(row)
        if ratio != 1.0:
            self.shares *= ratio
            self.stop = self._grid(self.stop / ratio, inwards=True)
            self.target = self._grid(self.target / ratio, inwards=True)
        self.cash += self.sign * self.shares * float(self.bars.dividend[row])

    def _grid(self, price: float, *, inwards: bool) -> float:
        if math.isnan(price):
            return price
        return round_up(price) if (self.sign > 0) == inwards else round_down(price)

    def _trade(self, price: float, shares: float, *, opening: bool) -> None:
        buys = (self.sign > 0) == opening
        side: OrderSide = "buy" if buys else "sell"
        self.cash += (-1 if buys else 1) * shares * price
        self.cash -= self.costs.commission(side, shares, price)

    def _taken(self, price: float, sign: int) -> float:
        half = self.costs.half_spread(price)
        return round_up(price + half) if sign > 0 else max(round_down(price - half), 0.0001)

    def _through(self, limit: float) -> float:
        return 0.0 if math.isnan(limit) else self.through_ticks * tick_size(limit)

    def _ratio(self, row: int) -> float:
        return float(self.bars.factor[row] / self.bars.factor[row - 1])

    def _quote(self, row: int) -> Quote:
        one = self.bars
        columns = (one.open, one.high, one.low, one.close, one.volume)
        return Quote(*(float(column[row]) for column in columns))

    @property
    def _daily(self) -> bool:
        return self.bars.interval == DAILY


def _stamp(signal: Signal) -> np.datetime64:
    return np.datetime64(signal.at.astimezone(UTC).replace(tzinfo=None))
