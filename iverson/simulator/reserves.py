# SPDX-License-Identifier: GPL-3.0-or-later
"""What open orders hold back: shares of a position, and buying power.

The two exits of a bracket or oco hold their shares once. While a replacement is pending, the
larger of the old and the new order counts.
"""

from __future__ import annotations

from decimal import Decimal

from iverson.simulator.accounts import Books
from iverson.simulator.floor import Floor
from iverson.simulator.orders import ZERO, Order
from iverson.simulator.statements import cents


def holds(order: Order, floor: Floor) -> bool:
    """Tell whether an order holds shares or money back on its own account."""
    if order.is_ended or not order.active:
        return False
    if order.replaces is not None and not floor.orders[order.replaces].is_ended:
        return False
    if order.status == "held" or order.resting == "held":
        twins = (one for one in floor.family(order) if one.position_intent == order.position_intent)
        return not any(one.active and not one.is_ended for one in twins)
    return True


def held_shares(floor: Floor, account_id: str, symbol: str) -> tuple[Decimal, list[str]]:
    """Return the shares that exits of a position hold, and the orders that hold them."""
    total, orders = ZERO, []
    for order in floor.living(symbol, account_id):
        if order.opens or not holds(order, floor):
            continue
        total += max(order.remaining, _successor(order, floor))
        orders.append(order.id)
    return total, orders


def reserved(floor: Floor, account_id: str) -> Decimal:
    """Return the dollars of buying power that open entries take."""
    total = ZERO
    for ids in floor.alive.values():
        for order_id in ids:
            order = floor.orders[order_id]
            if order.account_id == account_id and order.opens and holds(order, floor):
                total += max(_cost(order), _successor(order, floor, dollars=True))
    return total


def buying_power(floor: Floor, books: Books) -> Decimal:
    """Return what the account may still spend on opening positions, in dollars, to the cent.

    Multiplier 4: four times yesterday's equity less maintenance, less what was opened since the
    close (or four times now's excess over 25 %, by switch). 2: twice equity less initial margin.
    1: cash. Open entries are taken off (Alpaca, Account Plans, before June 2026).
    """
    equity, switches = books.equity(floor.mark), floor.switches
    taken = reserved(floor, books.id)
    times = multiplier(floor, books)
    if times == 1:
        power = books.cash
    elif times == 2:
        power = max(equity - books.initial_margin(floor.mark, floor.market.asset), ZERO) * 2
    elif switches.buying_power == "current":
        gross = books.long_value(floor.mark) - books.short_value(floor.mark)
        power = max(equity * 4 - gross, ZERO)
    else:
        opened = sum(
            (
                max(abs(holding.qty) - abs(books.at_close.get(symbol, ZERO)), ZERO)
                * holding.average
                for symbol, holding in books.holdings.items()
            ),
            ZERO,
        )
        power = (books.last_equity - books.last_maintenance) * 4 - opened
    return cents(max(power - taken, ZERO))


def multiplier(floor: Floor, books: Books) -> int:
    """Return the account's multiplier by its equity now."""
    return books.multiplier(
        books.equity(floor.mark),
        margin_from=floor.switches.margin_equity,
        four_from=floor.switches.four_times_equity,
    )


def _cost(order: Order) -> Decimal:
    if order.qty is None:
        return order.notional or ZERO if not order.filled_qty else ZERO
    return order.remaining * order.reserve_price


def _successor(order: Order, floor: Floor, *, dollars: bool = False) -> Decimal:
    if order.replaced_by is None:
        return ZERO
    new = floor.orders[order.replaced_by]
    return ZERO if new.is_ended else _cost(new) if dollars else new.remaining
