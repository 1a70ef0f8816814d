# SPDX-License-Identifier: GPL-3.0-or-later
"""`System.wake`, `paper` and `live` with settings that point at an exchange on loopback."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.config import settings
from iverson.errors import ConfigError, Refused, StaleBars
from iverson.execution.alpaca.pace import Pace
from iverson.execution.alpaca.rest import Rest
from iverson.execution.alpaca.venue import Venue
from iverson.market.calendar import new_york
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.risk.capital import CapitalSteps
from iverson.risk.max_loss import MaxLoss
from iverson.simulator.server import Simulator
from iverson.stages.connection import Connection
from iverson.stages.opened import Asked, admitted
from iverson.stages.pinged import Pinged
from iverson.stages.seen import path_of
from iverson.stages.token import binding, write_token
from iverson.stages.watch import Sign, Watcher, signs_of
from iverson.system import System
from tests.stages.trading_kit import (
    FROM,
    SYMBOLS,
    after_close,
    checked,
    exchange,
    history,
    system,
    use,
)

SESSIONS = [day.item() for day in new_york().between(date(2005, 3, 1), date(2005, 3, 4))]
RUN = "rehearse-RsiReversion"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> System:
    return checked(system(tmp_path_factory.mktemp("checked")))


@pytest.fixture
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with exchange(after_close(SESSIONS[0])) as opened:
        use(monkeypatch, opened, tmp_path)
        yield opened


def test_wakes_decide_what_a_backtest_decides(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    """Through the settings alone: keys, addresses, journal."""
    for session in SESSIONS:
        venue.advance_to(after_close(session))
        went = made.wake()
        assert (went.session, went.acted, went.stage) == (session, True, Stage.REHEARSE)
        assert went.alarms == []
    again = made.wake()

    assert not again.acted
    review = made.review(tmp_path / "iverson.db")
    assert review.parity.decisions > 5
    assert not {"feed", "signal", "risk"} & set(review.parity.by_cause())
    assert len(path_of(tmp_path / "iverson.db").read_text().splitlines()) == len(SYMBOLS) * len(
        SESSIONS
    )


def test_wake_within_the_session_looks_at_the_bar_before(made: System, venue: Simulator) -> None:
    first, second = SESSIONS[:2]
    assert made.wake().acted

    venue.advance_to(new_york().close_at(second) - timedelta(minutes=5))
    went = made.paper()

    assert (went.session, went.acted) == (first, False)


def test_nothing_is_decided_on_a_bar_that_is_too_old(made: System, venue: Simulator) -> None:
    """A first wake has nothing to do without a new bar; a later one still looks after exits."""
    late = {symbol: bars.between(FROM, SESSIONS[0]) for symbol, bars in history().items()}
    stuck = replace(made, bars=late)
    venue.advance_to(after_close(SESSIONS[1]))

    with pytest.raises(StaleBars, match=f"no bar of {SESSIONS[1]} yet, the newest is of"):
        stuck.wake()
    assert venue.ledger["orders"] == []

    made.wake(at=after_close(SESSIONS[0]))
    before = len(venue.ledger["orders"])
    went = stuck.wake()

    assert (went.acted, went.record.verdicts) == (False, [])
    assert f"no bar of {SESSIONS[1]} yet for AAPL, IBM, MSFT" in went.notes[0]
    assert len(venue.ledger["orders"]) == before


def test_bars_come_from_the_store_brought_up_to_date(
    made: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual fetch, from the exchange's data; those after the wake are not there yet."""
    stored = replace(made, bars=None, symbols=["IBM"])
    with exchange(after_close(SESSIONS[0]), {"IBM": history()["IBM"]}) as venue:
        use(monkeypatch, venue, tmp_path)
        monkeypatch.setattr("iverson.stages.refreshed.HISTORY_BEGINS", date(2004, 6, 1))
        venue.advance_to(after_close(SESSIONS[0]) + timedelta(minutes=20))
        went = stored.wake()

    assert (went.session, went.acted, went.notes) == (SESSIONS[0], True, ())
    assert stored.load()["IBM"].session[-1].item() == SESSIONS[0]


def test_unchecked_strategy_is_refused_and_nothing_is_written(
    venue: Simulator, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="iverson check"):
        system(tmp_path).wake()

    assert not (tmp_path / "iverson.db").exists()
    assert venue.ledger["orders"] == []


def test_suspended_account_is_refused(made: System, venue: Simulator, tmp_path: Path) -> None:
    rest = Rest(venue.key, venue.secret, paper=True, url=venue.urls.trading)
    assert rest.call("PATCH", "/account/configurations", {"suspend_trade": True}).status == 200
    rest.close()

    with pytest.raises(Refused, match="does not trade: trade_suspended_by_user"):
        made.paper()
    assert not (tmp_path / "iverson.db").exists()


def test_instant_to_come_is_refused(made: System, venue: Simulator) -> None:
    with pytest.raises(ConfigError, match="still to come"):
        made.wake(at=venue.now + timedelta(hours=1))


def test_live_never_goes_to_loopback(
    made: System, venue: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IVERSON_ALPACA_LIVE_URL", venue.urls.trading)
    monkeypatch.setenv("IVERSON_ALPACA_KEY", "AK1234567890")

    with pytest.raises(Refused, match="loopback, where live trading does not go"):
        made.live(max_loss=500, account="1")


def test_run_begins_with_what_the_account_holds(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    made.wake()

    with Journal(tmp_path / "iverson.db", read_only=True) as journal:
        row: Any = journal.values("run", run=RUN)[0]
    assert row.cash == float(venue.ledger["account"]["equity"])
    assert row.stage is Stage.REHEARSE


@contextmanager
def real_account(venue: Simulator) -> Iterator[Connection]:
    """A connection that `connect` would refuse: live, to an exchange on loopback."""
    rest = Rest(venue.key, venue.secret, paper=False, url=venue.urls.trading)
    account = Venue(rest, Pace(time.monotonic, time.sleep), lambda: venue.now, time.sleep)
    yield Connection(
        Stage.LIVE, venue.urls.trading, venue.urls.data, "free", venue.key, venue.secret,
        lambda: venue.now, account, rest,
    )  # fmt: skip
    rest.close()


def test_live_asks_for_number_loss_steps_and_token_and_puts_the_loss_before_all_rules(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    number, limit = venue.ledger["account"]["account_number"], 500.0
    small = replace(made, capital=CapitalSteps())
    traded, journal = small._traded(), tmp_path / "iverson.db"
    asked = Asked(Stage.LIVE, journal, number, limit)
    with real_account(venue) as connection:
        with pytest.raises(Refused, match="needs the number of the account"):
            admitted(traded, replace(asked, account=None), settings(), connection)
        with pytest.raises(Refused, match="needs a maximum loss"):
            admitted(traded, replace(asked, max_loss=None), settings(), connection)
        with pytest.raises(Refused, match="live trading begins small"):
            admitted(made._traded(), asked, settings(), connection)
        with pytest.raises(Refused, match="has no go-live token"):
            admitted(traded, asked, settings(), connection)

        bound = binding(traded.setup, traded.symbols, traded.interval, account=number)
        write_token(journal, bound, at=venue.now)
        desk = admitted(traded, asked, settings(), connection)

    first, *others = desk.setup.all_rules
    assert isinstance(first, MaxLoss)
    assert first.p.limit_usd == limit
    assert first.p.start == float(venue.ledger["account"]["equity"])
    assert tuple(others) == tuple(traded.setup.rules)
    assert desk.run == "live-RsiReversion"


@pytest.mark.parametrize(("capital", "noted"), [(None, 1), (CapitalSteps(), 0)])
def test_paper_notes_that_live_trading_begins_small(
    made: System, venue: Simulator, capital: CapitalSteps | None, noted: int
) -> None:
    with real_account(venue) as connection:
        paper = replace(connection, stage=Stage.PAPER)
        traded = replace(made, capital=capital)._traded()
        desk = admitted(traded, Asked(Stage.PAPER), settings(), paper)

    assert [("add capital=iv.CapitalSteps()" in note) for note in desk.notes] == [True] * noted


def test_clock_of_this_machine_is_compared_with_the_venues(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    with real_account(venue) as connection:
        ahead = replace(connection, clock=lambda: venue.now + timedelta(seconds=31))
        with pytest.raises(Refused, match="31 seconds ahead of Alpaca's"):
            admitted(made._traded(), Asked(Stage.PAPER), settings(), ahead)


def test_wake_leaves_a_sign_of_life_and_a_missing_one_is_noticed(
    made: System, venue: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole dead-man switch: journal, ping, and a watcher who misses the next session."""
    there: list[Sign] = []
    pinged = Pinged("127.0.0.1", 0, clock=lambda: venue.now)
    try:
        monkeypatch.setenv("IVERSON_PING_URL", f"http://127.0.0.1:{pinged.port}/")
        made.wake()
        there = pinged.taken()
    finally:
        pinged.close()
    due = new_york().close_at(SESSIONS[1]) + timedelta(minutes=45)

    (sign,), _ = signs_of(tmp_path / "iverson.db")
    assert (sign.run, sign.due) == (RUN, due)
    assert [(one.run, one.due) for one in there] == [(RUN, due)]
    told: list[str] = []
    watcher = Watcher(told.append)
    watcher.seen(sign)
    assert watcher.look(due) == []
    assert watcher.look(due + timedelta(minutes=1)) == [sign]
    assert len(told) == 1
