# SPDX-License-Identifier: GPL-3.0-or-later
"""A symbol whose bars end: its position is left at the last price, and its slot is free again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

import iverson as iv
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.model import OrderEvent
from iverson.research.backtest import Prepared, Setup, simulate
from iverson.risk import rules
from iverson.testing import START, bars, run_signals, signal

ENTRY = signal(symbol="GONE", limit=100.0, stop=90.0, target=130.0, max_sessions=None)
LAST_PRICE = 97.0
LIVES = bars("50 " * 12, symbol="LIVE")
ENDS = bars("100 100/101/98/99 98 97", symbol="GONE")  # four bars, the entry fills on the second
LAST = 3  # number of its last bar, from 0


def session(number: int) -> date:
    return new_york().offset(START, number)


def halted(*missing: int) -> Bars:
    """Twelve bars with holes."""
    whole = bars("100 100/101/98/99 98 97 97 97 97 96 95 94 93 92", symbol="GONE")
    keep = np.isin(np.arange(12), missing, invert=True)
    columns: Any = {
        name: getattr(whole, name)[keep]
        for name in (
            *("at", "session", "open", "high", "low", "close", "volume", "factor", "dividend"),
        )
    }
    return replace(whole, **columns)


def test_position_is_left_on_the_first_bar_without_one() -> None:
    """Not on the last bar itself: on it nobody knew that there would be no other."""
    outcome = run_signals({"GONE": ENDS, "LIVE": LIVES}, {1: ENTRY})
    (trade,) = outcome.record.trades

    assert trade.exit_reason == "bars end"
    assert trade.exit_session == session(LAST + 1)
    assert trade.exit == LAST_PRICE
    assert trade.pnl == pytest.approx(trade.size * (LAST_PRICE - trade.entry))
    held = {row.session: row.positions for row in outcome.record.equity}
    assert held[session(LAST)] == 1
    assert held[session(LAST + 1)] == 0


def test_the_sale_pays_half_the_spread_and_fees() -> None:
    free = run_signals({"GONE": ENDS, "LIVE": LIVES}, {1: ENTRY})
    paid = run_signals({"GONE": ENDS, "LIVE": LIVES}, {1: ENTRY}, costs=iv.Costs(spread_bps=20.0))

    fill = paid.record.fills[-1]
    assert fill.leg == "bars end"
    assert fill.price < LAST_PRICE
    assert fill.commission > 0
    assert paid.equity[-1] < free.equity[-1]


def test_orders_tell_what_happened() -> None:
    outcome = run_signals({"GONE": ENDS, "LIVE": LIVES}, {1: ENTRY})
    events = [one for one in outcome.record.of(OrderEvent) if one.session == session(LAST + 1)]

    assert {(one.leg, one.status) for one in events} == {
        ("bars end", "filled"), ("stop", "canceled"), ("target", "canceled"),
    }  # fmt: skip
    assert next(one for one in events if one.leg == "bars end").order_id.endswith("-bars-end")


def test_the_slot_is_free_from_then_on() -> None:
    later = signal(symbol="LIVE", limit=50.0, stop=45.0, target=60.0)
    plan = dict.fromkeys((LAST + 1, LAST + 2), later)  # at the last bar, and at the one after it
    outcome = run_signals(
        {"GONE": ENDS, "LIVE": LIVES},
        {1: ENTRY, **plan},
        rules=(rules.MaxPositions(limit=1),),
    )
    verdicts = [one for one in outcome.record.verdicts if one.signal.symbol == "LIVE"]

    assert [(one.signal.session, one.approved) for one in verdicts] == [
        (session(LAST), False), (session(LAST + 1), True),
    ]  # fmt: skip


def test_a_halt_is_no_end() -> None:
    outcome = run_signals({"GONE": halted(4, 5, 6), "LIVE": LIVES}, {1: ENTRY})
    (trade,) = outcome.record.trades

    assert trade.exit_reason == "fold end"
    assert trade.exit_session == session(11)
    assert trade.exit == 92.0


def test_end_of_the_run_comes_first() -> None:
    """Bars that end with the run, or after it, end nothing."""
    setup = Setup(Planned, rules=(), cash=100_000.0, costs=iv.Costs.none())
    prepared = Prepared.of({"GONE": ENDS, "LIVE": LIVES})
    outcome = simulate(setup, prepared, first=session(0), last=session(LAST))

    assert [one.exit_reason for one in outcome.record.trades] == ["fold end"]


class Planned(iv.Strategy):
    """Enters on the first session, wherever the run begins."""

    warm_up = 0
    params: Any = dict(max_sessions=None)

    def signals(self) -> Any:
        assert self.desk.now is not None
        if self.desk.now.session == session(0):
            yield replace(ENTRY, at=self.desk.now.at, session=self.desk.now.session)


@pytest.mark.parametrize(
    ("series", "border", "reason", "left", "price"),
    [
        (ENDS, LAST, "bars end", LAST, LAST_PRICE),  # nobody waits for it in the next fold
        (ENDS, LAST - 1, "bars end", LAST + 1, LAST_PRICE),  # it ends inside the next fold
        (halted(*range(4, 12)), LAST + 2, "bars end", LAST + 1, LAST_PRICE),  # ended before
    ],
)
def test_carried_position_is_left_too(
    series: Bars, border: int, reason: str, left: int, price: float
) -> None:
    setup = Setup(Planned, rules=(), cash=100_000.0, costs=iv.Costs.none())
    prepared = Prepared.of({"GONE": series, "LIVE": LIVES})
    there = {"GONE", "LIVE"} if border < LAST else {"LIVE"}
    one = simulate(
        setup, prepared, first=session(0), last=session(border), at_end="carry", carried_on=there
    )
    two = simulate(
        setup, prepared, first=session(border + 1), last=session(11), opening=one.opening
    )
    (trade,) = [*one.record.trades, *two.record.trades]

    assert (trade.exit_reason, trade.exit_session) == (reason, session(left))
    assert trade.exit == price
    assert two.equity[-1] == pytest.approx(100_000.0 + trade.pnl)


def test_a_symbol_that_only_pauses_is_left_at_the_border_of_a_fold_without_it() -> None:
    setup = Setup(Planned, rules=(), cash=100_000.0, costs=iv.Costs.none())
    prepared = Prepared.of({"GONE": halted(4, 5, 6, 7, 8), "LIVE": LIVES})
    one = simulate(
        setup, prepared, first=session(0), last=session(4), at_end="carry", carried_on={"LIVE"}
    )

    assert [trade.exit_reason for trade in one.record.trades] == ["fold end"]
    assert one.opening.carried == ()


class Dip(iv.Strategy):
    """Buys every close, so that something is always held."""

    warm_up = 63
    params: Any = dict(max_sessions=None, gap=0.1)

    def entry(self, data: Any) -> Any:
        return iv.Long(
            confidence=3, limit=data.close, stop=data.close * (1 - self.p.gap),
            target=data.close * 2,
        )  # fmt: skip


def long_series(count: int, symbol: str) -> Bars:
    return bars("100 101 99 102 " * (count // 4), symbol=symbol)


@pytest.mark.parametrize("border", ["close", "carry"])
def test_walk_forward_and_backtest_say_who_was_left(border: Any) -> None:
    series = {"GONE": long_series(300, "GONE"), "LIVE": long_series(480, "LIVE")}
    system = iv.System(Dip, ["GONE", "LIVE"], bars=series, rules=[iv.rules.OneSystemPerSymbol()])
    gone = f"left at the last price, because the bars end: GONE {session(300)}"

    assert gone in system.backtest().notes
    found = system.walk_forward(
        in_sample=100, out_of_sample=60, grid=dict(gap=[0.1, 0.2]), minimum_trades=0,
        at_border=border,
    )  # fmt: skip
    assert gone in found.notes
    last = found.record.trades[-1]
    assert last.symbol == "LIVE"
    assert found.equity.iloc[-1] == pytest.approx(found.start + found.trades["pnl"].sum())


def test_check_takes_no_end_for_future_data() -> None:
    """Bars that the check cuts off are no end: a symbol that pauses there keeps its only slot."""
    series = {"GONE": halted_long(), "LIVE": long_series(280, "LIVE")}
    one_slot = [iv.rules.OneSystemPerSymbol(), iv.rules.MaxPositions(limit=1)]
    system = iv.System(Dip, ["GONE", "LIVE"], bars=series, rules=one_slot)

    assert system.check(sample=30, decisions=30).passed


def halted_long() -> Bars:
    whole = long_series(260, "GONE")
    keep = np.arange(260) % 7 == 0
    keep[:70] = True
    names = ("at", "session", "open", "high", "low", "close", "volume", "factor", "dividend")
    columns: Any = {name: getattr(whole, name)[keep] for name in names}
    return replace(whole, **columns)
