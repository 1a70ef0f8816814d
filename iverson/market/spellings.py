# SPDX-License-Identifier: GPL-3.0-or-later
"""Spellings: how the common vendors name their columns, and which of ours each one means.

Names are compared in lower case with letters and digits only, so "Adj. Close", "adj_close" and
"Adj Close" are one spelling. Known: Backtrader, Yahoo and yfinance, Stooq, Alpaca, Quandl, Tiingo.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from iverson.errors import BadBars

STAMPS = ("at", "datetime", "timestamp", "t", "date", "session", "exdate", "time")
"""Spellings of the column that says when, the most exact first."""

_MEANINGS = {
    "symbol": ("symbol", "ticker", "s"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v"),
    "adj_close": ("adjclose", "adjustedclose"),
    "dividend": ("dividends", "exdividend", "divcash", "dividendcash"),
    "split": ("stocksplits", "splitratio", "splitfactor"),
    "kind": ("kind", "type"),
    "value": ("value", "amount"),
}
_SYMBOL = re.compile(r"[A-Z0-9^][A-Z0-9.^=\-/]{0,19}")


def plain(name: str) -> str:
    """Reduce a column's name to its lower-case letters and digits."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def meanings(header: Sequence[str], path: Path) -> dict[str, int]:
    """Map our names to the positions of the columns that mean them; others are ignored.

    Besides the names of the schema: "stamp" for the date or time, "clock" for a time of day in a
    column of its own. `BadBars` when two columns mean the same.
    """
    spelled = [plain(name) for name in header]
    found: dict[str, int] = {}
    for position, spelling in enumerate(spelled):
        for meaning, spellings in _MEANINGS.items():
            if spelling not in spellings:
                continue
            if meaning in found:
                raise BadBars(
                    f"{path}: columns {header[found[meaning]]!r} and {header[position]!r} both "
                    f"mean {meaning}; remove or rename one"
                )
            found[meaning] = position
    stamps = [name for name in STAMPS if name in spelled]
    for name in stamps:
        if spelled.count(name) > 1:
            raise BadBars(f"{path}: column {name!r} is there twice; remove or rename one")
    if stamps:
        found["stamp"] = spelled.index(stamps[0])
    if stamps[:1] == ["date"] and "time" in stamps:
        found["clock"] = spelled.index("time")
    return found


def symbol_of(path: Path) -> str:
    """Take the symbol from a file's name: the part before "_", without Stooq's ".us"."""
    return clean_symbol(path.name.split(".", 1)[0].split("_", 1)[0], path)


def clean_symbol(text: str, path: Path) -> str:
    """Return the symbol in upper case without Stooq's ".US"; `BadBars` if it cannot be one."""
    symbol = text.strip().upper().removesuffix(".US")
    if _SYMBOL.fullmatch(symbol) is None:
        raise BadBars(
            f"{path}: {text!r} is not a symbol; expected up to 20 letters, digits or . ^ = - /, "
            "name it with --symbol"
        )
    return symbol
