# SPDX-License-Identifier: GPL-3.0-or-later
"""Regimes: known the evening before, told as documented, and measured on their own sessions."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import iverson as iv
from iverson.errors import DataError
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.monitoring.intervals import sharpe_interval, wilson
from iverson.monitoring.record import EquityRow, Record
from iverson.research.regimes import STATES, UNKNOWN, benchmark, regimes
from iverson.research.regimes_table import by_regime
from iverson.research.results import Recorded
from iverson.testing import bars

WINDOWS = dict(volatility_sessions=5, history_sessions=8, trend_sessions=7)
CASH = 10_000.0
START = date(2010, 1, 4)


def levels(count: int, seed: int = 0) -> pd.Series:
    generator = np.random.default_rng(seed)
    scale = 0.005 + 0.02 * (np.sin(np.arange(count) / 17) > 0)
    sessions = new_york().sessions[new_york().ordinal(START) :][:count]
    values = 100 * np.exp(np.cumsum(generator.normal(0, 1, count) * scale))
    return pd.Series(values, index=pd.DatetimeIndex(sessions, name="session"))


def told_one_by_one(level: pd.Series, windows: dict) -> pd.DataFrame:
    """Label each session from a list of the closes before it and nothing else."""
    v, h, t = (windows[f"{name}_sessions"] for name in ("volatility", "history", "trend"))
    rows = []
    for number in range(len(level)):
        closes = level.to_numpy()[:number]
        returns = closes[1:] / closes[:-1] - 1
        past = [np.std(returns[end - v : end], ddof=1) for end in range(v, len(returns) + 1)]
        volatility = trend = UNKNOWN
        if len(past) >= h:
            low, high = np.quantile(past, [1 / 3, 2 / 3])
            volatility = "calm" if past[-1] <= low else "normal" if past[-1] <= high else "volatile"
        if len(closes) >= t:
            trend = "rising" if closes[-1] > closes[-t:].mean() else "falling"
        rows.append((volatility, trend))
    return pd.DataFrame(rows, columns=["volatility", "trend"], index=level.index)


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_those_told_one_by_one_from_the_closes_before(seed):
    level = levels(300, seed)

    labels = regimes(level, **WINDOWS)

    pd.testing.assert_frame_equal(labels, told_one_by_one(level, WINDOWS))
    for kind, states in STATES.items():
        assert set(labels[kind]) == {UNKNOWN, *states}


@settings(max_examples=60)
@given(st.integers(0, 119), st.integers(0, 10_000), st.floats(0.2, 5.0))
def test_prices_from_a_session_on_do_not_change_its_label_nor_earlier_ones(at, seed, factor):
    level = levels(120)
    other = level.copy()
    noise = np.exp(np.random.default_rng(seed).normal(0, 0.1, 120 - at))
    other.iloc[at:] *= factor * noise

    before, after = regimes(level, **WINDOWS), regimes(other, **WINDOWS)

    pd.testing.assert_frame_equal(before.iloc[: at + 1], after.iloc[: at + 1])


def test_the_close_of_a_session_does_change_the_next_label():
    level = levels(120)
    changed = 0
    for at in range(20, 119):
        other = level.copy()
        other.iloc[at] *= 3.0
        labels = regimes(other, **WINDOWS).iloc[at + 1]
        changed += tuple(labels) != tuple(regimes(level, **WINDOWS).iloc[at + 1])
        assert tuple(labels) == ("volatile", "rising")

    assert changed > 50


def test_bars_from_a_session_on_do_not_change_its_label_nor_earlier_ones():
    one, two = (walk(symbol, seed) for symbol, seed in (("ONE", 1), ("TWO", 2)))
    at = 90
    close = two.close.copy()
    close[at:] *= 2.0
    wide = replace(two, close=close, high=np.maximum(two.high, close))

    before = regimes({"ONE": one, "TWO": two}, **WINDOWS)
    after = regimes({"ONE": one, "TWO": wide}, **WINDOWS)

    pd.testing.assert_frame_equal(before.iloc[: at + 1], after.iloc[: at + 1])
    assert not before.equals(after)


def walk(symbol: str, seed: int, count: int = 120) -> Bars:
    words = " ".join(f"{price:.2f}" for price in levels(count, seed))
    return bars(words, symbol=symbol, start=START)


def test_labels_are_unknown_until_the_windows_are_full():
    labels = regimes(levels(700))

    # A session needs 60 returns, 252 values made of them, and a close after which to be told.
    assert (labels["volatility"] == UNKNOWN).sum() == 60 + 252
    assert (labels["trend"] == UNKNOWN).sum() == 200
    assert labels["volatility"].iloc[60 + 252] != UNKNOWN
    assert labels["trend"].iloc[200] != UNKNOWN


def test_steady_rise_and_fall_are_told_as_such():
    sessions = levels(400).index
    up = pd.Series(np.linspace(100, 200, 400), index=sessions)

    assert set(regimes(up)["trend"].iloc[200:]) == {"rising"}
    assert set(regimes(up[::-1].set_axis(sessions))["trend"].iloc[200:]) == {"falling"}


def test_benchmark_is_the_mean_return_with_splits_and_dividends():
    one = bars("100 110 | gap 60 66", symbol="ONE", splits={2: 2.0}, dividends={2: 1.0})
    two = bars("50 55 44 44", symbol="TWO")

    level = benchmark({"ONE": one, "TWO": two})

    returns = [0.0, (0.10 + 0.10) / 2, ((60 + 1) * 2 / 110 - 1 - 0.2) / 2, (66 / 60 - 1) / 2]
    assert level.to_numpy() == pytest.approx(np.cumprod(1 + np.array(returns)))


def test_a_symbol_joins_the_benchmark_with_its_second_bar():
    one = bars("100 110 121 133.1", symbol="ONE")
    late = one.session[2].item()
    two = bars("10 20", symbol="TWO", start=late)

    level = benchmark({"ONE": one, "TWO": two})

    assert level.pct_change().to_numpy()[1:] == pytest.approx([0.10, 0.10, (0.10 + 1.0) / 2])


def test_minute_bars_count_with_the_last_close_of_each_session():
    daily = bars("100 103 101 107", symbol="ONE", dividends={2: 0.5})
    columns = {
        name: np.repeat(getattr(daily, name), 2)
        for name in ("session", "open", "high", "low", "close", "volume", "factor")
    }
    columns["close"] = columns["close"].copy()
    columns["close"][::2] = 50.0
    at = np.sort(np.concatenate([daily.at, daily.at - np.timedelta64(60, "m")]))
    dividend = np.zeros(8)
    dividend[4] = 0.5
    minutes = Bars(symbol="ONE", interval="60m", at=at, dividend=dividend, **columns)

    pd.testing.assert_series_equal(benchmark({"ONE": minutes}), benchmark({"ONE": daily}))


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (levels(50)[::-1], "out of order"),
        (pd.concat([levels(50), levels(50)]).sort_index(), "repeated"),
        (levels(50).where(lambda one: one.index != one.index[7]), "no level above 0 on 2010-01-13"),
        (levels(50) - 1000, "no level above 0"),
        ({"ONE": bars("100")}, "no symbol has two sessions"),
    ],
)
def test_a_benchmark_that_cannot_be_used_is_refused_in_a_sentence(level, words):
    with pytest.raises(DataError, match=words):
        regimes(level, **WINDOWS)


def test_a_window_of_one_session_is_refused():
    with pytest.raises(DataError, match="a window of 1 sessions"):
        regimes(levels(50), trend_sessions=1)


class Dip(iv.Strategy):
    params = dict(max_sessions=1)
    warm_up = 65

    def entry(self, data):
        return iv.Long(
            confidence=(data.close < data.close(-1)) * 4, limit=data.close, stop=data.close * 0.96
        )


@pytest.fixture(scope="module")
def result():
    held = {symbol: walk(symbol, seed, 800) for symbol, seed in (("ONE", 1), ("TWO", 2))}
    return iv.System(Dip, list(held), bars=held).backtest()


@pytest.fixture(scope="module")
def table(result):
    return by_regime(result, regimes(result.bars, **WINDOWS), seed=1)


def test_sessions_trades_and_profit_add_up_over_the_states(result, table):
    for kind in STATES:
        rows = table.loc[kind]
        assert rows["sessions"].sum() == len(result.equity)
        assert rows["trades"].sum() == len(result.trades)
        assert rows["pnl"].sum() == pytest.approx(result.trades["pnl"].sum())
    assert len(result.trades) > 100


def test_each_state_is_measured_on_its_own_sessions_and_entries(result, table):
    labels = regimes(result.bars, **WINDOWS).loc[result.equity.index]
    returns = result.equity.pct_change()
    returns.iloc[0] = result.equity.iloc[0] / result.start - 1
    entered = result.trades["entry_session"].map(labels["trend"])

    for state in STATES["trend"]:
        row = table.loc["trend", state]
        mine = returns[labels["trend"] == state]
        made = result.trades.loc[entered == state, "pnl"]
        assert row["volatility"] == pytest.approx(mine.std() * math.sqrt(252))
        assert row["sharpe"] == pytest.approx(mine.mean() / mine.std() * math.sqrt(252))
        assert row["return_a_year"] == pytest.approx((1 + mine).prod() ** (252 / len(mine)) - 1)
        assert row["win_rate"] == (made > 0).mean()
        assert tuple(row[["win_rate_low", "win_rate_high"]]) == wilson((made > 0).sum(), len(made))
        assert row["pnl"] == pytest.approx(made.sum())


def test_limits_hold_the_numbers_between_them(table):
    for name in ("return_a_year", "volatility", "sharpe", "win_rate", "pnl"):
        known = table[table[f"{name}_low"].notna()]
        assert len(known) >= 5
        assert (known[f"{name}_low"] < known[name]).all()
        assert (known[name] < known[f"{name}_high"]).all()


def test_the_same_seed_gives_the_same_table_and_another_other_limits(result, table):
    labels = regimes(result.bars, **WINDOWS)

    pd.testing.assert_frame_equal(by_regime(result, labels, seed=1), table)
    other = by_regime(result, labels, seed=2)
    assert not other["sharpe_low"].equals(table["sharpe_low"])
    pd.testing.assert_series_equal(other["sharpe"], table["sharpe"])


def account(returns: np.ndarray) -> Recorded:
    days = [day.date() for day in levels(len(returns)).index]
    equity = CASH * np.cumprod(1 + returns)
    rows = [
        EquityRow(new_york().close_at(day), day, own, own, 0.0, 0)
        for day, own in zip(days, equity.tolist(), strict=True)
    ]

    class Account(Recorded):
        record = Record(values=rows)
        start = CASH

    return Account()


def test_states_below_the_minimum_have_counts_but_no_numbers():
    returns = np.random.default_rng(0).normal(0, 0.01, 200)
    own = account(returns)
    labels = pd.DataFrame({"market": np.where(np.arange(200) < 59, "short", "long")})

    found = by_regime(own, labels.set_index(own.equity.index))

    assert found.loc[("market", "short"), "sessions"] == 59
    assert math.isnan(found.loc[("market", "short"), "sharpe"])
    assert math.isnan(found.loc[("market", "short"), "sharpe_low"])
    assert math.isfinite(found.loc[("market", "long"), "sharpe"])
    assert found.loc[("market", "long"), "trades"] == 0
    assert math.isnan(found.loc[("market", "long"), "win_rate"])


def test_sessions_without_a_label_are_unknown():
    own = account(np.random.default_rng(0).normal(0, 0.01, 200))
    labels = pd.DataFrame({"market": "here"}, index=own.equity.index[:120])

    found = by_regime(own, labels)

    assert found["sessions"].to_dict() == {("market", UNKNOWN): 80, ("market", "here"): 120}


def test_a_label_twice_is_refused():
    own = account(np.full(70, 0.001))
    labels = pd.DataFrame({"market": "here"}, index=own.equity.index[[0, 0]])

    with pytest.raises(DataError, match="a session twice"):
        by_regime(own, labels)


def test_limits_of_independent_returns_agree_with_the_formula():
    returns = np.random.default_rng(3).normal(0.0004, 0.01, 1500)
    own = account(returns)
    labels = pd.DataFrame({"coin": np.random.default_rng(4).choice(["heads", "tails"], 1500)})

    found = by_regime(own, labels.set_index(own.equity.index), resamples=2000)

    for state in ("heads", "tails"):
        row = found.loc["coin", state]
        low, high = sharpe_interval(returns[(labels["coin"] == state).to_numpy()])
        # Resampling also draws how many sessions the state has: a little wider, not much.
        assert row["sharpe_high"] - row["sharpe_low"] == pytest.approx(high - low, rel=0.12)
