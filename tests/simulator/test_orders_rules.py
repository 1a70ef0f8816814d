# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account may not do, and what chance and the calendar do to orders, through alpaca-py."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from alpaca.trading.models import Order

from iverson.simulator.assets import Asset, stable_id
from iverson.simulator.market import Market
from iverson.simulator.settings import Halt, Switches
from iverson.testing import bars
from tests.simulator.rehearsing import (
    NEXT,
    SESSION,
    SYMBOL,
    Opened,
    at,
    minutes,
    opened,
    refusal,
    refused,
)

CASH = 100_000
FORBIDDEN = (403, 40310000)


def state(venue: Opened, order: Order) -> str:
    return venue.order(order).status.value


# O19


def test_open_orders_reserve_buying_power() -> None:
    power = 4 * CASH
    size = int(power * 0.6 / 100)
    with opened("100 100") as venue:
        assert venue.trading.get_account().buying_power == f"{power}"
        venue.buy(size, limit=100)
        left = power - size * 100
        assert venue.trading.get_account().buying_power == f"{left}"
        answer = venue.post(qty=size, type="limit", limit_price=100)

    assert refused(answer) == (*FORBIDDEN, "insufficient buying power")
    assert Decimal(answer.json()["buying_power"]) == left
    assert Decimal(answer.json()["cost_basis"]) == size * 100


def test_a_market_order_costs_the_far_side_of_the_quote() -> None:
    switches = Switches.exact(half_spread_bps=Decimal(50))  # the ask is 100.5
    with opened("100", switches=switches, cash=1000) as venue:
        assert refused(venue.post(qty=10))[:2] == FORBIDDEN
        assert venue.post(qty=9).status_code == 200


def test_a_short_costs_three_per_cent_more_than_the_ask() -> None:
    power = 4 * CASH
    with opened("100") as venue:
        answer = venue.post(side="sell", qty=100)
        account = venue.trading.get_account()

    assert answer.status_code == 200
    assert Decimal(str(account.buying_power)) == power - 100 * Decimal(103)


def test_a_sale_frees_nothing_before_it_is_executed() -> None:
    with opened("100 100 100", cash=1500) as venue:  # too little for margin: cash only
        venue.buy(15)
        venue.step()
        venue.sell(15)
        before = venue.trading.get_account().buying_power
        venue.step()
        after = venue.trading.get_account().buying_power

    assert (before, after) == ("0", "1500")


# O20, O21


def test_held_shares_cannot_be_sold_twice() -> None:
    with opened("100 100") as venue:
        venue.buy(10)
        venue.step()
        first = venue.sell(10, limit=110)
        answer = venue.post(side="sell", qty=10, type="limit", limit_price=111)
        position = venue.trading.get_open_position(SYMBOL)

    assert refused(answer)[:2] == FORBIDDEN
    assert answer.json() == {
        "code": 40310000,
        "message": "insufficient qty available for order (requested: 10, available: 0)",
        "symbol": SYMBOL,
        "existing_qty": "10",
        "held_for_orders": "10",
        "available": "0",
        "related_orders": [str(first.id)],
    }
    assert (position.qty, position.qty_available) == ("10", "0")


def test_one_order_does_not_take_a_position_through_zero() -> None:
    with opened("100 100 100") as venue:
        venue.buy(100)
        venue.step()
        assert refused(venue.post(side="sell", qty=150))[:2] == FORBIDDEN
        venue.sell(100)
        venue.step()
        venue.sell(50)
        with refusal(*FORBIDDEN):
            venue.buy(1)  # it would open while a short sale is open


# O22


def test_shorts_need_equity_permission_and_something_to_borrow() -> None:
    assets = [
        Asset(SYMBOL, stable_id(SYMBOL)),
        Asset("HARD", stable_id("HARD"), easy_to_borrow=False),
    ]
    market = Market({name: minutes("100", symbol=name) for name in (SYMBOL, "HARD")}, assets=assets)
    with opened(market) as venue:  # type: ignore[arg-type]  # passed on as it is
        assert refused(venue.post(symbol="HARD", side="sell")) == (
            422, 42210000, 'asset "HARD" cannot be sold short',
        )  # fmt: skip
        assert venue.post(side="sell").status_code == 200
        venue.raw("PATCH", "/v2/account/configurations", json={"no_shorting": True})
        assert refused(venue.post(side="sell"))[:2] == FORBIDDEN
    with opened("100", cash=1999) as poor:
        assert refused(poor.post(side="sell"))[:2] == FORBIDDEN


def test_what_becomes_hard_to_borrow_overnight_loses_its_open_shorts() -> None:
    history = {SYMBOL: bars("100 100 100", symbol=SYMBOL, start=SESSION)}
    with opened(history) as venue:
        order = venue.sell(1, limit=120, time_in_force="gtc")
        venue.sim.advance_to(at("05:00", NEXT))
        assert state(venue, order) == "new"
        venue.sim.call(lambda inside: inside.exchange.set_borrow(SYMBOL, easy=False))
        venue.step(2)

        assert state(venue, order) == "canceled"


# O23: Alpaca's table of wash trades, either order first

KINDS: dict[str, dict[str, Any]] = {
    "market": {"type": "market"},
    "limit": {"type": "limit"},
    "stop": {"type": "stop"},
    "stop_limit": {"type": "stop_limit"},
}
CROSSING, APART = ("limit at or above", True), ("limit below", False)


def ticket(kind: str, side: str, *, crossing: bool) -> dict[str, Any]:
    """An order that rests at a price of 100; a buyer's limit is at or below the seller's."""
    limit = {("buy", True): 101, ("buy", False): 98, ("sell", True): 101, ("sell", False): 102}
    stop = {"buy": 101, "sell": 99}[side]
    fields: dict[str, Any] = {"type": kind, "side": side, "time_in_force": "gtc"}
    if kind in ("limit", "stop_limit"):
        fields["limit_price"] = limit[side, crossing]
    if kind in ("stop", "stop_limit"):
        fields["stop_price"] = stop
    return fields


@pytest.mark.parametrize("existing_side", ["buy", "sell"])
@pytest.mark.parametrize(("words", "crossing"), [CROSSING, APART])
@pytest.mark.parametrize(("existing", "new"), list(product(KINDS, KINDS)))
def test_orders_of_one_account_do_not_trade_with_each_other(
    existing: str, new: str, words: str, crossing: bool, existing_side: str
) -> None:
    new_side = {"buy": "sell", "sell": "buy"}[existing_side]
    limited = {existing, new} <= {"limit", "stop_limit"}
    washes = crossing if limited else True
    with HELD.open() as venue:
        first = venue.post(qty=1, **ticket(existing, existing_side, crossing=crossing))
        assert first.status_code == 200, first.text
        answer = venue.post(qty=1, **ticket(new, new_side, crossing=crossing))

    if washes:
        assert refused(answer) == (*FORBIDDEN, "potential wash trade detected. use complex orders")
        kind = "limit" if existing in ("limit", "stop_limit") else "market/stop"
        assert answer.json()["reject_reason"] == f"opposite side {kind} order exists"
        assert answer.json()["existing_order_id"] == first.json()["id"]
    else:
        assert answer.status_code == 200, answer.text


class Held:
    """One venue for the whole table: long ten shares at 100, and no order before each row."""

    def __init__(self) -> None:
        self._venue: Opened | None = None

    def open(self) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def fresh() -> Any:
            assert self._venue is not None, "the fixture opened it"
            yield self._venue
            self._venue.trading.cancel_orders()

        return fresh()


HELD = Held()


@pytest.fixture(autouse=True, scope="module")
def _held() -> Any:
    with opened("100 100 100") as venue:
        venue.buy(10)
        venue.step()
        HELD._venue = venue
        yield


def test_complex_orders_and_trailing_stops_may_face_others() -> None:
    with opened("100 100") as venue:
        venue.buy(10)
        venue.step()
        venue.post(qty=1, type="limit", limit_price=99)
        trailing = venue.post(qty=1, side="sell", type="trailing_stop", trail_price=1)
        pair = venue.post(
            qty=1,
            side="sell",
            type="limit",
            time_in_force="gtc",
            order_class="oco",
            take_profit={"limit_price": 105},
            stop_loss={"stop_price": 95},
        )

    assert (trailing.status_code, pair.status_code) == (200, 200)


def test_a_second_order_on_the_same_side_is_no_wash_trade() -> None:
    with opened("100") as venue:
        assert [venue.post(qty=1).status_code for _ in range(2)] == [200, 200]


# O24


def test_paper_fills_in_part_one_time_in_ten_and_the_seed_says_when() -> None:
    orders, seed = 150, 11

    def sizes(seed: int) -> list[list[str]]:
        switches = Switches(seed=seed, half_spread_bps=Decimal(0), path="low first")
        with opened("100 100 " * 4, switches=switches) as venue:
            made = [venue.sim.call(_bought) for _ in range(orders)]
            venue.step(2)
            fills = venue.rehearsal.ledger["fills"]
            return [[one["qty"] for one in fills if one["order_id"] == name] for name in made]

    found = sizes(seed)

    assert found == sizes(seed)
    assert found != sizes(seed + 1)
    split = sum(len(one) > 1 for one in found)
    assert 5 <= split <= 30
    assert {sum(map(int, one)) for one in found} == {10}


def _bought(inside: Any) -> str:
    from iverson.simulator.requests import OrderRequest

    asked = OrderRequest(symbol=SYMBOL, side="buy", qty=Decimal(10))
    made: str = inside.exchange.submit(inside.accounts[0], asked).id
    return made


def test_paper_pays_the_quote_after_a_moment_and_asks_for_no_size() -> None:
    switches = Switches(half_spread_bps=Decimal(10), partial_probability=0.0)
    with opened("100@1 | 100@1", switches=switches) as venue:
        order = venue.buy(500)
        venue.step()
        filled = venue.order(order)

    assert filled.filled_avg_price == "100.1"
    assert filled.filled_at is not None
    assert 0.1 <= (filled.filled_at - order.submitted_at).total_seconds() <= 0.7


# O25

SPLIT = 10.0


RESTING: list[tuple[dict[str, Any], str, tuple[str, str]]] = [
    ({"side": "buy", "qty": 5, "type": "limit", "limit_price": 50}, "limit_price", ("50", "5")),
    ({"side": "sell", "qty": 5, "type": "stop", "stop_price": 70}, "stop_price", ("50", "7")),
    ({"side": "sell", "qty": 5, "type": "limit", "limit_price": 120}, "limit_price", ("5", "120")),
]


@pytest.mark.parametrize(("fields", "price", "after"), RESTING)
def test_a_split_changes_shares_buy_limits_and_sell_stops(
    fields: dict[str, Any], price: str, after: tuple[str, str]
) -> None:
    history = {SYMBOL: bars("100 100 10 10", symbol=SYMBOL, start=SESSION, splits={2: SPLIT})}
    with opened(history) as venue:
        venue.buy(20)
        venue.step()
        order = Order(**venue.post(**fields, time_in_force="gtc").json())
        venue.sim.advance_to(at("02:29", date(2024, 1, 5)))
        assert venue.held() == {SYMBOL: "20"}
        venue.sim.advance_to(at("02:30", date(2024, 1, 5)))

        position = venue.trading.get_open_position(SYMBOL)
        assert (position.qty, position.avg_entry_price) == ("200", "10")
        now = venue.order(order)
        assert (now.qty, getattr(now, price)) == after


def test_a_split_leaves_the_legs_of_brackets_alone() -> None:
    history = {SYMBOL: bars("100 100 10 10", symbol=SYMBOL, start=SESSION, splits={2: SPLIT})}
    with opened(history) as venue:
        entry = venue.bracket(80, 120, qty=10)
        legs = {leg.type.value: leg for leg in entry.legs or []}
        venue.step()
        venue.sim.advance_to(at("02:30", date(2024, 1, 5)))

        assert venue.held() == {SYMBOL: "100"}
        assert venue.order(legs["limit"]).limit_price == "120"
        assert venue.order(legs["stop"]).stop_price == "80"
        assert venue.order(legs["stop"]).qty == "10"


def test_a_reverse_split_cancels_orders_good_till_cancelled() -> None:
    history = {SYMBOL: bars("10 10 100", symbol=SYMBOL, start=SESSION, splits={2: 1 / SPLIT})}
    with opened(history) as venue:
        venue.buy(30)
        venue.step()
        order = venue.buy(5, limit=5, time_in_force="gtc")
        venue.sim.advance_to(at("02:30", date(2024, 1, 5)))

        assert venue.held() == {SYMBOL: "3"}
        assert state(venue, order) == "canceled"


@pytest.mark.parametrize(("pays", "cash"), [(False, "99000"), (True, "99005")])
def test_paper_pays_no_dividend_and_live_does(pays: bool, cash: str) -> None:
    history = {SYMBOL: bars("100 100 100", symbol=SYMBOL, start=SESSION, dividends={2: 0.5})}
    with opened(history, switches=Switches.exact(dividends=pays)) as venue:
        venue.buy(10)
        venue.step(2)

        assert venue.trading.get_account().cash == cash


# O26


def test_halts_day_trades_and_the_ratio_to_equity_are_switches() -> None:
    halt = Halt(SYMBOL, at("09:31"), at("09:33"))
    with opened("100 101 102 103", switches=Switches.exact(halts=(halt,))) as venue:
        order = venue.buy(1)
        venue.step()
        assert state(venue, order) == "new"
        venue.step(2)
        assert venue.order(order).filled_avg_price == "102"
        assert venue.order(order).filled_at == halt.end

    day = Switches.exact(day_trades_allowed=0)
    with opened("100 100 100", switches=day, cash=20_000) as venue:
        venue.buy(1)
        venue.step()
        assert refused(venue.post(side="sell"))[:2] == (403, 40310100)

    large = Switches.exact(position_over_equity=Decimal(1))
    with opened("100 100 100", switches=large) as venue:
        venue.buy(2000)
        venue.step()
        assert refused(venue.post())[0] == 403
        assert venue.post(side="sell").status_code == 200
