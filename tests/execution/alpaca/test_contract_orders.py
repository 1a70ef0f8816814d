# SPDX-License-Identifier: GPL-3.0-or-later
"""Orders of a plain Backtrader strategy on Alpaca, one behaviour each, on the exchange itself.

Covers of the adapter's contract: no order without its intent; how the status of an order becomes
Backtrader's; brackets by the kind of their legs; a stop that ends without a word; exits and shares
that legs hold; crossing zero; wash trades; prices on the grid; validity; the kinds of orders;
cancels that the fill may beat; cash, value and trades without a call to the venue; what a run's
analyzers and writers need; what comes after the last bar. The defects of the old bridge that these
would show again are named by their tests.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from datetime import date, timedelta
from typing import Any

import backtrader as bt
import pytest

from iverson.errors import ConfigError
from iverson.execution.alpaca import sending
from iverson.execution.alpaca.states import update
from iverson.execution.alpaca.store import AlpacaStore
from iverson.model import Answer, Execution, Intent
from iverson.simulator import render
from iverson.simulator.faults import Fault
from iverson.simulator.settings import Switches
from tests.execution.alpaca.live import Lived, live
from tests.stages.rig import Breaking

QUIET = "100 100 100 100 101 102 103 103"
SIZE = 10
Order = bt.Order


def buy(**options: Any) -> Any:
    return lambda strategy: strategy.buy(size=SIZE, **options)


def sell(**options: Any) -> Any:
    return lambda strategy: strategy.sell(size=SIZE, **options)


def ways(lived: Lived, kind: str) -> list[str]:
    return [status for name, status, _ in lived.notified if name == kind]


def in_step(lived: Lived) -> None:
    """Shares and cash of Backtrader's broker are those of the exchange."""
    data = lived.strategy.data
    assert lived.broker.getposition(data).size == float(lived.held().get("TEST", 0))
    there = float(lived.street.exchange.account(lived.street.account).cash)
    assert lived.broker.getcash() == pytest.approx(there, abs=0.005)


def test_market_order_is_submitted_accepted_and_completed_once_and_in_this_order() -> None:
    lived = live(QUIET, {2: buy()})

    assert lived.notified == [
        ("Market", "Submitted", 0), ("Market", "Accepted", 0), ("Market", "Completed", SIZE),
    ]  # fmt: skip
    in_step(lived)


@pytest.mark.parametrize(
    ("options", "wire"),
    [
        (dict(exectype=Order.Market), {"type": "market"}),
        (dict(exectype=Order.Limit, price=99.0), {"type": "limit", "limit_price": "99.00"}),
        (dict(exectype=Order.Stop, price=101.0), {"type": "stop", "stop_price": "101.00"}),
        (
            dict(exectype=Order.StopLimit, price=101.0, plimit=101.5),
            {"type": "stop_limit", "stop_price": "101.00", "limit_price": "101.50"},
        ),
        (
            dict(exectype=Order.StopTrail, trailpercent=0.02),
            {"type": "trailing_stop", "trail_percent": "2.0000"},
        ),
        (
            dict(exectype=Order.StopTrail, trailamount=1.5),
            {"type": "trailing_stop", "trail_price": "1.50"},
        ),
    ],
)
def test_each_kind_of_order_is_sent_with_its_own_prices_and_nothing_else(
    options: Any, wire: dict[str, str]
) -> None:
    lived = live(QUIET, {2: buy(**options)})

    (intent,) = [one for one in lived.noted if isinstance(one, Intent)]
    sent = json.loads(intent.body)
    named = {"client_order_id": intent.name, "symbol": "TEST", "side": "buy", "qty": "10"}
    assert sent == wire | named | {"time_in_force": "gtc"}
    assert [one["client_order_id"] for one in lived.orders] == [intent.name]


@pytest.mark.parametrize("kind", [Order.StopTrailLimit, Order.Close])
def test_kind_that_alpaca_has_not_is_refused_in_a_sentence_and_not_sent(kind: int) -> None:
    told: list[str] = []
    lived = live(QUIET, {2: buy(exectype=kind, price=100.0, trailamount=1.0)}, told=told.append)

    assert [status for _, status, _ in lived.notified] == ["Submitted", "Rejected"]
    assert not len(lived.street.witness.orders())
    assert any("Alpaca has no" in words for words in told)


def test_trailing_stop_sells_below_the_highest_price() -> None:
    lived = live(
        "100 100 100 105 103 102 100 100",
        {2: buy(), 3: sell(exectype=Order.StopTrail, trailpercent=0.02)},
    )

    assert ways(lived, "StopTrail") == ["Submitted", "Accepted", "Completed"]
    in_step(lived)


def test_limit_and_stop_prices_leave_on_the_grid_whatever_the_strategy_gives() -> None:
    lived = live(QUIET, {2: buy(exectype=Order.Limit, price=98.98765)})

    assert [str(one["limit_price"]) for one in lived.orders] == ["98.98"]


def test_fraction_of_a_share_is_refused_and_never_sent_as_nothing() -> None:
    lived = live(QUIET, {2: lambda strategy: strategy.buy(size=0.5)})

    assert ways(lived, "Market") == ["Submitted", "Rejected"]
    assert not len(lived.street.witness.orders())


def test_cancel_is_canceled_by_the_venues_word_once() -> None:
    orders: list[Any] = []
    lived = live(
        QUIET,
        {
            2: lambda s: orders.append(s.buy(size=SIZE, exectype=Order.Limit, price=90.0)),
            4: lambda s: (s.cancel(orders[0]), s.cancel(orders[0])),
        },
    )

    assert ways(lived, "Limit") == ["Submitted", "Accepted", "Canceled"]
    assert lived.breaking.calls.count("DELETE orders") == 1


def test_cancel_that_takes_long_is_not_told_before_it_is_done() -> None:
    orders: list[Any] = []
    lived = live(
        "100 100 100 100 100 95 95 95",
        {
            2: lambda s: orders.append(s.buy(size=SIZE, exectype=Order.Limit, price=97.0)),
            5: lambda s: s.cancel(orders[0]),
        },
        switches=Switches.exact(cancel_seconds=300.0),
    )

    assert ways(lived, "Limit") == ["Submitted", "Accepted", "Completed"]  # the fill won
    in_step(lived)


def test_order_that_is_valid_for_a_while_is_withdrawn_by_us_and_expires() -> None:
    lived = live(
        QUIET,
        {
            2: lambda s: s.buy(
                size=SIZE, exectype=Order.Limit, price=90.0,
                valid=s.data.datetime.datetime(0) + timedelta(minutes=2),
            )
        },
    )  # fmt: skip

    assert ways(lived, "Limit") == ["Submitted", "Accepted", "Expired"]
    assert [one["status"] for one in lived.orders] == ["canceled"]


@pytest.mark.parametrize("valid", [Order.DAY, timedelta(hours=9)], ids=["DAY", "to the evening"])
def test_order_for_the_day_is_ended_by_the_venue_at_the_close(valid: timedelta) -> None:
    """Nobody of ours has to be there for it."""
    lived = live(QUIET, {2: buy(exectype=Order.Limit, price=90.0, valid=valid)})

    (intent,) = [one for one in lived.noted if isinstance(one, Intent)]
    assert json.loads(intent.body)["time_in_force"] == "day"


@pytest.mark.parametrize("valid", [Order.DAY, timedelta(minutes=5)], ids=["DAY", "minutes"])
def test_order_of_the_last_bar_that_would_be_over_by_the_next_open_is_not_sent(
    valid: timedelta,
) -> None:
    """After the close a day order would be one for the next day."""
    limit = buy(exectype=Order.Limit, price=100.0, valid=valid)

    lived = live("100 100 100 100 100", {4: limit}, first="15:57")  # 16:00 is the fourth

    assert ways(lived, "Limit") == ["Submitted", "Expired"]
    assert lived.breaking.calls.count("POST orders") == 0
    assert lived.alarms == []


def test_bracket_for_the_day_keeps_its_legs_beyond_it() -> None:
    lived = live(
        QUIET, {2: bracket(exectype=Order.Limit, price=90.0, stopprice=85.0, valid=Order.DAY)}
    )

    assert {one["time_in_force"] for one in lived.orders} == {"gtc"}


@pytest.mark.parametrize("valid", [3.0, date(2020, 1, 1)], ids=["number", "past"])
def test_validity_that_is_a_number_or_over_is_refused_in_a_sentence(valid: Any) -> None:
    told: list[str] = []
    lived = live(QUIET, {2: buy(exectype=Order.Limit, price=90.0, valid=valid)}, told=told.append)

    assert ways(lived, "Limit") == ["Submitted", "Rejected"]
    assert any("give `valid` as a date, a datetime or a timedelta" in words for words in told)
    assert lived.breaking.calls.count("POST orders") == 0


def test_order_too_dear_is_margin_and_one_the_venue_refuses_is_rejected_with_its_words() -> None:
    lived = live(QUIET, {2: lambda s: s.buy(size=10_000)})
    assert ways(lived, "Market") == ["Submitted", "Margin"]

    refused: list[str] = []
    lived = live(
        QUIET,
        {2: lambda s: (s.buy(size=SIZE, exectype=Order.Limit, price=99.0), s.sell(size=SIZE))},
        told=refused.append,
    )
    assert ways(lived, "Market") == ["Submitted", "Rejected"]  # against our own resting buy
    assert any("wash trade" in words for words in refused)


def test_order_through_zero_leaves_the_position_and_opens_nothing() -> None:
    lived = live(QUIET, {2: buy(), 4: lambda s: s.sell(size=15)})

    assert [(one["side"], int(one["qty"])) for one in lived.orders] == [("buy", 10), ("sell", 10)]
    assert lived.held() == {}
    in_step(lived)


def test_stop_to_buy_that_a_gap_has_passed_waits_at_its_collar_and_is_told_as_it_is() -> None:
    lived = live(
        "100 100 100 gap 110 110 110", {2: buy(exectype=Order.Stop, price=101.0)}
    )  # the collar is 2.5 % above the stop

    assert ways(lived, "Stop") == ["Submitted", "Accepted"]
    assert lived.held() == {}
    in_step(lived)


def bracket(**options: Any) -> Any:
    usual = dict(size=SIZE, exectype=Order.Market, stopprice=95.0, limitprice=102.0)
    return lambda strategy: strategy.buy_bracket(**{**usual, **options})


def test_bracket_is_one_order_and_its_stop_ends_though_no_event_says_so() -> None:
    lived = live(QUIET, {2: bracket()})

    assert lived.breaking.calls.count("POST orders") == 1
    assert ways(lived, "Limit") == ["Submitted", "Accepted", "Completed"]
    assert ways(lived, "Stop") == ["Submitted", "Accepted", "Canceled"]
    in_step(lived)


def test_stop_of_a_bracket_is_the_stop_and_not_the_target() -> None:
    lived = live("100 100 100 100 94 94 94", {2: bracket()})

    assert ways(lived, "Stop") == ["Submitted", "Accepted", "Completed"]
    assert ways(lived, "Limit") == ["Submitted", "Accepted", "Canceled"]
    in_step(lived)


@pytest.mark.parametrize(
    ("options", "order_class"),
    [
        (dict(limitexec=None), "oto"),
        (dict(stopexec=None), "oto"),
        (dict(stopexec=None, limitexec=None), "simple"),
    ],
)
def test_bracket_with_one_child_or_none_is_sent_as_what_it_is(
    options: Any, order_class: str
) -> None:
    lived = live(QUIET, {2: bracket(**options)})

    assert {one["order_class"] for one in lived.orders} == {order_class}
    in_step(lived)


def test_stop_limit_leg_keeps_its_limit() -> None:
    lived = live(
        QUIET, {2: bracket(stopexec=Order.StopLimit, stopargs=dict(plimit=94.5), limitprice=110.0)}
    )

    (stop,) = [one for one in lived.orders if one["type"] == "stop_limit"]
    assert (str(stop["stop_price"]), str(stop["limit_price"])) == ("95.00", "94.50")


def test_bracket_around_a_stop_entry_is_refused_in_a_sentence() -> None:
    told: list[str] = []
    live(QUIET, {2: bracket(exectype=Order.Stop, price=101.0)}, told=told.append)

    assert any("brackets only around Market and Limit" in words for words in told)


def test_stop_that_the_venue_would_not_take_is_left_at_the_market_and_alarms() -> None:
    # two fifths of the entry fill; the stop that shall protect them is rejected
    lived = live(
        "100 100 100 100 100 100 100",
        {2: bracket(exectype=Order.Limit, price=100.0, limitprice=None, limitexec=None)},
        faults=[
            Fault(on="POST /v2/orders", do="partial", share=0.4),
            Fault(on="POST /v2/orders", nth="2", do="status", status=403, code=40310000,
                  message="not now"),
        ],
    )  # fmt: skip

    assert lived.held() == {}
    assert [rule for rule, _ in lived.alarms] == ["unprotected"]
    in_step(lived)


def test_stop_whose_answer_never_came_is_tried_again_until_the_shares_are_covered() -> None:
    lived = live(
        "100 100 100 100 100 100 100",
        {2: bracket(exectype=Order.Limit, price=100.0)},
        faults=[
            Fault(on="POST /v2/orders", do="partial", share=0.4),
            Fault(on="POST /v2/orders", nth="2-6", do="status", status=503),
        ],
    )

    (cover,) = lived.street.witness.covers[-1:]
    assert (cover.held, cover.covered) == (4, 4)
    in_step(lived)


def heard(lived_options: dict[str, Any], mangle: Any) -> Lived:
    """Run a market order whose updates come by the stream, mangled, and whose polls do not come."""
    stores: list[Any] = []

    def listen(street: Any) -> None:
        def hear(event: Any) -> None:
            if type(event).__name__ == "TradeUpdate" and event.published and stores:
                for message in mangle(render.trade_update(event)["data"]):
                    stores[0].hear(update(message))

        street.exchange.listeners.append(hear)

    return live(
        QUIET,
        {1: lambda s: stores.append(s.broker.p.store), 2: buy()},
        before=listen,
        poll_seconds=1e9,
        **lived_options,
    )


PARTS = dict(switches=Switches.exact(partial_probability=1.0))


@pytest.mark.parametrize(
    "mangle",
    [
        lambda message: [message],
        lambda message: [message, message],
        lambda message: [] if message["event"] == "partial_fill" else [message],
    ],
    ids=["as they are", "twice", "partial fills lost"],
)
def test_partial_fills_are_booked_once_each_whatever_the_stream_does(mangle: Any) -> None:
    lived = heard(PARTS, mangle)

    executions = [one for one in lived.noted if isinstance(one, Execution)]
    done = sum(one.size for one in executions)
    assert done == float(lived.held()["TEST"])
    assert len({one.id for one in executions}) == len(executions)
    assert Counter(status for _, status, _ in lived.notified)["Partial"] >= 1
    in_step(lived)


def test_word_of_the_past_does_not_take_an_order_back() -> None:
    kept: list[Any] = []

    def late(message: Any) -> list[Any]:
        kept.append(message)
        return [message, kept[0]] if message["event"] == "fill" else [message]

    lived = heard({}, late)

    assert ways(lived, "Market")[-1] == "Completed"
    in_step(lived)


def test_status_nobody_knows_alarms_and_changes_nothing() -> None:
    def entangled(message: Any) -> list[Any]:
        if message["event"] == "new":
            message = {**message, "order": {**message["order"], "status": "entangled"}}
        return [message]

    lived = heard({}, entangled)

    assert "unknown status" in {rule for rule, _ in lived.alarms}
    assert ways(lived, "Market")[-1] == "Completed"


@pytest.mark.parametrize("event", ["trade_bust", "trade_correct"])
def test_execution_that_is_taken_back_alarms_and_halts_entries(event: str) -> None:
    def taken_back(message: Any) -> list[Any]:
        return [message, {**message, "event": event}] if message["event"] == "fill" else [message]

    lived = heard({}, taken_back)

    assert {rule for rule, _ in lived.alarms} == {"trade break"}
    assert event in lived.alarms[0][1]
    assert lived.held() == {"TEST": "10"}
    in_step(lived)


def test_cash_value_and_position_cost_no_call_to_the_venue() -> None:
    def ask(strategy: Any) -> None:
        for _ in range(1000):
            strategy.broker.getcash(), strategy.broker.getvalue(), strategy.position.size

    asked = live(QUIET, {3: ask}, poll_seconds=1e9)

    assert len(asked.breaking.calls) == len(live(QUIET, {}, poll_seconds=1e9).breaking.calls)


def test_analyzers_and_writers_get_what_they_need() -> None:
    lived = live(
        QUIET, {2: bracket()}, analyzers=(bt.analyzers.TradeAnalyzer, bt.analyzers.DrawDown),
        writer=True,
    )  # fmt: skip

    trades = lived.strategy.analyzers[0].get_analysis()
    assert trades.pnl.net.total == pytest.approx(2.0 * SIZE)
    assert lived.broker.startingcash == pytest.approx(100_000)
    assert lived.broker.fundvalue > 0


def test_orders_and_positions_are_touched_in_backtraders_thread_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: set[int] = set()
    execute = bt.Order.execute

    def watched(order: Any, *told: Any) -> None:
        threads.add(threading.get_ident())
        execute(order, *told)

    monkeypatch.setattr(bt.Order, "execute", watched)
    lived = live(" ".join(["100"] * 8), {2: buy()}, threaded=True, poll_seconds=60.0)

    assert threads == {threading.get_ident()}
    assert isinstance(lived.noted[0], Intent)


def test_fill_that_comes_after_the_last_bar_is_booked_all_the_same() -> None:
    lived = live("100 100 100", {3: buy()}, broker=dict(linger_seconds=120.0))

    assert [type(one) for one in lived.noted][:2] == [Intent, Answer]
    in_step(lived)


def test_order_kinds_are_refused_by_the_sentence_that_names_what_there_is() -> None:
    order = type("Fake", (), {"exectype": Order.Historical, "getordername": lambda _: "Historical"})

    with pytest.raises(ConfigError, match="use Market, Limit, Stop, StopLimit or StopTrail"):
        sending.plain_body(order(), size=1, name="x")


def post_of(plan: Any) -> int:
    """Number of the call that posts the first order."""
    return live(QUIET, plan).breaking.calls.index("POST orders") + 1


def test_order_that_nobody_could_tell_of_is_found_at_a_later_look_and_halts_entries() -> None:
    plan = {2: buy(), 6: buy()}
    post = post_of(plan)
    silent = {post: "answer lost"} | {post + look: "not sent" for look in range(1, 6)}

    lived = live(QUIET, plan, breaking=Breaking(spoils=silent))

    assert [rule for rule, _ in lived.alarms] == ["doubt"]
    assert [ending.ending for ending in lived.noted if isinstance(ending, Answer)] == ["abandoned"]
    assert lived.held() == {"TEST": "10"}  # the second entry was refused
    assert lived.breaking.calls.count("POST orders") == 1
    in_step(lived)


def test_stop_that_the_venue_replaces_by_another_order_is_followed() -> None:
    """The target turns into "replaced" when its stop is triggered; both end as what they are."""
    lived = live(
        "100 100 100 100 94 94 94", {2: bracket()},
        switches=Switches.exact(target_when_stopped="replaced"),
    )  # fmt: skip

    assert (ways(lived, "Stop")[-1], ways(lived, "Limit")[-1]) == ("Completed", "Canceled")


@pytest.mark.parametrize("how", ["replaced", "canceled", "silent"])
@pytest.mark.parametrize("told", [True, False])
def test_legs_end_the_same_whichever_words_the_stream_has_for_it(how: Any, *, told: bool) -> None:
    switches = Switches.exact(target_when_stopped=how, emit_oco_cancel=told, emit_held=told)
    for words in (QUIET, "100 100 100 100 94 94 94"):
        lived = live(words, {2: bracket()}, switches=switches)

        assert lived.held() == {}
        in_step(lived)


def test_two_stores_are_two_accounts() -> None:
    one = AlpacaStore("key", "secret", paper=True, threaded=False)
    other = AlpacaStore("else", "secret", paper=False, threaded=False)

    assert one is not other
    assert one.rest.client._api_key != other.rest.client._api_key
    assert "paper" in one.rest.client._base_url.value
    assert "paper" not in other.rest.client._base_url.value


def test_store_without_keys_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match="needs the account's key and secret"):
        AlpacaStore()


def test_error_of_one_order_is_its_own_and_the_next_one_goes_through() -> None:
    lived = live(
        QUIET,
        {2: buy(), 3: buy()},
        faults=[Fault(on="POST /v2/orders", do="status", status=422, code=40010001, message="no")],
    )

    assert [status for _, status, _ in lived.notified].count("Rejected") == 1
    assert lived.held() == {"TEST": "10"}
    in_step(lived)


def test_one_cancels_other_orders_end_together() -> None:
    def pair(strategy: Any) -> None:
        first = strategy.buy(size=SIZE, exectype=Order.Limit, price=99.0)
        strategy.buy(size=SIZE, exectype=Order.Limit, price=90.0, oco=first)

    lived = live("100 100 100 98 98 98 98", {2: pair})

    assert lived.held() == {"TEST": "10"}
    assert sorted(one["status"] for one in lived.orders) == ["canceled", "filled"]
