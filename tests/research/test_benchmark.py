# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from iverson.errors import MissingBars
from iverson.execution.costs import Costs
from iverson.research.benchmark import buy_and_hold
from iverson.testing import START, bars

FREE = Costs.none()


def held(given, *, cash=1000.0, costs=FREE, first=None, last=None):
    sessions = np.unique(np.concatenate([one.session for one in given.values()]))
    return buy_and_hold(
        given,
        first=first or sessions[0].item(),
        last=last or sessions[-1].item(),
        cash=cash,
        costs=costs,
    )


def test_cash_is_split_equally_and_bought_at_the_first_open():
    one = bars("100/110/90/105 110", symbol="ONE")
    two = bars("50/50/50/50 40", symbol="TWO")

    equity = held({"ONE": one, "TWO": two})

    # 5 shares of ONE at 100, 10 of TWO at 50.
    assert equity.tolist() == [5 * 105 + 10 * 50, 5 * 110 + 10 * 40]
    assert equity.index[0].date() == START


def test_half_the_spread_is_paid_and_shares_may_be_fractions():
    wide = Costs(spread_bps=200.0, sec_fee=0, taf_per_share=0, cat_per_share=0)  # 1 % half spread

    equity = held({"ONE": bars("100 100")}, costs=wide)

    assert equity.iloc[0] == pytest.approx(1000 / 101 * 100)


def test_the_fees_of_buying_are_paid_out_of_the_cash():
    fee = Costs(0.0, commission_per_share=0.01, sec_fee=0, taf_per_share=0, cat_per_share=0)

    equity = held({"ONE": bars("100 100")}, costs=fee)

    assert equity.iloc[0] == pytest.approx(1000 - 10 * 0.01, abs=1e-3)
    assert equity.iloc[0] <= 1000 - 9.99 * 0.01


def test_a_symbol_that_lists_later_waits_in_cash():
    one = bars("100 100 100", symbol="ONE")
    late = bars("10 20", symbol="LATE", start=one.session[1].item())

    equity = held({"ONE": one, "LATE": late})

    assert equity.tolist() == [1000.0, 1000.0, 500 + 50 * 20]


def test_a_split_multiplies_the_shares_and_changes_nothing_else():
    split = bars("100 | gap 50 | 55", splits={1: 2.0})

    equity = held({"TEST": split})

    assert equity.tolist() == [1000.0, 1000.0, 20 * 55]


def test_a_dividend_stays_in_cash_on_the_shares_held_that_day():
    paying = bars("100 | gap 50 | 49", splits={1: 2.0}, dividends={2: 1.0})

    equity = held({"TEST": paying})

    assert equity.iloc[2] == 20 * 49 + 20 * 1.0


def test_bought_on_the_ex_date_there_is_no_dividend():
    equity = held({"TEST": bars("100 100", dividends={0: 5.0})})

    assert equity.tolist() == [1000.0, 1000.0]


def test_sessions_are_the_union_and_a_missing_bar_keeps_its_price():
    one = bars("100 110 120", symbol="ONE")
    short = bars("10 11", symbol="SHORT")

    equity = held({"ONE": one, "SHORT": short})

    assert equity.tolist() == [1000.0, 550 + 550, 600 + 550]


def test_only_the_span_counts():
    one = bars("50 100 120 999")

    equity = held({"TEST": one}, first=one.session[1].item(), last=one.session[2].item())

    # The second bar opens at the close before it, 50.
    assert equity.tolist() == [20 * 100, 20 * 120]


def test_a_span_without_bars_is_refused_in_a_sentence():
    one = bars("100 101")

    with pytest.raises(MissingBars, match="no symbol has a bar from 1999-01-04"):
        held({"TEST": one}, first=START.replace(1999, 1, 4), last=START.replace(1999, 2, 1))
