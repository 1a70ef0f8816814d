# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily report beside a small book-keeping of its own, over generated days of fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.model import CashFlow
from iverson.monitoring.journal import Journal
from iverson.monitoring.kinds import Value
from iverson.reports.daily import daily
from tests.reports.week import FRI, MON, RUN, THU, TUE, WED, at, fill, mark, order, run_row, trade

DAYS = (MON, TUE, WED, THU, FRI)
CASH = 100_000.0
SYMBOLS = ("AAPL", "KO")
NEAR = 1e-6  # dollars

prices = st.integers(1_000, 20_000).map(lambda cents: cents / 100)
fees = st.integers(0, 200).map(lambda cents: cents / 100)
actions = st.lists(
    st.tuples(
        st.sampled_from(["enter", "leave", "leave all", "dividend", "split", "deposit", "fee"]),
        st.sampled_from(SYMBOLS), st.integers(1, 50), prices, fees,
    ),
    max_size=6,
)  # fmt: skip
weeks = st.lists(st.tuples(actions, prices, prices), min_size=5, max_size=5)


@dataclass
class Holding:
    """Shares held, the lots that were entered (price, shares) and the dollars that moved."""

    held: float = 0.0
    lots: list[tuple[float, float]] = field(default_factory=list)
    moved: float = 0.0
    since: date = MON


@dataclass
class Books:
    """What the test believes: cash, holdings, and what each day made."""

    cash: float = CASH
    holdings: dict[str, Holding] = field(default_factory=dict)
    realised: list[float] = field(default_factory=list)
    outside: float = 0.0  # deposits
    trade_free: float = 0.0  # fees
    rows: list[Value] = field(default_factory=list)

    def begin(self) -> None:
        self.realised, self.outside, self.trade_free = [], 0.0, 0.0

    def act(self, day: date, action: tuple[str, str, int, float, float]) -> None:
        what, symbol, size, price, fee = action
        holding = self.holdings.get(symbol)
        if what == "enter":
            holding = self.holdings.setdefault(symbol, Holding(since=day))
            holding.held += size
            holding.lots.append((price, size))
            self._move(holding, -size * price - fee)
            self.rows += [
                order(day, symbol, "entry", "filled", size, price),
                fill(day, symbol, "entry", size, price, fee),
            ]
        elif what in ("leave", "leave all") and holding is not None:
            sold = min(size, holding.held) if what == "leave" else holding.held
            holding.held -= sold
            self._move(holding, sold * price - fee)
            self.rows.append(fill(day, symbol, "target", sold, price, fee))
            if not holding.held:
                del self.holdings[symbol]
                self.realised.append(holding.moved)
                ends = (holding.since, 1.0), (day, price)
                self.rows.append(
                    trade(symbol, 1.0, *ends, pnl=holding.moved, risk=1.0, exit_reason="target")
                )
        elif what == "dividend" and holding is not None:
            self._move(holding, fee)
            self.rows.append(CashFlow(at(day), day, symbol, "dividend", fee))
        elif what == "split" and holding is not None:
            holding.held *= 2
            holding.lots = [(paid / 2, shares * 2) for paid, shares in holding.lots]
            self.rows.append(CashFlow(at(day), day, symbol, "split", 0.0, ratio=2.0))
        elif what == "deposit":
            self.cash += size
            self.outside += size
            self.rows.append(CashFlow(at(day), day, "", "deposit", float(size)))
        elif what == "fee":
            self.cash -= fee
            self.trade_free -= fee
            self.rows.append(CashFlow(at(day), day, "", "fee", -fee))

    def _move(self, holding: Holding, dollars: float) -> None:
        holding.moved += dollars
        self.cash += dollars


def facts(rows: list[Value], name: str) -> Any:
    with Journal() as opened:
        opened.append_many(RUN, [run_row(CASH), *rows])
        return next(one for one in daily(opened).sections if one.id == name).facts


@given(weeks)
def test_every_day_adds_up_to_the_cent(week: list[Any]) -> None:
    books = Books()
    before, open_before = CASH, 0.0
    for day, (happened, *marks) in zip(DAYS, week, strict=True):
        books.begin()
        for action in happened:
            books.act(day, action)
        quoted = dict(zip(SYMBOLS, marks, strict=True))
        worth = sum(one.held * quoted[symbol] for symbol, one in books.holdings.items())
        books.rows.append(mark(day, books.cash, worth))
        equity = books.cash + worth
        open_now = worth + sum(one.moved for one in books.holdings.values())

        result = facts(books.rows, "result")

        assert result["equity_usd"] == pytest.approx(equity, abs=NEAR)
        assert result["net_pnl_usd"] == pytest.approx(equity - before - books.outside, abs=NEAR)
        assert result["realised_pnl_usd"] == pytest.approx(sum(books.realised), abs=NEAR)
        assert result["open_pnl_usd"] == pytest.approx(open_now, abs=NEAR)
        assert result["open_pnl_change_usd"] == pytest.approx(open_now - open_before, abs=NEAR)
        assert result["other_pnl_usd"] == pytest.approx(books.trade_free, abs=NEAR)
        assert result["deposits_usd"] == books.outside
        assert result["won"] == sum(made > 0 for made in books.realised)
        before, open_before = equity, open_now
    _positions_are_those_of(books)


def _positions_are_those_of(books: Books) -> None:
    told = {one["symbol"]: one for one in facts(books.rows, "open_positions")["positions"]}

    assert set(told) == set(books.holdings)
    for symbol, holding in books.holdings.items():
        entered = sum(shares for _, shares in holding.lots)
        paid = sum(price * shares for price, shares in holding.lots)
        assert told[symbol]["shares"] == holding.held
        assert told[symbol]["entry_usd"] == pytest.approx(paid / entered)
