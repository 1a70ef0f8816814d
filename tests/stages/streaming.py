# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream of minute bars on a street, ended anywhere and started again, as a supervisor does.

The bar at which a process ended is history for the next one and is not acted on, so a broken run
may leave a decision out; whatever was sent has to be looked after all the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from iverson.execution.alpaca.hub import Candle
from iverson.execution.costs import Costs
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.model import Signal, Stage
from iverson.monitoring.journal import Journal
from iverson.research.backtest import Prepared, Setup
from iverson.risk.rules import OneSystemPerSymbol
from iverson.simulator.faults import Fault
from iverson.simulator.settings import Switches
from iverson.stages.runs import begin
from iverson.stages.stream import MinuteLine, stream
from iverson.strategy import Strategy
from iverson.testing import signal
from tests.simulator.rehearsing import SESSION, at, minutes
from tests.stages.play import RUN, Played, Watching, told
from tests.stages.rig import Breaking, SimulatedCrash, Street, journal_at, store_of
from tests.stages.scenes import Scene

DECIDES, DAY_BEFORE = "09:34", date(2024, 1, 2)
STORIES = {  # minutes from 09:31; the signal is that of 09:34
    "target": "100 100 100 100 100 100 101 102 103 105 104 104 104 104",
    "stop": "100 100 100 100 100 100 99 98 97 94 94 94 94 94",
    "held": "100 100 100 100 100 100 100 101 100 101 100 101 100 100",
}
PARTIAL = (Fault(on="POST /v2/orders", do="partial", share=0.4),)


class StreetHub:
    """Hands out the bars after an instant; the exchange moves on with each."""

    def __init__(self, street: Street, candles: list[Candle], heard: Callable[[], None]) -> None:
        self._street, self._heard = street, heard
        self._candles = [one for one in candles if one.at > street.now]
        self.over: Callable[[], None] = lambda: None

    @property
    def waiting(self) -> bool:
        """Whether bars are left."""
        return bool(self._candles)

    def take(self, _: str) -> Candle | None:
        """Return the next bar, two seconds after its end."""
        self._heard()
        if not self._candles:
            self.over()
            return None
        bar = self._candles.pop(0)
        self._street.advance_to(bar.at + timedelta(seconds=2))
        return bar

    def wait(self, _: float) -> None:
        """Time does not pass by itself."""


class Minutes(Strategy):
    """One signal, on one bar."""

    warm_up = 0

    def signals(self) -> Iterator[Signal]:
        """Yield it."""
        now = self.desk.now
        assert now is not None
        if now.at == at(DECIDES, SESSION):
            yield replace(
                signal(limit=100.0, stop=95.0, target=104.0, max_sessions=None),
                at=now.at, session=now.session,
            )  # fmt: skip


def play_stream(
    words: str, breaking: Breaking | None = None, *, faults: tuple[Fault, ...] = ()
) -> Played:
    """Stream a story to its end, starting again whenever the process ends."""
    breaking = breaking or Breaking()
    bars = _after(minutes("100 100", session=DAY_BEFORE), minutes(words))
    edges = [edge.replace(tzinfo=UTC) for edge in bars.at.astype("datetime64[us]").tolist()]
    candles = [_candle(bars, number, edge) for number, edge in enumerate(edges)]
    start = edges[0] - timedelta(minutes=1)
    street = Street({"TEST": bars}, at=start, faults=faults, switches=Switches.exact())
    street.advance_to(edges[3] + timedelta(seconds=2))
    setup = Setup(Minutes, (OneSystemPerSymbol(),), costs=Costs.none(), cash=100_000.0)
    alarms: list[tuple[str, str]] = []
    watching = Watching(street)

    with tempfile.TemporaryDirectory(prefix="iverson-stream-") as folder:
        path = Path(folder) / "iverson.db"
        with Journal(path, durable=False) as first:
            given = {"TEST": bars}
            begin(first, RUN, setup, given, stage=Stage.REHEARSE, system="s", at=street.now)
        while True:
            hub = StreetHub(street, candles, watching.look)
            past = bars[: sum(edge <= street.now for edge in edges)]
            journal = journal_at(path, breaking)
            try:
                stream(
                    setup, Prepared.of({"TEST": past}), line=MinuteLine(hub),  # type: ignore[arg-type]  # a hub for a street
                    store=often(store_of(street, breaking, alarms)), journal=journal, run=RUN,
                    session=new_york().coming_session(street.now),
                    running=lambda cerebro, hub=hub: _ends(hub, cerebro),
                )  # fmt: skip
                break
            except SimulatedCrash:
                watching.begin()
            finally:
                journal.close()
        with Journal(path, read_only=True) as last:
            noted = last.values(run=RUN)
    street.close()
    scene = Scene("stream", {"TEST": bars}, {})
    seen = told(street.exchange, street.account, street.witness)
    return Played(scene, breaking, *seen, journal=noted, alarms=alarms, woken=watching.bare)


def _after(before: Bars, bars: Bars) -> Bars:
    columns = ("at", "session", "open", "high", "low", "close", "volume", "factor", "dividend")
    joined = {n: np.concatenate([getattr(before, n), getattr(bars, n)]) for n in columns}
    return replace(bars, **joined)


def often(make: Callable[..., Any]) -> Callable[..., Any]:
    def store(written: Any, note: Any) -> Any:
        made = make(written, note)
        made.polling.seconds = 0.0
        return made

    return store


def _ends(hub: StreetHub, cerebro: Any) -> None:
    hub.over = cerebro.runstop


def _candle(bars: Bars, number: int, edge: datetime) -> Candle:
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume)
    values = [float(column[number]) for column in columns]
    return Candle("TEST", edge - timedelta(minutes=1), *values)
