# SPDX-License-Identifier: GPL-3.0-or-later
"""The venue: one exchange as it is being served, with its keys, its script and its clients.

Everything here lives in the loop's thread. The exchange is pure and knows nothing of clients; the
venue moves its clock, lets the script act between its events, and waits until what happened has
been sent.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from iverson.market.calendar import new_york
from iverson.simulator.acts import Acts
from iverson.simulator.auth import Keys
from iverson.simulator.events import Event, TradeUpdate
from iverson.simulator.exchange import Exchange
from iverson.simulator.faults import Fault, Script
from iverson.simulator.hours import ZONE
from iverson.simulator.limits import Limit
from iverson.simulator.listing import MOST_ORDERS
from iverson.simulator.orders import Order
from iverson.simulator.past import Past
from iverson.simulator.progress import Progress
from iverson.simulator.requests import OrderQuery
from iverson.simulator.scenarios import Scenario
from iverson.simulator.statements import Activity

POLL = 0.001


@dataclass(frozen=True, slots=True)
class ServerSwitches:
    """How the exchange is served. Limits are requests in a simulated minute, None for none."""

    trading_limit: int | None = 200
    data_limit: int | None = 200
    stream_connections: int | None = None  # to the trading stream at once; the next is shown out


class Venue:
    """One exchange being served; see the module."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        keys: Keys,
        script: Script | None = None,
        switches: ServerSwitches | None = None,
        delay: timedelta = timedelta(0),
    ) -> None:
        self.exchange = exchange
        self.keys = keys
        self.script = script or Script()
        self.switches = switches or ServerSwitches()
        self.progress = Progress()
        self.past = Past(exchange, keeping=self.script.lags)
        self.acts = Acts(exchange, keys, self.past)
        self.trading_limit = _limit(self.switches.trading_limit)
        self.data_limit = _limit(self.switches.data_limit)
        self.accounts: list[str] = []
        self.failures: list[BaseException] = []
        self.sources: list[Callable[[], datetime | None]] = [exchange.next_at]
        self.flushers: list[Callable[[], Awaitable[None]]] = []
        self.transports: dict[tuple[str, int], asyncio.Transport] = {}
        self.closing = asyncio.Event()
        self._delay = delay
        self._heard: list[str] | None = None
        self._done: set[int] = set()
        self._first = new_york().ordinal(_first_session(exchange))
        exchange.listeners.append(self._hear)

    # The clock

    async def advance(self, until: datetime) -> None:
        """Move the clock to an instant, acting on the script on the way, and send what happened."""
        self.past.begin_move()
        end = self.exchange.market.next_end(self.exchange.now)
        while (due := self._next_instant(until)) is not None:
            at, number, fault = due
            self._advance(at)
            self._done.add(number)
            self.script.fire(fault, fault.on)
            for account_id in self.accounts[:1]:
                self.acts.act(fault, account_id=account_id)
        self._advance(until)
        if end is not None and end <= until:
            self.past.end_step(self.accounts)
        await self.flush()

    async def step(self, *, bars: int = 1) -> int:
        """Move on by so many bars, as far as there are any; return how many there were.

        The clock stops when a bar has been sent, which is a little after its end.
        """
        for number in range(bars):
            end = self.exchange.market.next_end(self.exchange.now)
            if end is None:
                return number
            await self.advance(end + self._delay)
        return bars

    async def advance_until_word(self, until: datetime, *, step: timedelta) -> None:
        """Move on by steps up to an instant, or to the end of that in which anything was sent."""
        sent = self.progress.sent
        while self.exchange.now < until and self.progress.sent == sent:
            await self.advance(min(self.exchange.now + step, until))

    async def run_until(self, at: datetime) -> int:
        """Move on bar by bar up to an instant; return how many steps it took."""
        taken = 0
        while (end := self.exchange.market.next_end(self.exchange.now)) is not None and end <= at:
            taken += await self.step()
        await self.advance(max(at, self.exchange.now))
        return taken

    def next_at(self) -> datetime | None:
        """Return the next instant at which anything is due, None when nothing is left."""
        instants = [source() for source in self.sources]
        return min((at for at in instants if at is not None), default=None)

    async def flush(self) -> None:
        """Wait until everything that was said has been handed to the sockets."""
        for flush in self.flushers:
            await flush()

    async def consumed(self, *, seconds: float) -> None:
        """Wait until the clients have finished with everything sent; `TimeoutError` if not."""
        progress = self.progress
        if not await self.until(lambda: not progress.outstanding, seconds):
            raise TimeoutError(
                f"{progress.outstanding} of {progress.sent} messages were not finished within "
                f"{seconds:g} s; every handler has to count what it has done, and only one with "
                "raw_data=True sees what is malformed"
            )

    async def subscribed(self, count: int, *, seconds: float) -> None:
        """Wait until streams have confirmed so many subscriptions; `TimeoutError` if not."""
        if not await self.until(lambda: self.progress.subscriptions >= count, seconds):
            raise TimeoutError(
                f"the stream has not subscribed within {seconds:g} s; subscribe before it runs"
            )

    async def until(self, come: Callable[[], bool], seconds: float) -> bool:
        """Wait until something has come about, or so many wall seconds; tell whether it has."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not come():
            if loop.time() > deadline:
                return False
            await asyncio.sleep(POLL)
        return True

    def count_processed(self, messages: int) -> None:
        """Count messages that a handler of the client has finished with."""
        self.progress.process(self.progress.processed + messages)

    def load(self, scenario: Scenario) -> None:
        """Begin another script; what the first has done stays done.

        `ConfigError` for one that has to be there from the start.
        """
        scenario.check_loadable()
        self.script.load(scenario.faults)
        self._done.clear()
        self.past.keeping = self.past.keeping or self.script.lags

    def orders(self, account_id: str) -> list[Order]:
        """Return every order of an account with its legs, in order of arrival."""
        query = OrderQuery(status="all", limit=MOST_ORDERS, direction="asc", nested=True)
        found = page = self.exchange.orders(account_id, query)
        while len(page) == MOST_ORDERS:
            page = self.exchange.orders(account_id, replace(query, after_order_id=page[-1].id))
            found = found + page
        return found

    def fills(self, account_id: str) -> list[Activity]:
        """Return every execution of an account, in order."""
        found: list[Activity] = []
        token = None
        while page := self.exchange.activities(
            account_id, types=["FILL"], direction="asc", page_token=token
        ):
            found += page
            token = page[-1].id
        return found

    def _advance(self, until: datetime) -> None:
        if self.script.acts_on_events:
            while (at := self.exchange.next_at()) is not None and at <= until:
                self.exchange.advance_to(at)
                self.acts.act_now()
        self.exchange.advance_to(max(until, self.exchange.now))
        self.acts.act_now()

    def _next_instant(self, until: datetime) -> tuple[datetime, int, Fault] | None:
        due = [
            (self._instant(fault), number, fault)
            for number, fault in enumerate(self.script.instants())
            if number not in self._done
        ]
        found = [one for one in due if one[0] <= until]
        if not found:
            return None
        at, number, fault = min(found, key=lambda one: one[:2])
        return max(at, self.exchange.now), number, fault

    def _instant(self, fault: Fault) -> datetime:
        sessions = new_york().sessions
        index = min(self._first + fault.session - 1, len(sessions) - 1)
        return datetime.combine(sessions[index].item(), fault.time, ZONE).astimezone(UTC)

    def _hear(self, event: Event) -> None:
        if isinstance(event, TradeUpdate):
            self.past.note(event.order)
            if self._heard is not None:
                self._heard.append(event.event)

    # Answers that come late, or never

    def listen(self) -> None:
        """Note the events from here on, for an answer that waits for one."""
        self._heard = []

    async def wait_for(self, fault: Fault) -> None:
        """Let the clock run until an answer that is late is due: at an event, or seconds later."""
        limit = self.exchange.now + timedelta(seconds=fault.seconds) if fault.seconds else None
        while self._heard is not None and fault.until not in self._heard:
            at = self.exchange.next_at()
            if at is None or (limit is not None and at > limit):
                break
            await self.advance(at)
        if limit is not None and not fault.until:
            await self.advance(limit)
        self._heard = None

    async def stall(self, seconds: float, *, until: Coroutine[Any, Any, None]) -> None:
        """Wait so many seconds by the wall clock (0: for ever), or until something else ends it."""
        waiting = [asyncio.ensure_future(until), asyncio.ensure_future(self.closing.wait())]
        try:
            await asyncio.wait(
                waiting, timeout=seconds or None, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def hang_up(self, scope: MutableMapping[str, Any], *, politely: bool = False) -> None:
        """End a client's TCP connection: with a reset, or politely, in the middle of a body."""
        transport = self.transports.get(tuple(scope["client"]))
        if transport is None:
            return
        if politely:
            transport.close()
            return
        connection = transport.get_extra_info("socket")
        linger = struct.pack("ii", 1, 0)  # closing sends RST instead of FIN
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()

    def disconnect(self) -> None:
        """Cut every connection at once."""
        for transport in list(self.transports.values()):
            transport.abort()

    async def end(self, scope: MutableMapping[str, Any], *, politely: bool = False) -> None:
        """Hang up, and wait until the server knows, which takes an unfinished answer for a bug."""
        self.hang_up(scope, politely=politely)
        client = tuple(scope["client"])
        await self.until(lambda: client not in self.transports, 1.0)


def _first_session(exchange: Exchange) -> date:
    end = exchange.market.next_end(exchange.now) or exchange.now
    return new_york().session_of(end)


def _limit(most: int | None) -> Limit | None:
    return None if most is None else Limit(most)
