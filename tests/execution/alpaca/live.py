# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain Backtrader strategy on the exchange, bar by bar, through store, broker and feed."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Any

import backtrader as bt

from iverson.execution.alpaca.feed import AlpacaData
from iverson.execution.alpaca.hub import Candle
from iverson.execution.alpaca.store import AlpacaStore
from tests.simulator.rehearsing import SESSION, at, minutes
from tests.stages.rig import Breaking, Line, Street

Plan = Mapping[int, Callable[[Any], Any]]


class SteppedHub:
    """Hands out bars one by one, the exchange a second after each; then the run is over."""

    def __init__(
        self, street: Street, store: AlpacaStore, candles: list[Candle], over: Callable[[], None]
    ) -> None:
        self._street, self._store, self._candles, self._over = street, store, candles, over

    @property
    def waiting(self) -> bool:
        return bool(self._candles)

    def take(self, _: str) -> Candle | None:
        if not self._store.worker.idle:
            time.sleep(0.001)  # time does not go on while something is asked
            return None
        if not self._candles:
            self._over()
            return None
        bar = self._candles.pop(0)
        self._street.advance_to(bar.at + timedelta(seconds=1))
        return bar

    def wait(self, _: float) -> None:
        """Time does not pass by itself."""


@dataclass
class Lived:
    """What a run left behind: the exchange, the store, what was notified, alarmed and noted."""

    street: Street
    store: AlpacaStore
    broker: Any
    cerebro: Any
    strategy: Any
    breaking: Breaking
    notified: list[tuple[str, str, float]] = field(default_factory=list)
    alarms: list[tuple[str, str]] = field(default_factory=list)
    noted: list[Any] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)

    @property
    def orders(self) -> list[dict[str, Any]]:
        """The exchange's orders, in order of arrival."""
        found: list[dict[str, Any]] = self.street.witness.orders().to_dict("records")
        return found

    def held(self) -> dict[str, str]:
        """Shares at the exchange."""
        positions = self.street.exchange.positions(self.street.account)
        return {one.symbol: str(one.qty) for one in positions}


def live(
    words: str,
    plan: Plan,
    *,
    faults: Any = (),
    switches: Any = None,
    before: Callable[[Street], Any] | None = None,
    breaking: Breaking | None = None,
    analyzers: tuple[Any, ...] = (),
    writer: bool = False,
    broker: Mapping[str, Any] | None = None,
    first: str = "09:31",
    **options: Any,
) -> Lived:
    """Run a plan (bar number to act, from 1) over minutes in words, without a desk.

    `first` is the right edge of the first minute, New York.
    """
    bars = minutes(words, first=first)
    start = at("09:30", SESSION)
    street = Street({"TEST": bars}, at=start, faults=tuple(faults), switches=switches)
    if before is not None:
        before(street)
    breaking = breaking or Breaking()
    alarms: list[tuple[str, str]] = []
    noted: list[Any] = []
    notified: list[tuple[str, str, float]] = []
    statuses: list[str] = []
    options = dict(threaded=False, poll_seconds=0.0) | options
    store = AlpacaStore(
        rest=Line(street, breaking),
        limited=False,
        note=noted.append,
        alarm=lambda rule, reason: alarms.append((rule, reason)),
        pause=street.pause,
        **({"clock": lambda: street.now} | options),
    )

    class Planned(bt.Strategy):
        def next(self) -> None:
            act = plan.get(len(self))
            if act is not None:
                act(self)

        def notify_order(self, order: Any) -> None:
            done = abs(order.executed.size)
            notified.append((order.getordername(), order.getstatusname(), done))

        def notify_data(self, data: Any, status: int, *_: Any, **__: Any) -> None:
            statuses.append(data._getstatusname(status))

    cerebro = bt.Cerebro(stdstats=False, quicknotify=True)
    made = store.getbroker(**(broker or {}))
    cerebro.setbroker(made)
    candles = [
        Candle(
            "TEST",
            (edge - timedelta(minutes=1)),
            *(float(getattr(bars, name)[n]) for name in OHLCV),
        )
        for n, edge in enumerate(
            stamp.replace(tzinfo=UTC) for stamp in bars.at.astype("datetime64[us]").tolist()
        )
    ]
    hub = SteppedHub(street, store, candles, cerebro.runstop)
    cerebro.adddata(
        AlpacaData(dataname="TEST", timeframe=bt.TimeFrame.Minutes, hub=hub, qcheck=0.0),
        name="TEST",
    )
    for analyzer in analyzers:
        cerebro.addanalyzer(analyzer)
    if writer:
        cerebro.addwriter(bt.WriterFile, out=io.StringIO())
    cerebro.addstrategy(Planned)
    try:
        (strategy,) = cerebro.run()
    finally:
        street.close()
    return Lived(
        street, store, made, cerebro, strategy, breaking,
        notified, alarms, noted, statuses,
    )  # fmt: skip


OHLCV = ("open", "high", "low", "close", "volume")
