# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters a search tries: a grid of them, or random draws.

A space maps each parameter's name to its choices (a list) or to a range (`Uniform`, `LogUniform`,
`Integers`). Pure: the same space and seed give the same sets in the same order. Every set handed
out is a trial, and the number of trials belongs beside the result.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

import numpy as np

from iverson.errors import ConfigError, UnknownParameter
from iverson.research.search_sets import Drawn, ParameterSet, Sets

Where = Callable[[ParameterSet], bool]

# Up to here a finite space is shuffled as a whole; above, sets are drawn and repeats dropped.
SHUFFLED_WHOLE = 100_000
ATTEMPTS_PER_SET = 1_000
MOST_VALUES = 100_000


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any number from `low` to `high`, all equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self, self.low, self.high)

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one number."""
        return float(generator.uniform(self.low, self.high))


@dataclass(frozen=True, slots=True)
class LogUniform:
    """Any number from `low` > 0 to `high`, all orders of magnitude equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_bounds(self, self.low, self.high)
        if self.low <= 0:
            raise ConfigError(f"{self} starts at {self.low}; a logarithmic range starts above 0")

    def draw(self, generator: np.random.Generator) -> float:
        """Draw one number."""
        drawn = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        return min(max(drawn, float(self.low)), float(self.high))


@dataclass(frozen=True, slots=True)
class Integers:
    """The whole numbers from `low` to `high`, both included, every `step`."""

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        _check_bounds(self, self.low, self.high)
        if self.step < 1:
            raise ConfigError(f"{self} has step {self.step}; expected 1 or more")

    @property
    def values(self) -> range:
        """The numbers, as a sequence."""
        return range(self.low, self.high + 1, self.step)


Choices = Sequence[Any] | Uniform | LogUniform | Integers
Space = Mapping[str, Choices]


def grid(space: Space, *, where: Where | None = None) -> Sequence[ParameterSet]:
    """Give every combination, the last parameter varying fastest; each is made when looked at.

    `where` keeps the sets for which it is true, such as fast < slow. An empty space has one set,
    the empty one.

    Raises
    ------
    ConfigError
        For a `Uniform` or `LogUniform` range, which has no end of values, and for an empty list.
    """
    columns = columns_of(space)
    endless = [name for name, values in columns.items() if values is None]
    if endless:
        raise ConfigError(
            f"{endless[0]} is the range {space[endless[0]]} and has no grid; "
            f"list its values or search at random"
        )
    finite = _finite(columns)
    every = Sets(finite, range(math.prod(len(values) for values in finite.values())))
    return every if where is None else _where(every, where, len(every))


def random_sets(
    space: Space, n: int, seed: int, *, where: Where | None = None
) -> Sequence[ParameterSet]:
    """Draw `n` different sets at random, in the order drawn; all of them when there are fewer.

    A finite space is drawn from without replacement, each set equally likely. The first k of n
    sets are the sets that asking for k would have given. Bergstra and Bengio (2012), JMLR 13,
    281-305: with few parameters that matter, random draws find them sooner than a grid.

    Raises
    ------
    ConfigError
        For n below 1, an empty list, and a `where` that refuses nearly everything.
    """
    if n < 1:
        raise ConfigError(f"{n} random parameter sets were asked for; expected 1 or more")
    generator = np.random.default_rng(seed)
    columns = columns_of(space)
    total = size(space)
    if total is not None and total <= SHUFFLED_WHOLE:
        order = generator.permutation(total)
        if where is None:
            return Sets(_finite(columns), order[:n].copy())
        return _where(Sets(_finite(columns), order), where, n)
    wanted = n if total is None else min(n, total)
    return _draw_different(space, columns, wanted, generator, where)


def size(space: Space) -> int | None:
    """Count the combinations of a space; None when a range makes them endless."""
    columns = columns_of(space)
    if any(values is None for values in columns.values()):
        return None
    return math.prod(len(values) for values in _finite(columns).values())


def ordered(values: Sequence[Any]) -> bool:
    """Whether values have an order: whether all are numbers, and no switches."""
    return all(_kind(value) == "a number" for value in values)


def check_space(space: Space, known_params: Mapping[str, Any], *, owner: str) -> None:
    """Refuse a space that does not fit the parameters of `owner` (name to default).

    Raises
    ------
    UnknownParameter
        For a name that is no parameter, with a "did you mean".
    ConfigError
        For no values, a value listed twice, and a value unlike the default: a switch (bool), words
        (str) and numbers do not mix, nor does a `Uniform` range with a whole-number default. A
        parameter whose default is None takes anything.
    """
    for name, values in columns_of(space).items():
        if name not in known_params:
            raise UnknownParameter.named(name, known_params, owner=owner)
        default = known_params[name]
        chosen = space[name]
        if values is None:
            if default is not None and not isinstance(default, float):
                raise ConfigError(
                    f"{owner}: {name} is {default!r} by default and cannot be drawn from {chosen}; "
                    f"list its values or give Integers"
                )
            continue
        for position, value in enumerate(values):
            if value in values[:position] and not isinstance(values, range):
                raise ConfigError(f"{owner}: {name} lists {value!r} twice; expected each once")
            if default is not None and _kind(value) != _kind(default):
                raise ConfigError(
                    f"{owner}: {name}={value!r} is {_kind(value)}; "
                    f"expected {_kind(default)} like its default {default!r}"
                )
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{owner}: {name}={value!r}; expected a finite number")


def parse_space(*spellings: str) -> dict[str, list[Any]]:
    """Read the command line's `period=7,14,21` and `period=5:30:5` (from, to, every; inclusive).

    Several parameters are several arguments, or one with blanks in between. Numbers become int or
    float, `true` and `false` bool, all else stays str. A range counts in decimals, so 0.1:0.5:0.1
    ends with 0.5; it may stand among values (`5:15:5,30`); without a step whole numbers go by 1.

    Raises
    ------
    ConfigError
        For a spelling that is neither, a range that is empty or endless, and a name given twice.
    """
    space: dict[str, list[Any]] = {}
    for spelling in (part for text in spellings for part in text.split()):
        name, equals, listed = spelling.partition("=")
        if not equals or not name.isidentifier():
            raise ConfigError(
                f"{spelling!r} is no parameter to search; expected period=7,14,21 or period=5:30:5"
            )
        if name in space:
            raise ConfigError(f"{name} is given twice; list all its values at once")
        space[name] = [value for part in listed.split(",") for value in _values(part, spelling)]
    return space


def _values(part: str, spelling: str) -> list[Any]:
    if not part:
        raise ConfigError(f"{spelling!r} has an empty value; expected period=7,14,21")
    if ":" not in part:
        return [_value(part)]
    try:
        first, last, *rest = (Decimal(bound) for bound in part.split(":"))
    except (InvalidOperation, ValueError) as error:
        raise _no_range(part, spelling) from error
    numbers = [first, last, *rest]
    if len(rest) > 1 or not all(number.is_finite() for number in numbers):
        raise _no_range(part, spelling)
    whole = all(number == number.to_integral_value() for number in numbers) and "." not in part
    if not rest and not whole:
        raise _no_range(part, spelling)
    step = rest[0] if rest else Decimal(1)
    if step <= 0 or last < first or (last - first) / step >= MOST_VALUES:
        raise _no_range(part, spelling)
    steps = range(int((last - first) / step) + 1)
    return [int(first + step * i) if whole else float(first + step * i) for i in steps]


def _no_range(part: str, spelling: str) -> ConfigError:
    return ConfigError(
        f"{part!r} in {spelling!r} is no range; expected from:to:step with from <= to and "
        f"step > 0, such as 5:30:5 or 0.1:0.5:0.1"
    )


def _value(text: str) -> bool | int | float | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for read in (int, float):
        try:
            number = read(text)
        except ValueError:
            continue
        # "nan" and "inf" read as floats, but here they are words.
        return number if math.isfinite(number) else text
    return text


def columns_of(space: Space) -> dict[str, Sequence[Any] | None]:
    """Return the values of each parameter; None for a range without end.

    Raises
    ------
    ConfigError
        For no values, and for something else than a list of them.
    """
    columns: dict[str, Sequence[Any] | None] = {}
    for name, choices in space.items():
        if isinstance(choices, Uniform | LogUniform):
            columns[name] = None
            continue
        values = choices.values if isinstance(choices, Integers) else choices
        if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray):
            raise ConfigError(f"{name}={choices!r} is no list; expected one such as [{choices!r}]")
        if len(values) == 0:
            raise ConfigError(f"{name} has no values to try; expected at least one")
        columns[name] = values.tolist() if isinstance(values, np.ndarray) else _plain(values)
    return columns


def _plain(values: Sequence[Any]) -> Sequence[Any]:
    """Turn numpy's numbers, which Backtrader's lines take for arrays, into Python's."""
    if isinstance(values, range) or not any(isinstance(one, np.generic) for one in values):
        return values
    return [one.item() if isinstance(one, np.generic) else one for one in values]


def _finite(columns: Mapping[str, Sequence[Any] | None]) -> dict[str, Sequence[Any]]:
    return {name: values for name, values in columns.items() if values is not None}


def _where(sets: Sets, where: Where, most: int) -> Sets:
    """The first `most` of the sets for which `where` is true."""
    kept = islice((at for at, one in enumerate(sets) if where(one)), most)
    return Sets(sets.columns, np.asarray(sets.numbers, np.int64)[np.fromiter(kept, np.int64)])


def _draw_different(
    space: Space,
    columns: Mapping[str, Sequence[Any] | None],
    wanted: int,
    generator: np.random.Generator,
    where: Where | None,
) -> Drawn:
    found: list[array[float]] = []
    seen: set[tuple[Any, ...]] = set()
    for _ in range(ATTEMPTS_PER_SET * wanted):
        key = tuple(_draw(space[name], values, generator) for name, values in columns.items())
        if key in seen:
            continue
        seen.add(key)
        one = Drawn(columns, np.array([key], dtype=np.float64))
        if where is None or where(one[0]):
            found.append(array("d", key))
        if len(found) == wanted:
            return Drawn(columns, np.array(found))
    raise ConfigError(
        f"only {len(found)} of {wanted} parameter sets found in {ATTEMPTS_PER_SET * wanted} draws; "
        f"loosen the condition or ask for fewer"
    )


def _draw(choices: Choices, values: Sequence[Any] | None, generator: np.random.Generator) -> Any:
    """A number from a range, or the position of a choice."""
    if isinstance(choices, Uniform | LogUniform):
        return choices.draw(generator)
    return int(generator.integers(len(values or ())))


def _kind(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "a switch"
    if isinstance(value, int | float | np.number):
        return "a number"
    return "words" if isinstance(value, str) else f"a {type(value).__name__}"


def _check_bounds(given: object, low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ConfigError(f"{given} is no range; expected finite bounds, low <= high")
