# SPDX-License-Identifier: GPL-3.0-or-later
"""The in-sample search by the compiled kernel: the same scores as the engine's, much sooner.

A declarative strategy under the standard management needs no bar loop of Backtrader's: its entry
lines are computed whole, and `kernel.run` does the rest. `explain` says what has to go through the
engine instead. The best set of every batch is run through the engine too, and any difference stops
the search: every number that is reported is Backtrader's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from iverson.errors import IversonError
from iverson.monitoring.metrics import OBJECTIVES, cagr, sharpe, total_return, years_between
from iverson.research.backtest import Prepared, Setup, simulate
from iverson.research.failures import refuse_faults
from iverson.research.kernel_state import CORRELATION_WANTED, DONE, Floats, new_state
from iverson.research.search import Score, Task
from iverson.research.sweep_limits import (
    Numbers,
    explain,
    numbers_of,
    setup_param,
    why_not_params,
)
from iverson.research.sweep_signals import Found, signals_of
from iverson.research.sweep_tables import Bench, Unusual
from iverson.risk.universe import UniverseRule

__all__ = [
    "SweepMismatch",
    "each_run",
    "engine_score",
    "explain",
    "kernel_runs",
    "score_of",
    "sweep",
]

# Sets that share their lines: as many as keep bars times sets, and so their signals, bounded.
MOST_ROWS, LEAST_SETS, MOST_SETS = 2_000_000, 8, 250

# What a run leaves behind: start, equity of each session, dollars of each trade, bars.
Run = tuple[float, Floats, Floats, int]


class SweepMismatch(IversonError):
    """The kernel and the engine disagree; the search must not go on."""


def sweep(task: Task, prepared: Prepared, *, verify: bool = True) -> list[Score]:
    """Score one batch as `search.evaluate` does, by the kernel where it can.

    `verify` runs the best set through the engine as well.

    Raises
    ------
    SweepMismatch: kernel and engine differ.
    ConfigError: a strategy that fails or gives faulty signals.
    """
    if explain(task.setup, prepared) is not None:
        return [engine_score(task, params, prepared) for params in task.sets]
    scores: list[Score | None] = [None] * len(task.sets)
    best: _Best | None = None
    for place, run in each_run(task, prepared):
        if run is not None:
            score = scores[place] = score_of(task, task.sets[place], run)
            found = _Best(score.score, place, run)
            best = found if best is None or found.rank > best.rank else best
    if verify and best is not None:
        _compare(task, task.sets[best.place], best.run, prepared)
    return [
        engine_score(task, task.sets[place], prepared) if score is None else score
        for place, score in enumerate(scores)
    ]


class _Best(NamedTuple):
    """The best run of a batch so far, which is kept to be run through the engine too."""

    score: float
    place: int
    run: Run

    @property
    def rank(self) -> tuple[float, int]:
        """What the best has most of: NaN does not count, and of equals the first is better."""
        return (-math.inf if math.isnan(self.score) else self.score), -self.place


def score_of(task: Task, params: Mapping[str, Any], run: Run) -> Score:
    """Score what a run left behind: equity by session, dollars by trade."""
    start, marks, pnl, bars = run
    equity = np.concatenate(([start], marks))
    years = years_between(task.first, task.last)
    return Score(
        params=params,
        score=OBJECTIVES[task.objective](equity, pnl, years, task.minimum_trades),
        trades=len(pnl),
        total_return=total_return(equity),
        cagr=cagr(equity, years),
        sharpe=sharpe(equity[1:] / equity[:-1] - 1.0),
        bars=bars,
    )


def engine_score(task: Task, params: Mapping[str, Any], prepared: Prepared) -> Score:
    """Score one set by running every bar through Backtrader."""
    return score_of(task, params, simulated(task, params, prepared))


def simulated(task: Task, params: Mapping[str, Any], prepared: Prepared) -> Run:
    """Run one set through Backtrader: what the kernel has to give."""
    setup = task.setup.with_params(params)
    outcome = simulate(setup, prepared, first=task.first, last=task.last, full=False)
    refuse_faults(outcome.record, setup.strategy, setup.params)
    return outcome.start, outcome.equity, outcome.pnl, outcome.bars


def _compare(task: Task, params: Mapping[str, Any], run: Any, prepared: Prepared) -> None:
    """Raise for the first number in which kernel and engine differ."""
    expected = simulated(task, params, prepared)
    about = f"{task.setup.strategy.__name__} with {dict(params)}, {task.first} to {task.last}"
    for name, ours, theirs in zip(
        ("start", "equity of session", "pnl of trade", "bars"), run, expected, strict=True
    ):
        found, wanted = np.atleast_1d(np.asarray(ours)), np.atleast_1d(np.asarray(theirs))
        if len(found) != len(wanted):
            raise SweepMismatch(
                f"{about}: the kernel has {len(found)} numbers of {name}, the engine "
                f"{len(wanted)}; please report this, and search without numba meanwhile"
            )
        differs = np.flatnonzero(found != wanted)
        if len(differs):
            at = int(differs[0])
            raise SweepMismatch(
                f"{about}: {name} {at} is {found[at]!r} by the kernel, {wanted[at]!r} by the "
                "engine; please report this, and search without numba meanwhile"
            )


# -- one run ---------------------------------------------------------------------------------------


def each_run(task: Task, prepared: Prepared) -> Iterator[tuple[int, Run | None]]:
    """Run every set by the kernel, a part of the batch at a time; None: this one is for the engine.

    What stays in memory are the lines and signals of one part, whatever the batch.
    """
    bars = sum(len(feed.numbers) for feed in prepared.feeds.values())
    size = min(max(MOST_ROWS // max(bars, 1), LEAST_SETS), MOST_SETS)
    for start in range(0, len(task.sets), size):
        part = replace(task, sets=task.sets[start : start + size])
        yield from zip(count(start), kernel_runs(part, prepared), strict=False)


def kernel_runs(task: Task, prepared: Prepared) -> list[Run | None]:
    """Run every set by the kernel, all together; None: this one is for the engine."""
    setups = [task.setup.with_params(params) for params in task.sets]
    ours = [place for place, setup in enumerate(setups) if why_not_params(setup) is None]
    bench = _bench(prepared)
    filters = tuple(rule for rule in task.setup.all_rules if isinstance(rule, UniverseRule))
    numbers = cache(lambda max_sessions: numbers_of(task.setup, max_sessions))
    runs: list[Run | None] = [None] * len(setups)
    for one in signals_of([setups[n] for n in ours], bench, task.first, task.last):
        setup = setups[place := ours[one.place]]
        own = numbers(setup_param(setup, "max_sessions"))
        runs[place] = _run(setup, one, bench, own, filters)
    return runs


def _run(
    setup: Setup, found: Found, bench: Bench, numbers: Numbers, filters: tuple[UniverseRule, ...]
) -> Run | None:  # fmt: skip
    from iverson.research.kernel_code import compiled

    signals, stretch = found.signals, found.stretch
    if signals is None or stretch is None:
        return None
    if filters and len(signals):  # denied whatever the account looks like, so left out
        admitted = stretch.admits(filters, bench.prepared.history)
        signals = signals.compress(admitted[signals["step"], signals["symbol"]])
    try:
        market = bench.market(setup.sizing.volume_sessions)
    except Unusual:
        return None
    wait = setup_param(setup, "entry_sessions")
    span = stretch.span(hours=numbers.hours, entry_sessions=wait)
    pairs = stretch.correlated(bench, numbers.lookback, numbers.shared)
    state = new_state(len(stretch.symbols), len(span.steps), len(signals), setup.cash)
    while True:
        how, one, other = compiled()(
            market, span, numbers.terms, numbers.rules, signals, state, pairs.table, pairs.numbers
        )
        if how != CORRELATION_WANTED:
            break
        pairs.add(one, other)
    if how != DONE:
        return None
    trades = int(state.account["trades"][0])
    return setup.cash + 0, state.equity, state.pnl[:trades], stretch.bars


_BENCH: list[Bench] = []


def _bench(prepared: Prepared) -> Bench:
    if not _BENCH or _BENCH[0].prepared is not prepared:
        _BENCH[:] = [Bench(prepared)]
    return _BENCH[0]
