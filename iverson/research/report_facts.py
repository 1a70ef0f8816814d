# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report computes beside the result it describes: the benchmark and the shadow book."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cached_property
from typing import Any

import pandas as pd

from iverson.execution.bracket import make_bracket
from iverson.model import Verdict
from iverson.monitoring.summary import Summary, summary
from iverson.research.backtest import parameters_of
from iverson.research.benchmark import buy_and_hold
from iverson.research.sensitivity import sensitivity
from iverson.research.shadow import ShadowTrade, follow
from iverson.research.shadow_book import follow_denied, shadow_frame
from iverson.research.walk_result import WalkForward


class Facts:
    """A result with what the report computes beside it, each once."""

    def __init__(self, result: WalkForward) -> None:
        self.result = result

    @cached_property
    def held(self) -> pd.Series:
        """Equity of buy-and-hold over the out-of-sample sessions."""
        equity = self.result.equity
        return buy_and_hold(
            self.result.bars,
            first=equity.index[0].date(),
            last=equity.index[-1].date(),
            cash=self.result.start,
            costs=self.result.setup.costs,
        )

    @cached_property
    def held_metrics(self) -> Summary:
        """Metrics of buy-and-hold."""
        start, seed = self.result.start, self.result.plan.seed
        return summary(self.held, [], starting_equity=start, seed=seed)

    @cached_property
    def sensitivity(self) -> pd.DataFrame:
        """The same decisions, filled otherwise."""
        return sensitivity(self.result)

    def options(self, strategy: str) -> dict[str, Any]:
        """How the broker of this result fills what a strategy asked for, for `follow`."""
        setup = self.result.setup
        known = {**parameters_of(setup.strategy), **setup.params}
        return {
            "costs": setup.costs,
            "entry_sessions": known.get(f"{strategy}.entry_sessions", known.get("entry_sessions")),
            "entry_minutes": known.get(f"{strategy}.entry_minutes", known.get("entry_minutes")),
            "through_ticks": setup.through_ticks,
        }

    @cached_property
    def denied(self) -> pd.DataFrame:
        """The shadow book of the denied signals."""
        found: list[ShadowTrade] = []
        for part, until in self._by_border():
            for name in dict.fromkeys(verdict.signal.strategy for verdict in part):
                own = [verdict for verdict in part if verdict.signal.strategy == name]
                how = self.options(name)
                found += follow_denied(own, self.result.bars, until=until, **how)
        return shadow_frame(found)

    @cached_property
    def approved(self) -> list[Verdict]:
        """Approved verdicts, out of sample."""
        return [verdict for verdict in self.result.record.verdicts if verdict.approved]

    @cached_property
    def missed(self) -> pd.DataFrame:
        """The approved entries that never filled, had they been made at the next open."""
        filled = {fill.order_id for fill in self.result.record.fills if fill.leg == "entry"}
        found = [
            follow(
                verdict.signal, self.result.bars[verdict.signal.symbol], rule="missed",
                until=until, at_open=True, **self.options(verdict.signal.strategy),
            )
            for part, until in self._by_border()
            for verdict in part
            if verdict.approved and entry_id(verdict) not in filled
        ]  # fmt: skip
        return shadow_frame(found)

    def _by_border(self) -> Iterator[tuple[list[Verdict], date]]:
        """Yield the verdicts of each fold with the session at which its positions end."""
        folds = self.result.results
        for fold, outcome in zip(folds, self.result.judged["worst"].by_fold, strict=True):
            close = self.result.plan.at_border == "close"
            yield outcome.record.verdicts, (fold if close else folds[-1]).fold.out_of_sample.last


def entry_id(verdict: Verdict) -> str:
    """Return the order id under which a verdict's entry is recorded."""
    return f"{make_bracket(verdict, valid_until=verdict.signal.at).key}-entry"
