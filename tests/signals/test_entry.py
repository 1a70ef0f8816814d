# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries turn lines into signals in raw dollars."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import backtrader as bt
import pytest

from iverson.model import Signal
from iverson.signals.entry import Entry, Long, Short
from iverson.testing import START

AT = datetime(2024, 1, 2, 21, tzinfo=UTC)


def read(entry: Entry, *, factor: float = 1.0) -> Signal:
    return entry.signal(
        at=AT, session=START, symbol="TEST", factor=factor, max_sessions=3, strategy="Test"
    )


@pytest.mark.parametrize(("kind", "side"), [(Long, "long"), (Short, "short")])
def test_numbers_and_words_may_stand_for_lines(kind: type[Entry], side: str) -> None:
    found = read(kind(5, 100, 98, 104, reason="gap"))

    assert found == Signal(
        AT,
        START,
        "TEST",
        side,
        5,
        100.0,
        98.0,
        104.0,
        3,
        "gap",
        "Test",
    )


def test_factor_divides_prices_and_nothing_else() -> None:
    found = read(Long(5, 400.0, 392.0, 420.0, reason=30.0), factor=4.0)

    assert (found.limit, found.stop, found.target, found.reason) == (100.0, 98.0, 105.0, 30.0)


def test_no_target_stays_none() -> None:
    assert read(Long(5, 100, 98), factor=2.0).target is None


@pytest.mark.parametrize(
    ("confidence", "wanted", "kept"),
    [
        (0, 0.0, 0),
        (math.nan, 0.0, 0),
        (5.0, 5.0, 5),
        (True, 1.0, 1),
        (3.5, 3.5, 3.5),
        (math.inf, math.inf, math.inf),
        (-2, -2.0, -2),
    ],
)
def test_confidence_is_passed_on_as_it_is_and_whole_numbers_as_such(
    confidence: Any, wanted: float, kept: Any
) -> None:
    entry = Long(confidence, 100, 98)
    found = read(entry).confidence

    assert entry.wanted() == wanted
    assert (found, type(found)) == (kept, type(kept))


def test_lines_are_read_at_the_current_bar() -> None:
    line = bt.linebuffer.LineBuffer()
    for value in (1.0, 2.0, 3.0):
        line.forward()
        line[0] = value
    line.home()
    line.advance()

    assert Long(line, 100, 98).wanted() == 1.0
    line.advance()
    assert Long(line, 100, 98).wanted() == 2.0
    assert read(Long(5, line, line, reason=line)).limit == 2.0
