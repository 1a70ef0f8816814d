# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills on the exchange on loopback: what they show, and that they leave nothing behind."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.errors import OrderRejected, Refused
from iverson.execution.alpaca.protocol import Placed
from iverson.execution.alpaca.states import FillRow, OrderState
from iverson.market.calendar import new_york
from iverson.model import Stage
from iverson.monitoring.evidence import CANCEL, ENTRY, FLATTEN, HALT, KILL, RULE, STOP
from iverson.monitoring.journal import Journal
from iverson.monitoring.replay import rebuild_equity
from iverson.risk.rules import RiskRule
from iverson.simulator.server import Simulator
from iverson.stages import drill_gate, drill_venue
from iverson.stages.drill import Drilled, drill
from iverson.stages.drill_orders import DrillOrders
from iverson.system import System
from tests.minute_bars import clock_at, quiet
from tests.stages.paper_kit import connection_to, connects
from tests.stages.trading_kit import after_close, checked, exchange, system

DAY = date(2005, 3, 1)
RUN, TRADED = "drill-paper-RsiReversion", "paper-RsiReversion"
ORDERS = (CANCEL, KILL, ENTRY, STOP)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> System:
    return checked(system(tmp_path_factory.mktemp("checked")))


def falling(day: date = DAY) -> datetime:
    """When AAPL falls on the exchange: in the first third of a session, from open to low."""
    return new_york().open_at(day) + timedelta(minutes=40)


def minutes(price: Callable[[int], float]) -> Any:
    """A session of AAPL by the minute: `price` at each minute after the open."""
    rows = {}
    for number in range(1, 391):
        before, after = price(number - 1), price(number)
        corners = (before, max(before, after), min(before, after), after)
        rows[DAY, clock_at(number)] = corners
    return {"AAPL": quiet([DAY], symbol="AAPL", rows=rows)}


def rising(minute: int) -> float:
    return 100.0 + 0.1 * minute


def turning(minute: int) -> float:
    """Up for an hour, then down."""
    return 100.0 + 0.1 * min(minute, 120 - minute)


@pytest.fixture
def venue() -> Iterator[Simulator]:
    with exchange(falling()) as opened:
        yield opened


def ran(
    made: System, venue: Simulator, journal: Path, stage: Stage = Stage.PAPER, **options: Any
) -> Drilled:
    watch = {"on_pause": options.pop("on_pause")} if "on_pause" in options else {}
    connection = connection_to(venue, stage, **watch)
    try:
        return drill(made._traded(), connection, journal, **options)
    finally:
        connection.close()


def alive(venue: Simulator) -> list[str]:
    """Orders that can still fill."""
    found = [one for order in venue.ledger["orders"] for one in (order, *(order["legs"] or ()))]
    ended = ("filled", "canceled", "expired", "rejected", "replaced")
    return [one["id"] for one in found if one["status"] not in ended]


def untouched(venue: Simulator) -> bool:
    return alive(venue) == [] and venue.ledger["positions"] == []


def test_everything_is_drilled_and_the_account_is_as_before(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    result = ran(made, venue, tmp_path / "j.db")

    assert result.passed, str(result)
    items = [one.item for one in result.drills]
    rules = [RULE + rule.name for rule in made.rules]
    assert items == [RULE + "max loss", *rules, HALT, KILL, CANCEL, ENTRY, STOP]
    assert untouched(venue)
    with Journal(tmp_path / "j.db", read_only=True) as book:
        assert list(book.values("drill", run=RUN)) == list(result.drills)
        assert book.runs().empty
        names = {one.name for one in book.values("intent", run=RUN)}
        assert len(names) == len(venue.ledger["orders"])
        assert {one["client_order_id"] for one in venue.ledger["orders"]} == names


def traded(
    made: System, venue: Simulator, journal: Path, patch: pytest.MonkeyPatch, *, drills: bool
) -> Any:
    """Four wakes after the close, a drill in each session between them; returns the last wake."""
    calendar = new_york()
    connects(patch, venue, Stage.PAPER)
    for number in range(3):
        day = calendar.offset(DAY, number)
        venue.advance_to(after_close(day))
        assert made.paper(journal=journal).alarms == []
        venue.advance_to(falling(calendar.offset(day, 1)))
        if drills:
            entry, _ = ran(made, venue, journal).drills[-2:]
            assert entry.passed
    venue.advance_to(after_close(calendar.offset(DAY, 3)))
    return made.paper(journal=journal)


def test_drills_disturb_neither_books_nor_parity_nor_the_next_wake(
    made: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is foreign, no share unexplained, and cash adds up to the cent."""
    monkeypatch.setenv("IVERSON_ALPACA_KEY", "PK1")
    monkeypatch.setenv("IVERSON_ALPACA_SECRET", "nobody's")
    plain, journal = tmp_path / "plain.db", tmp_path / "drilled.db"
    with exchange(falling()) as venue:
        traded(made, venue, plain, monkeypatch, drills=False)
    with exchange(falling()) as venue:
        went = traded(made, venue, journal, monkeypatch, drills=True)
    expected, review = (made.review(one, run=TRADED) for one in (plain, journal))

    assert (went.alarms, went.problems) == ([], ())
    with Journal(journal, read_only=True) as book:
        flows = book.cash_flows(run=TRADED)["amount"]
        values, cash = book.values(run=TRADED), float(book.runs(run=TRADED)["cash"].iloc[0])
        assert len(book.runs()) == 1
    assert len(flows) == 6  # a purchase and a sale each
    assert flows.sum() != 0
    assert rebuild_equity(values, cash=cash) == []
    assert review.parity.decisions == expected.parity.decisions > 0
    assert review.parity.differences == expected.parity.differences
    more = review.parity.unexplained - expected.parity.unexplained
    assert more == pytest.approx(flows.sum(), abs=0.01)  # the venue shows its cash in cents


def test_rehearsed_drills_are_in_a_run_of_their_own(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    result = ran(made, venue, tmp_path / "j.db", Stage.REHEARSE)

    assert result.run == "drill-rehearse-RsiReversion"
    assert "nothing done on the simulator counts as paper" in str(result)


def test_live_account_is_refused_and_nothing_sent(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    with pytest.raises(Refused, match="these keys open a live account"):
        ran(made, venue, tmp_path / "j.db", Stage.LIVE)

    assert venue.ledger["orders"] == []
    assert not (tmp_path / "j.db").exists()


def test_clock_that_is_wrong_is_refused_and_nothing_sent(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    connection = connection_to(venue, Stage.PAPER)
    ahead = replace(connection, clock=lambda: venue.now + timedelta(seconds=31))
    with pytest.raises(Refused, match="31 seconds ahead of Alpaca's"):
        drill(made._traded(), ahead, tmp_path / "j.db")
    connection.close()

    assert venue.ledger["orders"] == []


def test_closed_market_is_told_in_one_sentence(made: System, tmp_path: Path) -> None:
    with exchange(after_close(DAY)) as venue:
        result = ran(made, venue, tmp_path / "j.db")

        (said,) = result.skipped
        assert said.startswith("entry, stop: the market is closed; run it again after 2005-03-02")
        assert [one.item for one in result.drills][-2:] == [KILL, CANCEL]
        assert not result.passed
        assert untouched(venue)


def test_share_is_not_bought_shortly_before_the_close(made: System, tmp_path: Path) -> None:
    """The wake before the close needs the account, and a drill holds it meanwhile."""
    with exchange(new_york().close_at(DAY) - timedelta(minutes=20)) as venue:
        result = ran(made, venue, tmp_path / "j.db")

        (said,) = result.skipped
        assert said.startswith("entry, stop: the market closes at 21:00 UTC")
        assert "before 20:35 UTC" in said
        assert venue.ledger["fills"] == []


def test_market_that_rises_triggers_no_stop_and_the_share_is_sold(
    made: System, tmp_path: Path
) -> None:
    with exchange(falling(), minutes(rising)) as venue:
        result = ran(made, venue, tmp_path / "j.db", wait_seconds=90)

        assert not result.passed
        stop = result.drills[-1]
        assert (stop.item, stop.passed) == (STOP, False)
        assert "not triggered within 90 seconds" in stop.evidence
        assert untouched(venue)
        assert [one["side"] for one in venue.ledger["fills"]] == ["buy", "sell"]


def test_stop_that_the_market_left_behind_follows_it(made: System, tmp_path: Path) -> None:
    """Bought some minutes before the market turns, it is raised until it does."""
    before = new_york().open_at(DAY) + timedelta(minutes=56, seconds=10)
    with exchange(before, minutes(turning)) as venue:
        result = ran(made, venue, tmp_path / "j.db")

        assert result.drills[-1].passed, str(result)
        assert "after it was raised" in result.drills[-1].evidence
        assert untouched(venue)


@pytest.mark.parametrize("pauses", [1, 2, 5, 61, 62, 90])
def test_ctrl_c_takes_everything_back(made: System, tmp_path: Path, pauses: int) -> None:
    seen = 0

    def press() -> None:
        nonlocal seen
        seen += 1
        if seen == pauses:
            signal.raise_signal(signal.SIGINT)

    with exchange(falling(), minutes(rising)) as venue:
        result = ran(made, venue, tmp_path / "j.db", on_pause=press)

        assert (result.stopped_by, result.left) == ("SIGINT", "")
        assert result.skipped == ("the rest: stopped by SIGINT",)
        assert untouched(venue)


class Killed(BaseException):
    """The process ends here; nothing after it runs."""


@pytest.mark.parametrize("after", [False, True], ids=["unanswered", "answered"])
@pytest.mark.parametrize("call", range(1, 13))
def test_what_a_killed_drill_left_is_taken_back_by_the_next(
    made: System, venue: Simulator, tmp_path: Path, call: int, after: bool
) -> None:
    """Killed at each request, before the answer was written down or just before the next one."""
    journal, traded = tmp_path / "j.db", made._traded()
    connection = connection_to(venue, Stage.PAPER)
    caller = connection.venue.caller
    asked = 0

    class Breaks:
        def call(self, method: Any, path: str, data: Any = None) -> Any:
            nonlocal asked
            asked += 1
            if after and asked > call:
                raise Killed
            reply = caller.call(method, path, data)
            if asked >= call:
                raise Killed
            return reply

    broken = replace(connection, venue=replace(connection.venue, caller=Breaks()))
    with pytest.raises(Killed):
        drill(traded, broken, journal)

    result = drill(traded, connection, journal)
    connection.close()

    assert result.passed, str(result)
    assert untouched(venue)
    sides = Counter(one["side"] for one in venue.ledger["fills"])
    assert sides["buy"] == sides["sell"] >= 1
    with Journal(journal, read_only=True) as book:
        assert len(book.executions(run=RUN)) == sides.total()
        assert set(book.intents(run=RUN)["name"]) == set(book.orders(run=RUN)["order_id"])


def bought(venue: Simulator, symbol: str, size: int) -> None:
    """Have somebody buy shares."""
    connection = connection_to(venue, Stage.PAPER)
    body = {
        "symbol": symbol, "qty": str(size), "side": "buy", "type": "market", "time_in_force": "day"
    }  # fmt: skip
    assert connection.venue.caller.call("POST", "/orders", body).status == 200
    connection.venue.pause(1.0)
    connection.close()


def test_symbol_that_the_account_has_is_left_alone(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    bought(venue, "AAPL", 3)

    result = ran(made, venue, tmp_path / "j.db")
    named = ran(made, venue, tmp_path / "j.db", symbol="AAPL")

    assert {one.symbol for one in result.drills if one.item in (CANCEL, ENTRY, STOP)} == {"IBM"}
    assert "the account has AAPL already; name a symbol" in named.skipped[0]
    assert [(one["symbol"], one["qty"]) for one in venue.ledger["positions"]] == [("AAPL", "3")]


class Silent(RiskRule):
    """Says by no drill what it would deny."""


def test_rule_without_a_drill_is_told_and_stays_open(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    result = ran(made.with_rules(Silent(), *made.rules), venue, tmp_path / "j.db")

    assert any(said.startswith("rule: silent: it says by no `drill`") for said in result.skipped)
    assert not any(one.item == "rule: silent" for one in result.drills)


def test_halt_that_is_not_remembered_fails_its_drill(
    made: System, venue: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = drill_gate.remember

    def forgets(*asked: Any, **more: Any) -> Any:
        memory = whole(*asked, **more)
        return replace(memory, state=replace(memory.state, halts=()))

    monkeypatch.setattr(drill_gate, "remember", forgets)
    result = ran(made, venue, tmp_path / "j.db")

    assert [one.item for one in result.drills if not one.passed] == [HALT]


def test_kill_switch_that_overlooks_the_order_fails_its_drill(
    made: System, venue: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill_venue, "would_cancel", lambda venue: ([], venue.open_orders()))

    result = ran(made, venue, tmp_path / "j.db")

    assert [one.item for one in result.drills if not one.passed] == [KILL]


def test_cancel_that_the_venue_never_confirms_fails_its_drill(
    made: System, venue: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DrillOrders, "cancel", lambda *_: None)

    result = ran(made, venue, tmp_path / "j.db", wait_seconds=5)

    assert CANCEL in [one.item for one in result.drills if not one.passed]
    assert untouched(venue)


def test_kill_switch_flattens_what_the_drill_bought(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    result = ran(made, venue, tmp_path / "j.db", flatten=True)

    assert result.passed, str(result)
    assert result.drills[-1].item == FLATTEN
    assert "positions: none" in result.drills[-1].evidence
    assert untouched(venue)
    with Journal(tmp_path / "j.db", read_only=True) as book:
        booked = book.executions(run=RUN)
    assert len(booked) == len(venue.ledger["fills"]) == 4
    assert list(booked["side"]) == ["buy", "sell", "buy", "sell"]


def test_kill_switch_flattens_nothing_that_was_there_before(
    made: System, venue: Simulator, tmp_path: Path
) -> None:
    bought(venue, "IBM", 3)

    result = ran(made, venue, tmp_path / "j.db", flatten=True)

    assert result.skipped[0].startswith("flatten: the account has positions or orders")
    assert not result.passed
    assert [(one["symbol"], one["qty"]) for one in venue.ledger["positions"]] == [("IBM", "3")]


@pytest.mark.parametrize("when", ["a share is held", "an order works"])
def test_wake_between_a_killed_drill_and_the_next_finds_nothing_amiss(
    made: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """What nobody has taken back yet raises no alarm, and every account adds up."""
    monkeypatch.setenv("IVERSON_ALPACA_KEY", "PK1")
    monkeypatch.setenv("IVERSON_ALPACA_SECRET", "nobody's")
    journal, following = tmp_path / "j.db", new_york().offset(DAY, 1)
    with exchange(falling()) as venue:
        connects(monkeypatch, venue, Stage.PAPER)
        venue.advance_to(after_close(DAY))
        made.paper(journal=journal)
        venue.advance_to(falling(following))
        whole = DrillOrders.take_back

        def dies(*_: Any, **__: Any) -> Any:
            raise Killed

        def dies_late(orders: DrillOrders, **how: Any) -> str:
            return str(dies() if orders.open else whole(orders, **how))

        with monkeypatch.context() as patch:
            patch.setattr(DrillOrders, "take_back", dies_late)
            patch.setattr(drill_venue, "NEAR", 0.05)  # a stop that stays
            if when == "an order works":
                patch.setattr(drill_venue, "would_cancel", dies)
            with pytest.raises(Killed):
                ran(made, venue, journal, wait_seconds=3)
        held = "AAPL" in {one["symbol"] for one in venue.ledger["positions"]}
        assert held == (when == "a share is held")
        assert alive(venue) != []

        venue.advance_to(after_close(following))
        went = made.paper(journal=journal)
        assert (went.alarms, went.problems) == ([], ())
        venue.advance_to(falling(new_york().offset(DAY, 2)))
        left = ran(made, venue, journal).left
        venue.advance_to(after_close(new_york().offset(DAY, 2)))
        went = made.paper(journal=journal)

        assert (left, went.alarms) == ("", [])
        with Journal(journal, read_only=True) as book:
            cash = float(book.runs(run=TRADED)["cash"].iloc[0])
            assert rebuild_equity(book.values(run=TRADED), cash=cash, tolerance_usd=0.01) == []
            assert book.halts(run=TRADED).empty


class Replacing:
    """A venue that makes a new order of a stop that was triggered, as Alpaca is seen to do."""

    def __init__(self) -> None:
        self.placed = ""

    def clock(self) -> datetime:
        return falling()

    def pause(self, _: float) -> None: ...

    def place(self, intent: Any) -> Placed:
        self.placed = intent.name
        return Placed("accepted", "", 1, self.order("entry"))

    def order(self, order_id: str) -> OrderState:
        heir = OrderState("heir", "", "AAPL", "sell", "stop", "filled", 1.0, 1.0, 99.0)
        stop = replace(heir, id="stop", status="replaced", filled=0.0, replaced_by="heir")
        entry = OrderState(
            "entry", self.placed, "AAPL", "buy", "limit", "filled", 1.0, 1.0, 100.0, legs=(stop,)
        )
        return {"heir": heir, "stop": stop, "entry": entry}[order_id]

    def fills(self, _: datetime) -> list[FillRow]:
        at = falling()
        return [
            FillRow("1", "entry", "AAPL", "buy", 1.0, 100.0, 1.0, at),
            FillRow("2", "heir", "AAPL", "sell", 1.0, 99.0, 1.0, at),
        ]


def test_stop_that_became_another_order_is_booked_as_the_stop(tmp_path: Path) -> None:
    venue: Any = Replacing()
    with Journal(tmp_path / "j.db") as book:
        orders = DrillOrders(venue, book, run=RUN, traded=TRADED, account="PA1", pause=venue.pause)
        order = orders.place("AAPL", "entry", lambda name: {"side": "buy"})
        assert [one.id for one in orders.state(order).legs] == ["stop", "heir"]
        orders.catch_up()
        orders.catch_up()

        assert (orders.held, orders.open) == ({}, ())
        assert list(book.executions(run=RUN)["leg"]) == ["entry", "stop"]
        assert list(book.cash_flows(run=TRADED)["amount"]) == [-100.0, 99.0]


def test_share_that_cannot_be_sold_is_told(
    made: System, venue: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = DrillOrders.place

    def place(orders: DrillOrders, symbol: str, leg: Any, body: Any) -> Any:
        if leg == "flatten":
            raise OrderRejected("insufficient qty available")
        return whole(orders, symbol, leg, body)

    with monkeypatch.context() as patch:
        patch.setattr(DrillOrders, "place", place)
        patch.setattr(drill_venue, "NEAR", 0.05)  # a stop that stays
        result = ran(made, venue, tmp_path / "j.db", wait_seconds=2)

    assert result.left.startswith("1 AAPL could not be sold (insufficient qty available)")
    assert not result.passed
    assert ran(made, venue, tmp_path / "j.db").passed
    assert untouched(venue)
