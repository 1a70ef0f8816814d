# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements of an account, made when they are asked for."""

from __future__ import annotations

from decimal import Decimal

from iverson.simulator.accounts import Books
from iverson.simulator.floor import Floor
from iverson.simulator.orders import ZERO
from iverson.simulator.positions import Holding
from iverson.simulator.requests import Refused
from iverson.simulator.reserves import buying_power, held_shares, multiplier, reserved
from iverson.simulator.statements import Account, Position, cents

FRACTION = Decimal("0.000001")


def account_statement(floor: Floor, books: Books) -> Account:
    """Return the figures of an account now, money to the cent.

    Cash and the two market values are rounded first, so that equity is exactly their sum.
    """
    price, asset = floor.mark, floor.market.asset
    cash, long_value = cents(books.cash), cents(books.long_value(price))
    short_value = cents(books.short_value(price))
    equity = cash + long_value + short_value
    initial, taken = books.initial_margin(price, asset), reserved(floor, books.id)
    blocked = books.flags["account_blocked"] or books.flags["trading_blocked"]
    shorts = not books.configuration.no_shorting and equity >= floor.switches.margin_equity
    return Account(
        id=books.id,
        account_number=books.number,
        key=books.key,
        paper=books.paper,
        status="ACTIVE",
        currency="USD",
        created_at=books.created_at,
        balance_asof=books.balance_asof,
        cash=cash,
        equity=equity,
        last_equity=cents(books.last_equity),
        long_market_value=long_value,
        short_market_value=short_value,
        initial_margin=cents(initial),
        maintenance_margin=cents(books.maintenance_margin(price, asset)),
        last_maintenance_margin=cents(books.last_maintenance),
        multiplier=multiplier(floor, books),
        buying_power=ZERO if blocked else buying_power(floor, books),
        regt_buying_power=cents(max((equity - initial) * 2 - taken, ZERO)),
        non_marginable_buying_power=cents(max(books.cash - taken, ZERO)),
        sma=cents(max(equity - initial, ZERO)),
        accrued_fees=cents(books.fees),
        shorting_enabled=shorts,
        trading_blocked=books.flags["trading_blocked"],
        transfers_blocked=books.flags["transfers_blocked"],
        account_blocked=books.flags["account_blocked"],
        trade_suspended_by_user=books.configuration.suspend_trade,
        configuration=books.configuration,
    )


def position_statement(floor: Floor, books: Books, symbol: str) -> Position:
    """Return one position; `Refused` 404 if there is none."""
    holding = books.holdings.get(symbol)
    if holding is None or not holding.qty:
        raise Refused(404, 40410000, "position does not exist")
    asset = floor.market.asset(symbol)
    assert asset is not None, f"{symbol} is held and not listed"
    price = floor.mark(symbol)
    before = floor.closes.get(symbol, price)
    value, profit = holding.qty * price, holding.qty * price - holding.cost
    intraday, base = _today(holding, price, before)
    held, _ = held_shares(floor, books.id, symbol)
    available = max(abs(holding.qty) - held, ZERO)
    return Position(
        symbol=symbol,
        asset_id=asset.id,
        exchange=asset.exchange,
        asset_marginable=asset.marginable,
        side="long" if holding.qty > 0 else "short",
        qty=holding.qty,
        qty_available=available.copy_sign(holding.qty) if available else ZERO,
        avg_entry_price=holding.average.quantize(FRACTION),
        cost_basis=holding.cost.quantize(FRACTION),
        market_value=value,
        current_price=price,
        lastday_price=before,
        change_today=(price / before - 1).quantize(FRACTION),
        unrealized_pl=profit.quantize(FRACTION),
        unrealized_plpc=_share(profit, holding.cost),
        unrealized_intraday_pl=intraday.quantize(FRACTION),
        unrealized_intraday_plpc=_share(intraday, base),
    )


def _today(holding: Holding, price: Decimal, before: Decimal) -> tuple[Decimal, Decimal]:
    """Return today's profit of a position and the value it is measured against.

    Shares from before today count from the last close, the others from what they cost.
    """
    old = holding.from_before
    new = holding.qty - old
    paid = new * (holding.today.cost / holding.today.qty if holding.today.qty else before)
    base = old * before + paid
    return holding.qty * price - base, base


def _share(part: Decimal, whole: Decimal) -> Decimal:
    return (part / abs(whole)).quantize(FRACTION) if whole else ZERO
