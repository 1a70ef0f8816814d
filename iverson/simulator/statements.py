# SPDX-License-Identifier: GPL-3.0-or-later
"""What the exchange states about an account: figures, positions, activities, history.

All are frozen and computed when asked for. Money is `Decimal` dollars, exact inside; `cents` says
how statements round it. Fractions are fractions: 0.05 is five per cent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from iverson.simulator.orders import Side, Status

CENT = Decimal("0.01")


def cents(money: Decimal) -> Decimal:
    """Round dollars to the cent, half to even."""
    return money.quantize(CENT, ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The account's own settings; PATCH /v2/account/configurations changes them."""

    fractional_trading: bool = True
    max_margin_multiplier: Literal["1", "2", "4"] = "4"
    no_shorting: bool = False
    suspend_trade: bool = False
    trade_confirm_email: Literal["all", "none"] = "all"
    ptp_no_exception_entry: bool = False
    max_options_trading_level: int | None = None
    disable_overnight_trading: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """GET /v2/account at one instant; money to the cent."""

    id: str
    account_number: str
    key: str
    paper: bool
    status: str
    currency: str
    created_at: datetime
    balance_asof: date
    cash: Decimal
    equity: Decimal
    last_equity: Decimal
    long_market_value: Decimal
    short_market_value: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    last_maintenance_margin: Decimal
    multiplier: int
    buying_power: Decimal
    regt_buying_power: Decimal
    non_marginable_buying_power: Decimal
    sma: Decimal
    accrued_fees: Decimal
    shorting_enabled: bool
    trading_blocked: bool
    transfers_blocked: bool
    account_blocked: bool
    trade_suspended_by_user: bool
    configuration: Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """GET /v2/positions, one row. `qty` is negative for a short; market value and cost are too."""

    symbol: str
    asset_id: str
    exchange: str
    asset_marginable: bool
    side: Literal["long", "short"]
    qty: Decimal
    qty_available: Decimal
    avg_entry_price: Decimal
    cost_basis: Decimal
    market_value: Decimal
    current_price: Decimal
    lastday_price: Decimal
    change_today: Decimal
    unrealized_pl: Decimal
    unrealized_plpc: Decimal
    unrealized_intraday_pl: Decimal
    unrealized_intraday_plpc: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One row of /v2/account/activities.

    A fill has `side`, `price`, `qty`, `cum_qty`, `leaves_qty`, `order_id`, `order_status`; another
    kind (SPLIT, DIV, FEE, CSD) has `net_amount`, and `per_share_amount` where it makes sense.
    """

    id: str
    account_id: str
    activity_type: str
    at: datetime
    symbol: str | None = None
    qty: Decimal | None = None
    price: Decimal | None = None
    side: Side | None = None
    fill: Literal["fill", "partial_fill"] | None = None
    cum_qty: Decimal | None = None
    leaves_qty: Decimal | None = None
    order_id: str | None = None
    order_status: Status | None = None
    net_amount: Decimal | None = None
    per_share_amount: Decimal | None = None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioHistory:
    """GET /v2/account/portfolio/history: columns of equal length.

    `timestamp` holds the left edges of the windows, equity is that at their right edges.
    """

    timestamp: tuple[datetime, ...]
    equity: tuple[Decimal, ...]
    profit_loss: tuple[Decimal, ...]
    profit_loss_pct: tuple[Decimal, ...]
    base_value: Decimal
    base_value_asof: date | None
    timeframe: str
