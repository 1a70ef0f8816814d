# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs into journals: the same rows for a backtest and a walk-forward as for a month of trading.

The name of a run is a function of what decides it (settings, parameters, data, seed) and of what
happened, so the same run journals the same bytes, and journaled twice it is there once.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import FoldRow, RunRow
from iverson.research.backtest import Setup, parameters_of

if TYPE_CHECKING:
    from iverson.research.results import Run
    from iverson.research.walk_result import WalkForward


def journal_run(run: Run, path: Path | str) -> str:
    """Append a backtest to a journal, whole or not at all; return the name of the run."""
    row = run_row(run.setup, run.passport, Stage.BACKTEST, run.start, seed=None)
    return _append(path, row, run.record.values)


def journal_walk_forward(result: WalkForward, path: Path | str) -> str:
    """Append a walk-forward: its folds, then everything that happened out of sample."""
    plan = result.plan
    settings = {
        "in_sample": str(plan.in_sample),
        "out_of_sample": str(plan.out_of_sample),
        "purge": plan.purge,
        "anchored": plan.anchored,
        "objective": plan.objective,
        "minimum_trades": plan.minimum_trades,
        "at_border": plan.at_border,
        "trials": result.trials,
        "sampler": plan.sampler,
    }
    row = run_row(
        result.setup, result.passport, Stage.WALK_FORWARD, result.start, seed=plan.seed, **settings
    )
    searched = {name: repr(choices) for name, choices in plan.space.items()}
    tried = [dict(params) for params in plan.sets] or [searched]
    return _append(path, row, [*_fold_rows(result), *result.record.values], tried)


def _append(path: Path | str, row: RunRow, values: Sequence[Any], *more: Any) -> str:
    name = _name(row, values, *more)
    new = not Path(path).exists()
    try:
        with Journal(path, durable=False) as journal:
            if journal.runs(run=name).empty:  # the same run again is the same rows again
                journal.append_many(name, [row, *values])
    except BaseException:
        if new:
            Path(path).unlink(missing_ok=True)
        raise
    return name


def _fold_rows(result: WalkForward) -> Iterator[FoldRow]:
    for one in result.results:
        yield FoldRow(
            number=one.fold.number,
            in_sample_start=one.fold.in_sample.first,
            in_sample_end=one.fold.in_sample.last,
            out_of_sample_start=one.fold.out_of_sample.first,
            out_of_sample_end=one.fold.out_of_sample.last,
            parameters={k: plain(v) for k, v in one.chosen.params.items()} if one.chosen else {},
            trials=len(one.scores),
            in_sample_return=one.chosen.cagr if one.chosen else float("nan"),
            out_of_sample_return=one.out_of_sample_return,
        )


def run_row(
    setup: Setup, passport: Any, stage: Stage, cash: float, *, seed: int | None, **settings: Any
) -> RunRow:
    """Return the first row of a run: its settings, in plain values."""
    given = {**parameters_of(setup.strategy), **setup.params}
    parameters = {name: plain(value) for name, value in given.items()}
    return RunRow(
        system=setup.strategy.__module__,
        strategy=setup.strategy.__name__,
        parameters={
            **parameters,
            **settings,
            "rules": tuple(repr(rule) for rule in setup.rules),
            "sizing": repr(setup.sizing),
            "costs": repr(setup.costs),
            "through_ticks": setup.through_ticks,
            "volume_share": setup.volume_share,
            "reading": setup.reading,
            "feed": passport.feed,
            **({"columns": passport.columns} if passport.columns else {}),
            **({"universe": repr(setup.universe)} if setup.universe else {}),
            **({"capital": repr(setup.capital)} if setup.capital else {}),
            **({"as_alpaca": True} if setup.as_alpaca else {}),
        },
        symbols=passport.symbols,
        data_digest=passport.digest,
        seed=seed,
        stage=stage,
        cash=cash,
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("backtrader", "iverson", "numpy", "pandas")},
        },
    )


def _name(row: RunRow, values: Sequence[Any], *more: Any) -> str:
    facts = [row.system, row.strategy, repr(sorted(row.parameters.items(), key=str))]
    facts += [row.data_digest, str(row.seed), row.stage.value, repr(row.cash)]
    facts += [json.dumps(part, default=str) for part in more]
    digest = hashlib.sha256("|".join(facts).encode())
    for value in values:
        digest.update(repr(value).encode())
    return digest.hexdigest()[:12]


def plain(value: Any) -> Any:
    """Return what a journal can hold; for functions and other objects their names."""
    if isinstance(value, list | tuple):
        return tuple(plain(one) for one in value)
    if hasattr(value, "item"):
        return value.item()
    if value is None or isinstance(value, str | bool | int | float | date):
        return value
    named = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{getattr(value, '__module__', '')}.{named}"
