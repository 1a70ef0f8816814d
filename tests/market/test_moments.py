# SPDX-License-Identifier: GPL-3.0-or-later
"""A bar's date number becomes its instant, its session and the session's number."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from zoneinfo import ZoneInfo

import backtrader as bt
import numpy as np
import pytest

from iverson.engine.feed import day_numbers
from iverson.market.calendar import new_york
from iverson.market.moments import moment, number_of
from iverson.testing import at


@pytest.mark.parametrize(
    ("instant", "session"),
    [
        ("2024-03-08 21:00", date(2024, 3, 8)),  # 16:00 in winter
        ("2024-03-11 20:00", date(2024, 3, 11)),  # 16:00 in summer
        ("2024-03-11 13:31", date(2024, 3, 11)),  # first minute, summer
        ("2024-11-01 20:00", date(2024, 11, 1)),
        ("2024-11-04 14:31", date(2024, 11, 4)),  # first minute, winter
        ("2024-11-04 21:00", date(2024, 11, 4)),
        ("2024-07-03 17:00", date(2024, 7, 3)),  # a half day closes at 13:00
        ("2024-07-05 20:00", date(2024, 7, 5)),
        ("2024-11-29 18:00", date(2024, 11, 29)),
        ("2024-01-06 12:00", date(2024, 1, 5)),  # Saturday belongs to Friday
        ("2024-01-08 14:29", date(2024, 1, 5)),  # Monday before the open, too
    ],
)
def test_right_edge_belongs_to_its_session(instant: str, session: date) -> None:
    number = bt.date2num(at(instant).replace(tzinfo=None))
    found = moment(number)

    assert found.at == at(instant)
    assert found.at.tzinfo is UTC
    assert found.session == session
    assert found.ordinal == new_york().ordinal(session)


def test_each_close_of_fifty_years_comes_back_exactly() -> None:
    calendar = new_york()
    sessions = calendar.sessions[3_000:15_500:7].tolist()
    closes = [calendar.close_at(session) for session in sessions]
    numbers = day_numbers([close.replace(tzinfo=None) for close in closes])
    found = [moment(float(number)) for number in numbers]

    assert [one.at for one in found] == closes
    assert [one.session for one in found] == sessions


def test_each_minute_of_a_session_comes_back_exactly() -> None:
    opened = new_york().open_at(date(2024, 3, 11))
    rights = [opened + timedelta(minutes=n) for n in range(1, 391)]
    numbers = day_numbers([right.replace(tzinfo=None) for right in rights])

    assert [moment(float(number)).at for number in numbers] == rights
    assert {moment(float(number)).session for number in numbers} == {date(2024, 3, 11)}
    assert np.all(np.diff([moment(float(n)).ordinal for n in numbers]) == 0)


def test_number_of_an_instant_is_the_one_its_bar_has_whatever_its_time_zone() -> None:
    instant = at("2024-07-03 17:00")
    elsewhere = instant.astimezone(ZoneInfo("Asia/Tokyo"))

    assert (
        number_of(instant)
        == number_of(elsewhere)
        == float(bt.date2num(instant.replace(tzinfo=None)))
    )
    assert moment(number_of(elsewhere)).at == instant
