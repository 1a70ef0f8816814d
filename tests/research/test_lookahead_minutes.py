# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate against future data on minute bars: the strategy passes, leaks of every kind do not."""

from __future__ import annotations

from functools import cache
from typing import Any

import backtrader as bt
import numpy as np
import pytest

import iverson as iv
from iverson.market.bars import Bars
from iverson.market.hours import since_opens
from iverson.market.synthesis import synthesize
from iverson.research import lookahead_span
from iverson.research.backtest import Setup
from iverson.research.lookahead import check_lookahead
from iverson.research.lookahead_result import Check
from iverson.risk import rules
from iverson.strategy import Strategy
from iverson.testing import noise
from strategies.opening_range import OpeningRangeBreakout
from tests.minute_bars import summed

SESSIONS = 26
LENGTH, A_DAY = 15, 26  # minutes, and bars of a session: so that the tests stay quick
BUSY = dict(volume=0.2)  # of the bars before: more breakouts than the defaults find
STEPS = {"sample": 4, "decisions": 6}


@cache
def market() -> dict[str, Bars]:
    minutes = {s: synthesize(one) for s, one in noise("AAA BBB", seed=3, sessions=SESSIONS).items()}
    return {symbol: summed(one, LENGTH) for symbol, one in minutes.items()}


def check(strategy: type[Strategy], params: dict[str, Any] | None = None) -> Check:
    bars = market()
    first, last = (bars["AAA"].session[row].item() for row in (0, -1))
    setup = Setup(strategy, rules=rules.standard(short=True), params=params or {})
    return check_lookahead(setup, bars, first=first, last=last, **STEPS)


class Later(bt.Indicator):
    """High of a session from its bars `first` to `last` minutes after the open, ten to eleven on.

    A leak of the usual kind: in one pass the whole day is there, and one bar too many is taken.
    """

    lines: Any = ("high",)
    params: Any = dict(last=30)

    def next(self) -> None:
        _, seconds, _ = since_opens(np.array([self.data.datetime[0]]))
        back = int(min(seconds[0], 60 * self.p.last)) // (60 * LENGTH)
        skip = int(max(0, seconds[0] - 60 * self.p.last)) // (60 * LENGTH)
        highs = [self.data.high[-skip - ago] for ago in range(back) if len(self) > skip + ago]
        self.lines.high[0] = max(highs, default=float("nan"))

    def once(self, start: int, end: int) -> None:
        line = self.lines.high.array
        number = np.array(self.data.lines.datetime.array[:end])
        highs = np.array(self.data.lines.high.array[:end])
        session, seconds, _ = since_opens(number)
        for day in np.unique(session):
            rows = session == day
            line_rows = np.flatnonzero(rows)
            inside = rows & (seconds <= 60 * self.p.last)
            for row in line_rows:
                line[row] = highs[inside].max()

    def oncestart(self, start: int, end: int) -> None: ...


class Leaky(Strategy):
    """Breaks out of a range whose high is read off the future."""

    params = dict(last=30, max_sessions=0)

    def entry(self, data: Any) -> iv.Long:
        high = Later(data, last=self.p.last).high
        known = iv.OpeningRange(data).high == iv.OpeningRange(data).high  # from 10:00 on
        return iv.Long(
            bt.If(bt.And(known, data.close > high), 4, 0), data.close * 1.001, data.close * 0.99
        )


class OneBarMore(Leaky):
    """Its range takes in the bar after ten o'clock."""

    params = dict(last=30 + LENGTH)


class WholeDay(Leaky):
    """Its high is the whole day's."""

    params = dict(last=390)

    def entry(self, data: Any) -> iv.Long:
        below = data.close < Later(data, last=self.p.last).high * 0.995
        return iv.Long(bt.If(below, 4, 0), data.close * 1.001, data.close * 0.99)


class NextBar(Strategy):
    """Reads one bar ahead of a range that is right."""

    def entry(self, data: Any) -> iv.Long:
        opening = iv.OpeningRange(data)
        return iv.Long(
            bt.If(data.close(1) > opening.high, 4, 0), data.close * 1.001, data.close * 0.99
        )


class Impatient(OpeningRangeBreakout):
    """Looks back sessions that it does not wait for."""

    warm_up = 100


def test_opening_range_breakout_passes() -> None:
    found = check(OpeningRangeBreakout, BUSY)

    assert found.passed, found
    assert found.decision_bars >= 5
    assert not any("not settled" in note for note in found.notes)


@pytest.mark.parametrize(
    ("leak", "caught"),
    [
        (OneBarMore, "indicators bar by bar"),  # it leaks before 10:00 only, where nothing is drawn
        (WholeDay, "the data end"),
        (WholeDay, "later bars change"),
        (NextBar, "the data end"),
        (NextBar, "later bars change"),
    ],
)
def test_ranges_that_read_the_future_are_caught(leak: type[Strategy], caught: str) -> None:
    assert caught in {step.name for step in found_of(leak).steps if not step.passed}


@cache
def found_of(leak: Any) -> Check:
    return check(leak)


def test_too_short_a_warm_up_is_caught() -> None:
    found = check(Impatient, BUSY)

    assert "starts late" in {step.name for step in found.steps if not step.passed}


def test_of_many_minutes_the_last_sessions_that_decide_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 4 * A_DAY  # bars of four sessions
    monkeypatch.setattr(lookahead_span, "MOST", most)
    found = check(OpeningRangeBreakout, BUSY)

    assert found.passed, found
    assert found.sessions == (4, SESSIONS - 15)  # 15 sessions of warm-up come first
    assert found.decision_bars > 0
    assert any("4 of 11 sessions looked at" in note for note in found.notes)


def test_a_leak_is_caught_in_those_sessions_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookahead_span, "MOST", 4 * A_DAY)

    assert not check(OneBarMore).passed
