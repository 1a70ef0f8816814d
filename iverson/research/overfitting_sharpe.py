# SPDX-License-Identifier: GPL-3.0-or-later
"""The Sharpe ratio judged: is it above 0, and above what the best of useless trials shows.

Sharpe ratios here are per observation (per session for daily returns), not annualised: divide an
annualised one by √252 and its variance across trials by 252. Only `SharpeEvidence` prints
annualised numbers. A number that does not exist is NaN; only nonsense arguments raise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from iverson.errors import ConfigError
from iverson.monitoring.intervals import Floats, sharpe_error, sharpe_moments
from iverson.monitoring.metrics import SESSIONS_PER_YEAR
from iverson.research.overfitting_trials import EffectiveTrials, count_trials, trial_matrix

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class SharpeEvidence:
    """What a Sharpe ratio is worth, given its returns and the trials it was chosen from.

    `sharpe` and `expected_maximum` are annualised; `probabilistic` is the probability that the
    true ratio is above 0, `deflated` that it is above the expected maximum of `trials` useless
    trials (effective ones, not necessarily whole). `familywise` is a p-value: how often the best
    of all the trials, as correlated as they are, would look this good without any skill. `needed`
    is the number of sessions after which this ratio would pass the deflated test at 95 % (inf:
    never).
    """

    sharpe: float
    observations: int
    skew: float
    kurtosis: float
    trials: float
    expected_maximum: float
    probabilistic: float
    deflated: float
    familywise: float
    needed: float

    def __str__(self) -> str:
        """Print as `sharpe 2.50 over 1250 sessions, best of 100.0 trials (luck: 1.79); ...`."""
        return (
            f"sharpe {self.sharpe:.2f} over {self.observations} sessions, best of "
            f"{self.trials:.1f} trials (luck: {self.expected_maximum:.2f}); "
            f"probabilistic {self.probabilistic:.1%}, deflated {self.deflated:.1%}, "
            f"familywise p {self.familywise:.3f}"
        )


def sharpe_evidence(
    returns: Floats,
    trials: Floats,
    *,
    counted: EffectiveTrials | None = None,
    sessions_per_year: int = SESSIONS_PER_YEAR,
) -> SharpeEvidence:
    """Judge the returns of the chosen trial by all the trials it was chosen from.

    Parameters
    ----------
    returns
        Returns of the chosen trial, fractions, one a session, shape (sessions,). NaN among them,
        or fewer than 3 of them, make the answers NaN.
    trials
        Returns of every trial ever looked at, the chosen one included, shape (sessions, trials);
        the sessions need not be those of `returns`.
    counted
        Effective number of the trials, when it is known already (`count_trials`).

    Raises
    ------
    DataError, ConfigError
        For NaN in `trials` and for a wrong shape.
    """
    matrix = trial_matrix(trials)
    counted = counted or count_trials(matrix)
    sharpe, skew, kurtosis = sharpe_moments(np.asarray(returns, dtype=np.float64))
    shape = {"skew": skew, "kurtosis": kurtosis}
    count = len(returns)
    luck = expected_maximum_sharpe(counted.effective, counted.sharpe_variance)
    plain = probabilistic_sharpe(sharpe, count, **shape)
    scale = math.sqrt(sessions_per_year)
    return SharpeEvidence(
        sharpe=scale * sharpe,
        observations=count,
        skew=skew,
        kurtosis=kurtosis,
        trials=counted.effective,
        expected_maximum=scale * luck,
        probabilistic=plain,
        deflated=probabilistic_sharpe(sharpe, count, benchmark=luck, **shape),
        familywise=counted.by_luck(1.0 - plain),
        needed=minimum_track_record(sharpe, benchmark=luck, **shape),
    )


def probabilistic_sharpe(
    sharpe: float,
    observations: int,
    *,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
) -> float:
    """Give the probability that the true Sharpe ratio is above a benchmark, both per observation.

    `kurtosis` is 3 for the normal law. NaN below 3 observations and for a NaN argument.

    Notes
    -----
    PSR = Φ((S − S*) √(T−1) / √(1 − γ₃S + (γ₄−1)S²/4)).  Bailey and López de Prado (2012), "The
    Sharpe ratio efficient frontier", Journal of Risk 15(2), 3-44, doi:10.21314/JOR.2012.255,
    the definition of PSR. Returns are taken as independent: with an autocorrelation of 0.3, 11 %
    of useless strategies pass at 95 % (overfitting_campaign.py). Strictly it is 1 − the p-value of
    a one-sided test, a probability of the true ratio only for who knew nothing before.
    """
    error = sharpe_error(sharpe, observations - 1, skew=skew, kurtosis=kurtosis)
    if any(math.isnan(x) for x in (sharpe, benchmark, skew, kurtosis, error)):
        return math.nan
    if error == 0.0:
        # The expansion has broken down: an enormous ratio with an enormous positive skewness.
        return math.nan
    return _NORMAL.cdf((sharpe - benchmark) / error)


def minimum_track_record(
    sharpe: float,
    *,
    benchmark: float = 0.0,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    confidence: float = 0.95,
) -> float:
    """Give the observations after which the ratio would be above the benchmark with confidence.

    Ratios per observation; the answer need not be whole, so round it up. inf for a ratio not above
    the benchmark, NaN for a NaN argument.

    Raises
    ------
    ConfigError
        For a confidence that is not between 0.5 and 1.

    Notes
    -----
    MinTRL = 1 + (1 − γ₃S + (γ₄−1)S²/4) (z / (S − S*))², z = Φ⁻¹(confidence).  Bailey and López de
    Prado (2012), doi:10.21314/JOR.2012.255, the definition of MinTRL.
    """
    if not 0.5 < confidence < 1.0:
        raise ConfigError(f"confidence={confidence} is none; expected more than 0.5 and below 1")
    if any(math.isnan(x) for x in (sharpe, benchmark, skew, kurtosis)):
        return math.nan
    if sharpe <= benchmark:
        return math.inf
    one = sharpe_error(sharpe, 2, skew=skew, kurtosis=kurtosis) * math.sqrt(2.0)
    errors = one * _NORMAL.inv_cdf(confidence) / (sharpe - benchmark)
    return 1.0 + errors * errors  # inf, where ** would raise


def expected_maximum_sharpe(trials: float, variance: float) -> float:
    """Give the Sharpe ratio that the best of so many trials without any skill is expected to show.

    `trials` counts independent ones and need not be whole; `variance` is that of the ratios across
    the trials. The unit is that of √variance: per observation in, per observation out. 0 for at
    most one trial, NaN for a NaN argument.

    Raises
    ------
    ConfigError
        For a negative variance.

    Notes
    -----
    √V ((1−γ) Φ⁻¹(1 − 1/N) + γ Φ⁻¹(1 − 1/(N e))), γ = 0.5772...  Bailey and López de Prado (2014),
    "The deflated Sharpe ratio", Journal of Portfolio Management 40(5), 94-107,
    doi:10.3905/jpm.2014.40.5.094, eq. 1 and appendix 1, from extreme value theory: 8 % low for
    N = 2, 2.5 % high for N = 5, 0.9 % for N = 100. Near N = 1 it would be negative; 0 then.
    """
    if variance < 0.0:
        raise ConfigError(f"variance={variance} of Sharpe ratios; expected 0 or more")
    if math.isnan(trials) or math.isnan(variance):
        return math.nan
    if trials <= 1.0:
        return 0.0
    gamma = float(np.euler_gamma)
    typical = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    lucky = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * max(0.0, (1.0 - gamma) * typical + gamma * lucky)


def deflated_sharpe(
    sharpe: float,
    observations: int,
    *,
    trials: float,
    variance: float,
    skew: float = 0.0,
    kurtosis: float = 3.0,
) -> float:
    """Give the probability that the ratio is above the expected maximum of useless trials.

    All ratios per observation, `variance` too. NaN as in `probabilistic_sharpe`.

    Notes
    -----
    PSR with S* = `expected_maximum_sharpe`.  Bailey and López de Prado (2014),
    doi:10.3905/jpm.2014.40.5.094, eq. 2. It is a benchmark, not a test of a stated size: of the
    best of 20 useless trials over 500 sessions, 0.1 % pass at 95 % when the trials are independent,
    3 % when they are correlated by 0.5, 8 % by 0.95 (tests/research/overfitting_campaign.py).
    `EffectiveTrials.by_luck` is the test that errs about as often as it says: 4.6 to 5.5 % at 5 %.
    """
    luck = expected_maximum_sharpe(trials, variance)
    return probabilistic_sharpe(sharpe, observations, benchmark=luck, skew=skew, kurtosis=kurtosis)
