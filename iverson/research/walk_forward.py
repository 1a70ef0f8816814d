# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk-forward: tune on the past, judge on what follows, move on; the judged parts are one account.

In-sample runs start fresh and only rank parameter sets. Out-of-sample runs follow one another:
cash, the equity history that the halts look at, halts in force and (with "carry") positions go
from fold to fold, so the stitched curve is what one account would have lived through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from iverson.book import Book
from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.intervals import bars_a_session
from iverson.model import Reading, Signal
from iverson.monitoring.metrics import cagr, years_between
from iverson.monitoring.record import Record
from iverson.research.backtest import (
    Opening,
    Outcome,
    Prepared,
    Setup,
    first_ready,
    interval_of,
    parameters_of,
    simulate,
    warm_up_bars,
    windows_of,
)
from iverson.research.failures import refuse_faults
from iverson.research.folds import Fold, make_folds
from iverson.research.purged import default_purge
from iverson.research.samplers import GUIDED, corners, run, samplers
from iverson.research.search import Jobs, Score, Search, best
from iverson.research.search_space import Space
from iverson.research.several import own_values
from iverson.risk.rules import RiskRule

Border = Literal["close", "carry"]
READINGS: tuple[Reading, ...] = ("worst", "base", "best")


class StandAside(RiskRule):
    """Deny every entry: no parameter set made enough trades in sample to be chosen."""

    def deny(self, signal: Signal, book: Book) -> str | None:  # noqa: ARG002 (signature)
        """Deny, whatever the signal."""
        return "no parameter set made enough trades in sample"


@dataclass(frozen=True)
class Plan:
    """How a walk-forward is cut and searched; with the setup and the bars it decides the result.

    `sets` are tried in every fold. A sampler that is guided by the scores knows none beforehand: it
    tries `trials` sets of `space` in each fold.
    """

    in_sample: str | int = "2y"
    out_of_sample: str | int = "6mo"
    purge: int = 0
    anchored: bool = False
    objective: str = "sharpe"
    minimum_trades: int = 10
    at_border: Border = "close"
    sets: Sequence[Mapping[str, Any]] = ({},)
    seed: int = 0
    sampler: str = "grid"
    trials: int | None = None
    space: Space = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.at_border not in ("close", "carry"):
            raise ConfigError(
                f"at_border is {self.at_border!r}; expected 'close' (leave positions at the end of "
                "each fold) or 'carry' (hand them to the next)"
            )
        if not self.sets and self.sampler not in GUIDED:
            raise ConfigError("the search has no parameter set; give the grid at least one value")


@dataclass(frozen=True)
class FoldResult:
    """One fold: what was searched, what was chosen (None: stood aside), how it did.

    Returns are annualised fractions; `efficiency` is out-of-sample / in-sample (NaN unless the
    in-sample return is positive; Pardo 2008, The Evaluation and Optimization of Trading
    Strategies, ch. 11).
    """

    fold: Fold
    scores: Sequence[Score]
    chosen: Score | None
    start: float
    end: float
    trades: int
    out_of_sample_return: float

    @property
    def efficiency(self) -> float:
        """Out-of-sample over in-sample annualised return."""
        if self.chosen is None or not self.chosen.cagr > 0:
            return math.nan
        return self.out_of_sample_return / self.chosen.cagr


@dataclass(frozen=True)
class Judged:
    """All out-of-sample runs under one reading of ambiguous bars, one after the other."""

    record: Record
    by_fold: tuple[Outcome, ...] = field(default_factory=tuple)


def walk_forward(
    setup: Setup,
    bars: Mapping[str, Bars],
    plan: Plan,
    *,
    first: date,
    last: date,
    jobs: Jobs = 1,
    resume: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[FoldResult], dict[Reading, Judged], date]:
    """Search every fold in sample, then judge the chosen sets out of sample, under each reading.

    `jobs`, `resume` and `progress` are those of `search`.

    Returns the folds, the judged runs by reading, and the first session of the first fold, which
    is later than `first` when the bars before it do not suffice for the warm-up.

    Raises
    ------
    ConfigError: the in-sample span is shorter than the warm-up, or no fold fits.
    MissingBars: no symbol ever has its warm-up.
    """
    interval = interval_of(bars)
    warm_up = max(
        warm_up_bars(setup.strategy, {**setup.params, **one}, tuple(bars), interval=interval)
        for one in plan.sets or corners(plan.space)
    )
    begin = first_ready(bars, first, last, warm_up)
    sessions = new_york().between(begin, last)
    folds = make_folds(
        sessions,
        in_sample=plan.in_sample,
        out_of_sample=plan.out_of_sample,
        purge=plan.purge,
        anchored=plan.anchored,
    )
    shortest = min(fold.in_sample.sessions for fold in folds)
    if shortest < warm_up / bars_a_session(interval):
        raise ConfigError(
            f"in-sample has {shortest} sessions, shorter than the warm-up of {warm_up} bars that "
            "the longest period needs; make in-sample longer or the periods shorter"
        )
    each = samplers(
        plan.sampler, plan.space, plan.trials, plan.seed, sets=plan.sets, folds=len(folds)
    )
    spans = [(fold.in_sample.first, fold.in_sample.last) for fold in folds]
    with Search(
        setup, bars, spans, len(folds) * (len(plan.sets) or plan.trials or 0),
        objective=plan.objective, minimum_trades=plan.minimum_trades,
        jobs=jobs, resume=resume, progress=progress,
    ) as searching:  # fmt: skip
        scores = run(each, searching)
    chosen = [best(row) for row in scores]
    prepared = Prepared.of(bars)
    judged: dict[Reading, Judged] = {}
    for reading in READINGS:
        judged[reading] = judge(
            replace(setup, reading=reading), prepared, folds, chosen, plan.at_border,
            other=next(iter(judged.values()), None),
        )  # fmt: skip
    results = [
        _result(fold, row, pick, outcome)
        for fold, row, pick, outcome in zip(
            folds, scores, chosen, judged["worst"].by_fold, strict=True
        )
    ]
    return results, judged, begin


def judge(
    setup: Setup,
    prepared: Prepared,
    folds: Sequence[Fold],
    chosen: Sequence[Score | None],
    at_border: Border,
    *,
    other: Judged | None = None,
) -> Judged:
    """Run the chosen parameters out of sample, each fold going on from the one before.

    `other` is the same under another reading: as long as no bar of its was doubtful, what it found
    is what would be found here, because the reading is asked about doubtful bars and nothing else.
    """
    opening: Opening | None = None
    record = Record()
    outcomes: list[Outcome] = []
    known = list(takewhile(lambda one: not one.doubtful, other.by_fold)) if other else []
    for number, (fold, pick) in enumerate(zip(folds, chosen, strict=True), start=1):
        if number <= len(known):
            outcome = known[number - 1]
        else:
            last = number == len(folds) or at_border == "close"
            on = None if last else _symbols_of(setup, prepared, folds[number], chosen[number])
            outcome = _judged(setup, prepared, fold, pick, opening, on)
        opening = outcome.opening
        record.values.extend(outcome.record.values)
        outcomes.append(outcome)
    return Judged(record, tuple(outcomes))


def _symbols_of(
    setup: Setup, prepared: Prepared, fold: Fold, chosen: Score | None
) -> frozenset[str]:
    """Return the symbols that a fold runs with: a position in another cannot go on into it."""
    params = {**setup.params, **(chosen.params if chosen else {})}
    warm_up = warm_up_bars(setup.strategy, params, tuple(prepared.feeds))
    span = fold.out_of_sample
    return frozenset(windows_of(prepared, span.first, span.last, warm_up))


def _judged(  # noqa: PLR0917 (one fold's everything)
    setup: Setup, prepared: Prepared, fold: Fold, chosen: Score | None, opening: Opening | None,
    carried_on: frozenset[str] | None,
) -> Outcome:  # fmt: skip
    one = (
        setup.with_params(chosen.params)
        if chosen is not None
        else replace(setup, rules=(StandAside(), *setup.rules))
    )
    span = fold.out_of_sample
    outcome = simulate(
        one, prepared, first=span.first, last=span.last, opening=opening,
        at_end="close" if carried_on is None else "carry", carried_on=carried_on,
    )  # fmt: skip
    refuse_faults(outcome.record, one.strategy, one.params)
    return outcome


def longest_holding(setup: Setup, sets: Iterable[Mapping[str, Any]]) -> int | None:
    """Return the longest time limit among some parameter sets, sessions; None: one has none."""
    known = known_parameters(setup)
    limits = [limit for one in sets for limit in own_values({**known, **one}, "max_sessions")]
    return None if None in limits else max(limits)


def default_gap(setup: Setup, sets: Sequence[Mapping[str, Any]]) -> int:
    """Return the purge that no trade reaches across: longest holding plus wait for the entry.

    0 without a time limit, where no number is long enough: positions are closed at the borders.
    """
    known = known_parameters(setup)
    longest = longest_holding(setup, sets)
    waits = [wait for one in sets for wait in own_values({**known, **one}, "entry_sessions")]
    return 0 if longest is None else default_purge(longest, max(waits))


def known_parameters(setup: Setup) -> dict[str, Any]:
    """Return all parameters of a setup's strategy, its own and the defaults."""
    return {**parameters_of(setup.strategy), **setup.params}


def distinct(results: Sequence[FoldResult]) -> Iterator[Mapping[str, Any]]:
    """Yield the parameter sets that were searched, each once, in order."""
    seen = set()
    for one in results:
        for score in one.scores:
            key = repr(sorted(score.params.items()))
            if key not in seen:
                seen.add(key)
                yield score.params


def _result(
    fold: Fold, scores: Sequence[Score], chosen: Score | None, outcome: Outcome
) -> FoldResult:
    span = fold.out_of_sample
    end = float(outcome.equity[-1])
    years = years_between(span.first, span.last + timedelta(days=1))
    return FoldResult(
        fold=fold,
        scores=scores,
        chosen=chosen,
        start=outcome.start,
        end=end,
        trades=len(outcome.pnl),
        out_of_sample_return=cagr(np.array([outcome.start, end]), years),
    )
