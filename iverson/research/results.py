# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a backtest: tables, metrics and a picture, made from what was recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd

from iverson.market.bars import Bars
from iverson.market.source import Passport
from iverson.model import Stage, Trade
from iverson.monitoring.record import Record
from iverson.monitoring.summary import Summary
from iverson.monitoring.tables import (
    denied_frame,
    dollars,
    equity_series,
    measure,
    strategies_frame,
    trades_frame,
)
from iverson.research.backtest import Setup
from iverson.research.several import uses_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from iverson.research.walk_result import WalkForward


class Recorded:
    """The tables and metrics that a backtest and a walk-forward share, made from their record."""

    if TYPE_CHECKING:  # fields of one heir, properties of the other

        @property
        def record(self) -> Record:
            """Everything noted."""

        @property
        def start(self) -> float:
            """Dollars at the start."""

        @property
        def passport(self) -> Passport:
            """What the bars are."""

        @property
        def setup(self) -> Setup:
            """What was run."""

    @property
    def seed(self) -> int:
        """Seed of the intervals' resampling."""
        return 0

    @cached_property
    def trades(self) -> pd.DataFrame:
        """Closed trades."""
        return self._marked(trades_frame(self.record.trades))

    @cached_property
    def denied(self) -> pd.DataFrame:
        """Denied signals with the rule that denied them."""
        return self._marked(denied_frame(self.record.verdicts))

    def _marked(self, table: pd.DataFrame) -> pd.DataFrame:
        """Let a table say, to whoever draws it, what of its data was made up."""
        passport = getattr(self, "passport", None)  # heirs of others' making may have none
        if passport is not None and passport.mark:
            table.attrs["mark"] = passport.mark
        return table

    @cached_property
    def by_strategy(self) -> pd.DataFrame:
        """Signals, denials, trades and what they made, by strategy."""
        names = [use.name for use in uses_of(self.setup.strategy)]
        return strategies_frame(self.record, names)

    @cached_property
    def equity(self) -> pd.Series:
        """Equity in dollars by session."""
        return equity_series(self.record.equity)

    @cached_property
    def metrics(self) -> Summary:
        """The metrics with their intervals."""
        return measure(self.record, self.start, seed=self.seed)


@dataclass(frozen=True)
class Run(Recorded):
    """What one backtest did. Printed, it is a small table.

    Money is dollars after costs, `equity` marked to market at each session's close. Everything is
    the worst reading of bars that leave the path open, unless `setup.reading` says otherwise.
    """

    setup: Setup
    record: Record
    bars: Mapping[str, Bars]
    passport: Passport
    start: float
    warm_up: int
    notes: tuple[str, ...] = ()
    stage: Stage = Stage.BACKTEST

    @property
    def first(self) -> date:
        """First session traded."""
        return self.record.equity[0].session

    @property
    def last(self) -> date:
        """Last session traded."""
        return self.record.equity[-1].session

    def plot(self, symbol: str | None = None, **options: Any) -> Figure:
        """Draw price with entries, exits and stops for one symbol (default: the most traded)."""
        from iverson.research.charts import price_chart

        return price_chart(self, symbol, **options)

    def __str__(self) -> str:
        return run_table(self)

    __repr__ = __str__


HEADLINE = (
    *("total_return", "cagr", "sharpe", "max_drawdown"),
    *("win_rate", "profit_factor", "average_trade", "exposure"),
)


SHOWN = 10  # symbols that a note names


def run_table(run: Run) -> str:
    """Return the small table a run prints as."""
    ambiguous = int(run.trades["ambiguous"].sum())
    lines = [
        f"{titled(run)} on {', '.join(run.bars)}: {run.first} to {run.last}",
        (
            f"equity {dollars(run.start)} -> {dollars(run.equity.iloc[-1])}; "
            f"{len(run.trades)} trades, {ambiguous} ambiguous (worst reading)"
        ),
        f"{len(run.denied)} signals denied{by_rule(run.denied['rule'])}",
        *strategy_lines(run),
        *step_lines(run),
        *(f"  {run.metrics[name]}" for name in HEADLINE),
        *(f"note: {note}" for note in run.notes),
    ]
    return "\n".join(lines)


def titled(result: Run | WalkForward) -> str:
    """Return the strategy's name, and whether what it ran on was made up."""
    name = result.setup.strategy.__name__
    return f"{result.passport.mark}: {name}" if result.passport.mark else name


def strategy_lines(result: Recorded) -> tuple[str, ...]:
    """Return a line for each strategy when there are several."""
    table = result.by_strategy
    if len(table) < 2:
        return ()
    return tuple(
        f"  {name}: {row['trades']:.0f} trades, {dollars(row['pnl'])}; "
        f"{row['denied']:.0f} of {row['signals']:.0f} signals denied"
        for name, row in table.iterrows()
    )


def step_lines(result: Recorded) -> tuple[str, ...]:
    """Return a line about the capital steps when the system has them."""
    steps = result.record.steps
    if result.setup.capital is None or not steps:
        return ()
    caps = [step.cap for step in steps]
    up = sum(high > low for low, high in pairwise(caps))
    down = len(caps) - 1 - up
    return (f"capital steps: {up} up, {down} down; a trade may risk {caps[-1]:.2%} at the end",)


def by_rule(rules: pd.Series) -> str:
    """Return how often each rule denied, in words to follow a count."""
    counts = ", ".join(f"{rule} {count}" for rule, count in rules.value_counts().items())
    return f": {counts}" if counts else ""


def warm_up_notes(
    bars: Mapping[str, Bars], traded: Sequence[str], warm_up: int, asked: date, begin: date
) -> tuple[str, ...]:
    """Say what the warm-up left out: the first sessions asked for, symbols with too few bars."""
    notes = []
    if begin > asked:
        notes.append(f"asked from {asked}, starts on {begin}: {warm_up} bars of warm-up come first")
    idle = [symbol for symbol in bars if symbol not in traded]
    if idle:
        notes.append(f"never traded, too few bars for the warm-up: {', '.join(idle)}")
    return tuple(notes)


def universe_notes(setup: Setup, bars: Mapping[str, Bars]) -> tuple[str, ...]:
    """Say whether the fate of the symbols was known when they were chosen, and who is missing."""
    universe = setup.universe
    if universe is None or universe.membership is None:
        return ("survivorship-biased: no point-in-time membership was given",)
    absent = [symbol for symbol in universe.symbols if symbol not in bars]
    if not absent:
        return ()
    named = ", ".join(absent[:SHOWN]) + (" ..." if len(absent) > SHOWN else "")
    return (
        f"no bars for {len(absent)} of {len(universe.symbols)} symbols of the universe: {named}",
    )


def gone_notes(trades: Sequence[Trade]) -> tuple[str, ...]:
    """Say which positions were left because the bars of their symbol end."""
    gone = [trade for trade in trades if trade.exit_reason == "bars end"]
    if not gone:
        return ()
    named = ", ".join(f"{one.symbol} {one.exit_session}" for one in gone[:SHOWN])
    more = " ..." if len(gone) > SHOWN else ""
    return (f"left at the last price, because the bars end: {named}{more}",)
