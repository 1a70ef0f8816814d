# SPDX-License-Identifier: GPL-3.0-or-later
"""The data websockets with alpaca-py's own streams, and with a bare socket where it hides things.

A stream of alpaca-py takes up to five seconds to stop, unless its connection breaks while it does;
so it is stopped by asking it to, and then breaking the connection.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from socket import create_connection
from typing import Any

import msgpack
import pytest
from alpaca.data.live import NewsDataStream, StockDataStream
from alpaca.data.models import Bar, News
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from iverson.simulator import stream_client
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.events import TradingHalt
from iverson.simulator.market import Market
from iverson.simulator.news import Article
from tests.simulator.data_server import KEY, OTHER_KEY, SECRET, DataServer, wait_until
from tests.simulator.history import minute_bars

OPEN = datetime(2024, 11, 25, 14, 30, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
SYMBOLS = ["AAA", "BBB"]
FIRST = Article(1, "Maker recalls", OPEN + 2 * MINUTE, OPEN + 2 * MINUTE, ("AAA",), "s", "c")
CORRECTED = Article(
    1, "Maker recalls nothing", FIRST.created_at, OPEN + 4 * MINUTE, ("AAA",), "s", "c"
)
GENERAL = Article(2, "Rates unchanged", OPEN + 3 * MINUTE, OPEN + 3 * MINUTE)


@pytest.fixture(scope="module")
def market() -> Market:
    bars = {name: minute_bars(name, "2024-11-25", start=50.0) for name in SYMBOLS}
    return Market(bars, news=[FIRST, CORRECTED, GENERAL])


@pytest.fixture
def server(market: Market) -> Iterator[DataServer]:
    with DataServer(market, OPEN) as running:
        yield running


class Received:
    """What a stream's handler was given, in order."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    async def handle(self, item: Any) -> None:
        self.items.append(item)

    def wait(self, count: int) -> list[Any]:
        wait_until(lambda: len(self.items) >= count)
        return self.items


@contextmanager
def running(
    server: DataServer, stream: StockDataStream | NewsDataStream, *, clients: int = 1
) -> Iterator[None]:
    """Run a stream in a thread until the block ends; begins when the server knows of it."""
    stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.02
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: subscribed(server) >= clients)
        yield
    finally:
        stream.stop()
        server.call(server.streams.disconnect())
        thread.join(10)
        assert not thread.is_alive()


def subscribed(server: DataServer) -> int:
    clients = [one for feed in server.streams._clients.values() for one in feed]
    return sum(any(one.dialogue.wanted.values()) for one in clients)


def stock_stream(
    server: DataServer, *, raw: bool = False, path: str = "/v2/iex", **given: Any
) -> StockDataStream:
    url = f"ws://{server.place}{path}"
    return StockDataStream(KEY, SECRET, raw_data=raw, url_override=url, **given)


@contextmanager
def socket(
    server: DataServer,
    path: str = "/v2/iex",
    *,
    headers: dict[str, str] | None = None,
    **given: Any,
) -> Iterator[ClientConnection]:
    """A bare connection that speaks msgpack; the server's greeting is read."""
    sent = {"Content-Type": "application/msgpack"} if headers is None else headers
    with connect(f"ws://{server.place}{path}", additional_headers=sent, **given) as connection:
        if headers is None:
            assert hear(connection) == [{"T": "success", "msg": "connected"}]
        yield connection


def say(connection: ClientConnection, **content: Any) -> None:
    connection.send(msgpack.packb(content))


def hear(connection: ClientConnection) -> list[dict[str, Any]]:
    frame = connection.recv(timeout=10)
    assert isinstance(frame, bytes)
    items: list[dict[str, Any]] = msgpack.unpackb(frame, timestamp=3)
    return items


def admitted(connection: ClientConnection, key: str = KEY) -> None:
    say(connection, action="auth", key=key, secret=SECRET)
    assert hear(connection) == [{"T": "success", "msg": "authenticated"}]


def is_closed(connection: ClientConnection) -> bool:
    try:
        connection.recv(timeout=10)
    except ConnectionClosed:
        return True
    return False


# With alpaca-py


def test_typed_bars_arrive_with_all_fields_as_time_passes(server: DataServer) -> None:
    bars, days = Received(), Received()
    stream = stock_stream(server)
    stream.subscribe_bars(bars.handle, *SYMBOLS)
    stream.subscribe_daily_bars(days.handle, "AAA")
    with running(server, stream):
        for number in range(1, 4):
            server.move_to(OPEN + number * MINUTE)
            assert len(bars.items) == 2 * (number - 1)  # a second is missing
            server.move_to(OPEN + number * MINUTE + SECOND)
            bars.wait(2 * number)
        days.wait(3)
    found: list[Bar] = bars.items

    assert [(bar.symbol, bar.timestamp) for bar in found] == [
        (symbol, OPEN + number * MINUTE) for number in range(3) for symbol in SYMBOLS
    ]
    assert [bar.close for bar in found] == pytest.approx([50, 50, 50.01, 50.01, 50.02, 50.02])
    assert all(bar.vwap and bar.trade_count for bar in found)
    assert [day.volume for day in days.items] == [1000, 2000, 3000]


def test_raw_bars_carry_msgpack_timestamps(server: DataServer) -> None:
    bars = Received()
    stream = stock_stream(server, raw=True)
    stream.subscribe_bars(bars.handle, "*")
    with running(server, stream):
        server.move_to(OPEN + MINUTE + SECOND)
        bars.wait(2)

    assert isinstance(bars.items[0]["t"], msgpack.Timestamp)
    assert bars.items[0]["t"].to_datetime() == OPEN


def test_ticks_and_statuses_parse(server: DataServer) -> None:
    trades, quotes, statuses = Received(), Received(), Received()
    stream = stock_stream(server)
    stream.subscribe_trades(trades.handle, "AAA")
    stream.subscribe_quotes(quotes.handle, "AAA")
    stream.subscribe_trading_statuses(statuses.handle, "*")
    with running(server, stream):
        server.hear(TradingHalt("AAA", True, "scripted halt", OPEN + SECOND))
        server.move_to(OPEN + MINUTE + SECOND)
        trades.wait(4)
        quotes.wait(4)
        statuses.wait(1)

    assert quotes.items[0].bid_price < trades.items[0].price < quotes.items[0].ask_price
    assert statuses.items[0].symbol == "AAA"
    assert statuses.items[0].status_code == "H"
    assert statuses.items[0].timestamp == OPEN + SECOND


def test_news_arrive_when_they_are_out_and_again_when_corrected(server: DataServer) -> None:
    typed = Received()
    stream = NewsDataStream(KEY, SECRET, url_override=f"ws://{server.place}/v1beta1/news")
    stream.subscribe_news(typed.handle, "*")
    with running(server, stream):
        server.move_to(FIRST.updated_at - SECOND)
        assert typed.items == []
        server.move_to(FIRST.updated_at)
        typed.wait(1)
        server.move_to(CORRECTED.updated_at)
        typed.wait(3)
    found: list[News] = typed.items

    assert [one.id for one in found] == [1, 2, 1]
    assert found[0].headline == FIRST.headline
    assert found[2].headline == CORRECTED.headline
    assert found[2].created_at == found[0].created_at == FIRST.created_at
    assert found[1].symbols == []


def test_after_a_break_alpaca_py_returns_and_what_it_missed_is_gone(server: DataServer) -> None:
    bars = Received()
    stream = stock_stream(server)
    stream.subscribe_bars(bars.handle, "AAA")
    with running(server, stream):
        server.move_to(OPEN + MINUTE + SECOND)
        bars.wait(1)
        stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.5
        server.call(server.streams.disconnect("iex"))
        server.move_to(OPEN + 3 * MINUTE + SECOND)  # nobody is there
        wait_until(lambda: subscribed(server) == 1)
        server.move_to(OPEN + 4 * MINUTE + SECOND)
        bars.wait(2)

    assert [bar.timestamp for bar in bars.items] == [OPEN, OPEN + 3 * MINUTE]


def test_a_mute_connection_is_left_after_the_clients_own_time_out(server: DataServer) -> None:
    bars = Received()
    stream = stock_stream(server, data_timeout=0.3)
    stream.subscribe_bars(bars.handle, "AAA")
    with running(server, stream):
        server.move_to(OPEN + MINUTE + SECOND)
        bars.wait(1)
        (first,) = server.streams._clients["iex"]
        wait_until(lambda: first not in server.streams._clients["iex"])  # nothing was said
        wait_until(lambda: subscribed(server) == 1)
        server.move_to(OPEN + 2 * MINUTE + SECOND)
        bars.wait(2)

    assert [bar.timestamp for bar in bars.items] == [OPEN, OPEN + MINUTE]


def test_a_second_connection_waits_until_the_first_has_gone(
    server: DataServer, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Received(), Received()
    one, two = stock_stream(server), stock_stream(server)
    one.subscribe_bars(first.handle, "AAA")
    two.subscribe_bars(second.handle, "BBB")
    with running(server, one):
        two._reconnect_min_backoff = two._reconnect_max_backoff = 0.05
        thread = threading.Thread(target=two.run, daemon=True)
        thread.start()
        wait_until(lambda: "connection limit exceeded" in caplog.text)
        assert subscribed(server) == 1
    wait_until(lambda: subscribed(server) == 1)  # the second's turn
    server.move_to(OPEN + MINUTE + SECOND)
    second.wait(1)
    two.stop()
    server.call(server.streams.disconnect())
    thread.join(10)

    assert not thread.is_alive()
    assert [bar.symbol for bar in second.items] == ["BBB"]


def test_without_the_plan_alpaca_py_gives_up_on_consolidated_data(server: DataServer) -> None:
    stream = stock_stream(server, path="/v2/sip")
    stream.subscribe_bars(Received().handle, "AAA")
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    thread.join(10)

    assert not thread.is_alive()


# With a bare socket


def test_control_messages_come_alone_and_data_in_batches(server: DataServer) -> None:
    with socket(server) as connection:
        admitted(connection)
        say(connection, action="subscribe", bars=["*"], trades=["AAA"])
        (echo,) = hear(connection)
        server.move_to(OPEN + MINUTE + SECOND)
        batch = hear(connection)

    assert echo["bars"] == ["*"]
    assert echo["corrections"] == echo["trades"] == ["AAA"]
    assert [item["T"] for item in batch] == ["t", "t", "t", "t", "b", "b"]
    assert {type(item["t"]) for item in batch} == {datetime}


def test_a_wrong_key_is_told_and_shown_out(server: DataServer) -> None:
    with socket(server) as connection:
        say(connection, action="auth", key=KEY, secret=SECRET[:-1])

        assert hear(connection) == [{"T": "error", "code": 402, "msg": "auth failed"}]
        assert is_closed(connection)


def test_the_silent_are_shown_out(market: Market) -> None:
    with (
        DataServer(market, OPEN, switches=DataSwitches(auth_timeout=0.1)) as server,
        socket(server) as connection,
    ):
        assert hear(connection) == [{"T": "error", "code": 404, "msg": "auth timeout"}]
        assert is_closed(connection)


def test_the_thirty_first_symbol_leaves_the_subscription_as_it_was(server: DataServer) -> None:
    with socket(server) as connection:
        admitted(connection)
        say(connection, action="subscribe", bars=["AAA"])
        hear(connection)
        say(connection, action="subscribe", bars=[f"S{number}" for number in range(30)])
        assert hear(connection)[0]["code"] == 405
        server.move_to(OPEN + MINUTE + SECOND)

        assert [item["S"] for item in hear(connection)] == ["AAA"]


def test_one_connection_to_each_endpoint_and_account(server: DataServer) -> None:
    with socket(server) as first, socket(server) as second, socket(server) as other:
        admitted(first)
        say(second, action="auth", key=KEY, secret=SECRET)
        assert hear(second) == [{"T": "error", "code": 406, "msg": "connection limit exceeded"}]
        assert is_closed(second)
        admitted(other, OTHER_KEY)
        with socket(server, "/v1beta1/news") as news:
            admitted(news)


def test_a_dropped_connection_counts_for_as_long_as_it_lingers(market: Market) -> None:
    with DataServer(market, OPEN, switches=DataSwitches(linger=0.4)) as server:
        with socket(server) as first:
            admitted(first)
        with socket(server) as second:
            say(second, action="auth", key=KEY, secret=SECRET)
            assert hear(second)[0]["code"] == 406
        time.sleep(0.5)
        with socket(server) as third:
            admitted(third)


def test_two_connections_are_a_switch(market: Market) -> None:
    with (
        DataServer(market, OPEN, switches=DataSwitches(connections=2)) as server,
        socket(server) as first,
        socket(server) as second,
    ):
        admitted(first)
        admitted(second)


def test_the_paid_plan_streams_consolidated_data(market: Market) -> None:
    thin = DataSwitches(recent_sip=True, iex_share=0.02)
    with (
        DataServer(market, OPEN, switches=thin) as server,
        socket(server, "/v2/sip") as sip,
        socket(server, "/v2/iex") as iex,
    ):
        for connection in (sip, iex):
            admitted(connection)
            say(connection, action="subscribe", bars=["AAA"])
            hear(connection)
        server.move_to(OPEN + MINUTE + SECOND)
        volumes = {"sip": hear(sip)[0]["v"], "iex": hear(iex)[0]["v"]}

    assert volumes["sip"] == 1000
    assert 10 <= volumes["iex"] <= 30


def test_keys_in_the_headers_authenticate_unasked(server: DataServer) -> None:
    headers = {
        "Content-Type": "application/msgpack",
        "APCA-API-KEY-ID": KEY,
        "APCA-API-SECRET-KEY": SECRET,
    }
    with socket(server, headers=headers) as connection:
        assert hear(connection) == [{"T": "success", "msg": "connected"}]
        assert hear(connection) == [{"T": "success", "msg": "authenticated"}]


def test_a_client_that_does_not_ask_for_msgpack_is_spoken_to_in_json(server: DataServer) -> None:
    with socket(server, headers={}) as connection:
        assert json.loads(connection.recv(timeout=10)) == [{"T": "success", "msg": "connected"}]
        connection.send(json.dumps({"action": "auth", "key": KEY, "secret": SECRET}))
        connection.recv(timeout=10)
        connection.send(json.dumps({"action": "subscribe", "bars": ["AAA"]}))
        connection.recv(timeout=10)
        server.move_to(OPEN + MINUTE + SECOND)
        (bar,) = json.loads(connection.recv(timeout=10))

    assert bar["t"] == "2024-11-25T14:30:00Z"


@pytest.mark.parametrize("frame", [b"\xc1", "not json", b""])
def test_frames_that_cannot_be_read_are_invalid_syntax(
    server: DataServer, frame: bytes | str
) -> None:
    with socket(server) as connection:
        connection.send(frame)

        assert hear(connection) == [{"T": "error", "code": 400, "msg": "invalid syntax"}]
        admitted(connection)


class Listless:
    """A client that reads its socket only when told to, unlike every library's."""

    def __init__(self, server: DataServer, path: str) -> None:
        self._protocol = ClientProtocol(parse_uri(f"ws://{server.place}{path}"))
        self._socket = create_connection(server.place.split(":"), timeout=10)
        asked = self._protocol.connect()
        asked.headers["Content-Type"] = "application/msgpack"
        asked.headers["APCA-API-KEY-ID"] = KEY
        asked.headers["APCA-API-SECRET-KEY"] = SECRET
        self._protocol.send_request(asked)
        self._send()
        self.heard: list[dict[str, Any]] = []

    def subscribe(self, **channels: list[str]) -> None:
        self.read(until=lambda: len(self.heard) == 2)
        self._protocol.send_binary(msgpack.packb({"action": "subscribe", **channels}))
        self._send()
        self.read(until=lambda: len(self.heard) == 3)

    def read(self, *, until: Callable[[], bool]) -> None:
        """Read until something is true, or the server closes."""
        while not until() and (data := self._socket.recv(1 << 16)):
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                    self.heard += msgpack.unpackb(event.data, timestamp=3)
            self._send()

    def close(self) -> None:
        self._socket.close()

    def _send(self) -> None:
        self._socket.sendall(b"".join(self._protocol.data_to_send()))


LONG = [OPEN + number * MINUTE for number in range(1, 41)]


@pytest.mark.parametrize("reads_again", [True, False])
def test_a_client_that_does_not_read_is_cut_off_while_others_are_served(
    reads_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_client, "FAREWELL", 60.0 if reads_again else 0.1)
    articles = [
        Article(number, "Long", at, at, content="x" * 10**6) for number, at in enumerate(LONG)
    ]
    market = Market({"AAA": minute_bars("AAA", "2024-11-25")}, news=articles)
    switches = DataSwitches(queue_limit=3, connections=2, patience=0.1)
    with (
        DataServer(market, OPEN, switches=switches) as server,
        socket(server, "/v1beta1/news", max_size=None) as quick,
        closing(Listless(server, "/v1beta1/news")) as slow,
    ):
        admitted(quick)
        say(quick, action="subscribe", news=["*"])
        hear(quick)
        slow.subscribe(news=["*"])
        for number, at in enumerate(LONG):
            server.move_to(at)
            assert hear(quick)[0]["id"] == number
        if reads_again:
            slow.read(until=lambda: False)
        wait_until(lambda: len(server.streams._clients["news"]) == 1)

    if reads_again:
        assert slow.heard[-1] == {"T": "error", "code": 407, "msg": "slow client"}
        assert len(slow.heard) < len(LONG)


def test_a_long_leap_of_the_clock_overruns_nobody(market: Market) -> None:
    with (
        DataServer(market, OPEN, switches=DataSwitches(queue_limit=4)) as server,
        socket(server) as connection,
    ):
        admitted(connection)
        say(connection, action="subscribe", bars=["AAA"])
        hear(connection)
        server.move_to(OPEN + timedelta(hours=7))
        heard = [hear(connection)[0]["t"] for _ in range(390)]

    assert heard == [OPEN + number * MINUTE for number in range(390)]


def test_a_clock_that_moves_on_while_messages_are_sent_sends_none_twice(market: Market) -> None:
    switches = DataSwitches(recent_sip=True)
    with (
        DataServer(market, OPEN, switches=switches) as server,
        socket(server, "/v2/iex") as iex,
        socket(server, "/v2/sip") as sip,
    ):
        for connection in (iex, sip):
            admitted(connection)
            say(connection, action="subscribe", bars=["AAA"])
            hear(connection)

        async def hurry() -> None:
            flushing = []
            for number in range(1, 6):
                server.stage.now = OPEN + number * MINUTE + SECOND
                flushing.append(asyncio.create_task(server.streams.flush()))
                await asyncio.sleep(0)
            await asyncio.gather(*flushing)

        server.call(hurry())
        server.move_to(OPEN + 6 * MINUTE + SECOND)
        heard = [[hear(one)[0]["t"] for _ in range(6)] for one in (iex, sip)]

    assert heard == [[OPEN + number * MINUTE for number in range(6)]] * 2
