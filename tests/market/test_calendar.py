# SPDX-License-Identifier: GPL-3.0-or-later
"""The calendar knows New York's sessions, holidays, early closes and daylight saving."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from iverson.errors import DataError
from iverson.market.calendar import Calendar, midnight, new_york

FRIDAY = date(2021, 3, 5)
SATURDAY = date(2021, 3, 6)
MONDAY = date(2021, 3, 8)
LABOR_DAY = date(2021, 9, 6)
HURRICANE = date(1985, 9, 27)


def test_weekends_holidays_and_closures_are_no_sessions(calendar: Calendar) -> None:
    answers = [calendar.is_session(day) for day in (FRIDAY, SATURDAY, LABOR_DAY, HURRICANE)]

    assert answers == [True, False, False, False]


def test_ordinal_of_a_closed_day_is_the_next_session(calendar: Calendar) -> None:
    assert calendar.ordinal(SATURDAY) == calendar.ordinal(MONDAY) == calendar.ordinal(FRIDAY) + 1


@pytest.mark.parametrize(
    ("start", "n", "expected"),
    [
        (FRIDAY, 0, FRIDAY),
        (FRIDAY, 1, MONDAY),
        (MONDAY, -1, FRIDAY),
        (SATURDAY, 0, MONDAY),
        (SATURDAY, -1, FRIDAY),
        (date(2021, 9, 3), 1, date(2021, 9, 7)),
    ],
)
def test_offset_counts_sessions(calendar: Calendar, start: date, n: int, expected: date) -> None:
    assert calendar.offset(start, n) == expected


@pytest.mark.parametrize(
    ("session", "opens", "closes"),
    [
        (date(2021, 3, 5), "14:30", "21:00"),
        (date(2021, 3, 15), "13:30", "20:00"),
        (date(2020, 11, 27), "14:30", "18:00"),
    ],
    ids=["winter", "summer", "early close"],
)
def test_open_and_close_follow_summer_time_and_early_closes(
    calendar: Calendar, session: date, opens: str, closes: str
) -> None:
    assert f"{calendar.open_at(session):%H:%M}" == opens
    assert f"{calendar.close_at(session):%H:%M}" == closes
    assert calendar.close_at(session).tzinfo is UTC


def test_close_of_a_holiday_names_the_next_session(calendar: Calendar) -> None:
    with pytest.raises(DataError, match=r"2021-09-06 is not a session.*2021-09-07"):
        calendar.close_at(LABOR_DAY)


def test_next_open_is_strictly_later(calendar: Calendar) -> None:
    opening = datetime(2021, 3, 5, 14, 30, tzinfo=UTC)

    assert calendar.next_open(datetime(2021, 3, 5, 14, 29, tzinfo=UTC)) == opening
    assert calendar.next_open(opening) == datetime(2021, 3, 8, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hour", "minute", "expected"),
    [(21, 0, FRIDAY), (23, 59, FRIDAY), (14, 30, FRIDAY), (14, 29, date(2021, 3, 4))],
    ids=["at the close", "after it", "at the open", "before it"],
)
def test_session_of_an_instant_is_the_one_in_progress_or_last_ended(
    calendar: Calendar, hour: int, minute: int, expected: date
) -> None:
    assert calendar.session_of(datetime(2021, 3, 5, hour, minute, tzinfo=UTC)) == expected


def test_closes_of_many_dates_use_four_o_clock_for_closed_days(calendar: Calendar) -> None:
    days = np.array(["2020-11-27", "2020-11-28", "2021-07-05"], dtype="datetime64[D]")

    closes = calendar.closes(days)

    expected = ["2020-11-27T18:00", "2020-11-28T21:00", "2021-07-05T20:00"]
    assert closes.astype("datetime64[m]").astype(str).tolist() == expected
    assert closes.dtype == np.dtype("datetime64[ns]")


def test_between_includes_both_ends(calendar: Calendar) -> None:
    sessions = calendar.between(FRIDAY, MONDAY)

    assert sessions.astype(str).tolist() == ["2021-03-05", "2021-03-08"]


@pytest.mark.parametrize("day", [date(1950, 1, 3), date(2090, 1, 3)])
def test_a_date_outside_the_calendar_says_what_the_calendar_covers(
    calendar: Calendar, day: date
) -> None:
    with pytest.raises(DataError, match=r"outside the exchange calendar.*19.*20"):
        calendar.ordinal(day)


def test_a_naive_instant_is_refused(calendar: Calendar) -> None:
    with pytest.raises(DataError, match="no time zone"):
        calendar.session_of(datetime(2021, 3, 5, 12, 0))  # noqa: DTZ001 (naive on purpose)


def test_the_calendar_is_built_once() -> None:
    assert new_york() is new_york()


@pytest.mark.parametrize(
    ("day", "hour"),
    [
        (date(2024, 3, 10), 5),
        (date(2024, 3, 11), 4),
        (date(2024, 11, 3), 4),
        (date(2024, 11, 4), 5),
    ],
)
def test_midnight_follows_summer_time(day: date, hour: int) -> None:
    """Clocks change at two in the morning: the date itself still begins by the old time."""
    assert midnight(day) == datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def test_many_instants_are_placed_as_each_by_itself(calendar: Calendar) -> None:
    opening, close = calendar.open_at(FRIDAY), calendar.close_at(FRIDAY)
    second = timedelta(seconds=1)
    instants = [opening - second, opening, close, close + second, calendar.close_at(MONDAY)]
    naive = np.array([one.replace(tzinfo=None) for one in instants], dtype="datetime64[us]")

    places = calendar.ordinals_of(naive)

    assert calendar.sessions[places].tolist() == [calendar.session_of(one) for one in instants]
    assert calendar.sessions[places[:2]].tolist() == [calendar.offset(FRIDAY, -1), FRIDAY]
    with pytest.raises(DataError, match=r"1800-01-01.*: outside the exchange calendar"):
        calendar.ordinals_of(np.array(["2021-03-05T15:00", "1800-01-01"], "datetime64[us]"))


def test_coming_session_is_the_one_in_progress_until_its_close(calendar: Calendar) -> None:
    opening, close = calendar.open_at(FRIDAY), calendar.close_at(FRIDAY)

    assert calendar.coming_session(opening) == FRIDAY
    assert calendar.coming_session(close - timedelta(seconds=1)) == FRIDAY
    assert calendar.coming_session(close) == MONDAY
    assert calendar.coming_session(opening - timedelta(hours=1)) == FRIDAY
