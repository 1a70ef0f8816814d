# SPDX-License-Identifier: GPL-3.0-or-later
"""Is this walk-forward luck? Every instrument of `overfitting` on one result, with what each says.

Trials are all parameter sets ever evaluated on these bars and sessions: those of this search and
those that the ledger remembers. An instrument that cannot be used says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from iverson.errors import IversonError
from iverson.research.backtest import parameters_of
from iverson.research.ledger import best_column, matrix
from iverson.research.overfitting import (
    CostCurve,
    EffectiveTrials,
    Estimate,
    Overfitting,
    RandomEntry,
    RealityCheck,
    SharpeEvidence,
    SuperiorAbility,
    TradeOrder,
    bootstrap_interval,
    cost_curve,
    count_trials,
    overfitting_probability,
    random_entry,
    reality_check,
    sharpe_evidence,
    superior_ability,
    trade_order,
)
from iverson.research.several import own_values

if TYPE_CHECKING:
    from iverson.research.walk_result import WalkForward

MOST_TRIALS = 2_000  # columns of the matrix; of more, every n-th stands for the rest
BEST, OUT, INTERVAL = "deflated Sharpe ratio", "Sharpe ratio out of sample", "bootstrap interval"
OVERFITTING, REALITY, ABILITY = "probability of overfitting", "reality check", "superior ability"
RANDOM, COSTS = "random entries", "cost curve"
SIGNIFICANT = 0.05
CONFIDENT = 1.0 - SIGNIFICANT
T = TypeVar("T")


@dataclass(frozen=True)
class Luck:
    """What the instruments found; None where one could not be used, with the reason in `notes`.

    `searched` counts the sets of this search, `ideas` all that the ledger knows of this strategy
    (at least `searched`); `sound` is False when rows of the ledger are missing.
    """

    searched: int
    ideas: int
    sound: bool
    counted: EffectiveTrials | None = None
    best: SharpeEvidence | None = None
    out_of_sample: SharpeEvidence | None = None
    sharpe: Estimate | None = None
    overfitting: Overfitting | None = None
    reality: RealityCheck | None = None
    ability: SuperiorAbility | None = None
    random: RandomEntry | None = None
    order: TradeOrder | None = None
    costs: CostCurve | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def table(self) -> pd.DataFrame:
        """One row an instrument: `asks`, `value` (text), `says` (or why it could not be used).

        More than luck: a p-value of at most 5 %, a probability of at least 95 %, a probability of
        overfitting below 5 %, an interval above 0, a break-even at twice the costs or more.
        """
        rows = [
            (name, asks, *(("not used", self.notes.get(name, "")) if found is None else say(found)))
            for name, asks, found, say in self._instruments()
        ]
        frame = pd.DataFrame(rows, columns=["instrument", "asks", "value", "says"])
        return frame.set_index("instrument")

    @property
    def passed(self) -> int:
        """How many instruments say more than luck."""
        return int((self.table["says"] == MORE).sum())

    def _instruments(self) -> list[tuple[str, str, Any, Callable[[Any], tuple[str, str]]]]:
        return [
            (
                BEST,
                "is the best of the search above the luckiest of so many useless trials?",
                self.best,
                lambda e: (
                    f"{e.deflated:.1%}, p {e.familywise:.3f}",
                    _says(e.familywise <= SIGNIFICANT),
                ),
            ),
            (
                OUT,
                "is the true ratio of the stitched account above 0?",
                self.out_of_sample,
                lambda e: (f"{e.probabilistic:.1%}", _says(e.probabilistic >= CONFIDENT)),
            ),
            (
                INTERVAL,
                "does the interval of that ratio, with returns that remember, lie above 0?",
                self.sharpe,
                lambda e: (f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]", _says(e.low > 0)),
            ),
            (
                OVERFITTING,
                "how often is the best in one half of the sessions mediocre in the other?",
                self.overfitting,
                lambda o: (f"{o.probability:.1%}", _says(o.probability < SIGNIFICANT)),
            ),
            (
                REALITY,
                "does the best of all trials beat cash, the search taken into account?",
                self.reality,
                lambda r: (f"p {r.p_value:.3f}", _says(r.p_value <= SIGNIFICANT)),
            ),
            (
                ABILITY,
                "the same, not blinded by bad or volatile trials",
                self.ability,
                lambda s: (f"p {s.consistent:.3f}", _says(s.consistent <= SIGNIFICANT)),
            ),
            (
                RANDOM,
                "do the entries earn more than random ones with the same exits?",
                self.random,
                lambda r: (f"p {r.p_value:.3f}", _says(r.p_value <= SIGNIFICANT)),
            ),
            (
                COSTS,
                "would anything be left at twice the costs?",
                self.costs,
                lambda c: (f"break-even at x{c.break_even:.2f}", _says(c.break_even >= 2.0)),
            ),
        ]

    def __str__(self) -> str:
        trials = f"{self.searched} parameter sets in this search, {self.ideas} ever"
        lines = [trials + ("" if self.sound else " (at least: rows of the ledger are missing)")]
        if self.counted is not None:
            lines.append(str(self.counted))
        lines += [
            f"  {name:<27} {row['value']:<22} {row['says']}"
            for name, row in self.table.to_dict("index").items()
        ]
        return "\n".join(lines)

    __repr__ = __str__


MORE, LUCK = "more than luck", "could be luck"


def luck(result: WalkForward, *, seed: int = 0, resamples: int = 1000) -> Luck:
    """Put a walk-forward before every instrument.

    The trials are the returns of every parameter set over all sessions of the walk-forward, in and
    out of sample, as somebody would have searched who does not walk forward, and beside them the
    ledger's earlier trials over the same bars and sessions. `resamples` is for all bootstraps.
    """
    notes: dict[str, str] = {}

    def use(name: str, instrument: Callable[[], T]) -> T | None:
        try:
            return instrument()
        except IversonError as error:
            notes[name] = str(error)
            return None

    every = matrix(result.tried)
    trials = every[:, :: max(1, math.ceil(every.shape[1] / MOST_TRIALS))]
    equity = np.r_[result.start, result.equity.to_numpy()]
    returns = equity[1:] / equity[:-1] - 1.0
    trades = result.record.trades
    pnl = np.array([trade.pnl for trade in trades])
    paid = np.array([trade.commission + trade.spread for trade in trades])
    span = (result.results[0].fold.out_of_sample.first, result.results[-1].fold.out_of_sample.last)
    counted = use(BEST, lambda: count_trials(trials))
    best = best_column(trials)
    return Luck(
        searched=result.trials,
        ideas=max(result.trials, result.known.count),
        sound=result.known.sound,
        counted=counted,
        best=use(BEST, lambda: sharpe_evidence(trials[:, best], trials, counted=counted)),
        out_of_sample=use(OUT, lambda: sharpe_evidence(returns, trials, counted=counted)),
        sharpe=use(
            INTERVAL, lambda: bootstrap_interval(returns, "sharpe", seed=seed, resamples=resamples)
        ),
        overfitting=use(OVERFITTING, lambda: overfitting_probability(trials)),
        reality=use(REALITY, lambda: reality_check(trials, seed=seed, resamples=resamples)),
        ability=use(ABILITY, lambda: superior_ability(trials, seed=seed, resamples=resamples)),
        random=use(
            RANDOM,
            lambda: random_entry(
                trades, result.bars, first=span[0], last=span[1],
                seed=seed, draws=resamples, max_sessions=_time_limit(result),
                universe=result.setup.universe,
            ),
        ),
        order=use("trade order", lambda: trade_order(pnl, result.start, seed=seed)),
        costs=use(COSTS, lambda: cost_curve(pnl, paid, seed=seed, draws=resamples)),
        notes=notes,
    )  # fmt: skip


def _time_limit(result: WalkForward) -> int | None:
    """Sessions after which the strategy leaves.

    None when it does not, the search chose it, or one strategy of several has another limit.
    """
    if own_values(dict.fromkeys(result.parameters), "max_sessions"):
        return None
    known = {**parameters_of(result.setup.strategy), **result.setup.params}
    limits = set(own_values(known, "max_sessions"))
    limit: int | None = limits.pop()
    return None if limits else limit


def _says(passes: bool) -> str:
    return MORE if passes else LUCK
