# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that strategies share, against arithmetic done by hand."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt
import pytest

from iverson.errors import ConfigError
from iverson.execution.ticks import tick_size
from iverson.research.backtest import Feed
from iverson.signals.indicators import atr_stop, steps
from iverson.testing import bars

# open/high/low/close; true ranges from the second bar on: 4, 3 (a gap up), 6 (a gap down), 2, 5
WORDS = (
    "100/101/99/100 | 100/102/98/101 | 103/104/102/103 | 98/99/97/98 | 98/99/97/98 | 98/102/97/100"
)
TRUE_RANGES = (4.0, 3.0, 6.0, 2.0, 5.0)
CLOSES = (100.0, 101.0, 103.0, 98.0, 98.0, 100.0)
PERIOD = 3
# Wilder: the first is the mean of three, each next is (2 x the last + the new) / 3
FIRST = (4.0 + 3.0 + 6.0) / 3
SECOND = (2 * FIRST + 2.0) / 3
THIRD = (2 * SECOND + 5.0) / 3
ATRS = (FIRST, SECOND, THIRD)


def line(make: Any, words: str, *, runonce: bool = True) -> list[float]:
    """The values of a line over bars, one for each."""
    found: list[float] = []

    class Reader(bt.Strategy):
        def __init__(self) -> None:
            self.line = make(self.data)

        def next(self) -> None:
            found.append(self.line[0])

        prenext = nextstart = next  # noqa: A003 (Backtrader's name)

    one = bars(words)
    cerebro = bt.Cerebro(stdstats=False, runonce=runonce)
    cerebro.adddata(Feed(one).data(slice(0, len(one))))
    cerebro.addstrategy(Reader)
    cerebro.run()
    return found


@pytest.mark.parametrize("runonce", [True, False])
@pytest.mark.parametrize(("side", "way"), [("long", -1), ("short", 1)])
def test_stop_is_two_of_wilders_average_true_ranges_away(
    side: str, way: int, runonce: bool
) -> None:
    found = line(
        lambda data: atr_stop(data, period=PERIOD, atrs=2.0, cap=0.5, side=side),
        WORDS,
        runonce=runonce,
    )
    expected = [close + way * 2 * atr for close, atr in zip(CLOSES[3:], ATRS, strict=True)]

    assert all(math.isnan(value) for value in found[:PERIOD])
    assert found[PERIOD:] == pytest.approx(expected)


@pytest.mark.parametrize(("side", "way"), [("long", -1), ("short", 1)])
def test_stop_is_never_further_than_the_cap(side: str, way: int) -> None:
    found = line(lambda data: atr_stop(data, period=PERIOD, side=side), WORDS)

    assert found[PERIOD:] == pytest.approx([close * (1 + way * 0.05) for close in CLOSES[3:]])


def test_cap_binds_bar_by_bar() -> None:
    cap = 0.08  # 7.84, 7.84 and 8.00 dollars; two ATRs are 8.67, 7.11 and 8.07
    found = line(lambda data: atr_stop(data, period=PERIOD, atrs=2.0, cap=cap), WORDS)

    assert found[PERIOD:] == pytest.approx([98 - 7.84, 98 - 2 * SECOND, 100 - 8.0])


@pytest.mark.parametrize(("side", "way"), [("long", -1), ("short", 1)])
@pytest.mark.parametrize("price", [0.02, 50.0, 600_000.0])
def test_stop_of_what_never_moved_lies_on_its_side_nearer_than_a_tick(
    price: float, side: str, way: int
) -> None:
    words = f"{price}/{price}/{price}/{price} " * 5
    found = line(lambda data: atr_stop(data, period=PERIOD, side=side), words)

    for stop in found[PERIOD:]:
        assert 0 < (stop - price) * way < tick_size(price) / 10


@pytest.mark.parametrize(
    "wrong", [dict(side="flat"), dict(cap=5.0), dict(cap=0.0), dict(atrs=0.0), dict(atrs=-2.0)]
)
def test_stop_refuses_numbers_that_make_no_stop(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        atr_stop(None, **wrong)


@pytest.mark.parametrize("runonce", [True, False])
def test_steps_count_whole_steps_up_to_the_most(runonce: bool) -> None:
    words = "95 100 103.9 104 107.9 108 111.9 112 116 150"
    found = line(lambda data: steps(data.close - 100, 4.0, most=3), words, runonce=runonce)

    assert found == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]


@pytest.mark.parametrize(
    "wrong", [dict(size=0, most=4), dict(size=-1, most=4), dict(size=1, most=0)]
)
def test_steps_refuse_numbers_that_make_no_scale(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        steps(None, wrong["size"], most=wrong["most"])
