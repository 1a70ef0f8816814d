# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameter sets that fill a space more evenly than random draws do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from iverson.errors import ConfigError
from iverson.research.search_sets import ParameterSet
from iverson.research.search_space import LogUniform, Space, columns_of, random_sets

MORE = 8  # points looked at for each set wanted, before random draws make up what is missing


def sobol_sets(space: Space, n: int, seed: int) -> Sequence[ParameterSet]:
    """Give `n` different sets at the points of a scrambled Sobol sequence, in its order.

    A list is cut into equal parts, one for each value in the order given. A point that falls on a
    set that is there already is passed over. Owen (1998), ACM Transactions on Modeling and Computer
    Simulation 8, 71-102, doi:10.1145/272991.273010.

    Raises
    ------
    ConfigError
        As `random_sets`, and without scipy.
    """
    try:
        from scipy.stats import qmc
    except ImportError as error:
        raise ConfigError(
            "the sampler qmc needs scipy, which is not installed; "
            "run `pip install 'iverson[research]'`"
        ) from error
    drawn = random_sets(space, n, seed)
    columns = columns_of(space)
    sequence = qmc.Sobol(max(1, len(columns)), scramble=True, seed=seed)
    found: dict[tuple[Any, ...], ParameterSet] = {}
    for power in range(math.ceil(math.log2(MORE * n)) + 1):
        # Doubling keeps the number of points a power of 2, for which the sequence is balanced.
        for point in sequence.random(1) if power == 0 else sequence.random(2 ** (power - 1)):
            _add(found, {
                name: _at(float(place), space[name], values)
                for place, (name, values) in zip(point, columns.items(), strict=False)
            })  # fmt: skip
            if len(found) == n:
                return list(found.values())
    for one in drawn:
        _add(found, one)
    return list(found.values())[:n]


def _add(found: dict[tuple[Any, ...], ParameterSet], one: ParameterSet) -> None:
    found.setdefault(tuple(one.values()), one)


def _at(place: float, choices: Any, values: Sequence[Any] | None) -> Any:
    """The value at a place from 0 (included) to 1 (not)."""
    if values is not None:
        return values[int(place * len(values))]
    low, high = float(choices.low), float(choices.high)
    if isinstance(choices, LogUniform):
        return min(max(low * (high / low) ** place, low), high)
    return low + (high - low) * place
