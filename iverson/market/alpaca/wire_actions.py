# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpaca's corporate actions as the actions table, and in words what the table cannot express.

Splits, forward and reverse, and stock dividends become splits (new shares for one old share); cash
dividends in dollars become dividends. Spin-offs, mergers, unit splits, rights, redemptions, name
changes and the rest change what a share is in ways that no ratio tells: they are reported, and a
person decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import pandas as pd

from iverson.errors import BadBars
from iverson.market import actions as table

Row = Mapping[str, Any]
Notes = dict[str, list[tuple[date, str]]]

_SPLITS: dict[str, Callable[[Row], float]] = {
    "forward_splits": lambda row: float(row["new_rate"]) / float(row["old_rate"]),
    "reverse_splits": lambda row: float(row["new_rate"]) / float(row["old_rate"]),
    "stock_dividends": lambda row: 1.0 + float(row["rate"]),
}
_SYMBOLS = ("symbol", "source_symbol", "old_symbol", "new_symbol", "acquiree_symbol",
            "acquirer_symbol")  # fmt: skip
_SAID = ("cash_rate", "rate", "source_rate", "new_rate", "acquirer_rate", "acquiree_rate",
         "new_symbol", "acquirer_symbol", "old_symbol")  # fmt: skip


def read(
    pages: Iterable[Mapping[str, Any]], symbols: Iterable[str], first: date, last: date
) -> tuple[pd.DataFrame, Notes]:
    """Return the actions with an ex-date from `first` to `last`, and notes by symbol.

    `BadBars` when an action lacks a field that it must have.
    """
    wanted = set(symbols)
    found: dict[tuple[str, date, str, float], None] = {}
    notes: Notes = {symbol: [] for symbol in wanted}
    seen: set[str] = set()
    for kind, row in ((kind, row) for page in pages for kind, part in page.items() for row in part):
        identity = str(row.get("id", ""))
        if identity and identity in seen:
            continue
        seen.add(identity)
        try:
            action, when = _action(kind, row), _when(row)
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise BadBars(
                f"Alpaca sent one of its {kind} that cannot be read "
                f"({type(error).__name__}: {error}); try again later"
            ) from error
        if action is None:
            for symbol in dict.fromkeys(str(row.get(name)) for name in _SYMBOLS):
                if symbol in wanted and first <= when <= last:
                    notes[symbol].append((when, _note(kind, row, when)))
        elif action[0] in wanted and first <= action[1] <= last:
            found[action] = None
    return table.table(found), {name: said for name, said in notes.items() if said}


def renamed(
    pages: Iterable[Mapping[str, Any]], symbols: Iterable[str]
) -> dict[str, tuple[str, date]]:
    """Return for each symbol that took over from another: the old symbol, and until when."""
    wanted = set(symbols)
    result = {}
    for row in (row for page in pages for row in page.get("name_changes") or ()):
        old, new = str(row.get("old_symbol")), str(row.get("new_symbol"))
        if new in wanted and old != new:
            result[new] = (old, _when(row))
    return result


def _action(kind: str, row: Row) -> tuple[str, date, str, float] | None:
    if kind in _SPLITS:
        ex_date = date.fromisoformat(row["ex_date"])
        return str(row["symbol"]), ex_date, table.SPLIT, _SPLITS[kind](row)
    if kind == "cash_dividends" and row.get("currency") in (None, "", "USD"):
        ex_date = date.fromisoformat(row["ex_date"])
        rate = float(row["rate"])
        return (str(row["symbol"]), ex_date, table.DIVIDEND, rate) if rate > 0 else None
    return None


def _when(row: Row) -> date:
    return date.fromisoformat(
        row.get("ex_date") or row.get("effective_date") or row["process_date"]
    )


def _note(kind: str, row: Row, when: date) -> str:
    words = kind.removesuffix("s").replace("_", " ")
    said = [f"{name.replace('_', ' ')} {row[name]}" for name in _SAID if row.get(name)]
    if row.get("currency"):
        said.append(str(row["currency"]))
    return f"{words} on {when} ({', '.join(said) or 'no details'}): not in the actions"
