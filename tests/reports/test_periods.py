# SPDX-License-Identifier: GPL-3.0-or-later
"""Weeks and months: ISO's borders, the exchange's sessions, and what people write for them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import ConfigError, DataError
from iverson.reports.periods import month_named, month_of, week_named, week_of

NOTED = [date(2026, 11, 20), date(2026, 11, 23), date(2026, 11, 30)]


@pytest.mark.parametrize(
    ("day", "name", "first", "last"),
    [
        (date(2026, 11, 28), "2026-W48", date(2026, 11, 23), date(2026, 11, 29)),
        (date(2027, 1, 3), "2026-W53", date(2026, 12, 28), date(2027, 1, 3)),
        (date(2024, 12, 30), "2025-W01", date(2024, 12, 30), date(2025, 1, 5)),
        (date(2021, 1, 1), "2020-W53", date(2020, 12, 28), date(2021, 1, 3)),
    ],
)
def test_week_is_isos_across_new_year(day: date, name: str, first: date, last: date) -> None:
    week = week_of(day)

    assert (week.name, week.first, week.last) == (name, first, last)


@pytest.mark.parametrize(
    ("day", "missing"),
    [
        (date(2026, 11, 25), [date(2026, 11, 26)]),  # Thanksgiving
        (date(2026, 7, 1), [date(2026, 7, 3)]),  # Independence Day, observed
        (date(2001, 9, 12), [date(2001, 9, 11) + timedelta(n) for n in range(4)]),
    ],
)
def test_week_with_holidays_has_the_exchanges_sessions(day: date, missing: list[date]) -> None:
    week = week_of(day)
    weekdays = [week.first + timedelta(days=n) for n in range(5)]

    assert week.sessions == [one for one in weekdays if one not in missing]


@given(st.dates(date(1990, 1, 1), date(2040, 12, 31)))
def test_weeks_and_months_follow_each_other_without_a_gap(day: date) -> None:
    for period_of in (week_of, month_of):
        period = period_of(day)

        assert period.first <= day <= period.last
        assert period_of(period.last).name == period_of(period.first).name == period.name
        assert period_of(period.last + timedelta(days=1)).first == period.last + timedelta(days=1)
        assert all(period.first <= one <= period.last for one in period.sessions)


@pytest.mark.parametrize(
    "given_as",
    ["2026-W48", "2026w48", " 2026-W48 ", "2026-11-24", date(2026, 11, 29),
     datetime(2026, 11, 23, 9, tzinfo=UTC)],
)  # fmt: skip
def test_week_is_understood_as_people_write_it(given_as: str | date) -> None:
    assert week_named(given_as, NOTED).name == "2026-W48"


def test_last_noted_week_and_month_are_usual() -> None:
    assert week_named(None, NOTED).name == "2026-W49"
    assert month_named(None, NOTED).name == "2026-11"
    assert month_named("2026-11", NOTED).last == date(2026, 11, 30)


@pytest.mark.parametrize("nonsense", ["2026-W54", "2026-W00", "last", "", "2026-11-31", "W48"])
def test_what_is_no_week_is_refused_in_a_sentence(nonsense: str) -> None:
    with pytest.raises(ConfigError, match="is no week; write one as 2026-W48"):
        week_named(nonsense, NOTED)


@pytest.mark.parametrize("nonsense", ["2026-13", "2026", "2026-0", "November"])
def test_what_is_no_month_is_refused_in_a_sentence(nonsense: str) -> None:
    with pytest.raises(ConfigError, match="is no month; write one as 2026-11"):
        month_named(nonsense, NOTED)


@pytest.mark.parametrize("outside", ["2026-W46", "2026-W50"])
def test_week_in_which_the_run_did_not_exist_is_refused(outside: str) -> None:
    with pytest.raises(DataError, match="noted nothing in"):
        week_named(outside, NOTED)


def test_week_between_two_noted_ones_is_reported_though_empty() -> None:
    assert week_named("2026-W48", [NOTED[0], NOTED[2]]).noted([NOTED[0], NOTED[2]]) == []
