# SPDX-License-Identifier: GPL-3.0-or-later
"""The scale of conviction, read off bars."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt
import pytest

from iverson.errors import ConfigError
from iverson.research.backtest import Feed
from iverson.signals.confidence import confidence
from iverson.testing import bars

CLOSES = (90.0, 100.0, 101.0, 102.0, 104.0, 130.0)


def values(make: Any, *, runonce: bool) -> list[float]:
    """A line over bars with these closes."""
    found: list[float] = []

    class Reader(bt.Strategy):
        def __init__(self) -> None:
            self.line = make(self.data)

        def next(self) -> None:
            found.append(self.line[0])

    one = bars(" ".join(f"{close:g}" for close in CLOSES))
    cerebro = bt.Cerebro(stdstats=False, runonce=runonce)
    cerebro.adddata(Feed(one).data(slice(0, len(one))))
    cerebro.addstrategy(Reader)
    cerebro.run()
    return found


@pytest.mark.parametrize("runonce", [True, False])
def test_each_evidence_adds_a_point_to_the_setup_up_to_five(runonce: bool) -> None:
    found = values(
        lambda data: confidence(data.close >= 100, data.close > 100, 2 * (data.close > 101),
                                3 * (data.close > 103)),
        runonce=runonce,
    )  # fmt: skip

    assert found == [0.0, 1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize("runonce", [True, False])
def test_setup_without_evidence_is_one(runonce: bool) -> None:
    found = values(lambda data: confidence(data.close > 100), runonce=runonce)

    assert found == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("runonce", [True, False])
def test_unknown_evidence_is_never_full_confidence(runonce: bool) -> None:
    found = values(lambda data: confidence(data.close > 0, data.close * math.nan), runonce=runonce)

    assert all(math.isnan(value) for value in found)


def test_setup_that_is_no_line_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a line"):
        confidence(True)
