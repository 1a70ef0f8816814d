# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: T201 (it prints what it found)
"""What a stream costs: from bar to order, requests a minute, CPU at rest; for docs/alpaca.md.

    python -m tests.stages.measure

The exchange runs in this process, the stream in one of its own, over alpaca-py's sockets and HTTP
on loopback, with a journal that is synced to the disk: as `iverson paper` runs it.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from iverson.execution.alpaca import stream as sockets
from iverson.execution.alpaca.hub import Candle, Hub
from iverson.execution.alpaca.live import MUTE_SECONDS
from iverson.execution.alpaca.rest import Rest
from iverson.execution.alpaca.states import instant
from iverson.execution.alpaca.store import AlpacaStore
from iverson.execution.costs import Costs
from iverson.market.bars import Bars
from iverson.model import Signal, Stage
from iverson.monitoring.journal import Journal
from iverson.research.backtest import Prepared, Setup
from iverson.risk.rules import OneSystemPerSymbol
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.pacing import Pace
from iverson.simulator.server import Simulator
from iverson.simulator.settings import Switches
from iverson.simulator.venue import ServerSwitches
from iverson.stages.runs import begin
from iverson.stages.stream import MinuteLine, stream
from iverson.strategy import Strategy
from iverson.testing import signal
from tests.simulator.rehearsing import SESSION, at, minutes
from tests.stages.streaming import _after

DAY_BEFORE = date(2024, 1, 2)
LENGTH, HISTORY = 380, 5  # minutes of the session, and those that are over at the start
WORK_SPEED = 60.0  # a minute of the exchange in a second
ORDERS = 250
REST_SECONDS, SETTLING = 60.0, 5.0
RUN = "rehearse-measure"


@dataclass(frozen=True)
class Ask:
    """What the process of the stream is told."""

    trading: str
    trading_stream: str
    data_stream: str
    key: str
    secret: str
    speed: float
    symbols: int
    seconds: float
    orders: int


class Asking(Strategy):
    """Wants to buy every symbol on every other bar, too low to be filled, for a minute.

    So the cancel of an entry, on the bars between, stands in no order's way.
    """

    params: Any = dict(entry_minutes=1, wants=False)
    warm_up = 0

    def signals(self) -> Iterator[Signal]:
        """Yield a signal a symbol."""
        now = self.desk.now
        assert now is not None
        for data in self.datas if self.p.wants and now.at.minute % 2 == 0 else ():
            yield replace(
                signal(symbol=data._name, limit=95.0, stop=92.0, target=100.0, max_sessions=0),
                at=now.at, session=now.session,
            )  # fmt: skip


def history(symbols: int) -> dict[str, Bars]:
    """Minutes of some symbols that go nowhere, after two of the day before."""
    made = {}
    for number in range(symbols):
        name = f"S{number}"
        before = minutes("100 100", session=DAY_BEFORE, symbol=name)
        made[name] = _after(before, minutes("100 101 " * (LENGTH // 2), symbol=name))
    return made


# -- the process of the stream -----------------------------------------------------------------


class CountedRest(Rest):
    """Counts what is asked, and when the requests of orders leave."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.calls: Counter[str] = Counter()
        self.left: list[float] = []
        self.answered: list[float] = []
        session = self.client._session
        send = session.send

        def watched(request: Any, **more: Any) -> Any:
            if request.method == "POST":
                self.left.append(time.perf_counter())
            return send(request, **more)

        session.send = watched  # type: ignore[method-assign]  # to be as near to the wire as one can

    def call(self, method: Any, path: str, data: Any = None) -> Any:
        self.calls[f"{method} /{path.split('/')[1].split(':', maxsplit=1)[0]}"] += 1
        reply = super().call(method, path, data)
        if method == "POST":
            self.answered.append(time.perf_counter())
        return reply


class TimedHub(Hub):
    """A hub that knows when bars were heard, and can end the run."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.heard: list[float] = []
        self.over: Callable[[], bool] = lambda: False
        self.end: Callable[[], None] = lambda: None

    def hear(self, bar: Candle) -> None:
        self.heard.append(time.perf_counter())
        super().hear(bar)

    def wait(self, seconds: float) -> None:
        if self.over():
            self.end()
        super().wait(seconds)


def run_stream(ask: Ask) -> dict[str, Any]:
    """Stream as asked and return what was measured."""
    rest = CountedRest(ask.key, ask.secret, paper=True, url=ask.trading)
    asked = time.monotonic()
    said = rest.call("GET", "/clock").body["timestamp"]
    begun = (asked + time.monotonic()) / 2
    start = instant(said)
    assert start is not None

    def clock() -> datetime:
        return start + timedelta(seconds=ask.speed * (time.monotonic() - begun))

    setup = Setup(
        Asking, (OneSystemPerSymbol(),), costs=Costs.none(), cash=100_000.0,
        params=dict(wants=ask.orders > 0),
    )  # fmt: skip
    past = {
        name: bars[
            : sum(bars.at.astype("datetime64[us]").astype(object) <= start.replace(tzinfo=None))
        ]
        for name, bars in history(ask.symbols).items()
    }
    hub = TimedHub(past, monotonic=time.monotonic)
    pair = sockets.Pair()
    marks: dict[str, Any] = {}
    alarms: list[str] = []

    def store(written: Any, note: Any) -> AlpacaStore:
        return AlpacaStore(
            rest=rest, written=written, note=note, clock=clock, limited=False,
            poll_seconds=60 * ask.speed,  # a minute of the wall clock, as it would be
            alarm=lambda rule, reason: alarms.append(f"{rule}: {reason}"),
        )  # fmt: skip

    def connect(made: AlpacaStore) -> None:
        options: Any = dict(connected=lambda: None)
        pair.open(
            sockets.trades(
                ask.key, ask.secret, paper=True, url=ask.trading_stream, hear=made.hear, **options
            ),
            sockets.minutes(
                ask.key, ask.secret, tuple(past), feed="iex", url=ask.data_stream, hear=hub.hear,
                mute_seconds=MUTE_SECONDS, **options,
            ),
        )  # fmt: skip

    def over() -> bool:
        passed = time.monotonic() - begun
        if "cpu" not in marks and passed >= SETTLING:
            marks.update(cpu=time.process_time(), wall=time.monotonic(), calls=rest.calls.total())
        if ask.orders:
            return len(rest.left) >= ask.orders or passed > ask.seconds
        return passed >= SETTLING + ask.seconds

    def running(cerebro: Any) -> None:
        hub.over, hub.end = over, cerebro.runstop

    with (
        tempfile.TemporaryDirectory(prefix="iverson-measure-") as folder,
        Journal(Path(folder) / "iverson.db") as journal,
    ):
        begin(journal, RUN, setup, past, stage=Stage.REHEARSE, system="measure", at=start)
        stream(
            setup, Prepared.of(past), line=MinuteLine(hub, started=connect, connections=pair.count),
            store=store, journal=journal, run=RUN, session=SESSION, running=running,
        )  # fmt: skip
    seconds = time.monotonic() - marks["wall"]
    found = {
        "cpu_percent": 100 * (time.process_time() - marks["cpu"]) / seconds,
        "seconds": seconds,
        "calls_a_minute": 60 * (rest.calls.total() - marks["calls"]) / seconds,
        "calls": dict(rest.calls),
        "alarms": alarms,
        "bars": len(hub.heard),
        "first_to_wire_ms": _firsts(hub.heard, rest.left),
        "to_wire_ms": _after_bars(hub.heard, rest.left),
        "to_answer_ms": _after_bars(hub.heard, rest.answered),
    }
    pair.close()
    return found


def _firsts(heard: list[float], done: list[float]) -> list[float]:
    """Of each bar's first only: the others wait for those before them."""
    ordered = sorted([(at, "bar") for at in heard] + [(at, "done") for at in done])
    pairs = pairwise(ordered)
    return [1000 * (b[0] - a[0]) for a, b in pairs if (a[1], b[1]) == ("bar", "done")]


def synced_ms() -> float:
    """Median milliseconds of a write that is synced to the disk, as each note of the journal is."""
    taken = []
    with tempfile.TemporaryFile() as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            file.flush()
            begun = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)


def _after_bars(heard: list[float], done: list[float]) -> list[float]:
    """Milliseconds from the newest bar before each instant to that instant."""
    return [1000 * (at - max(one for one in heard if one <= at)) for at in done]


# -- the process of the exchange ---------------------------------------------------------------


def measure(*, symbols: int, speed: float, seconds: float, orders: int = 0) -> dict[str, Any]:
    """Run an exchange here and a stream on it in another process."""
    start = at("09:30", SESSION) + timedelta(minutes=HISTORY, seconds=5)
    with Simulator(
        history(symbols), at=start, switches=Switches.exact(), pace=Pace.times(speed),
        data=DataSwitches(bar_delay=timedelta(0), symbol_limit=None),
        server=ServerSwitches(trading_limit=None, data_limit=None),
    ) as venue:  # fmt: skip
        ask = Ask(
            venue.urls.trading, venue.urls.trading_stream, venue.urls.data_stream, venue.key,
            venue.secret, speed, symbols, seconds, orders,
        )  # fmt: skip
        ended = subprocess.run(
            [sys.executable, "-m", "tests.stages.measure", json.dumps(asdict(ask))],
            check=False, capture_output=True, text=True, timeout=seconds + 120,
        )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(ended.stderr)
    answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Measure and print."""
    load = os.getloadavg()[0]
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores, "
          f"load {load:.1f}, a synced write {synced_ms():.1f} ms")  # fmt: skip
    for symbols in (2, 10):
        found = measure(symbols=symbols, speed=WORK_SPEED, seconds=320, orders=ORDERS)
        sent = len(found["to_wire_ms"])
        print(f"{symbols} symbols, {sent} orders:")
        for name in ("first_to_wire_ms", "to_wire_ms", "to_answer_ms"):
            values = sorted(found[name])
            p95 = values[int(0.95 * len(values))]
            print(f"  bar {name}: median {statistics.median(values):.1f}, p95 {p95:.1f}")
        print(f"  requests an order: {sum(found['calls'].values()) / sent:.1f} {found['calls']}")
    for symbols in (1, 30):
        found = measure(symbols=symbols, speed=1.0, seconds=REST_SECONDS)
        print(
            f"at rest, {symbols} symbols, {found['seconds']:.0f} s, {found['bars']} bars: "
            f"CPU {found['cpu_percent']:.2f} % of a core, "
            f"{found['calls_a_minute']:.1f} requests a minute"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(run_stream(Ask(**json.loads(sys.argv[1])))))
    else:
        main()
