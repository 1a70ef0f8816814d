# SPDX-License-Identifier: GPL-3.0-or-later
"""The account through alpaca-py: figures, configuration, activities, history; and time itself."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from alpaca.trading.requests import GetPortfolioHistoryRequest

from iverson.simulator.events import first_broken
from iverson.simulator.settings import Switches
from iverson.testing import bars
from tests.simulator.history import joined
from tests.simulator.rehearsing import NEXT, SESSION, SYMBOL, at, minutes, opened, refused

CASH = 100_000


# C3


def lived(seed: int) -> tuple[str, str]:
    history = {name: minutes("100 101 99 103 98 97 105", symbol=name) for name in ("AAA", "BBB")}
    with opened(history, switches=Switches(seed=seed), scenario="always-partial") as venue:
        for name in history:
            venue.post(symbol=name, qty=20, client_order_id=f"{name} 1")
            venue.step()
            venue.post(symbol=name, qty=9, side="sell", client_order_id=f"{name} 2")
            venue.step()
        venue.step(2)
        return venue.rehearsal.log, venue.sim.state["head"]


def test_the_same_run_twice_gives_the_same_log_to_the_last_byte() -> None:
    log, head = lived(seed=1)

    assert lived(seed=1) == (log, head)
    assert lived(seed=2)[1] != head
    assert first_broken(log.splitlines()) is None


def test_time_stands_until_it_is_told_to_move() -> None:
    with opened("100 101 102") as venue:
        before = venue.trading.get_clock().timestamp
        venue.buy()
        venue.trading.get_account()
        assert venue.trading.get_clock().timestamp == before
        venue.step()
        assert venue.trading.get_clock().timestamp == at("09:32")


def test_nothing_is_stamped_later_than_the_clock() -> None:
    with opened("100 101 99 102", switches=Switches(seed=4)) as venue:
        venue.listen()
        for _ in range(3):
            venue.buy()
            venue.step()
            now = venue.sim.now
            stamps = [one["timestamp"] for one in venue.updates]
            assert all(datetime.fromisoformat(one) <= now for one in stamps)


# C4


def test_equity_is_cash_and_what_is_held_is_worth() -> None:
    with opened("100 100 110") as venue:
        venue.buy(100)
        venue.step()
        venue.step()
        account = venue.trading.get_account()

    assert account.cash == f"{CASH - 100 * 100}"
    assert account.long_market_value == f"{100 * 110}"
    assert account.equity == account.portfolio_value == f"{CASH + 100 * 10}"
    assert account.initial_margin == f"{100 * 110 // 2}"


def test_last_equity_is_that_of_the_last_close() -> None:
    history = {SYMBOL: bars("100 100 110 120", symbol=SYMBOL, start=SESSION)}
    with opened(history) as venue:
        venue.buy(100)
        venue.step(2)
        assert venue.trading.get_account().last_equity == f"{CASH + 100 * 10}"


@pytest.mark.parametrize(
    ("cash", "multiplier", "power"), [(1_999, "1", 1_999), (2_000, "4", 8_000)]
)
def test_the_multiplier_follows_equity(cash: int, multiplier: str, power: int) -> None:
    with opened("100", cash=cash) as venue:
        account = venue.trading.get_account()

    assert (account.multiplier, account.buying_power) == (multiplier, f"{power}")


def test_a_deposit_arrives_and_can_be_seen() -> None:
    with opened("100") as venue:
        answer = venue.raw("POST", "/_sim/deposit", json={"dollars": 250.25})
        assert answer.status_code == 200
        assert venue.trading.get_account().cash == "100250.25"
        (row, *_) = venue.raw("GET", "/v2/account/activities/CSD").json()

    assert row["net_amount"] == "250.25"


def test_a_blocked_account_may_not_trade() -> None:
    with opened("100") as venue:
        venue.sim.call(
            lambda inside: inside.exchange.block(inside.accounts[0], trading_blocked=True)
        )
        assert venue.trading.get_account().trading_blocked
        assert refused(venue.post())[0] == 403


# C5


def test_configurations_are_kept_and_enforced() -> None:
    with opened("100 100") as venue:
        found = venue.trading.get_account_configurations()
        assert (found.suspend_trade, found.fractional_trading) == (False, True)

        found.suspend_trade = True
        changed = venue.trading.set_account_configurations(found)
        assert changed.suspend_trade
        assert venue.trading.get_account().trade_suspended_by_user
        assert refused(venue.post())[0] == 403

        def patch(**change: Any) -> Any:
            return venue.raw("PATCH", "/v2/account/configurations", json=change)

        patch(suspend_trade=False, fractional_trading=False)
        assert refused(venue.post(qty=0.5))[:2] == (403, 40310000)
        patch(no_shorting=True)
        assert refused(venue.post(side="sell"))[:2] == (403, 40310000)
        patch(max_margin_multiplier="1")
        assert venue.trading.get_account().multiplier == "1"
        assert refused(patch(max_margin_multiplier="3"))[:2] == (422, 40010001)


# C7


def test_every_execution_is_an_activity_and_pages_follow_one_another() -> None:
    count, size = 7, 3
    with opened("100 " * (count + 2)) as venue:
        made = []
        for _ in range(count):
            made.append(str(venue.buy(1).id))
            venue.step()
        pages, token = [], None
        while True:
            query = {"page_size": size, "direction": "asc"} | (
                {"page_token": token} if token else {}
            )
            page = venue.trading.get("/account/activities/FILL", query)
            if not page:
                break
            pages.append([row["order_id"] for row in page])
            token = page[-1]["id"]
        newest = venue.trading.get("/account/activities", {"activity_types": "FILL"})
        late = venue.trading.get("/account/activities/FILL", {"after": "2024-01-03T14:34:00Z"})
        none = venue.trading.get("/account/activities/DIV")

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [name for page in pages for name in page] == made
    assert [row["order_id"] for row in newest] == made[::-1]
    assert len(late) == count - 4
    assert none == []
    assert newest[0]["id"].startswith("20240103")
    assert newest[-1]["id"].startswith("202401030931")


def test_an_execution_tells_what_is_left() -> None:
    with opened("100 100 100", scenario="partial-then-nothing") as venue:
        venue.buy(10)
        venue.step()
        (row,) = venue.trading.get("/account/activities/FILL")

    assert (row["type"], row["qty"], row["cum_qty"], row["leaves_qty"]) == (
        "partial_fill", "4", "4", "6",
    )  # fmt: skip


# C8


def test_the_history_of_equity_has_a_value_for_each_day() -> None:
    history = {SYMBOL: bars("100 100 110 120", symbol=SYMBOL, start=SESSION)}
    with opened(history) as venue:
        venue.buy(100)
        venue.step(3)
        found = venue.trading.get_portfolio_history(
            GetPortfolioHistoryRequest(period="1M", timeframe="1D")
        )

    assert found.timeframe == "1D"
    assert found.equity[-3:] == [CASH, CASH + 1000, CASH + 2000]
    assert found.base_value == CASH
    assert found.profit_loss[-1] == 2000
    assert found.profit_loss_pct[-1] == pytest.approx(0.02)
    assert len(found.timestamp) == len(found.equity)


# C9: the figures of Alpaca's page on the average entry price: 100 at 10 and 50 at 12, 30 at 15 the
# next day, 120 sold the day after


def test_the_average_entry_price_is_weighted_within_a_day_and_first_in_first_out_after_it() -> None:
    days = [SESSION, NEXT, date(2024, 1, 5), date(2024, 1, 8)]
    words = ["10 | gap 10 | gap 12", "gap 15 | gap 15", "20 20", "20"]
    history = joined(*(minutes(one, session=day) for one, day in zip(words, days, strict=True)))
    with opened({SYMBOL: history}) as venue:

        def figures() -> tuple[str, str]:
            held = venue.trading.get_open_position(SYMBOL)
            cost, average = Decimal(held.cost_basis), Decimal(held.avg_entry_price)
            return f"{cost:.2f}", f"{average:.2f}"

        trades = [(100, "buy", 1), (50, "buy", 2), (30, "buy", 2), (120, "sell", 1)]
        for qty, side, steps in trades:
            venue.post(side=side, qty=qty)
            venue.step(steps)
        within = figures()
        venue.sim.advance_to(at("02:30", days[3]))
        overnight = figures()

    bought = Decimal(2050)
    share = bought / 180 * 60
    assert within == (f"{share:.2f}", f"{share / 60:.2f}")
    assert overnight == ("770.00", "12.83")
