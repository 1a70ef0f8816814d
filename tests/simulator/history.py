# SPDX-License-Identifier: GPL-3.0-or-later
"""History made in words, for the tests of the exchange on loopback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date

import numpy as np
import pandas as pd

from iverson.market.bars import Bars
from iverson.market.calendar import new_york

NEW_YORK = "America/New_York"


def daily_bars(
    symbol: str,
    first: str,
    closes: Sequence[float],
    *,
    splits: Mapping[date, float] | None = None,
    dividends: Mapping[date, float] | None = None,
    volume: float = 1_000_000.0,
) -> Bars:
    """Daily bars on consecutive sessions: each opens at its close - 1, range 2 around both."""
    calendar = new_york()
    start = int(np.searchsorted(calendar.sessions, np.datetime64(first)))
    session = calendar.sessions[start : start + len(closes)]
    return bars_of(
        symbol,
        "1d",
        at=calendar.closes(session),
        session=session,
        closes=closes,
        splits=splits,
        dividends=dividends,
        volume=volume,
    )


def minute_bars(
    symbol: str,
    session: str,
    first: str = "09:31",
    last: str = "16:00",
    *,
    start: float = 100.0,
    step: float = 0.01,
    minutes: int = 1,
    volume: float = 1000.0,
) -> Bars:
    """Bars with right edges from clock to clock (New York, inclusive); closes rise by `step`."""
    at = pd.date_range(f"{session} {first}", f"{session} {last}", freq=f"{minutes}min", tz=NEW_YORK)
    stamps = at.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[ns]")
    closes = start + step * np.arange(len(at))
    days = np.full(len(at), np.datetime64(session, "D"))
    return bars_of(
        symbol,
        f"{minutes}m",
        at=stamps,
        session=days,
        closes=closes,
        volume=volume,
        reach=0.05,
    )


def joined(*parts: Bars) -> Bars:
    """One history of several stretches, in order."""
    columns = {
        column.name: np.concatenate([getattr(part, column.name) for part in parts])
        for column in fields(Bars)
        if column.name not in ("symbol", "interval", "feed", "extra")
    }
    return Bars(symbol=parts[0].symbol, interval=parts[0].interval, **columns)


def bars_of(
    symbol: str,
    interval: str,
    *,
    at: np.ndarray,
    session: np.ndarray,
    closes: Sequence[float] | np.ndarray,
    volume: float,
    splits: Mapping[date, float] | None = None,
    dividends: Mapping[date, float] | None = None,
    reach: float = 1.0,
) -> Bars:
    """Bars with these closes: opens lie `reach` below, highs as much above, lows twice below."""
    close = np.array(closes, dtype=float)
    ratios = [(splits or {}).get(day, 1.0) for day in session.tolist()]
    paid = [(dividends or {}).get(day, 0.0) for day in session.tolist()]
    return Bars(
        symbol=symbol,
        interval=interval,
        at=at,
        session=session,
        open=close - reach,
        high=close + reach,
        low=close - 2 * reach,
        close=close,
        volume=np.full(len(close), volume),
        factor=np.cumprod(ratios),
        dividend=np.array(paid, dtype=float),
    )
