# SPDX-License-Identifier: GPL-3.0-or-later
"""The grid, the random draws and their spellings."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import ConfigError, UnknownParameter
from iverson.research import search_space
from iverson.research.search_space import (
    Integers,
    LogUniform,
    Uniform,
    check_space,
    grid,
    parse_space,
    random_sets,
    size,
)

KNOWN = {"period": 14, "entry": 30.0, "side": "long", "use_stop": True, "target": None}

spaces = st.dictionaries(
    st.sampled_from("abcd"),
    st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True),
    min_size=1,
)


def frozen(sets: list[dict[str, object]]) -> list[tuple[object, ...]]:
    return [tuple(sorted(one.items())) for one in sets]


# Grid


def test_the_last_parameter_varies_fastest():
    expected = [
        {"period": 7, "entry": 20},
        {"period": 7, "entry": 30},
        {"period": 14, "entry": 20},
        {"period": 14, "entry": 30},
    ]

    assert expected == grid({"period": [7, 14], "entry": [20, 30]})


def test_integers_are_a_grid_with_both_ends():
    assert [one["period"] for one in grid({"period": Integers(5, 20, 5)})] == [5, 10, 15, 20]


def test_where_keeps_only_the_sets_that_make_sense():
    found = grid({"fast": [5, 10], "slow": [5, 10]}, where=lambda one: one["fast"] < one["slow"])

    assert found == [{"fast": 5, "slow": 10}]


def test_an_empty_space_has_one_set():
    assert grid({}) == [{}]
    assert random_sets({}, 3, 0) == [{}]


@pytest.mark.parametrize("endless", [Uniform(0, 1), LogUniform(0.1, 1)])
def test_a_range_without_end_has_no_grid(endless):
    with pytest.raises(ConfigError, match=r"entry is the range .* has no grid"):
        grid({"entry": endless})


@given(spaces)
def test_a_grid_has_every_combination_once(space):
    found = grid(space)

    assert len(found) == len(set(frozen(found))) == size(space)
    assert len(found) == math.prod(map(len, space.values()))
    assert all(one[name] in space[name] for one in found for name in space)


# Random


@given(spaces, st.integers(1, 700), st.integers(0, 2**32))
def test_random_sets_are_different_ones_of_the_grid(space, n, seed):
    found = random_sets(space, n, seed)

    assert len(found) == len(set(frozen(found))) == min(n, size(space))
    assert set(frozen(found)) <= set(frozen(grid(space)))
    assert found == random_sets(space, n, seed)
    assert list(found[0]) == list(space)


@given(spaces, st.integers(1, 50), st.integers(0, 2**32))
def test_asking_for_more_keeps_the_first_ones(space, n, seed):
    assert random_sets(space, n + 5, seed)[:n] == random_sets(space, n, seed)


def test_every_set_of_a_finite_space_is_equally_likely():
    space = {"a": [1, 2], "b": [1, 2, 3]}
    first = Counter(frozen([random_sets(space, 1, seed)[0] for seed in range(3000)]))

    # 500 expected for each of the six; standard deviation √(3000·1/6·5/6) = 20.
    assert len(first) == 6
    assert max(abs(count - 500) for count in first.values()) < 80


@given(spaces, st.integers(0, 2**32))
def test_a_space_too_big_to_shuffle_is_drawn_from_without_replacement_too(space, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_space, "SHUFFLED_WHOLE", 0)
        found = random_sets(space, 5, seed)

    assert len(found) == len(set(frozen(found))) == min(5, size(space))
    assert set(frozen(found)) <= set(frozen(grid(space)))


def test_a_huge_space_is_not_listed_first():
    space = {name: range(1000) for name in "abcdefgh"}

    assert size(space) == 1000**8
    assert len(random_sets(space, 50, 1)) == 50


def test_draws_from_ranges_stay_inside_and_spread_as_they_say():
    space = {"u": Uniform(2, 4), "l": LogUniform(0.01, 100), "i": Integers(1, 9, 2)}
    found = random_sets(space, 2000, 7)

    assert size(space) is None
    assert all(2 <= one["u"] <= 4 and 0.01 <= one["l"] <= 100 for one in found)
    assert {one["i"] for one in found} == {1, 3, 5, 7, 9}
    assert np.mean([one["u"] for one in found]) == pytest.approx(3.0, abs=0.05)
    # Half of the draws lie below 1, the middle of 0.01 to 100 in orders of magnitude.
    assert np.mean([one["l"] < 1.0 for one in found]) == pytest.approx(0.5, abs=0.04)


def test_random_sets_obey_the_condition():
    space = {"fast": Integers(1, 50), "slow": Uniform(0, 100)}

    found = random_sets(space, 100, 3, where=lambda one: one["fast"] < one["slow"])

    assert len(found) == 100
    assert all(one["fast"] < one["slow"] for one in found)


def test_a_condition_that_refuses_everything_is_an_error_and_not_a_loop():
    with pytest.raises(ConfigError, match="only 0 of 2 parameter sets found"):
        random_sets({"a": Uniform(0, 1)}, 2, 0, where=lambda one: False)
    assert random_sets({"a": [1, 2]}, 2, 0, where=lambda one: False) == []


def test_no_random_set_is_refused():
    with pytest.raises(ConfigError, match="0 random parameter sets"):
        random_sets({"a": [1]}, 0, 0)


# Ranges


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(2, 1), "no range"),
        (lambda: Uniform(0, math.inf), "no range"),
        (lambda: LogUniform(0, 1), "starts above 0"),
        (lambda: Integers(5, 4), "no range"),
        (lambda: Integers(1, 4, 0), "step 0"),
    ],
)
def test_a_range_without_numbers_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


# Fit to a strategy


def test_a_space_that_fits_passes():
    space = {
        "period": Integers(5, 30),
        "entry": Uniform(20, 40),
        "side": ["long", "short"],
        "use_stop": [True, False],
        "target": [1, "far"],
    }

    check_space(space, KNOWN, owner="RsiReversion")
    check_space({"period": [7, 10.5], "entry": [30]}, KNOWN, owner="RsiReversion")


def test_a_misspelt_parameter_gets_a_hint():
    with pytest.raises(UnknownParameter, match="RsiReversion has no parameter 'perod'; did you"):
        check_space({"perod": [7]}, KNOWN, owner="RsiReversion")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"period": []}, "period has no values to try"),
        ({"period": "14"}, "period='14' is no list"),
        ({"period": 14}, "period=14 is no list"),
        ({"period": [7, "14"]}, "period='14' is words; expected a number like its default 14"),
        ({"period": [True]}, "period=True is a switch; expected a number"),
        ({"use_stop": [1]}, "use_stop=1 is a number; expected a switch"),
        ({"side": [1]}, "side=1 is a number; expected words like its default 'long'"),
        ({"side": Uniform(0, 1)}, "side is 'long' by default and cannot be drawn"),
        ({"period": Uniform(5, 30)}, "period is 14 by default .* give Integers"),
        ({"period": [7, 14, 7]}, "period lists 7 twice"),
        ({"entry": [math.nan]}, "entry=nan; expected a finite number"),
    ],
)
def test_a_space_that_does_not_fit_is_refused(space, message):
    with pytest.raises(ConfigError, match=message):
        check_space(space, KNOWN, owner="RsiReversion")


# Spellings


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("period=7,14,21", {"period": [7, 14, 21]}),
        ("period=5:30:5", {"period": [5, 10, 15, 20, 25, 30]}),
        ("period=5:32:5", {"period": [5, 10, 15, 20, 25, 30]}),
        ("period=3:6", {"period": [3, 4, 5, 6]}),
        ("period=14", {"period": [14]}),
        ("period=5:15:5,30", {"period": [5, 10, 15, 30]}),
        ("entry=0.1:0.5:0.1", {"entry": [0.1, 0.2, 0.3, 0.4, 0.5]}),
        ("entry=-2:2:2", {"entry": [-2, 0, 2]}),
        ("entry=1.0:2:1", {"entry": [1.0, 2.0]}),
        ("entry=1e-3,.5", {"entry": [0.001, 0.5]}),
        ("use_stop=true,False", {"use_stop": [True, False]}),
        ("side=long,short", {"side": ["long", "short"]}),
        ("side=nan", {"side": ["nan"]}),
        ("period=7 entry=20,30", {"period": [7], "entry": [20, 30]}),
    ],
)
def test_spellings_of_a_space(spelling, expected):
    actual = parse_space(spelling)

    assert expected == actual
    assert [type(v) for values in expected.values() for v in values] == [
        type(v) for values in actual.values() for v in values
    ]


def test_several_spellings_keep_their_order():
    assert list(parse_space("slow=50", "fast=10")) == ["slow", "fast"]


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("period", "'period' is no parameter to search"),
        ("=7", "'=7' is no parameter to search"),
        ("period=", "empty value"),
        ("period=7,,14", "empty value"),
        ("period=30:5:5", "'30:5:5' in 'period=30:5:5' is no range"),
        ("period=5:30:0", "no range"),
        ("period=5:30:-5", "no range"),
        ("period=0.5:2", "no range"),
        ("period=5:30:5:1", "no range"),
        ("period=a:b", "no range"),
        ("period=0:inf:1", "no range"),
        ("period=0:1:0.0000001", "no range"),
        ("period=7 period=14", "period is given twice"),
    ],
)
def test_an_unreadable_spelling_is_refused_in_words(spelling, message):
    with pytest.raises(ConfigError, match=message):
        parse_space(spelling)
