# SPDX-License-Identifier: GPL-3.0-or-later
"""Purged splits against labels compared one by one, and paths counted as in the book."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import ConfigError
from iverson.research.folds import Span
from iverson.research.purged import (
    combinatorial_purged,
    default_purge,
    gap_meaning,
    path_returns,
    paths,
)


def days(count):
    return np.datetime64("2020-01-01", "D") + np.arange(count)


def cut(count, groups, test_groups=1, purge=0, embargo=0):
    return combinatorial_purged(
        days(count), groups=groups, test_groups=test_groups, purge=purge, embargo=embargo
    )


def letters(split, count):
    """One letter a session: Train, Judged, Purged, Embargoed."""
    said = ["?"] * count
    for letter, positions in (
        ("T", split.train), ("J", split.test), ("P", split.purged), ("E", split.embargoed),
    ):  # fmt: skip
        for position in positions:
            assert said[position] == "?"
            said[position] = letter
    return "".join(said)


def test_purge_and_embargo_lie_where_they_belong():
    splits = cut(15, groups=3, purge=2, embargo=1)

    assert [letters(split, 15) for split in splits] == [
        "JJJJJPPETTTTTTT",
        "TTTPPJJJJJPPETT",
        "TTTTTTTTPPJJJJJ",
    ]


def test_neighbouring_judged_groups_have_no_gap_between_them():
    splits = cut(16, groups=4, test_groups=2, purge=1, embargo=1)

    assert [(split.groups, letters(split, 16)) for split in splits[2:4]] == [
        ((0, 3), "JJJJPETTTTTPJJJJ"),
        ((1, 2), "TTTPJJJJJJJJPETT"),
    ]


def test_without_gaps_everything_else_is_tuned_on():
    for split in cut(23, groups=5, test_groups=2):
        assert set(letters(split, 23)) == {"T", "J"}


@given(
    groups=st.integers(2, 6),
    each=st.integers(9, 12),
    extra=st.integers(0, 5),
    purge=st.integers(0, 3),
    embargo=st.integers(0, 2),
    data=st.data(),
)
def test_no_label_tuned_on_shares_a_session_with_one_that_is_judged(  # noqa: PLR0917 (hypothesis passes them by name)
    groups, each, extra, purge, embargo, data
):
    count = groups * each + extra
    test_groups = data.draw(st.integers(1, groups - 1))
    for split in cut(count, groups, test_groups, purge, embargo):
        judged = {day + step for day in split.test for step in range(purge + 1)}
        for day in range(count):
            label = set(range(day, day + purge + 1))
            clashes = bool(label & judged)
            # The embargo follows the last session of a label that is judged and not judged itself.
            after = any(day - step in judged for step in range(1, embargo + 1))
            tuned = day in split.train
            assert tuned == (not clashes and not after)


def test_every_choice_of_groups_is_judged_once():
    splits = cut(60, groups=6, test_groups=2)

    assert [split.groups for split in splits] == list(combinations(range(6), 2))
    assert [split.number for split in splits] == list(range(1, math.comb(6, 2) + 1))


@pytest.mark.parametrize(("groups", "test_groups"), [(6, 2), (5, 1), (5, 4), (8, 3)])
def test_the_number_of_paths_is_the_book_s(groups, test_groups):
    splits = cut(groups * 4, groups, test_groups)
    table = paths(splits)

    assert table.shape == (test_groups * math.comb(groups, test_groups) // groups, groups)
    for group in range(groups):
        assert len(set(table[:, group])) == len(table)
        assert all(group in splits[i].groups for i in table[:, group])


def test_the_paths_of_six_groups_taken_two_are_the_book_s():
    """Figure 12.2 of López de Prado (2018): the split (from 1) that judges each group, by path."""
    splits = cut(12, groups=6, test_groups=2)

    assert (paths(splits) + 1).tolist() == [
        [1, 1, 2, 3, 4, 5],
        [2, 6, 6, 7, 8, 9],
        [3, 7, 10, 10, 11, 12],
        [4, 8, 11, 13, 13, 14],
        [5, 9, 12, 14, 15, 15],
    ]


@pytest.mark.parametrize(("count", "groups", "test_groups"), [(13, 4, 2), (20, 5, 4), (9, 3, 1)])
def test_every_path_takes_every_session_from_a_split_that_judged_it(count, groups, test_groups):
    splits = cut(count, groups, test_groups)
    # A return that says where it comes from: the split before the point, the session after it.
    returns = [i + split.test / 1000 for i, split in enumerate(splits)]
    group_of = np.repeat(np.arange(groups), [len(p) for p in np.array_split(days(count), groups)])

    found = path_returns(splits, returns)

    table = paths(splits)
    for path, row in enumerate(found):
        assert row == pytest.approx(
            [table[path, group_of[day]] + day / 1000 for day in range(count)]
        )


def test_missing_returns_stay_missing_in_their_paths():
    splits = cut(12, groups=3)
    returns = [np.zeros(4), np.array([0.1, np.nan, 0.1, 0.1]), np.zeros(4)]

    assert np.flatnonzero(np.isnan(path_returns(splits, returns)[0])).tolist() == [5]


def test_spans_are_runs_of_dates():
    split = cut(16, groups=4, test_groups=2, purge=1, embargo=1)[2]

    said = [str(span) for span in split.test_spans(days(16))]
    assert said == [
        "2020-01-01 to 2020-01-04 (4 sessions)",
        "2020-01-13 to 2020-01-16 (4 sessions)",
    ]
    assert split.train_spans(days(16)) == [
        Span(days(16)[6].astype(object), days(16)[10].astype(object), 5)
    ]
    assert str(split) == "split 3: groups 0+3, 5 sessions to tune, 8 to judge, 3 left out"


def test_the_purge_covers_the_wait_for_the_entry_and_the_holding():
    assert default_purge(3) == 4
    assert default_purge(0) == 1
    assert default_purge(3, label_span=5) == 8


def test_each_gap_is_put_into_words():
    closed = " ".join(gap_meaning(0))
    assert "every judged trade is closed at the span's last session" in closed
    assert "no purge is long enough" in closed
    assert "embargo 0" in closed
    said = " ".join(gap_meaning(4, 2, longest_holding=3))
    assert "in-sample trades end before the out-of-sample span" in said
    assert "same 4 sessions are left out" in said
    assert "a further 2 sessions" in said
    assert "no purge is long enough" not in said
    assert "not what could have been earned" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"test_groups": 0}, "test_groups=0 of groups=4"),
        ({"test_groups": 4}, "at least one group to tune on"),
        ({"groups": 30}, "groups=30 of 20 sessions"),
        ({"groups": 20, "test_groups": 10}, "184756 splits; expected at most 2000"),
        ({"purge": -1}, "purge=-1 and embargo=0 sessions"),
        ({"embargo": -1}, "embargo=-1 sessions"),
        ({"test_groups": 3, "purge": 5}, "leave nothing to tune on when groups"),
    ],
)
def test_cuts_that_cannot_be_made_are_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        cut(20, **({"groups": 4} | arguments))


def test_sessions_out_of_order_are_refused():
    with pytest.raises(ConfigError, match="out of order"):
        combinatorial_purged(days(20)[::-1], groups=4, test_groups=1, purge=0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda splits: paths([]), "no splits"),
        (lambda splits: paths(splits[:2]), "never judged"),
        (lambda splits: paths([*splits, splits[0]]), "judged more often"),
        (lambda splits: path_returns(splits, [np.zeros(4)]), "1 returns for 3 splits"),
        (lambda splits: path_returns(splits, [np.zeros(3)] * 3), r"shape \(3,\); expected \(4,\)"),
        (lambda splits: default_purge(-1), "longest_holding=-1"),
    ],
)
def test_paths_that_cannot_be_made_are_refused(call, words):
    with pytest.raises(ConfigError, match=words):
        call(cut(12, groups=3))
