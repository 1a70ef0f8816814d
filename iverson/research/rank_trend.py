# SPDX-License-Identifier: GPL-3.0-or-later
"""The Jonckheere-Terpstra test: whether values rise with the order of their groups."""

from __future__ import annotations

import math
from itertools import combinations
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from iverson.errors import DataError
from iverson.monitoring.intervals import Floats


class Trend(NamedTuple):
    """The statistic J, its standardised form z, and both one-sided p-values; NaN for no test."""

    statistic: float
    z: float
    p_rising: float
    p_falling: float


def trend(groups: ArrayLike, values: ArrayLike) -> Trend:
    """Test whether values rise (or fall) with the number of their group.

    Shapes (n,) both; groups are compared by their order only. NaN throughout for fewer than two
    groups, fewer than 3 values, or values that are all equal.

    Raises
    ------
    DataError: a NaN, or arrays of different length.

    Notes
    -----
    J = the pairs of values from two groups in which the one from the higher group is larger, ties
    counting half. z = (J − E) / √V with E = (N² − Σnᵢ²)/4 and V corrected for ties; the normal
    law, no continuity correction. Jonckheere (1954), Biometrika 41, 133-145,
    doi:10.1093/biomet/41.1-2.133; Terpstra (1952), Indagationes Mathematicae 14, 327-333; V as in
    Hollander and Wolfe (1999), "Nonparametric Statistical Methods", 2nd ed., section 6.2. The test
    is Kendall's tau with ties in the groups. Values are taken as independent.
    """
    order, data = np.asarray(groups), np.asarray(values, dtype=np.float64)
    if order.shape != data.shape or order.ndim != 1:
        raise DataError(f"{order.shape} groups for {data.shape} values; expected one for each")
    if np.isnan(data).any():
        raise DataError("a value is NaN; leave it out of the test")
    parts = [np.sort(data[order == group]) for group in np.unique(order)]
    total = data.size
    if len(parts) < 2 or total < 3:
        return Trend(math.nan, math.nan, math.nan, math.nan)
    statistic = sum(_larger(low, high) for low, high in combinations(parts, 2))
    sizes = np.array([part.size for part in parts], dtype=np.float64)
    ties = np.unique(data, return_counts=True)[1].astype(np.float64)
    expected = (total**2 - float((sizes**2).sum())) / 4.0
    variance = (
        (_odd(np.array([float(total)])) - _odd(sizes) - _odd(ties)) / 72.0
        + _three(sizes) * _three(ties) / (36.0 * total * (total - 1) * (total - 2))
        + _two(sizes) * _two(ties) / (8.0 * total * (total - 1))
    )
    if not variance > 1e-9:
        return Trend(statistic, math.nan, math.nan, math.nan)
    z = (statistic - expected) / math.sqrt(variance)
    return Trend(statistic, z, NormalDist().cdf(-z), NormalDist().cdf(z))


def _larger(low: Floats, high: Floats) -> float:
    below = np.searchsorted(low, high, side="left")
    not_above = np.searchsorted(low, high, side="right")
    return float((below + not_above).sum()) / 2.0


def _odd(counts: Floats) -> float:
    return float((counts * (counts - 1.0) * (2.0 * counts + 5.0)).sum())


def _two(counts: Floats) -> float:
    return float((counts * (counts - 1.0)).sum())


def _three(counts: Floats) -> float:
    return float((counts * (counts - 1.0) * (counts - 2.0)).sum())
