# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames made in words: a clean week, its sessions, and one minute session."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from iverson.market.calendar import Calendar, new_york

FrameMaker = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def calendar() -> Calendar:
    return new_york()


@pytest.fixture
def daily(calendar: Calendar) -> FrameMaker:
    """Make daily bars on consecutive sessions: open and close given, range one cent around."""

    def make(
        closes: list[float],
        *,
        opens: list[float] | None = None,
        symbol: str = "AAA",
        first: str = "2021-03-01",
        volume: float = 1000.0,
    ) -> pd.DataFrame:
        start = int(np.searchsorted(calendar.sessions, np.datetime64(first)))
        close = np.array(closes, dtype=float)
        opened = close - 0.01 if opens is None else np.array(opens, dtype=float)
        return pd.DataFrame(
            {
                "symbol": symbol,
                "session": calendar.sessions[start : start + len(close)].astype("datetime64[s]"),
                "open": opened,
                "high": np.maximum(opened, close) + 0.01,
                "low": np.minimum(opened, close) - 0.01,
                "close": close,
                "volume": volume,
            }
        )

    return make


@pytest.fixture
def minutes(calendar: Calendar) -> FrameMaker:
    """Make one-minute bars with right-edge stamps from clock to clock (New York, inclusive)."""

    def make(
        first: str = "09:31",
        last: str = "16:00",
        *,
        session: str = "2021-03-01",
        symbol: str = "AAA",
    ) -> pd.DataFrame:
        at = pd.date_range(
            f"{session} {first}", f"{session} {last}", freq="min", tz="America/New_York"
        ).tz_convert("UTC")
        price = 100.0 + 0.01 * np.arange(len(at))
        return pd.DataFrame(
            {
                "symbol": symbol,
                "session": pd.Timestamp(session),
                "at": at,
                "open": price,
                "high": price + 0.02,
                "low": price - 0.02,
                "close": price + 0.01,
                "volume": 100.0,
            }
        )

    return make
