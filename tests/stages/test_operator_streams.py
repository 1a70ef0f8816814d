# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator beside a stream that runs: minute bars from the exchange on loopback, two writers."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.book import OPERATOR
from iverson.config import settings
from iverson.execution.alpaca.venue import Venue
from iverson.market import sample
from iverson.market.calendar import new_york, utc_now
from iverson.market.synthesis import synthesize
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.signals.entry import Long
from iverson.simulator.pacing import Pace
from iverson.simulator.server import Simulator
from iverson.stages import admission, operator
from iverson.stages.leaving import Flattened, flatten
from iverson.stages.reaching import reaching
from iverson.strategy import Strategy
from iverson.system import System
from tests.stages.trading_kit import exchange, use

DAY = date(2012, 12, 28)
MINUTES_A_SECOND, PATIENCE_SECONDS = 4, 40
FEW = 3  # entries seen before somebody acts, and denials after it


class Asking(Strategy):
    """Offers far too little on every bar, so that entries come and go without a fill."""

    params = dict(max_sessions=0, entry_minutes=12)
    least_feed = "iex"

    def entry(self, data: Any) -> Any:
        """Ask for a tenth less."""
        return Long(3, data.close * 0.9, data.close * 0.88)


class Buying(Strategy):
    """Buys at once and holds till the close."""

    params = dict(max_sessions=0)
    least_feed = "iex"

    def entry(self, data: Any) -> Any:
        """Pay a little more than the close."""
        return Long(3, data.close * 1.01, data.close * 0.98)


@pytest.fixture(scope="module")
def bars() -> Any:
    daily = sample.load(["AAPL", "IBM"])
    return {
        symbol: synthesize(one.between(date(2012, 10, 15), DAY), seed=1)
        for symbol, one in daily.items()
    }


@pytest.fixture
def venue(bars: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setattr(admission, "passed", lambda *_, **__: True)
    monkeypatch.setattr(admission, "admit_clock", lambda *_, **__: None)  # time flies here
    start = new_york().open_at(DAY) + timedelta(minutes=5)
    with exchange(start, bars, pace=Pace.times(60 * MINUTES_A_SECOND)) as opened:
        use(monkeypatch, opened, tmp_path)
        yield opened


class Beside:
    """What somebody does in a thread beside the stream; the stream is ended whatever happens."""

    def __init__(self, path: Path, run: str, act: Callable[[Beside], None]) -> None:
        self.path, self.run, self._act = path, run, act
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._go, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def done(self) -> None:
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()
        if self.fault is not None:
            raise self.fault

    def _go(self) -> None:
        try:
            self._act(self)
        except BaseException as error:  # noqa: BLE001 (raised in the test's own thread)
            self.fault = error
            self.stop()

    def stop(self) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def rows(self, *kinds: Any, after: int = 0) -> list[tuple[int, Any]]:
        if not self.path.exists():
            return []
        with Journal(self.path, read_only=True) as journal:
            return list(journal.each(*kinds, run=self.run, after=after))

    def until(self, there: Callable[[], Any]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not there():
            if time.monotonic() > end:
                raise TimeoutError("the stream did not do what was waited for")
            time.sleep(0.05)

    @contextmanager
    def desk(self) -> Iterator[tuple[Journal, Venue]]:
        """A journal and a connection of the operator's own."""
        with (
            Journal(self.path) as journal,
            reaching(settings(), Stage.REHEARSE, utc_now)() as account,
        ):
            yield journal, account


def entries(rows: list[tuple[int, Any]]) -> list[int]:
    return [seq for seq, one in rows if one.leg == "entry"]


def test_stream_hears_a_halt_before_its_next_entry_and_the_resume_after_it(
    bars: Any, venue: Simulator, tmp_path: Path
) -> None:
    run = "rehearse-Asking"
    system = System(Asking, ["AAPL", "IBM"], interval="1m", bars=bars, store=tmp_path)
    working: list[int] = []

    def act(beside: Beside) -> None:
        beside.until(lambda: len(entries(beside.rows("intent"))) >= FEW)
        with beside.desk() as (journal, account):
            operator.halt(
                journal, run, by="test", at=account.clock(), venue=account, pause=time.sleep
            )
            halted = journal.head.seq

            def denied() -> int:
                rows = beside.rows("verdict", after=halted)
                return sum(one.rule == OPERATOR for _, one in rows)

            beside.until(lambda: denied() >= FEW)
            working.append(len(account.open_orders()))
            operator.resume(journal, run, by="test", at=account.clock())
            resumed = journal.head.seq
        beside.until(lambda: len(entries(beside.rows("intent", after=resumed))) >= FEW)
        beside.stop()

    beside = Beside(tmp_path / "iverson.db", run, act)
    beside.start()
    went = system.paper()
    beside.done()

    ((halted, _),) = beside.rows("halt")
    ((resumed, _),) = beside.rows("release")
    sent = entries(beside.rows("intent"))
    assert not [seq for seq in sent if halted < seq < resumed]
    assert len([seq for seq in sent if seq < halted]) >= FEW
    assert len([seq for seq in sent if seq > resumed]) >= FEW
    assert working == [0]
    assert went.alarms == []
    with Journal(beside.path, read_only=True) as journal:
        assert journal.verify() is None


def test_flatten_ends_the_stream_and_leaves_nothing_to_explain(
    bars: Any, venue: Simulator, tmp_path: Path
) -> None:
    run = "rehearse-Buying"
    system = System(Buying, ["AAPL", "IBM"], interval="1m", bars=bars, store=tmp_path)
    left: list[Flattened] = []

    def act(beside: Beside) -> None:
        beside.until(lambda: len(venue.ledger["positions"]) == 2)
        with beside.desk() as (journal, account):
            left.append(
                flatten(
                    journal, run, by="test", at=account.clock(), venue=account, pause=time.sleep
                )
            )

    beside = Beside(tmp_path / "iverson.db", run, act)
    beside.start()
    went = system.paper()
    beside.done()

    assert went.stopped_by == ""
    assert left[0].done
    assert venue.ledger["positions"] == []
    notes = [one.text for _, one in beside.rows("note")]
    assert "ended, because an operator has every position left" in notes
    trades = [(one.symbol, one.exit_reason) for _, one in beside.rows("trade")]
    assert sorted(trades) == [("AAPL", "flatten"), ("IBM", "flatten")]

    def look(again: Beside) -> None:
        last = len(again.rows("verdict"))
        again.until(lambda: len(again.rows("verdict")) >= last + FEW)
        again.stop()

    again = Beside(beside.path, run, look)
    again.start()
    restarted = system.paper()
    again.done()

    assert restarted.alarms == went.alarms == []
    assert {one.rule for _, one in again.rows("halt")} == {OPERATOR}
    assert venue.ledger["positions"] == []
