# SPDX-License-Identifier: GPL-3.0-or-later
"""The review's chapter on regimes: what market it was, and how the run did in each kind."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from iverson.errors import DataError
from iverson.market.bars import Bars
from iverson.model import Stage
from iverson.monitoring.record import Record
from iverson.reports.journaled import Journaled
from iverson.reports.page import Section, Table
from iverson.reports.periods import Period
from iverson.reports.words import signed_money
from iverson.research.regimes import UNKNOWN, regimes
from iverson.research.regimes_table import by_regime
from iverson.research.report_parts import number, percent, plural, span
from iverson.research.results import Recorded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Regimes of the market"


class AsResult(Recorded):
    """A run of a journal where `research` asks for a result; deposits are taken out of equity."""

    stage = Stage.BACKTEST

    def __init__(self, told: Journaled) -> None:
        self._told = told

    @property
    def record(self) -> Record:
        """Everything noted."""
        return Record(values=list(self._told.values))

    @property
    def start(self) -> float:
        """Dollars at the start."""
        return self._told.run.cash

    @cached_property
    def equity(self) -> pd.Series:
        """The cash of the start, grown with the returns."""
        return self._told.growth * self.start


def regime_section(
    told: Journaled,
    period: Period,
    bars: Mapping[str, Bars] | None,
    *,
    seed: int,
    resamples: int,
) -> Section:
    """Say which market it was, and what the run made in each kind to date."""
    if not bars:
        return Section(TITLE, ("No bars: the market of the month is not known.",), facts={})
    try:
        known = {symbol: one.between(date.min, period.last) for symbol, one in bars.items()}
        labels = regimes({symbol: one for symbol, one in known.items() if len(one)})
    except DataError as error:
        return Section(TITLE, (f"The market is not known: {error}.",), facts={})
    table = by_regime(AsResult(told), labels, seed=seed, resamples=resamples)
    here = labels.reindex(told.equity.index).fillna(UNKNOWN)
    month = period.of(told.equity).index
    found = []
    for place, (kind, state) in enumerate(table.index.to_list()):
        own = here[kind]
        row = table.iloc[place].to_dict()
        found.append(_State(kind, state, row, told.pnl[own == state], own.reindex(month)))
    lines = tuple(
        f"This month, {kind}: "
        + ", ".join(
            f"{one.state} {plural(one.in_month, 'session')}"
            for one in found
            if one.kind == kind and one.in_month
        )
        + "."
        for kind in labels.columns
    )

    def chart() -> Figure:
        from iverson.reports.charts_monthly import regimes_chart

        return regimes_chart([(f"{one.kind}: {one.state}", one.count, one.pnl) for one in found])

    return Section(
        title=TITLE,
        lines=lines,
        table=Table(
            ("Regime", "Sessions", "This month", "Profit", "Return a year", "95 % interval",
             "Sharpe", "95 % interval", "Trades", "Says"),
            tuple(one.written for one in found),
        ),
        chart=chart,
        facts={f"{one.kind}_{one.state}": one.facts for one in found},
        note="Told at the close before each session, from an equal part of every symbol: volatility"
        " of 60 sessions against its own past, last close against the mean of 200. Profit is that "
        "of the sessions; trades are those entered in them. Unknown while the sessions before "
        "are too few: 200 for the trend, 312 for volatility.",
        phone=lines,
    )  # fmt: skip


class _State:
    """One regime of one kind: its row of `by_regime`, the profit of its sessions."""

    def __init__(
        self, kind: str, state: str, row: Mapping[Any, Any], pnl: pd.Series, month: pd.Series
    ) -> None:
        self.kind, self.state, self.row = kind, state, row
        self.pnl = math.fsum(pnl.tolist())
        self.count = int(row["sessions"])
        self.in_month = int((month == state).sum())

    @property
    def written(self) -> tuple[object, ...]:
        row = self.row
        return (
            f"{self.kind}: {self.state}",
            self.count,
            self.in_month,
            signed_money(self.pnl),
            percent(row["return_a_year"], 1),
            span(row["return_a_year_low"], row["return_a_year_high"], "fraction"),
            number(row["sharpe"]),
            span(row["sharpe_low"], row["sharpe_high"]),
            int(row["trades"]),
            "insufficient data" if math.isnan(row["sharpe"]) else "",
        )

    @property
    def facts(self) -> dict[str, Any]:
        row = self.row
        names = ("return_a_year", "sharpe", "volatility")
        limits = {f"{n}{end}": row[f"{n}{end}"] for n in names for end in ("", "_low", "_high")}
        return {
            "sessions": self.count,
            "sessions_in_month": self.in_month,
            "pnl_usd": self.pnl,
            "trades": int(row["trades"]),
            **limits,
        }
