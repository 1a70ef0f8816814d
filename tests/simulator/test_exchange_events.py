# SPDX-License-Identifier: GPL-3.0-or-later
"""The log, the ledger and the clock: what the exchange can testify to."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from iverson.errors import ConfigError
from iverson.simulator.events import BarClosed, first_broken
from iverson.simulator.orders import ENDED, OPEN, TRANSITIONS
from iverson.simulator.settings import Switches
from tests.simulator.exchange_kit import CASH, FLAT, clock, refusal, rig

WORDS = f"{FLAT} | {FLAT} | 100 100 88 89 | 89 90 88 89"


def traded() -> Any:
    it = rig(WORDS)
    it.to("09:31")
    it.bracket(110, 90, client_order_id="mine")
    refusal(it.submit, qty=-1)
    it.to("09:34")
    return it


# The log


def test_log_is_a_chain_of_canonical_json() -> None:
    it = traded()
    lines = it.exchange.log.text().splitlines()

    rows = [json.loads(line) for line in lines]
    assert [row["n"] for row in rows] == list(range(1, len(lines) + 1))
    assert [row["previous"] for row in rows[1:]] == [row["sha256"] for row in rows[:-1]]
    assert rows[-1]["sha256"] == it.exchange.log.head
    assert first_broken(lines) is None


@pytest.mark.parametrize("damage", ["changed", "missing", "swapped", "doubled"])
def test_damaged_log_is_found_at_its_line(damage: str) -> None:
    lines = list(traded().exchange.log.lines)
    if damage == "changed":
        lines[4] = lines[4].replace("AAA", "BBB")
    elif damage == "missing":
        del lines[4]
    elif damage == "swapped":
        lines[4], lines[5] = lines[5], lines[4]
    else:
        lines.insert(4, lines[3])

    assert first_broken(lines) == 5


def test_log_is_the_same_in_another_process() -> None:
    code = (
        "from tests.simulator.test_exchange_events import traded;print(traded().exchange.log.head)"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == traded().exchange.log.head


def test_bars_reach_listeners_and_the_log_only_when_asked() -> None:
    plain, full = rig(FLAT), rig(FLAT, log_bars=True)
    for it in (plain, full):
        it.to("09:31")

    assert [type(event) for event in plain.heard[-1:]] == [BarClosed]
    assert not any('"BarClosed"' in line for line in plain.exchange.log.lines)
    assert any('"BarClosed"' in line for line in full.exchange.log.lines)


def test_seed_changes_ids_and_nothing_else_is_random() -> None:
    one, same, other = (rig(FLAT, switches=Switches(seed=seed)) for seed in (1, 1, 2))

    assert one.account_id == same.account_id != other.account_id


# The clock


def test_clock_never_goes_back() -> None:
    it = rig(FLAT)
    it.to("09:31")

    with pytest.raises(ConfigError, match="cannot go back"):
        it.to("09:30")


def test_clock_needs_a_time_zone() -> None:
    from iverson.simulator.exchange import Exchange

    with pytest.raises(ConfigError, match="time zone"):
        Exchange(rig(FLAT).exchange.market, at=clock("09:30").replace(tzinfo=None))


def test_stepping_ends_after_the_last_session() -> None:
    it = rig(WORDS)
    stops = []
    while (due := it.exchange.next_at()) is not None:
        stops.append(due)
        it.exchange.advance_to(due)

    assert stops == [
        clock(text) for text in ("09:31", "09:32", "09:33", "09:34", "16:00", "16:15", "20:00")
    ]
    it.exchange.advance_to(clock("12:00", it.exchange.now.date()))  # later is allowed


def test_nothing_that_is_to_come_can_be_seen() -> None:
    it = rig("100 100 100 100 | 100 130 100 130")
    it.submit()
    it.to("09:31:40")

    assert it.exchange.position(it.account_id, "AAA").current_price == 100


# The states


def test_every_status_is_an_end_or_can_end() -> None:
    for status in TRANSITIONS:
        reached, front = {status}, [status]
        while front:
            for follows in TRANSITIONS[front.pop()]:
                if follows not in reached:
                    reached.add(follows)  # type: ignore[arg-type] # the table holds statuses
                    front.append(follows)  # type: ignore[arg-type] # the same
        assert reached & ENDED
    assert not OPEN & ENDED
    assert "held" not in OPEN | ENDED


def test_forbidden_step_is_an_error_of_ours() -> None:
    it = traded()
    order = it.exchange.order(it.account_id, client_order_id="mine")

    with pytest.raises(AssertionError, match="filled -> new is not in the table"):
        order.moved("new", it.exchange.now)


# The ledger


def test_ledger_has_every_order_fill_and_request() -> None:
    it = traded()
    orders, fills, seen = it.ledger.orders(), it.ledger.fills(), it.ledger.seen()

    assert list(orders["role"]) == ["entry", "target", "stop"]
    assert list(orders["status"]) == ["filled", "replaced", "filled"]
    assert [int(qty) for qty in fills["qty"]] == [100, 100]
    assert CASH + fills["cash"].sum() == it.cash()
    assert list(seen["status"]) == [200, 422]
    assert list(seen["target"]) == ["mine", "AAA"]
    assert str(fills["at"].dt.tz) == "UTC"


def test_refused_cancellation_is_seen_as_refused() -> None:
    it = traded()
    order = it.exchange.order(it.account_id, client_order_id="mine")

    refusal(it.cancel, order)

    assert it.ledger.seen().iloc[-1][["verb", "target", "status"]].tolist() == [
        "cancel", "mine", 422,
    ]  # fmt: skip


def test_ledger_tells_what_the_stream_does_not() -> None:
    it = rig(f"{FLAT} | {FLAT} | 100 112 100 111")
    it.to("09:31")
    order = it.bracket(110, 90)
    it.to("09:33")
    stop = it.leg(order, "stop")

    events = it.ledger.events()
    silent = events[(events["order_id"] == stop.id) & (events["event"] == "canceled")]

    assert list(silent["published"]) == [False]
    assert "canceled" not in it.words(stop)


def test_protection_says_how_many_shares_no_stop_covers() -> None:
    it = rig(WORDS, latency_seconds=(0, 0))
    it.to("09:31")
    it.submit(qty=60)
    it.to("09:32")
    stop = it.submit("sell", 40, type="stop", stop_price=95, time_in_force="gtc")
    it.to("09:32:05")
    rows = it.ledger.protection()
    assert rows.iloc[-1][["held", "covered", "bare"]].tolist() == [60, 40, 20]

    it.to("09:33")

    rows = it.ledger.protection()
    assert it.now(stop).status == "filled"
    assert rows[["held", "covered", "bare"]].to_numpy().tolist() == [
        [0, 0, 0],
        [60, 0, 60],
        [60, 40, 20],
        [20, 0, 20],
    ]
    bare = rows[rows["bare"] > 0].iloc[0]
    assert (bare["at"], bare["until"]) == (clock("09:31"), clock("09:32"))
    assert rows["until"].isna().tolist() == [False, False, False, True]


def test_sleeping_legs_cover_nothing_and_held_ones_do() -> None:
    it = rig(f"{FLAT} | {FLAT} | {FLAT}", volume_share=Decimal("0.04"))
    it.to("09:31")
    it.bracket(110, 90, qty=80)
    it.to("09:32")
    assert it.ledger.covers[-1][3:] == (40, 0)

    it.to("09:33")

    assert it.ledger.covers[-1][3:] == (80, 80)
    assert it.ledger.covers[-1].bare == 0


def test_positions_over_time_follow_fills_and_splits() -> None:
    it = traded()

    rows = it.ledger.positions()

    assert [int(qty) for qty in rows["qty"]] == [100, 0]


def test_empty_ledger_has_empty_tables() -> None:
    it = rig(FLAT)

    tables = [it.ledger.orders(), it.ledger.fills(), it.ledger.protection(), it.ledger.positions()]
    assert [len(table) for table in tables] == [0, 0, 0, 0]
