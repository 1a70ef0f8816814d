# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's tables have the same moments of bars as the engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from iverson.market import sample
from iverson.market.bars import Bars
from iverson.market.moments import moment
from iverson.market.synthesis import synthesize
from iverson.research.prepared import Feed
from iverson.research.sweep_tables import moments_of


def daily() -> Bars:
    return sample.load(["IBM"])["IBM"]


def minutes() -> Bars:
    return synthesize(daily().between(date(2012, 6, 25), date(2012, 7, 6)), seed=2)


def uneven() -> Bars:
    """Instants that a date number holds only nearly."""
    bars = minutes()
    odd = np.arange(len(bars)) * np.timedelta64(1_234_567, "ns")
    return replace(bars, at=bars.at - odd)


@pytest.mark.parametrize("made", [daily, minutes, uneven])
def test_moments_are_those_of_the_date_numbers(made: Any) -> None:
    feed = Feed(made())
    expected = [moment(number) for number in feed.numbers.tolist()]

    found = moments_of(feed)

    at = [np.datetime64(one.at.replace(tzinfo=None), "us").astype(np.int64) for one in expected]
    assert found.at.tolist() == at
    assert found.session.tolist() == [one.session for one in expected]
    assert found.ordinal.tolist() == [one.ordinal for one in expected]
