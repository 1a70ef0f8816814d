# SPDX-License-Identifier: GPL-3.0-or-later
"""Random order flow: what must hold whatever a client does and whatever the market does."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iverson.simulator.events import TradeUpdate, first_broken
from iverson.simulator.matching import limit_of, within
from iverson.simulator.orders import ENDED, OPEN, TRANSITIONS, Order
from iverson.simulator.requests import OrderQuery, OrderRequest, Refused, ReplaceRequest
from iverson.simulator.settings import Switches
from tests.simulator.exchange_kit import CASH, MONDAY, Rig, bars, clock, rig

TUESDAY = date(2024, 11, 26)
SYMBOLS = ("AAA", "BBB")
ACTIONS = 40


def walk(seed: int, *, minutes: int = 25) -> list[Any]:
    """Two sessions of a jumpy walk with holes, for two symbols."""
    draw = random.Random(seed)
    found = []
    for symbol in SYMBOLS:
        price = 100.0
        for day in (MONDAY, TUESDAY):
            words = []
            for _ in range(minutes):
                if draw.random() < 0.1:
                    words.append("-")
                    continue
                opened = round(price * (1 + draw.gauss(0, 0.004)), 2)
                price = round(opened * (1 + draw.gauss(0, 0.01)), 2)
                high = round(max(opened, price) * (1 + abs(draw.gauss(0, 0.004))), 2)
                low = round(min(opened, price) * (1 - abs(draw.gauss(0, 0.004))), 2)
                words.append(f"{opened} {high} {low} {price}")
            found += bars(" | ".join(words), symbol, day=day)
    return found


@dataclass
class Client:
    """Does one random thing after the other; refusals are answers like any other."""

    it: Rig
    draw: random.Random

    def act(self) -> None:
        choice = self.draw.choices(
            [self.submit, self.cancel, self.replace, self.close, self.wait, self.skip],
            weights=[8, 2, 3, 1, 6, 1],
        )[0]
        with suppress(Refused):
            choice()

    def price(self, symbol: str = "AAA", around: float = 0.01) -> Decimal:
        last = float(self.it.exchange._floor.price(symbol) or 100)
        return Decimal(f"{last * (1 + self.draw.gauss(0, around)):.2f}")

    def submit(self) -> None:
        draw, symbol = self.draw, self.draw.choice(SYMBOLS)
        name = draw.choice(["simple", "simple", "bracket", "bracket", "oto", "oco", "oco"])
        side, size = draw.choice(["buy", "buy", "sell"]), Decimal(draw.choice([1, 7, 50, 100, 300]))
        held = self.it.qty(symbol)
        if held and draw.random() < 0.7:
            side, size = "sell" if held > 0 else "buy", min(size, abs(held))
        fields: dict[str, Any] = {"symbol": symbol, "side": side, "qty": size}
        if name == "simple":
            fields |= self.simple(symbol)
        else:
            fields |= self.exits(name, side, symbol)
        self.it.exchange.submit(self.it.account_id, OrderRequest(**fields))

    def simple(self, symbol: str) -> dict[str, Any]:
        draw = self.draw
        kind = draw.choice(["market", "limit", "limit", "stop", "stop_limit", "trailing_stop"])
        fields: dict[str, Any] = {
            "type": kind,
            "time_in_force": draw.choice(["day", "gtc", "gtc", "ioc", "fok", "cls", "opg"]),
        }
        if kind in ("limit", "stop_limit"):
            fields["limit_price"] = self.price(symbol)
        if kind in ("stop", "stop_limit"):
            fields["stop_price"] = self.price(symbol)
        if kind == "trailing_stop":
            fields["trail_price"] = Decimal(draw.choice(["0.5", "2", "5"]))
        if draw.random() < 0.1:
            fields |= {"qty": None, "notional": Decimal(1000), "time_in_force": "day"}
        return fields

    def exits(self, name: str, side: str, symbol: str) -> dict[str, Any]:
        draw, entry = self.draw, self.price(symbol)
        up = Decimal(1) if (side == "buy") != (name == "oco") else Decimal(-1)
        near, far = (Decimal(draw.choice(["1", "2.5", "6"])) for _ in range(2))
        kind = "limit" if name == "oco" else draw.choice(["market", "limit"])
        fields: dict[str, Any] = {
            "order_class": name,
            "type": kind,
            "time_in_force": draw.choice(["day", "gtc"]),
            "limit_price": entry if kind == "limit" and name != "oco" else None,
            "target_limit_price": entry + up * near,
            "stop_loss_stop_price": entry - up * far,
        }
        if draw.random() < 0.2:
            fields["stop_loss_limit_price"] = entry - up * (far + Decimal("0.5"))
        if name == "oto":
            gone = draw.choice(["target_limit_price", "stop_loss_stop_price"])
            fields |= {gone: None, "stop_loss_limit_price": None}
        return fields

    def some(self) -> Order | None:
        every = self.it.exchange.orders(self.it.account_id, OrderQuery(status="all", limit=500))
        living = [order for order in every if not order.is_ended]
        return self.draw.choice(living or every) if every else None

    def cancel(self) -> None:
        order = self.some()
        if order is not None:
            self.it.exchange.cancel(self.it.account_id, order.id)

    def replace(self) -> None:
        order = self.some()
        if order is None:
            return
        change = self.draw.choice(
            [
                {"limit_price": self.price()},
                {"stop_price": self.price()},
                {"qty": Decimal(self.draw.choice([5, 60, 150]))},
                {"trail": Decimal(3)},
                {"time_in_force": "gtc"},
            ]
        )
        self.it.exchange.replace(self.it.account_id, order.id, ReplaceRequest(**change))

    def close(self) -> None:
        if self.draw.random() < 0.3:
            self.it.exchange.close_all(self.it.account_id, cancel_orders=self.draw.random() < 0.5)
        else:
            self.it.exchange.close_position(self.it.account_id, self.draw.choice(SYMBOLS))

    def wait(self) -> None:
        seconds = self.draw.choice([1, 20, 60, 60, 60, 90, 300])
        self.it.exchange.advance_to(self.it.exchange.now + timedelta(seconds=seconds))

    def skip(self) -> None:
        due = self.it.exchange.next_at()
        if due is not None:
            self.it.exchange.advance_to(due)


SWITCHES = st.builds(
    Switches,
    seed=st.integers(0, 3),
    path=st.sampled_from(["seeded", "high first", "low first", "adverse"]),
    half_spread_bps=st.sampled_from([Decimal(0), Decimal(1), Decimal(20)]),
    volume_share=st.sampled_from([None, None, Decimal("0.05")]),
    partial_probability=st.sampled_from([0.0, 0.1, 0.5]),
    latency_seconds=st.sampled_from([(0.0, 0.0), (0.1, 0.7), (5.0, 50.0)]),
    ack_seconds=st.sampled_from([0.0, 0.2]),
    cancel_seconds=st.sampled_from([0.0, 0.1, 30.0]),
    replace_seconds=st.sampled_from([0.0, 0.1, 30.0]),
    stop_election=st.sampled_from(["trade", "quote"]),
    target_when_stopped=st.sampled_from(["replaced", "canceled", "silent"]),
    stop_cancel_waits_for_open=st.booleans(),
    luld_band=st.sampled_from([None, None, Decimal("0.01")]),
    luld_seconds=st.sampled_from([10.0, 300.0]),
)


def run(seed: int, switches: Switches, *, fine: bool = False) -> Rig:
    """Let a client act on both days; `fine` stops the clock at instants that mean nothing too."""
    it = rig(walk(seed), switches=switches)
    client = Client(it, random.Random(seed + 1))
    if fine:
        whole = it.exchange.advance_to

        def stepwise(at: Any) -> None:
            half = it.exchange.now + (at - it.exchange.now) / 2
            whole(half)
            while (due := it.exchange.next_at()) is not None and due <= at:
                whole(due)
            whole(at)

        it.exchange.advance_to = stepwise  # type: ignore[method-assign] # the same, in more steps
    for _ in range(ACTIONS // 2):
        client.act()
        check(it)
    it.exchange.advance_to(max(clock("09:30", TUESDAY), it.exchange.now))
    for _ in range(ACTIONS // 2):
        client.act()
        check(it)
    it.exchange.advance_to(max(clock("20:00", TUESDAY), it.exchange.now))
    check(it)
    return it


def check(it: Rig) -> None:
    """Look at what a client can see now."""
    every = it.exchange.orders(it.account_id, OrderQuery(status="all", limit=500))
    for order in every:
        assert order.remaining >= 0
        if order.qty is not None:
            assert 0 <= order.filled_qty <= order.qty
            assert (order.status == "filled") == (order.filled_qty == order.qty)
        assert order.status != "partially_filled" or order.filled_qty > 0
        assert order.status != "new" or order.filled_qty == 0
        assert (order.filled_avg_price is None) == (order.filled_qty == 0)
        assert order.created_at <= order.updated_at <= it.exchange.now
    open_now = it.exchange.orders(it.account_id, OrderQuery(limit=500))
    assert {order.status for order in open_now} <= OPEN
    for position in it.exchange.positions(it.account_id):
        assert position.qty != 0
        assert 0 <= abs(position.qty_available) <= abs(position.qty)
    account = it.exchange.account(it.account_id)
    assert account.buying_power >= 0
    assert account.equity == account.cash + account.long_market_value + account.short_market_value


def judge(it: Rig) -> None:
    """Look at everything that happened."""
    updates = it.updates(published=False)
    cash, shares = CASH, Counter[str]()
    last: dict[str, Order] = {}
    for one in updates:
        before = last.get(one.order.id)
        if before is not None:
            assert one.order.status in TRANSITIONS[before.status] | {before.status}
            assert one.order.filled_qty >= before.filled_qty
            assert before.status not in ENDED or one.event == "order_replace_rejected"
        last[one.order.id] = one.order
        if one.qty is None or one.price is None:
            continue
        sign = 1 if one.order.side == "buy" else -1
        held = shares[one.order.symbol]
        cash -= sign * one.qty * one.price
        shares[one.order.symbol] += sign * one.qty  # type: ignore[assignment] # decimals count too
        assert shares[one.order.symbol] == one.position_qty
        assert held * one.position_qty >= 0, "a fill crossed zero"
        if not one.order.opens:
            assert abs(one.position_qty) < abs(held), "an exit enlarged the position"
        limit = limit_of(one.order)
        assert limit is None or within(limit, one.price, one.order.side)
    books = it.exchange._floor.accounts[it.account_id]
    assert books.cash == cash
    assert {s: q for s, q in shares.items() if q} == {
        position.symbol: position.qty for position in it.exchange.positions(it.account_id)
    }
    _judge_ids(it, updates)
    _judge_families(last)
    stamps = [event.at for event in it.heard]
    assert stamps == sorted(stamps)
    assert first_broken(it.exchange.log.lines) is None
    held_now = {cover.symbol: cover.held for cover in it.ledger.covers}
    assert {s: q for s, q in held_now.items() if q} == {s: q for s, q in shares.items() if q}


def _judge_ids(it: Rig, updates: list[TradeUpdate]) -> None:
    executions = [one.execution_id for one in updates if one.execution_id is not None]
    assert len(executions) == len(set(executions))
    orders = {one.order.id: one.order.client_order_id for one in updates}
    assert len(set(orders.values())) == len(orders)
    fills = [one for one in updates if one.event in ("fill", "partial_fill")]
    rows = it.exchange._floor.accounts[it.account_id].activities
    assert len([row for row in rows if row.activity_type == "FILL"]) == len(fills)
    assert len({row.id for row in rows}) == len(rows)


def _judge_families(last: dict[str, Order]) -> None:
    families: dict[str, list[Order]] = {}
    for order in last.values():
        if order.parent_id is not None:
            families.setdefault(order.parent_id, []).append(order)
    for parent_id, legs in families.items():
        parent = last[parent_id]
        exits = [*legs, parent] if parent.role == "target" else legs
        sold = sum((leg.filled_qty for leg in exits if leg.replaced_by is None), Decimal(0))
        bought = parent.qty if parent.role == "target" else parent.filled_qty
        assert sold <= (bought or 0), "the exits of a class sold more than there was"
        if parent.role == "entry" and parent.status != "filled":
            assert sold == 0, "an exit filled before its entry was complete"


@settings(max_examples=60)
@given(st.integers(0, 10_000), SWITCHES)
def test_random_order_flow_breaks_nothing(seed: int, switches: Switches) -> None:
    judge(run(seed, switches))


@settings(max_examples=15)
@given(st.integers(0, 10_000), SWITCHES)
def test_equal_inputs_give_equal_bytes_however_the_clock_is_stepped(
    seed: int, switches: Switches
) -> None:
    once, again, fine = run(seed, switches), run(seed, switches), run(seed, switches, fine=True)

    assert once.exchange.log.text() == again.exchange.log.text() == fine.exchange.log.text()


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=1000)
@given(st.integers(0, 10_000_000), SWITCHES)
def test_much_more_random_order_flow_breaks_nothing(seed: int, switches: Switches) -> None:
    it = run(seed, switches)

    judge(it)
    assert it.exchange.log.text() == run(seed, switches, fine=True).exchange.log.text()
