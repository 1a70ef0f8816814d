# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of one run, from its journal alone: the same for a backtest and a month of trading."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from iverson.book import Halt
from iverson.errors import DataError
from iverson.market.feeds import MADE_UP, MADE_UP_BESIDE, is_synthetic
from iverson.model import CashFlow, Fill, Trade, Verdict
from iverson.monitoring.events import Step
from iverson.monitoring.journal import Journal
from iverson.monitoring.kinds import Value
from iverson.monitoring.record import EquityRow, Record, RunRow
from iverson.monitoring.summary import Summary
from iverson.monitoring.tables import dollars, measure, traded_dollars


@dataclass(frozen=True)
class Report:
    """What happened in one run; dollars after costs, positions at market."""

    name: str
    run: RunRow
    record: Record
    metrics: Summary

    @property
    def feed(self) -> str:
        """What the bars are, in the words of their passport."""
        return str(self.run.parameters.get("feed", "unknown"))

    @property
    def made_up(self) -> str:
        """The sentence to say about data that was made up; "" when none was."""
        return made_up(self.run)

    @property
    def denials(self) -> dict[str, int]:
        """Denied signals by rule, the most frequent first."""
        rules = Counter(v.rule for v in self.record.verdicts if not v.approved)
        return dict(rules.most_common())

    @property
    def exits(self) -> dict[str, tuple[int, float]]:
        """Trades and their dollars by reason of exit."""
        found: dict[str, tuple[int, float]] = {}
        for trade in self.record.trades:
            count, pnl = found.get(trade.exit_reason, (0, 0.0))
            found[trade.exit_reason] = (count + 1, pnl + trade.pnl)
        return dict(sorted(found.items()))

    @property
    def costs(self) -> dict[str, float]:
        """Dollars paid in fees and given away to the spread, and dollars traded."""
        fills = self.record.fills
        return {
            "commission and fees": sum(fill.commission for fill in fills),
            "spread": sum(fill.spread * fill.size for fill in fills),
            "traded": traded_dollars(fills),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; numbers that are not defined are None."""
        return {
            "run": self.name,
            "system": self.run.system,
            "strategy": self.run.strategy,
            "stage": self.run.stage.value,
            "symbols": list(self.run.symbols),
            "feed": self.feed,
            "first": self.record.equity[0].session,
            "last": self.record.equity[-1].session,
            "start": self.run.cash,
            "end": self.record.equity[-1].equity,
            "trades": len(self.record.trades),
            "ambiguous": sum(trade.ambiguous for trade in self.record.trades),
            "metrics": {
                metric.name: {
                    "value": _plain(metric.value),
                    "low": _plain(metric.low),
                    "high": _plain(metric.high),
                    "observations": metric.observations,
                    "enough": metric.enough,
                }
                for metric in self.metrics
            },
            "denials": self.denials,
            "exits": {reason: {"trades": n, "pnl": pnl} for reason, (n, pnl) in self.exits.items()},
            "costs": self.costs,
            "halts": [halt.reason for halt in self.record.halts],
            "steps": [
                {"session": s.session, "level": s.level, "cap": s.cap, "reason": s.reason}
                for s in self.record.steps
            ],
        }

    def text(self) -> str:
        """Return the report as plain lines."""
        rows, trades = self.record.equity, self.record.trades
        lines = [
            *([self.made_up, ""] if self.made_up else []),
            f"{self.run.strategy} on {', '.join(self.run.symbols)}",
            f"{self.run.stage.value.replace('_', '-')}, run {self.name}",
            f"{rows[0].session} to {rows[-1].session}",
            (
                f"equity {dollars(self.run.cash)} -> {dollars(rows[-1].equity)}; {len(trades)} "
                f"trades, {sum(trade.ambiguous for trade in trades)} ambiguous"
            ),
            "",
            *(str(metric) for metric in self.metrics),
        ]
        chapters = {
            "exits by reason": [
                f"{reason}: {n} trade{'s' * (n != 1)}, {dollars(pnl)}"
                for reason, (n, pnl) in self.exits.items()
            ],
            "denials by rule": [f"{rule}: {count}" for rule, count in self.denials.items()],
            "costs": [f"{name}: {dollars(paid)}" for name, paid in self.costs.items()],
            "halts": [f"{halt.since:%Y-%m-%d}: {halt.reason}" for halt in self.record.halts],
        }
        if self.record.steps:
            chapters["capital steps"] = [
                f"{step.session}: {step.cap:.2%} of equity a trade; {step.reason}"
                for step in self.record.steps
            ]
        for title, rest in chapters.items():
            lines += ["", title, *(f"  {line}" for line in rest or ["none"])]
        return "\n".join(lines)


def run_of(journal: Journal, run: str | None = None) -> tuple[str, RunRow, list[Value]]:
    """Return the name, the settings and all rows of one run, the last by default.

    Raises
    ------
    DataError: the journal has no run, not this run, or the run noted no equity.
    """
    name = run_named(journal, run)
    values = journal.values(run=name)
    rows = [value for value in values if isinstance(value, RunRow)]
    if not rows:
        raise DataError(f"run {name!r} has lost its settings; see `iverson journal verify`")
    if not any(isinstance(value, EquityRow) for value in values):
        raise DataError(
            f"run {name!r} noted no equity, so there is nothing to report; choose another"
        )
    return name, rows[-1], values


def read_report(journal: Journal, *, run: str | None = None) -> Report:
    """Read one run of a journal, the last by default.

    Raises
    ------
    DataError: the journal has no run, not this run, or the run noted no equity.
    """
    name, settings, values = run_of(journal, run)
    kinds = (Verdict, Fill, CashFlow, Trade, Halt, EquityRow, Step)
    record = Record(values=[value for value in values if isinstance(value, kinds)])
    return Report(name, settings, record, measure(record, settings.cash, seed=settings.seed or 0))


def run_named(journal: Journal, run: str | None) -> str:
    """Return the name of the run to read, the journal's last by default.

    Raises
    ------
    DataError: the journal has no run, or not this one.
    """
    names = list(dict.fromkeys(journal.runs()["run"]))
    if not names:
        raise DataError("the journal has no run yet; write one with --journal")
    name = run or names[-1]
    if name not in names:
        raise DataError(f"the journal has no run {name!r}; it has {', '.join(names)}")
    return str(name)


def made_up(run: RunRow) -> str:
    """Return the sentence to say about a run's data that was made up; "" when none was."""
    if is_synthetic(str(run.parameters.get("feed", ""))):
        return MADE_UP
    return MADE_UP_BESIDE if is_synthetic(str(run.parameters.get("columns", ""))) else ""


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
