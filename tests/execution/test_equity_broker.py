# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulated broker does beside filling: admission, cancels, corporate actions, ends."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import backtrader as bt
import numpy as np
import pytest

from iverson.execution.costs import Costs
from iverson.execution.equity_broker import EquityBroker
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.model import CashFlow, OrderEvent
from iverson.monitoring.record import Record
from iverson.monitoring.recorder import Recorder
from iverson.monitoring.trades import TradeBuilder
from iverson.research.backtest import Feed, Prepared, Setup, simulate
from iverson.risk.sizing import RiskSizing
from iverson.strategy import Strategy
from iverson.testing import at, bars, run_orders, run_signals, signal

CASH = 100_000.0
IN = "100 100/100/98/99"  # a limit of 99 is filled on bar 2


def bracket(size: int = 10, **more: Any) -> Any:
    more = {"price": 99.0, "stopprice": 95.0, "limitprice": 105.0, **more}
    return lambda s: s.buy_bracket(size=size, **more)


def fills(record: Record) -> list[tuple[str, float, float]]:
    return [(fill.side, fill.size, fill.price) for fill in record.fills]


def statuses(record: Record, leg: str) -> list[str]:
    return [event.status for event in record.of(OrderEvent) if event.leg == leg]


# -- admission -------------------------------------------------------------------------------------


@pytest.mark.parametrize("send", ["buy", "sell"])
def test_an_entry_needs_buying_power_long_or_short(send: str) -> None:
    """$100,000 carry 1,000 shares at $100 in either direction, and not one more."""
    exactly = run_orders(bars("100 100"), {1: lambda s: getattr(s, send)(size=1_000)}, cash=CASH)
    one_more = run_orders(bars("100 100"), {1: lambda s: getattr(s, send)(size=1_001)}, cash=CASH)

    assert [fill.size for fill in exactly.fills] == [1_000]
    (refused,) = one_more.of(OrderEvent)
    assert (refused.status, refused.reason) == ("rejected", "buying power")


def test_working_entries_commit_buying_power() -> None:
    """Two limits of 600 shares at $99 are more than $100,000."""
    far = lambda s: s.buy(size=600, price=99, exectype=bt.Order.Limit)

    record = run_orders(bars("100 100"), {1: lambda s: (far(s), far(s))}, cash=CASH)

    assert statuses(record, "plain") == ["accepted", "rejected"]


def test_a_working_exit_commits_nothing() -> None:
    """900 shares held with a stop and a target on them leave $10,000 for another entry."""

    def protect(s: Any) -> None:
        s.sell(size=900, price=90, exectype=bt.Order.Stop)
        s.sell(size=900, price=120, exectype=bt.Order.Limit)
        s.buy(size=90)

    record = run_orders(bars("100 100 100"), {1: lambda s: s.buy(size=900), 2: protect}, cash=CASH)

    assert fills(record) == [("buy", 900, 100), ("buy", 90, 100)]


def test_a_reversal_needs_no_more_than_the_other_side() -> None:
    """From fully long to fully short in one order."""
    record = run_orders(
        bars("100 100 100"),
        {1: lambda s: s.buy(size=1_000), 2: lambda s: s.sell(size=2_000)},
        cash=CASH,
    )

    assert fills(record) == [("buy", 1_000, 100), ("sell", 2_000, 100)]


def test_of_an_order_beyond_the_means_the_part_that_leaves_is_let_in() -> None:
    """5,000 sold out of 10 held: the 4,990 short cannot be carried, the 10 go."""
    record = run_orders(
        bars("100 100 100"), {1: lambda s: s.buy(size=10), 2: lambda s: s.sell(size=5_000)}
    )

    assert fills(record) == [("buy", 10, 100), ("sell", 10, 100)]


def test_fractions_of_a_share_are_cut_off() -> None:
    record = run_orders(bars("100 100 100"), {1: lambda s: s.buy(size=10.9)})

    assert fills(record) == [("buy", 10, 100)]
    assert statuses(record, "plain") == ["accepted", "filled"]


def test_order_target_percent_counts_raw_shares_after_a_split() -> None:
    """Half of $100,000 at a raw $50: 1,000 shares, although the strategy sees $100."""
    given = bars("100 50 50", splits={1: 2.0})

    record = run_orders(given, {2: lambda s: s.order_target_percent(target=0.5)}, cash=CASH)

    assert fills(record) == [("buy", 1_000, 50)]


# -- validity --------------------------------------------------------------------------------------


def without(given: Bars, *numbers: int) -> Bars:
    """Take bars (numbered from 1) out: sessions on which the symbol did not trade."""
    keep = np.ones(len(given), dtype=bool)
    keep[[number - 1 for number in numbers]] = False
    names = ("at", "session", "open", "high", "low", "close", "volume", "factor", "dividend")
    return Bars(given.symbol, given.interval, *(getattr(given, name)[keep] for name in names))


def test_an_entry_expires_on_a_session_that_its_symbol_did_not_print() -> None:
    """Valid through bar 2, which is missing: the bar after it may not fill."""
    given = without(bars("100 100 98"), 2)

    record = run_orders(given, {1: bracket(valid=timedelta(days=1))})

    assert record.fills == []
    assert statuses(record, "entry") == ["accepted", "expired"]
    assert statuses(record, "stop") == ["accepted", "canceled"]


def test_an_entry_expires_while_another_symbol_prints() -> None:
    both = {
        "TEST": without(bars("100 100 98 98"), 2, 3),
        "CALM": bars("50 50 50 50", symbol="CALM"),
    }

    record = run_orders(both, {1: bracket(valid=timedelta(days=1))})

    (expired,) = [e for e in record.of(OrderEvent) if e.status == "expired"]
    assert expired.session == date(2024, 1, 3)  # bar 2
    assert record.fills == []


def test_a_date_is_valid_to_its_end() -> None:
    """Backtrader reads a plain date as its midnight, before the session."""
    record = run_orders(bars(IN), {1: bracket(valid=date(2024, 1, 3))})

    assert fills(record) == [("buy", 10, 99)]


def test_an_instant_before_the_close_does_not_take_the_whole_bar() -> None:
    """Noon lies inside the daily bar: what it filled later must not count."""
    noon = at("2024-01-03 17:00").replace(tzinfo=None)

    record = run_orders(bars(IN), {1: bracket(valid=noon)})

    assert record.fills == []


# -- cancels ---------------------------------------------------------------------------------------


def with_orders(plan: dict[int, Any], words: str, **options: Any) -> Record:
    """A plan whose functions also see the orders of bar 1's bracket."""
    sent: list[Any] = []
    first = {1: lambda s: sent.extend(bracket()(s))}
    later = {number: lambda s, act=act: act(s, sent) for number, act in plan.items()}
    return run_orders(bars(words), first | later, **options)


def test_a_cancelled_entry_takes_its_legs_along() -> None:
    record = with_orders({2: lambda s, sent: s.cancel(sent[0])}, "100 100 98")

    assert record.fills == []
    assert statuses(record, "stop") == statuses(record, "target") == ["accepted", "canceled"]


@pytest.mark.parametrize("leg", [1, 2])
def test_a_cancelled_leg_ends_an_entry_that_waits(leg: int) -> None:
    """What would fill without its stop must not fill."""
    record = with_orders({2: lambda s, sent: s.cancel(sent[leg])}, "100 100 98 90")

    assert record.fills == []


def test_a_cancelled_leg_takes_its_sibling_along_as_in_backtrader() -> None:
    record = with_orders({2: lambda s, sent: s.cancel(sent[2])}, IN + " 90 90")

    assert fills(record) == [("buy", 10, 99)]


def test_a_cancelled_partial_entry_keeps_its_legs() -> None:
    words = "100 100/100/98/99@40 99 98/98/94/95"

    record = with_orders({2: lambda s, sent: s.cancel(sent[0])}, words)

    assert fills(record) == [("buy", 4, 99), ("sell", 4, 95)]


def test_a_second_cancel_does_nothing() -> None:
    twice = lambda s, sent: (s.cancel(sent[0]), s.cancel(sent[0]))

    record = with_orders({2: twice}, "100 100 98")

    assert statuses(record, "entry") == ["accepted", "canceled"]


def test_the_copy_that_a_notification_brings_can_be_cancelled() -> None:
    """Backtrader hands strategies clones; cancelling one cancels the order itself."""
    heard: list[tuple[str, str]] = []

    class Nervous(bt.Strategy):
        def next(self) -> None:
            if len(self) == 1:
                self.buy_bracket(size=10, price=99, stopprice=95, limitprice=105)

        def notify_order(self, order: Any) -> None:
            heard.append((order.getordername(), order.getstatusname()))
            if order.status == order.Accepted and order.parent is None:
                self.cancel(order)

    record = run_strategy(Nervous, bars("100 100 98 94"))

    assert record.fills == []
    assert heard[-3:] == [("Limit", "Canceled"), ("Stop", "Canceled"), ("Limit", "Canceled")]


def run_strategy(strategy: Any, given: Bars) -> Record:
    """Run a strategy of one's own as `run_orders` runs its plan."""
    record = Record()
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.setbroker(EquityBroker(cash=CASH, costs=Costs.none()))
    cerebro.adddata(Feed(given).data(slice(0, len(given))), name=given.symbol)
    cerebro.addanalyzer(Recorder, record=record, builder=TradeBuilder(new_york().ordinal))
    cerebro.addstrategy(strategy)
    cerebro.run()
    return record


# -- corporate actions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "size", "whole"),
    [(2.0, 10, 20), (1.5, 10, 15), (1.5, 11, 16), (0.1, 25, 2), (0.1, 5, 0), (1 / 3, 30, 10)],
)
@pytest.mark.parametrize("send", ["buy", "sell"])
def test_equity_is_continuous_through_a_split(
    ratio: float, size: int, whole: int, send: str
) -> None:
    """The fraction is paid in cash at the open, so nothing is won or lost."""
    price = 120.0
    given = bars(f"{price} {price} gap {price / ratio} {price / ratio}", splits={2: ratio})

    record = run_orders(given, {1: lambda s: getattr(s, send)(size=size)}, cash=CASH)

    assert [row.equity for row in record.equity] == pytest.approx([CASH] * 4)
    (flow,) = record.of(CashFlow)
    sign = 1 if send == "buy" else -1
    assert flow.amount == pytest.approx(sign * (size * ratio - whole) * price / ratio)
    assert record.equity[-1].positions_value == pytest.approx(sign * whole * price / ratio)
    assert [trade.exit_reason for trade in record.trades] == (["split"] if whole == 0 else [])


def test_a_split_converts_the_legs() -> None:
    """Stop 95 and target 105 of 10 become 47.50 and 52.50 of 20."""
    stopped = bars(IN + " gap 49.5 49/49/47/48", splits={2: 2.0})
    reached = bars(IN + " gap 49.5 50/53/50/53", splits={2: 2.0})

    assert fills(run_orders(stopped, {1: bracket()}))[1:] == [("sell", 20, 47.5)]
    assert fills(run_orders(reached, {1: bracket()}))[1:] == [("sell", 20, 52.5)]


def test_a_split_withdraws_a_waiting_entry() -> None:
    record = run_orders(bars("100 gap 50 49", splits={1: 2.0}), {1: bracket()})

    assert record.fills == []
    assert statuses(record, "entry") == ["accepted", "canceled"]


def test_a_split_ends_a_partial_entry_and_keeps_its_part_protected() -> None:
    """4 of 10 held: 8 after the split, stopped at 47.50."""
    given = bars("100 100/100/98/99@40 gap 49.5 49/49/47/48", splits={2: 2.0})

    assert fills(run_orders(given, {1: bracket()})) == [("buy", 4, 99), ("sell", 8, 47.5)]


def test_a_split_converts_a_plain_exit() -> None:
    """A sell stop of 10 at 90 protects 20 at 45."""
    given = bars("100 100 gap 50 50 46/46/44/44", splits={2: 2.0})
    plan = {
        1: lambda s: s.buy(size=10),
        2: lambda s: s.sell(size=10, exectype=bt.Order.Stop, price=90),
    }

    assert fills(run_orders(given, plan)) == [("buy", 10, 100), ("sell", 20, 45)]


def test_a_split_converts_a_trailing_distance() -> None:
    """Two below the close before the split, one below it after: 50 - 1 = 49."""
    given = bars("100 100 gap 50 50 50/50/48/48", splits={2: 2.0})
    plan = {
        1: lambda s: s.buy(size=10),
        2: lambda s: s.sell(size=10, exectype=bt.Order.StopTrail, trailamount=2.0),
    }

    record = run_orders(given, plan)

    assert fills(record) == [("buy", 10, 100), ("sell", 20, 49)]


def test_two_brackets_keep_the_share_that_their_halves_make() -> None:
    """3 + 3 shares at 3 for 2 are 9: both stops together sell nine."""
    given = bars("100 100/100/98/99 gap 66 66 60", splits={2: 1.5})
    plan = {1: lambda s: (bracket(3)(s), bracket(3)(s))}

    record = run_orders(given, plan)

    assert sum(f.size for f in record.fills if f.side == "sell") == 9


@pytest.mark.parametrize(("send", "sign"), [("buy", 1), ("sell", -1)])
def test_a_dividend_is_received_long_and_paid_short(send: str, sign: int) -> None:
    """$0.50 on 10 shares, without a bracket."""
    given = bars("100 100 100", dividends={2: 0.5})

    record = run_orders(given, {1: lambda s: getattr(s, send)(size=10)}, cash=CASH)

    assert [row.equity - CASH for row in record.equity] == pytest.approx([0, 0, sign * 5.0])


def test_who_buys_on_the_ex_date_gets_no_dividend() -> None:
    given = bars("100 100 100", dividends={1: 0.5})

    record = run_orders(given, {1: lambda s: s.buy(size=10)}, cash=CASH)

    assert record.of(CashFlow) == []


def test_a_dividend_on_the_day_of_a_split_is_in_new_shares() -> None:
    """10 become 20; $0.25 each are $5."""
    given = bars("100 100 gap 50", splits={2: 2.0}, dividends={2: 0.25})

    record = run_orders(given, {1: lambda s: s.buy(size=10)}, cash=CASH)

    assert record.equity[-1].equity - CASH == pytest.approx(5.0)


# -- the end of a run, and the seam between two ----------------------------------------------------


def test_at_the_end_positions_are_left_at_the_last_close() -> None:
    cost = Costs(0.02, 0, 0, 0, 0, 0, 0)  # one tick
    outcome = run_signals(bars(IN + " 101"), {1: signal(limit=99, stop=95, target=110)}, costs=cost)

    (trade,) = outcome.record.trades
    assert (trade.exit, trade.exit_reason) == (pytest.approx(100.99), "fold end")
    last = outcome.record.equity[-1]
    assert (last.cash, last.positions) == (last.equity, 0)


def test_at_the_end_each_bracket_of_a_symbol_is_left() -> None:
    twice = {1: signal(limit=99, stop=95), 2: signal(limit=99, stop=95)}

    outcome = run_signals(bars(IN + " 100/100/98/99 100"), twice)

    assert outcome.record.equity[-1].positions == 0
    assert {f.leg for f in outcome.record.fills if f.side == "sell"} == {"fold end"}


# -- the second lock -------------------------------------------------------------------------------


class Plain(Strategy):
    """A strategy that goes past the spine: `plan` acts on the bar of its number."""

    params: Any = dict(plan=None)
    warm_up = 0

    def signals(self) -> Any:
        return iter(())

    def next(self) -> None:
        super().next()
        act = self.p.plan.get(len(self))
        if act is not None:
            act(self)

    prenext = nextstart = next  # noqa: A003 (Backtrader's name)


def locked(words: str, plan: dict[int, Any], **options: Any) -> Record:
    given = bars(words)
    options = {"costs": Costs.none(), "cash": CASH, **options}
    setup = Setup(Plain, rules=(), params=dict(plan=plan), **options)
    first, last = given.session[0].item(), given.session[-1].item()
    return simulate(setup, Prepared.of({"TEST": given}), first=first, last=last).record


def test_a_plain_bracket_is_sized_by_the_gate() -> None:
    """2 % of $100,000 over 4 dollars a share are 500; 20 % of it at 99 are 202."""
    record = locked(IN + " 99 99", {1: bracket(5_000)})

    assert fills(record)[0] == ("buy", 202, 99)
    assert [verdict.approved for verdict in record.verdicts] == [True]


def test_a_plain_order_without_a_stop_is_refused() -> None:
    record = locked("100 100 100", {1: lambda s: s.buy(size=1)})

    assert record.fills == []
    assert [verdict.approved for verdict in record.verdicts] == [False]


def test_a_plain_bracket_below_the_approved_size_keeps_its_own() -> None:
    assert fills(locked(IN + " 99 99", {1: bracket(7)}))[0] == ("buy", 7, 99)


def test_exits_pass_the_lock() -> None:
    record = locked(IN + " 98 98 98", {1: bracket(), 2: lambda s: s.close()})

    assert fills(record) == [("buy", 10, 99), ("sell", 10, 99)]
    assert len(record.verdicts) == 1


def test_two_exits_of_one_position_do_not_open_the_other_side_past_the_lock() -> None:
    """Each alone reduces; together they would be a short without a verdict."""
    plan = {1: bracket(), 2: lambda s: (s.close(), s.sell(size=10))}

    record = locked(IN + " 98 98 98", plan)

    assert sum(f.size if f.side == "buy" else -f.size for f in record.fills) == 0


def test_of_a_denied_reversal_the_exit_passes() -> None:
    plan = {1: bracket(), 2: lambda s: s.sell(size=30)}

    record = locked(IN + " 98 98 98", plan, sizing=RiskSizing())

    assert fills(record) == [("buy", 10, 99), ("sell", 10, 99)]


# -- minute bars -----------------------------------------------------------------------------------


def five_minutes(closes: dict[str, float]) -> Bars:
    """Flat five-minute bars by the instant (UTC) of their end."""
    instants = np.array([np.datetime64(text, "ns") for text in closes])
    price = np.array(list(closes.values()))
    ones, zeros = np.ones(len(price)), np.zeros(len(price))
    sessions = instants.astype("datetime64[D]")
    columns = (price.copy(), price.copy(), price.copy(), price.copy(), ones * 1e6, ones, zeros)
    return Bars("TEST", "5m", instants, sessions, *columns)


def test_a_close_order_waits_for_the_session_to_end() -> None:
    """Sent at 20:50 UTC; New York closes at 21:00 in winter."""
    given = five_minutes(
        {"2024-01-02T20:50": 100, "2024-01-02T20:55": 101, "2024-01-02T21:00": 102}
    )

    record = run_orders(given, {1: lambda s: s.buy(size=10, exectype=bt.Order.Close)})

    assert fills(record) == [("buy", 10, 102)]


def test_validity_to_the_close_covers_the_sessions_last_bar() -> None:
    given = five_minutes({"2024-01-02T20:55": 100, "2024-01-02T21:00": 100, "2024-01-03T14:35": 98})
    last = at("2024-01-02 21:00").replace(tzinfo=None)

    record = run_orders(given, {1: bracket(valid=last)})

    assert statuses(record, "entry") == ["accepted", "expired"]
    assert record.fills == []


def test_a_trailing_stop_limit_keeps_its_distance() -> None:
    """Stop 2 and limit 3 below the close: 102 and 101 after the close of 104; bar 4 meets 102."""
    trailing = dict(exectype=bt.Order.StopTrailLimit, price=100, plimit=99, trailamount=2.0)
    plan = {1: lambda s: s.buy(size=10), 2: lambda s: s.sell(size=10, **trailing)}

    record = run_orders(bars("100 100 100/104/100/104 103/103/101.5/102"), plan)

    assert fills(record) == [("buy", 10, 100), ("sell", 10, 102)]


def test_sessions_without_volume_do_not_turn_a_repeated_close_into_a_short() -> None:
    """close() every bar while the volume lets 10 of 30 go at a time."""
    every = {number: lambda s: s.close() for number in range(3, 8)}
    plan = {1: lambda s: s.buy(size=30), **every}

    record = run_orders(bars("100 100 100 100@100 100@0 100@100 100@100 100"), plan)

    assert [(f.side, f.size) for f in record.fills] == [("buy", 30), *[("sell", 10)] * 3]
