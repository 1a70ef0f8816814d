# SPDX-License-Identifier: GPL-3.0-or-later
"""Would other parameters have been better, by more than luck? The trial ledger's answer.

A suggestion is a sentence for a person and is never applied. It comes only from parameter sets that
a walk-forward tried, over the same bars, sessions, code and conditions as the current ones, and
only when Hansen's test, which takes the search into account, rejects at 5 % that none of them is
better. Following it and looking again is another trial.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iverson.errors import IversonError
from iverson.monitoring.intervals import Floats
from iverson.monitoring.journal import Journal
from iverson.monitoring.metrics import max_drawdown, sharpe
from iverson.monitoring.record import FoldRow, RunRow, TrialRow
from iverson.reports.journaled import Journaled
from iverson.research.bootstrap import equity_of
from iverson.research.ledger import Ledger, Trials, comparable, matrix
from iverson.research.overfitting import SuperiorAbility, superior_ability
from iverson.research.report_parts import number, percent, plural

SIGNIFICANT = 0.05
NO_LEDGER = "No suggestion: there is no trial ledger; walk-forwards write one beside the bars."


@dataclass(frozen=True)
class Suggestion:
    """What the ledger says. `better` is None when nothing is suggested; `why` says it in words.

    `compared` counts the parameter sets that stood side by side with the current ones, `ideas` all
    that were ever tried for the strategy (at least, when not `sound`). `test` asks whether any of
    those compared is better than the current set: `test.consistent` is the p-value. `changes` has
    the parameters that differ, from and to.
    """

    why: str
    current: TrialRow | None = None
    better: TrialRow | None = None
    changes: Mapping[str, tuple[Any, Any]] | None = None
    compared: int = 0
    ideas: int = 0
    sound: bool = True
    test: SuperiorAbility | None = None

    def sentences(self) -> tuple[str, ...]:
        """Say it, with the number of trials and the verdict on luck."""
        if self.test is None:
            return (self.why,)
        least = "" if self.sound else "at least "
        assert self.current is not None
        return (
            self.why,
            (
                f"{plural(self.compared, 'parameter set')} compared with the current one over "
                f"{self.current.first} to {self.current.last}; {least}{self.ideas:,} ever tried "
                "for this strategy. Chance that the best of so many is this far ahead by luck "
                f"alone: p = {number(self.test.consistent, 3)}."
            ),
        )


def suggest(
    told: Journaled, ledger: Path | str | None, *, seed: int = 0, resamples: int = 1000
) -> Suggestion:
    """Compare the current parameters of a run with every set that the ledger remembers.

    The current parameters are those of the run, of a walk-forward those of its last fold.

    Notes
    -----
    Hansen (2005), doi:10.1198/073500105000000063, as in `superior_ability`, with the current set as
    the benchmark. All comparable sets count as tried, those of other code or conditions too; but
    suggested is only a walk-forward's set under the code and conditions of the current one (trials
    of one walk-forward share their instant; a backtest's stands alone). When the set furthest ahead
    is none of those, nothing is suggested.
    """
    if ledger is None or not Path(ledger).exists():
        return Suggestion(NO_LEDGER)
    try:
        current = _current(told, Path(ledger))
        if current is None:
            return Suggestion(
                "No suggestion: the current parameters are not in the trial ledger; a walk-forward "
                "that tries them too would let them be compared."
            )
        known = Ledger(ledger).of(current)
        return _judged(current, known, seed=seed, resamples=resamples)
    except (IversonError, OSError) as error:
        return Suggestion(f"No suggestion: the trial ledger cannot be used: {error}")


def _judged(current: TrialRow, known: Trials, *, seed: int, resamples: int) -> Suggestion:
    rows = comparable(known.rows)
    returns = matrix(rows)
    own = matrix([current])[:, 0]
    if not rows or returns.shape[0] != own.size:
        return Suggestion(
            "No suggestion: no other parameter set was tried over the sessions of the current one."
        )
    others = [place for place, row in enumerate(rows) if not _same(row, current)]
    if not others:
        return Suggestion("No suggestion: no other parameter set was tried on these bars.")
    rows, returns = [rows[place] for place in others], returns[:, others]
    test = superior_ability(returns, own, seed=seed, resamples=resamples)
    facts: dict[str, Any] = {
        "current": current,
        "compared": len(rows),
        "ideas": max(known.count, len(rows) + 1),
        "sound": known.sound,
        "test": test,
    }
    best = rows[test.best]
    if not test.consistent <= SIGNIFICANT:
        return Suggestion(
            "No suggestion: nothing beats the current parameters by more than luck.", **facts
        )
    if not _walked([*rows, current], best) or _conditions(best) != _conditions(current):
        return Suggestion(
            "No suggestion: the set that is ahead by more than luck ran under other code or "
            "conditions, or was not part of a walk-forward.",
            **facts,
        )
    if not sharpe(returns[:, test.best]) > sharpe(own):
        return Suggestion(
            "No suggestion: what earned more than the current parameters did so by more risk; its "
            "Sharpe ratio is no higher.",
            **facts,
        )
    changes = {
        name: (current.parameters.get(name), best.parameters.get(name))
        for name in sorted({*current.parameters, *best.parameters})
        if current.parameters.get(name) != best.parameters.get(name)
    }
    return Suggestion(
        _words(changes, own, returns[:, test.best]), better=best, changes=changes, **facts
    )


def _words(changes: Mapping[str, tuple[Any, Any]], own: Floats, better: Floats) -> str:
    changed = ", ".join(f"{name} {old} → {new}" for name, (old, new) in changes.items())
    return (
        f"Suggestion, not applied: {changed}. Sharpe ratio {number(sharpe(better))} instead of "
        f"{number(sharpe(own))}, maximum drawdown {percent(max_drawdown(equity_of(better)), 1)} "
        f"instead of {percent(max_drawdown(equity_of(own)), 1)}, over the whole range, in sample. "
        "Walk it forward before you believe it."
    )


def _current(told: Journaled, ledger: Path) -> TrialRow | None:
    """Return the trial with the run's parameters: the last that has others beside it, or the last.

    None when there is none with returns.
    """
    parameters = _parameters(told)
    beside: Counter[tuple[Any, ...]] = Counter()
    found: dict[tuple[Any, ...], TrialRow] = {}
    for row in _of_strategy(told.run, ledger):
        if not row.returns:
            continue
        span = (row.data, row.first, row.last)
        beside[span] += 1
        if _has(row, parameters):
            found.pop(span, None)
            found[span] = row
    accompanied = [row for span, row in found.items() if beside[span] > 1]
    return next(reversed(accompanied or list(found.values())), None)


def _of_strategy(run: RunRow, ledger: Path) -> Iterator[TrialRow]:
    """Read the trials of a run's strategy; by its class when the run does not name the module."""
    with Journal(ledger, read_only=True) as journal:
        exact = _named(journal, f"{run.system}:{run.strategy}")
        first = next(exact, None)
        if first is not None:
            yield first
            yield from exact
            return
        names = {row.strategy for row in _named(journal, None)}
        alike = [name for name in names if name.rpartition(":")[2] == run.strategy]
        if len(alike) == 1:  # of two classes with one name nobody knows which it is
            yield from _named(journal, alike[0])


def _named(journal: Journal, name: str | None) -> Iterator[TrialRow]:
    for _, value in journal.each("trial", symbol=name):
        if isinstance(value, TrialRow):
            yield value


def _parameters(told: Journaled) -> dict[str, Any]:
    """Return the run's settings, those that the last fold chose on top."""
    chosen = [fold.parameters for fold in told.of(FoldRow) if fold.parameters]
    return {**told.run.parameters, **(chosen[-1] if chosen else {})}


def _has(row: TrialRow, parameters: Mapping[str, Any]) -> bool:
    return all(
        name in parameters and _plain(parameters[name]) == _plain(value)
        for name, value in row.parameters.items()
    )


def _plain(value: Any) -> Any:
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _same(row: TrialRow, other: TrialRow) -> bool:
    return _conditions(row) == _conditions(other) and dict(row.parameters) == dict(other.parameters)


def _conditions(row: TrialRow) -> tuple[str, str]:
    return row.source, row.conditions


def _walked(rows: list[TrialRow], one: TrialRow) -> bool:
    """Whether a trial is a walk-forward's: its sets run together and share their instant."""
    return sum(row.at == one.at for row in rows) > 1
