# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinatorial purged cross-validation of a search: many out-of-sample histories instead of one.

The parameter sets run once over the whole range; a split chooses the best of them on the sessions
it may tune on and is judged on those it may not. The splits make several paths over all sessions,
whose spread says how much of a walk-forward's one curve is the luck of its cuts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.monitoring.metrics import max_drawdown, sharpe
from iverson.monitoring.record import TrialRow
from iverson.research.ledger import best_column, comparable, matrix
from iverson.research.purged import combinatorial_purged, gap_meaning, path_returns


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """Out-of-sample histories of the same search.

    `returns` has a column a path and a row a session, fractions after costs; `chosen` the
    parameters that each split tuned to. `assumptions` says what the gaps take for granted.
    """

    returns: pd.DataFrame
    chosen: tuple[Mapping[str, Any], ...]
    assumptions: tuple[str, ...]

    @property
    def paths(self) -> pd.DataFrame:
        """One row a path: `total_return`, `sharpe` (annualised), `max_drawdown`, fractions."""
        rows = {}
        for name, column in self.returns.items():
            equity = np.r_[1.0, np.cumprod(1.0 + column.to_numpy())]
            rows[name] = {
                "total_return": equity[-1] - 1.0,
                "sharpe": sharpe(column.to_numpy()),
                "max_drawdown": max_drawdown(equity),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("path")

    def __str__(self) -> str:
        paths = self.paths
        losing = int((paths["total_return"] <= 0).sum())
        lines = [
            f"{len(paths)} paths from {len(self.chosen)} splits over {len(self.returns)} sessions",
            (
                f"sharpe {paths['sharpe'].median():.2f} (median), "
                f"{paths['sharpe'].min():.2f} to {paths['sharpe'].max():.2f}; "
                f"{losing} of {len(paths)} paths lose"
            ),
            *(f"note: {words}" for words in self.assumptions),
        ]
        return "\n".join(lines)

    __repr__ = __str__


def cross_validate(
    rows: Sequence[TrialRow],
    bars: Mapping[str, Bars],
    *,
    groups: int,
    test_groups: int,
    purge: int,
    embargo: int,
    longest_holding: int | None,
) -> CrossValidation:
    """Cross-validate the choice of the best Sharpe ratio among trials over the same sessions.

    Parameters
    ----------
    rows
        Trials with returns, of the same bars and range.
    groups, test_groups, purge, embargo
        As `combinatorial_purged`.
    longest_holding
        The strategy's time limit in sessions, None for none; for the words.

    Raises
    ------
    ConfigError
        Without trials, for trials over other sessions than the bars have, and as
        `combinatorial_purged`.

    Notes
    -----
    López de Prado (2018), "Advances in Financial Machine Learning", Wiley, section 12.4. A session
    that is judged does not start with an empty account, as a fold of a walk-forward does: every
    set's positions go on from the session before.
    """
    rows = comparable(rows)
    returns = matrix(rows)
    if not returns.size:
        raise ConfigError("there is no trial with returns; search at least one parameter set")
    sessions = _sessions(bars, rows[0])
    if len(sessions) != len(returns):
        raise ConfigError(
            f"the trials have {len(returns)} sessions, the bars {len(sessions)} between "
            f"{rows[0].first} and {rows[0].last}; symbols that list at different times cannot be "
            "cross-validated together: leave the youngest out or start later"
        )
    splits = combinatorial_purged(
        sessions, groups=groups, test_groups=test_groups, purge=purge, embargo=embargo
    )
    best = [best_column(returns[split.train]) for split in splits]
    judged = [returns[split.test, column] for split, column in zip(splits, best, strict=True)]
    found = path_returns(splits, judged)
    index = pd.DatetimeIndex(sessions, name="session")
    return CrossValidation(
        returns=pd.DataFrame(found.T, index=index, columns=range(1, len(found) + 1)),
        chosen=tuple(rows[column].parameters for column in best),
        assumptions=tuple(gap_meaning(purge, embargo, longest_holding=longest_holding)),
    )


def _sessions(bars: Mapping[str, Bars], row: TrialRow) -> Any:
    every = np.unique(np.concatenate([one.session for one in bars.values()]))
    first, last = np.datetime64(row.first, "D"), np.datetime64(row.last, "D")
    return every[(every >= first) & (every <= last)]
