# SPDX-License-Identifier: GPL-3.0-or-later
"""Closed trades by what they share: strategy, symbol, way out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from iverson.model import Trade

PLAIN = "plain orders"  # of no strategy that signals


@dataclass(frozen=True, slots=True)
class Group:
    """Closed trades of one name: dollars after costs, R in units of planned risk.

    `win_rate` is NaN without trades, `mean_r` without a trade that had a planned risk.
    """

    name: str
    trades: int
    pnl: float
    win_rate: float
    mean_r: float
    total_r: float

    @property
    def facts(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "trades": self.trades,
            "pnl_usd": self.pnl,
            "win_rate_fraction": self.win_rate,
            "mean_r": self.mean_r,
            "total_r": self.total_r,
        }


def group(name: str, trades: Sequence[Trade]) -> Group:
    """Sum up some trades; a trade of exactly 0 is no win."""
    known = [one.r_multiple for one in trades if not math.isnan(one.r_multiple)]
    total = math.fsum(known)
    return Group(
        name=name,
        trades=len(trades),
        pnl=math.fsum(one.pnl for one in trades),
        win_rate=sum(one.pnl > 0 for one in trades) / len(trades) if trades else math.nan,
        mean_r=total / len(known) if known else math.nan,
        total_r=total if known else math.nan,
    )


def grouped(
    trades: Sequence[Trade], name_of: Callable[[Trade], str], *, names: Sequence[str] = ()
) -> list[Group]:
    """Group trades by a name, those of `names` first though they have no trade, the rest sorted."""
    parts: dict[str, list[Trade]] = {name: [] for name in names}
    for trade in sorted(trades, key=name_of):
        parts.setdefault(name_of(trade), []).append(trade)
    return [group(name, own) for name, own in parts.items()]


def strategy_of(trade: Trade) -> str:
    """Name the strategy that a trade belongs to."""
    return trade.strategy or PLAIN
