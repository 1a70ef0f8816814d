# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal in a test: bars in words, on an exchange that alpaca-py takes for Alpaca.

    with exchange("100 101 99 | gap 90") as venue:
        venue.step()
        order = venue.trading.submit_order(MarketOrderRequest(...))
        venue.step()
        assert venue.ledger["positions"][0]["qty"] == "10"

Nothing is left to chance unless asked for: no spread, no latency, no partial fills, no limits on
requests; bars are streamed at the instant they end. Needs `pip install iverson[simulator]`.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from iverson.market.bars import Bars
from iverson.testing.kit import bars as bars_in_words

if TYPE_CHECKING:
    from alpaca.data.historical import NewsClient, StockHistoricalDataClient
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.trading.client import TradingClient

    from iverson.simulator.market import Market
    from iverson.simulator.server import Simulator

Client = TypeVar("Client")
Handler = Callable[[Any], Awaitable[None]]
PATIENCE = 10.0


@contextmanager
def exchange(
    history: str | Bars | Mapping[str, Bars] | Market, *, symbol: str = "TEST", **options: Any
) -> Iterator[Rehearsal]:
    """Open an exchange on loopback for the time of a test.

    Parameters
    ----------
    history : bars in the words of `bars`, bars, bars by symbol, or a market with news and assets
    symbol : of bars in words
    options : of `iverson.simulator.server.Simulator`: cash, scenario, switches, at, pace, ...

    Raises
    ------
    Whatever broke inside the server, at the end; `ConfigError` for options that cannot be.
    """
    from iverson.simulator.installed import check_installed

    check_installed()
    from iverson.simulator.data_settings import DataSwitches
    from iverson.simulator.server import Simulator
    from iverson.simulator.settings import Switches
    from iverson.simulator.venue import ServerSwitches

    options.setdefault("switches", Switches.exact())
    options.setdefault("data", DataSwitches(bar_delay=timedelta(0)))
    options.setdefault("server", ServerSwitches(trading_limit=None, data_limit=None))
    with Simulator(_series(history, symbol), **options) as sim:
        rehearsal = Rehearsal(sim)
        try:
            yield rehearsal
        finally:
            rehearsal.close()


class Rehearsal:
    """An open exchange with alpaca-py's clients pointed at it; each is made when first used.

    The clients are the real ones. They do not retry, because alpaca-py sleeps three seconds of
    real time before it does; set `client._retry` where that is what is tested.
    """

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self._clients: dict[type, Any] = {}
        self._running: list[tuple[Any, threading.Thread]] = []

    # Time

    def step(self, bars: int = 1) -> int:
        """Move on by so many bars, when every handler is done with what it was sent before.

        Returns how many bars there were, when the handlers are done with what came of them.
        """
        for taken in range(bars):
            self.sim.wait_until_consumed(seconds=PATIENCE)
            if not self.sim.step():
                return taken
            self.sim.wait_until_consumed(seconds=PATIENCE)
        return bars

    # What is true

    @property
    def ledger(self) -> dict[str, Any]:
        """Account, positions, orders and fills as the exchange knows them, in Alpaca's JSON."""
        return self.sim.ledger

    @property
    def log(self) -> str:
        """The event log: a line of JSON for each event, chained by hashes."""
        return self.sim.log

    # Clients

    @property
    def trading(self) -> TradingClient:
        """The trading API."""
        from alpaca.trading.client import TradingClient

        return self._client(TradingClient, self.sim.urls.trading)

    @property
    def data(self) -> StockHistoricalDataClient:
        """The history of stocks."""
        from alpaca.data.historical import StockHistoricalDataClient

        return self._client(StockHistoricalDataClient, self.sim.urls.data)

    @property
    def news(self) -> NewsClient:
        """The news."""
        from alpaca.data.historical import NewsClient

        return self._client(NewsClient, self.sim.urls.data)

    @property
    def corporate_actions(self) -> CorporateActionsClient:
        """Splits and dividends."""
        from alpaca.data.historical.corporate_actions import CorporateActionsClient

        return self._client(CorporateActionsClient, self.sim.urls.data)

    # Streams

    def on_trade_updates(self, handler: Handler, *, raw_data: bool = False) -> Any:
        """Run a `TradingStream` whose updates go to a coroutine; returns when it listens."""
        from alpaca.trading.stream import TradingStream

        stream = TradingStream(
            self.sim.key,
            self.sim.secret,
            raw_data=raw_data,
            url_override=self.sim.urls.trading_stream,
        )
        stream.subscribe_trade_updates(self.counted(handler))
        return self.run(stream)

    def on_bars(
        self, handler: Handler, *symbols: str, daily: bool = False, raw_data: bool = False
    ) -> Any:
        """Run a `StockDataStream` whose bars go to a coroutine; all symbols if none is named."""
        from alpaca.data.live import StockDataStream

        stream = StockDataStream(
            self.sim.key, self.sim.secret, raw_data=raw_data, url_override=self.sim.urls.data_stream
        )
        subscribe = stream.subscribe_daily_bars if daily else stream.subscribe_bars
        subscribe(self.counted(handler), *(symbols or ("*",)))
        return self.run(stream)

    def on_news(self, handler: Handler, *symbols: str, raw_data: bool = False) -> Any:
        """Run a `NewsDataStream` whose articles go to a coroutine; all of them if unnamed."""
        from alpaca.data.live import NewsDataStream

        stream = NewsDataStream(
            self.sim.key, self.sim.secret, raw_data=raw_data, url_override=self.sim.urls.news_stream
        )
        stream.subscribe_news(self.counted(handler), *(symbols or ("*",)))
        return self.run(stream)

    def counted(self, handler: Handler) -> Handler:
        """Return a handler that tells the exchange when it is done with a message.

        `step` waits for what was sent; a handler of a stream of your own has to count too.
        """

        async def handle(message: Any) -> None:
            try:
                await handler(message)
            finally:
                self.sim.processed()

        return handle

    def run(self, stream: Any) -> Any:
        """Run a stream of alpaca-py in a thread until the end; returns it when it is subscribed."""
        before = self.sim.subscriptions
        thread = threading.Thread(target=stream.run, daemon=True)
        self._running.append((stream, thread))
        thread.start()
        self.sim.wait_for_subscriptions(before + 1, seconds=PATIENCE)
        return stream

    def close(self) -> None:
        """End the streams; a second time nothing is left to do."""
        while self._running:
            stream, thread = self._running.pop()
            if thread.is_alive():
                stream.stop()
                # It looks for the wish to stop every five seconds, or when its connection ends.
                self.sim.disconnect()
            thread.join(PATIENCE)
        for client in self._clients.values():
            client._session.close()  # noqa: SLF001 (alpaca-py has no other way to close it)
        self._clients.clear()

    def _client(self, kind: type[Client], url: str) -> Client:
        if kind not in self._clients:
            # mypy sees the constructor of object, which takes nothing.
            made: Any = kind(self.sim.key, self.sim.secret, url_override=url)  # type: ignore[call-arg]
            made._retry = 0  # noqa: SLF001 (its constructor does not pass it on)
            self._clients[kind] = made
        found: Client = self._clients[kind]
        return found


def _series(
    history: str | Bars | Mapping[str, Bars] | Market, symbol: str
) -> Mapping[str, Bars] | Market:
    if isinstance(history, str):
        return {symbol: bars_in_words(history, symbol=symbol)}
    return {history.symbol: history} if isinstance(history, Bars) else history
