# SPDX-License-Identifier: GPL-3.0-or-later
"""An exchange in this process, a system that wakes on it, and a place to break: the campaign's rig.

The exchange is the one of `iverson.simulator`, reached through its whole application but without a
socket, so that a run takes a tenth of a second. Between it and the system stands `Breaking`: it
numbers every append to the journal and every call, before and after, and does there what it is
told: raise `SimulatedCrash`, or spoil the answer.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from iverson.execution.alpaca.outcomes import Reply
from iverson.execution.alpaca.store import AlpacaStore
from iverson.market.bars import Bars
from iverson.monitoring.journal import Journal
from iverson.simulator.application import application
from iverson.simulator.auth import PAPER_KEY, SECRET, Keys
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.exchange import Exchange
from iverson.simulator.faults import Fault, Script
from iverson.simulator.ledger import Ledger
from iverson.simulator.market import Market
from iverson.simulator.pacing import Pace
from iverson.simulator.settings import Switches
from iverson.simulator.venue import ServerSwitches, Venue

FATES: dict[str, tuple[bool, Reply]] = {  # whether the exchange does it, and what is answered
    "not sent": (False, Reply(0, error="ConnectionError")),
    "answer lost": (True, Reply(0, error="ReadTimeout")),
    "503 before": (False, Reply(503, None, "HTTP 503")),
    "504 after": (True, Reply(504, None, "HTTP 504")),
    "empty answer": (True, Reply(200, None)),
}
UNSEEN = "not to be seen yet"  # a read that lags behind a write
FATES_OF_LOOKS = FATES | {UNSEEN: (False, Reply(404, {"code": 40410000}, "HTTP 404"))}


class SimulatedCrash(BaseException):
    """The process ends here; nobody may catch it."""


@dataclass
class Breaking:
    """Numbers the places where a run can break, and breaks it at one.

    `crashes` are the numbers of the points at which a process ends, `spoils` the fates of calls by
    their number; both count from 1. `first` names a point that ends the process when it is passed
    for the first time. `points` and `calls` name what was passed, in order.
    """

    crashes: frozenset[int] = frozenset()
    first: str = ""
    spoils: Mapping[int, str] = field(default_factory=dict)
    points: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def point(self, name: str) -> None:
        """Pass a point, or end there."""
        self.points.append(name)
        named = name == self.first and self.points.count(name) == 1
        if named or len(self.points) in self.crashes:
            raise SimulatedCrash(name)

    def around(self, name: str, act: Callable[[], Reply]) -> Reply:
        """Make a call, with a point before and one after it, and the fate it has."""
        self.calls.append(name)
        self.point(f"before {name}")
        fate = self.spoils.get(len(self.calls))
        if fate is not None:
            done, reply = FATES_OF_LOOKS[fate]
            if done:
                act()
        else:
            reply = act()
        self.point(f"after {name}")
        return reply


class BreakableJournal(Journal):
    """A journal with a point before and after every append."""

    breaking = Breaking()

    def append(self, run: str, value: Any) -> int:
        """Append one value."""
        name = f"append {type(value).__name__}"
        self.breaking.point(f"before {name}")
        number = super().append(run, value)
        self.breaking.point(f"after {name}")
        return number


class Street:
    """The exchange with its account, its witness and its loop; `call` is how a client reaches it.

    `witness` is the ledger of the exchange, made of its events alone. `on_call` may act on the
    exchange after a request of a method was taken: the other side of a race.
    """

    def __init__(
        self,
        bars: Mapping[str, Bars],
        *,
        at: datetime,
        cash: float = 100_000.0,
        faults: tuple[Fault, ...] = (),
        switches: Switches | None = None,
    ) -> None:
        self.exchange = Exchange(Market(bars), at=at, switches=switches or Switches.exact())
        self.witness = Ledger(self.exchange)
        self.account = self.exchange.open_account(PAPER_KEY, cash=Decimal(str(cash))).id
        keys = Keys(paper=True)
        keys.add(PAPER_KEY, SECRET, self.account)
        self.loop = asyncio.new_event_loop()
        self._one_at_a_time = threading.RLock()
        self.venue = Venue(
            self.exchange,
            keys=keys,
            script=Script(faults),
            switches=ServerSwitches(trading_limit=None, data_limit=None),
        )
        self.venue.accounts.append(self.account)
        self._app = application(self.venue, pace=Pace.lock_step(), data=DataSwitches())
        self.on_call: Callable[[str, str], None] | None = None

    @property
    def now(self) -> datetime:
        """The simulated clock."""
        return self.exchange.now

    def advance_to(self, at: datetime) -> None:
        """Move the clock; the script acts on the way."""
        with self._one_at_a_time:
            self.loop.run_until_complete(self.venue.advance(max(at, self.now)))

    def pause(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.advance_to(self.now + timedelta(seconds=seconds))

    def close(self) -> None:
        """Free the loop."""
        self.loop.close()

    def call(self, method: str, path: str, data: dict[str, Any] | None = None) -> Reply:
        """Make one request of the trading API."""
        with self._one_at_a_time:
            status, body = self.loop.run_until_complete(self._ask(method, path, data))
        if self.on_call is not None:
            self.on_call(method, path)
        content = json.loads(body) if body and not body.startswith(b"<") else None
        return Reply(200 if status in (200, 204, 207) else status, content, f"HTTP {status}")

    async def _ask(self, method: str, path: str, data: dict[str, Any] | None) -> tuple[int, bytes]:
        sends = method in ("POST", "PATCH")
        content = json.dumps(data).encode() if sends and data else b""
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
            "method": method, "path": f"/v2{path}", "raw_path": f"/v2{path}".encode(),
            "root_path": "", "server": ("127.0.0.1", 0), "client": ("127.0.0.1", 1),
            "query_string": b"" if sends else urlencode(data or {}).encode(),
            "headers": [
                (b"content-type", b"application/json"),
                (b"apca-api-key-id", PAPER_KEY.encode()),
                (b"apca-api-secret-key", SECRET.encode()),
            ],
        }  # fmt: skip
        answer: dict[str, Any] = {"status": 0, "body": b""}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
            else:
                answer["body"] += message.get("body", b"")

        await self._app(scope, receive, send)
        return answer["status"], answer["body"]


class Line:
    """The connection of one process: it ends with it."""

    def __init__(self, street: Street, breaking: Breaking) -> None:
        self._street = street
        self._breaking = breaking

    def call(self, method: str, path: str, data: dict[str, Any] | None = None) -> Reply:
        """Make one call, breakable."""
        name = f"{method} {path.split('/')[1].split(':', maxsplit=1)[0]}"
        return self._breaking.around(name, lambda: self._street.call(method, path, data))


def store_of(
    street: Street, breaking: Breaking, alarms: list[tuple[str, str]], kind: Any = AlpacaStore
) -> Callable[..., AlpacaStore]:
    """Return what makes the store of a wake on this street."""

    def make(written: Any, note: Any) -> AlpacaStore:
        return kind(  # type: ignore[no-any-return]  # a mutant of the store is one
            rest=Line(street, breaking),
            threaded=False,
            limited=False,
            written=written,
            note=note,
            alarm=lambda rule, reason: alarms.append((rule, reason)),
            clock=lambda: street.now,
            pause=street.pause,
        )

    return make


def journal_at(path: Path, breaking: Breaking) -> BreakableJournal:
    """Open the journal of a process."""
    journal = BreakableJournal(path, durable=False)
    journal.breaking = breaking
    return journal
