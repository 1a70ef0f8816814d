# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames a strategy reads beside its bars, found so that their future can be changed.

Looked for are pandas frames and series with an index of dates, or mappings of them, among the
strategy's parameters, its class attributes and the globals of its module. What is read from a file
or a service while the strategy runs is not seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from iverson.research.several import written
from iverson.strategy import Strategy


@dataclass(frozen=True)
class Frames:
    """Frames by where they are: parameters by name, others by class or module and name."""

    params: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[tuple[Any, str], Any] = field(default_factory=dict)

    @classmethod
    def of(cls, strategy: type[Strategy], params: Mapping[str, Any]) -> Frames:
        """Find the frames of a strategy with its parameters."""
        classes = written(strategy)
        modules = [sys.modules[one.__module__] for one in classes if one.__module__ in sys.modules]
        given = {**dict(strategy.params._getitems()), **params}
        return cls(
            params={name: value for name, value in given.items() if _is_dated(value)},
            places={
                (owner, name): value
                for owner in (*classes, *dict.fromkeys(modules))
                for name, value in vars(owner).items()
                if _is_dated(value)
            },
        )

    def __bool__(self) -> bool:
        return bool(self.params or self.places)

    def names(self) -> list[str]:
        """Return the names by which the strategy knows them, sorted."""
        return sorted({*self.params, *(name for _, name in self.places)})

    def each(self, change: Callable[[Any], Any]) -> Frames:
        """Return the frames, each one changed."""

        def made(value: Any) -> Any:
            if isinstance(value, Mapping):
                return {key: made(one) for key, one in value.items()}
            return change(value)

        return Frames(
            {name: made(value) for name, value in self.params.items()},
            {place: made(value) for place, value in self.places.items()},
        )

    @contextmanager
    def in_place_of(self, own: Frames) -> Iterator[None]:
        """Let classes and modules have these frames instead of their own."""
        try:
            for (owner, name), value in self.places.items():
                setattr(owner, name, value)
            yield
        finally:
            for (owner, name), value in own.places.items():
                setattr(owner, name, value)


def _is_dated(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(_is_dated(one) for one in value.values())
    return isinstance(value, pd.DataFrame | pd.Series) and isinstance(value.index, pd.DatetimeIndex)
