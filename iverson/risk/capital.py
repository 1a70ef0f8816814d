# SPDX-License-Identifier: GPL-3.0-or-later
"""Capital steps: trading begins small, and sizes grow only as fast as closed trades allow.

What one trade may risk is capped by a level. It goes up one level when the trades closed since the
last step show an expectancy above zero, down one level at half the drawdown that halts; after any
step the trades are counted anew. Nothing is remembered here: the caller does, and the journal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Any, NamedTuple

from iverson.errors import ConfigError
from iverson.risk.rules import has_fallen

LEVEL = 0.95  # of the interval whose lower end has to be above zero
LEAST_TRADES = 5  # below it the quantile is no longer right to three digits
MOST = 0.05  # what one trade may risk at the most, as in the sizing


class Evidence(NamedTuple):
    """What closed trades say of the expectancy: how many, their mean R, and its lower bound."""

    trades: int
    mean: float
    lower: float


class Change(NamedTuple):
    """The level to go to, counted from 0, and why."""

    level: int
    reason: str


@dataclass(frozen=True, slots=True)
class CapitalSteps:
    """Cap the risk of one trade by levels that are climbed one at a time.

    At most one step a session. Going down comes first: an account that is `drawdown` below its
    30-day high does not go up, and goes down again in each session in which it still is.

    Parameters
    ----------
    levels: fractions of equity that one trade may risk, rising; trading begins with the first.
    trades: closed trades since the last step before one may go up, 5 or more.
    drawdown: fraction below the 30-day high at which one goes down; half of what halts.
    """

    levels: tuple[float, ...] = (0.010, 0.015, 0.020)
    trades: int = 10
    drawdown: float = 0.05

    def __post_init__(self) -> None:
        given: Any = self.levels
        levels = tuple(given) if isinstance(given, list | tuple) else ()
        if (
            not levels
            or not all(_is_number(one) and 0 < one <= MOST for one in levels)
            or any(high <= low for low, high in pairwise(levels))
        ):
            raise ConfigError(
                f"levels is {given!r}; expected rising fractions of equity above 0 up to {MOST:g}, "
                "as (0.010, 0.015, 0.020)"
            )
        object.__setattr__(self, "levels", tuple(float(one) for one in levels))
        if type(self.trades) is not int or self.trades < LEAST_TRADES:
            raise ConfigError(
                f"trades is {self.trades!r}; expected a whole number of {LEAST_TRADES} or more: "
                "fewer say nothing about an expectancy"
            )
        if not _is_number(self.drawdown) or not 0 < self.drawdown < 1:
            raise ConfigError(
                f"drawdown is {self.drawdown!r}; expected a fraction above 0 and below 1 "
                "(0.05 is 5 % below the 30-day high)"
            )

    def begin(self, cap: float) -> Change | None:
        """Return the level of an account whose cap is none of these; None when it is one of them.

        Infinite: it had none, and begins with the first level. Otherwise the levels were changed
        while it traded: the highest that is not above what it had, else the first.
        """
        if cap in self.levels:
            return None
        if math.isinf(cap):
            return Change(0, "trading begins with the first level")
        level = max(sum(one <= cap for one in self.levels) - 1, 0)
        return Change(level, f"the levels were changed; the cap was {cap:.2%} of equity")

    def step(self, level: int, evidence: Evidence, drawdown: float) -> Change | None:
        """Return the next level and why, None to stay.

        `evidence` is of the trades closed since the last step (see `weigh`), `drawdown` the
        fraction below the 30-day high, <= 0. NaN: unknown, and nothing changes.
        """
        if math.isnan(drawdown):
            return None
        if has_fallen(drawdown, self.drawdown):
            if level == 0:
                return None
            words = f"equity is {-drawdown:.1%} below its 30-day high, the limit is"
            return Change(level - 1, f"{words} {self.drawdown:.1%}")
        if level >= len(self.levels) - 1 or evidence.trades < self.trades or not evidence.lower > 0:
            return None
        return Change(
            level + 1,
            f"{evidence.trades} trades since the last step made {evidence.mean:.2f} R each on "
            f"average, with a lower bound of {evidence.lower:.2f} R",
        )


def weigh(multiples: Sequence[float]) -> Evidence:
    """Return what R multiples (finite) say of the expectancy, whatever their order.

    The bound is NaN without trades.

    Notes
    -----
    The lower end of the two-sided 95 % t interval, m − t(0.975, n) s / √(n + 1), where m and s are
    mean and deviation of the n multiples *and one more of −1*: a trade that lost all it risked.
    Student (1908), "The probable error of a mean", Biometrika 6(1), doi:10.2307/2331554. The added
    loss is a pseudo-observation: with small targets and wide stops ten trades often hold no loss,
    and their interval knows nothing of it. No resampling, hence no seed, and sums are exact
    (`math.fsum`), so that the same trades give the same bit in any order.

    It is looked at after every trade, and a bound that is looked at often is passed by luck more
    often than 2.5 % of the time. Of systems whose true expectancy is zero (four of two outcomes
    with wins of 1/9 R to 3 R, and the normal law) 4 to 9 % went up a level within 50 trades, up to
    17 % within 250; without the added loss it were 5 to 41 % and 12 to 47 % (10,000 paths each).
    """
    count = len(multiples)
    if count == 0:
        return Evidence(0, math.nan, math.nan)
    total = count + 1
    mean = (math.fsum(multiples) - 1.0) / total
    squares = math.fsum((one - mean) ** 2 for one in (*multiples, -1.0))
    error = math.sqrt(squares / count / total)
    lower = mean - student_quantile(0.5 + LEVEL / 2.0, count) * error
    return Evidence(count, math.fsum(multiples) / count, lower)


def student_quantile(probability: float, freedom: int) -> float:
    """Return the quantile of Student's t with `freedom` degrees of freedom.

    Notes
    -----
    The expansion in powers of 1 / freedom about the normal quantile, Abramowitz and Stegun (1964),
    Handbook of Mathematical Functions, 26.7.5. At 0.975 it is off by less than 0.001 from 4
    degrees of freedom on, by less than 0.00001 from 10 on.
    """
    x: float = NormalDist().inv_cdf(probability)
    terms = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / 92160,
    )
    return x + math.fsum(term / freedom**power for power, term in enumerate(terms, start=1))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
