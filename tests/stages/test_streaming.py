# SPDX-License-Identifier: GPL-3.0-or-later
"""Minute bars through the settings: sockets, the close that ends a stream, signals that end it."""

from __future__ import annotations

import json
import signal
import threading
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iverson.errors import Refused
from iverson.market import sample
from iverson.market.calendar import new_york
from iverson.market.synthesis import synthesize
from iverson.monitoring.journal import Journal
from iverson.research.backtest import Prepared
from iverson.signals.entry import Long
from iverson.simulator.pacing import Pace
from iverson.stages import admission
from iverson.stages.seen import path_of
from iverson.stages.stopping import Stopping
from iverson.stages.stream import windows_at_start
from iverson.strategy import Strategy
from iverson.system import System
from tests.stages.trading_kit import exchange, use

DAY = date(2012, 12, 28)
RUN = "rehearse-EveryMinute"
MINUTES_A_SECOND = 10
WARM_UP = 60


class EveryMinute(Strategy):
    """Wants to buy on every bar; one position at a time is allowed."""

    params = dict(max_sessions=0)
    least_feed = "iex"

    def entry(self, data: Any) -> Any:
        """Buy at the close, give up two percent below."""
        return Long(3, data.close, data.close * 0.98)


@pytest.fixture(scope="module")
def bars() -> Any:
    daily = sample.load(["AAPL", "IBM"])
    return {
        symbol: synthesize(one.between(date(2012, 10, 15), DAY), seed=1)
        for symbol, one in daily.items()
    }


def test_stream_is_refused_more_than_two_hours_before_the_open(
    bars: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "passed", lambda *_, **__: True)
    early = new_york().open_at(DAY) - timedelta(hours=3)
    with exchange(early, bars) as venue:
        use(monkeypatch, venue, tmp_path)
        with pytest.raises(Refused, match="the market opens at 2012-12-28 14:30 UTC"):
            System(EveryMinute, ["AAPL", "IBM"], interval="1m", bars=bars).paper()


def test_stream_trades_a_session_and_ends_by_a_signal(
    bars: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM: no more orders, protective stops stay, a note in the journal, a normal end."""
    monkeypatch.setattr(admission, "passed", lambda *_, **__: True)
    system = System(EveryMinute, ["AAPL", "IBM"], interval="1m", bars=bars, store=tmp_path)
    start = new_york().open_at(DAY) - timedelta(minutes=1)
    with exchange(start, bars, pace=Pace.times(60 * MINUTES_A_SECOND)) as venue:
        use(monkeypatch, venue, tmp_path)

        def end() -> None:
            until = time.monotonic() + 20
            while not venue.ledger["positions"] and time.monotonic() < until:
                time.sleep(0.05)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

        threading.Thread(target=end, daemon=True).start()
        went = system.paper()
        sent = len(venue.ledger["orders"])
        time.sleep(0.3)

        assert went.stopped_by == "SIGTERM"
        assert venue.ledger["positions"]
        assert len(venue.ledger["orders"]) == sent
        held = {one["symbol"]: one["qty"] for one in venue.ledger["positions"]}
        stops = [
            leg
            for order in venue.ledger["orders"]
            for leg in order["legs"] or ()
            if leg["type"] == "stop" and leg["status"] in ("new", "held")
        ]
        assert {one["symbol"] for one in stops} >= set(held)
    with Journal(tmp_path / "iverson.db", read_only=True) as journal:
        notes: list[Any] = journal.values("note", run=RUN)
    assert "stopped by SIGTERM; protective stops stay at the venue" in [one.text for one in notes]
    review = system.review(tmp_path / "iverson.db")
    assert review.parity.decisions > 0


def test_stream_ends_after_the_close(
    bars: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself; the last bar was waited for and is written down."""
    monkeypatch.setattr(admission, "passed", lambda *_, **__: True)
    system = System(EveryMinute, ["AAPL", "IBM"], interval="1m", bars=bars, store=tmp_path)
    close = new_york().close_at(DAY)
    start = close - timedelta(minutes=14)
    with exchange(start, bars, pace=Pace.times(60 * 2)) as venue:
        use(monkeypatch, venue, tmp_path)
        went = system.paper()

        assert went.stopped_by == ""
        assert venue.now >= close
    lines = path_of(tmp_path / "iverson.db").read_text().splitlines()
    seen = [json.loads(line)["at"] for line in lines]
    assert max(seen) == close.isoformat()


def test_start_in_the_first_minute_of_a_session_has_the_warm_up_of_its_backtest(bars: Any) -> None:
    before = Prepared.of(
        {symbol: one[one.session < np.datetime64(DAY)] for symbol, one in bars.items()}
    )

    found = windows_at_start(before, DAY, DAY, WARM_UP)

    assert found == {
        symbol: slice(len(one.bars) - WARM_UP, len(one.bars))
        for symbol, one in before.feeds.items()
    }
    whole = windows_at_start(Prepared.of(bars), DAY, DAY, WARM_UP)
    assert {rows.stop - rows.start for rows in whole.values()} == {390 + WARM_UP}


def test_signals_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    stopping = Stopping()
    with stopping.listening():
        signal.raise_signal(signal.SIGTERM)

    assert stopping.by == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) is before
