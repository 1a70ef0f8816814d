# SPDX-License-Identifier: GPL-3.0-or-later
"""What each rule saved or cost: denied signals followed on paper, with the run's own costs.

The journal names the costs, the patience of the entries and the reading of ambiguous bars; the
bars are handed in. Nothing after the last session of the report is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any

import numpy as np
import pandas as pd

from iverson.execution.bracket import on_grid
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.intervals import minutes
from iverson.market.moments import Moment
from iverson.model import Signal, Verdict
from iverson.monitoring.record import FoldRow
from iverson.reports.journaled import Journaled
from iverson.reports.slippage import costs_of
from iverson.research.shadow import ShadowTrade, follow
from iverson.research.shadow_book import by_rule, shadow_frame
from iverson.strategy import expiry


@dataclass(frozen=True, eq=False)
class Denied:
    """Denied signals that were followed, and how many could not be.

    `followed` has the columns of `ShadowTrade` and `filled`. `waiting` might still have filled at
    the end, `faulty` had unusable prices or confidence, `without_bars` no bars of their symbol;
    none of these is in `followed`. `still_open` of the filled ones are valued at the last close.
    """

    followed: pd.DataFrame
    waiting: int = 0
    faulty: int = 0
    without_bars: int = 0
    still_open: int = 0

    @property
    def count(self) -> int:
        """All denied signals."""
        return len(self.followed) + self.waiting + self.faulty + self.without_bars

    def rules(self, *, seed: int = 0, resamples: int = 1000) -> pd.DataFrame:
        """Sum up by rule: `denied`, `filled`, `mean_r`, `total_r`, `low`, `high` (95 %).

        A negative total is what the rule saved, a positive one what it cost.
        """
        return by_rule(self.followed, seed=seed, resamples=resamples)


def follow_run(
    told: Journaled, bars: Mapping[str, Bars], first: date, last: date, *, until: date
) -> Denied:
    """Follow the signals denied in the sessions from `first` to `last`, through `until`.

    `told` is the whole run, so that the parameters and the ends of its folds are known.
    """
    found: list[ShadowTrade] = []
    waiting = faulty = without_bars = still_open = 0
    folds = told.of(FoldRow)
    cut = {symbol: one.between(date.min, until) for symbol, one in bars.items()}
    for verdict in told.of(Verdict):
        signal = verdict.signal
        if verdict.approved or not first <= signal.session <= last:
            continue
        one = cut.get(signal.symbol)
        if on_grid(signal).fault() is not None:
            faulty += 1
        elif one is None or not len(one) or one.session[-1] < np.datetime64(signal.session):
            without_bars += 1
        else:
            fold = _fold(folds, signal.session)
            end = min(until, _border(told, fold) or until)
            how = _how(told, signal, fold)
            trade = follow(signal, one, rule=verdict.rule, until=end, **how)
            if not trade.filled and _may_fill(signal, one, how):
                waiting += 1
                continue
            still_open += trade.exit_reason == "fold end" and trade.exit_session == until
            found.append(trade)
    return Denied(shadow_frame(found), waiting, faulty, without_bars, still_open)


def mean_risk(told: Journaled) -> float:
    """Give the mean dollars at risk of the approved signals; NaN without any."""
    planned = [one.risk for one in told.of(Verdict) if one.approved]
    return math.fsum(planned) / len(planned) if planned else math.nan


def _how(told: Journaled, signal: Signal, fold: FoldRow | None) -> dict[str, Any]:
    """Return how the run's broker fills what its strategy asks for, for `follow`."""
    known = {**told.run.parameters, **(fold.parameters if fold else {})}
    own = {
        name: known.get(f"{signal.strategy}.{name}", known.get(name, usual))
        for name, usual in (("entry_sessions", 1), ("entry_minutes", None))
    }
    return {
        "costs": costs_of(told.run),
        "through_ticks": known.get("through_ticks", 1),
        "reading": known.get("reading", "worst"),
        **own,
    }


def _may_fill(signal: Signal, bars: Bars, how: Mapping[str, Any]) -> bool:
    """Whether the entry would still be working at the last bar."""
    now = Moment(signal.at, signal.session, new_york().ordinal(signal.session))
    last = bars.at[-1].astype("datetime64[us]").item().replace(tzinfo=UTC)
    bar = minutes(bars.interval)
    return bool(last < expiry(now, how["entry_sessions"], how["entry_minutes"], bar=bar))


def _fold(folds: list[FoldRow], session: date) -> FoldRow | None:
    inside = (f for f in folds if f.out_of_sample_start <= session <= f.out_of_sample_end)
    return next(inside, None)


def _border(told: Journaled, fold: FoldRow | None) -> date | None:
    """Return the session at which a fold's positions are left; None when they are not."""
    closes = told.run.parameters.get("at_border") == "close"
    return fold.out_of_sample_end if fold and closes else None
