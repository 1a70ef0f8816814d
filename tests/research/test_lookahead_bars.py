# SPDX-License-Identifier: GPL-3.0-or-later
"""Other futures are valid bars, the same up to one bar and different at every bar after it."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.research.lookahead_bars import acted, changed, cut, frame_changed
from iverson.testing import START, bars

N = 20
PRICES = ("open", "high", "low", "close")


def series() -> Bars:
    words = " ".join(f"{100 + n}/{103 + n}/{98 + n}/{101 + n}@{5000 + n}" for n in range(N))
    return bars(words, splits={7: 3.0}, dividends={4: 0.5, 15: 0.2})


def same(one: Bars, other: Bars, rows: slice) -> bool:
    return one[rows].digest == other[rows].digest


@given(after=st.integers(0, N), seed=st.integers(0, 50))
def test_changed_bars_are_the_same_before_and_valid_but_different_after(
    after: int, seed: int
) -> None:
    plain = series()
    other = changed({"TEST": plain}, {"TEST": after}, seed)["TEST"]
    moved = {name: getattr(other, name)[after:] != getattr(plain, name)[after:] for name in PRICES}

    assert same(plain, other, slice(0, after))
    assert all(values.all() for values in moved.values())
    assert (other.factor[after:] != plain.factor[after:]).sum() >= 2 * (N - after) // 3
    assert (other.low <= np.minimum(other.open, other.close)).all()
    assert (other.high >= np.maximum(other.open, other.close)).all()
    assert (other.low > 0).all()
    assert other.digest == changed({"TEST": plain}, {"TEST": after}, seed)["TEST"].digest


def test_first_bar_of_another_future_is_split() -> None:
    after = 10
    plain = series()
    for other in (
        changed({"TEST": plain}, {"TEST": after}, 0)["TEST"],
        acted({"TEST": plain}, {"TEST": after})["TEST"],
    ):
        assert other.factor[after] == 2 * plain.factor[after]
        assert other.dividend[after] > 0


def test_split_and_dividend_leave_the_market_as_it_was() -> None:
    after = 10
    plain = series()
    other = acted({"TEST": plain}, {"TEST": after})["TEST"]

    assert same(plain, other, slice(0, after))
    for name in PRICES:
        np.testing.assert_array_equal(
            getattr(other, name) * other.factor, getattr(plain, name) * plain.factor
        )
    assert np.flatnonzero(other.dividend).tolist() == [4, after, 15]
    assert other.dividend[15] == plain.dividend[15] / 2


def test_shares_are_not_split_within_the_session_of_the_bar() -> None:
    plain = series()
    per_session = 4
    session = np.repeat(plain.session[: N // per_session], per_session)
    within = Bars(**{**vars(plain), "interval": "60m", "session": session})
    after = 6  # the second of its session's two later bars is row 7
    other = changed({"TEST": within}, {"TEST": after}, 0)["TEST"]

    np.testing.assert_array_equal(other.factor[6:8], within.factor[6:8])
    assert (other.factor[8:12] == 2 * within.factor[8:12]).all()


def test_cut_bars_end() -> None:
    assert len(cut({"TEST": series()}, {"TEST": 4})["TEST"]) == 4


SESSION = date(2024, 1, 10)
AT = pd.Timestamp(new_york().close_at(SESSION))
DAYS = pd.DatetimeIndex(new_york().sessions[new_york().ordinal(START) :][:12])


@pytest.mark.parametrize(
    ("index", "known"),
    [
        (DAYS, pd.Timestamp(SESSION) > DAYS),
        (DAYS.tz_localize("America/New_York"), pd.Timestamp(SESSION) >= DAYS),
        (DAYS + pd.Timedelta(hours=AT.hour), pd.Timestamp(SESSION) >= DAYS),
        (DAYS + pd.Timedelta(hours=AT.hour, minutes=1), pd.Timestamp(SESSION) > DAYS),
    ],
)
def test_rows_of_a_frame_change_from_the_first_that_is_not_known(
    index: pd.DatetimeIndex, known: np.ndarray
) -> None:
    frame = pd.DataFrame(
        {
            "number": np.linspace(-1, 1, len(index)),
            "count": np.arange(len(index)),
            "flag": np.arange(len(index)) % 2 == 0,
            "word": [f"w{n}" for n in range(len(index))],
        },
        index=index,
    )
    other = frame_changed(frame, at=AT, session=SESSION, seed=1)

    assert other.dtypes.equals(frame.dtypes)
    for name in frame:
        np.testing.assert_array_equal((other[name] == frame[name]).to_numpy(), known)
