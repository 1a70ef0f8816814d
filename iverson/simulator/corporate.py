# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens overnight: the books are redone, splits and dividends take effect.

At 02:30 New York of the ex-date. A reverse split cancels gtc orders; a forward split adjusts gtc
buy limits and sell stops in price and size. Legs of brackets are DNR/DNC: nothing touches them, so
a stop meant for the old price meets the new one at the open. Paper pays no dividend.
"""

from __future__ import annotations

from datetime import date
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

from iverson.simulator.bookings import book
from iverson.simulator.brackets import end_order
from iverson.simulator.events import CorporateAction
from iverson.simulator.floor import PENDING, Floor
from iverson.simulator.matching import TICK, collar
from iverson.simulator.orders import STOPS, ZERO, Order
from iverson.simulator.path import GRID, on_grid
from iverson.simulator.statements import cents

LARGEST_RATIO_PART = 1000


def overnight(floor: Floor, session: date) -> None:
    """Redo the books of the session before, then apply the corporate actions of this one."""
    for books in floor.accounts.values():
        for holding in books.holdings.values():
            holding.end_day()
    for symbol, ratio in sorted(floor.market.splits_on(session).items()):
        exact = Fraction(ratio).limit_denominator(LARGEST_RATIO_PART)
        _split(floor, symbol, exact, session)
    if floor.switches.dividends or floor.switches.reduce_for_dividends:
        for symbol, dollars in sorted(floor.market.dividends_on(session).items()):
            _dividend(floor, symbol, on_grid(dollars), session)


def _split(floor: Floor, symbol: str, ratio: Fraction, session: date) -> None:
    new, old = ratio.numerator, ratio.denominator
    price = floor.price(symbol)
    if price is not None:
        floor.marks[symbol] = float(price * old / new)
    if symbol in floor.closes:
        floor.closes[symbol] = floor.closes[symbol] * old / new
    value = Decimal(new) / old
    floor.emit(CorporateAction(symbol, "split", value, session, floor.now))
    for books in floor.accounts.values():
        holding = books.holdings.get(symbol)
        if holding is None:
            continue
        before = holding.qty
        given_up = _fraction(before, new, old)
        holding.split(new, old, given_up)
        books.at_close[symbol] = books.at_close.get(symbol, before) * new / old
        note = f"{new} new for {old} old"
        book(floor, books, "split", "SPLIT", symbol=symbol, qty=holding.qty - before, note=note)
        if given_up:
            paid = cents((given_up * floor.mark(symbol)).copy_sign(before))
            book(
                floor,
                books,
                "cash in lieu",
                "REORG",
                cash=paid,
                symbol=symbol,
                note="cash in lieu of a fraction",
            )
    for order in floor.living(symbol):
        if order.time_in_force != "gtc" or order.is_complex or _waits(order):
            continue
        if new < old:
            end_order(floor, order, "canceled")
        elif _adjusts(order):
            _restate(floor, order, new, old)


def _fraction(qty: Decimal, new: int, old: int) -> Decimal:
    """Whole shares stay whole: the part of a share that a split leaves, at least 0."""
    after = abs(qty) * new / old
    if qty % 1:
        return after - after.quantize(Decimal("0.000000001"), ROUND_FLOOR)
    return after - after.quantize(Decimal(1), ROUND_FLOOR)


def _adjusts(order: Order) -> bool:
    if order.side == "buy":
        return order.type == "limit"
    return order.type in STOPS and order.type != "trailing_stop"


def _waits(order: Order) -> bool:
    return order.status == "pending_new" or order.status in PENDING


def _restate(floor: Floor, order: Order, new: int, old: int) -> None:
    assert order.qty is not None, "gtc orders are for whole shares"
    left = (order.remaining * new / old).quantize(Decimal(1), ROUND_FLOOR)
    limit, stop = (
        None if price is None else _to_tick(price * old / new)
        for price in (order.limit_price, order.stop_price)
    )
    floor.change(
        order,
        order.status,
        "restated",
        qty=order.filled_qty + left,
        limit_price=limit,
        stop_price=stop,
        collar=collar(order.side, order.type, stop, floor.switches),
        reserve_price=order.reserve_price * old / new,
    )


def _dividend(floor: Floor, symbol: str, dollars: Decimal, session: date) -> None:
    floor.emit(CorporateAction(symbol, "dividend", dollars, session, floor.now))
    if floor.switches.dividends:
        for books in floor.accounts.values():
            qty = books.qty(symbol)
            if qty:
                book(
                    floor,
                    books,
                    "dividend",
                    "DIV",
                    cash=cents(qty * dollars),
                    symbol=symbol,
                    per_share=dollars,
                )
    if not floor.switches.reduce_for_dividends:
        return
    for order in floor.living(symbol):
        if order.time_in_force != "gtc" or order.is_complex or _waits(order):
            continue
        if order.side == "buy" and order.type == "limit" and order.limit_price is not None:
            lower = _to_tick(order.limit_price - dollars)
            if lower > ZERO:
                floor.change(order, order.status, "restated", limit_price=lower)


def _to_tick(price: Decimal) -> Decimal:
    """Round a price down to a tick that an order may have."""
    return price.quantize(TICK if price >= 1 else GRID, ROUND_FLOOR)
