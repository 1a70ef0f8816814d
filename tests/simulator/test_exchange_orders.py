# SPDX-License-Identifier: GPL-3.0-or-later
"""Submission, prices, times in force and fills of simple orders."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from iverson.simulator.assets import listed
from iverson.simulator.matching import collar
from iverson.simulator.orders import TIMES_IN_FORCE, TYPES
from iverson.simulator.settings import Switches
from tests.simulator.exchange_kit import FLAT, MONDAY, bars, clock, refusal, rig

TUESDAY = date(2024, 11, 26)
RISE = "100 101 99 100 | 102 105 101 104 | 104 104 95 96"


# Submission and events


def test_market_order_is_told_step_by_step_and_fills_at_the_next_price() -> None:
    it = rig(RISE)
    it.to("09:31")

    answer = it.submit(qty=10)

    assert answer.status == "pending_new"
    assert it.words(answer) == ["pending_new", "new"]
    it.to("09:32")
    assert it.words(answer) == ["pending_new", "new", "fill"]
    pending, new, fill = (one for one in it.updates() if one.order.id == answer.id)
    assert (pending.execution_id, new.qty, new.price) == (None, None, None)
    assert new.execution_id != fill.execution_id is not None
    assert (fill.qty, fill.price, fill.position_qty) == (10, 102, 10)
    assert fill.order.filled_qty == 10
    assert fill.order.filled_avg_price == 102
    assert fill.at == fill.order.filled_at == clock("09:31")


def test_executions_tell_their_own_size_and_the_order_the_sum() -> None:
    it = rig(RISE)
    order = it.submit(qty=10)
    it.exchange.limit_next_fill(order.id, Decimal(4))

    it.to("09:31")

    first, second = (one for one in it.updates() if "fill" in one.event)
    assert (first.event, first.qty, first.order.filled_qty, first.position_qty) == (
        "partial_fill", 4, 4, 4,
    )  # fmt: skip
    assert (second.event, second.qty, second.order.filled_qty, second.position_qty) == (
        "fill", 6, 10, 10,
    )  # fmt: skip


def test_order_after_hours_is_accepted_and_becomes_new_in_the_morning() -> None:
    it = rig(bars(FLAT) + bars("101 101 101 101", day=TUESDAY), at="20:00")

    order = it.submit()

    assert order.status == "accepted"
    it.to("03:59", TUESDAY)
    assert it.now(order).status == "accepted"
    it.to("04:00", TUESDAY)
    assert it.now(order).status == "new"
    it.to("09:31", TUESDAY)
    assert it.words(order) == ["accepted", "new", "fill"]
    assert it.fills() == [("buy", 100, 101)]


def test_queued_order_may_wait_for_the_open_instead() -> None:
    it = rig(bars(FLAT) + bars(FLAT, day=TUESDAY), at="20:00", queued_until="open")
    order = it.submit()

    it.to("09:29", TUESDAY)
    assert it.now(order).status == "accepted"
    it.to("09:30", TUESDAY)
    assert it.now(order).status == "new"


def test_acknowledgement_may_take_time() -> None:
    it = rig(RISE, ack_seconds=2.0)
    order = it.submit()

    assert it.words(order) == ["pending_new"]
    assert it.exchange.next_at() == clock("09:30:02")
    it.to("09:30:02")
    assert it.words(order) == ["pending_new", "new"]


# Prices


@pytest.mark.parametrize(
    ("fields", "name", "price"),
    [
        ({"type": "limit", "limit_price": 290.123}, "limit_price", "290.123"),
        ({"type": "stop", "stop_price": 110.001}, "stop_price", "110.001"),
        ({"type": "limit", "limit_price": 0.12345}, "limit_price", "0.12345"),
        ({"type": "limit", "limit_price": 1.0001}, "limit_price", "1.0001"),
    ],
)
def test_sub_penny_prices_are_refused(fields: dict[str, Any], name: str, price: str) -> None:
    no = refusal(rig(RISE, at="09:31").submit, **fields)

    assert (no.status, no.code) == (422, 42210000)
    assert no.message == (
        f"invalid {name} {price}. sub-penny increment does not fulfill minimum pricing criteria"
    )


def test_four_decimals_are_allowed_below_a_dollar() -> None:
    it = rig("0.5 0.5 0.5 0.5", at="09:31")

    assert it.submit(type="limit", limit_price=0.1234).limit_price == Decimal("0.1234")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "market", "limit_price": 1}, "market orders require no stop or limit price"),
        ({"type": "limit"}, "limit orders require a limit price"),
        ({"type": "stop"}, "stop orders require a stop price"),
        ({"type": "stop_limit", "stop_price": 1}, "stop limit orders require both"),
        ({"type": "trailing_stop"}, "exactly one of trail_price, trail_percent"),
        ({"type": "trailing_stop", "trail_price": 1, "trail_percent": 1}, "exactly one"),
        ({"type": "trailing_stop", "trail_price": -1}, "trail must be > 0"),
        ({"type": "market", "trail_price": 1}, "require no trail_price"),
        ({"qty": 0}, "qty must be > 0"),
        ({"qty": "NaN"}, "qty must be > 0"),
        ({"qty": None}, "qty or notional is required"),
        ({"notional": 10}, "only one of qty or notional is accepted"),
        ({"client_order_id": "x" * 129}, "client_order_id must be no more than 128 characters"),
        ({"type": "limit", "limit_price": -1}, "limit_price must be > 0"),
        ({"qty": "1e30"}, "qty must be no more than"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(fields: dict[str, Any], message: str) -> None:
    no = refusal(rig(RISE).submit, **fields)

    assert (no.status, no.code) == (422, 40010001)
    assert message in no.message


def test_unknown_and_untradable_symbols_are_refused() -> None:
    dead = listed("DEAD")
    market = {"assets": {"DEAD": dead.__class__(symbol="DEAD", id=dead.id, tradable=False)}}
    it = rig(RISE, market=market)

    unknown, untradable = refusal(it.submit, symbol="ZZZ"), refusal(it.submit, symbol="DEAD")

    assert (unknown.status, unknown.message) == (422, 'asset "ZZZ" not found')
    assert (untradable.status, untradable.message) == (422, 'asset "DEAD" is not tradable')


# Fractions and dollars


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"qty": 0.5, "time_in_force": "gtc"}, "fractional orders must be DAY orders"),
        ({"qty": 0.5, "type": "trailing_stop", "trail_price": 1}, "must be market, limit"),
        ({"qty": 0.5, "order_class": "bracket", "target_limit_price": 120,
          "stop_loss_stop_price": 80}, "fractional orders must be simple orders"),
        ({"qty": 0.5, "side": "sell"}, "fractional orders cannot be sold short"),
        ({"qty": None, "notional": 0.99}, "notional must be >= 1.00"),
    ],
)  # fmt: skip
def test_fractional_orders_have_their_limits(fields: dict[str, Any], message: str) -> None:
    it = rig(RISE)
    it.to("09:31")

    no = refusal(it.submit, **fields)

    assert (no.status, no.code) == (422, 42210000)
    assert message in no.message


def test_dollars_buy_shares_to_nine_decimals() -> None:
    it = rig(RISE)
    it.to("09:31")

    it.submit(qty=None, notional=1000)
    it.to("09:32")

    (fill,) = it.fills()
    assert fill == ("buy", Decimal("9.803921568"), 102)
    assert it.exchange.account(it.account_id).cash == Decimal("99000.00")


def test_not_fractionable_asset_takes_whole_shares_only() -> None:
    asset = listed("AAA")
    whole = asset.__class__(symbol="AAA", id=asset.id, fractionable=False)
    it = rig(RISE, market={"assets": {"AAA": whole}})

    assert refusal(it.submit, qty=0.5).message == "requested asset is not fractionable"
    assert it.submit(qty=1).status == "pending_new"


def test_qty_and_notional_together_may_be_a_400() -> None:
    no = refusal(rig(RISE, qty_and_notional_status=400).submit, notional=10)

    assert (no.status, no.code) == (400, 40010001)


# Time in force


@pytest.mark.parametrize("force", TIMES_IN_FORCE)
@pytest.mark.parametrize("kind", TYPES)
def test_times_in_force_of_whole_shares(kind: str, force: str) -> None:
    prices: dict[str, Any] = {
        "market": {},
        "limit": {"limit_price": 90},
        "stop": {"stop_price": 110},
        "stop_limit": {"stop_price": 110, "limit_price": 111},
        "trailing_stop": {"trail_price": 5},
    }[kind]
    it = rig(FLAT, at="09:00")
    allowed = force in ("day", "gtc") or kind in ("market", "limit")

    if allowed:
        assert it.submit(type=kind, time_in_force=force, **prices).time_in_force == force
    else:
        assert refusal(it.submit, type=kind, time_in_force=force, **prices).status == 422


@pytest.mark.parametrize("force", ["ioc", "fok", "opg", "cls"])
def test_immediate_and_auction_orders_may_be_switched_off(force: str) -> None:
    it = rig(FLAT, at="09:00", allow_immediate_and_auction=False)

    assert refusal(it.submit, type="limit", limit_price=90, time_in_force=force).code == 42210000


@pytest.mark.parametrize(
    ("force", "at", "allowed"),
    [
        ("opg", "09:27", True), ("opg", "09:28", False), ("opg", "18:59", False),
        ("opg", "19:00", True), ("cls", "09:27", True), ("cls", "15:49", True),
        ("cls", "15:50", False), ("cls", "18:59", False), ("cls", "19:00", True),
    ],
)  # fmt: skip
def test_auction_orders_have_their_windows(force: str, at: str, allowed: bool) -> None:
    it = rig(FLAT, at=at)
    fields: dict[str, Any] = {"type": "limit", "limit_price": 90, "time_in_force": force}

    if allowed:
        assert it.submit(**fields).time_in_force == force
    else:
        no = refusal(it.submit, **fields)
        assert (no.status, no.code) == (403, 40310000)
        before = {"opg": "9:28am", "cls": "3:50pm"}[force]
        assert no.message == f"{force} orders must be submitted after 7:00pm and before {before}"


def test_closing_window_ends_early_on_a_half_day() -> None:
    half = date(2024, 11, 29)
    fields: dict[str, Any] = {"type": "limit", "limit_price": 90, "time_in_force": "cls"}

    it = rig(bars(FLAT, day=half), at="12:49", day=half)
    assert it.submit(**fields).time_in_force == "cls"
    it.to("12:50", half)
    assert refusal(it.submit, **fields).status == 403


def test_cutoff_of_closing_orders_may_be_the_later_one() -> None:
    it = rig(FLAT, at="15:52", cls_cutoff=time(15, 55))

    assert it.submit(type="limit", limit_price=90, time_in_force="cls").status == "pending_new"


@pytest.mark.parametrize(("limit", "filled"), [(99, False), (100, True), (101, True)])
def test_opening_orders_fill_at_the_open_or_not_at_all(limit: int, filled: bool) -> None:
    it = rig("100 120 80 90 | 70 70 70 70", at="09:00")
    order = it.submit(type="limit", limit_price=limit, time_in_force="opg")

    it.to("09:32")

    assert it.fills() == ([("buy", 100, 100)] if filled else [])
    assert it.words(order)[-1] == ("fill" if filled else "canceled")


@pytest.mark.parametrize(("limit", "filled"), [(95, False), (96, True), (97, True)])
def test_closing_orders_fill_at_the_close_or_not_at_all(limit: int, filled: bool) -> None:
    it = rig(bars(RISE, start="15:57"), at="09:30")
    order = it.submit(type="limit", limit_price=limit, time_in_force="cls")

    it.to("15:59")
    assert it.fills() == []
    it.to("16:00")

    assert it.fills() == ([("buy", 100, 96)] if filled else [])
    assert it.words(order)[-1] == ("fill" if filled else "canceled")


@pytest.mark.parametrize("force", ["ioc", "fok"])
@pytest.mark.parametrize(("limit", "filled"), [(101, False), (102, True)])
def test_immediate_orders_take_the_next_price_or_end(force: str, limit: int, filled: bool) -> None:
    it = rig(RISE)
    it.to("09:31")

    order = it.submit(type="limit", limit_price=limit, time_in_force=force)
    it.to("09:32")

    assert it.words(order)[-1] == ("fill" if filled else "canceled")


def test_ioc_keeps_the_part_it_got_and_fok_wants_all() -> None:
    it = rig(FLAT + "|" + FLAT)
    part, none = (it.submit(qty=10, time_in_force=force) for force in ("ioc", "fok"))
    for order in (part, none):
        it.exchange.limit_next_fill(order.id, Decimal(4))

    it.to("09:32")

    assert it.words(part) == ["pending_new", "new", "partial_fill", "canceled"]
    assert it.now(part).filled_qty == 4
    assert it.words(none) == ["pending_new", "new", "canceled"]


@pytest.mark.parametrize("event", ["expired", "canceled"])
def test_day_order_ends_with_the_session(event: str) -> None:
    it = rig(FLAT, day_end_event=event)
    order = it.submit(type="limit", limit_price=90)
    assert order.expires_at == clock("16:00")

    it.to("15:59:59")
    assert it.now(order).status == "new"
    it.to("16:00")

    assert it.words(order)[-1] == it.now(order).status == event
    assert (it.now(order).expired_at or it.now(order).canceled_at) == clock("16:00")


def test_day_order_ends_early_on_a_half_day_and_in_utc_with_daylight_saving() -> None:
    half, before, after = date(2024, 11, 29), date(2024, 11, 1), date(2024, 11, 4)
    ends = {}
    for day in (half, before, after):
        it = rig(bars(FLAT, day=day), day=day)
        order = it.submit(type="limit", limit_price=90)
        it.to("20:00", day)
        ends[day] = it.now(order).expired_at

    assert [str(ends[day])[11:16] for day in (half, before, after)] == ["18:00", "20:00", "21:00"]


def test_day_order_after_the_close_is_for_the_next_session_over_a_weekend() -> None:
    friday, monday = date(2024, 11, 22), MONDAY
    it = rig(bars(FLAT, day=friday) + bars(FLAT, day=monday), at="16:00", day=friday)

    order = it.submit(type="limit", limit_price=90)

    assert order.expires_at == clock("16:00", monday)
    it.to("15:59", monday)
    assert it.now(order).status == "new"


def test_gtc_order_is_cancelled_after_ninety_days_at_a_quarter_past_four() -> None:
    it = rig(FLAT, cancel_seconds=3.0)
    order = it.submit(type="limit", limit_price=90, time_in_force="gtc")
    last = date(2025, 2, 23)  # 90 days later: a Sunday, so Monday's job takes it
    assert order.expires_at == clock("16:15", last)

    monday = last + timedelta(days=1)
    it.to("16:14", monday)
    assert it.now(order).status == "new"
    it.to("16:15", monday)
    assert it.now(order).status == "pending_cancel"
    it.to("16:15:03", monday)
    assert it.now(order).status == "canceled"


# Extended hours


@pytest.mark.parametrize(
    ("fields", "allowed"),
    [
        ({"type": "limit", "limit_price": 99}, True),
        ({"type": "market"}, False),
        ({"type": "limit", "limit_price": 99, "time_in_force": "gtc"}, False),
        ({"type": "stop", "stop_price": 120}, False),
    ],
)
def test_extended_hours_are_for_day_limit_orders(fields: dict[str, Any], allowed: bool) -> None:
    it = rig(bars(FLAT, start="08:00"), at="08:01")

    if allowed:
        assert it.submit(extended_hours=True, **fields).extended_hours
    else:
        no = refusal(it.submit, extended_hours=True, **fields)
        assert (no.status, no.code) == (422, 42210000)
        assert no.message == "extended hours order must be DAY limit orders"


def test_extended_gtc_orders_may_be_allowed() -> None:
    it = rig(bars(FLAT, start="08:00"), at="08:01", extended_gtc=True)
    fields: dict[str, Any] = {"type": "limit", "limit_price": 99, "extended_hours": True}

    assert it.submit(time_in_force="gtc", **fields).time_in_force == "gtc"


def test_only_extended_orders_fill_outside_regular_hours() -> None:
    early = bars("100 100 90 90 | 90 90 90 90", start="08:00")
    it = rig(early + bars("95 95 95 95"), at="08:00")
    extended = it.submit(type="limit", limit_price=98, extended_hours=True)
    regular = it.submit(type="limit", limit_price=98)

    it.to("09:29")
    assert (it.now(extended).status, it.now(regular).status) == ("filled", "new")
    it.to("09:31")
    assert it.now(regular).filled_avg_price == 95


def test_extended_day_order_lives_until_eight() -> None:
    it = rig(FLAT)
    order = it.submit(type="limit", limit_price=90, extended_hours=True)

    it.to("19:59")
    assert it.now(order).status == "new"
    it.to("20:00")
    assert it.now(order).status == "expired"


# Limits and stops on the path


@pytest.mark.parametrize(
    ("side", "limit", "price"),
    [
        ("buy", 103, 102),  # the bar opens below the limit: the better price
        ("buy", 102, 102),
        ("buy", 101.5, 101.5),  # reached on the way
        ("buy", 101, 101),
        ("buy", 100.99, None),
        ("sell", 101, 102),
        ("sell", 104.5, 104.5),
        ("sell", 105.01, None),
    ],
)
def test_limit_fills_at_its_price_or_better(side: str, limit: float, price: float | None) -> None:
    it = rig(RISE)
    it.to("09:31")

    it.submit(side, type="limit", limit_price=limit)
    it.to("09:32")

    assert it.fills() == ([] if price is None else [(side, 100, Decimal(str(price)))])


def test_limit_may_have_to_be_traded_through() -> None:
    it = rig("100 100 99 100 | 100 100 98.99 100", through_ticks=1)
    it.submit(type="limit", limit_price=99)

    it.to("09:31")
    assert it.fills() == []
    it.to("09:32")
    assert it.fills() == [("buy", 100, 99)]


@pytest.mark.parametrize(("stop", "price"), [(97.5, 97.5), (95, 95), (94.99, None), (98, 96)])
def test_sell_stop_becomes_a_market_order(stop: float, price: float | None) -> None:
    it = rig("100 100 98.01 99 | 96 97 95 96" if stop == 98 else "100 100 98.01 99 | 98 98 95 96")
    it.submit()
    it.to("09:31")

    it.submit("sell", type="stop", stop_price=stop)
    it.to("09:32")

    assert it.fills()[1:] == ([] if price is None else [("sell", 100, Decimal(str(price)))])


@pytest.mark.parametrize(
    ("stop", "limit"), [("49.99", "51.98"), ("50", "51.25"), ("210", "215.25"), ("0.5", "0.52")]
)
def test_collar_of_a_buy_stop(stop: str, limit: str) -> None:
    assert collar("buy", "stop", Decimal(stop), Switches()) == Decimal(limit)


def test_buy_stop_that_is_gapped_over_is_triggered_and_not_filled() -> None:
    it = rig("100 100 99 100 | 106 107 105 106 | 105 105 102 103")
    it.to("09:31")
    order = it.submit(type="stop", stop_price=102)  # collar at 104.55

    it.to("09:32")
    assert (it.now(order).elected, it.now(order).status, it.fills()) == (True, "new", [])
    it.to("09:33")
    assert it.fills() == [("buy", 100, Decimal("104.55"))]


def test_buy_stop_without_collar_fills_at_the_gap() -> None:
    it = rig("100 100 99 100 | 106 107 105 106", buy_stop_collar=False)
    it.to("09:31")
    it.submit(type="stop", stop_price=102)

    it.to("09:32")

    assert it.fills() == [("buy", 100, 106)]


def test_stop_limit_waits_at_its_limit_after_a_gap() -> None:
    it = rig("100 100 98 99 | 95 96 94 95 | 95 98 95 97")
    it.submit()
    it.to("09:31")
    order = it.submit("sell", type="stop_limit", stop_price=97, limit_price=96.5)

    it.to("09:32")
    assert (it.now(order).elected, it.now(order).status) == (True, "new")
    it.to("09:33")
    assert it.fills()[1:] == [("sell", 100, Decimal("96.5"))]


def test_stop_on_the_wrong_side_of_the_market_is_refused() -> None:
    it = rig("72 72 71.99 71.99")
    it.submit()
    it.to("09:31")

    no = refusal(it.submit, "sell", type="stop", stop_price=72.4)

    assert (no.status, no.code) == (422, 42210000)
    assert no.message == "stop price must be less than current price"
    assert no.extra == {"market_price": "71.99", "stop_price": "72.4"}


def test_stop_may_be_elected_by_the_quote() -> None:
    words = "100 100 99 100 | 100 100 98.01 99"
    found = {}
    for way in ("trade", "quote"):
        it = rig(words, stop_election=way, half_spread_bps=Decimal(2))
        it.submit()
        it.to("09:31")
        it.submit("sell", type="stop", stop_price=98)
        it.to("09:32")
        found[way] = len(it.fills())

    assert found == {"trade": 1, "quote": 2}  # the bid was at 97.99


# Trailing stops


def test_trailing_stop_moves_with_the_market_and_only_that_way() -> None:
    it = rig("100 100 100 100 | 100 103 100 103 | 103 103 101 101 | 101 101 99 99")
    it.submit()
    it.to("09:31")
    order = it.submit("sell", type="trailing_stop", trail_price=3, time_in_force="gtc")

    marks = []
    for minute in ("09:31", "09:32", "09:33"):
        it.to(minute)
        marks.append((it.now(order).hwm, it.now(order).stop_price))
    it.to("09:34")

    assert marks == [(100, 97), (103, 100), (103, 100)]
    told = [one.at for one in it.updates(published=False) if one.event == "trail"]
    assert told == [clock("09:32")]  # when the bar has ended, not before
    assert it.fills()[1:] == [("sell", 100, 100)]


def test_trailing_stop_by_percent_and_new_trail() -> None:
    it = rig("100 100 100 100 | 100 110 100 110 | 110 110 104 104")
    it.submit()
    it.to("09:31")
    order = it.submit("sell", type="trailing_stop", trail_percent=10)
    it.to("09:32")
    assert (it.now(order).hwm, it.now(order).stop_price) == (110, 99)

    new = it.replace(order, trail=5)

    assert (new.hwm, new.stop_price, new.trail_percent) == (110, Decimal("104.5"), 5)
    it.to("09:33")
    assert it.fills()[1:] == [("sell", 100, Decimal("104.5"))]


def test_trailing_stop_sleeps_outside_regular_hours() -> None:
    it = rig(bars(FLAT) + bars("80 130 80 130", start="16:00"))
    it.submit()
    it.to("09:31")
    order = it.submit("sell", type="trailing_stop", trail_price=5, time_in_force="gtc")

    it.to("19:00")

    assert (it.now(order).status, it.now(order).hwm) == ("new", 100)


# Paper's fills


def test_spread_is_paid_by_who_crosses_it() -> None:
    it = rig("100 100 100 100 | 100 100 100 100", half_spread_bps=Decimal(5))
    it.to("09:31")

    it.submit()
    it.to("09:31:30")
    it.submit("sell")
    it.to("09:32")

    assert it.fills() == [("buy", 100, Decimal("100.05")), ("sell", 100, Decimal("99.95"))]


def test_latency_and_partial_fills_follow_from_the_seed() -> None:
    words = "|".join(["100 101 99 100"] * 30)

    def run(seed: int) -> list[tuple[str, Decimal, Decimal]]:
        it = rig(words, switches=Switches(seed=seed))
        for minute in range(31, 56):
            it.to(f"09:{minute}")
            it.submit(qty=100)
        it.to("09:59")
        return it.fills()

    once, again, other = run(1), run(1), run(2)

    assert once == again
    assert once != other
    partial = len(once) - 25  # every partial fill adds an execution
    assert 0 < partial < 10
    assert sum(qty for _, qty, _ in once) == 2500


def test_no_order_fills_before_its_latency_is_over() -> None:
    it = rig("100 106 100 106 | 106 106 106 106", latency_seconds=(0.5, 0.5))
    order = it.submit()

    it.to("09:31")

    assert it.now(order).filled_at == clock("09:30") + timedelta(seconds=0.5)


def test_volume_share_limits_a_bar_and_the_rest_waits_for_the_next() -> None:
    it = rig("|".join([FLAT] * 3), volume_share=Decimal("0.05"))  # 50 shares of 1000
    order = it.submit(qty=120)

    got = []
    for minute in ("09:31", "09:32", "09:33"):
        it.to(minute)
        got.append(int(it.now(order).filled_qty))

    assert got == [50, 100, 120]
