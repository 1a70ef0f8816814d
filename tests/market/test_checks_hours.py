# SPDX-License-Identifier: GPL-3.0-or-later
"""Intraday bars are held against the hours of their session, early closes included."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from iverson.market.calendar import Calendar
from iverson.market.checks import Fault, check

FrameMaker = Callable[..., pd.DataFrame]
SESSIONS = ("2021-03-01", "2021-03-02", "2021-03-03")


def found(faults: list[Fault]) -> list[tuple[str, str, float]]:
    return [(str(fault.session), fault.kind, fault.value) for fault in faults]


def test_a_full_session_has_no_faults(minutes: FrameMaker, calendar: Calendar) -> None:
    assert check(minutes(), None, calendar, interval="1m") == []


def test_absent_minutes_are_one_fault_a_session(minutes: FrameMaker, calendar: Calendar) -> None:
    frame = minutes().drop(index=[10, 11, 200])

    assert found(check(frame, None, calendar, interval="1m")) == [
        ("2021-03-01", "missing minutes", 3.0)
    ]


def test_a_late_first_bar_says_how_late(minutes: FrameMaker, calendar: Calendar) -> None:
    faults = check(minutes("09:36"), None, calendar, interval="1m")

    assert found(faults) == [
        ("2021-03-01", "late first bar", 5.0),
        ("2021-03-01", "missing minutes", 5.0),
    ]


def test_bars_before_the_open_and_after_the_close_are_extended_hours(
    minutes: FrameMaker, calendar: Calendar
) -> None:
    frame = minutes("09:21", "16:05")

    # 09:21 to 09:30 are ten bars that ended before or at the open, 16:01 to 16:05 are five.
    assert found(check(frame, None, calendar, interval="1m")) == [
        ("2021-03-01", "extended hours", 15.0)
    ]


def test_an_early_close_ends_the_regular_hours(minutes: FrameMaker, calendar: Calendar) -> None:
    full = minutes("09:31", "13:00", session="2020-11-27")
    stray = minutes("09:31", "13:02", session="2020-11-27")

    assert check(full, None, calendar, interval="1m") == []
    assert ("2020-11-27", "extended hours", 2.0) in found(
        check(stray, None, calendar, interval="1m")
    )


def test_left_edge_stamps_taken_for_right_ones_are_found(
    minutes: FrameMaker, calendar: Calendar
) -> None:
    frame = pd.concat([minutes("09:30", "15:59", session=session) for session in SESSIONS])

    wrong = [f for f in check(frame, None, calendar, interval="1m") if f.kind == "wrong edge"]

    assert found(wrong) == [("2021-03-01", "wrong edge", 3.0)]
    assert "stamp 'left'" in wrong[0].detail


def test_right_edge_stamps_moved_once_more_are_found(
    minutes: FrameMaker, calendar: Calendar
) -> None:
    frame = pd.concat([minutes("09:32", "16:01", session=session) for session in SESSIONS])

    wrong = [f for f in check(frame, None, calendar, interval="1m") if f.kind == "wrong edge"]

    assert found(wrong) == [("2021-03-01", "wrong edge", 3.0)]
    assert "stamp 'right'" in wrong[0].detail


def test_the_opening_volume_tells_the_edge_when_there_are_extended_hours(
    minutes: FrameMaker, calendar: Calendar
) -> None:
    frame = minutes("08:00", "18:00")
    clock = frame["at"].dt.tz_convert("America/New_York").dt.strftime("%H:%M")
    for opening, wrong in (("09:30", 1), ("09:31", 0), ("09:32", 1)):
        loud = frame.assign(volume=frame["volume"].where(clock != opening, 9000.0))

        faults = check(loud, None, calendar, interval="1m")

        assert sum(fault.kind == "wrong edge" for fault in faults) == wrong


def test_a_split_between_sessions_is_suspected_in_minute_bars(
    minutes: FrameMaker, calendar: Calendar
) -> None:
    before, after = minutes(session=SESSIONS[0]), minutes(session=SESSIONS[1])
    after[["open", "high", "low", "close"]] = (
        after[["open", "high", "low", "close"]].to_numpy() / 2 + 1.95
    )

    faults = check(pd.concat([before, after]), None, calendar, interval="1m")

    assert found(faults) == [("2021-03-02", "unadjusted split", 2.0)]


def test_a_repeated_quiet_minute_is_honest_unless_its_volume_repeats(
    minutes: FrameMaker, calendar: Calendar
) -> None:
    frame = minutes()
    columns = ["open", "high", "low", "close"]
    frame.loc[10:12, columns] = frame.loc[10, columns].to_numpy()
    frame.loc[10:12, "volume"] = [5.0, 6.0, 7.0]
    assert check(frame, None, calendar, interval="1m") == []

    frame.loc[10:12, "volume"] = 5.0

    assert found(check(frame, None, calendar, interval="1m")) == [("2021-03-01", "stale", 3.0)]
