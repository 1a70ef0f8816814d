# SPDX-License-Identifier: GPL-3.0-or-later
"""Trials for the ledger: every parameter set over all sessions, with the code and the conditions.

Folds overlap, so the trials of a walk-forward are run once more over its whole range, in one piece:
what somebody would have seen who searches without walking forward. That is what the statistics of
overfitting ask for.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain, islice
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
from iverson.research.ledger import MOST_RETURNS, Ledger, Trials, pack
from iverson.research.search import Task
from iverson.research.several import shape_of, written
from iverson.research.sweep import each_run, explain, simulated
from iverson.strategy import Strategy

LEDGER = "trials.db"
BATCH = 200  # trials that are run and added at once


@dataclass(frozen=True)
class Where:
    """What all trials of one evaluation share: when and on which bars, and how they were run."""

    at: datetime
    strategy: str
    source: str
    conditions: str
    data: str
    first: date
    last: date


def where(setup: Setup, *, data: str, first: date, last: date, at: datetime) -> Where:
    """Say what the trials of a setup share; `data` is the digest of the bars."""
    code = setup.strategy
    return Where(at, name_of(code), source_of(code), conditions_of(setup), data, first, last)


def trial(setup: Setup, shared: Where, equity: Floats | None, trades: int) -> TrialRow:
    """Make the row of one parameter set.

    `equity` holds dollars, the start first and then one a session; None: it was not run over this
    range.
    """
    known = {**parameters_of(setup.strategy), **setup.params}
    returns = np.empty(0) if equity is None else equity[1:] / equity[:-1] - 1.0
    return TrialRow(
        **vars(shared),
        parameters={name: plain(value) for name, value in known.items()},
        trades=trades,
        total_return=math.nan if equity is None else total_return(equity),
        sharpe=sharpe(returns),
        returns="" if equity is None else pack(returns),
    )


def evaluate(
    setup: Setup, prepared: Prepared, sets: Sequence[Mapping[str, Any]], shared: Where
) -> Iterator[TrialRow]:
    """Run every parameter set over one range, by the kernel where it can.

    Of more than 2,000 sets every n-th is run; the others get rows without returns (""), so that
    they are counted all the same.
    """
    step = max(1, math.ceil(len(sets) / MOST_RETURNS))
    for start in range(0, len(sets), BATCH * step):
        batch = sets[start : start + BATCH * step]
        task = Task((0, 0), setup, tuple(batch[::step]), shared.first, shared.last, "sharpe", 0)
        kernel = explain(setup, prepared) is None
        runs = each_run(task, prepared) if kernel else ((n, None) for n in range(len(task.sets)))
        for place, params in enumerate(batch):
            one = setup.with_params(params)
            if place % step:
                yield trial(one, shared, None, 0)
                continue
            begin, marks, pnl, _ = next(runs)[1] or simulated(task, params, prepared)
            yield trial(one, shared, np.r_[begin, marks], len(pnl))


def remember(rows: Iterable[TrialRow], store: Path | str | None) -> tuple[Trials, tuple[str, ...]]:
    """Add trials to the ledger beside the bars, and return what it knows of their strategy now.

    They are taken and added a batch at a time, so that the ledger is free while they run. One that
    cannot be written or read costs a sentence, not the result: the second value.
    """
    ledger = Ledger(Path(store or stores.DEFAULT) / LEDGER)
    made = iter(rows)
    batch = list(islice(made, BATCH))
    one = batch[0]
    try:
        while batch:
            ledger.add(batch)
            batch = list(islice(made, BATCH))
        found = ledger.of(one)
    except (IversonError, OSError) as error:
        words = f"the trial ledger cannot be used, so earlier trials are not counted: {error}"
        rest = chain(batch, made)
        return _uncounted(rest), (words,)
    if found.sound:
        return found, ()
    return found, (f"rows of the trial ledger {ledger.path} were changed or taken out",)


def _uncounted(rows: Iterable[TrialRow]) -> Trials:
    """Return what is known without the ledger: this search alone."""
    count, kept = 0, []
    for row in rows:
        count += 1
        if row.returns:
            kept.append(row)
    return Trials(count, count, tuple(kept), sound=False)


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
    for base in written(strategy):
        for name, value in sorted(vars(base).items()):
            if isinstance(value, FunctionType):
                total.update(f"{name}|{_compiled(value.__code__)}|".encode())
    return total.hexdigest()[:24]


def conditions_of(setup: Setup) -> str:
    """Return a digest of all that decides a run beside strategy, parameters and bars."""
    parts: Sequence[Any] = (
        *setup.rules, setup.sizing, setup.costs,
        setup.cash, setup.through_ticks, setup.volume_share, setup.reading,
        *((setup.universe,) if setup.universe else ()),
        *((setup.capital,) if setup.capital else ()),
        *(("as Alpaca",) if setup.as_alpaca else ()),
        *((shape,) if (shape := shape_of(setup.strategy)) else ()),
    )  # fmt: skip
    return hashlib.sha256("|".join(map(repr, parts)).encode()).hexdigest()[:24]


def _compiled(code: CodeType) -> str:
    constants = [_compiled(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return repr((code.co_code, code.co_names, code.co_varnames, constants))
