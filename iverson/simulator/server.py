# SPDX-License-Identifier: GPL-3.0-or-later
"""The server: one exchange on loopback, in a thread of its own, for clients that cannot tell.

    with Simulator(history) as sim:
        client = TradingClient(sim.key, sim.secret, url_override=sim.urls.trading)
        sim.step()

The loop in that thread is the only place that touches the exchange; the handle asks it to, and
reads only the time by itself. What breaks inside the server breaks the `with` block, at its end at
the latest.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, Self, TypeVar

from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.simulator import control
from iverson.simulator.application import application
from iverson.simulator.auth import LIVE_KEY, PAPER_KEY, SECRET, Keys
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.exchange import Exchange
from iverson.simulator.faults import RESHAPING, Script
from iverson.simulator.market import Market
from iverson.simulator.pacing import Pace, run
from iverson.simulator.reshape import reshaped
from iverson.simulator.scenarios import Scenario, scenario
from iverson.simulator.settings import Switches
from iverson.simulator.venue import ServerSwitches, Venue

T = TypeVar("T")

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PATIENCE = 60.0
EARLY = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Urls:
    """Where each client of alpaca-py is pointed with `url_override`; the streams are endpoints."""

    trading: str
    data: str
    data_stream: str
    news_stream: str
    trading_stream: str
    control: str

    @classmethod
    def at(cls, host: str, port: int) -> Urls:
        """Return the addresses of a server."""
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return cls(
            trading=f"http://{place}",
            data=f"http://{place}",
            data_stream=f"ws://{place}/v2/iex",
            news_stream=f"ws://{place}/v1beta1/news",
            trading_stream=f"ws://{place}/stream",
            control=f"http://{place}/_sim",
        )

    def __iter__(self) -> Any:
        return ((one.name, getattr(self, one.name)) for one in fields(self))


class Simulator:
    """An exchange on loopback; started by `with` or `start()`, ended by the end of it or `stop()`.

    Parameters
    ----------
    market : bars by symbol, or a market with its assets and news
    at : where the clock starts (tz-aware UTC); half an hour before the first bar if None
    cash : of the account, dollars
    paper : whether the environment is paper's; it decides which keys are taken
    switches, data, server : how the exchange, the data and the server behave
    scenario : a script, the name of a bundled one, or a file of the user's
    pace : what makes time move; lock step by default
    host, port : a loopback address, and 0 for any free port

    `ConfigError` in one sentence for a host that others can reach, a port that is taken, a script
    that cannot be.
    """

    def __init__(
        self,
        market: Market | Mapping[str, Bars],
        *,
        at: datetime | None = None,
        cash: float | Decimal = 100_000,
        paper: bool = True,
        switches: Switches | None = None,
        data: DataSwitches | None = None,
        server: ServerSwitches | None = None,
        scenario: Scenario | str | None = None,
        pace: Pace | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if host not in LOOPBACK:
            raise ConfigError(
                f"the simulator was to listen on {host!r}; it serves this machine alone, so give "
                f"{LOOPBACK[0]} or leave it out"
            )
        self.pace = pace or Pace.lock_step()
        self.scenario = _scenario(scenario)
        self.key, self.secret = (PAPER_KEY if paper else LIVE_KEY), SECRET
        self._host, self._port = host, port
        start = at or _start(market)
        market = _market(market, self.scenario, at=start)
        exchange = Exchange(
            market, at=start, switches=self.scenario.applied_to(switches or Switches())
        )
        account = exchange.open_account(self.key, cash=Decimal(str(cash)), paper=paper)
        keys = Keys(paper=paper)
        keys.add(self.key, self.secret, account.id)
        self.account_id: str = account.id
        self._data = data or DataSwitches()
        self._make: Callable[[], Venue] = lambda: Venue(
            exchange,
            keys=keys,
            script=Script(self.scenario.faults),
            switches=server,
            delay=self._data.bar_delay,
        )
        self._venue: Venue | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self.urls = Urls.at(host, port)

    # Starting and stopping

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.stop()
        if error is None and self.failures:
            raise self.failures[0]

    def start(self) -> Self:
        """Begin to listen; returns when the first client can connect."""
        if self._thread is not None:
            raise ConfigError("the simulator runs already; make another for a second run")
        listening = _listen(self._host, self._port)
        self.urls = Urls.at(self._host, listening.getsockname()[1])
        self._thread = threading.Thread(
            target=self._serve, args=(listening,), name="iverson-simulator", daemon=True
        )
        self._thread.start()
        self._ready.wait(PATIENCE)
        if self._failed is not None:
            self._thread.join()
            raise self._failed
        return self

    def stop(self) -> None:
        """End every connection and the thread; what the exchange knows can still be asked."""
        if self._thread is None or not self._thread.is_alive():
            return
        assert self._loop is not None, "it was started"
        assert self._venue is not None, "it was started"
        with suppress(RuntimeError):  # the loop may have ended by itself in between
            self._loop.call_soon_threadsafe(self._venue.closing.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the server did not end"

    @property
    def failures(self) -> list[BaseException]:
        """What broke inside the server; empty while all is well."""
        ended = [] if self._failed is None else [self._failed]
        return ended if self._venue is None else [*ended, *self._venue.failures]

    def _serve(self, listening: socket.socket) -> None:
        try:
            with listening, asyncio.Runner() as runner:
                runner.run(self._live(listening))
        except BaseException as error:  # noqa: BLE001 (the edge of the thread: told to the starter)
            self._failed = error
        finally:
            self._ready.set()

    async def _live(self, listening: socket.socket) -> None:
        from iverson.simulator.listening import Listening

        self._loop = asyncio.get_running_loop()
        self._venue = venue = self._make()
        venue.accounts.append(self.account_id)
        app = application(venue, pace=self.pace, data=self._data)
        server = Listening(app, venue.transports, started=self._ready.set, ended=venue.closing.wait)
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        moving = asyncio.ensure_future(run(venue, self.pace))
        await asyncio.gather(serving, moving)

    # The handle

    def call(self, what: Callable[[Venue], T]) -> T:
        """Return what a function says of the venue, asked in the loop's thread or afterwards."""
        venue = self._running_venue()
        if self._thread is None or not self._thread.is_alive():
            return what(venue)

        async def ask() -> T:
            return what(venue)

        return self._wait(ask())

    def step(self, bars: int = 1) -> int:
        """Move on by so many bars; return how many there were."""
        return self._wait(self._running_venue().step(bars=bars))

    def run_until(self, at: datetime) -> int:
        """Move on bar by bar up to an instant; return the number of steps."""
        return self._wait(self._running_venue().run_until(at))

    def advance_to(self, at: datetime) -> None:
        """Move the clock to an instant that need not be the end of a bar."""
        self._wait(self._running_venue().advance(at))

    def advance_until_word(self, at: datetime, *, step: timedelta) -> None:
        """Move the clock by steps up to an instant; it stops after one that said something."""
        self._wait(self._running_venue().advance_until_word(at, step=step))

    def processed(self, messages: int = 1) -> None:
        """Count messages that a handler of the client has finished with; any thread may."""
        venue = self._running_venue()
        assert self._loop is not None, "it was started"
        with suppress(RuntimeError):  # a handler may finish after the end
            self._loop.call_soon_threadsafe(venue.count_processed, messages)

    def wait_until_consumed(self, *, seconds: float = 10.0) -> None:
        """Wait until the client has finished with everything sent; `TimeoutError` if not."""
        self._wait(self._running_venue().consumed(seconds=seconds))

    @property
    def subscriptions(self) -> int:
        """How often a stream has confirmed what a client listens to."""
        return self.call(lambda venue: venue.progress.subscriptions)

    def wait_for_subscriptions(self, count: int, *, seconds: float = 10.0) -> None:
        """Wait until so many subscriptions were confirmed; `TimeoutError` if they are not."""
        self._wait(self._running_venue().subscribed(count, seconds=seconds))

    def disconnect(self) -> None:
        """Cut every connection at once, as a network may."""
        self.call(lambda venue: venue.disconnect())

    def load(self, script: Scenario | str) -> None:
        """Begin another script; what the first has done stays done."""
        found = _scenario(script)
        self.call(lambda venue: venue.load(found))

    @property
    def now(self) -> datetime:
        """The simulated clock; while it is being moved, an instant on the way.

        Asked several times a bar, so read here and not in the loop's thread: it is one value, and
        only ever replaced.
        """
        return self._running_venue().exchange.now

    @property
    def state(self) -> dict[str, Any]:
        """Where the run stands, as `/_sim/state` tells it."""
        return self.call(lambda venue: control.state(venue, self.pace))

    @property
    def ledger(self) -> dict[str, Any]:
        """What is true of the account: figures, positions, orders and fills, as JSON."""
        found = self.call(control.ledger)
        mine: dict[str, Any] = found["accounts"][self.account_id]
        return mine

    @property
    def log(self) -> str:
        """The event log: a line of canonical JSON for each event, chained by hashes."""
        return self.call(lambda venue: venue.exchange.log.text())

    def _running_venue(self) -> Venue:
        if self._venue is None:
            raise ConfigError("the simulator is not running; use it inside `with`")
        return self._venue

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._loop is None or self._thread is None or not self._thread.is_alive():
            coroutine.close()
            raise ConfigError("the simulator is not running; use it inside `with`")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def _scenario(given: Scenario | str | None) -> Scenario:
    if given is None:
        return Scenario("none", "Nothing goes wrong.")
    return scenario(given) if isinstance(given, str) else given


def _start(market: Market | Mapping[str, Bars]) -> datetime:
    made = market if isinstance(market, Market) else Market(market)
    early = datetime.min.replace(tzinfo=UTC)
    end = made.next_end(early)
    assert end is not None, "a market has bars"
    return min(bar.start for bar in made.bars_between(early, end)) - EARLY


def _market(given: Market | Mapping[str, Bars], script: Scenario, *, at: datetime) -> Market:
    if not isinstance(given, Market):
        return Market(reshaped(given, script.faults, at=at))
    if any(one.do in RESHAPING for one in script.faults):
        raise ConfigError(
            f"scenario {script.name!r} changes the history; give the simulator bars by symbol "
            "instead of a market"
        )
    return given


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where the protocol is named: 40 ms an answer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"port {port} on {host}: {reason}; choose another, or 0 for any"
        ) from error
    return listening
