# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameter sets that are made when they are asked for: a search of a million holds no million."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

ParameterSet = dict[str, Any]


class _Made(Sequence[ParameterSet]):
    """Sets that are equal when they say the same, however they are kept."""

    __slots__ = ()
    columns: Mapping[str, Any]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment] # its sets have none either

    def __repr__(self) -> str:
        return f"<{len(self)} sets of {', '.join(self.columns) or 'no parameters'}>"


class Sets(_Made):
    """Combinations of finite columns of values, known by their numbers in grid order.

    The last parameter varies fastest. Memory: nothing for a whole grid, 8 bytes a set otherwise. A
    slice shares the columns; each set is a new dict every time.
    """

    __slots__ = ("columns", "numbers")

    def __init__(
        self, columns: Mapping[str, Sequence[Any]], numbers: range | NDArray[np.int64]
    ) -> None:
        self.columns = columns
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, at: int) -> ParameterSet: ...
    @overload
    def __getitem__(self, at: slice) -> Sets: ...
    def __getitem__(self, at: int | slice) -> ParameterSet | Sets:
        if isinstance(at, slice):
            return Sets(self.columns, self.numbers[at])
        number = int(self.numbers[at])
        chosen = []
        for values in reversed(list(self.columns.values())):
            number, position = divmod(number, len(values))
            chosen.append(values[position])
        return dict(zip(self.columns, reversed(chosen), strict=True))


class Drawn(_Made):
    """Sets that were drawn one by one: 8 bytes a parameter and set.

    `columns` has the values of each parameter, None for a range without end; `table` (n,
    parameters) the number drawn of such a range, else the position among the values. A slice shares
    both; each set is a new dict every time.
    """

    __slots__ = ("columns", "table")

    def __init__(
        self, columns: Mapping[str, Sequence[Any] | None], table: NDArray[np.float64]
    ) -> None:
        self.columns = columns
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, at: int) -> ParameterSet: ...
    @overload
    def __getitem__(self, at: slice) -> Drawn: ...
    def __getitem__(self, at: int | slice) -> ParameterSet | Drawn:
        if isinstance(at, slice):
            return Drawn(self.columns, self.table[at])
        return {
            name: number if values is None else values[int(number)]
            for (name, values), number in zip(
                self.columns.items(), self.table[at].tolist(), strict=True
            )
        }
