# SPDX-License-Identifier: GPL-3.0-or-later
"""Samplers: which parameter sets a search tries next, one for each fold, by ask and tell.

"grid", "random" and "qmc" know all their sets beforehand, the same for every fold. "tpe" and
"cmaes" are Optuna's: they look at the scores before they ask for more. Each fold has its own seeded
study that is told that fold's in-sample scores and nothing else, in rounds of a fixed size, so that
a result depends neither on the number of processes nor on later bars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice, product
from typing import Any, Protocol

from iverson.errors import ConfigError
from iverson.research.search import Search
from iverson.research.search_scores import Score, Scores
from iverson.research.search_space import (
    Space,
    columns_of,
    grid,
    ordered,
    random_sets,
    size,
)

FIXED = ("grid", "random", "qmc")
GUIDED = ("tpe", "cmaes")
MOST_CORNERS = 1024

Sets = Sequence[Mapping[str, Any]]


class Sampler(Protocol):
    """What one fold tries."""

    def ask(self) -> Sets:
        """Return the sets of the next round; none when the search is over."""
        ...

    def tell(self, scores: Sequence[Score]) -> None:
        """Hear the scores of the sets asked for last, in their order."""
        ...


class Listed:
    """Sets known beforehand, asked for in one round."""

    def __init__(self, sets: Sets) -> None:
        self.sets = sets

    def ask(self) -> Sets:
        """Return all of them, once."""
        asked, self.sets = self.sets, ()
        return asked

    def tell(self, scores: Sequence[Score]) -> None:
        """Hear them; they change nothing."""


def checked(sampler: str | None, space: Space, trials: int | None) -> str:
    """Return the name of the sampler; None is "grid", or "random" when `trials` is given.

    Raises
    ------
    ConfigError
        For an unknown sampler, more trials than there are sets, a grid with `trials` or another
        sampler without, and what has to be installed first.
    """
    name = sampler or ("grid" if trials is None else "random")
    if name not in FIXED + GUIDED:
        raise ConfigError(
            f"sampler {name!r} is not known; choose one of {', '.join(FIXED + GUIDED)}"
        )
    if name == "grid" and trials is not None:
        raise ConfigError(
            f"the grid tries every combination, but trials is {trials}; leave trials out, or let "
            "the sampler be random, qmc, tpe or cmaes"
        )
    if name != "grid" and trials is None:
        raise ConfigError(f"the sampler {name} needs trials: how many sets it may try in each fold")
    if trials is not None and trials < 1:
        raise ConfigError(f"trials is {trials}; expected 1 or more")
    combinations = size(space)
    if trials is not None and combinations is not None and trials > combinations:
        raise ConfigError(
            f"trials is {trials}, but the grid has {combinations} combinations; ask for fewer, "
            "or leave trials and sampler out to try them all"
        )
    if name in GUIDED:
        from iverson.research.samplers_optuna import check_installed

        check_installed(name)
    return name


def listed_sets(name: str, space: Space, trials: int | None, seed: int) -> Sets:
    """Return the sets of a sampler that knows them beforehand; none of one that is guided."""
    if name == "grid":
        return grid(space)
    if name in GUIDED or trials is None:
        return ()
    if name == "random":
        return random_sets(space, trials, seed)
    from iverson.research.search_sobol import sobol_sets

    return sobol_sets(space, trials, seed)


def samplers(
    name: str, space: Space, trials: int | None, seed: int, *, sets: Sets, folds: int
) -> Sequence[Sampler]:
    """Make a sampler for each fold; `sets` are those of `listed_sets`."""
    if name not in GUIDED or trials is None:
        return [Listed(sets) for _ in range(folds)]
    from iverson.research.samplers_optuna import Study, seed_of

    return [Study(name, space, trials, seed_of(seed, fold)) for fold in range(folds)]


def run(each: Sequence[Sampler], searching: Search) -> list[Scores]:
    """Let every fold's sampler ask until all are done; a round searches all folds together."""
    found: list[list[Scores]] = [[] for _ in each]
    while any(asked := [sampler.ask() for sampler in each]):
        for sampler, parts, scores in zip(each, found, searching.round(asked), strict=True):
            sampler.tell(scores)
            parts.append(scores)
    return [Scores.joined(parts) for parts in found]


def corners(space: Space) -> Sets:
    """Return the sets at the ends of a space, at most 1,024, that with all the greatest first.

    The longest warm-up stands there, as long as it grows or falls with each parameter.
    """
    ends: list[Sequence[Any]] = []
    for name, values in columns_of(space).items():
        if values is None:
            ends.append((space[name].high, space[name].low))  # type: ignore[union-attr]  # a range
        elif ordered(values):
            ends.append((max(values), min(values)))
        else:
            ends.append(values)
    return [dict(zip(space, one, strict=True)) for one in islice(product(*ends), MOST_CORNERS)]
