# SPDX-License-Identifier: GPL-3.0-or-later
"""The universe: which symbols may be entered when, as it was known at the time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from iverson.errors import ConfigError
from iverson.market.spellings import plain

if TYPE_CHECKING:
    import pandas as pd

SPELLINGS = {
    "symbol": ("symbol", "ticker"),
    "from": ("from", "start", "startdate"),
    "to": ("to", "end", "enddate"),
}


class Spell(NamedTuple):
    """One time in the universe, both days included; `last` None: still in."""

    symbol: str
    first: date
    last: date | None = None

    def __str__(self) -> str:
        return f"{self.first} to {self.last or 'now'}"


@dataclass(frozen=True)
class Universe:
    """Symbols, when each of them belonged, and how large it had to be: point in time.

    Outside its spells a symbol makes no entry, and neither does one below the floors; positions
    run to their exits. All is known before the session of the decision. Every refusal is a denial,
    journaled with its numbers.

    Parameters
    ----------
    symbols: in the order that breaks ties between signals; default all of the membership's.
    membership: a table of symbol, from, to (CSV file, DataFrame or rows); several spells a symbol,
        both days included, an empty `to` for one that is still in. None: always in, which is
        survivorship-biased unless nobody knew of the later fate when choosing.
    minimum_close: least close of the previous session, raw dollars a share.
    minimum_dollar_volume: least average of close x volume over the last `sessions` exchange
        sessions before the decision's; a session without a bar counts as nothing traded.
    largest: at most so many symbols, the largest by that average among the members of the day.

    Raises
    ------
    ConfigError: a table, a spell or a number that cannot be, in one sentence.
    """

    symbols: Sequence[str] = ()
    membership: Any = None
    minimum_close: float = 0.0
    minimum_dollar_volume: float = 0.0
    largest: int | None = None
    sessions: int = 20

    def __post_init__(self) -> None:
        spells = None if self.membership is None else _merged(_rows(self.membership))
        given = (self.symbols,) if isinstance(self.symbols, str) else tuple(self.symbols)
        if not given and spells is not None:
            given = tuple(dict.fromkeys(one.symbol for one in spells))
        if not given or len(set(given)) != len(given):
            raise ConfigError(f"the universe has the symbols {list(given)}; expected each once")
        if spells is not None:
            absent = sorted(set(given) - {one.symbol for one in spells})
            if absent:
                raise ConfigError(
                    f"the membership says nothing of {', '.join(absent)}; give each a row, or "
                    "leave it out of the symbols"
                )
            spells = tuple(one for one in spells if one.symbol in set(given))
        object.__setattr__(self, "symbols", given)
        object.__setattr__(self, "membership", spells)
        for name in ("minimum_close", "minimum_dollar_volume"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ConfigError(f"{name} is {value!r}; expected dollars of 0 or more")
        for name, least in (("largest", self.largest), ("sessions", self.sessions)):
            if least is not None and (type(least) is not int or least < 1):
                raise ConfigError(f"{name} is {least!r}; expected a whole number of 1 or more")

    def spells(self, symbol: str) -> tuple[Spell, ...]:
        """Return the times a symbol was in, the oldest first."""
        return tuple(self._spells.get(symbol, ()))

    def is_member(self, symbol: str, sessions: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        """Tell of each session whether the symbol was in."""
        if self.membership is None:
            return np.full(len(sessions), symbol in self._places)
        inside = np.zeros(len(sessions), dtype=np.bool_)
        for one in self._spells.get(symbol, ()):
            last = np.datetime64(one.last or date.max, "D")
            inside |= (sessions >= np.datetime64(one.first, "D")) & (sessions <= last)
        return inside

    def members(self, session: date) -> tuple[str, ...]:
        """Return the symbols that were in on a date, in order."""
        day = np.array([session], dtype="datetime64[D]")
        return tuple(symbol for symbol in self.symbols if self.is_member(symbol, day)[0])

    @cached_property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of all that the universe says."""
        facts = repr([getattr(self, one.name) for one in fields(self)])
        return hashlib.sha256(facts.encode()).hexdigest()

    @cached_property
    def _places(self) -> dict[str, int]:
        return {symbol: place for place, symbol in enumerate(self.symbols)}

    @cached_property
    def _spells(self) -> dict[str, list[Spell]]:
        found: dict[str, list[Spell]] = {}
        for one in self.membership or ():
            found.setdefault(one.symbol, []).append(one)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was only looked up, so that equal universes are written the same."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def __str__(self) -> str:
        spells = (
            "no membership"
            if self.membership is None
            else f"{len(self.membership)} spells of membership"
        )
        parts = [f"{len(self.symbols)} symbols", spells]
        if self.minimum_close:
            parts.append(f"close of ${self.minimum_close:,.2f} or more")
        if self.minimum_dollar_volume:
            parts.append(f"${self.minimum_dollar_volume:,.0f} or more a session")
        if self.largest:
            parts.append(f"the {self.largest} largest")
        if self.minimum_dollar_volume or self.largest:
            parts.append(f"over {self.sessions} sessions")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"Universe({self}, {self.digest[:12]})"


def _rows(table: Any) -> Iterator[Spell]:
    """Yield the rows of a table, whatever it came as."""
    import pandas as pd

    if isinstance(table, str | Path):
        table = _read(Path(table))
    if isinstance(table, pd.DataFrame):
        table = _columns(table)
    if not isinstance(table, Iterable) or isinstance(table, Mapping):
        raise ConfigError(
            f"membership is a {type(table).__name__}; expected a CSV file, a DataFrame or rows of "
            "(symbol, from, to)"
        )
    for number, row in enumerate(table, start=1):
        if isinstance(row, str) or not isinstance(row, Iterable):
            raise ConfigError(
                f"row {number} of the membership is {row!r}; expected symbol, from, to"
            )
        parts = tuple(row)
        if len(parts) != 3 or not isinstance(parts[0], str) or not parts[0].strip():
            raise ConfigError(
                f"row {number} of the membership is {parts!r}; expected symbol, from, to"
            )
        first, last = (_day(part, number) for part in parts[1:])
        one = Spell(parts[0].strip(), first or date.min, last)
        if last is not None and last < one.first:
            raise ConfigError(
                f"row {number} of the membership: {one.symbol} is in from {one.first} to {last}, "
                "which ends before it begins"
            )
        yield one


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' own parsing errors are ValueErrors
        raise ConfigError(
            f"the membership {path} cannot be read ({error}); expected a CSV file with the columns "
            "symbol, from, to"
        ) from error


def _columns(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return the three columns of a frame as rows, found by any of their spellings."""
    places = {plain(str(name)): place for place, name in enumerate(table.columns)}
    found = []
    for name, spellings in SPELLINGS.items():
        at = next((places[one] for one in spellings if one in places), None)
        if at is None:
            raise ConfigError(
                f"the membership has the columns {', '.join(map(str, table.columns)) or 'none'}; "
                f"expected symbol, from and to, and found no {name!r}"
            )
        found.append(table.iloc[:, at].tolist())
    return list(zip(*found, strict=True))


def _day(value: Any, number: int) -> date | None:
    """Read a date; nothing at all is None."""
    if value is None or value != value or str(value).strip() in ("", "NaT"):  # noqa: PLR0124 (NaN)
        return None
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError as error:
        raise ConfigError(
            f"row {number} of the membership has the date {value!r}; write it as 2015-03-31"
        ) from error


def _merged(rows: Iterable[Spell]) -> tuple[Spell, ...]:
    """Order the spells by symbol as they come, and join those that overlap or touch."""
    by_symbol: dict[str, list[Spell]] = {}
    for one in rows:
        by_symbol.setdefault(one.symbol, []).append(one)
    found: list[Spell] = []
    for own in by_symbol.values():
        last: Spell | None = None
        for one in sorted(own, key=lambda spell: spell.first):
            if last is not None and _touch(last, one):
                ends = None if None in (last.last, one.last) else max(last.last, one.last)  # type: ignore[type-var]  # neither is None
                last = found[-1] = Spell(one.symbol, last.first, ends)
            else:
                last = one
                found.append(one)
    if not found:
        raise ConfigError("the membership has no row; expected symbol, from, to")
    return tuple(found)


def _touch(one: Spell, other: Spell) -> bool:
    return one.last is None or other.first.toordinal() <= one.last.toordinal() + 1
