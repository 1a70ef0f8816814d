# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes of everything the market shows over HTTP; whoever serves them asks for keys first.

An answer is JSON and never empty. A query that cannot be read is refused with a message, as the
data API does; the trading API's clock, calendar and assets add a code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from iverson.simulator import data_query as read
from iverson.simulator import rest_clock, rest_data
from iverson.simulator.data_query import Query, Refusal
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.data_view import Shown
from iverson.simulator.rest_actions import corporate_actions
from iverson.simulator.rest_news import news

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

Answer = Callable[[Query], Any]
TRADING = ("/v2/clock", "/v2/calendar", "/v2/assets", "/v3/")
BAD_REQUEST = 40010000


def routes(exchange: Shown, switches: DataSwitches) -> list[BaseRoute]:
    """Return the routes of clock, calendar, assets, stocks, news and corporate actions."""
    from starlette.routing import Route

    answers: dict[str, Answer] = {
        "/v2/clock": lambda query: rest_clock.clock(exchange),
        "/v2/calendar": rest_clock.calendar,
        "/v3/clock": lambda query: rest_clock.market_clocks(exchange, query),
        "/v3/calendar/{market}": lambda query: rest_clock.market_calendar(exchange, query),
        "/v2/assets": lambda query: rest_clock.assets(exchange, query),
        "/v2/assets/{name:path}": lambda query: rest_clock.asset(exchange, query),
        "/v1beta1/news": lambda query: news(exchange, query),
        "/v1/corporate-actions": lambda query: corporate_actions(exchange, switches, query),
    }
    answers |= _stocks(exchange, switches)
    return [
        Route(path, _endpoint(answer, coded=path.startswith(TRADING)), methods=["GET"])
        for path, answer in answers.items()
    ]


def _stocks(exchange: Shown, switches: DataSwitches) -> dict[str, Answer]:
    def past(what: str, rows: Callable[..., read.Page], *, single: bool) -> Answer:
        def answer(query: Query) -> dict[str, Any]:
            page = rows(exchange, switches, _one(query) if single else query)
            found = page.by_symbol()
            if not single:
                return {what: found, "next_page_token": page.token}
            symbol = query["symbol"]
            return {
                what: found.get(symbol, []),
                "symbol": symbol,
                "next_page_token": page.token,
            }

        return answer

    def latest(what: str, *, single: bool) -> Answer:
        def answer(query: Query) -> dict[str, Any]:
            if not single:
                return {f"{what}s": rest_data.latest(exchange, switches, query, what)}
            symbol = query["symbol"]
            found = rest_data.latest(exchange, switches, _one(query), what)
            if symbol not in found:
                raise Refusal(404, f"no {what} found for {symbol}")
            return {what: found[symbol], "symbol": symbol}

        return answer

    def snapshot(query: Query) -> dict[str, Any]:
        symbol = query["symbol"]
        found = rest_data.snapshots(exchange, switches, _one(query))
        if symbol not in found:
            raise Refusal(404, f"no snapshot found for {symbol}")
        return {"symbol": symbol, **found[symbol]}

    answers: dict[str, Answer] = {
        "/v2/stocks/snapshots": lambda query: rest_data.snapshots(exchange, switches, query),
        "/v2/stocks/{symbol}/snapshot": snapshot,
    }
    for what, rows in (
        ("bar", rest_data.bars),
        ("trade", rest_data.trades),
        ("quote", rest_data.quotes),
    ):
        answers[f"/v2/stocks/{what}s"] = past(f"{what}s", rows, single=False)
        answers[f"/v2/stocks/{what}s/latest"] = latest(what, single=False)
        answers[f"/v2/stocks/{{symbol}}/{what}s"] = past(f"{what}s", rows, single=True)
        answers[f"/v2/stocks/{{symbol}}/{what}s/latest"] = latest(what, single=True)
    return answers


def _one(query: Query) -> Query:
    return {**query, "symbols": read.symbol(query["symbol"])}


def _endpoint(answer: Answer, *, coded: bool) -> Callable[[Request], Any]:
    from starlette.responses import JSONResponse

    async def endpoint(request: Request) -> Response:
        query = {**request.query_params, **request.path_params}
        try:
            return JSONResponse(answer(query))
        except Refusal as refusal:
            code = {"code": BAD_REQUEST} if coded else {}
            return JSONResponse(code | refusal.body, status_code=refusal.status)

    return endpoint
