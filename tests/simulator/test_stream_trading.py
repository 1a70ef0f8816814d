# SPDX-License-Identifier: GPL-3.0-or-later
"""The trading stream: its handshake, what it never repeats, and what a script does to it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from alpaca.trading.models import TradeUpdate
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from iverson.simulator.faults import Fault
from iverson.simulator.scenarios import Scenario
from iverson.simulator.stream_trading import TRY_AGAIN_LATER
from iverson.simulator.venue import ServerSwitches
from tests.simulator.rehearsing import Opened, opened
from tests.simulator.schemas import check_update

USUAL = ["pending_new", "new", "fill"]


def told(venue: Opened, *, raw: bool = True) -> list[Any]:
    """What the handler of a TradingStream gets from here on."""
    seen: list[Any] = []

    async def keep(message: Any) -> None:
        seen.append(message["data"] if raw else message)

    venue.rehearsal.on_trade_updates(keep, raw_data=raw)
    return seen


def say(client: ClientConnection, **message: Any) -> None:
    client.send(json.dumps(message))


def heard(client: ClientConnection) -> Any:
    frame = client.recv(timeout=5)
    assert isinstance(frame, bytes), "frames are binary"
    return json.loads(frame)


def authenticate(client: ClientConnection, venue: Opened, *, wrong: bool = False) -> Any:
    secret = "wrong" if wrong else venue.sim.secret
    keys = {"key_id": venue.sim.key, "secret_key": secret}
    say(client, action="authenticate", data=keys)
    return heard(client)


def remaining(client: ClientConnection) -> Iterator[Any]:
    """What is still to be read before the connection is found to be cut."""
    with suppress(ConnectionClosed):
        while True:
            yield client.recv(timeout=5)


# W1


def test_the_server_is_silent_until_the_client_authenticates_and_listens() -> None:
    with opened("100 100 100") as venue, connect(venue.sim.urls.trading_stream) as client:
        venue.buy()
        venue.step()
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.05)
        authorized = authenticate(client, venue)
        venue.buy()
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.05)
        say(client, action="listen", data={"streams": ["trade_updates", "other"]})
        listening = heard(client)
        venue.buy()
        update = heard(client)

    assert authorized == {
        "stream": "authorization",
        "data": {"status": "authorized", "action": "authenticate"},
    }
    assert listening == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
    check_update(update)
    assert update["data"]["event"] == "pending_new"


def test_wrong_keys_are_unauthorized_and_may_be_given_again() -> None:
    with opened("100") as venue, connect(venue.sim.urls.trading_stream) as client:
        wrong = authenticate(client, venue, wrong=True)
        right = authenticate(client, venue)

    assert wrong["data"]["status"] == "unauthorized"
    assert right["data"]["status"] == "authorized"


def test_several_connections_hear_the_same() -> None:
    with opened("100 100") as venue:
        first, second = told(venue), told(venue)
        venue.buy()
        venue.step()

        assert first == second
        assert [one["event"] for one in first] == USUAL


def test_connections_at_once_can_be_limited_by_a_switch() -> None:
    one = ServerSwitches(trading_limit=None, data_limit=None, stream_connections=1)
    with opened("100", server=one) as venue, connect(venue.sim.urls.trading_stream) as first:
        assert authenticate(first, venue)["data"]["status"] == "authorized"
        second = connect(venue.sim.urls.trading_stream)
        with second as late, pytest.raises(ConnectionClosed) as shown_out:
            late.recv(timeout=5)
        say(first, action="listen", data={"streams": ["trade_updates"]})
        assert heard(first)["stream"] == "listening"

    assert shown_out.value.rcvd is not None
    assert shown_out.value.rcvd.code == TRY_AGAIN_LATER


def test_typed_updates_parse() -> None:
    with opened("100 100") as venue:
        seen = told(venue, raw=False)
        venue.buy(7)
        venue.step()

    assert all(isinstance(one, TradeUpdate) for one in seen)
    assert [one.event for one in seen] == USUAL
    assert (seen[-1].qty, seen[-1].price, seen[-1].position_qty) == (7.0, 100.0, 7.0)


# W2


def test_nothing_is_repeated_after_a_connection_was_lost() -> None:
    with opened("100 100 100") as venue:
        seen = told(venue)
        venue.buy()
        venue.sim.wait_until_consumed()
        venue.rehearsal.close()
        venue.step()
        later = told(venue)
        venue.step()

        assert [one["event"] for one in seen] == USUAL[:2]
        assert later == []
        assert venue.rehearsal.trading.get_open_position("TEST").qty == "10"


def test_a_dropped_stream_is_connected_again_by_alpaca_py_without_the_fill() -> None:
    with opened("100 100 100", scenario="dropped-socket") as venue:
        seen = told(venue)
        venue.buy()
        before = venue.sim.subscriptions
        venue.sim.step()  # the fill cuts the connection
        venue.sim.wait_for_subscriptions(before + 1, seconds=10)
        venue.buy()
        venue.step()

    assert [one["event"] for one in seen] == ["pending_new", "new", *USUAL]


def test_a_mute_stream_stays_open() -> None:
    with (
        opened("100 100 100", scenario="mute-socket") as venue,
        connect(venue.sim.urls.trading_stream) as client,
    ):
        authenticate(client, venue)
        say(client, action="listen", data={"streams": ["trade_updates"]})
        heard(client)
        venue.buy()
        assert heard(client)["data"]["event"] == "pending_new"
        venue.sim.step()
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.1)
        assert client.ping().wait(5)  # only the data have stopped
        assert venue.held() == {"TEST": "10"}


# W3

SPOILT: list[tuple[str, list[str]]] = [
    ("lost-fill", ["pending_new", "new"]),
    ("duplicate-fill", ["pending_new", "new", "fill", "fill"]),
    ("reordered-events", ["pending_new", "fill", "new"]),
    ("unknown-event", ["pending_new", "entangled", "fill"]),
    ("unknown-status", USUAL),
    ("no-timestamp", USUAL),
]


@pytest.mark.parametrize(("scenario", "events"), SPOILT)
def test_raw_streams_see_what_the_script_makes_of_the_events(
    scenario: str, events: list[str]
) -> None:
    with opened("100 100", scenario=scenario) as venue:
        seen = told(venue)
        venue.buy()
        venue.step()
        ledger = venue.rehearsal.ledger

    assert [one["event"] for one in seen] == events
    assert len(ledger["fills"]) == 1
    if scenario == "unknown-status":
        assert seen[1]["order"]["status"] == "entangled"
    if scenario == "no-timestamp":
        assert "timestamp" not in seen[-1]


@pytest.mark.parametrize("scenario", ["unknown-status", "no-timestamp"])
def test_typed_streams_lose_what_they_cannot_parse(scenario: str) -> None:
    with opened("100 100 100", scenario=scenario) as venue:
        seen = told(venue, raw=False)
        venue.buy()
        venue.sim.step()
        with pytest.raises(TimeoutError, match="1 of 3 messages were not finished"):
            venue.sim.wait_until_consumed(seconds=0.2)

    assert len(seen) == len(USUAL) - 1


def test_only_events_of_the_named_leg_are_spoilt() -> None:
    script = Scenario("t", "T.", (Fault("event fill", "drop", leg="target", nth="every"),))
    with opened("100 100 106", scenario=script) as venue:
        seen = told(venue)
        venue.bracket(95, 105)
        venue.step(2)

    assert [one["event"] for one in seen].count("fill") == 1


def test_the_fill_overtakes_the_reply() -> None:
    with opened("100 100", scenario="fill-overtakes-reply") as venue:
        seen = told(venue)
        order = venue.buy()
        until = (
            time.monotonic() + 5
        )  # sent before the reply; the client's thread reads it when it may
        while len(seen) < len(USUAL) and time.monotonic() < until:
            time.sleep(0.01)
        events = [one["event"] for one in seen]

        assert order.status.value == "pending_new"
        assert venue.order(order).status.value == "filled"
    assert events == USUAL


def test_a_late_reply_may_come_simulated_seconds_later() -> None:
    script = Scenario("t", "T.", (Fault("POST /v2/orders", "late", seconds=90),))
    with opened("100 100 100", scenario=script) as venue:
        before = venue.sim.now
        venue.buy()

        assert (venue.sim.now - before).total_seconds() == 90


# W4


def test_rest_shows_the_state_of_three_bars_ago() -> None:
    with opened("100 100 110 120 130 140", scenario="lagging-rest") as venue:
        seen = told(venue)
        order = venue.buy()
        worth = []
        for _ in range(5):
            venue.step()
            worth.append((venue.order(order).status.value, len(venue.held())))
        equity = venue.trading.get_account().equity
        listed = venue.trading.get_orders()

    assert [one["event"] for one in seen] == USUAL
    assert worth == [("new", 0), ("new", 0), ("new", 0), ("filled", 1), ("filled", 1)]
    assert equity == "100100"  # at 110, not at 140
    assert listed == []


def test_the_lag_ends_when_the_script_says_so() -> None:
    script = Scenario(
        "t",
        "T.",
        (
            Fault("event new", "lag", steps=2),
            Fault("GET /v2/account", "lag", steps=9, nth="2"),
        ),
    )
    with opened("100 100 100", scenario=script) as venue:
        venue.buy()
        venue.step()
        venue.sim.call(lambda inside: inside.past.set_lag(0))

        assert venue.held() == {"TEST": "10"}


# What else a script does, seen by a client


def test_a_revoked_key_stops_requests_and_new_streams() -> None:
    script = Scenario("t", "T.", (Fault("event fill", "revoke keys"),))
    with opened("100 100 100", scenario=script) as venue:
        venue.buy()
        venue.step()
        assert venue.raw("GET", "/v2/account").status_code == 401
        with connect(venue.sim.urls.trading_stream) as client:
            assert authenticate(client, venue)["data"]["status"] == "unauthorized"
        venue.sim.call(lambda inside: inside.keys.restore())
        assert venue.raw("GET", "/v2/account").status_code == 200


def test_a_halt_set_off_by_an_event_stops_the_symbol() -> None:
    script = Scenario("t", "T.", (Fault("event fill", "halt"),))
    with opened("100 100 100 100", scenario=script) as venue:
        venue.buy(1)
        venue.step()
        second = venue.buy(2)
        venue.step(2)

        assert venue.order(second).status.value == "new"


def test_a_connection_that_is_cut_counts_for_nothing_outstanding() -> None:
    with opened("100 100 100") as venue:
        with connect(venue.sim.urls.trading_stream) as client:
            authenticate(client, venue)
            say(client, action="listen", data={"streams": ["trade_updates"]})
            heard(client)
            venue.buy()
            deadline = time.monotonic() + 5
            while venue.sim.state["outstanding"] < 2 and time.monotonic() < deadline:
                time.sleep(0.005)
            assert venue.sim.state["outstanding"] == 2
            venue.sim.disconnect()
            assert len(list(remaining(client))) == 2
        while venue.sim.state["outstanding"] and time.monotonic() < deadline:
            time.sleep(0.005)
        assert venue.sim.state["outstanding"] == 0


def test_streams_start_and_stop_many_times_without_a_trace() -> None:
    with opened("100 " * 12) as venue:
        before = threading.active_count()
        for _ in range(5):
            seen = told(venue)
            venue.buy(1)
            venue.step()
            venue.rehearsal.close()
            assert len(seen) == len(USUAL)

        assert threading.active_count() == before
