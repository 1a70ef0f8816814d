# SPDX-License-Identifier: GPL-3.0-or-later
"""Replay: cash and positions rebuilt from the journal's fills and cash flows alone.

Pure arithmetic over values in the order in which they were journaled. What an account holds is
never stored, so it cannot disagree with what happened; `rebuild_equity` turns this into a check
of every equity row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from iverson.model import CashFlow, Fill
from iverson.monitoring.kinds import Value
from iverson.monitoring.record import EquityRow

CENT_USD = 0.005  # differences smaller than half a cent are rounding


@dataclass(frozen=True)
class ReplayedBook:
    """Cash in dollars and signed sizes by symbol, flat symbols left out."""

    cash: float
    positions: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """An equity row that the replay contradicts; `journaled` and `expected` are dollars.

    `what` is "cash" (against fills and cash flows) or "equity" (against cash plus positions).
    """

    at: datetime
    session: date
    what: Literal["cash", "equity"]
    journaled: float
    expected: float

    @property
    def difference(self) -> float:
        """Journaled minus expected, dollars; NaN when either is."""
        return self.journaled - self.expected


def replay(values: Iterable[Value], *, cash: float) -> ReplayedBook:
    """Rebuild the book of an account that began with `cash` dollars and no positions.

    A buy costs size x price + commission, a sale brings size x price - commission, a cash flow
    brings its amount. A split multiplies the symbol's size by its ratio and keeps the whole
    shares: the amount has paid for the fraction. Every other kind of value is passed over.
    """
    account = _Account(cash)
    for value in values:
        account.apply(value)
    return account.book()


def rebuild_equity(
    values: Iterable[Value], *, cash: float, tolerance_usd: float = CENT_USD
) -> list[Difference]:
    """Check every equity row against the replay up to it.

    Returns
    -------
    The differences, in order; empty when the journal agrees with itself to the cent. A NaN never
    agrees.
    """
    account = _Account(cash)
    differences: list[Difference] = []
    for value in values:
        account.apply(value)
        if not isinstance(value, EquityRow):
            continue
        total = value.cash + value.positions_value
        if not abs(value.cash - account.cash) <= tolerance_usd:
            differences.append(
                Difference(value.at, value.session, "cash", value.cash, account.cash)
            )
        if not abs(value.equity - total) <= tolerance_usd:
            differences.append(Difference(value.at, value.session, "equity", value.equity, total))
    return differences


class _Account:
    def __init__(self, cash: float) -> None:
        self.cash = cash
        self.sizes: dict[str, float] = {}

    def apply(self, value: Value) -> None:
        if isinstance(value, Fill):
            signed = value.size if value.side == "buy" else -value.size
            self.cash -= signed * value.price + value.commission
            self.sizes[value.symbol] = self.sizes.get(value.symbol, 0.0) + signed
        elif isinstance(value, CashFlow):
            self.cash += value.amount
            if value.kind == "split" and value.ratio != 1.0:
                held = self.sizes.get(value.symbol, 0.0)
                # 30 shares x 1/3 must stay 10, not become 9 for want of a last bit.
                whole = math.floor(abs(held) * value.ratio + 1e-9)
                self.sizes[value.symbol] = math.copysign(whole, held)

    def book(self) -> ReplayedBook:
        held = {symbol: self.sizes[symbol] for symbol in sorted(self.sizes)}
        return ReplayedBook(self.cash, {symbol: size for symbol, size in held.items() if size})
