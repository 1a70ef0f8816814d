# SPDX-License-Identifier: GPL-3.0-or-later
"""Shares over time: what executions and splits, each at its instant, make of a position. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from iverson.execution.corporate_actions import whole
from iverson.market.actions import SIMPLE_RATIOS
from iverson.model import CashFlow, Execution


@dataclass(frozen=True, slots=True)
class Shares:
    """One decision's shares in today's: `entered` for `paid` dollars in all, `held` are left."""

    entered: int = 0
    held: int = 0
    paid: float = 0.0

    @property
    def price(self) -> float:
        """Dollars paid for a share of today's; 0 when none was entered."""
        return self.paid / self.entered if self.entered else 0.0


def shares_of(symbol: str, executions: Iterable[Execution], flows: Sequence[CashFlow]) -> Shares:
    """Add up executions of one decision, converted by the splits that came after each."""
    splits = [flow for flow in flows if flow.kind == "split" and flow.symbol == symbol]
    happened: list[Execution | CashFlow] = sorted([*executions, *splits], key=lambda one: one.at)
    entered, held, paid = 0, 0, 0.0
    for one in happened:
        if isinstance(one, CashFlow):
            entered, held = whole(entered, one.ratio), whole(held, one.ratio)
        elif one.leg == "entry":
            entered, held = entered + round(one.size), held + round(one.size)
            paid += one.size * one.price
        else:
            held -= round(one.size)
    return Shares(entered, held, paid)


def ratio_after(symbol: str, at: datetime, flows: Iterable[CashFlow]) -> float:
    """Return how many shares of today one share of an instant has become."""
    ratio = 1.0
    for flow in flows:
        if flow.kind == "split" and flow.symbol == symbol and flow.at > at:
            ratio *= flow.ratio
    return ratio


def ratio_of(before: float, change: float) -> float:
    """Return the ratio of a split that changed a position of `before` shares by `change`.

    The simplest that explains the whole shares (a fraction is paid in cash), else the quotient.
    """
    if not before:
        return 1.0
    quotient = (before + change) / before
    fitting = [float(r) for r in SIMPLE_RATIOS if whole(before, float(r)) == round(before + change)]
    return min(fitting, key=lambda ratio: abs(ratio - quotient), default=quotient)
