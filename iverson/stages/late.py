# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ended process could not note any more: fills, the trades they end, cash that moved."""

from __future__ import annotations

from dataclasses import dataclass

from iverson.execution.account import Account
from iverson.execution.costs import Costs
from iverson.model import CashFlow, Execution, Fill
from iverson.monitoring.record import Record
from iverson.stages.memory import Memory


@dataclass(frozen=True, slots=True)
class Late:
    """Notes what was missed, as it would have been noted; `costs` are the venue's fees."""

    memory: Memory
    record: Record
    account: Account
    costs: Costs

    def catch_up(self) -> None:
        """Note the trades that the journal has only fills of, and fills it has only heard of."""
        for trade in self.memory.untold:
            self.record.add(trade)
        for one in self.memory.unbooked:
            self(one)

    def __call__(self, missed: Execution | CashFlow) -> None:
        """Note what follows from an execution, or a flow that is noted already."""
        builder = self.memory.builder
        if isinstance(missed, CashFlow):
            trade = builder.flow(missed)
            if missed.kind == "deposit":
                self.account.deposit(missed.amount)
        else:
            fill = fill_of(missed, self.costs)
            self.record.add(fill)
            entered = missed.leg == "entry"
            trade = builder.add(fill, self.memory.planned.get(missed.key) if entered else None)
        if trade is not None:
            self.record.add(trade)


def fill_of(execution: Execution, costs: Costs) -> Fill:
    """Return the fill of our books that an execution of the venue makes."""
    return Fill(
        at=execution.at,
        session=execution.session,
        order_id=f"{execution.key}-{execution.leg.replace(' ', '-')}",
        symbol=execution.symbol,
        side=execution.side,
        leg=execution.leg,
        size=execution.size,
        price=execution.price,
        commission=costs.commission(execution.side, int(execution.size), execution.price),
    )
