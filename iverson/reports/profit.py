# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a period's profit came from, down to the cent: trades before costs, costs, the rest.

gross + dividends − commission and fees − spread = net of the closed trades
net of the closed trades + open positions and cash = profit of the period
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from iverson.model import CashFlow, Trade
from iverson.reports.journaled import Journaled
from iverson.reports.periods import Period


@dataclass(frozen=True, slots=True)
class Profit:
    """Dollars. `gross` is what the closed trades made at the quoted prices, before any cost.

    Costs are positive. `rest` is the change of what open positions are worth, with the costs they
    have paid, and of cash that belongs to no trade (`other`: interest, fees of the account).
    """

    gross: float
    commission: float
    spread: float
    dividends: float
    net: float
    rest: float
    other: float

    @property
    def total(self) -> float:
        """Profit of the period: the change of equity less what was deposited."""
        return self.net + self.rest

    @property
    def facts(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "gross_usd": self.gross,
            "commission_and_fees_usd": self.commission,
            "spread_usd": self.spread,
            "dividends_usd": self.dividends,
            "net_of_closed_trades_usd": self.net,
            "open_positions_and_cash_usd": self.rest,
            "interest_and_account_fees_usd": self.other,
            "profit_usd": self.total,
        }


def profit(told: Journaled, period: Period) -> Profit:
    """Take the profit of a period apart; trades count, whole, in the period they are closed in."""
    closed = period.closed(told.of(Trade))
    commission = math.fsum(one.commission for one in closed)
    spread = math.fsum(one.spread for one in closed)
    dividends = math.fsum(one.dividends for one in closed)
    net = math.fsum(one.pnl for one in closed)
    return Profit(
        gross=net + commission + spread - dividends,
        commission=commission,
        spread=spread,
        dividends=dividends,
        net=net,
        rest=math.fsum(period.of(told.pnl).tolist()) - net,
        other=math.fsum(
            flow.amount
            for flow in told.of(CashFlow)
            if flow.kind in ("interest", "fee", "other")
            and period.first <= flow.session <= period.last
        ),
    )


def months_frame(told: Journaled) -> pd.DataFrame:
    """Return one row a month that noted a session: `pnl`, `return`, `drawdown`, `trades`, `won`.

    Dollars and fractions; the index is "2026-11". `drawdown` is the deepest within the month from
    its own highs or the level it began with, so that one month's loss is not told twice.
    """
    index = pd.DatetimeIndex(told.equity.index)
    names = index.strftime("%Y-%m")
    grown = (1.0 + told.returns).groupby(names)
    trades: Sequence[Trade] = told.of(Trade)
    table = pd.DataFrame(
        {
            "pnl": told.pnl.groupby(names).sum(),
            "return": grown.prod() - 1.0,
            "drawdown": grown.apply(_deepest),
        }
    )
    closed = pd.Series([f"{one.exit_session:%Y-%m}" for one in trades], dtype=object)
    won = pd.Series([one.pnl > 0 for one in trades], dtype=bool)
    table["trades"] = closed.value_counts().reindex(table.index, fill_value=0).astype(int)
    table["won"] = closed[won].value_counts().reindex(table.index, fill_value=0).astype(int)
    return table.rename_axis("month")


def _deepest(steps: pd.Series) -> float:
    level = steps.cumprod()
    return min(0.0, float((level / level.cummax().clip(lower=1.0)).min()) - 1.0)
