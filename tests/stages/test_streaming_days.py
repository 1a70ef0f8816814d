# SPDX-License-Identifier: GPL-3.0-or-later
"""Daily bars by a process that stays awake: protected at once, decided once the bar is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from iverson.errors import Refused
from iverson.market.calendar import new_york
from iverson.model import Verdict
from iverson.monitoring.events import Heartbeat
from iverson.monitoring.journal import Journal
from iverson.simulator.server import Simulator
from iverson.stages import streaming_days
from iverson.stages.seen import path_of
from iverson.system import System
from tests.stages.trading_kit import FROM, SYMBOLS, checked, exchange, history, system, use

SESSIONS = [day.item() for day in new_york().between(date(2005, 3, 1), date(2005, 3, 3))]
RUN = "rehearse-RsiReversion"
PAUSE = 0.6  # seconds: a little more than the run waits between two looks at the broker


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> System:
    return checked(system(tmp_path_factory.mktemp("checked")))


@contextmanager
def passing(venue: Simulator, *instants: datetime) -> Iterator[None]:
    """Let time jump from instant to instant while a run goes on."""
    begun = venue.subscriptions

    def go() -> None:
        venue.wait_for_subscriptions(begun + 1)
        for at in instants:
            time.sleep(PAUSE)
            venue.advance_to(at)

    moving = threading.Thread(target=go)
    moving.start()
    yield
    moving.join()


def half_an_hour_before_the_open(session: date) -> datetime:
    return new_york().open_at(session) - timedelta(minutes=30)


def minutes_of(session: date) -> list[datetime]:
    """Noon, the minutes before the close one by one, and a minute after it."""
    close = new_york().close_at(session)
    return [close - timedelta(minutes=n) for n in (240, 5, 4, 3, 2, 1, -1)]


def test_streams_of_days_decide_what_a_backtest_decides(
    made: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the settings alone, one process a session."""
    with exchange(half_an_hour_before_the_open(SESSIONS[0])) as venue:
        use(monkeypatch, venue, tmp_path)
        for session in SESSIONS:
            venue.advance_to(half_an_hour_before_the_open(session))
            with passing(venue, *minutes_of(session)):
                went = made.paper(stream=True)
            assert (went.session, went.alarms, went.stopped_by) == (session, [], "")
            assert {one.signal.session for one in went.record.verdicts} <= {session}
        review = made.review(tmp_path / "iverson.db")
        positions = {one["symbol"] for one in venue.ledger["positions"]}

    assert review.parity.decisions > 2
    assert not {"feed", "signal", "risk"} & set(review.parity.by_cause())
    lines = path_of(tmp_path / "iverson.db").read_text().splitlines()
    assert len(lines) == len(SYMBOLS) * len(SESSIONS)
    with Journal(tmp_path / "iverson.db", read_only=True) as journal:
        beats = [one for one in journal.values(run=RUN) if isinstance(one, Heartbeat)]
        fills = journal.values("fill", run=RUN)
    assert positions
    assert {one.symbol for one in fills} >= positions
    assert beats[-1].doing == "the session is over"
    assert beats[-1].due is not None
    assert beats[-1].due > new_york().open_at(new_york().offset(SESSIONS[-1], 1))


def test_bar_that_does_not_come_is_waited_for_then_told(
    made: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = SESSIONS[1]
    late = {symbol: bars.between(FROM, SESSIONS[0]) for symbol, bars in history().items()}
    monkeypatch.setattr(streaming_days, "AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(streaming_days, "PATIENCE_SECONDS", 2.0)
    with exchange(half_an_hour_before_the_open(session)) as venue:
        use(monkeypatch, venue, tmp_path)
        with passing(venue, *minutes_of(session)):
            went = replace(made, bars=late).paper(stream=True)

        assert went.record.verdicts == []
        assert went.alarms == [
            (
                "bars",
                f"no bar of {session} for AAPL, IBM, MSFT; nothing is decided on older ones",
            )
        ]
        assert venue.ledger["orders"] == []


def test_one_symbol_without_a_bar_does_not_hold_the_others_up(
    made: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = SESSIONS[0]
    monkeypatch.setattr(streaming_days, "AGAIN_SECONDS", 0.1)
    monkeypatch.setattr(streaming_days, "PATIENCE_SECONDS", 1.0)
    bars = history()
    before = new_york().offset(session, -1)
    late = bars | {"AAPL": bars["AAPL"].between(FROM, before)}
    with exchange(half_an_hour_before_the_open(session)) as venue:
        use(monkeypatch, venue, tmp_path)
        with passing(venue, *minutes_of(session)):
            went = replace(made, bars=late).paper(stream=True)

    assert [one[1].split(";")[0] for one in went.alarms] == [f"no bar of {session} for AAPL"]
    assert [one.signal.symbol for one in went.record.verdicts] == ["MSFT"]


def test_started_after_the_close_it_decides_on_that_bar_once_and_is_then_refused(
    made: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash between the close and the decision."""
    evening = new_york().close_at(SESSIONS[0]) + timedelta(hours=1)
    with exchange(evening) as venue:
        use(monkeypatch, venue, tmp_path)
        went = made.paper(stream=True)
        orders = len(venue.ledger["orders"])
        with pytest.raises(Refused, match="start the stream at most two hours before"):
            made.paper(stream=True)

        assert (went.session, went.alarms) == (SESSIONS[0], [])
        assert [one.signal.symbol for one in went.record.verdicts if one.approved] == ["MSFT"]
        assert orders == len(venue.ledger["orders"]) > 0


def test_stream_of_days_is_refused_long_before_the_open(
    made: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too early for the session, too late for the bar of the one before."""
    with exchange(new_york().open_at(SESSIONS[1]) - timedelta(hours=5)) as venue:
        use(monkeypatch, venue, tmp_path)
        with pytest.raises(Refused, match="start the stream at most two hours before"):
            made.paper(stream=True)


def test_shares_of_a_partial_fill_are_bare_for_minutes_at_most_instead_of_hours(
    made: System,
) -> None:
    """Whole days pass in which a wake looks twice; a stream protects what has filled."""
    asked = dict(scenario="partial-then-nothing", seed=3)
    by_wakes = made.rehearse("2005-03-01", "2005-03-11", **asked)
    by_stream = made.rehearse("2005-03-01", "2005-03-11", stream=True, **asked)

    shares = max(fill["qty"] for fill in map(_numbers, by_stream.ledger["fills"]))
    partial = sum(one.approved for one in by_stream.of(Verdict))
    assert by_wakes.unprotected > 3600 * shares
    assert by_stream.unprotected <= 90 * shares * partial
    assert by_stream.alarms == []


def _numbers(row: dict[str, object]) -> dict[str, float]:
    return {"qty": float(str(row["qty"]))}
