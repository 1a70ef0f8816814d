# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether confidence means anything: results by confidence step, and what flat sizing would make.

The standard sizing stakes more on a higher confidence. That is worth its risk only if higher
steps do better; where they do not, the honest thing is to stake the same on every trade.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iverson.monitoring.intervals import (
    UNKNOWN,
    Floats,
    Interval,
    checked_resamples,
    independent_draws,
    percentile,
    resample,
    wilson,
)
from iverson.monitoring.metrics import MINIMUM_TRADES
from iverson.research.rank_trend import Trend, trend
from iverson.research.report_parts import money, number, percent, plural, span

Verdict = Literal["rising", "broken", "not shown", "falling", "too few"]

SIGNIFICANCE = 0.05
# A percentile interval of n values is too narrow by about √((n − 1)/n) z/t: a sixth at 10 values
# (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", The American Statistician
# 69(4), 371-386, doi:10.1080/00031305.2015.1089789). Below that it would mislead.
MINIMUM_FOR_INTERVAL = 10
WORDS: Mapping[Verdict, str] = {
    "rising": "Higher confidence went with better trades",
    "broken": "Confidence and results rise together on the whole, but not from step to step",
    "not shown": "There is no evidence that higher confidence means better trades",
    "falling": "Higher confidence went with worse trades",
    "too few": "There are too few trades, or too few steps, to tell whether confidence means "
    "anything",
}


@dataclass(frozen=True, eq=False)
class Calibration:
    """Results by confidence step, the verdict on their order, and the same trades sized flat.

    `steps`: one row for each confidence with a trade: `trades`, `hit_rate` (fraction), `mean_r`
    (expectancy in planned risk), `mean_pnl` (expectancy in dollars), each of the three with `_low`
    and `_high`; `mean_risk` and `pnl` in dollars; `enough` (30 trades).

    `verdict`: "rising" (z of the trend test significantly above 0, and no step significantly worse
    than a lower one), "broken" (the former without the latter), "falling", "not shown", "too few".
    `drops` are the pairs of steps of which the higher is significantly worse.

    `sized` is the dollars made by these trades, `flat` what they would have made, each staking
    `mean_risk`; `gain` their difference with its limits: what sizing by confidence earned.
    `left_out` counts trades without a confidence or a planned risk.
    """

    steps: pd.DataFrame
    verdict: Verdict
    test: Trend
    drops: tuple[tuple[int, int], ...]
    trades: int
    left_out: int
    mean_risk: float
    sized: float
    flat: float
    gain: Interval
    seed: int

    @property
    def calibrated(self) -> bool:
        """Whether there is evidence for sizing by confidence."""
        return self.verdict == "rising"

    def sentences(self) -> list[str]:
        """Say the verdict with its test, and what flat sizing would have made."""
        words = WORDS[self.verdict]
        if not np.isnan(self.test.z):
            words += (
                f" (Jonckheere-Terpstra test on R by step: z = {number(self.test.z)}, one-sided "
                f"p = {number(self.test.p_rising, 3)} for rising, "
                f"{number(self.test.p_falling, 3)} for falling)"
            )
        if self.drops:
            pairs = ", ".join(f"{high} below {low}" for low, high in self.drops)
            words += f"; significantly worse: step {pairs}"
        said = [words + "."]
        if not self.trades:
            return said
        advice = (
            "Sizing by confidence has evidence on its side"
            if self.calibrated
            else "Flat sizing would be honest"
        )
        reach = span(self.gain.low, self.gain.high, "dollars")
        said.append(
            f"{advice}: the same {plural(self.trades, 'trade')}, each staking the mean planned "
            f"risk of {money(self.mean_risk)}, would have made {money(self.flat)} instead of "
            f"{money(self.sized)}. The difference that sizing made, {money(self.sized - self.flat)}"
            + (
                f", has the 95 % interval {reach}."
                if reach
                else ", is too small a sample to judge."
            )
        )
        return said

    def __str__(self) -> str:
        """Print the steps and the sentences."""
        table = "\n".join(
            f"confidence {step}: {plural(int(row['trades']), 'trade')}, "
            f"hit rate {percent(row['hit_rate'])}, {number(row['mean_r'])} R, "
            f"{money(row['mean_pnl'])} a trade"
            for step, row in self.steps.iterrows()
        )
        return "\n".join([table, *self.sentences()]).strip()


def calibration(trades: pd.DataFrame, *, seed: int = 0, resamples: int = 1000) -> Calibration:
    """Measure closed trades by confidence step and test whether higher steps did better.

    Parameters
    ----------
    trades
        As in `Run.trades`: confidence (1 to 5; 0 is a plain order and left out), pnl (dollars
        after costs), risk (planned dollars), r_multiple (pnl / risk; NaN is left out).
    seed, resamples
        Of the bootstrap.

    Notes
    -----
    Hit rate: share of trades with pnl > 0, limits by Wilson. Expectancies: means, limits by drawing
    the step's trades again, NaN below 10 trades. Verdict: the Jonckheere-Terpstra trend test
    (`trend`) of R by confidence at the one-sided 5 % level, from 30 trades on; then the same test
    on every pair of steps for a fall, at 5 % divided by the number of pairs (Bonferroni). Trades
    are taken as independent: those that overlap make every p-value and interval too small.

    Flat sizing is an approximation: Σ R × mean risk, as if every trade had been taken with the
    same stake, whatever the slots, the caps, whole shares and the equity of the day. The gain of
    sizing is Σ pnl − flat = N · cov(R, risk), with the population covariance.
    """
    checked_resamples(resamples)
    known = (trades["confidence"] >= 1) & trades["r_multiple"].notna()
    kept = trades.loc[known]
    confidence = kept["confidence"].to_numpy(dtype=np.int64)
    pnl, risk, r_multiple = (
        kept[name].to_numpy(dtype=np.float64) for name in ("pnl", "risk", "r_multiple")
    )
    generator = np.random.default_rng(seed)
    rows = {
        int(step): _step(kept.loc[confidence == step], generator, resamples)
        for step in np.unique(confidence)
    }
    test = trend(confidence, r_multiple)
    drops = _drops(confidence, r_multiple)
    mean_risk = float(risk.mean()) if risk.size else np.nan
    sized, flat = float(pnl.sum()), _flat(r_multiple, risk)
    return Calibration(
        steps=pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
        .astype(COLUMNS)
        .rename_axis("confidence"),
        verdict=_verdict(test, drops, len(kept)),
        test=test,
        drops=drops,
        trades=len(kept),
        left_out=len(trades) - len(kept),
        mean_risk=mean_risk,
        sized=sized,
        flat=flat,
        gain=_gain(pnl, risk, r_multiple, generator, resamples),
        seed=seed,
    )


COLUMNS: Mapping[str, Any] = {
    "trades": int,
    **dict.fromkeys(["hit_rate", "hit_rate_low", "hit_rate_high"], float),
    **dict.fromkeys(["mean_r", "mean_r_low", "mean_r_high"], float),
    **dict.fromkeys(["mean_pnl", "mean_pnl_low", "mean_pnl_high"], float),
    "mean_risk": float,
    "pnl": float,
    "enough": bool,
}


def _step(trades: pd.DataFrame, generator: np.random.Generator, resamples: int) -> tuple[Any, ...]:
    pnl, r_multiple = (trades[name].to_numpy(dtype=np.float64) for name in ("pnl", "r_multiple"))
    wins, count = int((pnl > 0.0).sum()), pnl.size
    mean_r, mean_pnl = float(r_multiple.mean()), float(pnl.mean())
    limits_r, limits_pnl = UNKNOWN, UNKNOWN
    if count >= MINIMUM_FOR_INTERVAL:
        samples = resample(
            lambda draw: (float(r_multiple[draw].mean()), float(pnl[draw].mean())),
            independent_draws(count, resamples, generator),
        )
        limits_r, limits_pnl = (
            percentile(mean_r, samples[:, 0]),
            percentile(mean_pnl, samples[:, 1]),
        )
    shares = (wins / count, *wilson(wins, count))
    expected = (mean_r, *limits_r, mean_pnl, *limits_pnl)
    planned = float(trades["risk"].mean())
    return count, *shares, *expected, planned, float(pnl.sum()), count >= MINIMUM_TRADES


def _drops(confidence: NDArray[np.int64], r_multiple: Floats) -> tuple[tuple[int, int], ...]:
    pairs = list(combinations((int(step) for step in np.unique(confidence)), 2))
    found = []
    for low, high in pairs:
        both = (confidence == low) | (confidence == high)
        if trend(confidence[both], r_multiple[both]).p_falling < SIGNIFICANCE / len(pairs):
            found.append((low, high))
    return tuple(found)


def _verdict(test: Trend, drops: tuple[tuple[int, int], ...], count: int) -> Verdict:
    if count < MINIMUM_TRADES or np.isnan(test.z):
        return "too few"
    if test.p_falling < SIGNIFICANCE:
        return "falling"
    if test.p_rising >= SIGNIFICANCE:
        return "not shown"
    return "broken" if drops else "rising"


def _flat(r_multiple: Floats, risk: Floats) -> float:
    return float(r_multiple.sum() * risk.mean()) if risk.size else 0.0


def _gain(
    pnl: Floats, risk: Floats, r_multiple: Floats, generator: np.random.Generator, resamples: int
) -> Interval:
    if pnl.size < MINIMUM_TRADES:
        return UNKNOWN
    draws = independent_draws(pnl.size, resamples, generator)
    samples = resample(
        lambda draw: (float(pnl[draw].sum()) - _flat(r_multiple[draw], risk[draw]),), draws
    )
    return percentile(float(pnl.sum()) - _flat(r_multiple, risk), samples[:, 0])
