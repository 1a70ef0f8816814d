# SPDX-License-Identifier: GPL-3.0-or-later
"""Other futures: bars and frames that are the same up to one bar and different after it.

A decision at that bar must be the same in all of them. `changed` makes every later bar another
one, violently, but valid: open and close stay between low and high, prices above 0. `acted` leaves
the market alone and splits the shares and pays a dividend at the next session. `cut` ends there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.market.bars import Bars

LEVEL = 0.25  # standard deviation of the logarithm by which a later bar's prices are off
STRETCH = 0.05  # by how much a later bar's high and low are moved apart, at most
SPLITS = np.array([1.0, 2.0, 0.5])  # shares for one, session after session; never twice the same
PAID = 0.02  # a later dividend, as a fraction of the close
PAYS_EVERY = 5  # sessions

Frame = TypeVar("Frame", pd.DataFrame, pd.Series)


def changed(bars: Mapping[str, Bars], after: Mapping[str, int], seed: int) -> dict[str, Bars]:
    """Return bars of which, by symbol, all rows from `after` on are different."""
    return {
        symbol: _changed(one, after[symbol], np.random.default_rng([seed, place]))
        for place, (symbol, one) in enumerate(bars.items())
    }


def acted(bars: Mapping[str, Bars], after: Mapping[str, int]) -> dict[str, Bars]:
    """Return bars with a split of two for one and a dividend at the first session from there."""
    return {symbol: _acted(one, after[symbol]) for symbol, one in bars.items()}


def cut(bars: Mapping[str, Bars], after: Mapping[str, int]) -> dict[str, Bars]:
    """Return bars without the rows from `after` on."""
    return {symbol: one[: after[symbol]] for symbol, one in bars.items()}


def _changed(bars: Bars, start: int, rng: np.random.Generator) -> Bars:
    n = len(bars) - start
    if n <= 0:
        return bars
    level = np.exp(LEVEL * rng.standard_normal(n))
    number = _sessions_after(bars, start)
    split = SPLITS[number % len(SPLITS)]
    new = {name: getattr(bars, name)[start:] * level / split for name in ("open", "close")}
    new["high"] = bars.high[start:] * level / split * (1 + STRETCH * rng.random(n))
    new["low"] = bars.low[start:] * level / split * (1 - STRETCH * rng.random(n))
    new["volume"] = np.round(bars.volume[start:] * split * np.exp(rng.standard_normal(n)))
    new["factor"] = bars.factor[start:] * split
    opens = np.r_[True, number[1:] != number[:-1]] & (number > 0)
    new["dividend"] = np.where(opens & (number % PAYS_EVERY == 1), PAID * new["close"], 0.0)
    extra = {}
    for name, values in bars.extra.items():
        extra[name] = np.r_[values[:start], np.nan_to_num(values[start:]) + 1 + rng.random(n)]
    return replace(_spliced(bars, start, new), extra=extra)


def _acted(bars: Bars, start: int) -> Bars:
    number = _sessions_after(bars, start)
    split = np.where(number > 0, 2.0, 1.0)
    prices = ("open", "high", "low", "close")
    new = {name: getattr(bars, name)[start:] / split for name in prices}
    new["volume"] = bars.volume[start:] * split
    new["factor"] = bars.factor[start:] * split
    pays = (number == 1) & np.r_[True, number[1:] != number[:-1]][: len(number)]
    new["dividend"] = bars.dividend[start:] / split + np.where(pays, PAID * new["close"], 0.0)
    return _spliced(bars, start, new)


def _sessions_after(bars: Bars, start: int) -> NDArray[np.int64]:
    """Count, for each row from `start` on, the sessions since that of the row before it."""
    session = bars.session[max(0, start - 1) :]
    begins = np.r_[start == 0, session[1:] != session[:-1]][: len(session)]
    return np.cumsum(begins)[min(1, start) :]


def _spliced(bars: Bars, start: int, new: Mapping[str, NDArray[np.float64]]) -> Bars:
    columns: dict[str, Any] = {
        name: np.r_[getattr(bars, name)[:start], rows] for name, rows in new.items()
    }
    return replace(bars, **columns)


# -- frames that a strategy reads beside its bars --------------------------------------------------


def frame_changed(frame: Frame, *, at: pd.Timestamp, session: date, seed: int) -> Frame:
    """Return a frame whose rows that are not known at a bar are different.

    A row stamped with a time zone is known at its stamp. A row stamped with a bare date is known
    once that session is over, that is from the next session's first bar on: most such numbers are
    made from the day itself. One that is known earlier has to say when, by an instant.
    """
    ahead = unknown(frame.index, at=at, session=session)
    if not ahead.any():
        return frame
    rng = np.random.default_rng(seed)
    if isinstance(frame, pd.Series):
        return _other_values(frame, ahead, rng)
    columns = [_other_values(frame.iloc[:, n], ahead, rng) for n in range(frame.shape[1])]
    return pd.concat(columns, axis=1).set_axis(frame.columns, axis=1)


def unknown(index: Any, *, at: pd.Timestamp, session: date) -> NDArray[np.bool_]:
    """Return, for each row of a frame's index, whether it is not known yet at a bar."""
    if index.tz is not None:
        return np.asarray(index > at)
    if (index == index.normalize()).all():
        return np.asarray(index >= pd.Timestamp(session))
    return np.asarray(index > at.tz_localize(None))


def _other_values(column: pd.Series, ahead: Any, rng: np.random.Generator) -> pd.Series:
    values = column.to_numpy(copy=True)
    n = int(ahead.sum())
    if values.dtype == bool:
        values[ahead] = ~values[ahead]
    elif np.issubdtype(values.dtype, np.integer):
        values[ahead] += rng.integers(1, 1000, n).astype(values.dtype)
    elif np.issubdtype(values.dtype, np.floating):
        spread = float(np.nanstd(values)) if np.isfinite(values).any() else 1.0
        shift = (spread or 1.0) * (1 + rng.random(n)) * rng.choice([-1, 1], n)
        values[ahead] = np.where(np.isnan(values[ahead]), shift, values[ahead] + shift)
    else:
        values[ahead] = np.roll(values[ahead], 1)
    return pd.Series(values, index=column.index, name=column.name)
