# SPDX-License-Identifier: GPL-3.0-or-later
"""Date numbers of columns are Backtrader's own, bit by bit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import backtrader as bt
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from iverson.engine.day_numbers import day_numbers_of

# Backtrader's numbers are of naive UTC instants.
EARLIEST, LATEST = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1960, 2050))


def backtraders(instants: list[datetime]) -> list[float]:
    return [bt.date2num(at) for at in instants]


@given(st.lists(st.datetimes(EARLIEST, LATEST), max_size=40))
def test_any_instants(instants: list[datetime]) -> None:
    at = np.array(instants, dtype="datetime64[us]")

    assert day_numbers_of(at).tolist() == backtraders(instants)


def test_every_minute_of_some_years_days() -> None:
    minutes = [timedelta(minutes=n) for n in range(1440)]
    days = [
        EARLIEST.replace(year=year, month=month, day=15)
        for year in (1962, 1999, 2026, 2049)
        for month in range(1, 13)
    ]
    instants = [day + minute for day in days for minute in minutes]

    assert day_numbers_of(np.array(instants, dtype="datetime64[ns]")).tolist() == backtraders(
        instants
    )


def test_none_at_all() -> None:
    assert day_numbers_of(np.array([], dtype="datetime64[ns]")).tolist() == []
