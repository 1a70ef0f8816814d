# SPDX-License-Identifier: GPL-3.0-or-later
"""Is it luck? The door to the statistics of overfitting: pure functions of returns and trades.

    sharpe_evidence          is the Sharpe ratio above what the luckiest of so many trials shows?
    count_trials             how many independent trials was the search worth, how lucky the best?
    overfitting_probability  does the best in one half of the sessions stay good in the other?
    reality_check            does the best trial beat the benchmark, the search taken into account?
    superior_ability         the same, not blinded by bad or volatile trials
    bootstrap_interval       how far off can a number be, given returns that remember?
    random_entry             did the entries matter, or only the exits and the market?
    trade_order              how deep could the same trades have fallen in another order?
    cost_curve               at what costs is nothing left?

Trials are always *all* trials ever looked at, as returns of shape (sessions, trials), fractions,
with 0 where a trial held nothing. Randomness takes a seed, which the result records. The splits
that go with them are in `purged.py`.
"""

from __future__ import annotations

from iverson.research.bootstrap import Estimate, bca, bootstrap_interval, optimal_block
from iverson.research.monte_carlo import CostCurve, CostPoint, TradeOrder, cost_curve, trade_order
from iverson.research.overfitting_pbo import Overfitting, overfitting_probability
from iverson.research.overfitting_sharpe import (
    SharpeEvidence,
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_evidence,
)
from iverson.research.overfitting_trials import EffectiveTrials, count_trials
from iverson.research.random_entry import RandomEntry, random_entry
from iverson.research.reality_check import (
    RealityCheck,
    SuperiorAbility,
    reality_check,
    superior_ability,
)

__all__ = [
    "CostCurve",
    "CostPoint",
    "EffectiveTrials",
    "Estimate",
    "Overfitting",
    "RandomEntry",
    "RealityCheck",
    "SharpeEvidence",
    "SuperiorAbility",
    "TradeOrder",
    "bca",
    "bootstrap_interval",
    "cost_curve",
    "count_trials",
    "deflated_sharpe",
    "expected_maximum_sharpe",
    "minimum_track_record",
    "optimal_block",
    "overfitting_probability",
    "probabilistic_sharpe",
    "random_entry",
    "reality_check",
    "sharpe_evidence",
    "superior_ability",
    "trade_order",
]
