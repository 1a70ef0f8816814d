# SPDX-License-Identifier: GPL-3.0-or-later
"""Money, margin, held shares, wash trades, shorts: what an account may and may not do."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise, product
from typing import Any

import pytest

from iverson.simulator.accounts import maintenance
from iverson.simulator.assets import listed
from iverson.simulator.requests import OrderQuery
from iverson.simulator.wash import ALWAYS, LIMITED, interact
from tests.simulator.exchange_kit import FLAT, MONDAY, Rig, bars, clock, refusal, rig

TUESDAY = date(2024, 11, 26)
QUIET = "|".join([FLAT] * 5)


def held(shares: int = 100, words: str = QUIET, side: str = "buy", **switches: Any) -> Rig:
    it = rig(words, **switches)
    it.submit(side, shares)
    it.to("09:31")
    return it


# Figures


@pytest.mark.parametrize(
    ("cash", "multiplier", "power"),
    [(1_999, 1, 1_999), (2_000, 4, 8_000), (100_000, 4, 400_000)],
)
def test_multiplier_and_buying_power_by_equity(cash: int, multiplier: int, power: int) -> None:
    it = rig(FLAT, cash=Decimal(cash))
    account = it.exchange.account(it.account_id)

    assert (account.multiplier, account.buying_power) == (multiplier, power)
    assert account.shorting_enabled is (cash >= 2_000)


def test_multiplier_two_between_the_thresholds_and_by_choice() -> None:
    it = rig(FLAT, cash=Decimal(10_000), four_times_equity=Decimal(25_000))
    assert it.exchange.account(it.account_id).multiplier == 2
    assert it.exchange.account(it.account_id).buying_power == 20_000
    it.exchange.configure(it.account_id, max_margin_multiplier="1")
    assert it.exchange.account(it.account_id).buying_power == 10_000


def test_figures_of_a_long_and_a_short_position() -> None:
    words = bars(f"{FLAT} | 110 110 110 110") + bars("50 50 50 50 | 40 40 40 40", "BBB")
    it = rig(words)
    it.submit("buy", 100)
    it.submit("sell", 200, symbol="BBB")
    it.to("09:32")

    account = it.exchange.account(it.account_id)
    assert account.cash == 100_000 - 100 * 100 + 200 * 50
    assert (account.long_market_value, account.short_market_value) == (11_000, -8_000)
    assert account.equity == 100_000 + 100 * 10 + 200 * 10
    assert account.initial_margin == (11_000 + 8_000) / 2
    assert account.maintenance_margin == Decimal("0.3") * 11_000 + Decimal("0.3") * 8_000
    assert account.last_equity == 100_000
    assert account.buying_power == 4 * 100_000 - 100 * 100 - 200 * 50
    assert account.regt_buying_power == 2 * (103_000 - 9_500)


def test_last_equity_is_that_of_the_close() -> None:
    it = rig(bars(f"{FLAT} | 100 103 100 103") + bars("110 110 110 110", day=TUESDAY))
    it.submit()
    it.to("16:00")
    account = it.exchange.account(it.account_id)
    assert (account.last_equity, account.balance_asof) == (100_300, MONDAY)
    assert account.last_maintenance_margin == Decimal("0.3") * 10_300

    it.to("09:31", TUESDAY)

    account = it.exchange.account(it.account_id)
    assert (account.equity, account.last_equity) == (101_000, 100_300)
    assert account.buying_power == 4 * (100_300 - Decimal("0.3") * 10_300)


@pytest.mark.parametrize(
    ("price", "long", "requirement"),
    [
        ("100", True, "30"), ("2.50", True, "0.75"), ("2.49", True, "2.49"),
        ("100", False, "30"), ("10", False, "5"), ("5", False, "5"),
        ("4.99", False, "4.99"), ("1", False, "2.5"),
    ],
)  # fmt: skip
def test_maintenance_table(price: str, long: bool, requirement: str) -> None:
    assert maintenance(Decimal(price), listed("AAA"), long=long) == Decimal(requirement)


def test_leveraged_funds_need_more() -> None:
    fund = replace(listed("TQQQ"), maintenance_margin=0.75)

    assert maintenance(Decimal(100), fund, long=True) == 75


def test_position_statement() -> None:
    it = rig(bars(f"{FLAT} | 100 104 100 104") + bars("106 106 106 106", day=TUESDAY))
    it.submit()
    it.to("16:00")
    it.to("09:31", TUESDAY)

    position = it.exchange.position(it.account_id, "AAA")

    assert (position.side, position.qty, position.qty_available) == ("long", 100, 100)
    assert (position.avg_entry_price, position.cost_basis) == (100, 10_000)
    assert (position.current_price, position.lastday_price) == (106, 104)
    assert (position.market_value, position.unrealized_pl) == (10_600, 600)
    assert position.unrealized_plpc == Decimal("0.06")
    assert position.unrealized_intraday_pl == 200
    assert position.unrealized_intraday_plpc == Decimal("0.019231")  # 200 / 10,400
    assert position.change_today == Decimal("0.019231")


def test_short_position_has_negative_figures() -> None:
    it = held(side="sell", words=f"{FLAT} | 100 100 90 90")
    it.to("09:32")

    position = it.exchange.position(it.account_id, "AAA")

    assert (position.side, position.qty, position.market_value) == ("short", -100, -9_000)
    assert (position.cost_basis, position.avg_entry_price) == (-10_000, 100)
    assert (position.unrealized_pl, position.unrealized_plpc) == (1_000, Decimal("0.1"))


def test_average_price_changes_overnight_without_a_trade() -> None:
    days = [date(2024, 11, 25), date(2024, 11, 26), date(2024, 11, 27), date(2024, 11, 29)]
    words = ["10 10 10 10 | 12 12 12 12", "15 15 15 15", "20 20 20 20", "20 20 20 20"]
    found = [bar for day, word in zip(days, words, strict=True) for bar in bars(word, day=day)]
    it = rig(found)
    it.submit("buy", 100)
    it.to("09:31")
    it.submit("buy", 50)
    it.to("09:00", days[1])
    it.submit("buy", 30)
    it.to("09:00", days[2])
    it.submit("sell", 120)
    it.to("20:00", days[2])

    def figures() -> tuple[Decimal, Decimal]:
        position = it.exchange.position(it.account_id, "AAA")
        return round(position.cost_basis, 2), round(position.avg_entry_price, 2)

    assert figures() == (Decimal("683.33"), Decimal("11.39"))
    it.to("02:30", days[3])
    assert figures() == (770, Decimal("12.83"))


# Configuration and flags


def test_configuration_is_enforced() -> None:
    it = rig(FLAT)
    configure = it.exchange.configure

    configure(it.account_id, suspend_trade=True)
    suspended = refusal(it.submit)
    configure(it.account_id, suspend_trade=False, fractional_trading=False)
    fraction = refusal(it.submit, qty=0.5)
    configure(it.account_id, no_shorting=True)
    short = refusal(it.submit, "sell")

    assert suspended.message == "new orders are rejected by user request"
    assert fraction.message == "fractional trading is disabled"
    assert short.message == "account is not allowed to short"
    assert {suspended.code, fraction.code, short.code} == {40310000}
    assert it.exchange.account(it.account_id).shorting_enabled is False
    assert refusal(configure, it.account_id, nonsense=True).status == 422


@pytest.mark.parametrize("flag", ["trading_blocked", "account_blocked"])
def test_blocked_account_trades_nothing(flag: str) -> None:
    it = rig(FLAT)

    account = it.exchange.block(it.account_id, **{flag: True})

    assert getattr(account, flag) is True
    assert account.buying_power == 0
    assert (refusal(it.submit).status, refusal(it.submit).code) == (403, 40310000)


# Buying power


def test_open_orders_reserve_buying_power_until_they_end() -> None:
    it = rig(QUIET)
    first = it.submit(type="limit", limit_price=80, qty=3_000)  # 60 % of 400,000

    no = refusal(it.submit, type="limit", limit_price=80, qty=3_000)

    assert (no.status, no.code, no.message) == (403, 40310000, "insufficient buying power")
    assert no.extra == {"buying_power": "160000.00", "cost_basis": "240000"}
    it.cancel(first)
    assert it.submit(type="limit", limit_price=80, qty=3_000).status == "pending_new"


def test_market_order_is_reckoned_at_the_ask_and_outside_at_the_last_trade() -> None:
    spread = {"half_spread_bps": Decimal(100)}
    day, night = rig(QUIET, **spread), rig(QUIET, **spread)
    day.to("09:31")
    night.to("20:30")

    assert refusal(day.submit, qty=5_000).extra["cost_basis"] == "505000"
    assert refusal(night.submit, qty=5_000).extra["cost_basis"] == "500000"


@pytest.mark.parametrize(("fields", "each"), [
    ({}, "103"), ({"type": "limit", "limit_price": 101}, "103"),
    ({"type": "limit", "limit_price": 110}, "110"),
])  # fmt: skip
def test_short_is_reckoned_at_its_limit_or_three_percent_above_the_ask(
    fields: dict[str, Any], each: str
) -> None:
    it = rig(QUIET)
    it.to("09:31")

    no = refusal(it.submit, "sell", 10_000, **fields)

    assert Decimal(no.extra["cost_basis"]) == 10_000 * Decimal(each)


def test_sale_frees_buying_power_only_when_executed() -> None:
    it = held(1_000)
    before = it.exchange.account(it.account_id).buying_power
    it.submit("sell", 1_000, type="limit", limit_price=100.5)

    assert it.exchange.account(it.account_id).buying_power == before == 300_000


def test_not_marginable_asset_is_bought_with_cash() -> None:
    asset = replace(listed("AAA"), marginable=False)
    it = rig(FLAT, market={"assets": {"AAA": asset}})

    assert refusal(it.submit, qty=1_001).extra["buying_power"] == "100000.00"
    assert it.submit(qty=1_000).status == "pending_new"


# Held shares, crossing zero


def test_second_exit_finds_its_shares_held() -> None:
    it = held(121)
    first = it.submit("sell", 121, type="limit", limit_price=110)

    no = refusal(it.submit, "sell", 121, type="limit", limit_price=111)

    assert (no.status, no.code) == (403, 40310000)
    assert no.message == "insufficient qty available for order (requested: 121, available: 0)"
    assert no.extra == {
        "available": "0",
        "existing_qty": "121",
        "held_for_orders": "121",
        "related_orders": first.id,
        "symbol": "AAA",
    }
    assert it.exchange.position(it.account_id, "AAA").qty_available == 0


def test_bracket_exits_hold_their_shares_once() -> None:
    it = rig(QUIET)
    it.bracket(110, 90)
    it.to("09:31")

    assert it.exchange.position(it.account_id, "AAA").qty_available == 0
    assert refusal(it.submit, "sell", 1).extra["held_for_orders"] == "100"


@pytest.mark.parametrize(("first", "second"), [
    ("notional", "qty"), ("notional", "notional"), ("qty", "notional"), ("qty", "qty"),
])  # fmt: skip
def test_dollars_and_shares_are_not_both_sold_after_hours(first: str, second: str) -> None:
    it = held(100)
    it.to("17:00")
    sizes: dict[str, dict[str, Any]] = {
        "qty": {"qty": 10},
        "notional": {"qty": None, "notional": 900},
    }
    it.submit("sell", **sizes[first])

    if {first, second} == {"qty"}:
        assert it.submit("sell", **sizes[second]).status == "accepted"
    else:
        no = refusal(it.submit, "sell", **sizes[second])
        assert (no.status, no.code) == (403, 40310000)
        assert no.message.startswith("unable to open new notional orders")


@pytest.mark.parametrize(("side", "back"), [("buy", "sell"), ("sell", "buy")])
def test_no_order_crosses_zero(side: str, back: str) -> None:
    it = held(100, side=side)

    assert refusal(it.submit, back, 150).code == 40310000
    assert it.submit(back, 100).position_intent == f"{back}_to_close"


def test_position_intent_is_inferred_and_checked() -> None:
    it = held()

    no = refusal(it.submit, "sell", 10, position_intent="sell_to_open")

    assert (no.status, no.message) == (
        422, "position intent mismatch, inferred: sell_to_close, specified: sell_to_open",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("buy", "sell", "short sell while a long buy"),
        ("sell", "buy", "long buy while a short sell"),
    ],
)
def test_no_position_is_opened_both_ways(first: str, second: str, words: str) -> None:
    it = rig(QUIET)
    prices = {"buy": 90, "sell": 110}
    it.submit(first, type="limit", limit_price=prices[first])

    no = refusal(it.submit, second, type="limit", limit_price=prices[second])

    assert (no.status, no.code, no.message) == (
        403,
        40310000,
        f"cannot open a {words} order is open",
    )


# Shorts


@pytest.mark.parametrize("flag", ["shortable", "easy_to_borrow"])
def test_only_what_is_easy_to_borrow_is_sold_short(flag: str) -> None:
    asset = replace(listed("AAA"), **{flag: False})
    it = rig(FLAT, market={"assets": {"AAA": asset}})

    no = refusal(it.submit, "sell")

    assert (no.status, no.code, no.message) == (422, 42210000, 'asset "AAA" cannot be sold short')


def test_short_needs_two_thousand_dollars() -> None:
    it = rig(FLAT, cash=Decimal(1_999))

    assert refusal(it.submit, "sell", 1).message == "account is not allowed to short"


def test_open_shorts_are_cancelled_when_the_stock_becomes_hard_to_borrow() -> None:
    it = rig(bars(QUIET) + bars(FLAT, day=TUESDAY))
    order = it.submit("sell", type="limit", limit_price=110, time_in_force="gtc")
    it.to("20:00")

    it.exchange.set_borrow("AAA", easy=False)
    it.to("04:00", TUESDAY)

    assert it.now(order).status == "canceled"
    assert refusal(it.submit, "sell").status == 422


# Wash trades

# The table of Alpaca's page User Protection, read 2026-11: existing side and type, new type.
TABLE = [
    (side, existing, new, "limits" if {existing, new} <= {"limit", "stop_limit"} else "always")
    for side in ("buy", "sell")
    for existing in ("market", "stop", "limit", "stop_limit")
    for new in ("market", "limit", "stop", "stop_limit")
]


@pytest.mark.parametrize(("side", "existing", "new", "rule"), TABLE)
@pytest.mark.parametrize("crossing", [True, False])
def test_wash_trade_table(side: str, existing: str, new: str, rule: str, crossing: bool) -> None:
    it = rig(QUIET)
    it.exchange.halt("AAA")
    buy, sell = (101, 101) if crossing else (98, 102)
    mine, other = (buy, sell) if side == "buy" else (sell, buy)
    order = it.submit(side, 1, **_priced(side, existing, mine))
    back = "sell" if side == "buy" else "buy"

    no = refusal(it.submit, back, 1, **_priced(back, new, other))

    if rule == "always" or crossing:
        assert no.message == "potential wash trade detected. use complex orders"
        assert (no.status, no.code) == (403, 40310000)
        kind = "limit" if existing in LIMITED else "market/stop"
        assert no.extra == {
            "existing_order_id": order.id,
            "reject_reason": f"opposite side {kind} order exists",
        }
    else:
        assert "cannot open a" in no.message  # no wash trade, and refused for another reason


def _priced(side: str, kind: str, limit: int) -> dict[str, Any]:
    stop = 105 if side == "buy" else 95
    fields: dict[str, Any] = {"type": kind}
    if kind in LIMITED:
        fields["limit_price"] = limit
    if kind in ("stop", "stop_limit"):
        fields["stop_price"] = stop
    return fields


def test_same_side_complex_and_trailing_orders_are_no_wash_trades() -> None:
    it = rig(QUIET)
    it.exchange.halt("AAA")
    simple = it.submit("buy", 1)
    bracket = it.bracket(110, 90)
    trailing = it.submit("buy", 1, type="trailing_stop", trail_price=5)

    assert not interact("buy", "market", None, it.now(simple))
    for kind, other in product(ALWAYS, (bracket, trailing)):
        assert not interact("sell", kind, None, it.now(other))  # type: ignore[arg-type] # from a set


# Closing


def test_closing_a_position_wholly_by_shares_or_by_percent() -> None:
    it = held()
    close = it.exchange.close_position

    part = close(it.account_id, "AAA", qty=Decimal(30))
    percent = close(it.account_id, "AAA", percentage=Decimal(50))
    held_back = refusal(close, it.account_id, "AAA")
    it.to("09:32")

    assert (part.qty, percent.qty, part.type, part.side) == (30, 50, "market", "sell")
    assert held_back.status == 403
    assert it.qty() == 20
    missing = refusal(close, it.account_id, "BBB")
    assert (missing.status, missing.code, missing.message) == (
        404, 40410000, "position does not exist",
    )  # fmt: skip


def test_close_all_fails_for_what_orders_hold_unless_it_cancels_them() -> None:
    words = bars(QUIET) + bars(QUIET, "BBB")
    it = rig(words)
    it.submit()
    it.submit(symbol="BBB", side="sell")
    it.to("09:31")
    it.submit("sell", 100, type="limit", limit_price=110)

    first = it.exchange.close_all(it.account_id)
    assert [(symbol, status) for symbol, status, _ in first] == [("AAA", 403), ("BBB", 200)]
    again = it.exchange.close_all(it.account_id, cancel_orders=True)
    assert [(symbol, status) for symbol, status, _ in again] == [("AAA", 200), ("BBB", 200)]
    it.to("09:32")
    assert it.exchange.positions(it.account_id) == []


# Lists


def test_activities_have_one_row_for_every_execution_and_pages() -> None:
    it = held(10)
    for minute in ("09:32", "09:33", "09:34"):
        it.submit("buy", 10)
        it.to(minute)

    rows = it.exchange.activities(it.account_id, types=["FILL"], direction="asc")
    pages: list[str] = []
    token = None
    while page := it.exchange.activities(
        it.account_id, types=["FILL"], direction="asc", page_size=3, page_token=token
    ):
        pages += [row.id for row in page]
        token = page[-1].id

    assert len(rows) == 4
    assert pages == [row.id for row in rows] == sorted(pages)
    assert all(re.fullmatch(r"\d{17}::[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", p) for p in pages)
    assert pages[0].startswith("20241125093000000::")
    assert (rows[0].side, rows[0].qty, rows[0].cum_qty, rows[0].leaves_qty) == ("buy", 10, 10, 0)
    assert it.exchange.activities(it.account_id, on=TUESDAY) == []
    assert refusal(it.exchange.activities, it.account_id, page_size=101).status == 422
    unknown = {"page_token": "nothing"}
    assert refusal(it.exchange.activities, it.account_id, **unknown).status == 422


def test_orders_come_in_pages_of_at_most_five_hundred() -> None:
    it = rig(QUIET, at="09:30")
    for number in range(1_200):
        it.submit(qty=1, type="limit", limit_price=50, client_order_id=f"{number}")
        it.exchange.advance_to(it.exchange.now + timedelta(milliseconds=10))
    list_orders, limit = it.exchange.orders, 500

    found: list[str] = []
    after = None
    while page := list_orders(
        it.account_id, OrderQuery(limit=limit, direction="asc", after_order_id=after)
    ):
        found += [order.client_order_id for order in page]
        after = page[-1].id

    assert found == [str(number) for number in range(1_200)]
    assert len(list_orders(it.account_id)) == 50
    newest = list_orders(it.account_id, OrderQuery(limit=2))
    assert [order.client_order_id for order in newest] == ["1199", "1198"]
    before = list_orders(it.account_id, OrderQuery(before_order_id=newest[-1].id, limit=1))
    assert [order.client_order_id for order in before] == ["1197"]
    assert refusal(list_orders, it.account_id, OrderQuery(limit=501)).status == 422


def test_order_listing_filters_and_excludes_its_bounds() -> None:
    it = rig(bars(QUIET) + bars(QUIET, "BBB"))
    first = it.submit(type="limit", limit_price=90)
    it.to("09:31")
    second = it.submit(type="limit", limit_price=91)
    other = it.submit("sell", symbol="BBB", type="limit", limit_price=110)
    it.cancel(first)

    def ids(**query: Any) -> list[str]:
        return [one.id for one in it.exchange.orders(it.account_id, OrderQuery(**query))]

    assert ids(status="closed") == [first.id]
    assert ids(status="open", symbols=("BBB",)) == [other.id]
    assert ids(status="all", side="sell") == [other.id]
    assert ids(status="all", after=first.submitted_at) == [other.id, second.id]
    assert ids(status="all", until=second.submitted_at) == [first.id]
    assert ids(status="all", direction="asc") == [first.id, second.id, other.id]


def test_portfolio_history_by_day_and_by_minute() -> None:
    it = rig(bars(f"{FLAT} | 100 103 100 103") + bars("110 110 110 110", day=TUESDAY))
    it.submit()
    it.to("20:00")
    it.to("20:00", TUESDAY)

    days = it.exchange.portfolio_history(it.account_id, period="1W", timeframe="1D")
    minutes = it.exchange.portfolio_history(
        it.account_id, timeframe="1Min", start=clock("09:30"), end=clock("09:33")
    )

    assert days.equity == (100_300, 101_000)
    assert days.profit_loss == (300, 1_000)
    assert days.profit_loss_pct == (Decimal("0.003"), Decimal("0.01"))
    assert (days.base_value, days.timeframe) == (100_000, "1D")
    assert minutes.equity == (100_000, 100_300, 100_300)
    assert all(b - a == timedelta(minutes=1) for a, b in pairwise(minutes.timestamp))
    assert refusal(it.exchange.portfolio_history, it.account_id, period="x").status == 422
    assert refusal(it.exchange.portfolio_history, it.account_id, timeframe="2Min").status == 422


# Switches


def test_limits_far_from_the_market_may_be_refused() -> None:
    it = rig(FLAT, price_away=Decimal("0.5"))

    assert refusal(it.submit, type="limit", limit_price=49).code == 42210000
    assert it.submit(type="limit", limit_price=50).status == "pending_new"


def test_position_of_six_times_the_equity_restricts_to_closing() -> None:
    it = held(3_000, words=f"{FLAT} | 100 100 76 76 | 76 76 76 76", position_over_equity=Decimal(6))
    assert it.submit("buy", 1).status == "pending_new"
    it.to("09:32")

    no = refusal(it.submit, "buy", 1)

    assert (no.status, no.code) == (403, 40310000)
    assert it.submit("sell", 2_000).status == "pending_new"
    it.to("09:33")
    assert refusal(it.submit, "buy", 1).status == 403  # until somebody has looked at it
    it.exchange.lift_restriction(it.account_id)
    assert it.submit("buy", 1).status == "pending_new"


def test_day_trades_may_be_counted() -> None:
    it = rig("|".join([FLAT] * 9), cash=Decimal(10_000), day_trades_allowed=1)
    it.submit("buy", 1)
    it.to("09:31")
    it.submit("sell", 1)
    it.to("09:32")
    it.submit("buy", 1)
    it.to("09:33")

    no = refusal(it.submit, "sell", 1)

    assert (no.status, no.code) == (403, 40310100)


def test_fees_are_charged_after_the_day_when_switched_on() -> None:
    it = held(1_000, regulatory_fees=True)
    it.submit("sell", 1_000)
    it.to("20:00")

    # SEC 100,000 × 0.0000206, TAF 1,000 × 0.000195, CAT 2,000 × 0.000003; up to the cent.
    assert it.cash() == 100_000 - Decimal("2.27")
    (fee,) = it.exchange.activities(it.account_id, types=["FEE"])
    assert fee.net_amount == Decimal("-2.27")


def test_deposit_changes_cash_and_what_may_be_bought() -> None:
    it = rig(FLAT)

    account = it.exchange.deposit(it.account_id, Decimal(50_000))

    assert (account.cash, account.equity, account.buying_power) == (150_000, 150_000, 600_000)
    assert it.exchange.activities(it.account_id)[0].activity_type == "CSD"
