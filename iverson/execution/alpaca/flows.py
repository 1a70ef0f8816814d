# SPDX-License-Identifier: GPL-3.0-or-later
"""Cash and shares that moved without an order: dividends, fees, deposits, splits. Pure.

Alpaca lists them among the account's activities, some only by date. Each becomes one `CashFlow`,
once: what is noted already is counted off, kind by kind and amount by amount.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from iverson.execution.shares import ratio_of, shares_of
from iverson.model import CashFlow, Execution

KINDS = {  # by the beginning of Alpaca's type, the longest first
    "DIV": "dividend",
    "INT": "interest",
    "CSD": "deposit",
    "CSW": "deposit",  # a withdrawal is a negative one
    "JNLC": "deposit",
    "TRANS": "deposit",
    "SPLIT": "split",
    "SSP": "split",
    "REORG": "cash in lieu",
    "FEE": "fee",
    "CFEE": "fee",
    "PTC": "fee",
}
CENT = 0.005


@dataclass(frozen=True, slots=True)
class Movement:
    """A row of the activities that is no fill; `at` is its instant, or its date's beginning."""

    kind: str
    at: datetime
    symbol: str
    amount: float
    shares: float


def kind_of(activity: str) -> str:
    """Return our word for a type of activity; an unknown one is "other", and counts as cash."""
    return next((kind for begins, kind in KINDS.items() if activity.startswith(begins)), "other")


def new_flows(
    movements: Iterable[Movement],
    noted: Sequence[CashFlow],
    executions: Sequence[Execution],
    *,
    session_of: Callable[[datetime], date],
) -> list[CashFlow]:
    """Return what is not noted yet, oldest first; a split only of a symbol that we hold."""
    known = Counter(_mark(flow.kind, flow.at, flow.symbol, flow.amount) for flow in noted)
    found: list[CashFlow] = []
    for one in sorted(movements, key=lambda row: row.at):
        mark = _mark(one.kind, one.at, one.symbol, one.amount)
        if known[mark]:
            known[mark] -= 1
            continue
        ratio = 1.0
        if one.kind == "split":
            mine = [row for row in executions if row.symbol == one.symbol and row.at < one.at]
            before = _held(mine, [*noted, *found])
            if not before:
                continue
            ratio = ratio_of(before, one.shares)
        elif abs(one.amount) < CENT:
            continue
        found.append(CashFlow(one.at, session_of(one.at), one.symbol, one.kind, one.amount, ratio))
    return found


def _held(executions: Sequence[Execution], flows: Sequence[CashFlow]) -> int:
    """Return the shares of all decisions together, signed."""
    keys = {one.key for one in executions}
    total = 0
    for key in keys:
        own = [one for one in executions if one.key == key]
        held = shares_of(own[0].symbol, own, flows).held
        long = any(one.leg == "entry" and one.side == "buy" for one in own)
        total += held if long else -held
    return total


def _mark(kind: str, at: datetime, symbol: str, amount: float) -> tuple[str, date, str, int]:
    return (kind, at.date(), symbol, round(100 * amount))
