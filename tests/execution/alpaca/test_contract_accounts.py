# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account may do to a run: blocks, keys, strangers, cash, splits; on the exchange itself.

Covers of the adapter's contract: the account's flags before each session; keys that are refused;
adoption at a start (positions, orders, foreign ones); protection of what a start finds bare; a
worker that hangs; cash flows and what they do to drawdown and day's result.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from iverson.book import Halt
from iverson.errors import ConfigError
from iverson.execution.account import Account, AccountState
from iverson.execution.alpaca.flows import Movement, kind_of, new_flows
from iverson.execution.alpaca.opening import sendable_until
from iverson.execution.alpaca.pace import Priority
from iverson.execution.alpaca.store import AlpacaStore
from iverson.execution.costs import Costs
from iverson.execution.decisions import Reading
from iverson.execution.reconcile import Shown, Written, reconcile
from iverson.execution.shares import ratio_of, shares_of
from iverson.market.calendar import new_york
from iverson.model import CashFlow, Execution, Fill
from iverson.monitoring.record import EquityRow
from iverson.simulator.faults import Fault
from iverson.simulator.requests import OrderRequest
from iverson.testing import FixedHistory
from tests.execution.alpaca.live import live
from tests.stages.judge import of
from tests.stages.play import play
from tests.stages.scenes import Scene, scenes

QUIET = "100 100 100 100 101 102 103 103"
SCENES = scenes()
AT = datetime(2024, 1, 4, 15, tzinfo=UTC)


def blocked_scene() -> Scene:

    plain = SCENES["target"]
    block = {
        (1, time(12, 0)): lambda street: street.exchange.block(street.account, trading_blocked=True)
    }
    return replace(plain, acts=block, plan={**plain.plan, 2: plain.plan[0]})


def test_block_of_the_account_halts_and_the_halt_survives_every_wake() -> None:
    played = play(blocked_scene())

    halts = of(played, Halt)
    assert [halt.rule for halt in halts] == ["account"]  # noted once, in force for good
    assert halts[0].latched
    assert "trading_blocked" in halts[0].reason
    assert [one["client_order_id"][:4] for one in played.orders].count("iv1-") == 1  # before it


def test_keys_that_are_refused_end_a_start_in_a_sentence() -> None:
    def revoke(street: Any) -> None:
        street.venue.keys.revoke()

    with pytest.raises(ConfigError, match="does not accept the keys"):
        live(QUIET, {2: lambda s: s.buy(size=1)}, before=revoke)


def test_keys_that_are_revoked_in_between_halt_writes_at_once() -> None:
    lived = live(
        QUIET,
        {2: lambda s: s.buy(size=1)},
        faults=[Fault(on="POST /v2/orders", nth="every", do="status", status=401)],
    )

    assert [rule for rule, _ in lived.alarms] == ["keys"]
    assert lived.breaking.calls.count("POST orders") == 1  # no storm of tries


def stranger(street: Any) -> None:
    street.advance_to(street.now + timedelta(minutes=1))
    street.exchange.submit(
        street.account,
        OrderRequest(symbol="TEST", qty=Decimal(7), side="buy", type="market", time_in_force="day"),
    )
    street.advance_to(street.now + timedelta(minutes=1))


def test_position_of_a_stranger_is_counted_and_left_alone() -> None:
    lived = live(QUIET, {}, before=stranger)

    assert lived.held() == {"TEST": "7"}
    assert [one.size for one in lived.broker.foreign] == [7]
    assert lived.broker.getposition(lived.strategy.data).size == 0
    there = float(lived.street.exchange.account(lived.street.account).equity)
    assert lived.broker.startingcash + 7 * 100 == pytest.approx(there, abs=7 * 3.01)


def test_close_by_hand_is_booked_and_nothing_is_sold_again() -> None:
    played = play(SCENES["closed by hand"])

    assert played.held == {}
    assert played.lowest == 0
    assert [(fill.side, fill.leg) for fill in of(played, Fill)] == [
        ("buy", "entry"),
        ("sell", "flatten"),
    ]
    assert [halt.rule for halt in of(played, Halt)] == ["out of sync"]


def test_dividend_and_deposit_are_journaled_once_and_a_deposit_is_no_profit() -> None:
    played = play(SCENES["two symbols, dividend, deposit"])

    flows = [(flow.kind, flow.amount) for flow in of(played, CashFlow)]
    assert sorted(flows) == [("deposit", 1000.0), ("dividend", 100.0)]
    marks = of(played, EquityRow)
    assert marks[-1].cash == pytest.approx(float(played.cash), abs=0.005)


def test_deposit_moves_the_past_as_the_account_itself_would() -> None:
    state = AccountState(closes=((date(2024, 1, 3), 100.0),), previous_close=100.0)
    account = Account(state, history=FixedHistory())
    account.deposit(50.0)

    assert account.state.closes == ((date(2024, 1, 3), 150.0),)
    assert account.state.previous_close == 150.0


@pytest.mark.parametrize(
    ("activity", "kind"),
    [
        ("DIV", "dividend"), ("DIVNRA", "dividend"), ("CSD", "deposit"), ("CSW", "deposit"),
        ("FEE", "fee"), ("CFEE", "fee"), ("INT", "interest"), ("SPLIT", "split"),
        ("REORG", "cash in lieu"), ("ACATC", "other"),
    ],
)  # fmt: skip
def test_every_type_of_activity_has_a_kind(activity: str, kind: str) -> None:
    assert kind_of(activity) == kind


def test_two_equal_dividends_of_a_day_are_two_and_a_known_one_is_not_noted_again() -> None:
    paid = Movement("dividend", AT, "TEST", 12.5, 0.0)
    session_of = new_york().session_of

    first = new_flows([paid, paid], [], [], session_of=session_of)
    again = new_flows([paid, paid], first, [], session_of=session_of)

    assert [flow.amount for flow in first] == [12.5, 12.5]
    assert again == []


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [(200, 400, 2.0), (200, 20, 0.1), (201, 301, 1.5), (7, 0, 0.1), (100, 1000, 10.0)],
)
def test_ratio_of_a_split_follows_from_the_shares(before: int, after: int, ratio: float) -> None:
    found = ratio_of(before, after - before)

    assert int(before * found + 1e-9) == after
    assert found == ratio or after == 0


def execution(size: int, price: float, leg: Any, at: datetime, order: str = "o") -> Execution:
    side: Any = "buy" if leg == "entry" else "sell"
    return Execution(at, at.date(), f"{order}:{size}", order, "KEY", "TEST", side, leg, size, price)


def test_shares_before_a_split_count_as_what_they_became() -> None:
    split = CashFlow(AT, AT.date(), "TEST", "split", 0.0, 2.0)
    executions = [
        execution(200, 100.0, "entry", AT - timedelta(hours=1)),
        execution(100, 51.0, "target", AT + timedelta(hours=1)),
    ]

    shares = shares_of("TEST", executions, [split])

    assert (shares.entered, shares.held, shares.price) == (400, 300, 50.0)


def test_nothing_written_and_nothing_shown_is_nothing() -> None:
    found = reconcile(
        Written(), Shown({}, [], [], []), Reading(new_york().session_of, lambda _: 0.0, bool)
    )

    assert (found.groups, found.missed, found.problems) == ((), (), ())


@pytest.mark.parametrize(
    ("decided", "until"),
    [
        # on the close of a Friday: before Monday, New York; in a session: at once or not at all
        (datetime(2024, 1, 5, 21, tzinfo=UTC), datetime(2024, 1, 8, 5, tzinfo=UTC)),
        (datetime(2024, 1, 4, 15, 31, tzinfo=UTC), datetime(2024, 1, 4, 15, 33, tzinfo=UTC)),
        (datetime(2024, 7, 3, 17, tzinfo=UTC), datetime(2024, 7, 5, 4, tzinfo=UTC)),
    ],
)
def test_entry_is_sent_late_only_while_its_moment_lasts(decided: datetime, until: datetime) -> None:
    assert sendable_until(decided) == until


def test_worker_that_hangs_ends_a_run_in_bounded_time_with_an_alarm() -> None:
    alarms: list[tuple[str, str]] = []
    hangs = threading.Event()
    store = AlpacaStore(rest=object(), alarm=lambda *told: alarms.append(told), costs=Costs.none())
    store.worker.do(Priority.READ, hangs.wait, lambda _: None)

    store.settle(object(), seconds=0.2)  # type: ignore[arg-type]  # nothing is heard
    hangs.set()

    assert [rule for rule, _ in alarms] == ["stop"]
