# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics against hand calculations, other tools, published numbers and brute force."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from datetime import date
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from iverson.errors import DataError
from iverson.monitoring import metrics
from iverson.monitoring.measured import TARGETS, Metric
from iverson.monitoring.metrics import OBJECTIVES, WORST
from iverson.monitoring.summary import Drawdown, drawdown, summary

# Returns of +1, -1, +2 and 0 %. Mean 0.5 %; deviations 0.5, -1.5, 1.5, -0.5 %, squares sum to
# 5.00 %², / 3 = 1.6667, so s = 1.290994 %.
RETURNS = np.array([0.01, -0.01, 0.02, 0.0])
MEAN, DEVIATION = 0.005, 0.01290994448735806
ROOT_YEAR = 15.874507866387544  # square root of 252

# Wins 100 + 200, losses 50 + 100, one trade of 0.
PNL = np.array([100.0, -50.0, 0.0, 200.0, -100.0])

# Falls from 120 to 60 (-50 %), is back at 120 in the fifth session, falls again by 10 %.
FALLING = np.array([100.0, 120.0, 90.0, 60.0, 120.0, 130.0, 117.0])

money = st.floats(-1e6, 1e6, allow_nan=False).map(lambda dollars: round(dollars, 2))
equities = arrays(np.float64, st.integers(1, 40), elements=st.floats(1.0, 1e6))
ledgers = arrays(np.float64, st.integers(1, 60), elements=money)


def series(values: np.ndarray, start: str = "2012-01-03") -> pd.Series:
    return pd.Series(values, index=pd.bdate_range(start, periods=len(values)), dtype=float)


def noisy(sessions: int, seed: int = 1, drift: float = 0.0006) -> pd.Series:
    returns = np.random.default_rng(seed).normal(drift, 0.01, sessions)
    return series(100_000.0 * np.cumprod(1.0 + returns))


@pytest.fixture(scope="module")
def quantstats() -> ModuleType:
    """quantstats warns on import; that concerns nobody but this witness."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantstats.stats as witness
    return witness


# By hand


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("sharpe", RETURNS, ROOT_YEAR * MEAN / DEVIATION),
        ("volatility", RETURNS, ROOT_YEAR * DEVIATION),
        # Only one loss of 1 %: √(0.0001 / 4) = 0.005, the same as the mean.
        ("sortino", RETURNS, ROOT_YEAR),
        ("total_return", FALLING, 0.17),
        ("max_drawdown", FALLING, -0.5),
        # Falls of 25, 50 and 10 %: √((0.0625 + 0.25 + 0.01) / 7).
        ("ulcer_index", FALLING, math.sqrt(0.3225 / 7)),
        ("profit_factor", PNL, 300 / 150),
        ("win_rate", PNL, 2 / 5),
        ("average_trade", PNL, 150 / 5),
        # 30 dollars a trade against a mean loss of 75.
        ("expectancy", PNL, 0.4),
        ("payoff_ratio", PNL, 150 / 75),
        ("exposure", np.array([0.0, 2.0, -1.0, 0.0]), 0.5),
    ],
)
def test_small_examples_worked_by_hand(name, argument, expected):
    actual = getattr(metrics, name)(argument)

    assert expected == pytest.approx(actual, rel=1e-12)


def test_twenty_one_percent_in_two_calendar_years_is_ten_a_year():
    assert metrics.cagr(np.array([100.0, 50.0, 121.0]), 2.0) == pytest.approx(0.10)


def test_years_are_calendar_days_over_365_and_a_quarter():
    # 2012 is a leap year: 366 + 365 days.
    assert metrics.years_between(date(2012, 1, 3), date(2014, 1, 3)) == 731 / 365.25


def test_calmar_divides_yearly_growth_by_the_depth():
    # 117 / 100 in one year, fall of a half.
    assert metrics.calmar(FALLING, 1.0) == pytest.approx(0.17 / 0.5)


def test_turnover_is_one_when_the_account_was_bought_and_sold_once_a_year():
    equity = np.array([90.0, 100.0, 110.0])

    assert metrics.turnover(200.0, equity, 1.0) == pytest.approx(1.0)
    assert metrics.turnover(200.0, equity, 2.0) == pytest.approx(0.5)


def test_a_drawdown_names_its_sessions():
    expected = Drawdown(-0.5, date(2012, 1, 4), date(2012, 1, 6), date(2012, 1, 9))

    assert expected == drawdown(series(FALLING))


def test_a_drawdown_not_yet_recovered_has_no_recovery():
    found = drawdown(series(np.array([100.0, 100.0, 80.0, 80.0, 90.0])))

    assert (found.peak, found.trough) == (date(2012, 1, 4), date(2012, 1, 5))
    assert found.recovery is None


def test_equity_that_never_fell_has_no_drawdown_sessions():
    assert drawdown(series(np.array([1.0, 2.0, 2.0]))) == Drawdown(0.0)


# What does not exist


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("sharpe", np.array([0.01])),
        ("sharpe", np.full(100, 0.001)),
        ("sharpe", np.zeros(100)),
        ("volatility", np.array([])),
        ("sortino", np.array([])),
        ("sortino", np.zeros(3)),
        ("total_return", np.array([100.0])),
        ("max_drawdown", np.array([])),
        ("max_drawdown", np.array([0.0, 1.0])),
        ("profit_factor", np.array([])),
        ("profit_factor", np.zeros(3)),
        ("win_rate", np.array([])),
        ("average_trade", np.array([])),
        ("expectancy", np.array([5.0])),
        ("payoff_ratio", np.array([5.0])),
        ("exposure", np.array([])),
    ],
)
def test_a_number_that_does_not_exist_is_nan(name, argument):
    assert math.isnan(getattr(metrics, name)(argument))


@pytest.mark.parametrize(
    "name",
    [
        *("sharpe", "volatility", "sortino", "max_drawdown", "ulcer_index", "profit_factor"),
        *("win_rate", "average_trade", "expectancy", "payoff_ratio", "exposure"),
    ],
)
def test_nan_in_is_nan_out(name):
    assert math.isnan(getattr(metrics, name)(np.array([1.0, math.nan, -1.0])))


def test_no_losing_trade_is_an_infinite_profit_factor():
    assert metrics.profit_factor(np.array([5.0, 0.0])) == math.inf


def test_losing_everything_is_minus_one_a_year():
    assert metrics.cagr(np.array([100.0, 0.0]), 3.0) == -1.0
    assert metrics.cagr(np.array([100.0, -5.0]), 3.0) == -1.0


def test_after_a_ruin_there_are_no_returns():
    assert np.isnan(metrics.returns_of(np.array([100.0, 0.0, 50.0]))).all()


# Other tools


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_quantstats_agrees_where_it_means_the_same(quantstats, seed):
    equity = noisy(504, seed)
    values, returns = equity.to_numpy(), equity.pct_change().dropna()
    ours = metrics.returns_of(values)
    # The same growth over bars / 252 instead of the calendar.
    bars_per_year_252 = metrics.cagr(values, len(returns) / 252)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert metrics.sharpe(ours) == pytest.approx(quantstats.sharpe(returns))
        assert metrics.sortino(ours) == pytest.approx(quantstats.sortino(returns))
        assert metrics.volatility(ours) == pytest.approx(quantstats.volatility(returns))
        assert metrics.max_drawdown(values) == pytest.approx(quantstats.max_drawdown(returns))
        assert bars_per_year_252 == pytest.approx(quantstats.cagr(returns))
        assert metrics.profit_factor(ours) == pytest.approx(quantstats.profit_factor(returns))
        assert metrics.payoff_ratio(ours) == pytest.approx(quantstats.payoff_ratio(returns))


# Brute force and symmetry


@given(equities)
def test_max_drawdown_is_the_worst_of_all_pairs(equity):
    pairs = ((i, j) for j in range(len(equity)) for i in range(j + 1))
    worst = min(equity[j] / equity[i] - 1.0 for i, j in pairs)

    assert metrics.max_drawdown(equity) == pytest.approx(worst, abs=1e-12)


@given(equities, st.floats(0.01, 100.0))
def test_drawdown_and_sharpe_do_not_depend_on_the_currency(equity, rate):
    assert metrics.max_drawdown(equity * rate) == pytest.approx(metrics.max_drawdown(equity))
    dollars = metrics.sharpe(metrics.returns_of(equity))
    other = metrics.sharpe(metrics.returns_of(equity * rate))
    assert other == pytest.approx(dollars, rel=1e-6, abs=1e-6, nan_ok=True)


@given(ledgers)
def test_trading_the_other_side_inverts_the_profit_factor(pnl):
    there, back = metrics.profit_factor(pnl), metrics.profit_factor(-pnl)

    if math.isnan(there):
        assert math.isnan(back)
    elif there == 0.0 or math.isinf(there):
        assert {there, back} == {0.0, math.inf}
    else:
        assert there * back == pytest.approx(1.0)


@given(ledgers)
def test_profit_factor_above_one_means_money_was_made(pnl):
    factor, total = metrics.profit_factor(pnl), math.fsum(pnl)

    if abs(total) > 0.001:
        assert (factor > 1.0) == (total > 0.0)


@given(ledgers)
def test_payoff_and_win_rate_make_the_profit_factor(pnl):
    payoff = metrics.payoff_ratio(pnl)
    wins, losses = int((pnl > 0).sum()), int((pnl < 0).sum())

    if not math.isnan(payoff):
        assert payoff * wins / losses == pytest.approx(metrics.profit_factor(pnl))


@given(equities)
def test_a_drawdown_runs_from_its_peak_to_its_trough(equity):
    path = series(equity)
    found = drawdown(path)

    if found.peak is not None and found.trough is not None:
        assert found.peak < found.trough
        fall = path[pd.Timestamp(found.trough)] / path[pd.Timestamp(found.peak)] - 1.0
        assert fall == pytest.approx(found.depth)


# Objectives


def test_objectives_are_the_metrics_themselves():
    equity = noisy(504).to_numpy()
    returns = metrics.returns_of(equity)
    pnl = np.tile(PNL, 6)
    expected = {
        "sharpe": metrics.sharpe(returns),
        "cagr": metrics.cagr(equity, 2.0),
        "profit_factor": 2.0,
        "calmar": metrics.cagr(equity, 2.0) / -metrics.max_drawdown(equity),
        "total_return": equity[-1] / equity[0] - 1.0,
        "sortino": metrics.sortino(returns),
    }

    actual = {name: objective(equity, pnl, 2.0) for name, objective in OBJECTIVES.items()}

    assert expected == pytest.approx(actual)


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_too_few_trades_score_worst(name):
    equity, pnl = noisy(504).to_numpy(), np.tile(PNL, 6)

    assert OBJECTIVES[name](equity, pnl[:-1], 2.0) == WORST
    assert OBJECTIVES[name](equity, pnl[:-1], 2.0, minimum_trades=29) > WORST


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
@pytest.mark.parametrize("equity", [[], [100.0], [100.0, math.nan], [0.0, 0.0]])
def test_an_objective_is_never_nan(name, equity):
    assert OBJECTIVES[name](np.array(equity, dtype=float), np.array([]), 0.0, 0) == WORST


# Summary


def test_a_summary_has_every_metric_with_its_interval_around_it():
    pnl = np.random.default_rng(2).normal(20.0, 200.0, 120)
    found = summary(noisy(504), pnl, positions=np.ones(504), holding=np.ones(120), traded=1e6)
    without = {"best_session", "worst_session", "exposure", "turnover"}

    assert len(found) == 18
    for metric in found:
        assert math.isfinite(metric.value)
        assert metric.enough
        if metric.name in without:
            assert math.isnan(metric.low)
        else:
            assert metric.low <= metric.value <= metric.high


def test_a_summary_is_read_by_attribute_name_and_table():
    found = summary(noisy(100), PNL)

    assert found.sharpe is found["sharpe"]
    assert found.table().loc["sharpe", "value"] == found.sharpe.value
    assert list(found.table().index) == [metric.name for metric in found]
    with pytest.raises(AttributeError, match="no metric 'sharp'"):
        _ = found.sharp


def test_thin_data_is_said_beside_the_number_and_never_hides_it():
    found = summary(noisy(60), np.tile(PNL, 5)[:29])

    assert found.sharpe.observations == 59
    assert not found.sharpe.enough
    assert not found.profit_factor.enough
    assert "insufficient data" in str(found.sharpe)
    assert f"{found.profit_factor.value:.2f}" in str(found.profit_factor)
    assert summary(noisy(61), np.tile(PNL, 6)).sharpe.enough
    assert summary(noisy(61), np.tile(PNL, 6)).profit_factor.enough


@pytest.mark.parametrize(
    ("name", "value", "met", "note"),
    [
        ("sharpe", 1.01, True, ""),
        ("sharpe", 1.0, False, "misses the target"),
        ("profit_factor", 1.5, False, "misses the target"),
        ("profit_factor", math.inf, True, ""),
        ("max_drawdown", -0.08, True, ""),
        ("max_drawdown", -0.12, False, "misses the target"),
        ("max_drawdown", -0.16, False, "beyond the 15% cap"),
        ("cagr", -0.5, None, ""),
        ("sharpe", math.nan, None, ""),
    ],
)
def test_targets_are_bounds_to_exceed(name, value, met, note):
    target = TARGETS.get(name)
    metric = Metric(name, value, math.nan, math.nan, 100, enough=True, target=target)

    assert (metric.met, metric.note) == (met, note)


def test_the_same_seed_gives_the_same_intervals_and_another_does_not():
    equity, pnl = noisy(100), np.tile(PNL, 8)
    first, again, other = (summary(equity, pnl, seed=seed) for seed in (3, 3, 4))

    assert str(first) == str(again)
    assert first.cagr.low != other.cagr.low
    assert (first.seed, first.resamples, first.level) == (3, 1000, 0.95)


def test_without_resamples_the_bootstrapped_intervals_are_unknown():
    found = summary(noisy(100), PNL, resamples=0)

    assert math.isnan(found.cagr.low)
    assert math.isfinite(found.sharpe.low)
    assert math.isfinite(found.win_rate.low)


def test_starting_equity_lets_the_first_session_count():
    equity = series(np.array([90.0, 99.0]))

    assert summary(equity, PNL).max_drawdown.value == 0.0
    found = summary(equity, PNL, starting_equity=100.0)
    assert found.max_drawdown.value == pytest.approx(-0.10)
    assert found.total_return.value == pytest.approx(-0.01)
    assert found.first == date(2012, 1, 3)
    # One session, counted as two calendar days: the evening before to the second close.
    assert found.cagr.value == pytest.approx(0.99 ** (365.25 / 2) - 1.0)


def test_nothing_at_all_gives_a_summary_of_nothing():
    found = summary(pd.Series([], dtype=float), [])

    assert all(math.isnan(metric.value) for metric in found)
    assert not any(metric.enough for metric in found)
    assert "sharpe n/a n=0 (insufficient data)" in str(found)


def test_a_ruined_account_has_a_summary():
    found = summary(series(np.array([100.0, 50.0, 0.0, 0.0])), PNL)

    assert found.total_return.value == -1.0
    assert found.max_drawdown.value == -1.0
    assert math.isnan(found.sharpe.value)


@pytest.mark.parametrize(
    ("equity", "arguments", "message"),
    [
        (series(np.array([1.0, math.nan])), {}, "equity is nan in row 1"),
        (series(np.array([1.0, 2.0]))[::-1], {}, "out of order"),
        (series(np.array([1.0, 2.0])), {"positions": [1]}, "positions has 1 rows; expected 2"),
        (series(np.array([1.0, 2.0])), {"holding": [1, 2]}, "holding has 2 rows; expected 5"),
        (series(np.array([1.0, 2.0])), {"starting_equity": 0.0}, "starting_equity is 0.0"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(equity, arguments, message):
    with pytest.raises(DataError, match=message):
        summary(equity, PNL, **arguments)


def test_a_summary_survives_pickling_and_copying():
    found = summary(noisy(100), PNL, resamples=10)

    assert str(pickle.loads(pickle.dumps(found))) == str(found)  # noqa: S301 (our own bytes)
    assert str(copy.deepcopy(found)) == str(found)
