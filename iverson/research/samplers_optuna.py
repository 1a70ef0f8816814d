# SPDX-License-Identifier: GPL-3.0-or-later
"""Optuna's samplers, steered: distinct sets in rounds of a fixed size, the same for the same seed.

Akiba, Sano, Yanase, Ohta and Koyama (2019), Optuna, KDD '19, 2623-2631,
doi:10.1145/3292500.3330701. "tpe" is the tree-structured Parzen estimator, all parameters together
(Bergstra, Bardenet, Bengio and Kégl 2011, NIPS 24), "cmaes" the evolution strategy with covariance
matrix adaptation (Hansen 2016, arXiv:1604.00772).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from iverson.errors import ConfigError
from iverson.research.search_scores import Score
from iverson.research.search_space import LogUniform, Space, columns_of, ordered, random_sets

if TYPE_CHECKING:
    import optuna

ROUND = 20  # sets a fold asks for at once: whatever `jobs` is
ATTEMPTS = 10  # proposals that were all tried before, until a random set is taken instead
MOST = 1e9  # no score that counts is told as better, or as worse than minus this

Key = tuple[Any, ...]


class Study:
    """One fold's search: the first round is drawn at random, the others are Optuna's proposals.

    A proposal that was tried before is told its known score and costs nothing, so that `trials`
    sets differ. A set that made too few trades is told as worse than any that counts, and as the
    better the more trades it made: the search is led to where trades are.

    Optuna keeps every trial while the study lives: about 3 KB each with tpe (1,000 trials of
    four parameters) and 6 KB with cmaes (2,000). What is left of it is the table of scores.
    """

    def __init__(self, name: str, space: Space, trials: int, seed: int) -> None:
        import optuna

        self.trials = trials
        self.axes = {each: _Axis(space[each], values) for each, values in columns_of(space).items()}
        self.unseen = iter(random_sets(space, trials, seed))
        self.told: dict[Key, float] = {}
        self.asked: list[tuple[optuna.Trial, Key]] = []
        self.fresh: list[Key] = []
        with _silent():
            self.study = optuna.create_study(direction="maximize", sampler=_sampler(name, seed))
        self.distributions = {name: axis.distribution() for name, axis in self.axes.items()}

    def ask(self) -> Sequence[Mapping[str, Any]]:
        """Return the sets of the next round, none tried before; none when all trials are made."""
        wanted = min(ROUND, self.trials - len(self.told))
        fresh: dict[Key, dict[str, Any]] = {}
        attempts = 0
        with _silent():
            while len(fresh) < wanted:
                if not self.told or attempts >= ATTEMPTS:
                    self._propose_at_random(fresh)
                trial = self.study.ask(self.distributions)
                key = tuple(trial.params[name] for name in self.axes)
                self.asked.append((trial, key))
                attempts += 1
                if key not in self.told and key not in fresh:
                    fresh[key] = self._set(key)
                    attempts = 0
        self.fresh = list(fresh)
        return list(fresh.values())

    def tell(self, scores: Sequence[Score]) -> None:
        """Tell the study the scores of the sets asked for last, in the order asked for."""
        self.told.update(zip(self.fresh, map(told_as, scores), strict=True))
        with _silent():
            for trial, key in self.asked:
                self.study.tell(trial, self.told[key])
        self.asked.clear()

    def _propose_at_random(self, fresh: Mapping[Key, Any]) -> None:
        for one in self.unseen:
            params = {name: axis.place(one[name]) for name, axis in self.axes.items()}
            if tuple(params.values()) not in self.told.keys() | fresh.keys():
                self.study.enqueue_trial(params)
                return

    def _set(self, key: Key) -> dict[str, Any]:
        return {
            name: axis.value(place)
            for (name, axis), place in zip(self.axes.items(), key, strict=True)
        }


class _Axis:
    """One parameter as Optuna sees it: a number of a range, or the place of a value in its list.

    Values that are numbers stand in their order; words and switches have none.
    """

    def __init__(self, choices: Any, values: Sequence[Any] | None) -> None:
        self.choices = choices
        self.numbers = values is not None and ordered(values)
        self.values = None if values is None else sorted(values) if self.numbers else list(values)

    def distribution(self) -> optuna.distributions.BaseDistribution:
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.values is None:
            low, high = float(self.choices.low), float(self.choices.high)
            return FloatDistribution(low, high, log=isinstance(self.choices, LogUniform))
        if self.numbers:
            return IntDistribution(0, len(self.values) - 1)
        return CategoricalDistribution(range(len(self.values)))

    def place(self, value: Any) -> Any:
        return value if self.values is None else self.values.index(value)

    def value(self, place: Any) -> Any:
        return place if self.values is None else self.values[place]


def told_as(score: Score) -> float:
    """Return what a study is told: finite, and for too few trades (-inf, NaN) below all others."""
    if score.score > -math.inf:
        return min(max(score.score, -MOST), MOST)
    return score.trades - 2 * MOST


def seed_of(seed: int, fold: int) -> int:
    """Return the seed of one fold's study, whatever folds come after it."""
    return int(np.random.SeedSequence((seed, fold)).generate_state(1)[0])


def check_installed(name: str) -> None:
    """Refuse without Optuna.

    Raises
    ------
    ConfigError: with what to install.
    """
    try:
        import optuna  # noqa: F401 (whether it is there)

        if name == "cmaes":
            import cmaes  # noqa: F401 (the same)
    except ImportError as error:
        raise ConfigError(
            f"the sampler {name} needs {error.name}, which is not installed; "
            "run `pip install 'iverson[optuna]'`"
        ) from error


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    from optuna.samplers import CmaEsSampler, RandomSampler, TPESampler

    if name == "tpe":
        return TPESampler(seed=seed, multivariate=True, constant_liar=True)
    independent = RandomSampler(seed=seed)  # for what has no order
    return CmaEsSampler(seed=seed, independent_sampler=independent, warn_independent_sampling=False)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep Optuna from talking, and leave its own setting as it was."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
