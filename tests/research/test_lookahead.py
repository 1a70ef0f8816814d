# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategies that look ahead, each in its own way, and the bar at which the check says so."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.model import Signal
from iverson.research.backtest import Setup
from iverson.research.lookahead import check_lookahead
from iverson.research.lookahead_compare import Difference
from iverson.research.lookahead_result import Check
from iverson.risk import rules
from iverson.signals.entry import Entry, Long, Short
from iverson.strategy import Strategy
from iverson.testing import START, bars

WARM_UP = 10
N = 70
LATE = 25  # sessions after the others
ALL = 10_000  # bars: more than there are
RISE = 1.004

END, CHANGE, SPLIT = "the data end", "later bars change", "a later split, a later dividend"
FRAMES, ONCE, ONE = (
    "later rows of frames change",
    "indicators bar by bar",
    "bars arrive one at a time",
)
START_LATE = "starts late"


def walk(n: int = N, symbol: str = "TEST", *, seed: int = 1, late: int = 0, **how: Any) -> Bars:
    """Bars of a random walk from 100, each with a range of about a percent."""
    rng = np.random.default_rng(seed)
    closes = 100 * np.exp(np.cumsum(0.012 * rng.standard_normal(n)))
    opens = closes * np.exp(0.003 * rng.standard_normal(n))
    words = (
        f"{o:.2f}/{max(o, c) * 1.004:.2f}/{min(o, c) * 0.996:.2f}/{c:.2f}"
        for o, c in zip(opens, closes, strict=True)
    )
    start = new_york().offset(START, late)
    return bars(" ".join(words), symbol=symbol, start=start, **how)


def examine(strategy: type[Strategy], given: Bars | Mapping[str, Bars], **options: Any) -> Check:
    """Check a strategy over all sessions of its bars, by default at every one of them."""
    series = {given.symbol: given} if isinstance(given, Bars) else given
    how = {name: options.pop(name) for name in ("sample", "decisions", "seed") if name in options}
    sessions = np.unique(np.concatenate([one.session for one in series.values()]))
    setup = Setup(strategy, **{"rules": (rules.OneSystemPerSymbol(),), **options})
    return check_lookahead(
        setup,
        series,
        first=sessions[0].item(),
        last=sessions[-1].item(),
        **{"sample": ALL, "decisions": ALL, **how},
    )


def refused(check: Check) -> dict[str, Difference]:
    """The first difference of each way of looking that found one."""
    return {step.name: step.differences[0] for step in check.steps if not step.passed}


def session(number: int) -> date:
    return new_york().offset(START, number)


def entry(side: str, confidence: Any, close: Any) -> Entry:
    """An entry at the close with a stop 3 % away."""
    if side == "long":
        return Long(confidence, close, 0.97 * close)
    return Short(confidence, close, 1.03 * close)


class Early(Strategy):
    """Trades after few bars."""

    warm_up = WARM_UP


class Column(bt.Indicator):
    """A line computed from the whole column when there is one, bar by bar when there is not."""

    lines: Any = ("value",)

    def once(self, start: int, end: int) -> None:
        self.lines.value.array[start:end] = type(self.lines.value.array)(
            "d", self.whole(pd.Series(np.array(self.data.array)))[start:end]
        )

    def next(self) -> None:
        self.lines.value[0] = self.whole(pd.Series(self.data.get(size=len(self.data)))).iloc[-1]

    def whole(self, values: pd.Series) -> pd.Series:
        raise NotImplementedError


# -- the next bar --------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["long", "short"])
def test_line_of_the_next_close_is_caught_where_it_is_read(side: str) -> None:
    class Tomorrow(Early):
        def entry(self, data: Any) -> Entry:
            return entry(side, bt.If(data.close(1) > RISE * data.close, 4, 0), data.close)

    series = walk()
    found = refused(examine(Tomorrow, series))

    assert {END, CHANGE, ONCE, ONE} <= found.keys()
    first = found[ONE]
    assert (first.kind, first.symbol, first.line) == ("line", "TEST", "close(+1)")
    assert (first.session, first.whole) == (session(0), repr(series.close[1].item()))
    assert first.other != first.whole
    ended = found[END]  # at the first bar that may trade: the bar after it is gone
    assert (ended.session, ended.line) == (session(WARM_UP), "close(+1)")
    assert ended.whole == repr(series.close[WARM_UP + 1].item())
    assert ended.other == repr(series.close[0].item())  # Backtrader's shift goes round


class Peek(Early):
    """Reads the next close in `signals`, but not beyond the end of the data."""

    params: Any = dict(side="long", leaking="TEST")

    def signals(self) -> Iterator[Signal]:
        now = self.desk.now
        assert now is not None
        for data in self.datas:
            if not self.is_ready(data):
                continue
            close = seen = data.close[0]
            if data._name == self.p.leaking and len(data) < data.buflen():
                seen = data.close[1]
            if (seen > RISE * close) if self.p.side == "long" else (seen < close / RISE):
                gap = 0.03 * close * (1 if self.p.side == "long" else -1)
                yield Signal(now.at, now.session, data._name, self.p.side, 4, close, close - gap)


@pytest.mark.parametrize("side", ["long", "short"])
def test_next_close_read_in_signals_is_caught_at_the_first_decision_made_of_it(side: str) -> None:
    series = walk()
    rises = series.close[1:] / series.close[:-1]
    wanted = np.flatnonzero(rises > RISE if side == "long" else rises < 1 / RISE)
    expected = session(int(wanted[wanted >= WARM_UP][0]))

    check = examine(Peek, series, params=dict(side=side), rules=rules.standard(short=True)[3:5])
    found = refused(check)

    assert {END, CHANGE, ONE} <= found.keys()
    assert ONCE not in found  # the future is there, whichever way the indicators are computed
    for name in (END, ONE):
        assert (found[name].kind, found[name].session) == ("decision", expected)
        assert (found[name].line, found[name].other) == ("signal", "nothing")
    assert check.first_difference == found[END]


def test_next_close_read_without_looking_at_the_end_is_an_error_at_that_bar() -> None:
    class Careless(Early):
        def entry(self, data: Any) -> Entry:
            return entry("long", bt.If(data.close > data.open, 4, 0), data.close)

        def signals(self) -> Iterator[Signal]:
            for one in super().signals():
                if self.data.close[1] > 0:
                    yield one

    series = walk()
    rises = np.flatnonzero(series.close > series.open)
    first = refused(examine(Careless, series))[ONE]

    assert (first.kind, first.session) == ("error", session(int(rises[rises >= WARM_UP][0])))
    assert "IndexError" in first.other


def test_leak_in_one_of_several_symbols_is_told_by_its_name() -> None:
    names = ("A", "B", "LATE")
    series = {n: walk(symbol=n, seed=k) for k, n in enumerate(names[:2])}
    series["LATE"] = walk(N - LATE, "LATE", seed=5, late=LATE)
    rises = np.flatnonzero(series["LATE"].close[1:] > RISE * series["LATE"].close[:-1])
    expected = session(LATE + int(rises[rises >= WARM_UP][0]))

    found = refused(examine(Peek, series, params=dict(leaking="LATE")))

    for name in (END, ONE):
        assert (found[name].symbol, found[name].session) == ("LATE", expected)


# -- the whole sample ----------------------------------------------------------------------------


class Normalised(Column):
    """Distance from the mean of the whole sample in its standard deviations."""

    def whole(self, values: pd.Series) -> pd.Series:
        spread = values.std(ddof=0)
        return (values - values.mean()) / (spread if spread > 0 else 1.0)


@pytest.mark.parametrize("side", ["long", "short"])
def test_normalisation_by_the_whole_sample_changes_every_bar_from_the_first_on(side: str) -> None:
    class Scaled(Early):
        def entry(self, data: Any) -> Entry:
            z = Normalised(data.close)
            return entry(side, bt.If(z < -0.5 if side == "long" else z > 0.5, 4, 0), data.close)

    series = walk()
    closes = series.close
    cut = closes[: WARM_UP + 1]
    found = refused(examine(Scaled, series))

    assert {END, CHANGE, ONCE, ONE} <= found.keys()
    first = found[END]
    assert (first.session, first.line) == (session(0), "Normalised")
    assert float(first.whole) == pytest.approx((closes[0] - closes.mean()) / closes.std())
    assert float(first.other) == pytest.approx((cut[0] - cut.mean()) / cut.std())


class Centred(Column):
    """A mean of five bars, two of them still to come."""

    def whole(self, values: pd.Series) -> pd.Series:
        return values.rolling(5, center=True).mean()


def test_centred_window_is_caught_two_bars_before_the_data_end() -> None:
    class Smooth(Early):
        def entry(self, data: Any) -> Entry:
            return entry("long", bt.If(data.close < Centred(data.close), 4, 0), data.close)

    series = walk()
    found = refused(examine(Smooth, series))

    first = found[END]
    assert (first.session, first.line, first.other) == (session(WARM_UP - 1), "Centred", "nan")
    assert float(first.whole) == pytest.approx(series.close[WARM_UP - 3 : WARM_UP + 2].mean())
    assert found[ONE].session == session(2)  # the first that has five bars around it
    assert found[ONE].line == "Centred"


class WeekToCome(Column):
    """The close of the week, known on its Monday."""

    def whole(self, values: pd.Series) -> pd.Series:
        days = pd.to_datetime([bt.num2date(n) for n in self._owner.data.datetime.array])
        weeks = pd.Series(days[: len(values)]).dt.strftime("%G-%V")
        return values.groupby(weeks.to_numpy()).transform("last")


class WeekMerged(Column):
    """The close of a week, merged to the days before it."""

    def whole(self, values: pd.Series) -> pd.Series:
        days = pd.to_datetime([bt.num2date(n) for n in self._owner.data.datetime.array])
        daily = pd.DataFrame({"day": days[: len(values)], "close": values})
        weekly = daily.groupby(daily["day"].dt.strftime("%G-%V"), as_index=False).last()
        merged = pd.merge_asof(daily[["day"]], weekly, on="day", direction="forward")
        return merged["close"]


@pytest.mark.parametrize("line", [WeekToCome, WeekMerged])
def test_week_known_before_its_end_is_caught_on_its_first_day(line: type[Column]) -> None:
    class Weekly(Early):
        def entry(self, data: Any) -> Entry:
            return entry("long", bt.If(data.close < line(data.close), 4, 0), data.close)

    series = walk()
    weeks = pd.Series(series.session).dt.strftime("%G-%V").to_numpy()
    looked = next(n for n in range(WARM_UP, N) if weeks[n + 1] == weeks[n])
    expected = int(np.flatnonzero(weeks == weeks[looked])[0])

    found = refused(examine(Weekly, series))

    first = found[END]
    assert (first.line, first.session) == (line.__name__, session(expected))
    assert float(first.whole) == series.close[weeks == weeks[looked]][-1]
    assert float(first.other) == series.close[looked]


# -- splits --------------------------------------------------------------------------------------


class BackAdjusted(bt.Indicator):
    """Prices in the shares of the last bar there is, as vendors give them."""

    lines: Any = ("price",)

    def once(self, start: int, end: int) -> None:
        factor = self.data.factor.array[-1]
        for n in range(start, end):
            self.lines.price.array[n] = self.data.close.array[n] / factor

    def next(self) -> None:
        self.lines.price[0] = self.data.close[0] / self.data.factor[0]


class Cheap(Early):
    """Buys what costs less than a number of dollars."""

    def entry(self, data: Any) -> Entry:
        return entry("long", bt.If(BackAdjusted(data) < 150.0, 4, 0), data.close)


def test_price_adjusted_by_a_later_split_is_caught_before_there_is_one() -> None:
    found = refused(examine(Cheap, walk()))

    assert found.keys() == {CHANGE, SPLIT}  # without a split no other way of looking can tell
    assert (found[SPLIT].session, found[SPLIT].line) == (session(0), "BackAdjusted")
    assert float(found[SPLIT].other) == float(found[SPLIT].whole) / 2


def test_price_adjusted_by_a_split_is_caught_from_the_bars_alone_when_there_was_one() -> None:
    at, ratio = 40, 4.0
    plain = walk()
    prices = {
        name: np.r_[getattr(plain, name)[:at], getattr(plain, name)[at:] / ratio]
        for name in ("open", "high", "low", "close")
    }
    split = replace(plain, **prices, factor=np.r_[np.ones(at), np.full(N - at, ratio)])

    found = refused(examine(Cheap, split))

    assert {END, ONE} <= found.keys()
    assert float(found[END].whole) == pytest.approx(plain.close[0] / ratio)
    assert float(found[END].other) == plain.close[0]


# -- data beside the bars ------------------------------------------------------------------------


def daily_numbers() -> pd.Series:
    rng = np.random.default_rng(3)
    sessions = new_york().sessions[new_york().ordinal(START) :][:N]
    return pd.Series(rng.standard_normal(N), index=pd.DatetimeIndex(sessions))


class Mood(Early):
    """Buys on a good mood, as published under the date of the bar, or of the one before."""

    mood = daily_numbers()
    params: Any = dict(lag=0)

    def signals(self) -> Iterator[Signal]:
        now = self.desk.now
        assert now is not None
        known = self.mood[: pd.Timestamp(now.session)]
        value = known.iloc[-1 - self.p.lag]
        if self.is_ready(self.data) and value > 0:
            close = self.data.close[0]
            yield Signal(
                now.at, now.session, self.data._name, "long", 4, close, 0.97 * close, reason=value
            )


def test_number_dated_with_the_bar_is_not_known_at_its_close() -> None:
    good = np.flatnonzero(Mood.mood.to_numpy() > 0)
    check = examine(Mood, walk())
    found = refused(check)

    assert found.keys() == {FRAMES}
    assert found[FRAMES].kind == "decision"
    assert found[FRAMES].session == session(int(good[good >= WARM_UP][0]))
    assert check.frames == ("mood",)


def test_number_of_the_day_before_is_known() -> None:
    assert refused(examine(Mood, walk(), params=dict(lag=1), sample=5, decisions=9)) == {}


def test_number_stamped_before_the_close_is_known() -> None:
    class Morning(Mood):
        mood = daily_numbers().tz_localize("America/New_York").shift(15, freq="h")

        def signals(self) -> Iterator[Signal]:
            now = self.desk.now
            assert now is not None
            known = self.mood[: pd.Timestamp(now.at)]
            if self.is_ready(self.data) and known.iloc[-1] > 0:
                close = self.data.close[0]
                yield Signal(now.at, now.session, "TEST", "long", 4, close, 0.97 * close)

    check = examine(Morning, walk(), sample=5, decisions=9)

    assert refused(check) == {}
    assert check.frames == ("mood",)


def test_frame_given_as_a_parameter_is_looked_at_and_left_as_it_was() -> None:
    class Given(Early):
        params: Any = dict(frame=None)

        def entry(self, data: Any) -> Entry:
            return entry("long", Lookup(data, frame=self.p.frame), data.close)

    class Lookup(bt.Indicator):
        lines: Any = ("wanted",)
        params: Any = dict(frame=None)

        def next(self) -> None:
            day = bt.num2date(self.data.datetime[0]).date()
            ahead = self.p.frame[pd.Timestamp(day) :]
            self.lines.wanted[0] = 4 if ahead.iloc[0] > 0 else 0

    numbers = daily_numbers()
    kept = numbers.copy()
    check = examine(Given, walk(), params=dict(frame=numbers))

    assert refused(check).keys() == {FRAMES}
    assert refused(check)[FRAMES].line.endswith("= Lookup")
    pd.testing.assert_series_equal(numbers, kept)


def test_frame_among_the_globals_of_the_module_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = sys.modules[__name__]
    numbers = daily_numbers()
    monkeypatch.setattr(module, "PUBLISHED", numbers, raising=False)

    class Global(Early):
        def signals(self) -> Iterator[Signal]:
            return (one for one in super().signals() if self.mood() > 0)

        def mood(self) -> float:
            now = self.desk.now
            assert now is not None
            return float(module.PUBLISHED[pd.Timestamp(now.session)])

        def entry(self, data: Any) -> Entry:
            return entry("long", bt.If(data.close > 0, 4, 0), data.close)

    check = examine(Global, walk(), sample=3, decisions=20)

    assert check.frames == ("PUBLISHED",)
    assert refused(check).keys() == {FRAMES}
    assert module.PUBLISHED is numbers


# -- the warm-up ---------------------------------------------------------------------------------


class Slow(Strategy):
    """A slow exponential average; `asked` bars of warm-up."""

    params: Any = dict(period=40, asked=41)

    @property
    def warm_up(self) -> int:
        return int(self.p.asked)

    def entry(self, data: Any) -> Entry:
        mean = bt.ind.EMA(data, period=self.p.period)
        return entry("long", bt.If(data.close < mean, 4, 0), data.close)


def test_warm_up_too_short_for_a_slow_average_changes_decisions_of_a_late_start() -> None:
    asked = 41
    check = examine(Slow, walk(500, seed=2), sample=6, decisions=6)
    (line,) = (one for one in check.settling if one.line == "EMA(period=40)")

    assert refused(check).keys() == {START_LATE}
    assert (line.asked, line.is_settled) == (asked, False)


def test_warm_up_needed_is_that_of_the_averages_own_decay() -> None:
    period, asked = 40, 300
    series = walk(700, seed=2)
    check = examine(Slow, series, params=dict(asked=asked), sample=6, decisions=6)
    (line,) = (one for one in check.settling if one.line == "EMA(period=40)")
    # Started on the mean of its first bars, the average forgets by 1 - alpha a bar; what it has to
    # forget is at most the range of the closes.
    keep = 1 - 2 / (period + 1)
    most = np.log((np.ptp(series.close)) / (1e-3 * np.median(series.close))) / -np.log(keep)

    assert refused(check) == {}
    assert line.needed is not None
    assert period < line.needed <= period + most < asked


def test_window_of_fixed_length_needs_its_bars_and_no_more() -> None:
    period = 12

    class Fixed(Early):
        warm_up = period

        def entry(self, data: Any) -> Entry:
            mean = bt.ind.SMA(data, period=period)
            return entry("long", bt.If(data.close < mean, 4, 0), data.close)

    check = examine(Fixed, walk(), sample=6, decisions=6)
    needed = {one.line: (one.needed, one.exact) for one in check.settling}

    assert check.passed
    assert needed["SMA(period=12)"] == (period - 1, period - 1)


def test_count_of_bars_since_the_start_never_settles() -> None:
    class Sum(bt.Indicator):
        lines: Any = ("total",)

        def next(self) -> None:
            before = self.lines.total[-1] if len(self) > 1 else 0.0
            self.lines.total[0] = before + np.sign(self.data.close[0] - self.data.open[0])

    class Counting(Early):
        def entry(self, data: Any) -> Entry:
            return entry("long", bt.If(Sum(data) > 0, 4, 0), data.close)

    check = examine(Counting, walk(300), sample=6, decisions=6)
    never = {one.line for one in check.settling if one.needed is None}

    assert "Sum" in never
    assert refused(check).keys() == {START_LATE}


# -- what the check says of itself -----------------------------------------------------------------


def test_strategy_that_decides_nothing_has_not_passed() -> None:
    class Idle(Early):
        def entry(self, data: Any) -> Entry:
            return entry("long", 0 * data.close, data.close)

    check = examine(Idle, walk())

    assert all(step.passed for step in check.steps)
    assert not check.passed
    assert any("nothing was decided" in note for note in check.notes)
    assert str(check).splitlines()[0].endswith(": refused, because nothing was decided")


def test_same_seed_looks_at_the_same_bars_and_says_how_many() -> None:
    class Dips(Early):
        def entry(self, data: Any) -> Entry:
            return entry("long", bt.If(data.close < data.open, 4, 0), data.close)

    one, two = (examine(Dips, walk(), sample=5, decisions=7, seed=4) for _ in range(2))

    assert one.passed
    assert str(one) == str(two)
    assert one.looked_at == (5, 7)
    assert f"5 sampled of {one.bars} bars (seed 4) and 7 of {one.decision_bars}" in one.notes[0]
    assert one.steps[0].planned <= 5 + 7


def test_faulty_signals_are_an_error_not_a_refusal() -> None:
    class Wrong(Early):
        def entry(self, data: Any) -> Entry:
            return Long(4, data.close, 1.03 * data.close)

    with pytest.raises(ConfigError, match="must lie below"):
        examine(Wrong, walk())


def test_strategy_that_cannot_be_made_before_its_bars_come_is_refused() -> None:
    class Greedy(Early):
        """Looks at all closes when the run starts."""

        def start(self) -> None:
            super().start()
            if self.p.desk is not None:  # not while only the warm-up is asked for
                self.first = float(self.data.close.array[0])

        def entry(self, data: Any) -> Entry:
            return entry("long", bt.If(data.close < data.open, 4, 0), data.close)

    found = refused(examine(Greedy, walk(), sample=3, decisions=3))

    assert found.keys() == {ONE}
    assert found[ONE].kind == "error"
    assert "IndexError" in found[ONE].other
