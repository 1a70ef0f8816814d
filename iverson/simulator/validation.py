# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a request by itself: sizes, prices, types, times in force, classes.

Statuses and codes are those of the documents and of field reports; the wording is the exchange's
and may change, so clients should look at status and code.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from iverson.simulator.assets import Asset
from iverson.simulator.orders import STOPS
from iverson.simulator.path import GRID
from iverson.simulator.requests import OrderRequest, Refused
from iverson.simulator.settings import Switches

CENT = Decimal("0.01")
NINE = Decimal("0.000000001")
LONGEST_ID = 128
LARGEST = Decimal(1_000_000_000)
IMMEDIATE_OR_AUCTION = frozenset({"ioc", "fok", "opg", "cls"})


def malformed(message: str) -> Refused:
    """Return the refusal of a request whose fields do not fit together."""
    return Refused(422, 40010001, message)


def unacceptable(message: str, **extra: str) -> Refused:
    """Return the refusal of a well-formed request that the rules do not allow."""
    return Refused(422, 42210000, message, **extra)


def check_request(request: OrderRequest, asset: Asset, switches: Switches) -> None:
    """Raise `Refused` for the first thing that is wrong with a request by itself."""
    check_client_id(request.client_order_id)
    _check_size(request, switches)
    _check_prices(request)
    _check_class(request)
    _check_time_in_force(request, switches)
    if is_fractional(request):
        _check_fractional(request, asset)


def check_client_id(client_order_id: str | None) -> None:
    """Refuse a client order id that is too long."""
    if client_order_id is not None and len(client_order_id) > LONGEST_ID:
        raise malformed(f"client_order_id must be no more than {LONGEST_ID} characters")


def is_fractional(request: OrderRequest) -> bool:
    """Tell whether a request is for dollars, or for parts of shares."""
    return request.notional is not None or (request.qty is not None and request.qty % 1 != 0)


def check_increments(prices: Iterable[tuple[str, Decimal | None]]) -> None:
    """Refuse prices of 0 or less, and finer than 0.01 from $1 on or 0.0001 below (Reg NMS 612)."""
    for name, price in prices:
        if price is None:
            continue
        if not price.is_finite() or price <= 0:
            raise malformed(f"{name} must be > 0")
        if price > LARGEST:
            raise malformed(f"{name} must be no more than {LARGEST}")
        if price % (CENT if price >= 1 else GRID):
            raise unacceptable(
                f"invalid {name} {price}. sub-penny increment does not fulfill minimum pricing "
                "criteria"
            )


def _check_size(request: OrderRequest, switches: Switches) -> None:
    qty, notional = request.qty, request.notional
    if qty is not None and notional is not None:
        status = switches.qty_and_notional_status
        raise Refused(status, 40010001, "only one of qty or notional is accepted")
    if qty is None and notional is None:
        raise malformed("qty or notional is required")
    if qty is not None:
        if not qty.is_finite() or qty <= 0:
            raise malformed("qty must be > 0")
        if qty > LARGEST:
            raise malformed(f"qty must be no more than {LARGEST}")
        if qty % NINE:
            raise malformed("qty must have at most 9 decimal places")
    if notional is not None:
        if not notional.is_finite() or notional < 1:
            raise unacceptable("notional must be >= 1.00")
        if notional > LARGEST:
            raise malformed(f"notional must be no more than {LARGEST}")
        if notional % NINE:
            raise malformed("notional must have at most 9 decimal places")


def _check_prices(request: OrderRequest) -> None:
    _check_fields(request)
    _check_trail(request)
    check_increments(
        [
            ("limit_price", request.limit_price),
            ("stop_price", request.stop_price),
            ("take_profit.limit_price", request.target_limit_price),
            ("stop_loss.stop_price", request.stop_loss_stop_price),
            ("stop_loss.limit_price", request.stop_loss_limit_price),
        ]
    )


def _check_fields(request: OrderRequest) -> None:
    kind, limit, stop = request.type, request.limit_price, request.stop_price
    if kind == "market" and (limit is not None or stop is not None):
        raise malformed("market orders require no stop or limit price")
    if kind == "limit":
        if limit is None and request.order_class != "oco":
            raise malformed("limit orders require a limit price")
        if stop is not None:
            raise malformed("limit orders require no stop price")
    if kind == "stop":
        if stop is None:
            raise malformed("stop orders require a stop price")
        if limit is not None:
            raise malformed("stop orders require no limit price")
    if kind == "stop_limit" and (limit is None or stop is None):
        raise malformed("stop limit orders require both stop and limit price")


def _check_trail(request: OrderRequest) -> None:
    trails = [one for one in (request.trail_price, request.trail_percent) if one is not None]
    if request.type != "trailing_stop":
        if trails:
            raise malformed(f"{request.type} orders require no trail_price or trail_percent")
        return
    if len(trails) != 1:
        raise malformed("trailing stop orders require exactly one of trail_price, trail_percent")
    if not trails[0].is_finite() or trails[0] <= 0:
        raise malformed("trail must be > 0")
    if request.trail_percent is not None and request.trail_percent >= 100:
        raise malformed("trail_percent must be < 100")
    if request.limit_price is not None or request.stop_price is not None:
        raise malformed("trailing stop orders require no stop or limit price")


def _check_class(request: OrderRequest) -> None:
    name = request.order_class
    target, stop = request.target_limit_price, request.stop_loss_stop_price
    if stop is None and request.stop_loss_limit_price is not None:
        raise unacceptable(f"{name} orders require stop_loss.stop_price")
    if name == "simple":
        if target is not None or stop is not None:
            raise malformed("simple orders require no take_profit or stop_loss")
        return
    if name == "oco" and request.type != "limit":
        raise malformed("oco orders must be limit orders")
    if request.type not in ("market", "limit"):
        raise malformed(f"{name} orders must be market or limit orders")
    _check_legs_present(name, target, stop)
    if request.extended_hours:
        raise unacceptable(f"{name} orders do not support extended hours")
    if request.time_in_force not in ("day", "gtc"):
        raise unacceptable(f"{name} orders must be DAY or GTC orders")
    if is_fractional(request):
        raise unacceptable("fractional orders must be simple orders")
    check_exits(name, target, stop, selling=(request.side == "buy") != (name == "oco"))


def _check_legs_present(name: str, target: Decimal | None, stop: Decimal | None) -> None:
    if name == "oto":
        if (target is None) == (stop is None):
            raise unacceptable(
                "oto orders require exactly one of take_profit.limit_price, stop_loss.stop_price"
            )
        return
    if target is None:
        raise unacceptable(f"{name} orders require take_profit.limit_price")
    if stop is None:
        raise unacceptable(f"{name} orders require stop_loss.stop_price")


def check_exits(name: str, target: Decimal | None, stop: Decimal | None, *, selling: bool) -> None:
    """Refuse a target on the wrong side of its stop; `selling` closes a long position."""
    if target is None or stop is None:
        return
    if selling and target <= stop:
        raise unacceptable(f"{name} orders require take_profit.limit_price > stop_loss.stop_price")
    if not selling and target >= stop:
        raise unacceptable(f"{name} orders require take_profit.limit_price < stop_loss.stop_price")


def _check_time_in_force(request: OrderRequest, switches: Switches) -> None:
    kind, force = request.type, request.time_in_force
    if request.extended_hours:
        allowed = ("day", "gtc") if switches.extended_gtc else ("day",)
        if kind != "limit" or force not in allowed:
            words = " or ".join(word.upper() for word in allowed)
            raise unacceptable(f"extended hours order must be {words} limit orders")
    if force in IMMEDIATE_OR_AUCTION:
        if kind in STOPS:
            raise unacceptable(f"{kind} orders must be DAY or GTC orders")
        if not switches.allow_immediate_and_auction:
            raise unacceptable(f"time_in_force {force} is not enabled for this account")


def _check_fractional(request: OrderRequest, asset: Asset) -> None:
    if not asset.fractionable:
        raise unacceptable("requested asset is not fractionable")
    if request.time_in_force != "day":
        raise unacceptable("fractional orders must be DAY orders")
    if request.type == "trailing_stop":
        raise unacceptable("fractional orders must be market, limit, stop or stop limit orders")
