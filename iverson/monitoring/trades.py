# SPDX-License-Identifier: GPL-3.0-or-later
"""From fills to round trips: a trade opens when a position leaves zero and closes when it returns.

Works on the model's values alone, so it gives the same trades from a run and from its journal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date

from iverson.model import CashFlow, Fill, Side, Trade, Verdict


@dataclass(slots=True)
class _Open:
    """A round trip in progress; `held` is signed."""

    first: Fill
    verdict: Verdict | None
    held: float = 0.0
    bought: float = 0.0  # shares entered, in today's shares
    entry_value: float = 0.0
    exit_value: float = 0.0
    left: float = 0.0
    commission: float = 0.0
    spread: float = 0.0
    dividends: float = 0.0
    risk: float = 0.0
    ratio: float = 1.0  # of the splits since the entry: levels are told in the exit's shares
    ambiguous: bool = False
    last: Fill | None = field(default=None)


class TradeBuilder:
    """Turns a stream of fills into trades.

    `ordinal` numbers the exchange sessions, so that holding times count sessions.
    """

    def __init__(self, ordinal: Callable[[date], int]) -> None:
        self._ordinal = ordinal
        self._open: dict[str, _Open] = {}

    def copy(self) -> TradeBuilder:
        """Return a builder that goes on from the same open trades, and leaves these alone."""
        other = TradeBuilder(self._ordinal)
        other._open = {symbol: replace(trade) for symbol, trade in self._open.items()}
        return other

    def add(self, fill: Fill, verdict: Verdict | None = None) -> Trade | None:
        """Take one fill, an entry's with its verdict; return the trade it completed, if it did.

        A fill that goes through zero (only plain orders can) closes one trade and opens the next.
        """
        signed = fill.size if fill.side == "buy" else -fill.size
        trade = self._open.get(fill.symbol)
        if trade is None:
            trade = self._open[fill.symbol] = _Open(first=fill, verdict=verdict)
        closes = trade.held * signed < 0
        size = min(fill.size, abs(trade.held)) if closes else fill.size
        part = size / fill.size
        trade.commission += fill.commission * part
        trade.spread += fill.spread * size
        trade.ambiguous |= fill.ambiguous
        if not closes:
            trade.held += signed
            trade.bought += size
            trade.entry_value += size * fill.price
            trade.risk += size * (verdict.signal.risk_per_share if verdict else math.nan)
            return None
        trade.held += math.copysign(size, signed)
        trade.left += size
        trade.exit_value += size * fill.price
        trade.last = fill
        if trade.held:
            return None
        del self._open[fill.symbol]
        if size < fill.size:
            rest = (fill.size - size) / fill.size
            self.add(_part(fill, fill.size - size, rest), verdict)
        return self._closed(trade)

    def flow(self, flow: CashFlow) -> Trade | None:
        """Count a dividend, or convert an open trade through a split.

        Returns the trade when a reverse split left no whole share of it: its cash in lieu is the
        exit, for the reason "split".
        """
        trade = self._open.get(flow.symbol)
        if trade is None:
            return None
        if flow.kind != "split":
            trade.dividends += flow.amount
            return None
        shares = abs(trade.held) * flow.ratio
        whole = math.floor(shares + 1e-9)
        trade.held = math.copysign(whole, trade.held)
        trade.bought *= flow.ratio
        trade.left *= flow.ratio
        trade.ratio *= flow.ratio
        if whole:
            trade.dividends += flow.amount
            return None
        del self._open[flow.symbol]
        trade.left += shares
        trade.exit_value += abs(flow.amount)
        trade.last = replace(trade.first, at=flow.at, session=flow.session)
        return replace(self._closed(trade), exit_reason="split")

    def _closed(self, trade: _Open) -> Trade:
        first, last = trade.first, trade.last
        assert last is not None
        side: Side = "long" if first.side == "buy" else "short"
        direction = 1 if side == "long" else -1
        signal = trade.verdict.signal if trade.verdict else None
        gross = direction * (trade.exit_value - trade.entry_value)
        return Trade(
            symbol=first.symbol,
            side=side,
            size=trade.bought,
            entry_at=first.at,
            entry_session=first.session,
            entry=trade.entry_value / trade.bought,
            exit_at=last.at,
            exit_session=last.session,
            exit=trade.exit_value / trade.left,
            pnl=gross + trade.dividends - trade.commission,
            commission=trade.commission,
            spread=trade.spread,
            dividends=trade.dividends,
            sessions=self._ordinal(last.session) - self._ordinal(first.session),
            exit_reason=last.leg,
            confidence=signal.confidence if signal else 0,
            risk=trade.risk,
            stop=signal.stop / trade.ratio if signal else math.nan,
            target=signal.target / trade.ratio if signal and signal.target else math.nan,
            ambiguous=trade.ambiguous,
            reason=signal.reason if signal else "",
            strategy=signal.strategy if signal else "",
            entry_order=first.order_id,
        )


def _part(fill: Fill, size: float, share: float) -> Fill:
    return replace(fill, size=size, commission=fill.commission * share)
