# SPDX-License-Identifier: GPL-3.0-or-later
"""How many independent trials a search really made: neighbours on a grid are nearly one trial."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iverson.errors import ConfigError, DataError
from iverson.monitoring.intervals import Floats

# Below it "no substantial structure has been found": Kaufman and Rousseeuw (1990), "Finding Groups
# in Data", table 4, doi:10.1002/9780470316801.
SUBSTANTIAL = 0.25
MOST_CUTS = 200


@dataclass(frozen=True, slots=True)
class EffectiveTrials:
    """How many trials were made, and how many independent ones they are worth.

    `trials` counts those that ever traded, `idle` those whose returns never vary. `labels` gives
    each trial's cluster, 0 to `clusters` − 1, or −1 when idle. `silhouette` is the mean of the best
    clustering (NaN below 3 trials); not above 0.25 all trials are one cluster. `effective` lies
    between `clusters` and `trials`. `sharpe_variance` is that of the Sharpe ratios per observation,
    each trial weighing as much as it counts. `groups` has the size of each cluster and its mean
    correlation, 0 when negative.
    """

    trials: int
    idle: int
    clusters: int
    labels: tuple[int, ...]
    silhouette: float
    effective: float
    sharpe_variance: float
    groups: tuple[tuple[int, float], ...]

    def by_luck(self, p_value: float) -> float:
        """Give how often the best of such trials, all useless, has a p-value this small.

        NaN for NaN; the p-value itself without any trial.

        Notes
        -----
        1 − Π ∫ Φ((z − √ρ u) / √(1 − ρ))ⁿ φ(u) du over the clusters, z = Φ⁻¹(1 − p): equally
        correlated normal variables share one factor.  Dunnett and Sobel (1955), Biometrika 42,
        258-260, doi:10.1093/biomet/42.1-2.258. Šidák's 1 − (1 − p)ᴺ for independent trials. The
        clusters are taken as independent of each other, which errs on the safe side (Slepian 1962,
        Bell System Technical Journal 41, 463-501, doi:10.1002/j.1538-7305.1962.tb02419.x).
        """
        if math.isnan(p_value) or p_value >= 1.0 or not self.groups:
            return min(p_value, 1.0)
        from scipy.special import log_ndtr, ndtri

        z = -float(ndtri(p_value)) if p_value > 0.0 else math.inf
        factor = np.linspace(-9.0, 9.0, 4001)
        density = np.exp(-(factor**2) / 2.0)
        density /= density.sum()
        none = 0.0  # the logarithm of the chance that no cluster holds one so good
        for size, correlation in self.groups:
            own = math.sqrt(max(1.0 - correlation, 1e-6))
            below = log_ndtr((z - math.sqrt(1.0 - own**2) * factor) / own)
            one = float(density @ -np.expm1(size * below))
            if one >= 1.0 - 1e-15:
                return 1.0
            none += math.log1p(-one)
        return -math.expm1(none)

    def __str__(self) -> str:
        """Print as `243 trials in 9 clusters, worth 31.5 independent ones`."""
        plural = "" if self.clusters == 1 else "s"
        return (
            f"{self.trials} trials in {self.clusters} cluster{plural}, "
            f"worth {self.effective:.1f} independent ones"
        )


def count_trials(returns: Floats) -> EffectiveTrials:
    """Cluster the trials by correlation and count what they are worth.

    Parameters
    ----------
    returns
        Fractions, shape (sessions, trials). Idle trials (constant columns) are not counted: they
        could not have been chosen.

    Raises
    ------
    DataError
        For NaN or an infinity.
    ConfigError
        For another shape than sessions × trials, fewer than 3 sessions, and without scipy.

    Notes
    -----
    The idea, clusters of correlated trials chosen by their silhouettes, is López de Prado and Lewis
    (2019), Quantitative Finance 19(9), 1555-1565, doi:10.1080/14697688.2019.1622311, with the
    distance √((1 − ρ)/2). They use k-means with random starts; here it is average linkage, which
    gives the same answer every time, cut where the mean silhouette (Rousseeuw 1987, Journal of
    Computational and Applied Mathematics 20, 53-65, doi:10.1016/0377-0427(87)90125-7) is largest.

    They count each cluster as one trial. That is too few for a loose cluster, and pure noise always
    falls into some clusters. Here a cluster of n trials with the mean correlation ρ̄ (0 when
    negative) counts ρ̄ + (1 − ρ̄) n: one when its trials are the same, n when they are independent.
    The formula is Bailey and López de Prado (2014), doi:10.3905/jpm.2014.40.5.094, appendix 3, for
    all trials at once.
    """
    matrix = trial_matrix(returns)
    count = matrix.shape[1]
    centred = matrix - matrix.mean(axis=0)
    deviation = np.sqrt((centred**2).mean(axis=0))
    active = np.flatnonzero(deviation > 1e-12 * np.abs(matrix.mean(axis=0)))
    scaled = centred[:, active] / deviation[active]
    correlation = np.clip(scaled.T @ scaled / len(matrix), -1.0, 1.0)
    np.fill_diagonal(correlation, 1.0)
    found, silhouette = _clusters(np.sqrt((1.0 - correlation) / 2.0))
    clusters = int(found.max(initial=-1)) + 1
    weights = np.zeros(active.size)
    groups = []
    for cluster in range(clusters):
        inside = np.flatnonzero(found == cluster)
        size, mean = inside.size, _mean_correlation(correlation[np.ix_(inside, inside)])
        weights[inside] = (mean + (1.0 - mean) * size) / size
        groups.append((size, mean))
    labels = np.full(count, -1)
    labels[active] = found
    sharpes = matrix.mean(axis=0)[active] / matrix.std(axis=0, ddof=1)[active]
    return EffectiveTrials(
        trials=active.size,
        idle=count - active.size,
        clusters=clusters,
        labels=tuple(int(label) for label in labels),
        silhouette=silhouette,
        effective=float(weights.sum()),
        sharpe_variance=_variance(sharpes, weights),
        groups=tuple(groups),
    )


def trial_matrix(returns: Floats, *, least: int = 3) -> Floats:
    """Check returns of trials, fractions, shape (sessions, trials), and give them as floats.

    Raises
    ------
    DataError, ConfigError
        As `count_trials`.
    """
    matrix = np.asarray(returns, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise ConfigError(
            f"returns of trials have shape {matrix.shape}; expected sessions × trials"
        )
    if len(matrix) < least:
        raise ConfigError(
            f"there are {len(matrix)} sessions of returns; expected {least} or more: "
            f"ask for a longer range"
        )
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise DataError(
            f"trial {column} has the return {matrix[row, column]} at session {row}; "
            f"expected numbers: leave the trial out, or put 0 where it held nothing"
        )
    return matrix


def _mean_correlation(correlation: Floats) -> float:
    """Mean of the correlations off the diagonal, at least 0; 0 for a single trial."""
    pairs = len(correlation) * (len(correlation) - 1)
    return max(0.0, float(correlation.sum() - len(correlation)) / pairs) if pairs else 0.0


def _variance(sharpes: Floats, weights: Floats) -> float:
    """Variance with as many degrees of freedom as there are effective trials."""
    total = float(weights.sum())
    if not total > 1.0 + 1e-12:
        return 0.0
    share = weights / total
    spread = sharpes - float(share @ sharpes)
    return float(share @ spread**2) / (1.0 - 1.0 / total)


def _clusters(distance: Floats) -> tuple[NDArray[np.intp], float]:
    """Give each trial's cluster and the mean silhouette of the best cut of the tree.

    The tree is walked from single trials upwards, with the summed distances from every trial to
    every cluster kept along the way; of equally good cuts the one with more clusters wins.
    """
    count = len(distance)
    labels = np.zeros(count, dtype=np.intp)
    if count < 3:
        return labels, math.nan
    try:
        from scipy.cluster.hierarchy import linkage
        from scipy.spatial.distance import squareform
    except ImportError as error:
        raise ConfigError(
            "counting trials needs scipy, which is not installed; "
            "run `pip install 'iverson[research]'`"
        ) from error
    tree = linkage(squareform(distance, checks=False), "average")
    wanted = {round(cut) for cut in np.geomspace(2, count - 1, MOST_CUTS)} | set(range(2, 21))
    sums, sizes, own = distance.copy(), np.ones(count), np.arange(count)
    column = list(range(count))  # where each node of the tree keeps its sums
    best = -math.inf
    for step, (left, right) in enumerate(tree[:-1, :2].astype(int)):
        keep, gone = column[left], column[right]
        column.append(keep)
        sums[:, keep] += sums[:, gone]
        sums[:, gone] = math.inf  # never the nearest
        sizes[keep] += sizes[gone]
        own[own == gone] = keep
        if count - 1 - step in wanted:
            quality = _silhouette(sums, sizes, own)
            if quality > best + 1e-12:
                best = quality
                labels = np.unique(own, return_inverse=True)[1].reshape(-1)
    if best <= SUBSTANTIAL:
        labels = np.zeros(count, dtype=np.intp)
    return labels, best


def _silhouette(sums: Floats, sizes: Floats, own: NDArray[np.intp]) -> float:
    rows = np.arange(len(own))
    others = sizes[own] - 1.0
    inside = sums[rows, own] / np.maximum(others, 1.0)
    means = sums / sizes
    means[rows, own] = math.inf
    outside = means.min(axis=1)
    larger = np.maximum(inside, outside)
    known = (others > 0.0) & (larger > 0.0)
    return float(np.where(known, (outside - inside) / np.where(known, larger, 1.0), 0.0).mean())
