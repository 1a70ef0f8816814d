# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run noted, in order: rows that go into a journal beside the model's values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, TypeVar

from iverson.book import Halt
from iverson.model import Fill, Stage, Trade, Value, Verdict
from iverson.monitoring.events import Step

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class EquityRow:
    """The account at the end of a session: dollars, positions at market.

    `positions` is the most that were held at any bar of the session, so that a system which is flat
    at every close still counts as exposed.
    """

    at: datetime
    session: date
    cash: float
    equity: float
    positions_value: float
    positions: int


@dataclass(frozen=True, slots=True, eq=False)
class RunRow(Value):
    """The settings of one run, as its caller states them; the first row of the run.

    `parameters` and `versions` hold plain values (text, numbers, dates, tuples, None); `cash` is
    what the run started with, dollars.
    """

    system: str
    strategy: str
    parameters: Mapping[str, Any]
    symbols: tuple[str, ...]
    data_digest: str
    seed: int | None
    stage: Stage
    cash: float = math.nan
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    at: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FoldRow(Value):
    """One pair of windows (all four dates inclusive), the parameters chosen and how they did.

    `trials` counts the parameter combinations tried in sample; both returns are annualised
    fractions.
    """

    number: int
    in_sample_start: date
    in_sample_end: date
    out_of_sample_start: date
    out_of_sample_end: date
    parameters: Mapping[str, Any]
    trials: int
    in_sample_return: float = math.nan
    out_of_sample_return: float = math.nan


@dataclass(frozen=True, slots=True, eq=False)
class TrialRow(Value):
    """One parameter set that was evaluated, for the trial ledger: what luck has to be divided by.

    `strategy` is "module:Class"; `source`, `conditions` and `data` are digests of the strategy's
    code, of everything else that decides a run (rules, sizing, costs, cash) and of the bars.
    `returns` holds the daily returns from `first` to `last`, packed by `research.ledger`.
    """

    at: datetime
    strategy: str
    source: str
    conditions: str
    data: str
    parameters: Mapping[str, Any]
    first: date
    last: date
    trades: int
    total_return: float
    sharpe: float
    returns: str


@dataclass(frozen=True, slots=True)
class Note:
    """Anything else worth keeping, in words."""

    at: datetime
    text: str
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """A halt that ended, and why."""

    at: datetime
    session: date
    rule: str
    reason: str


@dataclass
class Record:
    """An append-only list of model values. `full` False keeps what a search needs: equity, trades.

    Iterating gives the values in the order in which they happened.
    """

    full: bool = True
    values: list[Any] = field(default_factory=list)

    def add(self, value: Any) -> None:
        """Note one value."""
        if self.full or isinstance(value, EquityRow | Trade):
            self.values.append(value)

    def of(self, kind: type[Row]) -> list[Row]:
        """Return the values of one kind, in order."""
        return [value for value in self.values if isinstance(value, kind)]

    @property
    def trades(self) -> list[Trade]:
        """The closed round trips."""
        return self.of(Trade)

    @property
    def fills(self) -> list[Fill]:
        """The executions."""
        return self.of(Fill)

    @property
    def verdicts(self) -> list[Verdict]:
        """The gate's answers."""
        return self.of(Verdict)

    @property
    def halts(self) -> list[Halt]:
        """The halts that came into force."""
        return self.of(Halt)

    @property
    def steps(self) -> list[Step]:
        """The changes of what one trade may risk."""
        return self.of(Step)

    @property
    def equity(self) -> list[EquityRow]:
        """The account, once a bar."""
        return self.of(EquityRow)


@dataclass
class SearchRecord(Record):
    """Notes what a search needs: equity, trades, and the verdicts that ask for an operator."""

    full: bool = False

    def add(self, value: Any) -> None:
        """Note one value."""
        if isinstance(value, EquityRow | Trade) or (isinstance(value, Verdict) and value.alert):
            self.values.append(value)
