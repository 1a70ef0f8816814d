# SPDX-License-Identifier: GPL-3.0-or-later
"""What a search finds: a score for each parameter set, kept as a table of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

NUMBERS = ("score", "trades", "total_return", "cagr", "sharpe", "bars")
WHOLE = ("trades", "bars")


@dataclass(frozen=True, slots=True)
class Score:
    """One parameter set over one span. `score` is -inf when it made too few trades to count."""

    params: Mapping[str, Any]
    score: float
    trades: int
    total_return: float
    cagr: float
    sharpe: float
    bars: int

    def __eq__(self, other: object) -> bool:
        """Whether all is the same; NaN, the Sharpe ratio of no movement, is the same as NaN."""
        if not isinstance(other, Score):
            return NotImplemented
        pairs = [(getattr(self, one.name), getattr(other, one.name)) for one in fields(self)]
        return all(ours == theirs or (_nan(ours) and _nan(theirs)) for ours, theirs in pairs)

    __hash__ = None  # type: ignore[assignment] # `params` has none either


class Scores(Sequence[Score]):
    """The scores of one span in the order asked for: 48 bytes a set, beside the sets themselves."""

    __slots__ = ("sets", "table")

    def __init__(
        self, sets: Sequence[Mapping[str, Any]], table: NDArray[np.float64] | None = None
    ) -> None:
        self.sets = sets
        self.table = np.full((len(sets), len(NUMBERS)), math.nan) if table is None else table

    def put(self, start: int, scores: Sequence[Score]) -> None:
        """Fill in the scores of the sets from `start` on."""
        rows = [[getattr(one, name) for name in NUMBERS] for one in scores]
        self.table[start : start + len(rows)] = rows

    @classmethod
    def joined(cls, parts: Sequence[Scores]) -> Scores:
        """Put the scores of several rounds into one table; of one round they are as they were."""
        if len(parts) == 1:
            return parts[0]
        sets = [params for part in parts for params in part.sets]
        return cls(sets, np.concatenate([part.table for part in parts]))

    def __len__(self) -> int:
        return len(self.sets)

    @overload
    def __getitem__(self, at: int) -> Score: ...
    @overload
    def __getitem__(self, at: slice) -> Scores: ...
    def __getitem__(self, at: int | slice) -> Score | Scores:
        if isinstance(at, slice):
            return Scores(self.sets[at], self.table[at])
        score, trades, total_return, cagr, sharpe, bars = self.table[at].tolist()
        return Score(self.sets[at], score, int(trades), total_return, cagr, sharpe, int(bars))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment] # its scores have none either

    def __repr__(self) -> str:
        return f"<scores of {len(self)} parameter sets>"


def best(scores: Iterable[Score]) -> Score | None:
    """Return the highest score, the first of equals; None when no set made enough trades."""
    counted = (score for score in scores if score.score > -math.inf)  # NaN does not count either
    return max(counted, key=lambda score: score.score, default=None)


def _nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
