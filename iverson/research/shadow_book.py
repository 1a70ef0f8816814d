# SPDX-License-Identifier: GPL-3.0-or-later
"""The shadow book's tables: many followed signals, summed up by the rule that denied them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.execution.bracket import on_grid
from iverson.market.bars import Bars
from iverson.model import Verdict
from iverson.monitoring.intervals import (
    UNKNOWN,
    Interval,
    checked_resamples,
    independent_draws,
    percentile,
    resample,
)
from iverson.research.shadow import ShadowTrade, follow


def shadow_frame(trades: Iterable[ShadowTrade]) -> pd.DataFrame:
    """Return one row per followed signal, columns as in `ShadowTrade` plus `filled`."""
    columns = [column.name for column in fields(ShadowTrade)]
    given = list(trades)
    frame = pd.DataFrame([asdict(trade) for trade in given], columns=columns)
    frame["filled"] = np.array([trade.filled for trade in given], dtype=bool)
    return frame


def follow_denied(
    verdicts: Iterable[Verdict], bars: Mapping[str, Bars], **options: Any
) -> Iterator[ShadowTrade]:
    """Follow every denied signal that has no fault, on the price grid either.

    `options` are those of `follow`.
    """
    for verdict in verdicts:
        signal = verdict.signal
        if not verdict.approved and signal.symbol in bars and on_grid(signal).fault() is None:
            yield follow(signal, bars[signal.symbol], rule=verdict.rule, **options)


def by_rule(shadow: pd.DataFrame, *, seed: int = 0, resamples: int = 1000) -> pd.DataFrame:
    """Sum the shadow book up by rule, the busiest first.

    Columns: `denied`, `filled` (signals), `mean_r`, `total_r`, `low`, `high` (95 % interval of the
    total). A positive total is what the rule cost, a negative one what it saved, in units of
    planned risk. The interval resamples filled signals independently; they overlap, so the true
    one is wider.
    """
    checked_resamples(resamples)
    rows = {}
    generator = np.random.default_rng(seed)
    groups = sorted(shadow.groupby("rule"), key=lambda item: (-len(item[1]), str(item[0])))
    for rule, rows_of_rule in groups:
        made = rows_of_rule.loc[rows_of_rule["filled"], "r_multiple"].to_numpy(dtype=np.float64)
        low, high = total_interval(made, generator, resamples)
        rows[rule] = {
            "denied": len(rows_of_rule),
            "filled": len(made),
            "mean_r": float(made.mean()) if made.size else math.nan,
            "total_r": float(made.sum()),
            "low": low,
            "high": high,
        }
    columns = ["denied", "filled", "mean_r", "total_r", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def total_interval(
    made: NDArray[np.float64], generator: np.random.Generator, resamples: int = 1000
) -> Interval:
    """Bound a sum by resampling its parts; (NaN, NaN) below two."""
    if made.size < 2:
        return UNKNOWN
    draws = independent_draws(made.size, resamples, generator)
    sums = resample(lambda draw: (float(made[draw].sum()),), draws)[:, 0]
    return percentile(float(made.sum()), sums)
