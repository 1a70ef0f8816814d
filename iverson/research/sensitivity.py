# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a result hangs on its fills: the same decisions under kinder and harsher rules.

The parameters stay those chosen under the headline's rules; only fills, costs and timing change.
A result that lives on touches, on low costs or on being a bar early is not a result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import backtrader as bt
import pandas as pd

from iverson.monitoring.metrics import max_drawdown, sharpe, total_return
from iverson.monitoring.record import Record
from iverson.monitoring.tables import equity_series
from iverson.research.backtest import Prepared, Setup
from iverson.research.several import combined, uses_of
from iverson.research.walk_forward import judge
from iverson.research.walk_result import WalkForward
from iverson.signals.entry import Entry
from iverson.strategy import Strategy

BEST_REMOVED = 0.10  # share of the trades, the best ones, that a result should survive without


@dataclass(frozen=True)
class Variant:
    """One other way to fill the same decisions."""

    name: str
    setup: Setup


def variants(setup: Setup) -> list[Variant]:
    """Return the ways of filling that are compared, the headline's own first."""
    ticks = (0, 1, 2)
    found = [Variant("headline", setup)]
    found += [
        Variant(f"limits fill {_beyond(count)}", replace(setup, through_ticks=count))
        for count in ticks
        if count != setup.through_ticks
    ]
    found += [
        Variant("without costs", replace(setup, costs=setup.costs.scaled(0))),
        Variant("costs doubled", replace(setup, costs=setup.costs.scaled(2))),
    ]
    uses = uses_of(setup.strategy)
    if all(use.strategy.signals is Strategy.signals for use in uses):
        delayed = [replace(use, strategy=late(use.strategy)) for use in uses]
        later = replace(setup, strategy=combined(delayed) if len(uses) > 1 else delayed[0].strategy)
        found.append(Variant("decided one bar later", later))
    return found


def sensitivity(result: WalkForward) -> pd.DataFrame:
    """Judge the chosen parameters again under each variant.

    Returns
    -------
    One row a variant, out of sample and under the worst reading: `total_return` (fraction),
    `sharpe` (annualised), `max_drawdown` (fraction, negative), `trades`, `pnl` (dollars). The last
    row leaves the best 10 % of the headline's trades away: only `trades`, `pnl` and the
    `total_return` it leaves of the starting cash are known for it, the others are NaN. A strategy
    with `signals()` of its own has no row for the delay: its decisions are not lines.
    """
    prepared = Prepared.of(result.bars)
    folds = [one.fold for one in result.results]
    chosen = [one.chosen for one in result.results]
    rows = {}
    for variant in variants(result.setup):
        record = (
            result.record
            if variant.setup == result.setup
            else judge(variant.setup, prepared, folds, chosen, result.plan.at_border).record
        )
        rows[variant.name] = _row(record, result.start)
    rows[f"without the best {BEST_REMOVED:.0%} of the trades"] = _without_best(result)
    return pd.DataFrame.from_dict(rows, orient="index")


def late(strategy: type[Strategy]) -> type[Strategy]:
    """Return the strategy whose entry lines are all read one bar late, at that bar's prices."""

    def entry(self: Any, data: Any) -> Iterator[Entry]:
        found = strategy.entry(self, data)
        for one in [found] if isinstance(found, Entry) else found:
            yield replace(one, **{f.name: _shifted(getattr(one, f.name)) for f in fields(one)})

    namespace = {"entry": entry, "__module__": strategy.__module__}
    return type(strategy.__name__, (strategy,), namespace)  # of the parent's metaclass


def _shifted(value: Any) -> Any:
    return value(-1) if isinstance(value, bt.linebuffer.LineRoot) else value


def _row(record: Record, start: float) -> dict[str, float]:
    equity = equity_series(record.equity)
    marks = pd.concat([pd.Series([start]), equity]).to_numpy()
    return {
        "total_return": total_return(marks),
        "sharpe": sharpe(marks[1:] / marks[:-1] - 1.0),
        "max_drawdown": max_drawdown(marks),
        "trades": len(record.trades),
        "pnl": math.fsum(trade.pnl for trade in record.trades),
    }


def _without_best(result: WalkForward) -> dict[str, float]:
    pnl = sorted(trade.pnl for trade in result.record.trades)
    kept = pnl[: len(pnl) - math.ceil(BEST_REMOVED * len(pnl))]
    left = math.fsum(kept)
    return {
        "total_return": left / result.start,
        "sharpe": math.nan,
        "max_drawdown": math.nan,
        "trades": len(kept),
        "pnl": left,
    }


def _beyond(ticks: int) -> str:
    return {0: "when touched", 1: "a tick beyond"}.get(ticks, f"{ticks} ticks beyond")
