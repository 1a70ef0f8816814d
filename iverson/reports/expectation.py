# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system was expected to do: a walk-forward's out-of-sample returns, and the band they give.

The band says where a run of so many sessions may end if nothing has changed. It holds two kinds of
luck: that of the run, and that of the walk-forward itself, whose own sample is short.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from iverson.errors import ConfigError, DataError
from iverson.monitoring.intervals import Floats, block_draws
from iverson.monitoring.journal import Journal
from iverson.monitoring.measured import MINIMUM_SESSIONS
from iverson.reports.journaled import Journaled, read
from iverson.research.bootstrap import optimal_block

QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)
LEAST = 20  # sessions of an expectation below which no band is drawn


@dataclass(frozen=True, eq=False)
class Expectation:
    """Daily out-of-sample returns, fractions, in order; and the run they are of, when there is one.

    Without a run only returns are compared, not trades.
    """

    returns: Floats
    name: str = "given returns"
    told: Journaled | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.returns, dtype=np.float64)
        if values.ndim != 1 or not np.isfinite(values).all() or (values <= -1.0).any():
            raise DataError(
                "the expectation's returns are not one fraction above −1 a session; give daily "
                "returns out of sample, 0.01 for one percent"
            )
        object.__setattr__(self, "returns", values)

    @classmethod
    def of(cls, given: Any) -> Expectation | None:
        """Take an expectation, daily returns, or None as they are given."""
        if given is None or isinstance(given, Expectation):
            return given
        return cls(np.asarray(given, dtype=np.float64))


def read_expectation(journal: Journal, *, run: str | None = None) -> Expectation:
    """Read what was expected from a run of a journal, the last by default: a walk-forward's.

    Raises
    ------
    DataError: no such run, or one that noted no equity.
    """
    told = read(journal, run=run)
    return Expectation(told.returns.to_numpy(dtype=np.float64), told.name, told)


@dataclass(frozen=True, eq=False)
class Band:
    """Where a run of so many sessions may stand if it does what was expected, and where it stands.

    `fan` holds total returns, fractions, shape (sessions + 1, 5): the quantiles 2.5, 25, 50, 75 and
    97.5 % at the start (0) and after each session. `live` is the run's own, shape (sessions + 1,).
    `percentile` is the share of drawn runs that ended below the run, ties counting half; `inside`
    whether it lies between 2.5 and 97.5 %. `enough` is False below 60 sessions of either.
    """

    fan: Floats
    live: Floats
    percentile: float
    sessions: int
    expected_sessions: int
    block: float
    draws: int
    seed: int
    quantiles: tuple[float, ...] = field(default=QUANTILES)

    @property
    def inside(self) -> bool:
        """Whether the run ended within the middle 95 % of what was expected."""
        return self.quantiles[0] <= self.percentile <= self.quantiles[-1]

    @property
    def enough(self) -> bool:
        """Whether both have the sessions that a judgement asks for."""
        return min(self.sessions, self.expected_sessions) >= MINIMUM_SESSIONS

    @property
    def p_value(self) -> float:
        """Two-sided: how often a run that does what was expected ends at least as far out.

        Never 0: the run itself counts as one of those drawn (Davison and Hinkley 1997, "Bootstrap
        Methods and their Application", eq. 4.11).
        """
        tail = min(self.percentile, 1.0 - self.percentile)
        return min(1.0, 2.0 * (1.0 + tail * self.draws) / (1.0 + self.draws))

    @property
    def low(self) -> float:
        """Lower end of the band at the end, a total return."""
        return float(self.fan[-1, 0])

    @property
    def high(self) -> float:
        """Upper end of the band at the end, a total return."""
        return float(self.fan[-1, -1])


def band(
    expected: ArrayLike,
    live: ArrayLike,
    *,
    seed: int,
    draws: int = 2000,
    block: float | None = None,
) -> Band:
    """Draw runs from the expected returns, as long as the live one, and place the live one.

    Parameters
    ----------
    expected, live
        Daily returns, fractions, shape (sessions,).
    block
        Mean length of the bootstrap's blocks, sessions; default the expectation's `optimal_block`.

    Raises
    ------
    DataError: fewer than 20 expected sessions, no live one, or a NaN.
    ConfigError: fewer than 100 draws.

    Notes
    -----
    Stationary bootstrap of Politis and Romano (1994), doi:10.1080/01621459.1994.10476870, blocks
    by Politis and White (2004), doi:10.1081/ETC-120028836. Each run is drawn twice: a history as
    long as the expectation's from its returns, then the run from that history. The first draw is
    the doubt about the expectation itself (its variance 1/m beside the run's 1/n); a band without
    it holds a run that is no different only about 83 % of the time when both are equally long. It
    is the prediction interval of Beran (1990), "Calibrating prediction regions", JASA 85, 715-723,
    doi:10.1080/01621459.1990.10474932, in its plain, uncalibrated form.
    """
    pool, own = (np.asarray(one, dtype=np.float64) for one in (expected, live))
    if pool.size < LEAST or not own.size:
        raise DataError(
            f"{pool.size} expected and {own.size} live sessions give no band; expected at least "
            f"{LEAST} and 1"
        )
    if not (np.isfinite(pool).all() and np.isfinite(own).all()):
        raise DataError("a return is missing (NaN); expected one fraction a session")
    if draws < 100:
        raise ConfigError(f"draws={draws} are too few for a tail; expected 1000 or more")
    length = optimal_block(pool) if block is None else block
    generator = np.random.default_rng(seed)
    paths = np.empty((draws, own.size))
    for row, run in enumerate(_runs(pool, own.size, draws, length, generator)):
        paths[row] = run
    grown = np.cumprod(1.0 + paths, axis=1) - 1.0
    fan = np.vstack([np.zeros(len(QUANTILES)), np.quantile(grown, QUANTILES, axis=0).T])
    mine = np.concatenate(([0.0], np.cumprod(1.0 + own) - 1.0))
    ends = grown[:, -1]
    below = float(np.mean(ends < mine[-1]) + np.mean(ends == mine[-1]) / 2.0)
    return Band(fan, mine, below, own.size, pool.size, length, draws, seed)


def _runs(
    pool: Floats, sessions: int, draws: int, block: float, generator: np.random.Generator
) -> Iterator[Floats]:
    for history in block_draws(pool.size, draws, generator, block=block):
        pieces = block_draws(pool.size, math.ceil(sessions / pool.size), generator, block=block)
        yield pool[history][np.concatenate(list(pieces))[:sessions]]
