# SPDX-License-Identifier: GPL-3.0-or-later
"""Trials for the ledger: every parameter set over all sessions, with the code and the conditions.

Folds overlap, so the trials of a walk-forward are run once more over its whole range, in one piece:
what somebody would have seen who searches without walking forward. That is what the statistics of
overfitting ask for.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from iverson.errors import IversonError
from iverson.market import store as stores
from iverson.monitoring.intervals import Floats
from iverson.monitoring.metrics import sharpe, total_return
from iverson.monitoring.record import TrialRow
from iverson.research.backtest import Prepared, Setup, parameters_of
from iverson.research.checked import source_digest
from iverson.research.journaling import plain
from iverson.research.ledger import Ledger, Trials, pack
from iverson.research.search import Task
from iverson.research.sweep import explain, kernel_runs, simulated
from iverson.strategy import Strategy

LEDGER = "trials.db"
MOST_RETURNS = 2_000  # trials whose returns are kept for the statistics of one search


def trial(
    setup: Setup,
    equity: Floats | None,
    trades: int,
    *,
    data: str,
    first: date,
    last: date,
    at: datetime,
) -> TrialRow:
    """Make the row of one parameter set.

    `equity` holds dollars, the start first and then one a session (None: it was not run over this
    range); `data` is the digest of the bars, `at` the instant of the evaluation.
    """
    known = {**parameters_of(setup.strategy), **setup.params}
    returns = np.empty(0) if equity is None else equity[1:] / equity[:-1] - 1.0
    return TrialRow(
        at=at,
        strategy=name_of(setup.strategy),
        source=source_of(setup.strategy),
        conditions=conditions_of(setup),
        data=data,
        parameters={name: plain(value) for name, value in known.items()},
        first=first,
        last=last,
        trades=trades,
        total_return=math.nan if equity is None else total_return(equity),
        sharpe=sharpe(returns),
        returns="" if equity is None else pack(returns),
    )


def evaluate(
    setup: Setup,
    prepared: Prepared,
    sets: Sequence[Mapping[str, Any]],
    *,
    data: str,
    first: date,
    last: date,
    at: datetime,
) -> list[TrialRow]:
    """Run every parameter set over one range, by the kernel where it can.

    Of more than 2,000 sets every n-th is run; the others get rows without returns (""), so that
    they are counted all the same.
    """
    step = math.ceil(len(sets) / MOST_RETURNS)
    chosen = sets[::step] if step else []
    task = Task((0, 0), setup, tuple(chosen), first, last, "sharpe", 0)
    runs = kernel_runs(task, prepared) if explain(setup, prepared) is None else [None] * len(chosen)
    rows = []
    for params, run in zip(chosen, runs, strict=True):
        start, marks, pnl, _ = run or simulated(task, params, prepared)
        equity = np.r_[start, marks]
        one = setup.with_params(params)
        rows.append(trial(one, equity, len(pnl), data=data, first=first, last=last, at=at))
    for place, params in enumerate(sets):
        if place % step:
            one = setup.with_params(params)
            rows.append(trial(one, None, 0, data=data, first=first, last=last, at=at))
    return rows


def remember(rows: Sequence[TrialRow], store: Path | str | None) -> tuple[Trials, tuple[str, ...]]:
    """Add trials to the ledger beside the bars, and return what it knows of their strategy now.

    A ledger that cannot be written or read costs a sentence, not the result: the second value.
    """
    ledger = Ledger(Path(store or stores.DEFAULT) / LEDGER)
    try:
        ledger.add(rows)
        found = ledger.of(rows[0].strategy, data=rows[0].data)
    except (IversonError, OSError) as error:
        words = f"the trial ledger cannot be used, so earlier trials are not counted: {error}"
        return Trials(tuple(rows), sound=False, on_these_bars=len(rows)), (words,)
    if found.sound:
        return found, ()
    return found, (f"rows of the trial ledger {ledger.path} were changed or taken out",)


def name_of(strategy: type[Strategy]) -> str:
    """Return "module:Class", under which the ledger keeps a strategy's trials."""
    return f"{strategy.__module__}:{strategy.__qualname__}"


def source_of(strategy: type[Strategy]) -> str:
    """Return a digest of the strategy's code: of its source, or of what was typed into a notebook.

    Without a file the compiled code of its methods stands for it, so that changing a line is
    another trial and running the cell again is not.
    """
    found = source_digest(strategy)
    if found is not None:
        return found[:24]
    total = hashlib.sha256()
    for base in strategy.__mro__[: strategy.__mro__.index(Strategy)]:
        for name, value in sorted(vars(base).items()):
            if isinstance(value, FunctionType):
                total.update(f"{name}|{_compiled(value.__code__)}|".encode())
    return total.hexdigest()[:24]


def conditions_of(setup: Setup) -> str:
    """Return a digest of all that decides a run beside strategy, parameters and bars."""
    parts: Sequence[Any] = (
        *setup.rules, setup.sizing, setup.costs,
        setup.cash, setup.through_ticks, setup.volume_share, setup.reading,
    )  # fmt: skip
    return hashlib.sha256("|".join(map(repr, parts)).encode()).hexdigest()[:24]


def _compiled(code: CodeType) -> str:
    constants = [_compiled(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, constants))
