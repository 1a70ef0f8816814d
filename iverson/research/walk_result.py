# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a walk-forward: folds, the stitched account, stability; printed, a small table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from iverson.market.bars import Bars
from iverson.market.source import Passport
from iverson.model import Reading
from iverson.monitoring.record import Record, TrialRow
from iverson.monitoring.summary import Summary
from iverson.monitoring.tables import dollars, measure
from iverson.research.backtest import Setup
from iverson.research.ledger import NO_TRIALS, Trials
from iverson.research.results import (
    HEADLINE,
    Recorded,
    by_rule,
    step_lines,
    strategy_lines,
    titled,
)
from iverson.research.search_space import columns_of
from iverson.research.walk_forward import (
    FoldResult,
    Judged,
    Plan,
    default_gap,
    distinct,
    longest_holding,
)

if TYPE_CHECKING:
    from iverson.research.cross_validation import CrossValidation
    from iverson.research.luck import Luck


@dataclass(frozen=True)
class WalkForward(Recorded):
    """What a walk-forward found: tables and numbers out of sample, after costs, worst reading.

    `known` is what the ledger knows of the strategy, this search included.
    """

    setup: Setup
    plan: Plan
    results: tuple[FoldResult, ...]
    judged: Mapping[Reading, Judged]
    bars: Mapping[str, Bars]
    passport: Passport
    notes: tuple[str, ...] = ()
    known: Trials = NO_TRIALS

    @property
    def record(self) -> Record:
        """Everything noted out of sample, under the worst reading."""
        return self.judged["worst"].record

    @property
    def start(self) -> float:
        """Dollars at the start of the first out-of-sample span."""
        return self.results[0].start

    @property
    def trials(self) -> int:
        """Different parameter sets tried, in all folds: what a skeptic divides the luck by."""
        return len(self.sets)

    @cached_property
    def sets(self) -> Sequence[Mapping[str, Any]]:
        """The different parameter sets; a guided sampler tries others in each fold."""
        return self.plan.sets or list(distinct(self.results))

    @property
    def trials_a_fold(self) -> int:
        """Parameter sets tried in each fold."""
        return max(len(fold.scores) for fold in self.results)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters searched."""
        return tuple(self.plan.space) or tuple(
            dict.fromkeys(name for one in self.sets for name in one)
        )

    def values(self, name: str) -> list[Any]:
        """Return the values a parameter could take: those listed, or those tried of a range."""
        listed = columns_of(self.plan.space).get(name)
        if listed is not None:
            return list(listed)
        return list(dict.fromkeys(one[name] for one in self.sets if name in one))

    @property
    def seed(self) -> int:
        """Seed of the search and of the intervals' resampling."""
        return self.plan.seed

    @cached_property
    def metrics_by_reading(self) -> dict[Reading, Summary]:
        """The same, had ambiguous bars been read otherwise."""
        return {
            reading: measure(judged.record, self.start, seed=self.seed)
            for reading, judged in self.judged.items()
        }

    @cached_property
    def folds(self) -> pd.DataFrame:
        """One row per fold: spans, the parameters chosen, in- and out-of-sample results.

        Returns are annualised fractions; NaN where a fold stood aside.
        """
        rows = []
        for result in self.results:
            chosen = result.chosen
            row: dict[str, Any] = {
                "fold": result.fold.number,
                "in_sample_first": pd.Timestamp(result.fold.in_sample.first),
                "in_sample_last": pd.Timestamp(result.fold.in_sample.last),
                "out_of_sample_first": pd.Timestamp(result.fold.out_of_sample.first),
                "out_of_sample_last": pd.Timestamp(result.fold.out_of_sample.last),
                **{name: chosen.params.get(name) if chosen else None for name in self.parameters},
                self.plan.objective: chosen.score if chosen else math.nan,
                "in_sample_return": chosen.cagr if chosen else math.nan,
                "in_sample_trades": chosen.trades if chosen else 0,
                "out_of_sample_return": result.out_of_sample_return,
                "out_of_sample_trades": result.trades,
                "efficiency": result.efficiency,
            }
            rows.append(row)
        return pd.DataFrame(rows).set_index("fold")

    @property
    def tried(self) -> tuple[TrialRow, ...]:
        """The trials, of now and earlier, over the very sessions of this walk-forward."""
        return self.known.rows

    @cached_property
    def luck(self) -> Luck:
        """Whether all this is luck, by every instrument."""
        from iverson.research.luck import luck

        return luck(self, seed=self.seed)

    def cross_validate(
        self,
        *,
        groups: int = 6,
        test_groups: int = 2,
        purge: int | None = None,
        embargo: int = 0,
    ) -> CrossValidation:
        """Judge this search on many paths instead of one: combinatorial purged cross-validation.

        `groups` of consecutive sessions, of which every choice of `test_groups` is judged while the
        others are tuned on. `purge` sessions are left out on both sides of what is judged (default:
        the longest holding period plus the wait for the entry), `embargo` further ones after it.
        """
        from iverson.research.cross_validation import cross_validate

        limit = longest_holding(self.setup, self.sets)
        return cross_validate(
            self.tried,
            self.bars,
            groups=groups,
            test_groups=test_groups,
            purge=default_gap(self.setup, self.sets) if purge is None else purge,
            embargo=embargo,
            longest_holding=limit,
        )

    @property
    def efficiency(self) -> float:
        """Out-of-sample CAGR over the mean in-sample CAGR of the chosen sets; NaN unless > 0."""
        chosen = [result.chosen.cagr for result in self.results if result.chosen is not None]
        mean = float(np.mean(chosen)) if chosen else math.nan
        return self.metrics["cagr"].value / mean if mean > 0 else math.nan

    @cached_property
    def stability(self) -> pd.DataFrame:
        """How steady each searched parameter was: most chosen value, its share, changes.

        `share` is the fraction of folds with the most chosen value, `changes` the fraction of
        steps between folds at which the choice moved.
        """
        rows = {}
        for name in self.parameters:
            values = [r.chosen.params[name] for r in self.results if r.chosen is not None]
            counts = pd.Series(values, dtype="object").value_counts()
            moved = [a != b for a, b in pairwise(values)]
            rows[name] = {
                "most_chosen": counts.index[0] if len(counts) else None,
                "share": counts.iloc[0] / len(values) if len(counts) else math.nan,
                "changes": float(np.mean(moved)) if moved else math.nan,
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    @property
    def rank_stability(self) -> float:
        """Mean Spearman correlation of the sets' scores from one fold to the next; NaN below 2.

        NaN too for a guided sampler: its sets differ from fold to fold, and those that two folds
        share are the good ones.

        Near 1: what was good stayed good. Near 0: the search ranked noise. Sets without enough
        trades in either fold are left out of that pair.
        """
        if not self.plan.sets:
            return math.nan
        from scipy.stats import spearmanr

        found = []
        for one, other in pairwise(self.results):
            x = np.array([score.score for score in one.scores])
            y = np.array([score.score for score in other.scores])
            both = np.isfinite(x) & np.isfinite(y)
            if both.sum() > 2 and np.ptp(x[both]) > 0 and np.ptp(y[both]) > 0:
                found.append(float(spearmanr(x[both], y[both]).statistic))
        return float(np.mean(found)) if found else math.nan

    def report(self, path: str | Path) -> Path:
        """Write a self-contained HTML report and the tearsheet beside it; return the page's path.

        `path` is a folder (the page is `index.html` in it) or a file name ending in `.html`.
        """
        from iverson.research.report import write_report

        return write_report(self, Path(path))

    def __str__(self) -> str:
        return walk_table(self)

    __repr__ = __str__


def walk_table(result: WalkForward) -> str:
    """Return the small table a walk-forward prints as."""
    folds = result.results
    first, last = folds[0].fold.out_of_sample.first, folds[-1].fold.out_of_sample.last
    ambiguous = int(result.trades["ambiguous"].sum())
    lines = [
        f"{titled(result)} on {', '.join(result.bars)}",
        (
            f"{len(folds)} folds, {result.trials_a_fold} parameter sets each, "
            f"out-of-sample {first} to {last}"
        ),
        (
            f"equity {dollars(result.start)} -> {dollars(result.equity.iloc[-1])}; "
            f"{len(result.trades)} trades, {ambiguous} ambiguous (worst reading)"
        ),
        f"{len(result.denied)} signals denied{by_rule(result.denied['rule'])}",
        *strategy_lines(result),
        *step_lines(result),
        *(f"  {result.metrics[name]}" for name in HEADLINE),
        f"  efficiency {result.efficiency:.2f}, rank stability {result.rank_stability:.2f}",
        *(f"note: {note}" for note in result.notes),
    ]
    return "\n".join(lines)
