# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rehearsal left behind: the journal's side, the exchange's, and both in a few lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iverson.execution.costs import Costs
from iverson.execution.reconcile import unbooked
from iverson.market.calendar import new_york
from iverson.model import Execution, Fill, Intent, Trade
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow, RunRow
from iverson.monitoring.tables import dollars, equity_series, trades_frame
from iverson.stages.late import fill_of

if TYPE_CHECKING:
    import pandas as pd

    from iverson.simulator.ledger import Cover


@dataclass
class Rehearsal:
    """The journal's run, what the exchange saw, what was alarming. Printed, it is a small table.

    `ledger` is the exchange's own account of fills, orders and positions, `log` its events;
    `unprotected` are share-seconds within regular hours that no live stop covered, as the exchange
    saw them. `notes` say what the figures do not.
    """

    run: str
    journal: Path
    sessions: int
    ledger: Mapping[str, Any]
    log: str
    alarms: list[tuple[datetime, str, str]] = field(default_factory=list)
    unprotected: float = 0.0
    notes: tuple[str, ...] = ()

    @cached_property
    def values(self) -> list[Any]:
        """Everything that the journal has of the run, in order."""
        with Journal(self.journal, read_only=True) as journal:
            return booked(journal.values(run=self.run))

    def of(self, kind: type) -> list[Any]:
        """Return the values of one kind."""
        return [value for value in self.values if isinstance(value, kind)]

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Closed trades."""
        return trades_frame(self.of(Trade))

    @cached_property
    def fills(self) -> pd.DataFrame:
        """Fills as the journal has them: at, session, symbol, side, leg, size, price."""
        import pandas as pd

        names = ["at", "session", "symbol", "side", "leg", "size", "price"]
        rows = [[getattr(fill, name) for name in names] for fill in self.of(Fill)]
        return pd.DataFrame(rows, columns=names)

    @cached_property
    def equity(self) -> pd.Series:
        """Equity in dollars by session."""
        last = {row.session: row for row in self.of(EquityRow)}
        return equity_series(list(last.values()))

    @property
    def start(self) -> float:
        """Dollars at the start."""
        (row,) = self.of(RunRow)
        return float(row.cash)

    @cached_property
    def orders_per_decision(self) -> Counter[str]:
        """Return how many entries the exchange took for each decision, by its key."""
        keys = {one.name: one.key for one in self.of(Intent) if one.leg == "entry"}
        names = (str(order["client_order_id"]) for order in self.ledger["orders"])
        return Counter(keys[name] for name in names if name in keys)

    def __str__(self) -> str:
        """Say it in a few lines."""
        equity, entries = self.equity, self.orders_per_decision
        end = dollars(equity.iloc[-1]) if len(equity) else dollars(self.start)
        span = f"{equity.index[0]:%Y-%m-%d} to {equity.index[-1]:%Y-%m-%d}, " if len(equity) else ""
        most = max(entries.values(), default=0)
        shown = [
            ("rehearsal", f"{self.run}, {span}{self.sessions} sessions"),
            ("equity", f"{dollars(self.start)} -> {end}"),
            ("fills", f"{len(self.fills)} (the exchange has {len(self.ledger['fills'])})"),
            ("trades", f"{len(self.trades)}"),
            (
                "entries",
                f"{sum(entries.values())} of {len(entries)} decisions, at most {most} each",
            ),
            ("unprotected", f"{self.unprotected:,.1f} share-seconds within regular hours"),
            ("alarms", f"{len(self.alarms)}"),
        ]
        lines = [f"{name:<12} {text}" for name, text in shown]
        lines += [f"  {at:%Y-%m-%d %H:%M:%S} {rule}: {why}" for at, rule, why in self.alarms]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__


def booked(values: list[Any]) -> list[Any]:
    """Return what a run noted, with a fill for each execution that its next wake would book."""
    executions = [value for value in values if isinstance(value, Execution)]
    fills = [value for value in values if isinstance(value, Fill)]
    free = Costs.none()  # as a rehearsal's account is charged
    return [*values, *(fill_of(one, free) for one in unbooked(executions, fills))]


def share_seconds(covers: Iterable[Cover], until: datetime) -> float:
    """Return shares without a live stop, times the seconds of regular hours that lasted."""
    chains: dict[tuple[str, str], list[Cover]] = defaultdict(list)
    for cover in covers:
        chains[cover.account_id, cover.symbol].append(cover)
    total = 0.0
    for chain in chains.values():
        ends = [*(cover.at for cover in chain[1:]), until]
        for cover, end in zip(chain, ends, strict=True):
            if cover.bare:
                total += float(cover.bare) * open_seconds(cover.at, end)
    return total


def open_seconds(start: datetime, end: datetime) -> float:
    """Return the seconds between two instants that lie within regular hours."""
    calendar = new_york()
    days = calendar.between(calendar.session_of(start), calendar.session_of(end))
    spans = ((calendar.open_at(day.item()), calendar.close_at(day.item())) for day in days)
    return sum(
        max(0.0, (min(end, close) - max(start, opened)).total_seconds()) for opened, close in spans
    )
