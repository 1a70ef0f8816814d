# SPDX-License-Identifier: GPL-3.0-or-later
"""Bars in words, books by keyword, runs in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import backtrader as bt
import numpy as np

from iverson.book import Book
from iverson.engine.cerebro import LeanCerebro
from iverson.execution.costs import Costs
from iverson.execution.equity_broker import EquityBroker
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.model import Signal
from iverson.monitoring.record import Record
from iverson.monitoring.recorder import Recorder
from iverson.monitoring.trades import TradeBuilder
from iverson.research.backtest import Feed, Outcome, Prepared, Setup, simulate
from iverson.strategy import Strategy

START = date(2024, 1, 2)
VOLUME = 1_000_000.0

Plan = Mapping[int, Callable[[bt.Strategy], Any]]


def bars(
    words: str,
    *,
    symbol: str = "TEST",
    start: date = START,
    splits: Mapping[int, float] | None = None,
    dividends: Mapping[int, float] | None = None,
) -> Bars:
    """Make daily bars on consecutive New York sessions from words.

    `100` is a bar that opens at the previous close and closes at 100; `gap 90` opens and closes at
    90; `100/105/95/101` gives open, high, low and close, `...@5000` the volume (default a
    million); `|` separates for the eye. `splits` and `dividends` map the number of a bar (from 0)
    to its ratio and to raw dollars a share.
    """
    rows: list[tuple[float, float, float, float, float]] = []
    gap = False
    for word in words.replace("|", " ").split():
        if word == "gap":
            gap = True
            continue
        prices, _, volume = word.partition("@")
        numbers = [float(part) for part in prices.split("/")]
        if len(numbers) == 1:
            close = numbers[0]
            opened = close if gap or not rows else rows[-1][3]
            numbers = [opened, max(opened, close), min(opened, close), close]
        opened, high, low, close = numbers
        rows.append((opened, high, low, close, float(volume) if volume else VOLUME))
        gap = False
    table = np.array(rows).reshape(-1, 5)
    first = new_york().ordinal(start)
    sessions = new_york().sessions[first : first + len(rows)].copy()
    factor = np.ones(len(rows))
    for number, ratio in (splits or {}).items():
        factor[number:] *= ratio
    dividend = np.zeros(len(rows))
    for number, cash in (dividends or {}).items():
        dividend[number] = cash
    names = ("open", "high", "low", "close", "volume")
    quoted: dict[str, Any] = {name: table[:, n].copy() for n, name in enumerate(names)}
    return Bars(
        symbol=symbol,
        interval=DAILY,
        at=new_york().closes(sessions),
        session=sessions,
        factor=factor,
        dividend=dividend,
        **quoted,
    )


def noise(
    symbols: str,
    *,
    seed: int,
    sessions: int = 2_000,
    start: date = START,
    volatility: float = 0.015,
) -> dict[str, Bars]:
    """Make daily bars in which there is nothing to find: independent random walks without drift.

    One series for each of the space-separated symbols, from $50, with `volatility` the deviation
    of a day's log return; the expected return of a share is 0 every day. Prices are whole cents.
    """
    first = new_york().ordinal(start)
    days = new_york().sessions[first : first + sessions].copy()
    made = {}
    for number, symbol in enumerate(symbols.split()):
        generator = np.random.default_rng([seed, number])
        steps = generator.normal(-0.5 * volatility**2, volatility, sessions)
        close = 50.0 * np.exp(np.cumsum(steps))
        opened = np.r_[50.0, close[:-1]]
        reach = np.exp(np.abs(generator.normal(0.0, volatility / 2, (2, sessions))))
        prices = {
            "open": opened,
            "high": np.maximum(opened, close) * reach[0],
            "low": np.minimum(opened, close) / reach[1],
            "close": close,
        }
        made[symbol] = Bars(
            symbol=symbol,
            interval=DAILY,
            at=new_york().closes(days),
            session=days,
            volume=np.full(sessions, 10 * VOLUME),
            factor=np.ones(sessions),
            dividend=np.zeros(sessions),
            **{name: np.round(price, 2) for name, price in prices.items()},
        )
    return made


def book(**changes: Any) -> Book:
    """Make a book: $100,000 in cash, no position, no halt, nothing known of the past.

    Give any field of `Book` by keyword; `at` and `session` follow each other and default to a
    Tuesday's close.
    """
    calendar = new_york()
    session = changes.get("session")
    if session is None:
        session = calendar.session_of(changes["at"]) if "at" in changes else START
    at = changes.get("at", calendar.close_at(session))
    equity = changes.get("equity", 100_000.0)
    fields: dict[str, Any] = dict(
        at=at,
        session=session,
        cash=equity,
        equity=equity,
        equity_at_previous_close=equity,
        high=equity,
        history=FixedHistory(),
        next_open=calendar.next_open(at),
    )
    return Book(**{**fields, **changes})


def signal(**changes: Any) -> Signal:
    """Make a signal: long TEST, confidence 5, limit 100, stop 98, target 104, on START's close."""
    usual = Signal(
        at=new_york().close_at(START),
        session=START,
        symbol="TEST",
        side="long",
        confidence=5,
        limit=100.0,
        stop=98.0,
        target=104.0,
        max_sessions=3,
    )
    return replace(usual, **changes)


class FixedHistory:
    """A history told by hand: returns by symbol (newest last), one volume and close for all."""

    def __init__(
        self,
        returns: Mapping[str, Any] | None = None,
        *,
        volume: float = 10_000_000.0,
        close: float = 100.0,
    ) -> None:
        self._returns = {symbol: np.asarray(r, float) for symbol, r in (returns or {}).items()}
        self._volume = volume
        self._close = close

    def log_returns(self, symbol: str, *, before: date, sessions: int) -> tuple[Any, Any]:
        """Return the last `sessions` returns, on the sessions just before one."""
        values = self._returns.get(symbol, np.empty(0))[-sessions:]
        end = new_york().ordinal(before)
        return new_york().sessions[end - len(values) : end], values

    def average_volume(self, symbol: str, *, through: date, sessions: int) -> float:  # noqa: ARG002 (as History)
        """Return the one volume."""
        return self._volume

    def previous_closes(self, symbol: str, sessions: Any) -> Any:  # noqa: ARG002 (as History)
        """Return the one close."""
        return np.full(len(sessions), self._close)

    def dollar_volumes(self, symbol: str, sessions: Any, *, window: int) -> Any:  # noqa: ARG002 (as History)
        """Return the one close times the one volume."""
        return np.full(len(sessions), self._close * self._volume)


def run_orders(
    given: Bars | Mapping[str, Bars],
    plan: Plan,
    *,
    cash: float = 100_000.0,
    costs: Costs | None = None,
    broker: Any = None,
    **options: Any,
) -> Record:
    """Run a plain Backtrader strategy that acts on numbered bars, on an `EquityBroker`.

    `plan` maps the number of a bar (from 1, as `len(strategy)` counts) to a function of the
    strategy, called at its close. `costs` default to none; `options` are the broker's parameters.
    """
    series = {given.symbol: given} if isinstance(given, Bars) else dict(given)

    class Planned(bt.Strategy):
        def next(self) -> None:
            act = plan.get(len(self))
            if act is not None:
                act(self)

        prenext = nextstart = next  # noqa: A003 (Backtrader's name)

    record = Record()
    cerebro = LeanCerebro(stdstats=False)
    cerebro.setbroker(broker or EquityBroker(cash=cash, costs=costs or Costs.none(), **options))
    for symbol, one in series.items():
        cerebro.adddata(Feed(one).data(slice(0, len(one))), name=symbol)
    cerebro.addanalyzer(Recorder, record=record, builder=TradeBuilder(new_york().ordinal))
    cerebro.addstrategy(Planned)
    cerebro.run()
    return record


def run_signals(
    given: Bars | Mapping[str, Bars],
    plan: Mapping[int, Signal | list[Signal]],
    *,
    rules: tuple[Any, ...] = (),
    **options: Any,
) -> Outcome:
    """Run signals through the whole spine: gate, bracket, broker, recorder.

    `plan` maps the number of a bar (from 1) to the signals of its close; their `at` and `session`
    are set to the bar's. No warm-up. `options` are fields of `Setup`; costs default to none.
    """
    series = {given.symbol: given} if isinstance(given, Bars) else dict(given)

    class Planned(Strategy):
        warm_up = 0

        def signals(self) -> Iterator[Signal]:
            found = plan.get(len(self), [])
            for one in found if isinstance(found, list) else [found]:
                assert self.desk.now is not None
                yield replace(one, at=self.desk.now.at, session=self.desk.now.session)

    options.setdefault("costs", Costs.none())
    options.setdefault("cash", 100_000.0)
    sessions = np.unique(np.concatenate([one.session for one in series.values()]))
    return simulate(
        Setup(Planned, rules=rules, **options),
        Prepared.of(series),
        first=sessions[0].item(),
        last=sessions[-1].item(),
    )


def at(text: str) -> datetime:
    """Read an instant written in UTC: `at("2024-01-02 21:00")`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
