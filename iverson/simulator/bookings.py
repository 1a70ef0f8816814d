# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into an account's books besides trades, and the form of an activity's id."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from iverson.simulator.accounts import Books
from iverson.simulator.events import AccountChange
from iverson.simulator.floor import Floor
from iverson.simulator.orders import ZERO
from iverson.simulator.schedule import ZONE
from iverson.simulator.statements import CENT, Activity

# Alpaca's fee schedule of 2026-09-17: SEC on the proceeds and TAF on the shares of sales, CAT on
# all shares. Charged per day, rounded up to the cent.
SEC_RATE = Decimal("0.0000206")
TAF_RATE, TAF_CAP = Decimal("0.000195"), Decimal("9.79")
CAT_RATE = Decimal("0.000003")


def open_books(floor: Floor, key: str, cash: Decimal, *, paper: bool) -> Books:
    """Open an account with cash; its id follows from the seed and the order of opening."""
    account_id = floor.new_id("account")
    digits = int(floor.draw("account number", account_id) * 10**9)
    books = Books(
        id=account_id,
        number=f"PA{digits:09d}" if paper else f"{digits:09d}",
        key=key,
        paper=paper,
        created_at=floor.now,
        cash=cash,
        last_equity=cash,
        balance_asof=floor.schedule.session_on_or_after(floor.now),
    )
    floor.accounts[account_id] = books
    floor.of_account[account_id] = []
    books.note(floor.now)
    note(floor, books, "opened", "paper" if paper else "live", cash=cash)
    return books


def note(floor: Floor, books: Books, change: str, words: str, *, cash: Decimal = ZERO) -> None:
    """Tell a change of an account that is no activity."""
    floor.emit(AccountChange(books.id, change, None, cash, ZERO, words, floor.now))


def activity_id(floor: Floor) -> str:
    """Return Alpaca's form of an activity's id: New York's time to the millisecond, and a UUID."""
    local = floor.now.astimezone(ZONE)
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}::{floor.new_id('activity')}"


def book(
    floor: Floor,
    books: Books,
    change: str,
    activity_type: str,
    *,
    cash: Decimal = ZERO,
    symbol: str | None = None,
    qty: Decimal = ZERO,
    per_share: Decimal | None = None,
    note: str = "",
) -> None:
    """Book cash or shares that no order brought: tell it, and add the activity."""
    books.cash += cash
    books.note(floor.now)
    books.activities.append(
        Activity(
            id=activity_id(floor),
            account_id=books.id,
            activity_type=activity_type,
            at=floor.now,
            symbol=symbol,
            qty=qty or None,
            net_amount=cash,
            per_share_amount=per_share,
            description=note,
        )
    )
    floor.emit(AccountChange(books.id, change, symbol, cash, qty, note, floor.now))


def fees(qty: Decimal, price: Decimal, *, selling: bool) -> Decimal:
    """Return the regulatory fees of one execution in dollars, unrounded."""
    total = qty * CAT_RATE
    if selling:
        total += qty * price * SEC_RATE + min(qty * TAF_RATE, TAF_CAP)
    return total


def charge_fees(floor: Floor) -> None:
    """Take the day's regulatory fees from every account, rounded up to the cent."""
    for books in floor.accounts.values():
        if books.fees:
            fee = books.fees.quantize(CENT, ROUND_CEILING)
            books.fees = ZERO
            book(floor, books, "fee", "FEE", cash=-fee)
