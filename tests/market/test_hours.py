# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a bar lies within its session, one at a time and all at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from iverson.engine.feed import day_numbers
from iverson.market.hours import regular_hours, since_open, since_opens
from iverson.testing import at
from tests.minute_bars import quiet, sessions_from

FULL, HALF_DAY = 390 * 60, 210 * 60


@pytest.mark.parametrize(
    ("instant", "seconds", "length"),
    [
        ("2024-03-08 14:31", 60, FULL),  # winter: the session opens at 14:30 UTC
        ("2024-03-11 13:31", 60, FULL),  # summer, after the weekend of the change
        ("2024-03-11 20:00", FULL, FULL),
        ("2024-11-04 15:00", 1800, FULL),  # winter again
        ("2024-07-03 17:00", HALF_DAY, HALF_DAY),
        ("2024-07-03 17:01", HALF_DAY + 60, HALF_DAY),
        ("2024-03-11 13:29", 2 * 86_400 + 23 * 3600 - 60, FULL),  # still Friday's, 71 hours later
    ],
)
def test_seconds_are_counted_from_the_last_open(instant: str, seconds: int, length: int) -> None:
    (number,) = day_numbers([at(instant).replace(tzinfo=None)])

    found = since_open(float(number))
    assert (found.seconds, found.length) == (seconds, length)


@given(some.integers(0, 60 * 24 * 400), some.integers(1, 60))
def test_one_bar_and_an_array_of_them_agree(minute: int, step: int) -> None:
    begin = np.datetime64("2023-11-01T00:00")
    instants = begin + np.arange(minute, minute + 50 * step, step).astype("timedelta64[m]")
    numbers = day_numbers(instants.astype("datetime64[us]").tolist())

    singly = [tuple(since_open(number)) for number in numbers.tolist()]
    assert singly == list(zip(*(one.tolist() for one in since_opens(numbers)), strict=True))


@pytest.mark.parametrize("length", [1, 5, 15, 60, 390])
def test_whole_sessions_are_regular_with_the_shorter_bar_at_their_close(length: int) -> None:
    bars = quiet(sessions_from(date(2024, 7, 1), 5))  # the 3rd is a half day
    last = np.r_[bars.session[1:] != bars.session[:-1], True]
    begins = np.r_[0, np.flatnonzero(last)[:-1] + 1]
    minute = np.arange(len(bars)) - np.repeat(begins, np.diff(np.r_[begins, len(bars)])) + 1
    longer = replace(bars[np.flatnonzero((minute % length == 0) | last)], interval=f"{length}m")

    assert regular_hours(longer) is longer


def test_bars_around_the_session_are_left_out_and_their_dividend_is_not_lost() -> None:
    bars = quiet(sessions_from(date(2024, 7, 2), 2))
    paid = np.zeros(len(bars))
    first = int(np.flatnonzero(bars.session == np.datetime64("2024-07-03"))[0])
    paid[first] = 0.5
    early = replace(bars, at=bars.at - np.timedelta64(10, "m"), dividend=paid)

    left = regular_hours(early)
    days = left.session == np.datetime64("2024-07-03")
    assert len(bars) - len(left) == 2 * 10
    assert left.dividend[days].tolist() == [0.5, *[0.0] * (int(days.sum()) - 1)]
    assert left.dividend[~days].tolist() == [0.0] * int((~days).sum())
