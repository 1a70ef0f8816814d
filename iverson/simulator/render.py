# SPDX-License-Identifier: GPL-3.0-or-later
"""Render: what the exchange states, written as Alpaca writes it in JSON.

Money, prices, quantities and fractions are text; instants are UTC with a Z. A field that does not
apply is null, as on the wire.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from iverson.simulator.events import TradeUpdate
from iverson.simulator.hours import edges, zulu
from iverson.simulator.orders import Order
from iverson.simulator.requests import Refused
from iverson.simulator.statements import (
    Account,
    Activity,
    Configuration,
    PortfolioHistory,
    Position,
)

ASSET_CLASS = "us_equity"
NO_MONEY = "0"


def order(one: Order, *, nested: bool = True) -> dict[str, Any]:
    """Write an order; its legs only if nested, null for an order that has none."""
    legs = [order(leg, nested=False) for leg in one.legs] if nested and one.legs else None
    return {
        "id": one.id,
        "client_order_id": one.client_order_id,
        "created_at": zulu(one.created_at),
        "updated_at": zulu(one.updated_at),
        "submitted_at": zulu(one.submitted_at),
        "filled_at": _at(one.filled_at),
        "expired_at": _at(one.expired_at),
        "expires_at": zulu(one.expires_at or _end_of_day(one)),
        "canceled_at": _at(one.canceled_at),
        "failed_at": _at(one.failed_at),
        "replaced_at": _at(one.replaced_at),
        "replaced_by": one.replaced_by,
        "replaces": one.replaces,
        "asset_id": one.asset_id,
        "symbol": one.symbol,
        "asset_class": ASSET_CLASS,
        "notional": _text(one.notional),
        "qty": _text(one.qty),
        "filled_qty": text(one.filled_qty),
        "filled_avg_price": _text(one.filled_avg_price),
        "order_class": one.order_class,
        "order_type": one.type,
        "type": one.type,
        "side": one.side,
        "position_intent": one.position_intent,
        "time_in_force": one.time_in_force,
        "limit_price": _text(one.limit_price),
        "stop_price": _text(one.stop_price),
        "status": one.status,
        "extended_hours": one.extended_hours,
        "legs": legs,
        "trail_percent": _text(one.trail_percent),
        "trail_price": _text(one.trail_price),
        "hwm": _text(one.hwm),
        "ratio_qty": None,
        "subtag": None,
        "source": None,
    }


def trade_update(update: TradeUpdate) -> dict[str, Any]:
    """Write a message of the trading stream; price and quantity are those of this execution."""
    data: dict[str, Any] = {
        "event": update.event,
        "execution_id": update.execution_id,
        "timestamp": zulu(update.at),
        "order": order(update.order),
    }
    if update.qty is not None and update.price is not None:
        data["price"] = text(update.price)
        data["qty"] = text(update.qty)
        data["position_qty"] = text(update.position_qty)
    return {"stream": "trade_updates", "data": data}


def account(one: Account) -> dict[str, Any]:
    """Write an account."""
    return {
        "id": one.id,
        "account_number": one.account_number,
        "status": one.status,
        "crypto_status": "INACTIVE",
        "currency": one.currency,
        "cash": text(one.cash),
        "equity": text(one.equity),
        "portfolio_value": text(one.equity),
        "last_equity": text(one.last_equity),
        "long_market_value": text(one.long_market_value),
        "short_market_value": text(one.short_market_value),
        "initial_margin": text(one.initial_margin),
        "maintenance_margin": text(one.maintenance_margin),
        "last_maintenance_margin": text(one.last_maintenance_margin),
        "multiplier": str(one.multiplier),
        "buying_power": text(one.buying_power),
        "regt_buying_power": text(one.regt_buying_power),
        "non_marginable_buying_power": text(one.non_marginable_buying_power),
        "options_buying_power": NO_MONEY,
        "options_approved_level": 0,
        "options_trading_level": 0,
        "sma": text(one.sma),
        "accrued_fees": text(one.accrued_fees),
        "pending_reg_taf_fees": NO_MONEY,
        "pending_transfer_in": NO_MONEY,
        "pending_transfer_out": NO_MONEY,
        "intraday_adjustments": NO_MONEY,
        "balance_asof": one.balance_asof.isoformat(),
        "created_at": zulu(one.created_at),
        "shorting_enabled": one.shorting_enabled,
        "trading_blocked": one.trading_blocked,
        "transfers_blocked": one.transfers_blocked,
        "account_blocked": one.account_blocked,
        "trade_suspended_by_user": one.trade_suspended_by_user,
    }


def configuration(one: Configuration) -> dict[str, Any]:
    """Write an account's configuration; without a level of options if it has none."""
    return {name: value for name, value in asdict(one).items() if value is not None}


def position(one: Position) -> dict[str, Any]:
    """Write a position; everything of a short is negative but its prices."""
    return {
        "asset_id": one.asset_id,
        "symbol": one.symbol,
        "exchange": one.exchange,
        "asset_class": ASSET_CLASS,
        "asset_marginable": one.asset_marginable,
        "side": one.side,
        "qty": text(one.qty),
        "qty_available": text(one.qty_available),
        "avg_entry_price": text(one.avg_entry_price),
        "cost_basis": text(one.cost_basis),
        "market_value": text(one.market_value),
        "current_price": text(one.current_price),
        "lastday_price": text(one.lastday_price),
        "change_today": text(one.change_today),
        "unrealized_pl": text(one.unrealized_pl),
        "unrealized_plpc": text(one.unrealized_plpc),
        "unrealized_intraday_pl": text(one.unrealized_intraday_pl),
        "unrealized_intraday_plpc": text(one.unrealized_intraday_plpc),
    }


def activity(one: Activity) -> dict[str, Any]:
    """Write an activity: an execution, or a change of cash or shares without one."""
    if one.activity_type == "FILL":
        return {
            "id": one.id,
            "account_id": one.account_id,
            "activity_type": one.activity_type,
            "transaction_time": zulu(one.at),
            "type": one.fill,
            "price": _text(one.price),
            "qty": _text(one.qty),
            "side": one.side,
            "symbol": one.symbol,
            "leaves_qty": _text(one.leaves_qty),
            "cum_qty": _text(one.cum_qty),
            "order_id": one.order_id,
            "order_status": one.order_status,
        }
    optional = {
        "symbol": one.symbol,
        "qty": _text(one.qty),
        "per_share_amount": _text(one.per_share_amount),
    }
    return {
        "id": one.id,
        "account_id": one.account_id,
        "activity_type": one.activity_type,
        "date": one.at.astimezone(UTC).date().isoformat(),
        "created_at": zulu(one.at),
        "net_amount": text(one.net_amount or Decimal(0)),
        "description": one.description,
        "currency": "USD",
        "status": "executed",
        **{name: value for name, value in optional.items() if value is not None},
    }


def portfolio_history(one: PortfolioHistory) -> dict[str, Any]:
    """Write the history of an account's equity: here alone numbers are numbers."""
    written: dict[str, Any] = {
        "timestamp": [int(at.timestamp()) for at in one.timestamp],
        "equity": [float(value) for value in one.equity],
        "profit_loss": [float(value) for value in one.profit_loss],
        "profit_loss_pct": [float(value) for value in one.profit_loss_pct],
        "base_value": float(one.base_value),
        "timeframe": one.timeframe,
        "cashflow": {},
    }
    if one.base_value_asof is not None:
        written["base_value_asof"] = one.base_value_asof.isoformat()
    return written


def refusal(one: Refused) -> dict[str, Any]:
    """Write the body of a refusal; related orders are a list."""
    extra: dict[str, Any] = dict(one.extra)
    if "related_orders" in extra:
        extra["related_orders"] = [part for part in extra["related_orders"].split(",") if part]
    code = {} if one.code is None else {"code": one.code}
    return {**extra, **code, "message": one.message}


def text(value: Decimal) -> str:
    """Write a number without an exponent and without zeros that say nothing."""
    written = format(value, "f")
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    return "0" if written in ("-0", "") else written


def _text(value: Decimal | None) -> str | None:
    return None if value is None else text(value)


def _at(value: datetime | None) -> str | None:
    return None if value is None else zulu(value)


def _end_of_day(one: Order) -> datetime:
    _, _, close, extended = edges(one.valid_session)
    return extended if one.extended_hours else close
