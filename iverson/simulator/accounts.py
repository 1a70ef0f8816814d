# SPDX-License-Identifier: GPL-3.0-or-later
"""The books of one account: cash, holdings and flags, and what they are worth.

Cash and market values are exact `Decimal` dollars; statements round. Margin follows Alpaca's page
Margin and Short Selling: initial 50 %, maintenance 30 % and more for cheap or short shares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from iverson.simulator.assets import Asset
from iverson.simulator.orders import ZERO
from iverson.simulator.positions import Holding
from iverson.simulator.statements import Activity, Configuration

INITIAL = Decimal("0.5")
LONG_CHEAP = Decimal("2.5")
SHORT_CHEAP = Decimal(5)
SHORT_MINIMUM = Decimal("2.5")
Price = Callable[[str], Decimal]
FLAGS = ("trading_blocked", "transfers_blocked", "account_blocked")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Cash and signed shares of an account from an instant on."""

    at: datetime
    cash: Decimal
    shares: dict[str, Decimal]


@dataclass(slots=True, kw_only=True)
class Books:
    """One account, as the exchange keeps it; the only record here that changes."""

    id: str
    number: str
    key: str
    paper: bool
    created_at: datetime
    cash: Decimal
    last_equity: Decimal
    balance_asof: date
    last_maintenance: Decimal = ZERO
    holdings: dict[str, Holding] = field(default_factory=dict)
    at_close: dict[str, Decimal] = field(default_factory=dict)
    configuration: Configuration = field(default_factory=Configuration)
    flags: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(FLAGS, False))
    restricted: bool = False
    fees: Decimal = ZERO
    day_trades: set[tuple[date, str]] = field(default_factory=set)
    activities: list[Activity] = field(default_factory=list)
    timeline: list[Snapshot] = field(default_factory=list)
    daily_equity: list[tuple[date, Decimal]] = field(default_factory=list)

    def qty(self, symbol: str) -> Decimal:
        """Return the signed shares held of a symbol."""
        holding = self.holdings.get(symbol)
        return holding.qty if holding is not None else ZERO

    def holding(self, symbol: str) -> Holding:
        """Return the holding of a symbol, a new one if there is none."""
        return self.holdings.setdefault(symbol, Holding())

    def note(self, at: datetime) -> None:
        """Remember cash and shares as they are from now on, and forget flat holdings."""
        for symbol in [name for name, holding in self.holdings.items() if not holding.qty]:
            del self.holdings[symbol]
        shares = {symbol: holding.qty for symbol, holding in self.holdings.items()}
        self.timeline.append(Snapshot(at, self.cash, shares))

    def long_value(self, price: Price) -> Decimal:
        """Market value of the long positions in dollars."""
        return sum((h.qty * price(s) for s, h in self.holdings.items() if h.qty > 0), ZERO)

    def short_value(self, price: Price) -> Decimal:
        """Market value of the short positions in dollars, at most 0."""
        return sum((h.qty * price(s) for s, h in self.holdings.items() if h.qty < 0), ZERO)

    def equity(self, price: Price) -> Decimal:
        """Cash plus the market value of all positions."""
        return self.cash + self.long_value(price) + self.short_value(price)

    def initial_margin(self, price: Price, asset: Callable[[str], Asset | None]) -> Decimal:
        """Half of the gross market value, all of it where the asset is not marginable."""
        total = ZERO
        for symbol, holding in self.holdings.items():
            listed = asset(symbol)
            rate = INITIAL if listed is None or listed.marginable else Decimal(1)
            total += abs(holding.qty) * price(symbol) * rate
        return total

    def maintenance_margin(self, price: Price, asset: Callable[[str], Asset | None]) -> Decimal:
        """What the positions have to be covered by overnight, in dollars."""
        return sum(
            (
                abs(holding.qty) * maintenance(price(symbol), asset(symbol), long=holding.qty > 0)
                for symbol, holding in self.holdings.items()
            ),
            ZERO,
        )

    def multiplier(self, equity: Decimal, *, margin_from: Decimal, four_from: Decimal) -> int:
        """Return 1, 2 or 4: how many times its excess the account may buy."""
        by_equity = 1 if equity < margin_from else 2 if equity < four_from else 4
        return min(by_equity, int(self.configuration.max_margin_multiplier))


def maintenance(price: Decimal, asset: Asset | None, *, long: bool) -> Decimal:
    """Return the maintenance requirement of one share in dollars.

    Long: the asset's rate (30 % as a rule; leveraged funds more), 100 % below $2.50. Short: the
    larger of $5 and the rate from $5 on, the larger of $2.50 and 100 % below.
    """
    rate = Decimal(repr(asset.maintenance_margin)) if asset is not None else Decimal("0.3")
    if long:
        return price if price < LONG_CHEAP else price * rate
    if price < SHORT_CHEAP:
        return max(SHORT_MINIMUM, price)
    return max(SHORT_CHEAP, price * rate)
