# SPDX-License-Identifier: GPL-3.0-or-later
"""What Alpaca would refuse is refused by us, in a sentence, before it is sent; in a backtest too.

Each case is run three times: on the exchange with our check, where nothing is sent; on the exchange
without it, where the exchange refuses the same order; and in a backtest that takes orders as Alpaca
does, where the strategy is told the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import backtrader as bt
import pytest

from iverson.engine.feed import ArrayData
from iverson.execution.alpaca import terms
from iverson.execution.costs import Costs
from iverson.execution.equity_broker import EquityBroker
from iverson.market.bars import Bars
from iverson.model import Answer
from iverson.research.backtest import Feed
from iverson.simulator.settings import Switches
from tests.execution.alpaca.live import Lived, Plan, live
from tests.simulator.rehearsing import minutes

QUIET = "100 100 100 100 101 102 103 103"
SIZE = 10
Order = bt.Order


def buy(**options: Any) -> Callable[[Any], Any]:
    return lambda strategy: strategy.buy(**{"size": SIZE, **options})


def sell(**options: Any) -> Callable[[Any], Any]:
    return lambda strategy: strategy.sell(**{"size": SIZE, **options})


def bracket(**options: Any) -> Callable[[Any], Any]:
    usual = dict(
        size=SIZE, exectype=Order.Limit, price=100.0, stopprice=95.0, limitprice=105.0
    )  # fmt: skip
    return lambda strategy: strategy.buy_bracket(**{**usual, **options})


def short_bracket(strategy: Any) -> Any:
    return strategy.sell_bracket(
        size=2 * SIZE, exectype=Order.Limit, price=100.0, stopprice=105.0, limitprice=95.0
    )


def resting(price: float) -> dict[str, Any]:
    return dict(exectype=Order.Limit, price=price)


@dataclass(frozen=True)
class Case:
    """A plan whose last order is refused, and words of the sentence that says why."""

    plan: Plan
    words: str


CASES = {
    "bracket through zero": Case({2: buy(), 4: short_bracket}, "a bracket opens a position"),
    "shares promised to a limit": Case(
        {2: buy(), 4: sell(**resting(120.0)), 5: sell(**resting(130.0))}, "10 of the 10 shares"
    ),
    "shares promised to a bracket": Case(
        {2: bracket(limitprice=120.0), 5: sell(**resting(130.0))}, "10 of the 10 shares"
    ),
    "market against a resting buy": Case({2: buy(**resting(90.0)), 4: sell()}, "a wash trade"),
    "limit that meets a resting buy": Case(
        {2: buy(**resting(90.0)), 4: sell(**resting(89.0))}, "a wash trade"
    ),
    "stop against a resting buy": Case(
        {2: buy(), 4: buy(**resting(90.0)), 5: sell(exectype=Order.Stop, price=95.0)},
        "a wash trade",
    ),
    "short sale while a buy waits": Case(
        {2: buy(**resting(90.0)), 4: sell(**resting(120.0))}, "no short sale can open"
    ),
    "buy while a short sale waits": Case(
        {2: sell(**resting(120.0)), 4: buy(**resting(90.0))}, "no buy can open"
    ),
    "stop above its entry": Case({2: bracket(stopprice=100.0)}, "the stop at 100 has to be"),
    "target below its entry": Case({2: bracket(limitprice=100.0)}, "the target at 100 has to be"),
}


def refusals(lived: Lived) -> list[Answer]:
    return [one for one in lived.noted if isinstance(one, Answer) and one.ending == "rejected"]


def backtest(bars: Bars, plan: Plan, **options: Any) -> tuple[list[tuple[str, str]], Any, Any]:
    """Notifications, the strategy and the broker of the same plan in a backtest."""
    told: list[tuple[str, str]] = []

    class Planned(bt.Strategy):
        def next(self) -> None:
            act = plan.get(len(self))
            if act is not None:
                act(self)

        def notify_order(self, order: Any) -> None:
            told.append((order.getordername(), order.getstatusname()))

    cerebro = bt.Cerebro(stdstats=False)
    broker = EquityBroker(
        cash=100_000.0, costs=Costs.none(), through_ticks=0, volume_share=1.0, **options
    )
    cerebro.setbroker(broker)
    feed: ArrayData = Feed(bars).data(slice(None))
    cerebro.adddata(feed, name="TEST")
    cerebro.addstrategy(Planned)
    (strategy,) = cerebro.run()
    return told, strategy, broker


@pytest.mark.parametrize("name", CASES)
def test_order_that_the_venue_would_refuse_is_refused_by_us_and_not_sent(name: str) -> None:
    case, told = CASES[name], list[str]()

    lived = live(QUIET, case.plan, told=told.append)

    assert [words for words in told if case.words in words]
    assert refusals(lived) == []
    assert len(lived.alarms) == 0
    last = len(case.plan) - 1
    assert lived.breaking.calls.count("POST orders") == last
    assert [status for _, status, _ in lived.notified].count("Rejected") >= 1


@pytest.mark.parametrize("name", CASES)
def test_venue_refuses_the_same_when_we_do_not(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "meet", lambda *_: None)

    lived = live(QUIET, CASES[name].plan)

    (refused,) = refusals(lived)
    assert refused.posts == 1


@pytest.mark.parametrize("name", CASES)
def test_backtest_that_takes_orders_as_alpaca_does_tells_the_same(name: str) -> None:
    plan = CASES[name].plan
    lived = live(QUIET, plan)

    told, _, broker = backtest(minutes(QUIET), plan, as_alpaca=True)

    rejected = [kind for kind, status, _ in lived.notified if status == "Rejected"]
    assert [kind for kind, status in told if status == "Rejected"] == rejected
    assert broker.positions[broker.cerebro.datas[0]].size == int(lived.held().get("TEST", "0"))


def test_backtest_by_itself_takes_more() -> None:
    told, _, _ = backtest(minutes(QUIET), CASES["market against a resting buy"].plan)

    assert "Rejected" not in {status for _, status in told}


THROUGH_ZERO = {2: buy(), 4: sell(size=15)}


def test_order_through_zero_only_leaves_in_both(monkeypatch: pytest.MonkeyPatch) -> None:
    lived = live(QUIET, THROUGH_ZERO)
    assert lived.held() == {}
    assert lived.street.witness.covers[-1].held == 0

    _, strategy, _ = backtest(minutes(QUIET), THROUGH_ZERO, as_alpaca=True)
    assert strategy.position.size == 0

    _, strategy, _ = backtest(minutes(QUIET), THROUGH_ZERO)
    assert strategy.position.size == -5  # what stock Backtrader does, and no venue

    monkeypatch.setattr(terms, "meet", lambda *_: None)
    assert "insufficient qty" in refusals(live(QUIET, THROUGH_ZERO))[0].reason


@pytest.mark.parametrize("left", [0, 4], ids=["all gone", "some gone"])
def test_exit_of_shares_that_are_gone_is_not_sent(left: int) -> None:
    """Somebody else has sold them: what our books still hold would be sold short."""
    streets: list[Any] = []

    def sell_by_hand_then_exit(strategy: Any) -> None:
        street = streets[0]
        street.exchange.close_position(street.account, "TEST", qty=Decimal(SIZE - left))
        street.pause(1)
        strategy.sell(size=SIZE)

    lived = live(QUIET, {2: buy(), 5: sell_by_hand_then_exit}, before=streets.append)

    assert lived.held() == ({"TEST": str(left)} if left else {})
    assert [one["client_order_id"][:4] for one in lived.orders].count("iv1-") == 1
    assert {rule for rule, _ in lived.alarms} == {"out of sync"}
    assert min(one.held for one in lived.street.witness.covers) >= 0


@pytest.mark.parametrize(
    ("words", "filled"),
    [("100 100 100 gap 110 110 110", 0), ("100 100 100 gap 110 110 103 103", SIZE)],
    ids=["gone", "came back"],
)
def test_buy_stop_that_a_gap_has_passed_waits_at_its_collar_in_both(
    words: str, filled: int
) -> None:
    plan = {2: buy(exectype=Order.Stop, price=101.0)}

    lived = live(words, plan)
    _, strategy, _ = backtest(minutes(words), plan, as_alpaca=True)

    assert int(lived.held().get("TEST", "0")) == strategy.position.size == filled
    if filled:
        fills = lived.street.witness.fills().to_dict("records")
        assert [float(one["price"]) for one in fills] == [strategy.position.price]
    _, strategy, _ = backtest(minutes(words), plan)
    assert strategy.position.size == SIZE  # the gap fills it, dearly


@pytest.mark.parametrize(("stop", "limit"), [(40.0, 41.6), (50.0, 51.25), (101.0, 103.52)])
def test_collar_is_four_percent_below_fifty_dollars_and_two_and_a_half_above(
    stop: float, limit: float
) -> None:
    """Alpaca's numbers, to the tick below."""
    price, above = 0.9 * stop, f"{0.9 * stop:g} " * 3
    _, strategy, _ = backtest(
        minutes(above + f"gap {2 * stop:g} {2 * stop:g} {price:g}"),
        {2: buy(exectype=Order.Stop, price=stop)},
        as_alpaca=True,
    )

    assert strategy.position.price == pytest.approx(limit, abs=1e-9)


AWAY = 0.05


@pytest.mark.parametrize(("price", "taken"), [(96.0, True), (94.0, False)])
def test_limit_too_far_from_the_last_price_is_refused_in_both(price: float, *, taken: bool) -> None:
    """How far Alpaca lets it be is not published; whoever knows says it, to both."""
    plan, told = {2: buy(**resting(price))}, list[str]()

    lived = live(
        QUIET, plan, broker=dict(limit_away=AWAY), told=told.append,
        switches=Switches.exact(price_away=Decimal(str(AWAY))),
    )  # fmt: skip
    backtested, _, _ = backtest(minutes(QUIET), plan, as_alpaca=True, limit_away=AWAY)

    assert ("Limit", "Accepted") in backtested if taken else ("Limit", "Rejected") in backtested
    assert lived.breaking.calls.count("POST orders") == int(taken)
    assert bool([words for words in told if "5.0% from the last price" in words]) != taken


def test_shares_of_a_stranger_are_not_sold_by_going_short() -> None:
    from tests.execution.alpaca.test_contract_accounts import QUIET as SAME
    from tests.execution.alpaca.test_contract_accounts import stranger

    told: list[str] = []
    lived = live(SAME, {3: sell(size=5)}, before=stranger, told=told.append)

    assert lived.held() == {"TEST": "7"}
    assert [words for words in told if "7 shares that are not this run's" in words]


def test_short_sale_that_the_account_may_not_make_is_refused_by_us() -> None:
    told: list[str] = []

    def forbid(street: Any) -> None:
        street.call("PATCH", "/account/configurations", {"no_shorting": True})

    lived = live(QUIET, {3: sell()}, before=forbid, told=told.append)

    assert lived.breaking.calls.count("POST orders") == 0
    assert [words for words in told if "may not sell short" in words]
