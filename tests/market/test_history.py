# SPDX-License-Identifier: GPL-3.0-or-later
"""Daily facts are those of the past: nothing at or after the session asked about matters."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.history import DailyHistory
from iverson.testing import START, bars

N = 90
LOOKBACK = 20


def made(closes: np.ndarray, volumes: np.ndarray, **how: Any) -> Bars:
    words = (
        f"{c:.17g}/{c:.17g}/{c:.17g}/{c:.17g}@{v}" for c, v in zip(closes, volumes, strict=True)
    )
    return bars(" ".join(words), **how)


def random_bars(seed: int, n: int = N) -> Bars:
    dice = np.random.default_rng(seed)
    return made(100 * np.exp(np.cumsum(dice.normal(0, 0.02, n))), dice.integers(1, 10**6, n))


def minute_bars(daily: Bars, parts: int = 3) -> Bars:
    """Split each session into bars an hour apart, the last of which has the daily close."""
    rows = np.repeat(np.arange(len(daily)), parts)
    step = np.tile(np.arange(parts), len(daily))
    at = daily.at[rows] - (parts - 1 - step) * np.timedelta64(3600, "s")
    close = np.where(step == parts - 1, daily.close[rows], daily.close[rows] * 1.5)
    volume = daily.volume[rows] * (step + 1)
    return Bars(
        daily.symbol, "1h", at, daily.session[rows], close, close, close, close, volume,
        daily.factor[rows], daily.dividend[rows] * 0,
    )  # fmt: skip


def test_returns_are_logs_of_close_over_close_on_the_sessions_before() -> None:
    history = DailyHistory({"TEST": bars("100 110 99 108.9 200")})
    sessions, returns = history.log_returns("TEST", before=_session(4), sessions=2)

    assert sessions.tolist() == [_session(2), _session(3)]
    assert returns == pytest.approx([math.log(0.9), math.log(1.1)])


def _session(n: int) -> date:
    return new_york().offset(START, n)


def test_first_bar_has_no_return() -> None:
    history = DailyHistory({"TEST": bars("100 110 99")})

    assert len(history.log_returns("TEST", before=_session(1), sessions=60)[1]) == 0
    assert history.log_returns("TEST", before=_session(9), sessions=60)[0].tolist() == [
        _session(1),
        _session(2),
    ]


def test_split_is_no_return() -> None:
    split = bars("100 100 | 25/25/25/25 25", splits={2: 4.0})
    _, returns = DailyHistory({"TEST": split}).log_returns("TEST", before=_session(9), sessions=60)

    assert returns.tolist() == [0.0, 0.0, 0.0]


def test_sessions_are_those_of_the_exchange_not_of_the_symbol() -> None:
    whole = random_bars(1)
    keep = np.ones(N, dtype=bool)
    keep[50:60] = False
    history = DailyHistory({"TEST": whole[keep]})
    sessions, returns = history.log_returns("TEST", before=_session(65), sessions=LOOKBACK)

    assert sessions.tolist() == [_session(n) for n in (45, 46, 47, 48, 49, 60, 61, 62, 63, 64)]
    assert returns[5] == pytest.approx(math.log(whole.close[60] / whole.close[49]))


def test_average_volume_is_of_the_last_sessions_through_today() -> None:
    daily = bars("100/100/100/100@1000 100/100/100/100@2000 100/100/100/100@6000")
    history = DailyHistory({"TEST": daily})

    assert history.average_volume("TEST", through=_session(0), sessions=2) == 1_000
    assert history.average_volume("TEST", through=_session(1), sessions=2) == 1_500
    assert history.average_volume("TEST", through=_session(2), sessions=2) == 4_000
    assert history.average_volume("TEST", through=_session(8), sessions=2) == 4_000


def test_average_volume_counts_shares_as_they_are_on_the_day() -> None:
    split = bars("100/100/100/100@1000 50/50/50/50@2000 50/50/50/50@2000", splits={1: 2.0})
    history = DailyHistory({"TEST": split})

    assert history.average_volume("TEST", through=_session(0), sessions=20) == 1_000
    assert history.average_volume("TEST", through=_session(1), sessions=20) == 2_000
    assert history.average_volume("TEST", through=_session(2), sessions=20) == 2_000


@pytest.mark.parametrize("window", [1, 7, 8, 20, N, N + 1])
def test_average_volumes_are_the_means_of_the_windows_to_the_bit(window: int) -> None:
    rng = np.random.default_rng(window)
    volumes = rng.lognormal(14, 2, N)
    one = replace(random_bars(3), volume=volumes)
    found = DailyHistory({"TEST": one}).average_volumes("TEST", one.session, window=window)
    expected = [volumes[max(0, end - window) : end].mean() for end in range(1, N + 1)]

    assert found.tolist() == expected


def test_unknown_symbol_and_empty_past_are_nothing() -> None:
    history = DailyHistory({"TEST": bars("100 101")})

    assert len(history.log_returns("NONE", before=START, sessions=60)[0]) == 0
    assert math.isnan(history.average_volume("NONE", through=START, sessions=20))
    assert math.isnan(history.average_volume("TEST", through=_session(-1), sessions=20))
    assert (
        len(DailyHistory({"TEST": bars("")}).log_returns("TEST", before=START, sessions=5)[1]) == 0
    )


def test_minute_bars_are_summed_up_by_session() -> None:
    daily = random_bars(2)
    history, hourly = DailyHistory({"TEST": daily}), DailyHistory({"TEST": minute_bars(daily)})
    day = _session(70)
    expected = history.log_returns("TEST", before=day, sessions=60)
    found = hourly.log_returns("TEST", before=day, sessions=60)

    assert found[0].tolist() == expected[0].tolist()
    assert found[1] == pytest.approx(expected[1])
    assert hourly.average_volume("TEST", through=day, sessions=20) == pytest.approx(
        6 * history.average_volume("TEST", through=_session(69), sessions=20)
    )


def test_volume_of_the_session_in_progress_is_not_known_from_minute_bars() -> None:
    hourly = DailyHistory({"TEST": minute_bars(bars("100/100/100/100@1000 " * 3))})

    assert math.isnan(hourly.average_volume("TEST", through=_session(0), sessions=20))
    assert hourly.average_volume("TEST", through=_session(1), sessions=20) == 6_000


@given(st.integers(2, N - 1), st.integers(0, 1_000), st.booleans())
def test_nothing_later_matters(cut: int, seed: int, by_the_hour: bool) -> None:
    """Replace everything from a session on; the answers about it stay what they were."""
    one, other = random_bars(1), random_bars(seed + 2)
    mixed = {
        name: np.r_[getattr(one, name)[: cut + 1], getattr(other, name)[cut + 1 :]]
        for name in ("open", "high", "low", "close", "volume")
    }
    later = replace(one, **mixed)
    if by_the_hour:
        one, later = minute_bars(one), minute_bars(later)
    before, after = DailyHistory({"TEST": one}), DailyHistory({"TEST": later})
    day = _session(cut)

    for history in (after, DailyHistory({"TEST": one[one.session <= np.datetime64(day)]})):
        assert np.array_equal(
            before.log_returns("TEST", before=day, sessions=60),
            history.log_returns("TEST", before=day, sessions=60),
        )
        assert before.average_volume("TEST", through=day, sessions=20) == pytest.approx(
            history.average_volume("TEST", through=day, sessions=20)
        )


@given(st.integers(2, N - 1), st.floats(0.01, 100.0))
def test_close_of_the_day_itself_is_no_return_yet(cut: int, times: float) -> None:
    one = random_bars(1)
    close = one.close.copy()
    close[cut] *= times
    before, after = (DailyHistory({"TEST": b}) for b in (one, replace(one, close=close)))

    assert np.array_equal(
        before.log_returns("TEST", before=_session(cut), sessions=60),
        after.log_returns("TEST", before=_session(cut), sessions=60),
    )


@given(st.integers(1, N - 1), st.integers(1, 1_000))
def test_split_to_come_changes_no_answer(cut: int, ratio: int) -> None:
    one = random_bars(1)
    factor = np.ones(N)
    factor[cut:] = ratio
    split = replace(
        one,
        factor=factor,
        **{name: getattr(one, name) / factor for name in ("open", "high", "low", "close")},
        volume=one.volume * factor,
    )
    plain, later = DailyHistory({"TEST": one}), DailyHistory({"TEST": split})
    day = _session(cut - 1)

    assert later.log_returns("TEST", before=day, sessions=60)[1] == pytest.approx(
        plain.log_returns("TEST", before=day, sessions=60)[1]
    )
    assert later.average_volume("TEST", through=day, sessions=20) == pytest.approx(
        plain.average_volume("TEST", through=day, sessions=20)
    )
