# SPDX-License-Identifier: GPL-3.0-or-later
"""One backtest: plug history, gate, broker and recorder into Backtrader, run it, keep the notes.

Everything above (walk-forward, search, reports) is made of this one function.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from iverson.desk import Desk
from iverson.engine.cerebro import LeanCerebro
from iverson.errors import ConfigError, MissingBars, UnknownParameter
from iverson.execution.account import Account, AccountState
from iverson.execution.costs import Costs
from iverson.execution.equity_broker import EquityBroker
from iverson.execution.groups import Carried
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.moments import moment
from iverson.market.universe import Universe
from iverson.model import Reading
from iverson.monitoring.record import Record, SearchRecord
from iverson.monitoring.recorder import Recorder
from iverson.monitoring.trades import TradeBuilder
from iverson.research.failures import blamed, refuse_absent_columns
from iverson.research.prepared import Feed, Prepared, interval_of
from iverson.research.several import Several, combined, hidden, uses_of
from iverson.research.sweep_lines import plans_of
from iverson.risk.capital import CapitalSteps
from iverson.risk.gate import Gate
from iverson.risk.max_loss import counted_from
from iverson.risk.rules import RiskRule
from iverson.risk.sizing import RiskSizing
from iverson.risk.universe import rules_of
from iverson.strategy import Strategy

__all__ = [
    "RELEASE_AFTER",
    "Feed",
    "Opening",
    "Outcome",
    "Prepared",
    "Setup",
    "first_ready",
    "interval_of",
    "parameters_of",
    "simulate",
    "warm_up_bars",
    "windows_of",
]

RELEASE_AFTER = 20  # sessions after which a backtest releases a latched halt


@dataclass(frozen=True)
class Setup:
    """All that decides a backtest beside the bars; picklable, for searches over processes."""

    strategy: type[Strategy]
    rules: tuple[RiskRule, ...]
    sizing: RiskSizing = field(default_factory=RiskSizing)
    costs: Costs = field(default_factory=Costs)
    cash: float = 10_000.0
    params: Mapping[str, Any] = field(default_factory=dict)
    through_ticks: int = 1
    volume_share: float = 0.10
    reading: Reading = "worst"
    universe: Universe | None = None
    capital: CapitalSteps | None = None
    as_alpaca: bool = False

    def __post_init__(self) -> None:
        known = parameters_of(self.strategy)
        for name in self.params:
            if name not in known:
                raise UnknownParameter.named(name, known, owner=self.strategy.__name__)
        if any(isinstance(value, np.generic) for value in self.params.values()):
            # Backtrader's lines take numpy's numbers for arrays
            object.__setattr__(self, "params", {n: _python(v) for n, v in self.params.items()})
        if not _is_number(self.cash) or not 0 < self.cash < math.inf:
            raise ConfigError(f"cash is {self.cash!r}; expected dollars above 0")
        if not _is_number(self.volume_share) or not 0 < self.volume_share <= 1:
            raise ConfigError(
                f"volume_share is {self.volume_share!r}; expected a fraction above 0 up to 1"
            )
        if not isinstance(self.as_alpaca, bool):
            raise ConfigError(f"as_alpaca is {self.as_alpaca!r}; expected True or False")
        if not isinstance(self.through_ticks, int) or self.through_ticks < 0:
            raise ConfigError(f"through_ticks is {self.through_ticks!r}; expected 0, 1, 2 ...")

    @property
    def all_rules(self) -> tuple[RiskRule, ...]:
        """The rules in the order in which they are asked: the universe's, then the system's."""
        return (*rules_of(self.universe), *(counted_from(self.cash, one) for one in self.rules))

    def __getstate__(self) -> dict[str, Any]:
        """Write several strategies as what they are made of: their class is in no module."""
        if not issubclass(self.strategy, Several):
            return dict(vars(self))
        return {**vars(self), "strategy": uses_of(self.strategy)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        made = state["strategy"]
        vars(self).update(state, strategy=combined(made) if isinstance(made, tuple) else made)

    def with_params(self, params: Mapping[str, Any]) -> Setup:
        """Return the setup with some parameters changed."""
        return replace(self, params={**self.params, **params})


def parameters_of(strategy: type[Strategy]) -> dict[str, Any]:
    """Return a strategy's parameters and their defaults, without what the run hands over."""
    kept = hidden(strategy)
    return {name: value for name, value in strategy.params._getitems() if name not in kept}


@dataclass(frozen=True)
class Opening:
    """What a run goes on from: cash, the account's memory, positions carried over."""

    cash: float
    state: AccountState = field(default_factory=AccountState)
    carried: tuple[Carried, ...] = ()
    builder: TradeBuilder | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run left behind.

    `sessions` (n,) datetime64[D] and `equity` (n,) dollars, the last mark of each session;
    `start` dollars before the first. `traded` names the symbols that had their warm-up. `doubtful`:
    some bar was taken as the reading says; without one the outcome is the same under each.
    """

    record: Record
    start: float
    sessions: NDArray[np.datetime64]
    equity: NDArray[np.float64]
    pnl: NDArray[np.float64]
    opening: Opening
    warm_up: int
    traded: tuple[str, ...]
    bars: int
    doubtful: bool


def simulate(
    setup: Setup,
    prepared: Prepared,
    *,
    first: date,
    last: date,
    opening: Opening | None = None,
    full: bool = True,
    at_end: str = "close",
    carried_on: Container[str] | None = None,
) -> Outcome:
    """Run one backtest over the sessions `first` to `last`, inclusive.

    Each symbol's warm-up bars lie before `first` or, for a symbol that lists later, are its own
    first bars; they never trade. A position in a symbol whose bars end before the run does is left
    at its last close, on the first bar without one. `at_end` "close" leaves every position at the
    last close; "carry" hands positions over in the outcome's `opening`, those of the symbols
    `carried_on` (None: all), and leaves the others. `full` False notes only what a search needs.

    Raises
    ------
    MissingBars: no symbol has bars in the range beyond its warm-up.
    ConfigError: the strategy raised an error, or reads columns that the bars do not have.
    """
    refuse_absent_columns(
        setup.strategy, {symbol: feed.bars for symbol, feed in prepared.feeds.items()}
    )
    opening = opening or Opening(cash=setup.cash)
    warm_up = warm_up_bars(
        setup.strategy, setup.params, tuple(prepared.feeds), interval=prepared.interval
    )
    windows = windows_of(prepared, first, last, warm_up)
    ends = [
        float(prepared.feeds[symbol].numbers[rows.stop - 1]) for symbol, rows in windows.items()
    ]

    record = Record() if full else SearchRecord()
    builder = opening.builder.copy() if opening.builder else TradeBuilder(new_york().ordinal)
    account = Account(opening.state, history=prepared.history, release_after=RELEASE_AFTER)
    within = prepared.interval != DAILY
    desk = Desk(
        gate=Gate(setup.all_rules, setup.sizing), account=account, record=record, first=first,
        last=last, within=within, capital=setup.capital,
    )  # fmt: skip
    broker = EquityBroker(
        cash=opening.cash, costs=setup.costs, through_ticks=setup.through_ticks,
        volume_share=setup.volume_share, reading=setup.reading, as_alpaca=setup.as_alpaca,
    )  # fmt: skip
    since = float(bt.date2num(first))
    broker.desk, broker.end_at, broker.hand_over = desk, max(ends), at_end == "carry"
    broker.carried, broker.carried_from = opening.carried, since
    broker.carried_on = carried_on
    broker.gone = _gone(prepared, windows, last=max(ends))
    desk.broker = broker

    cerebro = LeanCerebro(stdstats=False, quicknotify=False)
    cerebro.setbroker(broker)
    for symbol, rows in windows.items():
        cerebro.adddata(prepared.feeds[symbol].data(rows), name=symbol)
    cerebro.addanalyzer(Recorder, record=record, builder=builder, since=since)
    cerebro.addstrategy(setup.strategy, desk=desk, **setup.params)
    with blamed(setup.strategy, setup.params):
        cerebro.run()

    marks = record.equity
    sessions = np.array([row.session for row in marks], dtype="datetime64[D]")
    equity = np.array([row.equity for row in marks])
    ends_session = np.r_[sessions[1:] != sessions[:-1], True] if len(sessions) else []
    return Outcome(
        record=record,
        start=opening.cash + sum(c.size * c.mark for c in opening.carried),
        sessions=sessions[ends_session] if len(sessions) else sessions,
        equity=equity[ends_session] if len(sessions) else equity,
        pnl=np.array([trade.pnl for trade in record.trades]),
        opening=Opening(broker.getcash(), account.state, broker.carry(), builder),
        warm_up=warm_up,
        traded=tuple(windows),
        bars=sum(rows.stop - rows.start for rows in windows.values()),
        doubtful=broker.doubtful,
    )


def _gone(prepared: Prepared, symbols: Iterable[str], *, last: float) -> dict[str, float]:
    """Return the last bars of the symbols that have none after the run's last bar.

    One that prints in the last session has not ended before it, whichever its last minute is.
    """
    session = moment(last).session
    return {
        symbol: end if moment(end).session < session else last
        for symbol in symbols
        if (end := prepared.ends[symbol]) <= last
    }


def windows_of(prepared: Prepared, first: date, last: date, warm_up: int) -> dict[str, slice]:
    """Return each symbol's rows of a run, without the symbols that have too few."""
    windows = {}
    for symbol, feed in prepared.feeds.items():
        rows = feed.window(first, last, warm_up)
        if rows.stop - rows.start > warm_up:
            windows[symbol] = rows
    if windows:
        return windows
    most = max((len(feed.bars) for feed in prepared.feeds.values()), default=0)
    raise MissingBars(
        f"no symbol has more than the {warm_up} bars of warm-up before or within {first} to {last} "
        f"(the longest history has {most} bars); ask for a later start or import more bars"
    )


def first_ready(bars: Mapping[str, Bars], first: date, last: date, warm_up: int) -> date:
    """Return the first session, from `first` on, at which some symbol has its warm-up."""
    ready: list[date] = [one.session[warm_up].item() for one in bars.values() if len(one) > warm_up]
    if not ready or max(first, min(ready)) > last:
        longest = max((len(one) for one in bars.values()), default=0)
        raise MissingBars(
            f"no symbol has {warm_up} bars of warm-up before {last} (the longest history has "
            f"{longest} bars); import more bars or shorten the periods"
        )
    return max(first, min(ready))


def warm_up_bars(
    strategy: type[Strategy],
    params: Mapping[str, Any],
    symbols: tuple[str, ...],
    *,
    interval: str = DAILY,
) -> int:
    """Return how many bars a strategy wants before it trades, with these parameters.

    Found by constructing it once over no bars, so that the number is the same in a fold, a
    backtest and a wake.
    """
    with blamed(strategy, params):
        plans = plans_of(strategy)
        plans.make_room([params])
        return plans.plan(params, symbols, interval).warm_up


def _python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
