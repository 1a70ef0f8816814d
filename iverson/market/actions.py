# SPDX-License-Identifier: GPL-3.0-or-later
"""Corporate actions: the table of splits and dividends, and how to read it out of adj_close.

Columns: `symbol`, `session` (the ex-date, datetime64), `kind` ("split" or "dividend"), `value`
(split: new shares for one old share, so 2.0 for 2:1 and 0.1 for a reverse 1:10; dividend: raw
dollars a share of that session). A vendor that publishes only an adjusted close tells its actions
by the steps of adj_close/close; its level does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.errors import BadBars

COLUMNS = ("symbol", "session", "kind", "value")
SPLIT = "split"
DIVIDEND = "dividend"

_WHOLE = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 35, 40, 50, 60, 75, 80, 100, 150, 200)
SIMPLE_RATIOS: NDArray[np.float64] = np.array(
    sorted([*_WHOLE, 1.5, 2.5, 1.25, 4 / 3, 5 / 3, *(1 / n for n in _WHOLE), 2 / 3, 0.4]),
    dtype=np.float64,
)
"""Split ratios that occur: new shares for one old share, ascending."""


def empty() -> pd.DataFrame:
    """Return a table without actions, with the right columns and types."""
    return _nothing().copy()


@lru_cache(maxsize=1)
def _nothing() -> pd.DataFrame:
    return table([])


def table(rows: Iterable[tuple[str, date | str, str, float]]) -> pd.DataFrame:
    """Build the table from (symbol, ex-date, kind, value) rows, sorted and checked.

    `BadBars` for an unknown kind or a value that is not a finite number above 0.
    """
    listed = list(rows)
    frame = pd.DataFrame(
        {
            "symbol": pd.array([row[0] for row in listed], dtype="str"),
            "session": pd.to_datetime(pd.Series([row[1] for row in listed], dtype="object")),
            "kind": pd.array([row[2] for row in listed], dtype="str"),
            "value": np.array([row[3] for row in listed], dtype=np.float64),
        }
    )
    return tidy(frame)


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with its four columns, typed, checked and sorted; `BadBars` otherwise."""
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise BadBars(
            f"the actions have no column {', '.join(missing)}; expected {', '.join(COLUMNS)}"
        )
    result = frame.loc[:, list(COLUMNS)].copy()
    result["symbol"] = result["symbol"].astype("str")
    result["session"] = result["session"].astype("datetime64[s]")
    result["kind"] = result["kind"].astype("str")
    result["value"] = result["value"].astype(np.float64)
    kinds = result["kind"].isin([SPLIT, DIVIDEND])
    good = kinds & np.isfinite(result["value"]) & (result["value"] > 0) & result["session"].notna()
    if not good.all():
        row = result.loc[~good].iloc[0]
        raise BadBars(
            f"{row['symbol']} has the action {row['kind']!r} of {row['value']} on "
            f"{row['session']}; expected a split or a dividend with a value above 0 and a date"
        )
    return result.sort_values(["symbol", "session", "kind"], kind="stable", ignore_index=True)


def of_symbol(actions: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """Return the rows of one symbol, by ex-date."""
    return actions.loc[actions["symbol"] == symbol].sort_values("session", kind="stable")


def derive_actions(frame: pd.DataFrame) -> pd.DataFrame:
    """Read splits and dividends out of the steps of adj_close/close.

    Parameters
    ----------
    frame : columns symbol, session, close and adj_close; one row a session and symbol

    Returns
    -------
    The actions table. Raw closes give raw dollars; split-adjusted closes give split-adjusted
    dividends and no splits. The level of adj_close is ignored.

    Notes
    -----
    With r = (adj_close/close before) / (adj_close/close on the ex-date), Quandl's WIKI rule is
    dividend = close_ex * (1/r - 1). A step whose 1/r is within 0.1 % of a simple ratio, on
    a session on which the close really jumped towards it, is a split. The rest above 1 are
    dividends, rounded to the fewest of 2, 3 or 4 decimals that change them by less than 0.05 %.
    Steps below six times the symbol's median step are rounding noise; a step below 1 that is no
    reverse split cannot be a dividend and is left to `checks`. NaN rows are skipped.
    """
    for column in ("symbol", "session", "close", "adj_close"):
        if column not in frame.columns:
            raise BadBars(
                f"actions cannot be derived without the column {column}; "
                "expected symbol, session, close and adj_close"
            )
    usable = np.isfinite(frame["close"]) & np.isfinite(frame["adj_close"])
    usable &= (frame["close"] > 0) & (frame["adj_close"] > 0)
    rows: list[tuple[str, date | str, str, float]] = []
    for symbol, bars in frame.loc[usable].groupby("symbol", sort=True):
        ordered = bars.sort_values("session", kind="stable")
        rows.extend(_derived(str(symbol), ordered))
    return table(rows)


def _derived(symbol: str, bars: pd.DataFrame) -> list[tuple[str, date | str, str, float]]:
    close = bars["close"].to_numpy(dtype=np.float64)
    ratio = bars["adj_close"].to_numpy(dtype=np.float64) / close
    if len(close) < 2:
        return []
    step = ratio[1:] / ratio[:-1]
    noise = max(1e-5, 6.0 * float(np.median(np.abs(step - 1.0))))
    rows: list[tuple[str, date | str, str, float]] = []
    for index in np.flatnonzero(np.abs(step - 1.0) > noise):
        session = bars["session"].iloc[int(index) + 1].date()
        nearest = nearest_ratio(float(step[index]))
        jump = close[index] / close[index + 1]
        if abs(step[index] / nearest - 1) < max(1e-3, noise) and abs(np.log(jump / nearest)) < abs(
            np.log(jump)
        ):
            rows.append((symbol, session, SPLIT, nearest))
        elif step[index] > 1.0:
            dividend = _rounded(float(close[index + 1] * (step[index] - 1.0)))
            if dividend > 0:
                rows.append((symbol, session, DIVIDEND, dividend))
    return rows


def nearest_ratio(ratio: float) -> float:
    """Return the simple split ratio nearest to a positive number, on a logarithmic scale."""
    return float(SIMPLE_RATIOS[int(np.argmin(np.abs(np.log(SIMPLE_RATIOS / ratio))))])


def _rounded(dividend: float) -> float:
    for decimals in (2, 3):
        if abs(round(dividend, decimals) - dividend) <= 5e-4 * dividend:
            return round(dividend, decimals)
    return round(dividend, 4)
