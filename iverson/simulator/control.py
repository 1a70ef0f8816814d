# SPDX-License-Identifier: GPL-3.0-or-later
"""Control: `/_sim/...`, the simulator's own API, on paths that Alpaca does not have.

It needs no keys, is neither spoilt by the script nor counted against a limit, and answers in JSON.

    GET  /_sim/state                        clock, counts, what the script has done
    POST /_sim/step      {bars, processed}  move on by so many bars (1); 409 while `processed` is
                                            less than what was sent
    POST /_sim/run       {until}            move on bar by bar up to an instant
    POST /_sim/processed {processed}        tell how many messages the handlers have finished
    POST /_sim/faults    {enabled, scenario} switch the script off or on, or load another by name
    POST /_sim/deposit   {dollars}          add cash to the account; negative takes it out
    GET  /_sim/ledger                       what the exchange knows to be true
    GET  /_sim/log                          the event log, a line of JSON for each event
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from iverson.errors import IversonError
from iverson.simulator import forms, render
from iverson.simulator.hours import zulu
from iverson.simulator.pacing import Pace
from iverson.simulator.scenarios import scenario
from iverson.simulator.venue import Venue

MOST_BARS = 1_000_000


def routes(venue: Venue, pace: Pace) -> list[Route]:
    """Return the routes that steer one venue."""
    control = Control(venue, pace)
    return [
        Route("/_sim/state", control.state, methods=["GET"]),
        Route("/_sim/step", control.step, methods=["POST"]),
        Route("/_sim/run", control.run, methods=["POST"]),
        Route("/_sim/processed", control.processed, methods=["POST"]),
        Route("/_sim/faults", control.faults, methods=["POST"]),
        Route("/_sim/deposit", control.deposit, methods=["POST"]),
        Route("/_sim/ledger", control.ledger, methods=["GET"]),
        Route("/_sim/log", control.log, methods=["GET"]),
    ]


def state(venue: Venue, pace: Pace) -> dict[str, Any]:
    """Tell where a venue stands."""
    exchange, progress = venue.exchange, venue.progress
    return {
        "now": zulu(exchange.now),
        "over": exchange.market.next_end(exchange.now) is None,
        "pace": str(pace),
        "steps": venue.past.steps,
        "sent": progress.sent,
        "processed": progress.processed,
        "outstanding": progress.outstanding,
        "events": len(exchange.log),
        "head": exchange.log.head,
        "faults": venue.script.enabled,
        "fired": [{"on": what, "do": one.do} for one, what in venue.script.fired],
    }


def ledger(venue: Venue) -> dict[str, Any]:
    """Tell what is true, whatever REST and the streams make of it: orders, fills, cash, shares.

    Orders are in order of arrival with their legs, fills in order of execution.
    """
    exchange = venue.exchange
    accounts = {}
    for account_id in venue.accounts:
        accounts[account_id] = {
            "account": render.account(exchange.account(account_id)),
            "positions": [render.position(one) for one in exchange.positions(account_id)],
            "orders": [render.order(one) for one in venue.orders(account_id)],
            "fills": [render.activity(one) for one in venue.fills(account_id)],
        }
    return {"now": zulu(exchange.now), "head": exchange.log.head, "accounts": accounts}


class Control:
    """The handlers of one venue."""

    def __init__(self, venue: Venue, pace: Pace) -> None:
        self._venue = venue
        self._pace = pace

    async def state(self, _: Request) -> Response:
        """Answer GET /_sim/state."""
        return self._state()

    async def step(self, request: Request) -> Response:
        """Answer POST /_sim/step."""
        body = forms.body_of(await request.body())
        refusal = self._by_itself() or self._behind(body)
        if refusal is not None:
            return refusal
        await self._venue.step(bars=_whole(body, "bars", 1, most=MOST_BARS))
        return self._state()

    async def run(self, request: Request) -> Response:
        """Answer POST /_sim/run."""
        body = forms.body_of(await request.body())
        until = forms.instant({"until": str(body.get("until") or "")}, "until")
        if until is None:
            raise forms.refused("until is required: an instant, as 2024-01-02T21:00:00Z")
        refusal = self._by_itself()
        if refusal is not None:
            return refusal
        await self._venue.run_until(until)
        return self._state()

    async def processed(self, request: Request) -> Response:
        """Answer POST /_sim/processed; the pace may be that time now moves."""
        self._behind(forms.body_of(await request.body()))
        return self._state()

    async def faults(self, request: Request) -> Response:
        """Answer POST /_sim/faults."""
        body = forms.body_of(await request.body())
        if body.get("scenario"):
            try:
                self._venue.load(scenario(str(body["scenario"])))
            except IversonError as error:
                raise forms.refused(str(error)) from error
        if "enabled" in body:
            self._venue.script.enabled = forms.flag(body, "enabled")
        return self._state()

    async def deposit(self, request: Request) -> Response:
        """Answer POST /_sim/deposit."""
        dollars = forms.number(forms.body_of(await request.body()), "dollars")
        if dollars is None:
            raise forms.refused("dollars is required")
        made = self._venue.exchange.deposit(self._venue.accounts[0], Decimal(dollars))
        return JSONResponse(render.account(made))

    async def ledger(self, _: Request) -> Response:
        """Answer GET /_sim/ledger."""
        return JSONResponse(ledger(self._venue))

    async def log(self, _: Request) -> Response:
        """Answer GET /_sim/log."""
        return PlainTextResponse(self._venue.exchange.log.text())

    def _state(self) -> Response:
        return JSONResponse(state(self._venue, self._pace))

    def _by_itself(self) -> Response | None:
        if self._pace.waits:
            return None
        return JSONResponse({"message": f"time moves by itself here: {self._pace}"}, 409)

    def _behind(self, body: dict[str, Any]) -> Response | None:
        """Note what the client has processed; refuse while that is less than what was sent."""
        if body.get("processed") is None:
            return None
        progress = self._venue.progress
        progress.process(_whole(body, "processed", 0, least=0, most=10**12))
        if not progress.outstanding:
            return None
        message = (
            f"{progress.outstanding} of {progress.sent} messages are not processed yet; "
            "finish them and ask again"
        )
        return JSONResponse({"message": message, "outstanding": progress.outstanding}, 409)


def _whole(body: dict[str, Any], name: str, usual: int, *, least: int = 1, most: int) -> int:
    value = body.get(name, usual)
    if type(value) is not int or not least <= value <= most:
        raise forms.refused(f"invalid {name}: it must be a whole number from {least} to {most}")
    return value
