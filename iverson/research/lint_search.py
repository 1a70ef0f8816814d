# SPDX-License-Identifier: GPL-3.0-or-later
"""Lint of the search: promises not kept, peaks without slopes, the best value at the grid's edge.

Only parameters whose values are numbers are ordered; words and switches have neither edge nor
neighbours, and of randomly drawn sets hardly any have neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from iverson.research.lint_account import growth_a_year
from iverson.research.lint_finding import Finding
from iverson.research.report_parts import number, percent, plural

if TYPE_CHECKING:
    from iverson.research.walk_forward import FoldResult
    from iverson.research.walk_result import WalkForward

# Pardo (2008), "The Evaluation and Optimization of Trading Strategies", ch. 11, asks a walk-forward
# to keep about half of what the search promised.
EFFICIENCY = 0.5
# A real effect does not vanish one step away in the grid: half of it should be left there.
KEPT = 0.5
MINIMUM_NEIGHBOURS = 2
# Of k values each edge is chosen in 1/k of the folds by chance; half of the folds is more than
# that from three values on. Fewer values are all edge.
EDGE_SHARE = 0.5
EDGE_VALUES = 3
# A score without any edge, where it is not 0: what the height of a peak is measured from.
NEUTRAL: Mapping[str, float] = {"profit_factor": 1.0}


def in_sample_promise(result: WalkForward) -> Iterator[Finding]:
    """Far less out of sample than the search promised (the walk-forward's efficiency)."""
    promised = [fold.chosen.cagr for fold in result.results if fold.chosen is not None]
    promise = float(np.mean(promised)) if promised else math.nan
    if not promise > 0.0:
        return
    kept = growth_a_year(result)
    if kept / promise < EFFICIENCY:
        words = (
            f"The chosen sets promised {percent(promise)} a year in sample and kept "
            f"{percent(kept)} out of sample: efficiency {number(kept / promise)}, expected at "
            f"least {EFFICIENCY:g}."
        )
        yield Finding("in-sample promise", words, kept / promise, EFFICIENCY)


def cliff(result: WalkForward) -> Iterator[Finding]:
    """Chosen sets whose neighbours, one step away in one parameter, score far worse.

    Per fold: the median neighbour's score over the chosen one's, both above what the objective
    gives to no edge; then the median of the folds. Neighbours with too few trades say nothing.
    A cliff condemns, a slope clears nothing: neighbours share most of their trades, so that a
    search through noise finds hills too.
    """
    grid = _ordered(result, least=2)
    kept = {
        fold.fold.number: share
        for fold in result.results
        if not math.isnan(share := _kept(fold, grid, NEUTRAL.get(result.plan.objective, 0.0)))
    }
    middle = float(np.median(list(kept.values()))) if kept else math.nan
    if not middle < KEPT:
        return
    worst = min(kept, key=lambda fold: kept[fold])
    words = (
        f"One step beside the chosen set in the grid, {percent(middle, 0)} of its in-sample "
        f"{result.plan.objective} is left (median of {plural(len(kept), 'fold')}, worst "
        f"{percent(kept[worst], 0)} in fold {worst}; expected at least {percent(KEPT, 0)}): a peak "
        "with cliffs around it is a lucky set, not an effect."
    )
    yield Finding("cliff", words, middle, KEPT, "fraction")


def edge_of_the_grid(result: WalkForward) -> Iterator[Finding]:
    """Parameters chosen at the same edge of their values in most folds, one finding for each."""
    folds = [(fold.fold.number, fold.chosen) for fold in result.results if fold.chosen is not None]
    for name, values in _ordered(result, least=EDGE_VALUES).items():
        for edge, words in ((values[0], "lowest"), (values[-1], "highest")):
            at = [str(fold) for fold, chosen in folds if chosen.params.get(name) == edge]
            share = len(at) / len(folds) if folds else 0.0
            if share < EDGE_SHARE:
                continue
            sentence = (
                f"{name} was chosen at the {words} of its {len(values)} values ({edge:g}) in "
                f"{len(at)} of {plural(len(folds), 'fold')} ({', '.join(at)}): the best value may "
                "lie outside the grid."
            )
            yield Finding("edge of the grid", sentence, share, EDGE_SHARE, "fraction")


def _ordered(result: WalkForward, *, least: int) -> dict[str, list[float]]:
    """Return the values, increasing, of every parameter that has at least so many numbers."""
    found = {}
    for name in result.parameters:
        values = set(result.values(name))
        if len(values) >= least and all(_is_number(value) for value in values):
            found[name] = sorted(values)
    return found


def _kept(fold: FoldResult, grid: Mapping[str, list[float]], neutral: float) -> float:
    """Return the share of the chosen set's score that its median neighbour has; NaN for none."""
    if fold.chosen is None or not fold.chosen.score > neutral:
        return math.nan
    scores = {_key(score.params): score.score for score in fold.scores}
    near = [
        scores.get(_key({**fold.chosen.params, name: values[at]}), -math.inf)
        for name, values in grid.items()
        for at in _beside(values, fold.chosen.params.get(name))
    ]
    known = [score for score in near if score > -math.inf]
    if len(known) < MINIMUM_NEIGHBOURS:
        return math.nan
    middle = float(np.median(known)) - neutral
    if math.isinf(fold.chosen.score):
        return 1.0 if math.isinf(middle) else 0.0
    return middle / (fold.chosen.score - neutral)


def _beside(values: list[float], chosen: Any) -> list[int]:
    if chosen not in values:  # a search that draws as it goes has sets beside those planned
        return []
    at = values.index(chosen)
    return [step for step in (at - 1, at + 1) if 0 <= step < len(values)]


def _key(params: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(params.items())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
