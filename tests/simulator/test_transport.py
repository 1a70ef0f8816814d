# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies below the orders: addresses, keys, limits, spoilt answers, one data connection."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.data.historical import NewsClient, StockHistoricalDataClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.requests import (
    CorporateActionsRequest,
    NewsRequest,
    StockBarsRequest,
    StockLatestBarRequest,
)
from alpaca.data.timeframe import TimeFrame
from alpaca.trading.client import TradingClient
from alpaca.trading.requests import GetOrdersRequest
from websockets.sync.client import connect

from iverson.errors import ConfigError
from iverson.simulator.faults import Fault
from iverson.simulator.scenarios import Scenario
from iverson.simulator.server import Simulator
from iverson.simulator.venue import ServerSwitches
from iverson.testing import bars, exchange
from tests.simulator.rehearsing import SYMBOL, minutes, opened, refusal, refused

LIMITED = ServerSwitches(trading_limit=200, data_limit=200)
POST = "POST /v2/orders"


def spoilt(*faults: Fault) -> Scenario:
    return Scenario("test", "Something goes wrong.", faults)


# T1


def test_every_client_of_alpaca_py_is_served_at_its_address() -> None:
    seen: list[Any] = []

    async def keep(message: Any) -> None:
        seen.append(message)

    with exchange(minutes("100 101")) as venue:
        venue.on_trade_updates(keep)
        venue.on_bars(keep, SYMBOL)
        venue.on_news(keep)
        venue.step(2)
        bars_found = venue.data.get_stock_bars(
            StockBarsRequest(symbol_or_symbols=SYMBOL, timeframe=TimeFrame.Minute, feed="iex")
        )
        news = venue.news.get_news(NewsRequest())
        actions = venue.corporate_actions.get_corporate_actions(
            CorporateActionsRequest(symbols=[SYMBOL])
        )

        assert venue.trading.get_clock().is_open
        assert [bar.close for bar in bars_found.data[SYMBOL]] == [100, 101]
        assert news.data["news"] == []
        assert actions.data == {}

    assert [bar.close for bar in seen] == [100, 101]


def test_every_answer_is_marked_as_simulated() -> None:
    with opened("100") as venue:
        for path in ("/v2/clock", "/v2/nothing", "/_sim/state", "/v2/orders/1"):
            assert venue.raw("GET", path).headers["X-Iverson-Sim"] == "1"
        stray = requests.get(venue.sim.urls.trading + "/v2/clock", timeout=5)
        assert (stray.status_code, stray.headers["X-Iverson-Sim"]) == (401, "1")


def test_no_answer_is_a_redirect_or_empty() -> None:
    with opened("100") as venue:
        for path in ("/v2/orders/", "/v2/clock/", "/", "/v2"):
            answer = venue.raw("GET", path, allow_redirects=False)
            assert answer.status_code == 404
            assert answer.content


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])  # noqa: S104 (refused)
def test_only_loopback_is_served(host: str) -> None:
    with pytest.raises(ConfigError, match="it serves this machine alone"):
        Simulator({SYMBOL: bars("100")}, host=host)


def test_a_taken_port_is_refused_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1: .*; choose another"):
            Simulator({SYMBOL: bars("100")}, port=port).start()


def test_it_starts_and_stops_many_times_without_a_trace() -> None:
    history = {SYMBOL: bars("100")}
    before = threading.active_count()
    for _ in range(10):
        with Simulator(history) as sim:
            assert requests.get(sim.urls.control + "/state", timeout=5).status_code == 200

    assert threading.active_count() == before
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(sim.urls.trading.rpartition(":")[2])), timeout=5)


def test_stopping_does_not_wait_for_a_client_that_hangs() -> None:
    script = spoilt(Fault("GET /v2/clock", "stall"))
    with opened("100", scenario=script) as venue:
        waiting = threading.Thread(target=lambda: _ignoring(venue.raw, "GET", "/v2/clock"))
        waiting.start()
        while not venue.sim.state["fired"]:
            time.sleep(0.01)
        began = time.monotonic()
    waiting.join()

    assert time.monotonic() - began < 2


def test_what_breaks_inside_the_server_breaks_the_test() -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError

    def breaking() -> None:
        with opened("100") as venue:
            venue.sim.call(lambda inside: inside.exchange.listeners.append(broken))
            url = venue.sim.urls.control + "/deposit"
            assert requests.post(url, json={"dollars": 1}, timeout=5).status_code == 500

    with pytest.raises(ZeroDivisionError):
        breaking()


# T2, T3


def test_a_bad_key_of_the_trading_api_is_unauthorized_without_a_code() -> None:
    with opened("100") as venue:
        stranger = TradingClient("PKWRONG", "wrong", url_override=venue.sim.urls.trading)
        with pytest.raises(APIError) as caught:
            stranger.get_account()
        stranger._session.close()

    assert caught.value.status_code == 401
    assert str(caught.value) == '{"message": "unauthorized."}'
    with pytest.raises(KeyError):
        _ = caught.value.code


ASKED: list[tuple[Any, Callable[[Any], Any]]] = [
    (
        StockHistoricalDataClient,
        lambda one: one.get_stock_latest_bar(StockLatestBarRequest(symbol_or_symbols=SYMBOL)),
    ),
    (NewsClient, lambda one: one.get_news(NewsRequest())),
    (
        CorporateActionsClient,
        lambda one: one.get_corporate_actions(CorporateActionsRequest(symbols=[SYMBOL])),
    ),
]


@pytest.mark.parametrize(("kind", "ask"), ASKED)
def test_a_bad_key_of_the_data_api_is_forbidden(kind: Any, ask: Callable[[Any], Any]) -> None:
    with opened("100") as venue:
        stranger = kind("PKWRONG", "wrong", url_override=venue.sim.urls.data)
        with pytest.raises(APIError) as caught:
            ask(stranger)
        stranger._session.close()

    assert caught.value.status_code == 403
    assert str(caught.value) == '{"message": "forbidden."}'


@pytest.mark.parametrize("headers", [{}, {"APCA-API-KEY-ID": "PKSIMULATOR"}])
def test_missing_headers_are_answered_by_the_proxy(headers: dict[str, str]) -> None:
    with opened("100") as venue:
        answer = venue.raw("GET", "/v2/account", headers=headers)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "text/html"
    assert answer.text.startswith("<html>")


def test_keys_of_one_environment_do_not_open_the_other() -> None:
    history = {SYMBOL: bars("100")}
    with Simulator(history) as paper, Simulator(history, paper=False) as live:
        assert (paper.key[:2], live.key[:2]) == ("PK", "AK")
        for ours, theirs in ((paper, live), (live, paper)):
            client = TradingClient(ours.key, ours.secret, url_override=ours.urls.trading)
            assert client.get_account().status == "ACTIVE"
            stray = TradingClient(theirs.key, theirs.secret, url_override=ours.urls.trading)
            with pytest.raises(APIError) as caught:
                stray.get_account()
            assert caught.value.status_code == 401
            client._session.close()
            stray._session.close()


# T4


def test_the_201st_request_in_a_simulated_minute_is_refused() -> None:
    with opened("100 101 102", steps=1, server=LIMITED) as venue:
        headers = [venue.raw("GET", "/v2/clock").headers for _ in range(200)]
        with refusal(429, 42910000, "rate limit exceeded"):
            venue.trading.get_clock()
        venue.step()
        now = venue.sim.now
        answer = venue.raw("GET", "/v2/clock")

    assert [int(one["X-RateLimit-Remaining"]) for one in headers] == list(range(199, -1, -1))
    assert answer.status_code == 200
    assert answer.headers["X-RateLimit-Limit"] == "200"
    reset = (now + timedelta(minutes=1)).timestamp()
    assert int(answer.headers["X-RateLimit-Reset"]) == reset


def test_trading_and_data_have_limits_of_their_own() -> None:
    with opened("100", server=ServerSwitches(trading_limit=1, data_limit=1)) as venue:
        latest = f"/v2/stocks/bars/latest?symbols={SYMBOL}"
        statuses = [
            venue.raw("GET", path).status_code
            for path in ("/v2/clock", latest, "/v2/clock", latest)
        ]

    assert statuses == [200, 200, 429, 429]


def test_alpaca_py_retries_a_refused_request_until_it_gives_up() -> None:
    script = spoilt(Fault("GET /v2/clock", "status", status=429, nth="every"))
    with opened("100", scenario=script) as venue:
        venue.trading._retry, venue.trading._retry_wait = 3, 0
        with refusal(429, 42910000):
            venue.trading.get_clock()

        assert len(venue.sim.state["fired"]) == 4


# T5: what becomes of an order whose answer goes wrong, as the exchange knows it

LOST: list[tuple[type[Exception], Fault, int]] = [
    (APIError, Fault(POST, "status", status=500), 0),
    (APIError, Fault(POST, "status", status=503), 0),
    (APIError, Fault(POST, "status", status=429), 0),
    (APIError, Fault(POST, "status", status=504, executed=True), 1),
    (requests.ConnectionError, Fault(POST, "reset"), 0),
    (requests.ConnectionError, Fault(POST, "reset", executed=True), 1),
    (TypeError, Fault(POST, "empty"), 0),
    (TypeError, Fault(POST, "empty", executed=True), 1),
    (requests.exceptions.ChunkedEncodingError, Fault(POST, "truncate"), 1),
    (requests.ConnectionError, Fault(POST, "stall", wall_seconds=0.05), 0),
    (requests.ConnectionError, Fault(POST, "stall", wall_seconds=0.05, executed=True), 1),
    (
        requests.JSONDecodeError,
        Fault(POST, "status", status=200, body='{"id": "', executed=True),
        1,
    ),
]


@pytest.mark.parametrize(("error", "fault", "orders"), LOST)
def test_an_order_whose_answer_goes_wrong_was_made_or_not(
    error: type[Exception], fault: Fault, orders: int
) -> None:
    with opened("100", scenario=spoilt(fault)) as venue:
        with pytest.raises(error) as caught:
            venue.buy()

        assert type(caught.value) is error
        assert len(venue.rehearsal.ledger["orders"]) == orders
        assert venue.buy(1).symbol == SYMBOL  # the next one goes through


def test_a_retried_order_is_made_once_if_it_has_an_id_of_its_own() -> None:
    script = spoilt(Fault(POST, "status", status=504, executed=True))
    with opened("100", scenario=script) as venue:
        venue.trading._retry, venue.trading._retry_wait = 3, 0
        with refusal(422, 40010001, "client_order_id must be unique"):
            venue.buy(client_order_id="mine")

        assert [one["client_order_id"] for one in venue.rehearsal.ledger["orders"]] == ["mine"]
        assert venue.trading.get_order_by_client_id("mine").qty == "10"


def test_a_retried_order_without_an_id_is_made_twice() -> None:
    script = spoilt(Fault(POST, "status", status=504, executed=True))
    with opened("100", scenario=script) as venue:
        venue.trading._retry, venue.trading._retry_wait = 3, 0
        venue.buy()

        assert len(venue.rehearsal.ledger["orders"]) == 2


def test_a_page_of_html_is_no_error_that_can_be_read() -> None:
    script = spoilt(Fault("GET /v2/account", "status", status=503))
    with opened("100", scenario=script) as venue, pytest.raises(APIError) as caught:
        venue.trading.get_account()

    assert caught.value.status_code == 503
    with pytest.raises(json.JSONDecodeError):
        _ = caught.value.code


def test_a_fault_of_one_symbol_leaves_the_others_alone() -> None:
    history = {name: minutes("100", symbol=name) for name in ("AAA", "BBB")}
    script = spoilt(Fault(POST, "status", status=500, symbol="BBB", nth="every"))
    with opened(history, scenario=script) as venue:
        statuses = [venue.post(symbol=name).status_code for name in ("AAA", "BBB", "AAA")]

    assert statuses == [200, 500, 200]


def test_a_fault_may_be_of_the_leg_that_a_request_is_about() -> None:
    script = spoilt(Fault("DELETE /v2/orders/*", "status", status=500, leg="stop", nth="every"))
    with opened("100 100", scenario=script) as venue:
        entry = venue.bracket(95, 105)
        venue.step()
        legs = {leg.type.value: leg.id for leg in entry.legs or []}
        statuses = [
            venue.raw("DELETE", f"/v2/orders/{legs[name]}").status_code
            for name in ("stop", "limit")
        ]

    assert statuses == [500, 204]


# T6


def authenticated(url: str) -> dict[str, Any]:
    """What a data stream answers to keys."""
    with connect(url) as client:
        client.recv(timeout=5)
        keys = {"action": "auth", "key": "PKSIMULATOR", "secret": "simulated-secret"}
        client.send(json.dumps(keys))
        answer: dict[str, Any] = json.loads(client.recv(timeout=5))[0]
        return answer


def test_the_second_connection_to_a_data_stream_is_refused_until_the_first_ends() -> None:
    async def ignore(_: Any) -> None:
        """Take no notice."""

    with opened("100 101") as venue:
        venue.rehearsal.on_bars(ignore)
        second = authenticated(venue.sim.urls.data_stream)
        venue.rehearsal.close()
        third = authenticated(venue.sim.urls.data_stream)

    assert (second["T"], second["code"]) == ("error", 406)
    assert (third["T"], third["msg"]) == ("success", "authenticated")


# T7, T8, T10


@pytest.mark.parametrize("qty", [2, 2.0, "2", "2.0"])
@pytest.mark.parametrize("price", [99.5, "99.5"])
def test_numbers_go_in_as_numbers_or_text_and_come_out_as_text(qty: object, price: object) -> None:
    with opened("100") as venue:
        order = venue.post(type="limit", qty=qty, limit_price=price).json()

    assert (order["qty"], order["limit_price"], order["filled_qty"]) == ("2", "99.5", "0")


@pytest.mark.parametrize(
    ("text", "nested"),
    [("True", True), ("true", True), ("1", True), ("False", False), ("0", False)],
)
def test_booleans_of_a_query_are_understood_in_every_spelling(text: str, nested: bool) -> None:
    with opened("100") as venue:
        venue.bracket(95, 105)
        found = venue.raw("GET", f"/v2/orders?nested={text}").json()
        by_client = venue.trading.get_orders(GetOrdersRequest(nested=nested))

    assert bool(found[0]["legs"]) is nested
    assert bool(by_client[0].legs) is nested


def test_unknown_fields_are_ignored_and_unknown_words_are_not() -> None:
    with opened("100") as venue:
        assert venue.post(colour="red").status_code == 200
        for name, word in (("time_in_force", "xyz"), ("side", "hold"), ("type", "iceberg")):
            assert refused(venue.post(**{name: word})) == (422, 40010001, f"invalid {name}")
        assert refused(venue.raw("POST", "/v2/orders", data="{"))[:2] == (400, 40010000)


def test_a_path_that_does_not_exist_says_so() -> None:
    with opened("100") as venue:
        assert refused(venue.raw("GET", "/v2/watchlists"))[:2] == (404, 40410000)
        assert venue.raw("PUT", "/v2/orders").status_code == 405


def _ignoring(what: Any, *arguments: Any) -> None:
    try:
        what(*arguments)
    except requests.RequestException:
        return


def test_a_frame_the_trading_stream_cannot_read_is_answered() -> None:
    with opened("100") as venue, connect(venue.sim.urls.trading_stream) as client:
        with pytest.raises(TimeoutError):  # it says nothing first
            client.recv(timeout=0.1)
        client.send("{")
        unread = json.loads(client.recv(timeout=5))
        client.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        unheard = json.loads(client.recv(timeout=5))

    assert unread["stream"] == "error"
    assert unheard["data"] == {"status": "unauthorized", "action": "listen"}
