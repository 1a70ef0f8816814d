# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each symbol of a fetch, while it is under way and when it is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from iverson.market.store_passport import Span
from iverson.market.vendor import Listed


@dataclass(frozen=True)
class Fetched:
    """What became of one symbol.

    `changes` and `withdrawn` tell bars that the vendor changed, and stored ones that it does not
    list any more; `notes` what else it said; `refused` why the symbol, or the rest of it, is not
    stored.
    """

    symbol: str
    added: int = 0
    revised: int = 0
    unchanged: int = 0
    outside: int = 0
    changes: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class Report:
    """What became of all symbols; `stopped` says why the vendor was left alone, if it was.

    `unanswered` says that some request had no answer, so that the same may succeed later.
    """

    symbols: Mapping[str, Fetched]
    interval: str
    first: date
    last: date
    stopped: str = ""
    unanswered: bool = False


@dataclass
class State:
    """A fetch under way: what is known of each symbol so far."""

    found: dict[str, Fetched]
    covered: dict[str, Span]
    listed: dict[str, Listed] = field(default_factory=dict)

    def add(self, symbol: str, **more: int | tuple[str, ...]) -> None:
        """Add counts and sentences."""
        was = self.found[symbol]
        self.found[symbol] = replace(
            was, **{name: getattr(was, name) + value for name, value in more.items()}
        )

    def refuse(self, symbols: Sequence[str], why: str) -> None:
        """Give some symbols up."""
        for symbol in symbols:
            if not self.found[symbol].refused:
                self.found[symbol] = replace(self.found[symbol], refused=why)

    def open(self, symbols: Sequence[str]) -> list[str]:
        """Return those that were not given up."""
        return [symbol for symbol in symbols if not self.found[symbol].refused]


def halves(symbols: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the symbols in two parts."""
    middle = len(symbols) // 2
    return [tuple(symbols[:middle]), tuple(symbols[middle:])]
