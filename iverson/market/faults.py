# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults: what looks wrong in bars, one value per occurrence, and their summary as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Kind = Literal[
    "not a number",
    "price not above zero",
    "high below low",
    "open or close outside high-low",
    "zero volume",
    "stale",
    "duplicate",
    "unsorted",
    "holiday row",
    "missing session",
    "session missing for many",
    "spike",
    "factor of ten",
    "unadjusted split",
    "already adjusted",
    "mixed adjustment",
    "implausible dividend",
    "extended hours",
    "wrong edge",
    "missing minutes",
    "late first bar",
]
KINDS: tuple[str, ...] = get_args(Kind)
EVERY_SYMBOL = "*"


@dataclass(frozen=True, slots=True)
class Fault:
    """One occurrence of something that looks wrong.

    `symbol` is "*" when it concerns many symbols. `value` is the number behind `detail`: a price,
    a ratio, a count of bars; NaN when there is none.
    """

    symbol: str
    session: date
    kind: Kind
    detail: str
    value: float = math.nan


def listed(
    rows: pd.DataFrame,
    kind: Kind,
    detail: str | Sequence[str],
    value: float | NDArray[np.float64] = math.nan,
) -> list[Fault]:
    """Make one fault of each row (columns symbol and session), with its detail and value."""
    details = [detail] * len(rows) if isinstance(detail, str) else list(detail)
    values = np.broadcast_to(np.asarray(value, dtype=np.float64), (len(rows),)).tolist()
    days = rows["session"].to_numpy().astype("datetime64[D]").tolist()
    symbols = rows["symbol"].tolist()
    return [
        Fault(str(symbol), day, kind, text, number)
        for symbol, day, text, number in zip(symbols, days, details, values, strict=True)
    ]


def table(faults: Iterable[Fault]) -> pd.DataFrame:
    """Return one row a fault: symbol, session, kind, detail, value."""
    rows = [
        (fault.symbol, fault.session, fault.kind, fault.detail, fault.value) for fault in faults
    ]
    return pd.DataFrame(rows, columns=["symbol", "session", "kind", "detail", "value"])


def summary(faults: Iterable[Fault]) -> pd.DataFrame:
    """Count the faults by symbol and kind, with the first and the last session of each.

    Columns: symbol, kind, count, first, last; sorted by symbol and in the order of `KINDS`.
    """
    rows = table(faults)
    if rows.empty:
        return pd.DataFrame(columns=["symbol", "kind", "count", "first", "last"])
    rows["kind"] = pd.Categorical(rows["kind"], categories=list(KINDS), ordered=True)
    grouped = rows.groupby(["symbol", "kind"], observed=True)["session"]
    counted = grouped.agg(count="count", first="min", last="max").reset_index()
    counted["kind"] = counted["kind"].astype("str")
    return counted
