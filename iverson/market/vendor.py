# SPDX-License-Identifier: GPL-3.0-or-later
"""A vendor of bars: what fetching needs of one, whoever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

import pandas as pd

from iverson.errors import DataError

Tell = Callable[[int], None]


class NotServed(DataError):
    """The vendor refuses a request; another one may be served.

    `divisible` says that one symbol of several may be at fault, so that the others are worth
    asking for again.
    """

    def __init__(self, message: str, *, divisible: bool) -> None:
        super().__init__(message)
        self.divisible = divisible


@dataclass(frozen=True)
class Answer:
    """Bars by symbol, as the store takes them; symbols without bars are absent.

    `outside` counts the bars left out because they lie outside the regular hours, `unreadable`
    says by symbol why its bars could not be read.
    """

    frames: Mapping[str, pd.DataFrame]
    outside: Mapping[str, int] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listed:
    """The actions table of some symbols, and by symbol what it cannot express: when, in words."""

    actions: pd.DataFrame
    notes: Mapping[str, Sequence[tuple[date, str]]] = field(default_factory=dict)


class Vendor(Protocol):
    """Sells raw bars and corporate actions.

    `source`, `feed`, `asof` and `hours` are words for the passport.
    """

    source: str
    feed: str
    asof: str

    def hours(self, interval: str) -> str:
        """Return which hours the bars of an interval cover; `ConfigError` if it has none such."""
        ...

    def until(self, now: datetime) -> datetime:
        """Return the newest instant that may be asked about."""
        ...

    def bars(
        self, symbols: Sequence[str], interval: str, first: date, last: date, *,
        until: datetime, tell: Tell,
    ) -> Answer:  # fmt: skip
        """Return the raw bars of the sessions `first` to `last` that ended by `until`.

        `tell` is called with the number of rows of each page. `NotServed` when the request is
        refused, `BrokerUnavailable` when there is no answer, `ConfigError` when the keys are wrong.
        """
        ...

    def actions(self, symbols: Sequence[str], first: date, last: date) -> Listed:
        """Return the actions whose ex-date is from `first` to `last`; errors as in `bars`."""
        ...
