# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the served exchange share: minutes in words, a venue whose answers are checked.

Everything a client is told, over HTTP or the trading stream, is held against the schemas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.models import Order
from alpaca.trading.requests import (
    LimitOrderRequest,
    MarketOrderRequest,
    StopLossRequest,
    TakeProfitRequest,
)

from iverson.market.bars import Bars
from iverson.testing import Rehearsal, bars, exchange
from tests.simulator.schemas import check_answer, check_update

NEW_YORK = ZoneInfo("America/New_York")
SYMBOL = "TEST"
SESSION, NEXT = date(2024, 1, 3), date(2024, 1, 4)
MINUTE = timedelta(minutes=1)
Update = dict[str, Any]


def at(clock: str, session: date = SESSION) -> datetime:
    """The instant of a New York wall clock."""
    return datetime.combine(session, time.fromisoformat(clock), NEW_YORK).astimezone(UTC)


def minutes(
    words: str, *, symbol: str = SYMBOL, session: date = SESSION, first: str = "09:31"
) -> Bars:
    """Bars in words as consecutive minutes; `first` is the right edge of the first, New York."""
    daily = bars(words, symbol=symbol)
    start = np.datetime64(at(first, session).replace(tzinfo=None), "ns")
    return replace(
        daily,
        interval="1m",
        at=start + np.arange(len(daily)) * np.timedelta64(60, "s"),
        session=np.full(len(daily), np.datetime64(session, "D")),
    )


class Opened:
    """A venue with its clients, what its stream has said, and the shortest ways to ask."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal
        self.sim = rehearsal.sim
        self.trading = rehearsal.trading
        self.trading._session.hooks["response"].append(_checked)
        self.updates: list[Update] = []

    def listen(self) -> Opened:
        """Run a TradingStream that keeps and checks every update."""

        async def keep(message: Any) -> None:
            self.updates.append(message["data"])
            check_update(message)

        self.rehearsal.on_trade_updates(keep, raw_data=True)
        return self

    def step(self, bars: int = 1) -> int:
        return self.rehearsal.step(bars)

    def raw(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request without alpaca-py, with the keys unless `headers` say otherwise."""
        keys = {"APCA-API-KEY-ID": self.sim.key, "APCA-API-SECRET-KEY": self.sim.secret}
        headers = options.pop("headers", keys)
        url = self.sim.urls.trading + path
        answer = requests.request(method, url, headers=headers, timeout=20, **options)
        _checked(answer)
        return answer

    def post(self, **body: Any) -> requests.Response:
        """POST an order as JSON: a day market order to buy one share unless told."""
        usual = {
            "symbol": SYMBOL,
            "side": "buy",
            "qty": "1",
            "type": "market",
            "time_in_force": "day",
        }
        sent = {name: value for name, value in {**usual, **body}.items() if value is not None}
        return self.raw("POST", "/v2/orders", json=sent)

    def buy(self, qty: float = 10, limit: float | None = None, **options: Any) -> Order:
        return self._submit("buy", qty, limit, options)

    def sell(self, qty: float = 10, limit: float | None = None, **options: Any) -> Order:
        return self._submit("sell", qty, limit, options)

    def bracket(
        self,
        stop: float,
        target: float,
        *,
        qty: float = 10,
        limit: float | None = None,
        **more: Any,
    ) -> Order:
        more = {"time_in_force": "gtc", "side": "buy"} | more
        side = more.pop("side")
        legs = {
            "order_class": "bracket",
            "take_profit": TakeProfitRequest(limit_price=target),
            "stop_loss": StopLossRequest(stop_price=stop),
        }
        return self._submit(side, qty, limit, legs | more)

    def order(self, order: Order, *, nested: bool = False) -> Order:
        """The order as REST shows it now."""
        path = f"/orders/{order.id}"
        return Order(**self.trading.get(path, {"nested": nested}))

    def events(self, order: Order | None = None) -> list[str]:
        """The events of the stream so far, of one order or of all."""
        wanted = None if order is None else str(order.id)
        return [one["event"] for one in self.updates if wanted in (None, one["order"]["id"])]

    def held(self) -> dict[str, str]:
        """Shares by symbol."""
        return {one.symbol: one.qty for one in self.trading.get_all_positions()}

    def _submit(
        self, side: str, qty: float, limit: float | None, options: Mapping[str, Any]
    ) -> Order:
        fields = {"symbol": SYMBOL, "qty": qty, "side": side, "time_in_force": "day", **options}
        request = (
            MarketOrderRequest(**fields)
            if limit is None
            else LimitOrderRequest(limit_price=limit, **fields)
        )
        return self.trading.submit_order(request)


@contextmanager
def opened(
    history: str | Bars | Mapping[str, Bars], *, steps: int = 1, **options: Any
) -> Iterator[Opened]:
    """Open a venue over minutes in words, and step so many bars so that there is a price."""
    if isinstance(history, str):
        history = minutes(history)
    with exchange(history, **options) as rehearsal:
        made = Opened(rehearsal)
        made.step(steps)
        yield made


def refused(answer: requests.Response) -> tuple[int, int | None, str]:
    """Status, code and message of a refusal."""
    body = answer.json()
    return answer.status_code, body.get("code"), body["message"]


@contextmanager
def refusal(status: int, code: int | None, message: str = "") -> Iterator[None]:
    """Expect alpaca-py to raise this refusal."""
    with pytest.raises(APIError) as caught:
        yield
    found = caught.value
    assert (found.status_code, found.code) == (status, code)
    assert message in found.message


def _checked(answer: requests.Response, **_: Any) -> requests.Response:
    assert answer.headers["X-Iverson-Sim"] == "1"
    kind = answer.headers.get("content-type", "")
    if answer.status_code == 204:
        assert answer.content == b""
    elif kind.startswith("application/json") and answer.content:
        path = urlsplit(answer.url).path
        if path.startswith("/_sim"):
            return answer
        check_answer(str(answer.request.method), path, answer.status_code, answer.json())
    return answer
