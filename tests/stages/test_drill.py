# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills on the exchange on loopback: what they show, and that they leave nothing behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.errors import Refused
from iverson.market.calendar import new_york
from iverson.model import Stage
from iverson.monitoring.evidence import CANCEL, ENTRY, HALT, KILL, RULE, STOP
from iverson.monitoring.journal import Journal
from iverson.monitoring.replay import rebuild_equity
from iverson.risk.rules import RiskRule
from iverson.simulator.server import Simulator
from iverson.stages import drill as drilling
from iverson.stages.drill import Drilled, drill
from iverson.stages.drill_orders import DrillOrders
from iverson.system import System
from tests.stages.paper_kit import connection_to, connects
from tests.stages.trading_kit import after_close, checked, exchange, history, system

DAY = date(2005, 3, 1)
RUN, TRADED = "drill-paper-RsiReversion", "paper-RsiReversion"
ORDERS = (CANCEL, KILL, ENTRY, STOP)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> System:
    return checked(system(tmp_path_factory.mktemp("checked")))


def falling(day: date = DAY) -> datetime:
    """When AAPL falls: in the second third of a session, from its high to its low."""
    return new_york().open_at(day) + timedelta(hours=3)


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
        assert [one for one in book.values("drill", run=RUN)] == list(result.drills)
        assert book.runs().empty
        names = {one.name for one in book.values("intent", run=RUN)}
        assert len(names) == len(venue.ledger["orders"])
        assert {one["client_order_id"] for one in venue.ledger["orders"]} == names
