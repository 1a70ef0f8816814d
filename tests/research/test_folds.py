# SPDX-License-Identifier: GPL-3.0-or-later
"""Folds against dates read off the NYSE's calendar by hand, and what must hold for any range."""

from __future__ import annotations

import warnings
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from iverson.errors import ConfigError
from iverson.research.folds import Fold, Span, duration, make_folds, purge_meaning

Sessions = NDArray[np.datetime64]


@pytest.fixture(scope="module")
def nyse() -> Sessions:
    """Sessions of 2001 to 2013; exchange_calendars trips over pandas 3.1's deprecations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import exchange_calendars

        calendar = exchange_calendars.get_calendar("XNYS", start="2001-01-01", end="2013-12-31")
    return calendar.sessions.to_numpy().astype("datetime64[D]")


def between(sessions: Sessions, first: str, last: str) -> Sessions:
    return sessions[(sessions >= np.datetime64(first)) & (sessions <= np.datetime64(last))]


def shown(fold: Fold) -> str:
    spans = (fold.in_sample, fold.purge, fold.out_of_sample)
    return " | ".join("-" if span is None else f"{span.first} {span.last}" for span in spans)


# Each row: the range, the arguments, how many folds, then some of them by number as
# in-sample | purge | out-of-sample.
BY_HAND = [
    pytest.param(
        ("2001-01-01", "2013-12-31"),
        {"in_sample": "2y", "out_of_sample": "6mo", "purge": 5, "origin": date(2001, 1, 1)},
        22,
        {
            # 25 December is closed: 24, 26, 27, 30 and 31 are the five purged ones.
            1: "2001-01-02 2002-12-23 | 2002-12-24 2002-12-31 | 2003-01-02 2003-06-30",
            # 1 July 2001 was a Sunday.
            2: "2001-07-02 2003-06-23 | 2003-06-24 2003-06-30 | 2003-07-01 2003-12-31",
            22: "2011-07-01 2013-06-21 | 2013-06-24 2013-06-28 | 2013-07-01 2013-12-31",
        },
        id="two years and six months, from New Year",
    ),
    pytest.param(
        ("2001-01-01", "2013-12-31"),
        {"in_sample": "2y", "out_of_sample": "1y", "anchored": True},
        11,
        {
            1: "2001-01-02 2002-12-31 | - | 2003-01-02 2003-12-31",
            # 1 January 2005 was a Saturday, 31 December too.
            3: "2001-01-02 2004-12-31 | - | 2005-01-03 2005-12-30",
            11: "2001-01-02 2012-12-31 | - | 2013-01-02 2013-12-31",
        },
        id="anchored",
    ),
    pytest.param(
        ("2001-01-01", "2004-12-31"),
        # 248 sessions in 2001 (four lost in September) and 252 in 2002, 2003 and 2004.
        {"in_sample": 500, "out_of_sample": 250, "purge": 1},
        2,
        {
            1: "2001-01-02 2002-12-30 | 2002-12-31 2002-12-31 | 2003-01-02 2003-12-29",
            # Session 251 is the third of 2002; 4 of the 254 left over are no half of 250.
            2: "2002-01-04 2003-12-26 | 2003-12-29 2003-12-29 | 2003-12-30 2004-12-27",
        },
        id="sessions",
    ),
    pytest.param(
        ("2012-01-31", "2012-05-31"),
        {"in_sample": "1mo", "out_of_sample": "1mo"},
        3,
        {
            # 31 January + 1mo is clipped to 29 February, + 2mo is 31 March again (a Saturday).
            1: "2012-01-31 2012-02-28 | - | 2012-02-29 2012-03-30",
            2: "2012-02-29 2012-03-30 | - | 2012-04-02 2012-04-27",
            3: "2012-04-02 2012-04-27 | - | 2012-04-30 2012-05-30",
        },
        id="months clipped at their end",
    ),
    pytest.param(
        ("2012-01-09", "2012-02-08"),
        {"in_sample": "2w", "out_of_sample": "1w"},
        2,
        {
            # 16 January was Martin Luther King's day: nine sessions in two weeks.
            1: "2012-01-09 2012-01-20 | - | 2012-01-23 2012-01-27",
            # The week from 6 February is there for three of seven days, and dropped.
            2: "2012-01-17 2012-01-27 | - | 2012-01-30 2012-02-03",
        },
        id="weeks, a last one cut short is dropped",
    ),
    pytest.param(
        ("2012-01-09", "2012-02-09"),
        {"in_sample": "14d", "out_of_sample": "7d"},
        3,
        {3: "2012-01-23 2012-02-03 | - | 2012-02-06 2012-02-09"},
        id="days, a last one of more than half is kept",
    ),
    pytest.param(
        ("2012-07-02", "2012-07-16"),
        # Ten sessions: 2, 3, 5, 6, 9, 10, 11, 12, 13, 16 July.
        {"in_sample": 4, "out_of_sample": 4},
        2,
        {
            1: "2012-07-02 2012-07-06 | - | 2012-07-09 2012-07-12",
            2: "2012-07-09 2012-07-12 | - | 2012-07-13 2012-07-16",
        },
        id="a last one of exactly half is kept",
    ),
    pytest.param(
        ("2012-07-02", "2012-07-13"),
        {"in_sample": 4, "out_of_sample": 4},
        1,
        {1: "2012-07-02 2012-07-06 | - | 2012-07-09 2012-07-12"},
        id="a last one below half is dropped",
    ),
    pytest.param(
        ("2001-01-01", "2006-12-31"),
        {"in_sample": "2y", "out_of_sample": "6mo", "step": "1y", "origin": date(2001, 1, 1)},
        4,
        {
            1: "2001-01-02 2002-12-31 | - | 2003-01-02 2003-06-30",
            2: "2002-01-02 2003-12-31 | - | 2004-01-02 2004-06-30",
        },
        id="a longer step leaves holes",
    ),
    pytest.param(
        ("2001-01-01", "2004-12-31"),
        {"in_sample": "2y", "out_of_sample": 125},
        4,
        {
            1: "2001-01-02 2002-12-31 | - | 2003-01-02 2003-07-01",
            # Two years back from 2 July 2003.
            2: "2001-07-02 2003-07-01 | - | 2003-07-02 2003-12-29",
        },
        id="calendar in-sample, sessions out-of-sample",
    ),
    pytest.param(
        ("2001-01-01", "2004-12-31"),
        {"in_sample": 500, "out_of_sample": "1y"},
        2,
        # Along by the 252 sessions of 2003: all 248 of 2001, then 2, 3, 4 and 7 January.
        {2: "2002-01-08 2003-12-31 | - | 2004-01-02 2004-12-31"},
        id="sessions in-sample, calendar out-of-sample",
    ),
]


@pytest.mark.parametrize(("span", "arguments", "count", "expected"), BY_HAND)
def test_fold_dates_worked_out_by_hand(nyse, span, arguments, count, expected):
    folds = make_folds(between(nyse, *span), **arguments)

    assert len(folds) == count
    assert expected == {number: shown(folds[number - 1]) for number in expected}


def test_spans_count_their_sessions(nyse):
    fold = make_folds(nyse, in_sample="2y", out_of_sample="1y", purge=1)[0]

    # 248 sessions in 2001, 252 in 2002 (one of them purged) and 252 in 2003.
    assert fold.in_sample == Span(date(2001, 1, 2), date(2002, 12, 30), 499)
    assert fold.purge == Span(date(2002, 12, 31), date(2002, 12, 31), 1)
    assert fold.out_of_sample.sessions == 252
    assert str(fold.purge) == "2002-12-31 to 2002-12-31 (1 session)"


def test_the_purge_does_not_move_the_out_of_sample_dates(nyse):
    plain = make_folds(nyse, in_sample="1y", out_of_sample="3mo")
    purged = make_folds(nyse, in_sample="1y", out_of_sample="3mo", purge=10)

    assert [fold.out_of_sample for fold in plain] == [fold.out_of_sample for fold in purged]


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_sample": "2q"}, r"in_sample='2q' is no length; expected 2y, 6mo, 3w or 90d"),
        ({"in_sample": "6m"}, r"in_sample='6m' is no length"),
        ({"out_of_sample": "-1y"}, r"out_of_sample='-1y' is no length"),
        ({"out_of_sample": -5}, r"out_of_sample=-5 is no length"),
        ({"out_of_sample": "1.5y"}, r"out_of_sample='1.5y' is no length"),
        ({"out_of_sample": True}, r"out_of_sample=True is no length"),
        ({"out_of_sample": "0mo"}, r"out_of_sample='0mo' is empty"),
        ({"in_sample": "900y"}, r"in_sample='900y' is longer than a century"),
        ({"step": ""}, r"step='' is no length"),
        ({"purge": -1}, r"purge=-1 is no number of sessions; expected 0 or more"),
        ({"in_sample": 60, "purge": 60}, r"purge=60 leaves nothing .* has 60 sessions"),
        # 2 January to 1 February 2001, without Martin Luther King's day.
        ({"in_sample": "1mo", "purge": 30}, r"purge=30 leaves nothing .* has 22 sessions"),
        ({"step": "5mo"}, r"step='5mo' is shorter .* 2003-06-02 would be judged twice"),
        ({"origin": date(2001, 1, 3)}, r"origin=2001-01-03 does not fit .* 2001-01-02"),
        ({"origin": date(2000, 12, 1)}, r"origin=2000-12-01 does not fit"),
        (
            {"in_sample": 3200, "out_of_sample": 141},
            r"there are 3269 sessions \(2001-01-02 to 2013-12-31\), but one fold needs 3271",
        ),
        ({"in_sample": "20y"}, r"there are 3269 sessions .* needs about 5103"),
    ],
)
def test_what_cannot_be_cut_is_refused_in_one_sentence(nyse, arguments, message):
    with pytest.raises(ConfigError, match=message):
        make_folds(nyse, **{"in_sample": "2y", "out_of_sample": "6mo", **arguments})


@pytest.mark.parametrize(
    ("sessions", "message"),
    [
        ([], "there are no sessions"),
        (["2012-01-04", "2012-01-03"], "out of order"),
        (["2012-01-03", "2012-01-03"], "repeated"),
        (["2012-01-03", "NaT"], "missing"),
    ],
)
def test_sessions_have_to_be_in_order(sessions, message):
    with pytest.raises(ConfigError, match=message):
        make_folds(np.array(sessions, dtype="datetime64[D]"), in_sample=1, out_of_sample=1)


def test_digits_from_the_command_line_are_sessions():
    assert duration("250") == duration(250)
    assert duration("12mo") == duration("1 y")


@pytest.mark.parametrize(
    ("purge", "max_sessions", "said"),
    [
        (0, None, "search finishes overnight"),
        (1, None, "1 whole session between"),
        (5, 3, "end before the out-of-sample span even if held to the end"),
        (3, 3, "must be closed at the last in-sample session"),
        (5, None, "must be closed at the last in-sample session"),
    ],
)
def test_a_purge_says_what_it_assumes(purge, max_sessions, said):
    assert said in purge_meaning(purge, max_sessions=max_sessions)


# Whatever is asked

lengths = st.one_of(
    st.integers(1, 120),
    st.builds("{}{}".format, st.integers(1, 8), st.sampled_from(["mo", "w"])),
    st.builds("{}d".format, st.integers(1, 200)),
)


@st.composite
def weekdays(draw: st.DrawFn) -> Sessions:
    """A range of weekdays with some of them closed."""
    start = np.datetime64("2001-01-01") + draw(st.integers(0, 1500))
    days = np.arange(start, start + draw(st.integers(30, 700)))
    days = days[np.is_busday(days)]
    closed = draw(st.sets(st.integers(0, len(days) - 1), max_size=10))
    return np.delete(days, sorted(closed))


@given(weekdays(), lengths, lengths, st.integers(0, 12), st.booleans())
def test_folds_tile_the_range_and_keep_apart(sessions, in_sample, out_of_sample, purge, anchored):
    asked = {
        "in_sample": in_sample,
        "out_of_sample": out_of_sample,
        "purge": purge,
        "anchored": anchored,
    }
    try:
        folds = make_folds(sessions, **asked)
    except ConfigError:
        assume(False)
    where = {session: position for position, session in enumerate(sessions.tolist())}

    assert folds == make_folds(sessions.copy(), **asked)
    assert [fold.number for fold in folds] == list(range(1, len(folds) + 1))
    for fold in folds:
        for span in (fold.in_sample, fold.purge, fold.out_of_sample):
            if span is not None:
                assert where[span.last] - where[span.first] + 1 == span.sessions
        gap = where[fold.out_of_sample.first] - where[fold.in_sample.last] - 1
        assert gap == purge == (fold.purge.sessions if fold.purge else 0)
        if fold.purge:
            assert where[fold.purge.first] == where[fold.in_sample.last] + 1
    for earlier, later in pairwise(folds):
        assert where[later.out_of_sample.first] == where[earlier.out_of_sample.last] + 1
        assert later.in_sample.first >= earlier.in_sample.first
        if anchored:
            assert later.in_sample.first == earlier.in_sample.first
    # Spans of a few days can fall on closed ones and are left out, the first ones too.
    assert where[folds[0].in_sample.first] == 0 or str(out_of_sample).endswith("d")


@given(weekdays(), st.integers(1, 60), st.integers(1, 60), st.integers(0, 12))
def test_rolling_windows_of_sessions_are_all_equally_long(sessions, in_sample, judged, purge):
    assume(purge < in_sample)
    assume(len(sessions) >= in_sample + judged)
    folds = make_folds(sessions, in_sample=in_sample, out_of_sample=judged, purge=purge)

    assert {fold.in_sample.sessions for fold in folds} == {in_sample - purge}
    assert {fold.out_of_sample.sessions for fold in folds[:-1]} <= {judged}
    assert judged <= 2 * folds[-1].out_of_sample.sessions <= 2 * judged


@given(weekdays(), lengths, lengths)
def test_more_sessions_never_change_the_folds_before_them(sessions, in_sample, out_of_sample):
    asked = {"in_sample": in_sample, "out_of_sample": out_of_sample}
    try:
        early = make_folds(sessions[: len(sessions) * 2 // 3], **asked)
        late = make_folds(sessions, **asked)
    except ConfigError:
        assume(False)

    # The last of the early ones may have been cut short.
    assert early[:-1] == late[: len(early) - 1]
    assert early[-1].in_sample == late[len(early) - 1].in_sample
