# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands against a sound request: the account, its position, its other orders, the market.

Raises `Refused` with Alpaca's status and code; returns what the exchange has to know to take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal

from iverson.simulator.accounts import Books
from iverson.simulator.assets import Asset
from iverson.simulator.bookings import note
from iverson.simulator.floor import Floor
from iverson.simulator.matching import collar, quoted
from iverson.simulator.orders import ZERO, Intent, Side
from iverson.simulator.path import trailing_stop
from iverson.simulator.requests import OrderRequest, Refused
from iverson.simulator.reserves import buying_power, held_shares
from iverson.simulator.schedule import new_york
from iverson.simulator.validation import CENT, is_fractional, unacceptable
from iverson.simulator.wash import refuse_wash_trade

SHORT_MARKUP = Decimal("1.03")
FOUR_PM = time(16)


def forbidden(message: str, **extra: str) -> Refused:
    """Return the refusal of a request that this account may not make now."""
    return Refused(403, 40310000, message, **extra)


@dataclass(frozen=True, slots=True)
class Admitted:
    """What follows from the account and the market for an order that is taken."""

    intent: Intent
    reserve_price: Decimal
    stop_price: Decimal | None
    hwm: Decimal | None


def intent_of(side: Side, position: Decimal) -> Intent:
    """Return what an order does to a position: a buy closes a short, a sell closes a long."""
    if side == "buy":
        return "buy_to_close" if position < 0 else "buy_to_open"
    return "sell_to_close" if position > 0 else "sell_to_open"


def admit(floor: Floor, books: Books, request: OrderRequest, asset: Asset) -> Admitted:
    """Check a request against the account and the market."""
    intent = intent_of(request.side, books.qty(request.symbol))
    opening = intent in ("buy_to_open", "sell_to_open")
    _check_account(floor, books, request, opening=opening)
    if request.position_intent not in (None, intent):
        raise unacceptable(
            f"position intent mismatch, inferred: {intent}, specified: {request.position_intent}"
        )
    check_window(floor, request.time_in_force)
    price = floor.price(request.symbol)
    if price is None and request.type != "limit":
        # Alpaca's rule for IPOs; here nothing of the symbol's history has begun.
        raise unacceptable(f"only limit orders are accepted before {request.symbol} first trades")
    hwm = price if request.type == "trailing_stop" else None
    stop = request.stop_price
    if hwm is not None:
        percent = request.trail_percent
        stop = trailing_stop(
            hwm,
            dollars=request.trail_price,
            fraction=None if percent is None else percent / 100,
            selling=request.side == "sell",
        )
        if stop <= 0:
            raise unacceptable("trail must leave a stop price above 0")
    elif stop is not None:
        check_stop_side(floor, request.side, stop, price)
    check_price_away(floor, request.limit_price, price)
    _check_class(request, price, opening=opening)
    if request.order_class == "simple":
        others = floor.living(request.symbol, books.id)
        refuse_wash_trade(request.side, request.type, request.limit_price, others)
    limit = request.target_limit_price if request.order_class == "oco" else request.limit_price
    cap = collar(request.side, request.type, stop, floor.switches)
    if opening:
        reserve = reserve_price(floor, request.side, limit or cap, stop, price)
        _check_opening(floor, books, request, asset, reserve)
    else:
        _check_dollar_exits(floor, books, request)
        reserve = price or limit or ZERO
        wanted = request.qty if request.qty is not None else _shares(request, reserve)
        check_available(floor, books, request.symbol, wanted)
    return Admitted(intent, reserve, stop, hwm)


def reserve_price(
    floor: Floor,
    side: Side,
    limit: Decimal | None,
    stop: Decimal | None,
    price: Decimal | None,
) -> Decimal:
    """Return what one share is reckoned at in dollars before it is traded.

    A buy: its limit, else its stop, else the ask in regular hours and the last trade outside. A
    sale: the larger of its limit and 3 % above the ask.
    """
    regular = floor.schedule.phase(floor.now) == "regular"
    ask = ZERO if price is None else quoted(price, "buy", floor.switches) if regular else price
    if side == "sell":
        return max(limit or ZERO, ask * SHORT_MARKUP)
    return limit or stop or ask


def check_available(floor: Floor, books: Books, symbol: str, wanted: Decimal) -> None:
    """Refuse to close more shares than the position has and no other order holds."""
    position = abs(books.qty(symbol))
    held, orders = held_shares(floor, books.id, symbol)
    available = max(position - held, ZERO)
    if wanted > available:
        raise forbidden(
            f"insufficient qty available for order (requested: {plain(wanted)}, "
            f"available: {plain(available)})",
            available=plain(available),
            existing_qty=plain(position),
            held_for_orders=plain(held),
            symbol=symbol,
            related_orders=",".join(orders),
        )


def check_cost(floor: Floor, books: Books, cost: Decimal) -> None:
    """Refuse what costs more dollars than the account may spend."""
    power = buying_power(floor, books)
    if cost > power:
        raise forbidden(
            "insufficient buying power", buying_power=f"{power}", cost_basis=plain(cost)
        )


def check_stop_side(floor: Floor, side: Side, stop: Decimal, price: Decimal | None) -> None:
    """Refuse a stop that the market has passed already."""
    if price is None or not floor.switches.check_stop_side:
        return
    if side == "sell" and stop >= price:
        words = "stop price must be less than current price"
    elif side == "buy" and stop <= price:
        words = "stop price must be greater than current price"
    else:
        return
    raise unacceptable(words, market_price=plain(price), stop_price=plain(stop))


def check_price_away(floor: Floor, limit: Decimal | None, price: Decimal | None) -> None:
    """Refuse a limit too far from the market, where the switch says how far that is."""
    away = floor.switches.price_away
    if away is not None and limit is not None and price and abs(limit - price) > price * away:
        raise unacceptable("limit price is too far away from the market", market_price=plain(price))


def check_window(floor: Floor, force: str) -> None:
    """Refuse auction orders between their cut-off and the evening."""
    if force not in ("opg", "cls"):
        return
    at, schedule, switches = floor.now, floor.schedule, floor.switches
    session = schedule.session_on_or_after(at)
    cutoff = new_york(session, switches.opg_cutoff)
    if force == "cls":
        before = _since(switches.cls_cutoff, FOUR_PM)  # half days close early
        cutoff = schedule.day(session).close - before
    if cutoff <= at < new_york(session, switches.evening_start):
        clock = switches.opg_cutoff if force == "opg" else switches.cls_cutoff
        shown = f"{(clock.hour - 1) % 12 + 1}:{clock.minute:02d}{'am' if clock.hour < 12 else 'pm'}"
        raise forbidden(f"{force} orders must be submitted after 7:00pm and before {shown}")


def plain(number: Decimal) -> str:
    """Write a number without exponent and without zeros at its end."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _check_account(floor: Floor, books: Books, request: OrderRequest, *, opening: bool) -> None:
    if books.flags["account_blocked"] or books.flags["trading_blocked"]:
        raise forbidden("account is not allowed to trade")
    if books.configuration.suspend_trade:
        raise forbidden("new orders are rejected by user request")
    if is_fractional(request) and not books.configuration.fractional_trading:
        raise forbidden("fractional trading is disabled")
    equity, rule = books.equity(floor.mark), floor.switches.position_over_equity
    if (
        rule is not None
        and not books.restricted
        and any(
            abs(holding.qty) * floor.mark(symbol) > rule * equity
            for symbol, holding in books.holdings.items()
        )
    ):
        books.restricted = True
        note(floor, books, "restricted", "a position is too large for the equity")
    if books.restricted and opening:
        raise forbidden("account is restricted to closing transactions")
    allowed = floor.switches.day_trades_allowed
    if allowed is None or opening or equity >= floor.switches.day_trade_equity:
        return
    if request.symbol in books.holdings and books.holdings[request.symbol].today.qty:
        today = floor.schedule.session_on_or_after(floor.now)
        since = floor.schedule.calendar.offset(today, -4)
        if sum(session >= since for session, _ in books.day_trades) >= allowed:
            raise Refused(403, 40310100, "trade denied due to pattern day trading protection")


def _check_class(request: OrderRequest, price: Decimal | None, *, opening: bool) -> None:
    name = request.order_class
    if name == "simple":
        return
    if name == "oco" and opening:
        raise unacceptable("oco orders must be exit orders")
    if name != "oco" and not opening:
        raise unacceptable(f"{name} orders must be entry orders")
    base = request.target_limit_price if name == "oco" else request.limit_price
    selling = (request.side == "buy") != (name == "oco")
    target, stop = request.target_limit_price, request.stop_loss_stop_price
    if stop is not None:
        for reference in (base, price):
            check_base_price(stop, reference, selling=selling)
    entry = request.limit_price if request.limit_price is not None else price
    if name != "oco" and target is not None and entry is not None:
        if selling and target < entry + CENT:
            words = "take_profit.limit_price must be >= base_price + 0.01"
        elif not selling and target > entry - CENT:
            words = "take_profit.limit_price must be <= base_price - 0.01"
        else:
            return
        raise unacceptable(words, base_price=plain(entry))


def check_base_price(stop: Decimal, base: Decimal | None, *, selling: bool) -> None:
    """Refuse a stop loss less than a cent beyond its base price."""
    if base is None:
        return
    if selling and stop > base - CENT:
        words = "stop_loss.stop_price must be <= base_price - 0.01"
    elif not selling and stop < base + CENT:
        words = "stop_loss.stop_price must be >= base_price + 0.01"
    else:
        return
    raise unacceptable(words, base_price=plain(base))


def _check_opening(
    floor: Floor, books: Books, request: OrderRequest, asset: Asset, reserve: Decimal
) -> None:
    other: Side = "sell" if request.side == "buy" else "buy"
    for order in floor.living(request.symbol, books.id):
        if order.side == other and order.opens:
            ours, theirs = ("long buy", "short sell")
            if request.side == "sell":
                ours, theirs = ("short sell", "long buy")
            raise forbidden(f"cannot open a {ours} while a {theirs} order is open")
    if request.side == "sell":
        _check_short(floor, books, request)
    cost = request.notional if request.qty is None else request.qty * reserve
    assert cost is not None, "a checked request has a size"
    if not asset.marginable and cost > books.cash:
        power = max(books.cash, ZERO).quantize(CENT)
        raise forbidden(
            "insufficient buying power", buying_power=f"{power}", cost_basis=plain(cost)
        )
    check_cost(floor, books, cost)


def _check_short(floor: Floor, books: Books, request: OrderRequest) -> None:
    if is_fractional(request):
        raise unacceptable("fractional orders cannot be sold short")
    if (
        books.configuration.no_shorting
        or books.equity(floor.mark) < floor.switches.margin_equity
        or books.configuration.max_margin_multiplier == "1"
    ):
        raise forbidden("account is not allowed to short")
    if not floor.is_easy(request.symbol):
        raise unacceptable(f'asset "{request.symbol}" cannot be sold short')


def _check_dollar_exits(floor: Floor, books: Books, request: OrderRequest) -> None:
    """Outside regular hours dollars are sold only when nothing else is for sale, and then alone."""
    if floor.schedule.phase(floor.now) == "regular":
        return
    exits = [one for one in floor.living(request.symbol, books.id) if not one.opens]
    if exits and (request.notional is not None or any(one.notional is not None for one in exits)):
        raise forbidden(
            "unable to open new notional orders while having open closing position orders"
        )


def _shares(request: OrderRequest, reserve: Decimal) -> Decimal:
    assert request.notional is not None, "a checked request has a size"
    return (request.notional / reserve).quantize(Decimal("0.000000001"))


def _since(earlier: time, later: time) -> timedelta:
    day = datetime(2000, 1, 1)  # noqa: DTZ001 (two wall clocks of one day; only their distance counts)
    return datetime.combine(day, later) - datetime.combine(day, earlier)
