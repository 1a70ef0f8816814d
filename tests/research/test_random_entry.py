# SPDX-License-Identifier: GPL-3.0-or-later
"""The random-entry null: replays worked out by hand, all placements counted, skill found."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import ConfigError, MissingBars
from iverson.market.bars import Bars
from iverson.market.universe import Universe
from iverson.research.overfitting import random_entry
from iverson.research.random_entry import _places
from iverson.research.random_entry_replay import replay, session_prices
from iverson.testing import bars
from tests.research.overfitting_campaign import random_walk, trade_of

FIRST, LAST = date(2000, 1, 1), date(2030, 1, 1)
DOLLARS = 1000.0


def at(*positions):
    return np.array(positions, dtype=np.intp)


def gains(market: Bars, entries, held, *, bracket=False, **changes):
    trade = trade_of(market, 0, 0, **changes)
    prices = session_prices(market, FIRST, LAST)
    return replay(trade, prices, at(*entries), held, bracket=bracket)


def over(market: Bars, trades, **wishes):
    days = [date.fromisoformat(str(day)) for day in market.session[[0, -1]]]
    wishes = dict(first=days[0], last=days[1], seed=1) | wishes
    return random_entry(trades, {market.symbol: market}, **wishes)


def test_a_replay_is_in_at_the_open_and_out_at_the_close():
    market = bars("100/111/99/110 gap 120 gap 90 gap 99")

    # 1,000 dollars at 100, 120 and 90; out at the closes 120, 90 and 99.
    assert gains(market, [0, 1, 2], 1) == pytest.approx([200.0, -250.0, 100.0])


def test_a_short_replay_gains_when_the_price_falls():
    market = bars("gap 100 gap 80")

    assert gains(market, [0], 1, side="short") == pytest.approx([200.0])


def test_splits_and_dividends_are_counted():
    market = bars("gap 100 gap 50 gap 50", splits={1: 2.0}, dividends={0: 5.0, 2: 1.0})

    # Two for one on the second bar, and a dollar on each of the two shares on the third. The
    # five dollars were for who held the evening before.
    assert gains(market, [0], 2) == pytest.approx([DOLLARS * 2 / 100])


@pytest.mark.parametrize(
    ("words", "gained"),
    [
        pytest.param("100/101/99/100 100/101/97/99", -20.0, id="stop at 98"),
        pytest.param("100/101/99/100 95/96/94/95", -50.0, id="a gap through the stop is its open"),
        pytest.param("100/101/99/100 100/104/99/100", 30.0, id="target at 103"),
        pytest.param("100/101/99/100 106/107/90/91", 60.0, id="an open beyond the target is it"),
        pytest.param("100/104/97/100 100/100/100/100", -20.0, id="of both in a bar, the stop"),
        pytest.param("100/101/99/100 100/101/99/101", 10.0, id="neither: the close"),
        pytest.param("100/104/99/100 100/100/50/50", 30.0, id="nothing after the exit"),
    ],
)
def test_brackets_leave_at_stop_and_target(words, gained):
    assert gains(bars(words), [0], 1, bracket=True) == pytest.approx([gained])


def test_short_brackets_are_the_mirror():
    short = dict(side="short", stop=102.0, target=97.0)

    assert gains(bars("100/103/99/100"), [0], 0, bracket=True, **short) == pytest.approx([-20.0])
    assert gains(bars("100/101/96/100"), [0], 0, bracket=True, **short) == pytest.approx([30.0])


def test_a_bracket_without_stop_and_target_holds_to_the_limit():
    market = bars("100/150/50/100 100/150/50/90")
    none = dict(stop=float("nan"), target=float("nan"))

    assert gains(market, [0], 1, bracket=True, **none) == pytest.approx([-100.0])


def test_intraday_bars_are_merged_into_sessions():
    daily = random_walk(np.random.default_rng(1), 6)
    halves = {
        name: np.repeat(getattr(daily, name), 2)
        for name in ("at", "session", "open", "high", "low", "close", "volume", "factor")
    }
    halves["at"] = halves["at"] + np.tile(np.array([0, 1], "timedelta64[h]"), 6)
    halves["open"][1::2] = halves["close"][::2] = daily.close * 0.99
    split = Bars(symbol="NOISE", interval="195min", dividend=np.zeros(12), **halves)

    one, other = (session_prices(market, FIRST, LAST) for market in (daily, split))

    for name in ("session", "open", "high", "low", "close", "paid"):
        assert list(getattr(one, name)) == list(getattr(other, name))


def test_every_placement_is_equally_likely():
    held, sessions = at(2, 0), 6  # a trade of three sessions, one of one, and two idle ones
    possible = {
        places
        for order in permutations([(0, 3), (1, 1)])
        for idle in combinations(range(4), 2)
        for places in [_laid_out(order, idle)]
    }
    draws = 12_000

    found = Counter(
        tuple(int(x) for x in places)
        for places in _places(held, sessions, draws, np.random.default_rng(1), "TEST")
    )

    assert set(found) == possible
    expected = draws / len(possible)
    chi_square = sum((count - expected) ** 2 / expected for count in found.values())
    assert chi_square < len(possible) - 1 + 5 * (2 * (len(possible) - 1)) ** 0.5


def _laid_out(order, idle):
    """Lay trades and idle sessions one after the other; `idle` are the idle ones' places."""
    places, position, waiting = {}, 0, list(order)
    for slot in range(4):
        if slot in idle:
            position += 1
            continue
        trade, length = waiting.pop(0)
        places[trade] = position
        position += length
    return places[0], places[1]


@given(
    held=st.lists(st.integers(0, 4), min_size=1, max_size=6),
    idle=st.integers(1, 20),
    seed=st.integers(0, 999),
)
def test_placements_never_overlap_or_leave_the_span(held, idle, seed):
    sessions = idle + sum(held) + len(held)
    for places in _places(at(*held), sessions, 5, np.random.default_rng(seed), "TEST"):
        spans = sorted(zip(places, held, strict=True))

        assert spans[0][0] >= 0
        assert spans[-1][0] + spans[-1][1] < sessions
        assert all(a + h < b for (a, h), (b, _) in pairwise(spans))


def test_the_null_of_one_trade_is_every_session_it_could_have_had():
    market = bars("gap 100 gap 104 gap 102 gap 108 gap 105")
    closes = market.close
    possible = sorted(DOLLARS * (closes[1:] / closes[:-1] - 1))

    found = over(market, [trade_of(market, 2, 1, pnl=77.0)], draws=400)

    assert sorted(set(np.round(found.null, 9))) == pytest.approx(possible)
    assert found.actual == pytest.approx(DOLLARS * 6 / 102)
    assert found.realised == 77.0
    assert found.realised_percentile == 1.0
    assert found.p_value == (1 + np.sum(found.null >= found.actual - 1e-6)) / 401


def test_every_draw_pays_the_costs_of_the_trades():
    market = random_walk(np.random.default_rng(2), 100)
    trade = trade_of(market, 50, 3)

    free, dear = (
        over(market, [one]) for one in (trade, replace(trade, commission=3.0, spread=4.0))
    )

    assert dear.null == pytest.approx(free.null - 7.0)
    assert dear.actual == pytest.approx(free.actual - 7.0)
    assert dear.p_value == free.p_value


def test_foresight_is_found_and_its_absence_is_not():
    market = random_walk(np.random.default_rng(3), 400)
    gained = np.concatenate([market.close[1:], market.close[-1:]]) / market.open - 1.0
    best = np.sort(np.argsort(gained[:-1:3])[-15:] * 3)
    worst = np.sort(np.argsort(gained[:-1:3])[:15] * 3)

    seer, fool = (
        over(market, [trade_of(market, int(entry), 1) for entry in entries])
        for entries in (best, worst)
    )

    assert seer.p_value == 1 / 1001
    assert seer.percentile == 1.0
    assert fool.p_value == 1.0
    assert "random entry p 0.001: 100.0% of 1000 draws" in str(seer)


def test_a_rising_market_is_not_skill():
    rising = random_walk(np.random.default_rng(4), 300, drift=0.01)
    trades = [trade_of(rising, entry, 4, pnl=40.0) for entry in range(0, 290, 12)]

    found = over(rising, trades)

    assert found.actual > 0
    assert found.p_value > 0.05


def test_the_seed_makes_the_draws():
    market = random_walk(np.random.default_rng(5), 80)
    trades = [trade_of(market, 10, 2), trade_of(market, 30, 5)]

    one, again, other = (over(market, trades, seed=seed, max_sessions=3) for seed in (1, 1, 2))

    assert list(one.null) == list(again.null)
    assert list(one.null) != list(other.null)


MARKET = random_walk(np.random.default_rng(6), 30)


@pytest.mark.parametrize(
    ("trades", "wishes", "error", "words"),
    [
        ([], {}, ConfigError, "no trades to compare"),
        ([trade_of(MARKET, 1, 1)], {"draws": 9}, ConfigError, "draws=9 are too few"),
        ([trade_of(MARKET, 1, 1)], {"max_sessions": -1}, ConfigError, "max_sessions=-1"),
        ([trade_of(MARKET, 0, 29)], {}, ConfigError, "fill all 30 sessions"),
        ([trade_of(MARKET, 1, 20)], {"last": date(2001, 1, 10)}, ConfigError, "held to 2001-01-22"),
        ([trade_of(MARKET, 1, 1)], {"first": date(2001, 1, 5)}, MissingBars, "no bar in the span"),
        ([trade_of(MARKET, 1, 1)], {"last": date(1999, 1, 1)}, MissingBars, "no bar from"),
        ([trade_of(MARKET, 1, 1, symbol="IBM")], {}, MissingBars, "IBM was traded but has no bars"),
    ],
)
def test_what_cannot_be_compared_is_refused(trades, wishes, error, words):
    with pytest.raises(error, match=words):
        over(MARKET, trades, **wishes)


def test_entries_are_drawn_while_the_symbol_is_a_member():
    """It rises before it belongs and stands still afterwards: nobody could have had the rise."""
    rise, still = 30, 20
    market = bars(" ".join(str(100 + 5 * n) for n in range(rise)) + f" {95 + 5 * rise}" * still)
    day = [date.fromisoformat(str(one)) for one in market.session]
    trades = [trade_of(market, rise + 5, 1)]
    member = Universe(membership=[(market.symbol, day[rise], None)])

    everywhere, inside = over(market, trades), over(market, trades, universe=member)

    assert everywhere.null.max() > 0.0
    assert np.ptp(inside.null) == pytest.approx(0.0)  # what its costs leave, wherever it is
    assert inside.actual == pytest.approx(inside.null[0])
    assert over(market, trades, universe=Universe([market.symbol])).null.tolist() == (
        everywhere.null.tolist()
    )
