# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of membership: how it is read, what it says of a day, what it refuses."""

from __future__ import annotations

import copy
import pickle
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import iverson as iv
from iverson.errors import ConfigError
from iverson.market.universe import Spell

TABLE = """ticker,start_date,end_date
AAA,2010-01-04,2010-12-31
BBB,2011-03-01,
AAA,2012-06-01,
"""
IN, OUT, BETWEEN = date(2010, 12, 31), date(2011, 1, 1), date(2011, 6, 1)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "members.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_several_spells_of_a_symbol_are_read_from_a_file(table: Path) -> None:
    universe = iv.Universe(membership=table)

    assert universe.symbols == ("AAA", "BBB")
    assert universe.spells("AAA") == (
        Spell("AAA", date(2010, 1, 4), IN),
        Spell("AAA", date(2012, 6, 1), None),
    )


@pytest.mark.parametrize(
    ("day", "members"),
    [(date(2010, 1, 3), ()), (date(2010, 1, 4), ("AAA",)), (IN, ("AAA",)), (OUT, ()),
     (BETWEEN, ("BBB",)), (date(2049, 1, 1), ("AAA", "BBB"))],
)  # fmt: skip
def test_both_days_of_a_spell_belong_to_it(
    table: Path, day: date, members: tuple[str, ...]
) -> None:
    assert iv.Universe(membership=table).members(day) == members


def test_a_frame_and_rows_say_the_same_as_the_file(table: Path) -> None:
    frame = pd.read_csv(table, parse_dates=["start_date", "end_date"])
    rows = [
        ("AAA", date(2010, 1, 4), IN),
        ("BBB", date(2011, 3, 1), None),
        ("AAA", date(2012, 6, 1), None),
    ]
    read = iv.Universe(membership=table)

    assert iv.Universe(membership=frame) == iv.Universe(membership=rows) == read
    assert iv.Universe(membership=frame).digest == read.digest


def test_spells_that_touch_or_overlap_are_one() -> None:
    rows = [
        ("AAA", date(2010, 1, 1), date(2010, 6, 30)),
        ("AAA", date(2010, 7, 1), date(2010, 9, 30)),
        ("AAA", date(2010, 8, 1), None),
    ]

    assert iv.Universe(membership=rows).membership == (Spell("AAA", date(2010, 1, 1), None),)


def test_without_a_membership_every_symbol_is_always_in() -> None:
    universe = iv.Universe(["AAA", "BBB"], minimum_close=5.0)

    assert universe.members(date(1999, 1, 4)) == ("AAA", "BBB")


def test_a_part_of_the_table_keeps_the_order_asked_for(table: Path) -> None:
    universe = iv.Universe(["BBB"], membership=table)

    assert universe.symbols == ("BBB",)
    assert {one.symbol for one in universe.membership} == {"BBB"}


def test_what_was_looked_up_changes_neither_copy_nor_digest(table: Path) -> None:
    """A resumed search knows its universe by what is written of it."""
    one, other = iv.Universe(membership=table), iv.Universe(membership=table)
    one.is_member("AAA", np.array([IN], dtype="datetime64[D]"))
    assert one.digest == other.digest

    assert pickle.dumps(one) == pickle.dumps(iv.Universe(membership=table))
    assert copy.deepcopy(one) == other


def test_one_day_more_is_another_universe(table: Path) -> None:
    longer = table.read_text(encoding="utf-8").replace("2010-12-31", "2011-01-03")
    other = table.with_name("longer.csv")
    other.write_text(longer, encoding="utf-8")

    assert iv.Universe(membership=other).digest != iv.Universe(membership=table).digest
    assert repr(iv.Universe(membership=other)) != repr(iv.Universe(membership=table))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (dict(), "expected each once"),
        (dict(symbols=["A", "A"]), "expected each once"),
        (dict(membership=[]), "has no row"),
        (dict(membership=42), "expected a CSV file, a DataFrame or rows"),
        (dict(membership=["AAA"]), "expected symbol, from, to"),
        (dict(membership=[("AAA", "2010-01-04")]), "expected symbol, from, to"),
        (dict(membership=[("AAA", "4.1.2010", None)]), "write it as 2015-03-31"),
        (dict(membership=[("AAA", "2010-01-04", "2009-01-04")]), "ends before it begins"),
        (dict(membership=pd.DataFrame({"symbol": ["A"], "from": [""]})), "found no 'to'"),
        (dict(symbols=["B"], membership=[("A", None, None)]), "says nothing of B"),
        (dict(symbols=["A"], minimum_close=-1.0), "dollars of 0 or more"),
        (dict(symbols=["A"], minimum_dollar_volume=float("nan")), "dollars of 0 or more"),
        (dict(symbols=["A"], largest=0), "whole number of 1 or more"),
        (dict(symbols=["A"], sessions=2.5), "whole number of 1 or more"),
        (dict(membership="nowhere/members.csv"), "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(given: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        iv.Universe(**given)

    assert "\n" not in str(refused.value)
