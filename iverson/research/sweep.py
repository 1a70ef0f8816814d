# SPDX-License-Identifier: GPL-3.0-or-later
"""The in-sample search by the compiled kernel: the same scores as the engine's, much sooner.

A declarative strategy under the standard management needs no bar loop of Backtrader's: its entry
lines are computed whole, and `kernel.run` does the rest. `explain` says what has to go through the
engine instead. The best set of every batch is run through the engine too, and any difference stops
the search: every number that is reported is Backtrader's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iverson.errors import IversonError
from iverson.monitoring.metrics import OBJECTIVES, cagr, sharpe, total_return, years_between
from iverson.research import backtest
from iverson.research.backtest import Prepared, Setup, simulate, warm_up_bars
from iverson.research.failures import refuse_faults
from iverson.research.kernel_state import CORRELATION_WANTED, DONE, Floats, Signals, new_state
from iverson.research.search import Score, Task, best
from iverson.research.sweep_limits import (
    explain,
    setup_param,
    terms_of,
    why_not_instance,
    why_not_params,
)
from iverson.research.sweep_lines import EntryColumns, Unreadable, columns
from iverson.research.sweep_tables import Bench, Stretch, Unusual, pair_table

__all__ = ["SweepMismatch", "engine_score", "explain", "score_of", "sweep"]


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
    runs = _runs(task, prepared)
    scores = [
        engine_score(task, params, prepared) if run is None else score_of(task, params, run)
        for params, run in zip(task.sets, runs, strict=True)
    ]
    if verify:
        winner = best(scores)
        place = scores.index(winner) if winner is not None else 0
        if runs[place] is not None:
            _compare(task, task.sets[place], runs[place], prepared)
    return scores


def score_of(task: Task, params: Mapping[str, Any], run: _Run) -> Score:
    """Score what a run left behind: equity by session, dollars by trade."""
    start, marks, pnl, bars = run
    equity = np.r_[start, marks]
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


_Run = tuple[float, Floats, Floats, int]


def engine_score(task: Task, params: Mapping[str, Any], prepared: Prepared) -> Score:
    """Score one set by running every bar through Backtrader."""
    return score_of(task, params, _simulated(task, params, prepared))


def _simulated(task: Task, params: Mapping[str, Any], prepared: Prepared) -> _Run:
    setup = task.setup.with_params(params)
    outcome = simulate(setup, prepared, first=task.first, last=task.last, full=False)
    refuse_faults(outcome.record, setup.strategy, setup.params)
    return outcome.start, outcome.equity, outcome.pnl, outcome.bars


def _compare(task: Task, params: Mapping[str, Any], run: Any, prepared: Prepared) -> None:
    """Raise for the first number in which kernel and engine differ."""
    expected = _simulated(task, params, prepared)
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


def _runs(task: Task, prepared: Prepared) -> list[_Run | None]:
    """Run every set, those that read the same windows of bars one after another."""
    setups = [task.setup.with_params(params) for params in task.sets]
    symbols = tuple(prepared.feeds)
    order = sorted(range(len(setups)), key=lambda n: _warm_up(setups[n], symbols))
    found: list[_Run | None] = [None] * len(setups)
    for place in order:
        found[place] = _kernel(setups[place], task, prepared)
    return found


def _warm_up(setup: Setup, symbols: tuple[str, ...]) -> int:
    try:
        return warm_up_bars(setup.strategy, setup.params, symbols)
    except Exception:  # noqa: BLE001 (the engine meets it too, and has the words for it)
        return 0


def _kernel(setup: Setup, task: Task, prepared: Prepared) -> _Run | None:
    """Run one set by the kernel; None: this one is for the engine."""
    if why_not_params(setup) is not None:
        return None
    bench = _bench(prepared)
    try:
        made = _constructed(setup, task, prepared, bench)
        if made is None:
            return None
        strategy, windows = made
        stretch = bench.stretch(task.first, task.last, windows)
        found = signals_of(columns(strategy), stretch, bench, int(strategy.warm_up))
        return None if found is None else _run(setup, found, stretch, bench)
    except (Unreadable, Unusual):
        return None


def _constructed(
    setup: Setup, task: Task, prepared: Prepared, bench: Bench
) -> tuple[Any, dict[str, slice]] | None:
    """Return the strategy with its lines computed; None when it fails, or changes its own ways."""
    try:
        warm_up = warm_up_bars(setup.strategy, setup.params, bench.symbols)
        windows = backtest._windows(prepared, task.first, task.last, warm_up)  # noqa: SLF001
        strategy = bench.sheets.computed(setup, windows)
    except Exception:  # noqa: BLE001 (the engine meets it too, and has the words for it)
        return None
    return None if why_not_instance(strategy) is not None else (strategy, windows)


def _run(setup: Setup, signals: Signals, stretch: Stretch, bench: Bench) -> _Run | None:
    from iverson.research.kernel_code import compiled

    terms, correlated, hours = terms_of(setup)
    market = bench.market(setup.sizing.volume_sessions)
    span = stretch.span(hours=hours, entry_sessions=setup_param(setup, "entry_sessions"))
    count = len(stretch.symbols)
    pairs = stretch.pairs.setdefault(
        correlated, (np.full((count, count), -1, dtype=np.int64), np.zeros((0, len(span.number))))
    )
    run = compiled()
    while True:
        state = new_state(count, len(span.number), len(signals.step), terms.cash)
        how, one, other = run(market, span, terms, signals, state, pairs[1], pairs[0])
        if how != CORRELATION_WANTED:
            break
        pairs[0][one, other] = pairs[0][other, one] = len(pairs[1])
        pairs = stretch.pairs[correlated] = (
            pairs[0], pair_table(bench, stretch, pairs[0], correlated)
        )  # fmt: skip
    if how != DONE:
        return None
    return setup.cash + 0, state.equity, state.pnl[: state.counts[2]], stretch.bars


def signals_of(entries: Any, stretch: Stretch, bench: Bench, warm_up: int) -> Signals | None:
    """Return the signals that reach the gate, in its order; None when one of them is faulty."""
    from iverson.research.kernel_code import compiled_grid

    parts = [_of_entry(entry, stretch, bench, warm_up) for entry in entries]
    if not parts:
        parts = [_nothing()]
    step, symbol, direction, confidence, limit, stop, target = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    whole = np.isin(confidence, (1.0, 2.0, 3.0, 4.0, 5.0)).all()
    if not whole or not compiled_grid()(direction, limit, stop, target):
        return None
    target[target < 0] = math.nan
    # stable: the symbols in their order, and the entries of one in theirs, decide between equals
    order = np.lexsort((-confidence, step))
    return Signals(
        step[order], symbol[order], direction[order], confidence[order].astype(np.int64),
        limit[order], stop[order], target[order],
    )  # fmt: skip


def _nothing() -> tuple[NDArray[Any], ...]:
    return (*(np.zeros(0, dtype=np.int64) for _ in range(3)), *(np.zeros(0) for _ in range(4)))


def _of_entry(
    entry: EntryColumns, stretch: Stretch, bench: Bench, warm_up: int
) -> tuple[NDArray[Any], ...]:
    steps = stretch.steps[entry.symbol]
    ready = steps >= 0
    ready[: max(0, warm_up)] = False
    ready &= stretch.open_for_entries[steps]
    ready &= (entry.confidence != 0.0) & ~np.isnan(entry.confidence)
    at = np.flatnonzero(ready)
    factor = bench.columns["factor"][stretch.starts[entry.symbol] + at]
    target = np.full(len(at), -1.0)  # none
    if entry.target is not None:
        target = entry.target[at] / factor
        target[~(target > 0.0)] = 0.0  # a fault, whatever it is
    return (
        steps[at],
        np.full(len(at), entry.symbol, dtype=np.int64),
        np.full(len(at), entry.direction, dtype=np.int64),
        entry.confidence[at],
        entry.limit[at] / factor,
        entry.stop[at] / factor,
        target,
    )


_BENCH: list[Bench] = []


def _bench(prepared: Prepared) -> Bench:
    if not _BENCH or _BENCH[0].prepared is not prepared:
        _BENCH[:] = [Bench(prepared)]
    return _BENCH[0]
