# SPDX-License-Identifier: GPL-3.0-or-later
"""The application: every route and stream of one venue, behind its door."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import WebSocketRoute

from iverson.simulator import control, data_routes, rest_trading
from iverson.simulator.answers import App
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.door import Door
from iverson.simulator.pacing import Pace
from iverson.simulator.requests import Refused
from iverson.simulator.stream_data import Streams
from iverson.simulator.stream_trading import TradingStream
from iverson.simulator.venue import Venue

NOT_FOUND, NOT_ALLOWED = 404, 405


def application(venue: Venue, *, pace: Pace, data: DataSwitches) -> App:
    """Return what serves a venue."""
    trading = TradingStream(venue)
    market = Streams(venue.exchange, data, venue.keys)
    venue.sources.append(market.next_at)
    venue.flushers.append(market.flush)
    inside = Starlette(
        routes=[
            *rest_trading.routes(venue),
            *data_routes.routes(venue.exchange, data),
            *market.routes(),
            *control.routes(venue, pace),
            WebSocketRoute("/stream", trading.serve),
        ],
        exception_handlers={Refused: rest_trading.on_refused, HTTPException: _on_nothing},
    )
    inside.router.redirect_slashes = False
    return Door(inside, venue)


async def _on_nothing(_: Request, error: Exception) -> Response:
    """Answer a path or a method that there is none of."""
    assert isinstance(error, HTTPException)
    code, message = (
        (40510000, "method not allowed")
        if error.status_code == NOT_ALLOWED
        else (40410000, "endpoint not found")
    )
    return JSONResponse({"code": code, "message": message}, error.status_code)
