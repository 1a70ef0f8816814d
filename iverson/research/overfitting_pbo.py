# SPDX-License-Identifier: GPL-3.0-or-later
"""Probability of backtest overfitting: how often the best in one half fails in the other.

Combinatorially symmetric cross-validation cuts the sessions into blocks, takes every half of them
as in sample and the rest as out of sample, and follows the trial that was best in sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from iverson.errors import ConfigError
from iverson.monitoring.intervals import Floats
from iverson.monitoring.metrics import SESSIONS_PER_YEAR
from iverson.research.overfitting_trials import trial_matrix

Statistic = Literal["sharpe", "mean"]

MOST_BLOCKS = 20  # 184,756 combinations; 22 would be 705,432
CHUNK = 512


@dataclass(frozen=True, eq=False, slots=True)
class Overfitting:
    """What cross-validation says about choosing the best of these trials.

    `probability` (PBO) is the share of combinations in which the best in sample is at or below the
    median out of sample: 0.5 for noise, near 0 for a choice that holds. `logits`, `in_sample` and
    `out_of_sample` have one value a combination: ln(ω / (1 − ω)) of the relative rank ω, and the
    annualised statistic of the chosen trial in both halves. `slope`, `intercept` and `r_squared`
    describe out of sample as a line of in sample (performance degradation; NaN when in sample does
    not vary). `loss` is the share of combinations in which the chosen trial loses out of sample.
    """

    probability: float
    loss: float
    slope: float
    intercept: float
    r_squared: float
    logits: Floats
    in_sample: Floats
    out_of_sample: Floats
    trials: int
    blocks: int

    def __str__(self) -> str:
        """Print as `PBO 48.2% over 12870 combinations of 16 blocks, 500 trials; ...`."""
        return (
            f"PBO {self.probability:.1%} over {self.logits.size} combinations of {self.blocks} "
            f"blocks, {self.trials} trials; loses out of sample in {self.loss:.1%}; "
            f"out of sample = {self.intercept:.2f} {self.slope:+.2f} x in sample"
        )


def overfitting_probability(
    returns: Floats,
    *,
    blocks: int = 16,
    statistic: Statistic = "sharpe",
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> Overfitting:
    """Cross-validate the choice of the best trial over all halves of the sessions.

    Parameters
    ----------
    returns
        Returns of every trial, fractions, shape (sessions, trials), 0 where a trial held nothing.
    blocks
        Even number of equal blocks; the oldest sessions that do not fill a block are left out.
    statistic
        What the choice maximises: "sharpe" (0 where returns do not vary) or "mean".

    Raises
    ------
    ConfigError
        For blocks that are odd, fewer than 2 or more than 20, fewer than 2 sessions a block, fewer
        than 2 trials, and a wrong shape.
    DataError
        For NaN or an infinity.

    Notes
    -----
    Bailey, Borwein, López de Prado and Zhu (2017), "The probability of backtest overfitting",
    Journal of Computational Finance 20(4), 39-69, doi:10.21314/JCF.2016.322: the CSCV procedure,
    and of its overfit statistics PBO, performance degradation and probability of loss. Rank 1 is
    the worst, ω = rank / (N + 1); equal trials share the mean of their ranks. Blocks are not
    purged: a trade across the border of two blocks counts in both, so that blocks should be much
    longer than trades.
    """
    if blocks % 2 or not 2 <= blocks <= MOST_BLOCKS:
        raise ConfigError(f"blocks={blocks} cannot be halved; expected an even 2 to {MOST_BLOCKS}")
    if statistic not in ("sharpe", "mean"):
        raise ConfigError(f"statistic={statistic!r} is unknown; expected 'sharpe' or 'mean'")
    matrix = trial_matrix(returns, least=2 * blocks)
    count, trials = matrix.shape
    if trials < 2:
        raise ConfigError("there is 1 trial, so nothing was chosen; expected 2 or more")
    halves = _Halves(matrix[count % blocks :], blocks, statistic)
    left = np.array(list(combinations(range(blocks), blocks // 2)), dtype=np.intp)
    taken = np.zeros((len(left), blocks))
    np.put_along_axis(taken, left, 1.0, axis=1)
    # The complement of combination i is combination −1−i: each half is measured once for both uses.
    first = taken[: len(taken) // 2]
    pairs = [halves.follow(first[row : row + CHUNK]) for row in range(0, len(first), CHUNK)]
    ahead = np.concatenate([pair[0] for pair in pairs], axis=1)
    behind = np.concatenate([pair[1] for pair in pairs], axis=1)
    chosen, later, share = np.concatenate([ahead, behind[:, ::-1]], axis=1)
    scale = math.sqrt(sessions_per_year) if statistic == "sharpe" else float(sessions_per_year)
    logits = np.log(share / (1.0 - share))
    slope, intercept, r_squared = _line(scale * chosen, scale * later)
    return Overfitting(
        probability=float(np.mean(logits <= 1e-12)),
        loss=float(np.mean(later < 0.0)),
        slope=slope,
        intercept=intercept,
        r_squared=r_squared,
        logits=logits,
        in_sample=scale * chosen,
        out_of_sample=scale * later,
        trials=trials,
        blocks=blocks,
    )


class _Halves:
    """Statistics of all trials over any half of the blocks, from sums kept by block."""

    def __init__(self, matrix: Floats, blocks: int, statistic: Statistic) -> None:
        self._middle = matrix.mean(axis=0)
        parts = (matrix - self._middle).reshape(blocks, -1, matrix.shape[1])
        self._count = len(matrix) // 2
        self._sums = parts.sum(axis=1)
        self._squares = np.einsum("bst,bst->bt", parts, parts) if statistic == "sharpe" else None

    def follow(self, taken: Floats) -> tuple[Floats, Floats]:
        """Choose in each half and judge in the other, for halves and for their complements.

        Two arrays 3 × halves: the chosen trial's statistic in sample, out of sample, and its
        relative rank out of sample.
        """
        one, other = self._measure(taken), self._measure(1.0 - taken)
        return _choose(one, other), _choose(other, one)

    def _measure(self, taken: Floats) -> Floats:
        means: Floats = taken @ self._sums / self._count
        if self._squares is None:
            means += self._middle
            return means
        variance = taken @ self._squares / self._count - means**2
        means += self._middle
        deviation = np.sqrt(np.maximum(variance, 0.0) * self._count / (self._count - 1))
        varies = deviation > 1e-9 * np.abs(means)  # the rest is rounding
        sharpes: Floats = np.where(varies, means / np.where(varies, deviation, 1.0), 0.0)
        return sharpes


def _choose(one: Floats, other: Floats) -> Floats:
    rows = np.arange(len(one))
    best = one.argmax(axis=1)
    later = other[rows, best]
    reach = 1e-12 * np.abs(later)  # equal up to rounding is equal
    below = np.count_nonzero(other < (later - reach)[:, None], axis=1)
    up_to = np.count_nonzero(other <= (later + reach)[:, None], axis=1)
    rank = (below + 1 + up_to) / 2.0
    return np.stack([one[rows, best], later, rank / (one.shape[1] + 1.0)])


def _line(x: Floats, y: Floats) -> tuple[float, float, float]:
    across, up = x - x.mean(), y - y.mean()
    spread = float(across @ across)
    if not spread > 1e-24 * float(x @ x):
        return math.nan, math.nan, math.nan
    slope = float(across @ up) / spread
    total = float(up @ up)
    r_squared = slope * slope * spread / total if total > 0.0 else math.nan
    return slope, float(y.mean()) - slope * float(x.mean()), r_squared
