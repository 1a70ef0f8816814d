# SPDX-License-Identifier: GPL-3.0-or-later
"""The trading API: /v2/account, /v2/orders and /v2/positions, over the exchange's own answers.

The door has asked for keys; `account_id` in a request's scope is the account that may be touched.
Reads may be those of some steps ago, when the script lets REST lag behind the stream.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from iverson.simulator import forms, render
from iverson.simulator.orders import Order
from iverson.simulator.requests import Refused
from iverson.simulator.venue import Venue

CONFIGURABLE: dict[str, tuple[str, ...]] = {
    "max_margin_multiplier": ("1", "2", "4"),
    "trade_confirm_email": ("all", "none"),
}
FLAGS = (
    "fractional_trading",
    "no_shorting",
    "suspend_trade",
    "ptp_no_exception_entry",
    "disable_overnight_trading",
)
LARGEST_PAGE = 100


def routes(venue: Venue) -> list[Route]:
    """Return the routes of the trading API of one venue."""
    rest = TradingApi(venue)
    return [
        Route("/v2/account", rest.account, methods=["GET"]),
        Route("/v2/account/configurations", rest.configurations, methods=["GET", "PATCH"]),
        Route("/v2/account/activities", rest.activities, methods=["GET"]),
        Route("/v2/account/activities/{kind}", rest.activities, methods=["GET"]),
        Route("/v2/account/portfolio/history", rest.portfolio_history, methods=["GET"]),
        Route("/v2/orders", rest.orders, methods=["GET", "POST", "DELETE"]),
        Route("/v2/orders:by_client_order_id", rest.by_client_order_id, methods=["GET"]),
        Route("/v2/orders/{order_id}", rest.order, methods=["GET", "PATCH", "DELETE"]),
        Route("/v2/positions", rest.positions, methods=["GET", "DELETE"]),
        Route("/v2/positions/{symbol}", rest.position, methods=["GET", "DELETE"]),
    ]


async def on_refused(_: Request, error: Exception) -> Response:
    """Answer a refusal of the exchange."""
    assert isinstance(error, Refused)
    return JSONResponse(render.refusal(error), error.status)


class TradingApi:
    """The handlers of one venue."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._exchange = venue.exchange

    async def account(self, request: Request) -> Response:
        """Answer GET /v2/account."""
        seen = self._venue.past.seen(_id(request))
        return _json(render.account(seen.account))

    async def configurations(self, request: Request) -> Response:
        """Answer GET and PATCH /v2/account/configurations."""
        if request.method == "GET":
            return _json(render.configuration(self._exchange.account(_id(request)).configuration))
        body = forms.body_of(await request.body())
        changes: dict[str, Any] = {name: forms.flag(body, name) for name in FLAGS if name in body}
        for name, known in CONFIGURABLE.items():
            if name in body:
                if str(body[name]) not in known:
                    raise forms.refused(f"invalid {name}")
                changes[name] = str(body[name])
        return _json(render.configuration(self._exchange.configure(_id(request), **changes)))

    async def activities(self, request: Request) -> Response:
        """Answer GET /v2/account/activities, of one type, of some, or of all."""
        query = request.query_params
        kind = request.path_params.get("kind") or query.get("activity_types", "")
        on = forms.day(query, "date")
        size = forms.whole(query, "page_size", LARGEST_PAGE, least=1, most=LARGEST_PAGE)
        direction = query.get("direction") or "desc"
        if direction not in forms.DIRECTIONS:
            raise forms.refused("invalid direction")
        rows = self._exchange.activities(
            _id(request),
            types=[one.strip() for one in kind.split(",") if one.strip()],
            on=on,
            after=forms.instant(query, "after"),
            until=forms.instant(query, "until"),
            direction=direction,
            page_size=size,
            page_token=query.get("page_token") or None,
        )
        return _json([render.activity(row) for row in rows])

    async def portfolio_history(self, request: Request) -> Response:
        """Answer GET /v2/account/portfolio/history."""
        query = request.query_params
        found = self._exchange.portfolio_history(
            _id(request),
            period=query.get("period") or None,
            timeframe=query.get("timeframe") or None,
            start=forms.instant(query, "start"),
            end=forms.instant(query, "end"),
            extended_hours=forms.flag(query, "extended_hours")
            or query.get("intraday_reporting") == "extended_hours",
        )
        return _json(render.portfolio_history(found))

    async def orders(self, request: Request) -> Response:
        """Answer GET, POST and DELETE /v2/orders."""
        if request.method == "POST":
            asked = forms.order_request(forms.body_of(await request.body()))
            return _json(render.order(self._exchange.submit(_id(request), asked)))
        if request.method == "DELETE":
            done = self._exchange.cancel_all(_id(request))
            return _json([{"id": order_id, "status": status} for order_id, status in done], 207)
        query = forms.order_query(request.query_params)
        found = self._exchange.orders(_id(request), query)
        return _json([self._order(one, nested=query.nested) for one in found])

    async def by_client_order_id(self, request: Request) -> Response:
        """Answer GET /v2/orders:by_client_order_id."""
        name = request.query_params.get("client_order_id", "")
        if not name:
            raise forms.refused("client_order_id is required")
        nested = forms.flag(request.query_params, "nested")
        found = self._exchange.order(_id(request), client_order_id=name, nested=nested)
        return _json(self._order(found, nested=nested))

    async def order(self, request: Request) -> Response:
        """Answer GET, PATCH and DELETE /v2/orders/{id}."""
        order_id = request.path_params["order_id"]
        if request.method == "DELETE":
            self._exchange.cancel(_id(request), order_id)
            return Response(status_code=204)
        if request.method == "PATCH":
            asked = forms.replace_request(forms.body_of(await request.body()))
            return _json(render.order(self._exchange.replace(_id(request), order_id, asked)))
        nested = forms.flag(request.query_params, "nested")
        found = self._exchange.order(_id(request), id=order_id, nested=nested)
        return _json(self._order(found, nested=nested))

    async def positions(self, request: Request) -> Response:
        """Answer GET and DELETE /v2/positions."""
        if request.method == "GET":
            return _json(
                [render.position(one) for one in self._venue.past.seen(_id(request)).positions]
            )
        cancel = forms.flag(request.query_params, "cancel_orders")
        closed = self._exchange.close_all(_id(request), cancel_orders=cancel)
        rows = [
            {"symbol": symbol, "status": status, "body": _closed(result)}
            for symbol, status, result in closed
        ]
        return _json(rows, 207)

    async def position(self, request: Request) -> Response:
        """Answer GET and DELETE /v2/positions/{symbol or asset id}."""
        symbol = self._symbol(request.path_params["symbol"])
        if request.method == "GET":
            held = self._venue.past.seen(_id(request)).positions
            found = next((one for one in held if one.symbol == symbol), None)
            if found is None:
                raise Refused(404, 40410000, "position does not exist")
            return _json(render.position(found))
        query = request.query_params
        order = self._exchange.close_position(
            _id(request),
            symbol,
            qty=_positive(forms.number(query, "qty"), "qty"),
            percentage=_positive(forms.number(query, "percentage"), "percentage"),
        )
        return _json(render.order(order))

    def _order(self, one: Order, *, nested: bool) -> dict[str, Any]:
        return render.order(self._venue.past.order(one), nested=nested)

    def _symbol(self, name: str) -> str:
        """Return the symbol that a symbol or an asset's id names."""
        market = self._exchange.market
        if market.asset(name) is not None:
            return name
        return next((one.symbol for one in market.assets if one.id == name), name)


def _id(request: Request) -> str:
    account_id: str = request.scope["account_id"]
    return account_id


def _closed(result: Order | Refused) -> dict[str, Any]:
    return render.refusal(result) if isinstance(result, Refused) else render.order(result)


def _positive(value: Decimal | None, name: str) -> Decimal | None:
    if value is not None and value <= 0:
        raise forms.refused(f"{name} must be > 0")
    return value


def _json(content: Any, status: int = 200) -> Response:
    return JSONResponse(content, status)
