# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run stands, from rows written by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from iverson.book import Halt
from iverson.model import CashFlow, Fill, Intent, OrderEvent, Stage, Verdict
from iverson.monitoring.events import Alarm, Heartbeat
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow, Release, RunRow
from iverson.monitoring.standing import (
    AtBroker,
    Order,
    Standing,
    order_lines,
    position_lines,
    standing_of,
    status_lines,
    today_lines,
)
from iverson.testing import signal

RUN, CASH = "paper-X", 10_000.0
FIRST, SECOND, THIRD = date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 4)
STOP, TARGET, LIMIT = 95.0, 110.0, 100.0


def at(day: date, hour: int = 15) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def began() -> RunRow:
    return RunRow("X", "X", {}, ("TEST",), "", None, Stage.PAPER, cash=CASH, at=at(FIRST))


def approved() -> Verdict:
    one = replace(signal(limit=LIMIT, stop=STOP, target=TARGET), at=at(FIRST, 21), session=FIRST)
    return Verdict(one, approved=True, size=10, rule="risk", reason="")


def fill(day: date, side: Any, leg: Any, size: float, price: float, *, key: str = "k") -> Fill:
    return Fill(at(day), day, f"{key}-{leg}", "TEST", side, leg, size, price, 0.0)


def intent(key: str, *, size: int = 10, until: datetime | None = None) -> Intent:
    body = json.dumps({"qty": str(size), "side": "buy", "limit_price": f"{LIMIT:.2f}"})
    return Intent(at(FIRST, 21), FIRST, f"n-{key}", key, "TEST", "entry", 1, body, until)


def equity(day: date, dollars: float) -> EquityRow:
    return EquityRow(at(day, 21), day, dollars, dollars, 0.0, 0)


def stands(*values: Any, when: datetime | None = None) -> Standing:
    with Journal() as journal:
        journal.append_many(RUN, [began(), *values])
        return standing_of(journal, RUN, at=when)


def test_run_that_is_not_there_stands_empty() -> None:
    with Journal() as journal:
        standing = standing_of(journal, "nobody")

    assert (standing.stage, standing.state, standing.positions) == (None, "active", ())
    assert math.isnan(standing.equity)
    assert "equity unknown" in "\n".join(status_lines(standing))


def test_position_is_what_the_fills_leave() -> None:
    standing = stands(
        approved(), fill(SECOND, "buy", "entry", 6, 100.0), fill(SECOND, "buy", "entry", 4, 105.0),
        fill(THIRD, "sell", "target", 3, 110.0), when=at(THIRD, 20),
    )  # fmt: skip

    (held,) = standing.positions
    assert (held.size, held.entry) == (7, (6 * 100.0 + 4 * 105.0) / 10)
    assert (held.stop, held.target) == (STOP, TARGET)
    assert (held.session, held.sessions) == (SECOND, 1)
    (line,) = position_lines(standing)
    assert line == ("TEST: 7 at 102.00, stop 95.00 (6.9% away), target 110.00, held 1 session")


def test_split_converts_a_position_and_its_plan() -> None:
    split = CashFlow(at(THIRD), THIRD, "TEST", "split", 0.0, ratio=2.0)
    standing = stands(approved(), fill(SECOND, "buy", "entry", 10, 100.0), split)

    (held,) = standing.positions
    assert (held.size, held.entry) == (20, 50.0)
    assert (held.stop, held.target) == (STOP / 2, TARGET / 2)


def test_position_that_was_left_is_gone() -> None:
    standing = stands(fill(SECOND, "sell", "entry", 5, 100.0), fill(THIRD, "buy", "stop", 5, 101.0))

    assert standing.positions == ()
    assert position_lines(standing) == ["no positions"]


def test_entry_waits_until_it_is_filled_ended_refused_or_over() -> None:
    ended = OrderEvent(
        at(SECOND), SECOND, "b-entry", "TEST", "buy", "entry", "limit", "canceled", 10, LIMIT
    )
    standing = stands(
        intent("a"), intent("b"), intent("c"), intent("d", until=at(SECOND)), ended,
        fill(SECOND, "buy", "entry", 10, 100.0, key="c"),
        fill(SECOND, "buy", "entry", 4, 100.0, key="a"), when=at(SECOND),
    )  # fmt: skip

    (waiting,) = standing.waiting
    assert (waiting.side, waiting.size, waiting.limit) == ("long", 6, LIMIT)
    assert order_lines(standing) == ["TEST: long entry, 6 at 100.00 until never"]


def test_days_result_counts_from_the_close_before_without_deposits() -> None:
    deposit = CashFlow(at(SECOND), SECOND, "", "deposit", 500.0)
    standing = stands(equity(FIRST, 10_100.0), deposit, equity(SECOND, 10_650.0))

    assert standing.equity == 10_650.0
    assert standing.day_pnl == pytest.approx(10_650.0 - 10_100.0 - 500.0)
    assert standing.previous_close == pytest.approx(10_100.0 + 500.0)
    assert stands(equity(FIRST, 10_100.0)).day_pnl == pytest.approx(100.0)  # from the run's cash


@pytest.mark.parametrize(
    ("halt", "state"),
    [
        (Halt("a", "", since=at(FIRST), latched=True), "halted"),
        (Halt("a", "", since=at(FIRST), latched=True, flatten=True), "reducing"),
        (Halt("a", "", since=at(FIRST), until=at(THIRD)), "halted"),
        (Halt("a", "", since=at(FIRST), until=at(SECOND)), "active"),
    ],
)
def test_state_follows_from_the_halts_in_force(halt: Halt, state: str) -> None:
    assert stands(halt, when=at(SECOND)).state == state
    release = Release(at(SECOND), SECOND, halt.rule, "")
    assert stands(halt, release, when=at(SECOND)).state == "active"


def test_status_tells_halts_heartbeat_and_alarms_of_today() -> None:
    standing = stands(
        Halt("drawdown halt", "too deep", since=at(FIRST), latched=True),
        Alarm(at(FIRST), "keys", "old"), Alarm(at(SECOND), "unprotected", "new"),
        Heartbeat(at(SECOND), Stage.PAPER, at(SECOND) + timedelta(minutes=5)),
        when=at(SECOND, 16),
    )  # fmt: skip

    text = "\n".join(status_lines(standing))
    assert "halt, drawdown halt: too deep; since 2024-01-02 15:00 UTC, until somebody" in text
    assert "last heartbeat: 2024-01-03 15:00 UTC, the next is due 2024-01-03 15:05 UTC" in text
    assert "1 alarm today" in text
    assert "unprotected: new" in text
    assert "old" not in text


def test_broker_is_laid_over_the_journal() -> None:
    standing = stands(
        approved(), equity(FIRST, 10_000.0), fill(SECOND, "buy", "entry", 10, 100.0),
        when=at(SECOND, 16),
    )  # fmt: skip
    broker = AtBroker(
        at(SECOND, 16), 10_080.0, {"TEST": 9, "ELSE": -1}, {"TEST": 108.0, "ELSE": 1.0},
        (Order("TEST", "sell", "stop", 9, STOP),),
    )  # fmt: skip

    lines = position_lines(standing, broker)
    assert "TEST: 10 at 100.00, now 108.00 (+$80.00), stop 95.00 (12.0% away)" in lines[0]
    assert "ELSE: no stop stands at the broker" in lines
    assert "TEST: the broker shows 9, the journal 10" in lines
    assert "ELSE: the broker shows -1, the journal 0" in lines
    assert order_lines(standing, broker) == ["TEST: sell 9 stop at 95.00"]
    assert today_lines(standing, broker)[0] == "equity $10,080.00, today +$80.00"
    assert "TEST: entry, buy 10 at 100.00" in today_lines(standing)
